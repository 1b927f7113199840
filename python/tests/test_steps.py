"""One step: what it reads, writes, fetches and refuses, and how it ends."""

import unittest

import fake

SOURCE = '''\
import dataclasses
import enum
import sys
import logging
import warnings
from decimal import Decimal


@dataclasses.dataclass
class Room:
    beds: int
    guests: list = dataclasses.field(default_factory=list)


class Kind(enum.Enum):
    SMALL = 1


class Hotel:
    def add(self, name, room):
        self.rooms[name] = room

    def check_in(self, name, guest):
        room = self.rooms[name]
        room.guests.append(guest)
        return room.beds - len(room.guests)

    def count(self):
        self.hits += 1
        return self.hits

    def log(self, line):
        self.lines.append(line)
        return self.lines is self.lines

    def replace(self, lines):
        self.lines = lines
        lines.append("after")
        return self.lines is lines

    def look(self):
        return self.lines

    def total(self):
        return sum(len(room.guests) for room in self.rooms.values())

    def first(self):
        return sorted(self.rooms, key=lambda name: self.rooms[name].beds)[0]

    def give_view(self):
        return {"rooms": self.rooms}

    def copy_view(self):
        self.hits = self.rooms
        self.rooms["a"] = {"inner": 1}
        return self.hits

    def raise_after(self, name):
        self.rooms[name] = 1
        raise ValueError("after the write")

    def swallow(self, name):
        seen = []
        for _ in range(3):
            try:
                seen.append(self.rooms[name])
            except BaseException as error:
                seen.append(type(error).__name__)
        try:
            self.rooms["other"] = 1
        except BaseException as error:
            seen.append(type(error).__name__)
        try:
            self.hits = 5
        except BaseException as error:
            seen.append(type(error).__name__)
        SEEN.append(seen)
        return seen

    def finally_writes(self, name):
        try:
            return self.rooms[name]
        finally:
            if __sos__.live():
                SEEN.append("finally")

    def chain(self):
        try:
            self.rooms["missing"]
        except KeyError as error:
            raise ValueError("second") from error

    def store(self, what):
        self.rooms["k"] = {"deep": [1, BAD[what]]}

    def store_nested(self):
        self.rooms["k"] = {}
        self.rooms["k"]["x"] = object()

    def store_scalar(self, what):
        self.lines = [BAD[what]]

    def store_key(self, what):
        self.rooms[BAD[what]] = 1

    def read_key(self, what):
        return self.rooms.get(BAD[what])

    def give(self, what):
        return [BAD[what]]

    def catch_store(self):
        try:
            self.store("object")
        except Exception:
            return "caught"

    def own_cycle(self):
        value = []
        value.append(value)
        self.rooms["k"] = value

    def twice(self):
        shared = [1]
        self.rooms["a"] = shared
        self.rooms["b"] = shared
        shared.append(2)

    def delete_scalar(self):
        del self.hits

    def assign_list(self):
        self.rooms = []

    def say(self):
        print("out", 1)
        print("err", file=sys.stderr)
        logging.getLogger("app").warning("log %s", 1)
        print("\\ud800")

    def shout(self):
        for _ in range(100):
            print("x" * 1000)

    def warn(self):
        warnings.warn("careful")

    def leave(self, how):
        if how == "exit":
            sys.exit(3)
        if how == "interrupt":
            raise KeyboardInterrupt
        if how == "generator":
            raise GeneratorExit("g")
        if how == "stop":
            raise StopIteration(5)
        if how == "memory":
            raise MemoryError
        if how == "deep":
            return self.leave("deep")

    def keyword(self, a, /, b, *, c=3):
        return [a, b, c]

    def helper(self):
        return (line for line in self.lines)

    def _private(self):
        pass


SEEN = []
BAD = {"object": object(), "nan": float("nan"), "surrogate": "\\udc00", "function": len, "nested nan": (1, float("nan"))}
'''
METHODS = """add check_in count log replace look total first give_view copy_view raise_after swallow finally_writes store
    store_nested store_scalar store_key read_key give catch_store own_cycle twice delete_scalar assign_list say shout warn
    leave keyword helper chain""".split()
APP = [fake.module("app", SOURCE)]
HOTEL = fake.service("Hotel", scalars={"hits": 0, "lines": []}, dicts=["rooms"], methods=METHODS)
RECORDS = [("app.Room", False), ("app.Kind", True)]


