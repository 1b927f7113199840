"""Python and Rust services in one application, which call each other: the example `agency`. And programs that do not fit."""

import shutil
import unittest

from checkers import bookings
from harness import EXAMPLES, EndToEnd, Surviving, binary, driver, in_parallel, rust_example, until

HOTEL = driver("hotel")
AGENCY = EXAMPLES / "agency"
SEED = 11


class ByBoth:
    """Every second booking goes through the broker, in Rust, the others through the frontend, in Python."""

    def __init__(self, client):
        self.client = client
        self.booked = 0

    def call(self, path, args=(), key=None):
        if path == "/Frontend/book":
            self.booked += 1
            path = path if self.booked % 2 else "/Broker/book"
        return self.client.call(path, args, key)


class Both(EndToEnd):
    """The agency."""

    faults = False
    environment: dict = {}

    def start(self):
        server = self.server(AGENCY, native=rust_example("agency", faults=self.faults), env=self.environment)
        return server.start()

    def test_transactions_over_both_sell_each_place_once(self):
        server = self.start()
        client = server.client()
        hotel_ids, flight_ids = HOTEL.setup(client, "t", 2, 2, 20)
        connect = lambda: ByBoth(server.client())  # noqa: E731
        self.history = HOTEL.load(connect, "t", hotel_ids, flight_ids, 8, SEED)
        state = HOTEL.read(client, "t", hotel_ids, flight_ids)
        self.check(bookings.check(self.history, state, dict.fromkeys([*hotel_ids, *flight_ids], 20)))
        self.check(HOTEL.invariants(self.history, state, 20))
        booked = [event for event in self.history if event["reply"]]
        self.assertEqual(len(booked), 40, "sold out means: no place is left")
        for event in booked[:5]:
            self.assertEqual(client.call(f"/Purse/{event['args'][0]}/paid"), 100)
            self.assertEqual(client.call(f"/Miles/{event['args'][0]}/balance"), 1000)
        self.assert_nothing_unfinished(client)

    def test_calls_of_rust_from_python(self):
        client = self.start().client()
        client.call("/Hotel/add", ["grand", 3])
        client.call("/Flight/add", ["lh1", 2])
        self.assertEqual(client.call("/Frontend/free", ["grand"]), "3 free")
        self.assertEqual(client.call("/Frontend/free", ["ritz"]), "no hotel ritz", "its class is known in Python")
        self.assertEqual(client.call("/Frontend/confirm", ["grand", 0, 30]), "free")
        self.assertEqual(client.call("/Frontend/confirm", ["grand", 600, 0.05]), "late")
        client.call("/Frontend/book_all", [["ann", "bob", "cy"], "grand", "lh1"])
        until("two have booked", lambda: client.call("/Flight/capacity", ["lh1"]) == 0)
        self.assert_nothing_unfinished(client)
        self.assertEqual(client.call("/Hotel/capacity", ["grand"]), 1, "the third found no seat, and left its room")
        self.assertEqual(client.call("/Flight/clients", ["lh1"]), client.call("/Hotel/clients", ["grand"]))
        orders = client.call("/Orders/all")
        self.assertEqual([order["user"] for order in orders], client.call("/Hotel/clients", ["grand"]))

    def test_an_exception_of_either_side_reaches_the_other(self):
        client = self.start().client()
        client.call("/Hotel/add", ["grand", 3])
        for path in ("/Frontend/book", "/Broker/book"):
            reply = client.post(path, ["ann", "grand", "nowhere"])
            self.assert_problem(reply, "exception", 500, "Unknown", "nowhere", source="invocation")
        self.assertEqual(client.call("/Hotel/capacity", ["grand"]), 3, "nothing of the transactions remains")

    def test_the_services_of_both_are_described(self):
        document = self.start().client().get("/_/openapi.json").json
        for path in ("/Hotel/reserve", "/Flight/reserve", "/Purse/{key}/pay", "/Frontend/book", "/Broker/book"):
            self.assertIn(path, document["paths"])


class BothEvicting(Both):
    """The same, with every invocation dropped that suspends outside a transaction."""

    faults = True
    environment = {"SOSTENUTO_EVICT": "1"}


class Killed(EndToEnd):
    """The agency's server, killed while both sides book."""

    def test_nothing_is_lost_or_done_twice(self):
        server = self.server(AGENCY, native=rust_example("agency")).start()
        hotel_ids, flight_ids = HOTEL.setup(server.client(), "t", 2, 2, 30)
        pairs = [(hotel, flight) for hotel in hotel_ids for flight in flight_ids]

        def work(number):
            seen: list[dict] = []
            client = Surviving(server, number, seen)
            for n in range(30):
                path = "/Frontend/book" if (n + number) % 2 else "/Broker/book"
                client.call(path, [f"t-user-{number}-{n}", *pairs[n % 4]], f"book-{number}-{n}")
            return seen

        def killer(_):
            for booked in (15, 40):
                done = lambda: len(server.client().call("/Orders/all")) >= booked  # noqa: E731, B023
                until(f"{booked} bookings", done)
                server.kill()
                server.start()
            return []

        seen = in_parallel(5, lambda number: killer(number) if number == 4 else work(number))
        # The checker knows one way to book.
        self.history = [{**event, "path": "/Frontend/book"} for events in seen for event in events]
        client = server.client()
        state = HOTEL.read(client, "t", hotel_ids, flight_ids)
        self.check(bookings.check(self.history, state, dict.fromkeys([*hotel_ids, *flight_ids], 30)))
        self.assertEqual(sum(event["reply"] for event in self.history), 60)
        self.assert_nothing_unfinished(client)


