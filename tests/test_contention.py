"""Many clients, few places: exact sums, also when every suspended invocation is dropped and rebuilt by replay."""

import random
import unittest

from checkers import bookings, ledger
from harness import APPS, EXAMPLES, EndToEnd, binary, driver, fault_binary, in_parallel, rust_example

HOTEL = driver("hotel")
BANK = driver("bank")
SEED = 7


class Contention(EndToEnd):
    """On the binary as shipped."""

    def program(self) -> str:
        return binary()

    def environment(self) -> dict:
        return {}

    def start(self, app):
        return self.server(app, program=self.program(), env=self.environment()).start()

    def sell_out(self, clients: int, hotels: int, flights: int, capacity: int):
        server = self.start(EXAMPLES / "hotel")
        client = server.client()
        hotel_ids, flight_ids = HOTEL.setup(client, "t", hotels, flights, capacity)
        self.history = HOTEL.load(server.client, "t", hotel_ids, flight_ids, clients, SEED)
        state = HOTEL.read(client, "t", hotel_ids, flight_ids)
        self.check(bookings.check(self.history, state, dict.fromkeys([*hotel_ids, *flight_ids], capacity)))
        self.check(HOTEL.invariants(self.history, state, capacity))
        places = capacity * min(hotels, flights)
        self.assertEqual(sum(event["reply"] for event in self.history), places, "sold out means: no place is left")
        self.assert_nothing_unfinished(client)

    def test_16_clients_5_hotels_5_flights(self):
        self.sell_out(16, 5, 5, 20)

    def test_2_clients_1_hotel(self):
        self.sell_out(2, 1, 1, 50)

    def test_64_clients(self):
        self.sell_out(64, 5, 5, 20)

    def test_transfers_and_audits(self):
        server = self.start(EXAMPLES / "bank")
        client = server.client()
        names = BANK.setup(client, "t", 10, 100)
        self.history = BANK.load(server.client, names, 16, 20, SEED)
        balances = BANK.read(client, names)
        self.check(ledger.check(self.history, balances, dict.fromkeys(names, 100)))
        self.assertTrue(any(event["reply"] is True for event in self.history))
        self.assert_nothing_unfinished(client)

    def test_audits_while_accounts_are_created(self):
        server = self.start(EXAMPLES / "bank")
        [source] = BANK.setup(server.client(), "t", 1, 1000)

        def work(number):
            client, events = server.client(), []
            for n in range(15):
                key = f"{number}-{n}"
                if number % 2:
                    args = [f"new-{key}", source, 3]
                    events.append(BANK.timed_call(client, number, "/Bank/open", args, key))
                else:
                    events.append(BANK.timed_call(client, number, "/Bank/audit_opened", [[source]], key))
            return events

        for events in in_parallel(8, work):
            self.history += events
        opened = [event["args"][0] for event in self.history if event["path"] == "/Bank/open"]
        self.assertTrue(all(event["reply"] is True for event in self.history if event["path"] == "/Bank/open"))
        self.check(ledger.check(self.history, BANK.read(server.client(), [source, *opened]), {source: 1000}))


class Registers(EndToEnd):
    """Transactions over few numbers, each saying what it found: they have a serial order that explains all of it."""

    def program(self) -> tuple[str, dict]:
        return binary(), {}

    def test_moves_and_looks(self):
        names = [f"register-{n}" for n in range(4)]
        program, env = self.program()
        server = self.server(APPS / "registers", program=program, env=env).start()

        def work(number):
            chance, client, events = random.Random(f"{SEED}-{number}"), server.client(), []
            for n in range(40):
                if number % 4 == 3:
                    path, args = "/Registers/look", [names]
                else:
                    path, args = "/Registers/move", [chance.sample(names, 2), number * 1_000 + n + 1]
                events.append(BANK.timed_call(client, number, path, args, f"{number}-{n}"))
            return events

        for events in in_parallel(8, work):
            self.history += events
        self.assert_nothing_unfinished(server.client())
        self.judge(server.client(), self.history, {"register": names})


class RegistersEvicting(Registers):
    """The same, with every invocation dropped that suspends outside a transaction."""

    def program(self) -> tuple[str, dict]:
        return fault_binary(), {"SOSTENUTO_EVICT": "1", "SOSTENUTO_RESIDENT_BYTES_MIN": "1"}


class ContentionRust(Contention):
    """The same with services written in Rust."""

    def start(self, app):
        return self.server(None, native=rust_example(app.name)).start()


class ContentionRustEvicting(Contention):
    """The same, with every invocation dropped that suspends outside a transaction."""

    def start(self, app):
        program = rust_example(app.name, faults=True)
        return self.server(None, native=program, env={"SOSTENUTO_EVICT": "1"}).start()


class ContentionEvicting(Contention):
    """On the binary with fault points, which drops every invocation that suspends outside a transaction."""

    def program(self) -> str:
        return fault_binary()

    def environment(self) -> dict:
        return {"SOSTENUTO_EVICT": "1", "SOSTENUTO_RESIDENT_BYTES_MIN": "1"}

    def test_reviews_under_replay(self):
        reviews = driver("reviews")
        server = self.start(EXAMPLES / "reviews")
        self.history = reviews.load(server.client, "t", 8, 5, SEED)
        self.check(reviews.invariants(self.history, reviews.read(server.client(), self.history)))


if __name__ == "__main__":
    unittest.main()
