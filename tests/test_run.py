"""The first minute: `run` prints a curl line that works, what it did survives kill -9, every example runs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

from harness import EXAMPLES, Client, EndToEnd, alive, driver, rust_example, until


def printed_curl(server) -> str:
    """The first curl line that the server printed."""
    found = re.search(r"^\s*(curl .*)$", server.tail(), re.MULTILINE)
    assert found, server.tail()
    return found[1]


def paste(line: str) -> str:
    """Run a curl line as pasted into a shell; without curl, do what it says."""
    if shutil.which("curl"):
        return subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True, timeout=60).stdout
    words = shlex.split(line)
    address = next(word for word in words if word.startswith(("http://", "127.0.0.1")))
    host, _, path = address.removeprefix("http://").partition("/")
    data = next(words[n + 1] for n, word in enumerate(words) if word in ("-d", "--data", "--json"))
    client = Client(int(host.rpartition(":")[2]))
    return client.request("POST", "/" + path, data.encode(), {"Content-Type": "application/json"}).body.decode()


class Run(EndToEnd):
    def test_hotel_curl_line_books_and_survives_kill(self):
        server = self.server(EXAMPLES / "hotel").start()
        until("address printed", lambda: server.address in server.tail())
        for route in ("/Frontend/book", "/Hotel/reserve", "/Flight/capacity", "/Orders/count"):
            self.assertIn(route, server.tail())
        self.assertEqual(paste(printed_curl(server)).strip(), "true")
        server.kill()
        server.start()
        client = server.client()
        self.assertEqual(client.call("/Hotel/clients", ["grand"]), ["ada"])
        self.assertEqual(client.call("/Hotel/capacity", ["grand"]), 19)
        self.assertEqual(client.call("/Flight/clients", ["lh1"]), ["ada"])
        self.assertEqual(client.call("/Orders/all"), [{"user": "ada", "hotel": "grand", "flight": "lh1"}])
        self.assertEqual(client.field("Hotel/hotels/grand"), {"capacity": 19, "clients": ["ada"]})

    def test_workers_end_with_a_killed_server(self):
        server = self.server(EXAMPLES / "counter").start()
        server.client().call("/Counter/increment", ["k"])
        workers = server.worker_pids()
        self.assertTrue(workers)
        server.kill()
        until("workers ended", lambda: not any(alive(pid) for pid in workers))

    def test_sigterm_ends_well_and_keeps_state(self):
        server = self.server(EXAMPLES / "counter").start()
        self.assertEqual(server.client().call("/Counter/increment", ["k"]), 1)
        self.assertEqual(server.stop(), 0, server.tail())
        server.start()
        self.assertEqual(server.client().call("/Counter/increment", ["k"]), 2)

    def test_two_servers_side_by_side(self):
        one = self.server(EXAMPLES / "counter", "one").start()
        two = self.server(EXAMPLES / "counter", "two").start()
        self.assertEqual(one.client().call("/Counter/increment", ["k"]), 1)
        self.assertEqual(two.client().call("/Counter/increment", ["k"]), 1)

    def test_port_in_use_is_said(self):
        server = self.server(EXAMPLES / "counter", "one").start()
        second = self.server(EXAMPLES / "counter", "two")
        second.port = server.port
        self.assertNotEqual(second.spawn().ended(), 0)
        self.assertIn(str(server.port), second.tail())

    def test_health_and_lists_answer_at_once(self):
        client = self.server(EXAMPLES / "hotel").start().client()
        self.assertEqual(client.get("/_/health").status, 200)
        fields = client.get("/_/state")
        self.assertEqual(fields.status, 200)
        self.assertIn("Hotel", fields.body.decode())
        self.assertEqual(client.get("/_/metrics").status, 200)


class WithOutside(EndToEnd):
    def outside(self):
        """A folder for what the tasks of `orders` do outside, of this test alone."""
        return unittest.mock.patch.dict(os.environ, ORDERS_OUTSIDE=str(self.folder / "outside"))


class Examples(WithOutside):
    """Every example: its first curl line works, and its driver finds nothing wrong."""

    def example(self, name: str, app: str | None = None, options: tuple[str, ...] = (), native: bool = False):
        server = self.server(None, native=rust_example(name)) if native else self.server(EXAMPLES / (app or name))
        server.start()
        if curl := re.search(r"^\s*(curl .*)$", server.tail(), re.MULTILINE):
            paste(curl[1])
        program = [sys.executable, str(EXAMPLES / name / "driver.py"), "--server", server.address, *options]
        done = subprocess.run(program, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_hotel(self):
        self.example("hotel", options=("--capacity", "10"))

    def test_bank(self):
        self.example("bank", options=("--requests", "20"))

    def test_shortener(self):
        self.example("shortener", "shortener/shortener.csv", ("--requests", "20"))

    def test_reviews(self):
        self.example("reviews", options=("--requests", "5"))

    def test_counter(self):
        self.example("counter", options=("--requests", "50"))

    def test_orders(self):
        with self.outside():
            self.example("orders", options=("--clients", "8", "--requests", "3"))

    def test_orders_in_rust(self):
        with self.outside():
            self.example("orders", options=("--clients", "8", "--requests", "3"), native=True)


class Readmes(WithOutside):
    """What the READMEs of the examples show happens: each curl line, in order, has the printed answer."""

    def shown(self, name: str) -> list[tuple[str, str]]:
        """Command and answer of each curl line; `...` stands for anything."""
        blocks = re.findall(r"```console\n(.*?)```", (EXAMPLES / name / "README.md").read_text(), re.DOTALL)
        found = re.findall(r"^\$ (curl .*)\n((?:(?!\$).*\n)*)", "".join(blocks), re.MULTILINE)
        self.assertTrue(found)
        return found

    def follow(self, name: str, app: str | None = None):
        server = self.server(EXAMPLES / (app or name)).start()
        for command, answer in self.shown(name):
            got = paste(command.replace("http://127.0.0.1:8080", server.address)).strip()
            pattern = ".*".join(re.escape(part) for part in answer.strip().split("..."))
            self.assertRegex(got, f"(?s)^{pattern}$", command)

    def test_hotel(self):
        self.follow("hotel")

    def test_bank(self):
        self.follow("bank")

    def test_counter(self):
        self.follow("counter")

    def test_orders(self):
        with self.outside():
            self.follow("orders")

    def test_reviews(self):
        self.follow("reviews")

    def test_shortener(self):
        self.follow("shortener", "shortener/shortener.csv")


class ExampleInvariants(unittest.TestCase):
    """The drivers' own checks find planted errors."""

    def test_hotel(self):
        hotel = driver("hotel")
        state = {
            "hotels": {"h": {"free": 0, "clients": ["a"]}},
            "flights": {"f": {"free": 0, "clients": ["a"]}},
            "orders": [{}],
        }
        self.assertEqual(hotel.invariants([{"reply": True}], state, 1), [])
        self.assertEqual(len(hotel.invariants([{"reply": True}] * 2, state, 1)), 3)

    def test_bank(self):
        bank = driver("bank")
        history = [{"path": "/Bank/transfer", "args": ["a", "b", 3], "reply": True}]
        self.assertEqual(bank.invariants(history, {"a": 7, "b": 13}, 10), [])
        self.assertEqual(len(bank.invariants(history, {"a": 7, "b": 10}, 10)), 1)
        self.assertEqual(len(bank.invariants([{"path": "/Bank/audit", "reply": 19}], {"a": 10, "b": 10}, 10)), 1)

    def test_counter(self):
        counter = driver("counter")
        self.assertEqual(counter.invariants([{"args": ["k"], "reply": 1}], {"k": 1}), [])
        self.assertEqual(len(counter.invariants([{"args": ["k"], "reply": 1}] * 2, {"k": 1})), 1)

    def test_orders(self):
        orders = driver("orders")
        args = ["o", "lamp", "card", 100, 3600]
        with tempfile.TemporaryDirectory() as folder:
            outside = Path(folder)
            for kind, text in (("charges", "card 100"), ("refunds", ""), ("mails", "receipt-o: refunded\n")):
                (outside / kind).mkdir()
                (outside / kind / "o").write_text(text)
            history = [{"args": args, "reply": "refunded"}]
            self.assertEqual(orders.invariants(history, {"o": ("refunded", 0)}, outside), [])
            self.assertEqual(len(orders.invariants(history, {"o": ("refunded", 1)}, outside)), 1)
            (outside / "refunds" / "o").unlink()
            (outside / "charges" / "o").write_text("card 1")
            (outside / "mails" / "o").write_text("receipt-o: shipped\n")
            self.assertEqual(len(orders.invariants(history, {"o": ("refunded", 0)}, outside)), 3)

    def test_shortener(self):
        shortener = driver("shortener")
        history = [
            {"path": "/Shortener/shorten", "args": ["u"], "reply": "s"},
            {"path": "/Shortener/expand", "args": ["s"], "reply": "u"},
        ]
        self.assertEqual(shortener.invariants(history, {"s": 1}), [])
        self.assertEqual(len(shortener.invariants(history, {"s": 2})), 1)


if __name__ == "__main__":
    unittest.main()
