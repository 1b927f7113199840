"""Exceptions over calls, tracebacks at the user's lines, and the loader's source map."""

import ast
import linecache
import subprocess
import sys
import textwrap
import unittest

import fake

from sostenuto.worker import loader

ERRORS = '''\
class SoldOut(Exception):
    def __init__(self, hotel, left):
        super().__init__(f"{hotel} has {left}")
        self.hotel = hotel
        self.handle = object()


class Outer:
    class Inner(KeyError):
        pass


class Several(ExceptionGroup):
    pass


class Awkward(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__
'''
SOURCE = '''\
import asyncio
import json
from shop.errors import Awkward, Outer, Several, SoldOut


class Hotel:
    def sold_out(self):
        raise SoldOut("Ritz", 0)

    def inner(self):
        raise Outer.Inner("k")

    def noted(self):
        error = ValueError("with notes", 5, {"a": object()})
        error.add_note("first note")
        raise error

    def chained(self):
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("second") from error

    def stdlib(self):
        json.loads("{")

    def builtin(self, name):
        if name == "unicode":
            b"\\xff".decode()
        if name == "os":
            raise FileNotFoundError(2, "No such file", "x.txt")
        if name == "cancelled":
            raise asyncio.CancelledError("why")
        if name == "group":
            inner = ExceptionGroup("inner", [SoldOut("Ritz", 1), OSError(2, "x")])
            inner.add_note("of two")
            raise ExceptionGroup("several", [ValueError(1), inner])
        if name == "own group":
            raise Several("own", [KeyError("k")])
        if name == "base group":
            raise BaseExceptionGroup("base", [KeyboardInterrupt(), ValueError(2)])
        if name == "long group":
            raise ExceptionGroup("long", [ValueError(n) for n in range(1000)])
        if name == "deep group":
            error = ValueError("deepest")
            for level in range(30):
                error = ExceptionGroup(str(level), [error])
            raise error
        if name == "surrogate":
            raise ValueError("\\ud800")
        if name == "awkward":
            raise Awkward(Awkward())
        if name == "local":
            class Local(Exception):
                pass
            raise Local("here")

    def long(self):
        value = 0
        return (1 +
                2 / value)


class Front:
    def call(self, method, *args):
        return (self.hotel.long() +
                1)

    def sold_out(self):
        try:
            return self.hotel.sold_out()
        except SoldOut as error:
            return [error.hotel, str(error), error.args, type(error.__cause__).__name__]
'''
FRONT_EDITS = [
    ("    def call(", "    async def call("),
    ("self.hotel.long()", "(await self.hotel.long())"),
    ("    def sold_out(", "    async def sold_out("),
    ("self.hotel.sold_out()", "(await self.hotel.sold_out())"),
]


def app():
    head, front, _ = SOURCE.partition("class Front")
    source, lowered, pieces = fake.lower(SOURCE, (head + front, head + front), *FRONT_EDITS)
    return [
        fake.module("shop", "from . import errors\n", package=True),
        fake.module("shop.errors", ERRORS),
        ("shop.hotel", "shop/hotel.py", source, lowered, pieces, False),
    ]


def line_of(text):
    return SOURCE[: SOURCE.index(text)].count("\n") + 1


class ExceptionCase(unittest.TestCase):
    def setUp(self):
        hotel = fake.service("Hotel", "shop.hotel", methods=["sold_out", "inner", "noted", "chained", "stdlib", "builtin", "long"])
        front = fake.service("Front", "shop.hotel", methods=["call", "sold_out"], clients={"hotel": "Hotel"})
        self.server = fake.Server(fake.Inside(), app(), [hotel, front])
        self.addCleanup(self.server.close)

    def failure(self, method, *args, service="Hotel"):
        with self.assertRaises(fake.Failed) as caught:
            self.server.call(service, method, *args)
        self.text = caught.exception.text
        return caught.exception.error