class Misfits(EndToEnd):
    """Programs and applications that do not belong together are refused at their start, with both sides shown."""

    def refused(self, *changes: tuple[str, str], native: str | None = "agency") -> str:
        folder = self.folder / "app"
        shutil.copytree(AGENCY, folder, dirs_exist_ok=True)
        text = (AGENCY / "app.py").read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        (folder / "app.py").write_text(text)
        options = {"native": rust_example(native)} if native else {"program": binary()}
        server = self.server(folder, **options).spawn()
        self.assertEqual(server.ended(), 1)
        return server.tail()

    def test_a_method_with_other_parameters(self):
        told = self.refused(("async def pay(self, price: int)", "async def pay(self, cents: int, *, bank: str = ...)"))
        self.assertIn("Purse.pay is stated as (cents: int, bank: str = ...), but takes (price: int)", told)

    def test_a_method_and_a_service_that_are_not_there(self):
        told = self.refused(("    def paid(self)", "    def refund(self)"), ("class Orders:", "class Orderz:"), (": Orders", ": Orderz"))
        self.assertIn("Purse.refund is stated, but is no method of it", told)
        self.assertIn("Orderz is no service of this program", told)

    def test_an_entity_stated_as_a_service(self):
        told = self.refused(("    key: str\n\n    async def pay", "    async def pay"), ("Purse(user)", "Purse()"))
        self.assertIn("Purse is stated as a service, but is an entity with a key of type str", told)

    def test_the_plain_server_has_no_rust_services(self):
        told = self.refused(native=None)
        self.assertIn("Hotel is no service of this program", told)

    def test_a_rust_client_of_what_is_not_there(self):
        told = self.refused(("class Flight:", "class Plane:"), ("    flight: Flight", "    flight: Plane"))
        self.assertIn("agency.rs: Flight is no service of this program; name the Python application that has it", told)


class Traits(EndToEnd):
    """What `#[client]` traits of the agency state is compared with a Python application that has what they name."""

    APP = """
from sostenuto import entity, service

@service
class Flight:
    def reserve(self, flight_id: str, user: str) -> bool:
        return True

@entity
class Miles:
    key: str
    def earn(self, flown: int) -> int:
        return 1
"""

    def with_app(self, number: int, changes: tuple[tuple[str, str], ...]):
        text = self.APP
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        folder = self.folder / f"app{number}"
        folder.mkdir()
        (folder / "app.py").write_text(text)
        return self.server(folder, f"node{number}", native=rust_example("agency"))

    def test_what_fits_is_served(self):
        fitting = (
            (("user: str)", "user: str, seats: int = 1)"),),
            (("flight_id: str, user: str) -> bool", "flight_id, user)"),),
            (("(self, flown: int) -> int", "(self, flown: float | None) -> int | None"),),
            (("    def earn", "    def spend(self) -> None:\n        pass\n\n    def earn"),),
        )
        for number, changes in enumerate(fitting):
            with self.subTest(changes=changes):
                self.with_app(number, changes).start().stop()

    def test_what_does_not_fit_is_refused_with_both_sides(self):
        flight, miles = "Flight.reserve is stated as (flight_id: str, user: str), but takes ", "Miles.earn is stated as (flown: int), but takes "
        misfits = (
            ("user: str)", "guest: str)", flight + "(flight_id: str, guest: str) ({app}:6)"),
            ("flight_id: str, user: str", "user: str, flight_id: str", flight + "(user: str, flight_id: str) ({app}:6)"),
            ("user: str)", "user: str, seats: int)", flight + "(flight_id: str, user: str, seats: int)"),
            (", user: str", "", flight + "(flight_id: str)"),
            ("user: str)", "user: list[str])", flight + "(flight_id: str, user: list[str])"),
            ("flown: int", "flown: str", miles + "(flown: str) ({app}:12)"),
            ("-> bool", "-> str", "Flight.reserve is stated to return bool, but returns str ({app}:6)"),
            ("-> int:\n        return 1", "-> None:\n        pass", "Miles.earn is stated to return int, but returns None"),
            ("def earn", "def gain", "Miles.earn is stated, but is no method of it ({app})"),
            ("key: str", "key: int", "Miles is stated as an entity with a key of type str, but is an entity with a key of type int"),
            ("@entity\nclass Miles:\n    key: str", "@service\nclass Miles:", "with a key of type str, but is a service ({app})"),
            ("@service\nclass Flight:", "@entity\nclass Flight:", "Flight is stated as a service, but is an entity"),
        )
        for number, (old, new, told) in enumerate(misfits):
            with self.subTest(told=told):
                server = self.with_app(number, ((old, new),)).spawn()
                self.assertEqual(server.ended(), 1)
                self.assertRegex(server.tail(), "a #.client. trait does not fit its service\n  .*agency.rs:?[0-9]*: (Flight|Miles)")
                self.assertIn(told.replace("{app}", str(self.folder / f"app{number}/app.py")), server.tail())
                self.assertIn("state in it what the service has, or change the service", server.tail())


if __name__ == "__main__":
    unittest.main()