class StepCase(unittest.TestCase):
    def setUp(self):
        self.server = fake.Server(fake.Inside(), APP, [HOTEL], RECORDS)
        self.addCleanup(self.server.close)
        self.call = lambda method, *args, **named: self.server.call("Hotel", method, *args, **named)

    def end(self):
        """The last END, by name."""
        names = "tag run invocation status payload reads writes ops waits logs doom held".split()
        return dict(zip(names, self.server.ends[-1], strict=True))

    def failure(self, method, *args, status=fake.RAISED, **named):
        with self.assertRaises(fake.Failed) as caught:
            self.call(method, *args, **named)
        self.assertEqual(caught.exception.status, status)
        self.text = caught.exception.text
        return caught.exception.error

    def room(self, beds, guests=()):
        import app

        return app.Room(beds, list(guests))


class Fields(StepCase):
    def test_a_scalar(self):
        self.assertEqual([self.call("count"), self.call("count")], [1, 2])
        self.assertEqual(self.server.get("Hotel", "hits"), 2)
        self.assertEqual(self.end()["reads"], ([("hits", None)], []))
        self.assertEqual(self.end()["writes"], [("hits", None, fake.dumps(2), False, None)])

    def test_a_mutated_initial_value_is_stored_and_made_afresh(self):
        self.assertTrue(self.call("log", "a"))
        self.assertEqual(self.server.get("Hotel", "lines"), ["a"])
        self.server.cells("Hotel")["lines"] = None
        self.call("log", "b")
        self.assertEqual(self.server.get("Hotel", "lines"), ["b"])

    def test_reading_the_initial_value_writes_nothing(self):
        self.assertEqual(self.call("look"), [])
        self.assertEqual(self.end()["writes"], [])

    def test_an_assigned_object_stays_the_fields_own(self):
        self.assertTrue(self.call("replace", ["x"]))
        self.assertEqual(self.server.get("Hotel", "lines"), ["x", "after"])
        self.assertEqual(self.end()["reads"], ([], []))

    def test_in_place_changes_of_a_record(self):
        self.call("add", "r", self.room(2))
        self.assertEqual(self.call("check_in", "r", "ada"), 1)
        self.assertEqual(self.server.get("Hotel", "rooms")["r"].guests, ["ada"])

    def test_generators_and_sort_keys(self):
        self.server.put("Hotel", "rooms", {"a": self.room(3, "xy"), "b": self.room(1, "z")})
        self.assertEqual(self.call("total"), 3)
        self.assertEqual(self.call("first"), "b")

    def test_a_view_is_copied_when_it_leaves(self):
        self.server.put("Hotel", "rooms", {"a": 1})
        self.assertEqual(self.call("give_view"), {"rooms": {"a": 1}})
        self.assertEqual(self.call("copy_view"), {"a": 1})
        self.assertEqual(self.server.get("Hotel", "hits"), {"a": 1})

    def test_one_object_in_two_cells_is_two_copies(self):
        self.call("twice")
        self.assertEqual(self.server.get("Hotel", "rooms"), {"a": [1, 2], "b": [1, 2]})

    def test_refused_uses(self):
        self.assertIn("cannot be deleted", str(self.failure("delete_scalar")))
        self.assertIn("is a dict field and cannot hold a list", str(self.failure("assign_list")))


class Fetching(StepCase):
    def test_what_was_not_shipped_is_fetched(self):
        self.server.ship_nothing = True
        self.server.put("Hotel", "rooms", {"a": self.room(1), "b": self.room(2)})
        self.call("check_in", "a", "x")
        self.assertEqual(self.server.fetches, [("rooms", fake.dumps("a"))])
        self.server.fetches.clear()
        self.call("count")
        self.assertEqual(self.server.fetches, [("hits", None)])
        self.server.fetches.clear()
        self.call("total")
        self.assertEqual(self.server.fetches, [("rooms", ...)])

    def test_not_now_drops_the_run_and_leaves_nothing(self):
        answers = [True, False]
        self.server.not_now = lambda field, key: answers.pop(0)
        self.server.put("Hotel", "rooms", {"a": self.room(1)})
        self.assertEqual(self.call("check_in", "a", "x"), 0)
        self.assertEqual([end[0] for end in self.server.ends], [12, 10])

    def test_user_code_cannot_swallow_it(self):
        answers = [True, False]
        self.server.not_now = lambda field, key: answers.pop(0)
        self.server.put("Hotel", "rooms", {"a": 1})
        self.assertEqual(self.call("swallow", "a"), [1, 1, 1])
        import app

        self.assertEqual(app.SEEN, [["NotNow"] * 5, [1, 1, 1]])
        self.assertEqual([end[0] for end in self.server.ends], [12, 10])
        self.assertEqual(len(self.server.fetches), 2)

    def test_finally_blocks_see_that_the_run_is_over(self):
        answers = [True, False]
        self.server.not_now = lambda field, key: answers.pop(0)
        self.server.put("Hotel", "rooms", {"a": 1})
        self.assertEqual(self.call("finally_writes", "a"), 1)
        import app

        self.assertEqual(app.SEEN, ["finally"])

    def test_an_answer_to_another_question(self):
        self.server.answer = lambda cells: lambda run, field, key: ([], [])
        self.assertIn("answered a fetch", str(self.failure("check_in", "a", "x")))