class OverCalls(ExceptionCase):
    def test_the_applications_own_class(self):
        import shop.errors

        error = self.failure("sold_out")
        self.assertIs(type(error), shop.errors.SoldOut)
        self.assertEqual((error.args, vars(error)), (("Ritz has 0",), {"hotel": "Ritz"}))
        self.assertIs(type(self.failure("inner")), shop.errors.Outer.Inner)

    def test_it_can_be_caught_as_that_class(self):
        self.assertEqual(
            self.server.call("Front", "sold_out"), ["Ritz", "Ritz has 0", ("Ritz has 0",), "RemoteTraceback"]
        )

    def test_args_and_notes(self):
        error = self.failure("noted")
        self.assertEqual(error.args[:2], ("with notes", 5))
        self.assertIn("<object object", error.args[2])
        self.assertEqual(error.__notes__, ["first note"])

    def test_builtins_with_state(self):
        self.assertEqual(self.failure("builtin", "unicode").reason, "invalid start byte")
        self.assertEqual(self.failure("builtin", "os").errno, 2)
        self.assertEqual(repr(self.failure("builtin", "cancelled")), "CancelledError('why')")

    def test_other_classes_become_call_errors(self):
        error = self.failure("stdlib")
        self.assertEqual((type(error).__name__, error.type), ("CallError", "json.decoder.JSONDecodeError"))
        self.assertIn("Expecting property name", str(error))
        self.assertEqual(self.failure("builtin", "local").type, "shop.hotel.Hotel.builtin.<locals>.Local")

    def test_groups_come_with_their_exceptions(self):
        import shop.errors

        error = self.failure("builtin", "group")
        self.assertIs(type(error), ExceptionGroup)
        self.assertEqual((error.message, str(error)), ("several", "several (2 sub-exceptions)"))
        first, inner = error.exceptions
        self.assertEqual((type(first), first.args), (ValueError, (1,)))
        self.assertEqual((type(inner), inner.message, inner.__notes__), (ExceptionGroup, "inner", ["of two"]))
        sold_out, missing = inner.exceptions
        self.assertEqual((type(sold_out), sold_out.hotel), (shop.errors.SoldOut, "Ritz"))
        self.assertEqual((type(missing), missing.errno), (FileNotFoundError, 2))
        found, rest = error.split(shop.errors.SoldOut)
        self.assertEqual(len(found.exceptions), 1)
        self.assertIn("SoldOut: Ritz has 1", error.__cause__.args[0])
        own = self.failure("builtin", "own group")
        self.assertEqual((type(own), own.exceptions[0].args), (shop.errors.Several, ("k",)))
        base = self.failure("builtin", "base group")
        self.assertEqual([type(part) for part in base.exceptions], [KeyboardInterrupt, ValueError])

    def test_groups_are_bounded(self):
        error = self.failure("builtin", "long group")
        self.assertEqual((type(error).__name__, error.type), ("CallError", "builtins.ExceptionGroup"))
        error = self.failure("builtin", "deep group")
        for level in range(29, 21, -1):
            self.assertEqual((type(error), error.message), (ExceptionGroup, str(level)))
            error = error.exceptions[0]
        self.assertEqual((type(error).__name__, error.type), ("CallError", "builtins.ExceptionGroup"))

    def test_text_that_cannot_be_sent(self):
        self.assertEqual(self.failure("builtin", "surrogate").args, ("'\\ud800'",))
        error = self.failure("builtin", "awkward")
        self.assertEqual(error.args, ("<Awkward>",))


class Tracebacks(ExceptionCase):
    def test_frames_of_the_user_only(self):
        self.failure("sold_out")
        self.assertEqual(
            self.text,
            'Traceback (most recent call last):\n  File "shop/hotel.py", line 8, in sold_out\n'
            '    raise SoldOut("Ritz", 0)\nshop.errors.SoldOut: Ritz has 0\n',
        )

    def test_carets(self):
        self.failure("long")
        expected = [
            f'  File "shop/hotel.py", line {line_of("2 / value)")}, in long',
            "    2 / value)",
            "    ~~^~~~~~~",
        ]
        self.assertEqual(self.text.splitlines()[1:4], expected)

    def test_a_call_shows_both_sides_at_the_users_lines(self):
        self.failure("call", "x", service="Front")
        lines = self.text.splitlines()
        self.assertIn(f'  File "shop/hotel.py", line {line_of("2 / value)")}, in long', lines)
        at = lines.index(f'  File "shop/hotel.py", line {line_of("return (self.hotel.long()")}, in call')
        self.assertEqual(lines[at + 1], "    return (self.hotel.long() +")
        self.assertEqual(lines[at + 2].replace("~", "^"), "            ^^^^^^^^^^^^^^^^^")
        self.assertNotIn("sostenuto/", self.text)
        self.assertNotIn("await", self.text)

    def test_chains(self):
        self.failure("chained")
        self.assertIn('{}["missing"]', self.text)
        self.assertIn("direct cause", self.text)


