"""One-line operations on persistent fields: each gives on the server, in its own fresh store, what it gives in plain
Python, as result, exception and state afterwards, and the state is the same when it is read by the next invocation.
"""

import importlib.util
import inspect
import json
import sys
import unittest

from harness import APPS, ROOT, EndToEnd

OPERATIONS_MIN = 72


def plain_class():
    """The application's class without a server: fields in memory."""
    sys.path.insert(0, str(ROOT / "python"))
    try:
        spec = importlib.util.spec_from_file_location("operations_app", APPS / "operations" / "app.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["operations_app"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module.Operations


def as_json(value):
    """What a value looks like as JSON: other keys as texts, tuples as lists."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value


class Operations(EndToEnd):
    def test_each_agrees_with_plain_python(self):
        cls = plain_class()
        names = [name for name, member in vars(cls).items() if inspect.isfunction(member)]
        names = [name for name in names if not name.startswith("__") and name != "state"]
        self.assertGreaterEqual(len(names), OPERATIONS_MIN)
        node = self.server(self.application(names)).start()
        client = node.client()
        for name in names:
            with self.subTest(operation=name):
                own = cls()
                try:
                    expected = ("ok", as_json(getattr(own, name)()))
                except Exception as error:
                    expected = (type(error).__name__, str(error))
                self.assertEqual(self.outcome(client, f"/Only_{name}/{name}"), expected)
                self.assertEqual(client.call(f"/Only_{name}/state"), as_json(own.state()))

    def application(self, names):
        """A service of the same text for each operation, so that each begins with the initial values."""
        head, _, body = (APPS / "operations" / "app.py").read_text().partition("@service\n")
        services = [f"@service\n{body.replace('class Operations', f'class Only_{name}', 1)}" for name in names]
        folder = self.folder / "operations"
        folder.mkdir()
        (folder / "app.py").write_text(head + "\n\n".join(services))
        return folder

    def outcome(self, client, path):
        reply = client.post(path)
        if reply.status == 200:
            return "ok", json.loads(reply.body)
        exception = reply.json["exception"]
        return exception["type"].rpartition(".")[2], exception["message"]


if __name__ == "__main__":
    unittest.main()
