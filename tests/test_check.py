"""`check` and the other commands: diagnostics with places and codes, exit codes, the same answers as HTTP."""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

from harness import APPS, EXAMPLES, EndToEnd, binary, cli, free_port, until

SYNTAX_ERRORS = '''
from sostenuto import service


@service
class Broken:
    def one(self) -> int:
        return 1 +

    def two(self) -> int:
        retrun 2
'''

UNSUPPORTED = '''
from sostenuto import Persistent, service

SEEN = []


@service
class Shop:
    stock: Persistent[dict[str, int]] = {}
    other: "Depot"

    def remember(self, name: str) -> None:
        global SEEN
        SEEN = [name]

    async def stale(self, name: str) -> int:
        entry = self.stock[name]
        await self.other.nothing_like_this(name)
        return entry


@service
class Depot:
    items: Persistent[dict[str, list]] = {}
    shop: Shop

    async def kept(self, name: str) -> int:
        items = self.items
        await self.shop.remember(name)
        return len(items[name])

    def empty(self) -> None:
        self.items = {}

    def assigns(self) -> None:
        self.temporary = 3
'''


class Check(EndToEnd):
    def checked(self, source: str, *options: str):
        path = self.folder / "app.py"
        path.write_text(source)
        return cli("check", str(path), *options)

    def assert_places(self, text: str, at_least: int):
        places = re.findall(r"app\.py:\d+:\d+", text)
        self.assertGreaterEqual(len(set(places)), at_least, text)

    def test_examples_are_clean(self):
        for app in ("hotel", "bank", "shortener/shortener.csv", "reviews", "counter"):
            with self.subTest(app=app):
                done = cli("check", str(EXAMPLES / app))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_tests_applications_compile(self):
        for app in ("trouble", "flow", "held"):
            done = cli("check", str(APPS / app))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_syntax_errors(self):
        done = self.checked(SYNTAX_ERRORS)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assert_places(done.stdout + done.stderr, 2)

    def test_unsupported_python(self):
        done = self.checked(UNSUPPORTED)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assert_places(done.stdout + done.stderr, 4)

    def test_json(self):
        done = self.checked(UNSUPPORTED, "--json")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        found = json.loads(done.stdout)
        self.assertIsInstance(found, list)
        self.assertGreaterEqual(len(found), 4)
        self.assertTrue(all(entry["code"] for entry in found), found)

    def test_files_that_cannot_be_read(self):
        path = self.folder
        (path / "app.py").write_text(SYNTAX_ERRORS)
        (path / "latin.py").write_bytes(b"x = 1\nname = 'caf\xe9'\n")
        (path / "null.py").write_bytes(b"x = 1\n\0\n")
        (path / "folder.py").mkdir()
        (path / "dangling.py").symlink_to("nowhere")
        (path / "round.py").symlink_to("round.py")
        os.mkfifo(path / "pipe.py")
        expected = {
            "dangling.py": "SOS0006", "folder.py": "SOS0006", "round.py": "SOS0006", "pipe.py": "SOS0006",
            "latin.py": "SOS0007", "null.py": "SOS0001", "app.py": "SOS0001",
        }  # fmt: skip
        done = cli("check", str(path), "--json")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        found = {Path(entry["file"]).name: entry["code"] for entry in json.loads(done.stdout)}
        self.assertEqual(found, expected)
        shown = cli("check", str(path))
        self.assertEqual(shown.returncode, 1)
        for name, code in expected.items():
            self.assertRegex(shown.stderr, rf"(?s){code}\].{{1,200}}{name}:\d+:\d+")
        server = self.server(path).spawn()
        self.assertEqual(server.ended(), 1, server.tail())
        self.assert_places(server.tail().replace("null.py", "app.py"), 2)

    def test_a_damaged_list_of_services(self):
        (self.folder / "app.py").write_text("x = 1\n")
        listed = self.folder / "services.csv"
        for text, line in ((b"A,app.py\nB", 2), (b"A,no.py", 1), (b"A,app.py\nA,app.py", 2), (b"\n", 1), (b"\xff", 1)):
            listed.write_bytes(text)
            done = cli("check", str(listed), "--json")
            self.assertEqual((done.returncode, done.stderr), (1, ""))
            [entry] = json.loads(done.stdout)
            self.assertIn(entry["code"], ("SOS0007", "SOS0008"))
            self.assertEqual((entry["file"], entry["line"]), (str(listed), line))

    def test_files_without_permission(self):
        closed = self.folder / "closed"
        closed.mkdir()
        (self.folder / "app.py").write_text("x = 1\n")
        (self.folder / "secret.py").write_text("x = 1\n")
        (self.folder / "secret.py").chmod(0)
        closed.chmod(0)
        self.folder.chmod(0o755)
        # Root may read everything, so it becomes somebody else first.
        command = ["check", ".", "--json"]
        with open(binary(), "rb") as program:
            number = program.fileno()
            launch = f"import os; os.getuid() or os.setuid(65534); os.execve({number}, {['sostenuto', *command]}, os.environ)"
            as_other = [sys.executable, "-c", launch]
            done = subprocess.run(
                as_other, cwd=self.folder, pass_fds=[number], capture_output=True, text=True, timeout=60
            )
        closed.chmod(0o700)
        self.assertEqual(done.returncode, 1, done.stderr)
        found = {Path(entry["file"]).name: entry["message"] for entry in json.loads(done.stdout)}
        self.assertEqual(sorted(found), ["closed", "secret.py"])
        self.assertTrue(all("no permission" in message for message in found.values()), found)

    def test_run_refuses_what_check_refuses(self):
        path = self.folder / "app.py"
        path.write_text(SYNTAX_ERRORS)
        server = self.server(path).spawn()
        self.assertEqual(server.ended(), 1, server.tail())
        self.assert_places(server.tail(), 2)

    def test_nothing_there(self):
        done = cli("check", str(self.folder / "nowhere.py"))
        self.assertIn(done.returncode, (1, 2))
        self.assertIn("nowhere.py", done.stderr)

    def test_usage(self):
        self.assertEqual(cli("check").returncode, 2)
        self.assertEqual(cli("frobnicate").returncode, 2)