class SourceMaps(unittest.TestCase):
    def positions(self, tree):
        return [
            (type(node).__name__, node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
            for node in ast.walk(tree)
            if hasattr(node, "lineno") and not isinstance(node, ast.Await)
        ]

    def check(self, source, *edits):
        source, lowered, pieces = fake.lower(source, *edits)
        tree = ast.parse(lowered)
        loader.relocate(tree, lowered, source, pieces)
        compile(tree, "x.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return tree, ast.parse(source)

    def test_verbatim_text_keeps_its_positions(self):
        for source in ("x = 1\n", "def f():\n    return {\n 'ä': [ö,\n  2]}\n", "a = 1\r\nb = (c +\r\n d)\r\n", "x=1;y=2", ""):
            tree, original = self.check(source)
            self.assertEqual(self.positions(tree), self.positions(original))

    def test_awaits_around_calls(self):
        source = "x = 'é'; y = self.hotel.reserve(a,\n   b['ü']) + 1\nz = [f(1), 2]\n"
        tree, original = self.check(
            source, ("self.hotel.reserve(a,\n   b['ü'])", "(await self.hotel.reserve(a,\n   b['ü']))"), ("f(1)", "(await f(1))")
        )
        self.assertEqual(sorted(self.positions(tree)), sorted(self.positions(original)))
        awaits = [node for node in ast.walk(tree) if isinstance(node, ast.Await)]
        self.assertEqual([(n.lineno, n.col_offset, n.end_lineno, n.end_col_offset) for n in awaits], [(1, 14, 2, 11), (3, 5, 3, 9)])

    def test_generated_lines_stand_for_their_range(self):
        tree, _ = self.check("try:\n    f()\nexcept:\n    pass\n", ("except:", "except __sos__.Signal:\n    raise\nexcept:"))
        handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
        self.assertEqual([node.lineno for node in handlers], [3, 3])

    def test_a_map_that_lies_breaks_nothing(self):
        source, lowered = "x\n", "first = (1 +\n 2)\nsecond = first\n"
        for pieces in ([], [(0, 500, 900, True)], [(0, 1, 0, True), (5, 0, 0, False), (9, 1, 1, True)]):
            tree = ast.parse(lowered)
            loader.relocate(tree, lowered, source, pieces)
            compile(tree, "x.py", "exec")


class Loading(unittest.TestCase):
    def load(self, *modules, services=(), records=()):
        worker = fake.Inside()
        self.addCleanup(worker.close)
        worker.load(list(modules), list(services), list(records))
        return worker

    def test_imports_between_modules(self):
        self.load(
            fake.module("shop.models", "from . import base\nfrom .base import ONE\nTWO = base.ONE + ONE\n"),
            fake.module("shop.base", "ONE = 1\n"),
            fake.module("main", "import shop.models\nfrom shop import models as m\nTHREE = m.TWO + shop.base.ONE\n"),
        )
        self.assertEqual(sys.modules["main"].THREE, 3)
        self.assertEqual(sys.modules["shop.base"].__file__, "shop/base.py")
        self.assertEqual(linecache.getline("shop/base.py", 1), "ONE = 1\n")

    def test_inspect_finds_the_users_source(self):
        import inspect

        self.load(fake.module("main", "def f():\n    return 1\n"))
        self.assertEqual(inspect.getsource(sys.modules["main"].f), "def f():\n    return 1\n")

    def test_a_module_with_the_name_of_a_library_module(self):
        self.load(fake.module("this", "MINE = 1\n"), fake.module("main", "import this\nMINE = this.MINE\n"))
        self.assertEqual(sys.modules["main"].MINE, 1)

    def test_a_module_with_the_name_of_a_builtin_one(self):
        with self.assertRaisesRegex(Exception, "the module time has the name"):
            self.load(fake.module("time", ""))

    def test_errors(self):
        try:
            self.load(fake.module("broken", "x = 1\ny = x / 0\n"))
        except ZeroDivisionError as error:
            text = fake.exceptions.user_traceback(error)
        self.assertIn('File "broken.py", line 2, in <module>\n    y = x / 0\n        ~~^~~', text)
        self.assertNotIn("importlib", text)
        with self.assertRaises(SyntaxError):
            self.load(fake.module("broken", "x = = 1\n"))
        with self.assertRaises(ImportError):
            self.load(fake.module("broken", "import nothing_of_this_name\n"))
        with self.assertRaises(AttributeError):
            self.load(fake.module("fine", ""), services=[fake.service("Gone", "fine")])

    def test_user_classes(self):
        source = """\
            import sostenuto
            from sostenuto import service, entity, Persistent

            @service
            class Hotel:
                rooms: Persistent[dict[str, int]] = {}
                def __init__(self):
                    raise RuntimeError("never run")
                def name(self):
                    return type(self).__name__

            @entity
            class Account:
                def mine(self):
                    return self.key

            class Derived(Hotel):
                pass
            """
        hotel = fake.service("Hotel", "main", dicts=["rooms"], methods=["name"])
        account = fake.service("Account", "main", entity=True, methods=["mine"])
        server = fake.Server(fake.Inside(), [fake.module("main", source)], [hotel, account])
        self.addCleanup(server.close)
        main = sys.modules["main"]
        self.assertEqual(server.call("Hotel", "name"), "Hotel")
        self.assertEqual(server.call("Account", "mine", key=(1, "x")), (1, "x"))
        self.assertEqual(repr(main.Account(b"k")), "Account(b'k')")
        with self.assertRaises(TypeError):
            main.Account()
        with self.assertRaises(TypeError):
            main.Account(object())
        with self.assertRaisesRegex(TypeError, "Derived is derived"):
            main.Derived()
        with self.assertRaisesRegex(RuntimeError, "outside of a method"):
            main.Hotel().name()

    def test_starting_by_path_does_not_expose_our_modules(self):
        source = "import importlib.util, sys\nFOUND = importlib.util.find_spec('cells')\nassert FOUND is None\n"
        worker = fake.Outside(by_path=True)
        self.addCleanup(worker.close)
        self.assertIsNone(worker.init([fake.module("main", source)], [], []))


class Package(unittest.TestCase):
    def test_importing_the_library_does_not_load_the_worker(self):
        code = "import sys, sostenuto; print([n for n in sys.modules if n.startswith('sostenuto.worker')])"
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=fake.PYTHON, check=True
        )
        self.assertEqual(done.stdout.strip(), "[]")


if __name__ == "__main__":
    unittest.main()
