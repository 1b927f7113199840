"""Tracebacks at run time show the user's files, lines and carets, whatever was done to the program before."""

import unittest

from harness import APPS, EndToEnd

SOURCES = {name: (APPS / "traces" / name).read_text().splitlines() for name in ("app.py", "helper.py")}

#: Method, arguments, the exception, and for each line that must be shown: file, mark, what the carets stand under
#: (None where the whole line is meant and Python draws none).
CASES = [
    ("multiline", [1], "KeyError", [("app.py", "missing", 'self.values["x"]')]),
    (
        "calls",
        [2],
        "ValueError",
        [("app.py", "divides", "1 // (n - n)"), ("app.py", "wraps", None), ("app.py", "in a comprehension", "self.other.fails(i)")],
    ),
    ("awaits", [1], "ValueError", [("app.py", "over two lines", "await self.other.fails(  # over two lines"), ("app.py", "divides", "1 // (n - n)")]),
    (
        "helpers",
        [],
        "IndexError",
        [
            ("app.py", "calls a helper", 'deep({"a": [time.time()]})'),
            ("helper.py", "multi-line call", "inner(  # multi-line call"),
            ("helper.py", "too far", 'values["a"][5]'),
        ],
    ),
    ("attribute", [], "AttributeError", [("app.py", "a property", "Thing(3).broken"), ("helper.py", "no attribute", "self.n.missing")]),
    ("generates", [], "ValueError", [("app.py", "a generator", "int(text)")]),
    ("generated", [], "NameError", [("app.py", "eval", 'eval("1 + undefined_name")')]),
    ("transacts", [], "ValueError", [("app.py", "in a transaction", "self.other.fails(1)"), ("app.py", "divides", "1 // (n - n)")]),
    ("letters", [], "AttributeError", [("app.py", "letters of two bytes", 'größe["ü"].länge')]),
]


def marked(file: str, mark: str) -> int:
    """Number of the line that ends with the mark."""
    [number] = [n for n, line in enumerate(SOURCES[file], 1) if line.endswith(f"# {mark}")]
    return number


class Tracebacks(EndToEnd):
    def failed(self, client, method, args):
        reply = client.post(f"/Traces/{method}", args)
        self.assertEqual(reply.status, 500, reply.body)
        return reply.json["exception"]

    def assert_shown(self, traceback: str, file: str, mark: str, under: str | None):
        lines = traceback.splitlines()
        head = f'{file}", line {marked(file, mark)}, in '
        found = [at for at, line in enumerate(lines) if head in line]
        self.assertTrue(found, f"{head}\n{traceback}")
        shown = [lines[at + 1] for at in found]
        self.assertTrue(all(SOURCES[file][marked(file, mark) - 1].strip().startswith(line.strip()[:10]) for line in shown))
        if under is None:
            return
        carets = [(lines[at + 1], lines[at + 2]) for at in found if at + 2 < len(lines)]
        drawn = [text[len(c) - len(c.lstrip()) : len(c.rstrip())] for text, c in carets if set(c.strip()) <= {"^", "~"}]
        self.assertIn(under, drawn, traceback)

    def test_lines_and_carets(self):
        client = self.server(APPS / "traces").start().client()
        for method, args, kind, places in CASES:
            with self.subTest(method=method):
                exception = self.failed(client, method, args)
                self.assertEqual(exception["type"].rpartition(".")[2], kind)
                for place in places:
                    self.assert_shown(exception["traceback"], *place)
                self.assertNotIn("sostenuto/worker", exception["traceback"])
                self.assertNotIn("__sos__", exception["traceback"])

    def test_a_cause_comes_with_the_call(self):
        client = self.server(APPS / "traces").start().client()
        text = self.failed(client, "awaits", [1])["traceback"]
        self.assertLess(text.index("ZeroDivisionError"), text.index("ValueError: wrapped"))
        self.assertIn("direct cause", text)

    def test_exceptions_at_import(self):
        (self.folder / "app.py").write_text(
            "from sostenuto import service\nfrom rates import RATE\n\n@service\nclass A:\n    def f(self):\n        return RATE\n"
        )
        (self.folder / "rates.py").write_text('def load():\n    return {\n        "a": int("x"),\n    }\n\nRATE = load()\n')
        server = self.server(self.folder).spawn()
        self.assertEqual(server.ended(), 1, server.tail())
        for text in ('rates.py", line 6, in <module>', 'rates.py", line 3, in load', 'int("x")', "ValueError: invalid literal"):
            self.assertIn(text, server.tail())


if __name__ == "__main__":
    unittest.main()
