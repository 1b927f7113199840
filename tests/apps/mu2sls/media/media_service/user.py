"""Users and their tokens."""

import datetime
import hashlib
import logging

try:
    import jwt
except ImportError:
    jwt = None

from compiler import decorators

SECRET = "secret"


@decorators.service
class User(object):
    def __init__(self):
        self.users = {}  # type: Persistent[dict]

    def register_user(self, name, password):
        self.users[name] = {"password": hashlib.sha256(password.encode()).hexdigest(), "user_id": len(self.users) + 1}
        return self.users[name]["user_id"]

    def upload_user(self, req_id, name, password):
        if not self.login(name, password):
            logging.warning("refused: %s", name)
            raise PermissionError(name)
        SyncInvoke('ComposeReview', 'upload', req_id, 'user_id', self.users[name]["user_id"])

    def login(self, name, password):
        digest = hashlib.sha256(password.encode()).hexdigest()
        return name in self.users and self.users[name]["password"] == digest

    def token(self, name):
        claims = {"name": name, "exp": datetime.datetime.utcnow() + datetime.timedelta(hours=1)}
        if jwt is None:
            return "no jwt"
        return jwt.decode(jwt.encode(claims, SECRET, algorithm="HS256"), SECRET, algorithms=["HS256"])["name"]