class Commands(EndToEnd):
    def test_server_that_is_not_there(self):
        done = cli("call", "Counter/get", "k", "--server", f"http://127.0.0.1:{free_port()}")
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("127.0.0.1", done.stderr)

    def test_call_state_and_invocations(self):
        server = self.server(APPS / "trouble").start()
        client = server.client()
        at = ("--server", server.address)

        def run(*arguments: str) -> str:
            done = cli(*arguments, *at)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done.stdout.strip()

        self.assertEqual(json.loads(run("call", "Trouble/mark", "k", "3")), 3)
        self.assertEqual(json.loads(run("call", "Numbered/7/add", "3", "--idempotency-key", "numbered")), 3)
        self.assertEqual([done["key"] for done in client.invocations("completed")], ["7"])
        key = ("--idempotency-key", "once")
        self.assertEqual([json.loads(run("call", "Trouble/mark", "k", "1", *key)) for _ in range(2)], [4, 4])
        self.assertIn("4", run("state", "get", "Trouble/marks/k"))
        self.assertIn("marks", run("state", "list"))
        detached = run("call", "Caller/nap", "60", "--detach")
        [waiting] = until("it sleeps", lambda: client.invocations("waiting"))
        self.assertIn(waiting["id"], detached)
        self.assertIn(waiting["id"], run("invocations", "list"))
        self.assertRegex(run("invocations", "describe", waiting["id"]), r"sleep until 20\d\d-\d\d-\d\dT")
        run("invocations", "cancel", waiting["id"])
        self.assertEqual(client.result(waiting["id"]).json["code"], "cancelled")

    def test_failed_call_shows_the_exception(self):
        server = self.server(APPS / "trouble").start()
        done = cli("call", "Trouble/ratio", "k", "0", "--server", server.address)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("ZeroDivisionError", done.stdout + done.stderr)
        self.assertIn("divide(10, divisor)", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
