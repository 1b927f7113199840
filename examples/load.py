"""What the drivers of the examples share: a connection, many of them at once, and a history of what they saw."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit


class Client:
    """One keep-alive connection to the server."""

    def __init__(self, server: str):
        self.connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)

    def call(self, path: str, args: list, key: str):
        """POST the arguments, with a key that makes re-sending safe, and return the result."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        self.connection.request("POST", path, json.dumps(args), headers)
        response = self.connection.getresponse()
        body = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"{path} {args}: {response.status} {body}")
        return body


def in_parallel(connect, clients: int, work) -> list[dict]:
    """Run `work(connection, number)` on a thread for each client; what all of them saw, in order of time."""
    with ThreadPoolExecutor(clients) as pool:
        parts = list(pool.map(lambda number: work(connect(), number), range(clients)))
    return sorted((event for part in parts for event in part), key=lambda event: event["end"])


def timed_call(client, number: int, path: str, args: list, key: str) -> dict:
    """One call, as an event of the history."""
    start = time.monotonic()
    reply = client.call(path, args, key)
    end = time.monotonic()
    return {"client": number, "path": path, "args": args, "key": key, "reply": reply, "start": start, "end": end}
