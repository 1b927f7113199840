"""Checkers: each takes a history of what clients saw and what is stored at the end, and lists what cannot be.

An event is a dict: client, path, args, key, reply, start, end (of the first send and of the answer, one clock), and
if known status, id (of the invocation) and sends. Nothing here talks to a server.
"""
