"""Programs of ordinary modern Python: each call that a module of `apps/language` lists at its end gives on the server
what it gives in plain Python, in the same order, result or exception.
"""

import ast
import asyncio
import base64
import dataclasses
import datetime
import decimal
import enum
import importlib
import inspect
import sys
import unittest

from harness import APPS, ROOT, EndToEnd, cli

FOLDER = APPS / "language"
CALLS_MIN = 180


def listed(path):
    """(service, key or None, method, arguments by position, by name) of each `# >>> Service.method(…)`."""
    for line in path.read_text().splitlines():
        if not line.startswith("# >>> "):
            continue
        call = ast.parse(line.removeprefix("# >>> "), mode="eval").body
        target, key = call.func.value, None
        if isinstance(target, ast.Call):
            target, key = target.func, ast.literal_eval(target.args[0])
        args = [ast.literal_eval(arg) for arg in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        yield target.id, key, call.func.attr, args, named


def as_json(value):
    """What a value looks like as JSON."""
    if isinstance(value, enum.Enum):
        return as_json(value.value)
    if dataclasses.is_dataclass(value):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(as_json(key)): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(as_json(item) for item in value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal) else value


class Plain:
    """The services of a module as plain objects."""

    def __init__(self, name):
        self.module = importlib.import_module(name)
        self.instances = {}

    def outcome(self, service, key, method, args, named):
        cls = getattr(self.module, service)
        if (service, key) not in self.instances:
            self.instances[service, key] = cls() if key is None else cls(key)
        try:
            result = getattr(self.instances[service, key], method)(*args, **named)
            return "ok", as_json(asyncio.run(result) if inspect.iscoroutine(result) else result)
        except Exception as error:
            return type(error).__name__, str(error)


class Language(EndToEnd):
    def setUp(self):
        super().setUp()
        for folder in (str(ROOT / "python"), str(FOLDER)):
            sys.path.insert(0, folder)
            self.addCleanup(sys.path.remove, folder)
        # Whole fields are stored in other fields here: a server makes copies, which memory refuses to do silently.
        memory = importlib.import_module("sostenuto.memory")
        memory.strict(False)
        self.addCleanup(memory.strict)

    def test_each_call_agrees_with_plain_python(self):
        done = cli("check", str(FOLDER))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.client = self.server(FOLDER).start().client()
        count = 0
        for path in sorted(FOLDER.glob("*.py")):
            plain = Plain(path.stem)
            for call in listed(path):
                with self.subTest(module=path.stem, call=call):
                    self.assertEqual(self.outcome(*call), plain.outcome(*call))
                count += 1
        self.assertGreaterEqual(count, CALLS_MIN)
        self.assert_nothing_unfinished(self.client)

    def outcome(self, service, key, method, args, named):
        place = f"/{service}/{method}" if key is None else f"/{service}/{key}/{method}"
        reply = self.client.post(place, named or args)
        if reply.status == 200:
            return "ok", reply.json
        self.assertEqual(reply.status, 500, reply.body)
        exception = reply.json["exception"]
        return exception["type"].rpartition(".")[2], exception["message"]


if __name__ == "__main__":
    unittest.main()