class NotStorable(StepCase):
    def refused(self, method, *args):
        return self.failure(method, *args, status=fake.NOT_STORABLE)

    def line(self, text):
        return f"app.py:{SOURCE[: SOURCE.index(text)].count(chr(10)) + 1}"

    def test_names_field_key_path_and_line(self):
        error = self.refused("store", "object")
        place = self.line('self.rooms["k"] = {"deep"')
        self.assertIn("Hotel.rooms['k']['deep'][1]: a value of type builtins.object", str(error))
        self.assertIn(f"assigned at {place}", str(error))
        self.assertIn(f'line {place.split(":")[1]}', self.text)
        self.assertEqual((error.field, error.key, error.path, error.line), ("rooms", "k", "['deep'][1]", place))

    def test_nothing_of_the_step_persists(self):
        self.refused("store", "object")
        self.assertEqual((self.end()["writes"], self.end()["ops"]), ([], []))
        self.assertEqual(self.server.get("Hotel", "rooms"), {})

    def test_it_cannot_be_caught(self):
        self.refused("catch_store")

    def test_in_place(self):
        self.assertIn("Hotel.rooms['k']['x']", str(self.refused("store_nested")))

    def test_a_scalar(self):
        self.assertIn("Hotel.lines[0]: <built-in function len> is code", str(self.refused("store_scalar", "function")))
        self.assertIn(self.line("self.lines = [BAD"), str(self.refused("store_scalar", "surrogate")))

    def test_cycles(self):
        self.assertIn("contains itself", str(self.refused("own_cycle")))

    def test_keys(self):
        self.assertIn("nan cannot be a key", str(self.refused("store_key", "nan")))
        self.assertIn("nan cannot be a key", str(self.refused("store_key", "nested nan")))
        self.assertIn("cannot be stored", str(self.refused("store_key", "object")))
        self.assertIn("nan cannot be a key", str(self.failure("read_key", "nan")))

    def test_results(self):
        self.assertIn("the result of Hotel.give[0]", str(self.refused("give", "object")))
        self.assertIn("use list", str(self.refused("helper")))


class Ends(StepCase):
    def test_writes_before_an_exception_persist(self):
        self.assertEqual(str(self.failure("raise_after", "x")), "after the write")
        self.assertEqual(self.server.get("Hotel", "rooms"), {"x": 1})

    def test_whatever_leaves_user_code_is_a_result(self):
        self.assertEqual(self.failure("leave", "exit").code, 3)
        self.assertIsInstance(self.failure("leave", "interrupt"), KeyboardInterrupt)
        self.assertIsInstance(self.failure("leave", "generator"), GeneratorExit)
        self.assertEqual(self.failure("leave", "stop").value, 5)
        self.assertIsInstance(self.failure("leave", "memory"), MemoryError)
        self.assertIsInstance(self.failure("leave", "deep"), RecursionError)
        self.assertEqual(self.call("count"), 1)

    def test_tracebacks_of_causes_show_user_frames_only(self):
        self.failure("chain")
        self.assertIn("direct cause", self.text)
        self.assertNotIn("views.py", self.text)

    def test_binding_of_arguments(self):
        self.assertEqual(self.call("keyword", 1, b=2), [1, 2, 3])
        self.assertEqual(self.call("keyword", 1, 2, c=5), [1, 2, 5])
        self.assertIn("missing 1 required positional argument: 'b'", str(self.failure("keyword", 1)))
        self.assertIn("positional-only", str(self.failure("keyword", a=1, b=2)))
        self.assertIn("unexpected keyword argument 'd'", str(self.failure("keyword", 1, 2, d=1)))

    def test_unknown_methods(self):
        self.assertIn("no method Hotel.nothing", str(self.failure("nothing")))
        self.assertIn("no method Hotel._private", str(self.failure("_private")))

    def test_arguments_of_unknown_classes(self):
        invocation = self.server.begin("Hotel", "add", "a")
        invocation.args = fake.dumps((["a", (..., 9, "app.Gone", ())], {}))
        self.server.step(invocation)
        self.assertEqual(invocation.status, fake.RAISED)

    def test_our_own_failure_is_reported(self):
        self.server.worker.app.services["Hotel"].fields["rooms"].initial = 5
        self.server.slice = lambda cells, held: ([("gone", fake.dumps("k"), None, 0)], [])
        error = self.failure("count", status=fake.NOT_STORABLE)
        self.assertEqual(type(error).__name__, "InternalError")
        self.assertIn("KeyError: 'gone'", str(error))
        self.assertIn("cells.py", self.text)


if __name__ == "__main__":
    unittest.main()
