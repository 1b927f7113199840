"""Accounts with salted passwords."""

import logging
from hashlib import sha256
from typing import Optional

from compiler import decorators


@decorators.service
class UserService(object):
    def __init__(self):
        self.users = {}  # type: Persistent[dict]
        self.next_id = 0  # type: Persistent[int]

    def register(self, username: str, password: str) -> Optional[int]:
        if self.users.get(username, default=None) is not None:
            logging.warning("taken: %s", username)
            return None
        self.next_id += 1
        salt = self._salt(username)
        self.users[username] = {"id": self.next_id, "salt": salt, "hash": self.digest(password, salt)}
        return self.users[username]["id"]

    def login(self, username, password):
        user = self.users.get(username, default={})
        if not user or self.digest(password, user["salt"]) != user["hash"]:
            return "wrong"
        return "ok"

    def digest(self, password, salt):
        return sha256((password + salt).encode()).hexdigest()

    def _salt(self, username):
        return username[::-1]
