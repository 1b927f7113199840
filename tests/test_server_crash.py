"""kill -9 of the server under load, at random moments and at each record of one booking: acknowledged replies hold,
re-sent requests act once, accepted work ends by itself, no lock stays held."""

import contextlib
import http.client
import os
import random
import shutil
import threading
import time
import unittest

from checkers import bookings, counts, ledger, replies
from harness import EXAMPLES, UNFINISHED, EndToEnd, Surviving, driver, fault_binary, rust_example, until

HOTEL = driver("hotel")
ROUNDS = int(os.environ.get("SOSTENUTO_CRASH_ROUNDS", "50"))
SEED = int(os.environ.get("SOSTENUTO_SEED", random.SystemRandom().randrange(10**6)))
ROUND_SECONDS_MAX = 0.8
CAPACITY = 12
PAIRS = 3  # hotels and flights of each round
ACCOUNTS = [f"account-{n}" for n in range(6)]
FUNDS = 500
COUNTERS = [f"counter-{n}" for n in range(4)]
REGISTERS = [f"register-{n}" for n in range(5)]
APPENDS_MAX = 80
RESEND_SHARE = 0.2


class Load:
    """Clients that work until told to stop; each finishes what it has begun."""

    def __init__(self, server, seed: int):
        self.server, self.seed = server, seed
        self.round = 0
        self.stopping = threading.Event()
        self.histories: list[list[dict]] = []
        self.problems: list[BaseException] = []
        self.sent: dict[str, tuple] = {}
        works = [self.book] * 3 + [self.transfer] * 2 + [self.audit, self.count, self.send, self.move, self.move]
        self.threads = [threading.Thread(target=self.run, args=(n, work)) for n, work in enumerate(works)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if self.problems:
            raise self.problems[0]

    def run(self, number: int, work):
        history: list[dict] = []
        self.histories.append(history)
        chance = random.Random(f"{self.seed}-{number}")
        client = Surviving(self.server, number, history)
        n = 0
        try:
            while not self.stopping.is_set():
                n += 1
                work(client, chance, f"{number}-{n}")
                if chance.random() < RESEND_SHARE:
                    again = chance.choice(history)
                    client.call(again["path"], again["args"], again["key"])
        except BaseException as problem:
            self.problems.append(problem)

    def places(self, round_number: int) -> tuple[list[str], list[str]]:
        return (
            [f"hotel-{round_number}-{n}" for n in range(PAIRS)],
            [f"flight-{round_number}-{n}" for n in range(PAIRS)],
        )

    def book(self, client, chance, key):
        hotels, flights = self.places(self.round)
        client.call("/Frontend/book", [f"user-{key}", chance.choice(hotels), chance.choice(flights)], f"book-{key}")

    def transfer(self, client, chance, key):
        source, target = chance.sample(ACCOUNTS, 2)
        client.call("/Bank/transfer", [source, target, chance.randint(1, 200)], f"transfer-{key}")

    def audit(self, client, chance, key):
        client.call("/Bank/audit", [ACCOUNTS], f"audit-{key}")

    def count(self, client, chance, key):
        client.call("/Counter/increment", [chance.choice(COUNTERS)], f"count-{key}")

    def move(self, client, chance, key):
        """Numbers that nobody else puts, or a look at all of them."""
        if chance.random() < 0.3:
            client.call("/Registers/look", [REGISTERS], f"look-{key}")
        else:
            thread, n = key.split("-")
            names = chance.sample(REGISTERS, 2)
            client.call("/Registers/move", [names, int(thread) * 1_000_000 + int(n)], f"move-{key}")

    def send(self, client, chance, key):
        """Work that nobody waits for."""
        args = ["sent-" + chance.choice(COUNTERS)]
        if chance.random() < 0.5:
            path = "/Counter/increment"
        else:
            path, args = "/Frontend/book", [f"user-{key}", *(side[0] for side in self.places(self.round))]
        accepted = client.call(f"{path}/send", args, f"send-{key}")
        self.sent[accepted["id"]] = (path, args, f"send-{key}")


class RandomCrashes(EndToEnd):
    rounds = ROUNDS

    def make_server(self):
        return self.server(self.merged_app("hotel", "bank", "counter", "registers"))

    def test_kill_under_load(self):
        print(f"\nSOSTENUTO_SEED={SEED} SOSTENUTO_CRASH_ROUNDS={self.rounds}", flush=True)
        server = self.make_server().start()
        setup = Surviving(server, -1, [])
        for name in ACCOUNTS:
            setup.call(f"/Account/{name}/deposit", [FUNDS], f"open-{name}")
        chance = random.Random(SEED)
        capacity: dict[str, int] = {}
        self.open_round(setup, 0, capacity)
        load = Load(server, SEED)
        try:
            for round_number in range(1, self.rounds + 1):
                self.open_round(setup, round_number, capacity)
                load.round = round_number
                time.sleep(chance.uniform(0, ROUND_SECONDS_MAX))  # the moment of the crash
                server.kill()
                server.start()
        finally:
            load.stop()
            self.history = [event for history in load.histories for event in history]
        print(summary(self.history), flush=True)
        self.check(replies.check(self.history))
        self.verify(server, load, capacity)

    def open_round(self, setup: Surviving, number: int, capacity: dict[str, int]):
        for n in range(PAIRS):
            for service, name in (("Hotel", f"hotel-{number}-{n}"), ("Flight", f"flight-{number}-{n}")):
                setup.call(f"/{service}/add", [name, CAPACITY], f"add-{name}")
                capacity[name] = CAPACITY

    def verify(self, server, load: Load, capacity: dict[str, int]):
        client = server.client()
        events = replies.distinct(self.history)
        self.assertGreater(len(events), self.rounds, "the load did nothing")
        finished = self.finished(client, load, events)
        events += finished
        self.assert_nothing_unfinished(client)
        counters = [*COUNTERS, *(f"sent-{name}" for name in COUNTERS)]
        self.judge(client, self.history + finished, {"counter": counters, "register": REGISTERS})
        self.check_state(client, events, capacity)
        for hotel, flight in zip(*(sorted(n for n in capacity if n.startswith(side)) for side in ("hotel", "flight"))):
            reply = client.call("/Frontend/book", [f"last-{hotel}", hotel, flight])
            events.append(event("/Frontend/book", [f"last-{hotel}", hotel, flight], reply))
        for name in ACCOUNTS:
            client.call("/Bank/transfer", [name, name, 1])
        self.check_state(client, events, capacity)

    def finished(self, client, load: Load, events: list[dict]) -> list[dict]:
        """What became of the work that was sent."""
        started = {event["key"]: event["start"] for event in events}
        done = []
        for invocation, (path, args, key) in load.sent.items():
            reply = client.result(invocation)
            self.assertEqual(reply.status, 200, f"{path} {args} {invocation}: {reply.body!r}")
            done.append(event(path, args, reply.json, started[key], key=f"result-{key}"))
        return done

    def check_state(self, client, events: list[dict], capacity: dict[str, int]):
        sides = {
            side: {
                name: {
                    "free": client.call(f"/{service}/capacity", [name]),
                    "clients": client.call(f"/{service}/clients", [name]),
                }
                for name in capacity
                if name.startswith(side[:-1])
            }
            for side, service in (("hotels", "Hotel"), ("flights", "Flight"))
        }
        self.check(bookings.check(events, {**sides, "orders": client.call("/Orders/all")}, capacity))
        balances = {name: client.call(f"/Account/{name}/balance") for name in ACCOUNTS}
        self.check(ledger.check(events, balances, dict.fromkeys(ACCOUNTS, FUNDS)))
        stored = {name: client.call("/Counter/get", [name]) for name in COUNTERS}
        stored |= {f"sent-{name}": client.call("/Counter/get", [f"sent-{name}"]) for name in COUNTERS}
        self.check(counts.check(events, stored))


class RandomCrashesRust(RandomCrashes):
    """Bookings in Rust, in the server's process; accounts and counters in Python beside them."""

    rounds = max(1, ROUNDS // 2)

    def make_server(self):
        return self.server(self.merged_app("bank", "counter", "registers"), native=rust_example("hotel"))


def summary(history: list[dict]) -> str:
    """What the load was, for people."""
    books = [event["reply"] for event in history if event["path"] == "/Frontend/book"]
    cut = sum(event["sends"] > 1 for event in history)
    repeated = len(history) - len({event["key"] for event in history})
    return (
        f"{len(history)} answers: {books.count(True)} booked, {books.count(False)} sold out; "
        f"{cut} requests were cut off and re-sent, {repeated} were repeated after their answer"
    )


def event(path: str, args: list, reply, start: float | None = None, key: str | None = None) -> dict:
    """An event that ends now."""
    now = time.monotonic()
    start = now if start is None else start
    return {"path": path, "args": args, "reply": reply, "key": key, "start": start, "end": now}


class Placed(EndToEnd):
    """One request with a crash at each append to the log that it leads to. Subclasses say which request."""

    example: str
    path: str
    args: list
    expected_appends = 2

    def prepare(self, client):
        """Set the state up before the crashes."""

    def verify(self, client, reply):
        """The reply is right and the request has acted once."""
        raise NotImplementedError

    def prepared(self) -> tuple:
        """A stopped server, and its data directory as a template."""
        server = self.server(EXAMPLES / self.example, program=fault_binary()).start()
        self.prepare(server.client())
        server.stop()
        template = self.folder / "template"
        shutil.copytree(server.data, template)
        return server, template

    def crash_at_each(self, phase: str):
        server, template = self.prepared()
        crashed = 0
        for append in range(1, APPENDS_MAX + 1):
            shutil.rmtree(server.data)
            shutil.copytree(template, server.data)
            try:
                came_to_it = self.crashes(server, append, phase)
            except BaseException as problem:
                problem.add_note(f"with a crash {phase} append {append}")
                raise
            if not came_to_it:
                self.assertGreaterEqual(crashed, self.expected_appends, "fewer appends than the request needs")
                return
            crashed += 1
        self.fail(f"still crashes at append {APPENDS_MAX}")

    def crashes(self, server, append: int, phase: str) -> bool:
        """The request with a crash at this append; did it come to it?"""
        server.spawn({"SOSTENUTO_CRASH_AT_APPEND": str(append), "SOSTENUTO_CRASH_PHASE": phase})
        first = self.send_once(server)
        crashed = self.died(server, first)
        if crashed:
            server.ended()
        else:
            server.kill()
        client = server.start().client()
        again = client.post(self.path, self.args, "the-request")
        self.assertEqual(again.status, 200, again.body)
        if first is not None:
            self.assertEqual((first.invocation, first.json), (again.invocation, again.json))
        self.verify(client, again.json)
        self.assert_nothing_unfinished(client)
        server.kill()
        return crashed

    def send_once(self, server):
        """The reply, None if the server died first."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            until("healthy or ended", lambda: server.process.poll() is not None or server.answers())
            if server.process.poll() is None:
                return server.client().post(self.path, self.args, "the-request")
        return None

    def died(self, server, reply) -> bool:
        """After a connection that broke the process ends; after a reply it may still die by a later append."""
        if reply is None:
            until("the crash", lambda: server.process.poll() is not None)
        return server.process.poll() is not None


class PlacedPhases:
    """The three moments of an append."""

    def test_before_each_append(self):
        self.crash_at_each("before")

    def test_after_each_append(self):
        self.crash_at_each("after")

    def test_once_each_append_is_durable(self):
        self.crash_at_each("durable")


class PlacedInBooking(PlacedPhases, Placed):
    """A transaction over three services that commits."""

    example = "hotel"
    path = "/Frontend/book"
    args = ["ann", "t-hotel-0", "t-flight-0"]

    def prepare(self, client):
        HOTEL.setup(client, "t", 1, 1, 5)

    def verify(self, client, reply):
        self.assertIs(reply, True)
        state = HOTEL.read(client, "t", ["t-hotel-0"], ["t-flight-0"])
        for side in ("hotels", "flights"):
            self.assertEqual(list(state[side].values()), [{"free": 4, "clients": ["ann"]}])
        self.assertEqual([order["user"] for order in client.call("/Orders/all")], ["ann"])
        self.assertIs(client.call("/Frontend/book", ["bob", "t-hotel-0", "t-flight-0"]), True, "locks are free")


class PlacedInAbort(PlacedPhases, Placed):
    """A transaction that the program aborts: no room is left, but a seat is."""

    example = "hotel"
    path = "/Frontend/book"
    args = ["ann", "full", "t-flight-0"]
    expected_appends = 1

    def prepare(self, client):
        client.call("/Hotel/add", ["full", 0])
        HOTEL.setup(client, "t", 1, 1, 5)

    def verify(self, client, reply):
        self.assertIs(reply, False)
        self.assertEqual(client.field("Flight/flights/t-flight-0"), {"capacity": 5, "clients": []})
        self.assertEqual(client.call("/Orders/all"), [])
        self.assertIs(client.call("/Frontend/book", ["bob", "t-hotel-0", "t-flight-0"]), True, "locks are free")


class PlacedInCalls(PlacedPhases, Placed):
    """Two rounds of parallel calls to eight services, each with a step and a record of its own."""

    example = "reviews"
    path = "/ComposeReview/compose"
    args = ["ann", "Solaris", "Good", 9]

    def verify(self, client, reply):
        self.assertEqual(client.call("/ReviewStorage/count"), 1)
        self.assertEqual(client.call("/ReviewStorage/read", [reply["id"]]), reply)
        self.assertEqual(client.call("/MovieReviews/ids", [reply["movie"]]), [reply["id"]])
        self.assertEqual(client.call("/UserReviews/ids", [reply["user"]]), [reply["id"]])
        self.assertEqual(list(client.field("Users/ids")), ["ann"])


class PlacedInSend(EndToEnd):
    """Work that was accepted ends without its client, wherever the server crashes."""

    def test_each_append(self):
        server = self.server(EXAMPLES / "reviews", program=fault_binary())
        for append in range(1, APPENDS_MAX + 1):
            shutil.rmtree(server.data, ignore_errors=True)
            server.spawn({"SOSTENUTO_CRASH_AT_APPEND": str(append), "SOSTENUTO_CRASH_PHASE": "after"})
            accepted, ended = None, False
            with contextlib.suppress(OSError, http.client.HTTPException):
                until("healthy or ended", lambda: server.process.poll() is not None or server.answers())
                if server.process.poll() is None:
                    client = server.client()
                    accepted = client.send("/ComposeReview/compose", ["ann", "Solaris", "Good", 9])
                    ended = client.result(accepted).status == 200
            if ended:
                self.assertGreater(append, 2, "an acceptance and a result are appended")
                return
            until("the crash", lambda: server.process.poll() is not None)
            server.ended()
            if accepted is not None:
                self.assert_finishes(server.start(), accepted)
                server.kill()
        self.fail(f"still crashes at append {APPENDS_MAX}")

    def assert_finishes(self, server, invocation: str):
        client = server.client()
        reply = client.result(invocation)
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(client.call("/ReviewStorage/read", [reply.json["id"]]), reply.json)
        self.assertEqual(client.call("/ReviewStorage/count"), 1)
        self.assert_nothing_unfinished(client)


if __name__ == "__main__":
    unittest.main()
