"""Python's own modules in a worker: loaded when something needs them, and then the ones that everybody knows."""

import subprocess
import sys
import unittest

import fake

SOURCE = """\
import asyncio
import sys


class Hotel:
    def is_loaded(self):
        return "asyncio.events" in sys.modules

    async def both(self):
        return await __sos__.gather(__sos__.sleep(1), __sos__.sleep(2))

    def raises(self):
        raise asyncio.TimeoutError("late")

    async def waits(self):
        try:
            await __sos__.sleep(60)
        except asyncio.CancelledError:
            return "cancelled"
"""
HOTEL = fake.service("Hotel", methods=["is_loaded", "both", "raises", "waits"])


def python(*lines, options=()):
    done = subprocess.run(
        [sys.executable, *options, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=fake.PYTHON, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


class Lazy(unittest.TestCase):
    def test_a_worker_loads_neither_asyncio_nor_what_is_for_tests(self):
        told = python(
            "import sys, sostenuto.worker.process",
            "for name in 'asyncio', 'json', 'linecache', 'logging', 'socket', 'traceback', 'sostenuto.memory':",
            "    print(name, name in sys.modules)",
            options=["-S"],  # Which may load anything.
        )
        self.assertEqual(set(told[1::2]), {"False"}, told)

    def test_names_in_memory_come_when_they_are_used(self):
        told = python(
            "import sys, sostenuto",
            "print('sostenuto.memory' in sys.modules)",
            "print(sostenuto.memory.__name__, sostenuto.task(print) is not None)",
            "try:",
            "    sostenuto.nothing",
            "except AttributeError as error:",
            "    print(type(error).__name__)",
        )
        self.assertEqual(told, ["False", "sostenuto.memory", "True", "AttributeError"])

    def test_what_follows_a_module_comes_with_it(self):
        told = python(
            "import sys",
            "from sostenuto.worker import lazy",
            "lazy.after('sys', lambda: print('now'))",
            "lazy.after('json.encoder', lambda: print('first', sys.modules['json.encoder'].JSONEncoder.__name__))",
            "lazy.after('json.encoder', lambda: print('second'))",
            "lazy.after('nothing_of_this_name', lambda: print('never'))",
            "print('json' in sys.modules)",
            "import importlib.util",
            "lazy.after('textwrap', lambda: print('third'))",
            "print(importlib.util.find_spec('textwrap').name)",
            "import textwrap",
            "from json import dumps",
            "import json.encoder",
            "print(json.encoder.JSONEncoder is json.JSONEncoder, json.encoder.__spec__.loader.name)",
            "try:",
            "    import nothing_of_this_name",
            "except ModuleNotFoundError:",
            "    print('missing')",
            "importlib.reload(json.encoder)",
            options=["-S"],
        )
        self.assertEqual(told, "now False textwrap third first JSONEncoder second True json.encoder missing".split())

    def test_nothing_is_cancelled_before_asyncio_is_there(self):
        told = python(
            "import sys",
            "from sostenuto.worker import lazy",
            "lazy.install('asyncio')",
            "import asyncio",
            "print(lazy.is_cancelled(ValueError()), 'asyncio.exceptions' in sys.modules)",
            "print('asyncio.events' in sys.modules)",
            "print(lazy.is_cancelled(lazy.cancelled('why')), isinstance(lazy.cancelled(), asyncio.CancelledError))",
            "print(lazy.cancelled('why').args[0], lazy.is_cancelled(ValueError()))",
            "from asyncio import tasks, gather",
            "print(tasks is asyncio.tasks, gather is asyncio.gather)",
        )
        self.assertEqual(told, ["False", "False", "False", "True", "True", "why", "False", "True", "True"])

    def test_a_worker_loads_it_when_a_method_needs_it(self):
        worker = fake.Outside(False)
        self.addCleanup(worker.close)
        server = fake.Server(worker, [fake.module("app", SOURCE)], [HOTEL])
        self.assertFalse(server.call("Hotel", "is_loaded"))
        self.assertEqual(server.call("Hotel", "both"), [None, None])
        self.assertFalse(server.call("Hotel", "is_loaded"))
        with self.assertRaisesRegex(fake.Failed, "late"):
            server.call("Hotel", "raises")
        self.assertTrue(server.call("Hotel", "is_loaded"))


if __name__ == "__main__":
    unittest.main()
