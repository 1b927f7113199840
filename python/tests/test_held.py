"""Objects of cells that a method holds while it waits: every way to hold one against everything that others may do to
the cell meanwhile, in a worker and as plain Python."""

import copy
import random
import unittest
from types import SimpleNamespace
from unittest import mock

import fake

from sostenuto.worker import cells, codec, held

SOURCE = '''
import copy
from dataclasses import dataclass


@dataclass
class Room:
    number: int
    tags: list


def first_state():
    inner = {"n": 1, "list": [1, [2], {"x": 1}], "t": (1, [2]), "s": {1, 2}, "r": Room(7, ["sea"])}
    return {"a": inner, "b": {"n": 2}}, [{"e": 1}, {"e": 10}, {"e": 30}], {"z": [1], 1: (True, 1.0)}


class Holds:
    """Ways to hold something over a suspension."""

    async def entry(self):
        x = self.d["a"]
        await __sos__.sleep(1)
        x["n"] += 10
        return x

    async def entry_by_get(self):
        x = self.d.get("b")
        await __sos__.sleep(1)
        x["more"] = [1]
        await __sos__.sleep(1)
        x["more"].append(2)
        return x

    async def inner(self):
        x = self.d["a"]["list"]
        await __sos__.sleep(1)
        x.append("mine")
        return x

    async def deep(self):
        x = self.d["a"]["list"][2]
        await __sos__.sleep(1)
        x["x"] = 5
        await __sos__.sleep(1)
        x["y"] = 6
        return x

    async def both_levels(self):
        outer = self.d["a"]
        inner = outer["list"]
        await __sos__.sleep(1)
        inner.append(0)
        return outer, inner is outer.get("list")

    async def in_containers(self):
        pair = [self.d["a"], {"k": self.d["b"]}]
        await __sos__.sleep(1)
        pair[1]["k"]["mine"] = 1
        return pair

    async def loop_variable(self):
        seen = []
        for x in self.log:
            await __sos__.sleep(1)
            x["e"] *= 2
            seen.append(dict(x))
        return seen

    async def iterator_of_keys(self):
        seen = []
        for key in self.d["a"]:
            seen.append(key)
            await __sos__.sleep(1)
        return seen

    async def generator(self):
        values = (value for value in self.d["a"]["list"])
        seen = [next(values)]
        await __sos__.sleep(1)
        return seen + list(values)

    async def closure(self):
        x = self.d["a"]
        def change():
            x["n"] -= 1
            return x
        await __sos__.sleep(1)
        return change()

    async def bound_method(self):
        append = self.log.append
        await __sos__.sleep(1)
        append({"e": 9})

    async def in_expression(self):
        self.d["b"].update(await __sos__.sleep(1, {"late": 1}))

    async def whole_list(self):
        log = self.log
        await __sos__.sleep(1)
        log.append({"e": 0})
        log[0]["e"] = -1
        return log

    async def stored(self):
        x = {"n": 5}
        self.d["c"] = x
        await __sos__.sleep(1)
        x["n"] = 6
        await __sos__.sleep(1)
        x["m"] = [7]
        return x

    async def stored_over(self):
        x = {"n": 5}
        self.d["a"] = x
        await __sos__.sleep(1)
        x["n"] = 6
        return x

    async def appended(self):
        x = {"e": 8}
        self.log.append(x)
        await __sos__.sleep(1)
        x["e"] += 1
        return x

    async def assigned_list(self):
        x = [{"e": 5}]
        self.log = x
        await __sos__.sleep(1)
        x.append(1)

    async def record(self):
        room = self.d["a"]["r"]
        await __sos__.sleep(1)
        room.tags.append("mine")
        room.number += 1
        return room

    async def attributes_of_record(self):
        attributes = vars(self.d["a"]["r"])
        await __sos__.sleep(1)
        return dict(attributes)

    async def in_a_tuple(self):
        x = self.d["a"]["t"][1]
        await __sos__.sleep(1)
        x.append("mine")
        return x

    async def a_set(self):
        x = self.d["a"]["s"]
        await __sos__.sleep(1)
        x.add(100)
        return sorted(x)

    async def given_up(self):
        x = self.d["a"]
        self.d["a"] = {"n": -1}
        await __sos__.sleep(1)
        x["n"] = 77
        return x

    async def put_back(self):
        x = self.d["a"]
        self.d["a"] = None
        self.d["a"] = x
        await __sos__.sleep(1)
        x["n"] = 78
        return x

    async def taken_out_and_in(self):
        x = self.d.pop("a")
        self.d["a"] = x
        await __sos__.sleep(1)
        x["n"] = 79

    async def popped(self):
        x = self.d.pop("a")
        await __sos__.sleep(1)
        x["n"] = 80
        return x

    async def view(self):
        d = self.d
        await __sos__.sleep(1)
        d["b"] = {"n": 3}
        return list(d)

    async def all_values(self):
        seen = []
        for x in self.d.values():
            await __sos__.sleep(1)
            x["seen"] = len(seen)
            seen.append(x)
        return seen

    async def changed_before_and_after(self):
        x = self.d["a"]
        x["n"] = 50
        await __sos__.sleep(1)
        x["n"] += 1
        await __sos__.sleep(1)
        x["n"] += 1
        return x["n"]

    async def in_a_helper(self):
        return await self.helper(self.d["a"])

    async def helper(self, x):
        await __sos__.sleep(1)
        x["helped"] = True
        return len(x)

    async def in_branches(self):
        return await __sos__.gather(self.helper(self.d["a"]), self.helper(self.d["b"]))

    async def other_keys(self):
        x, y = self.e["z"], self.e[1]
        await __sos__.sleep(1)
        x.append(y)
        return x, y

    async def held_for_a_while(self):
        x, log = self.d["a"], self.log
        await __sos__.sleep(1)
        x["n"] += 1
        log.append({"e": x["n"]})
        del x, log
        await __sos__.sleep(1)
        n = self.d["a"]["n"] + len(self.log)
        await __sos__.sleep(1)
        return n

    async def looked_at_again(self):
        seen = []
        for _ in range(3):
            seen.append(repr((self.d.get("a"), self.log, self.e)))
            await __sos__.sleep(1)
        return seen

    async def changed_again(self):
        for n in range(3):
            self.d["b"]["n"] = n
            if self.log:
                self.log[0]["e"] = n
            self.d.setdefault("a", {})["n"] = n
            await __sos__.sleep(1)
            del self.d["b"]["n"]
        return len(self.d)


class Others:
    """What other invocations do meanwhile."""

    def nothing(self):
        pass

    def change(self):
        if "a" in self.d:
            self.d["a"]["n"] = 1000

    def add_key(self):
        self.d.get("a", {})["k"] = {"deep": [1]}

    def remove_key(self):
        self.d.get("a", {}).pop("n", None)

    def reorder_keys(self):
        if "a" in self.d:
            self.d["a"]["n"] = self.d["a"].pop("n", 0)

    def append_inside(self):
        self.d.get("a", {}).get("list", []).append({"x": 2})

    def insert_inside(self):
        self.d.get("a", {}).get("list", []).insert(0, "new")

    def remove_inside(self):
        del self.d.get("a", {}).get("list", [1])[0]

    def change_deep(self):
        for part in self.d.get("a", {}).get("list", []):
            if isinstance(part, dict):
                part["x"] = part.get("x", 0) - 1

    def delete(self):
        self.d.pop("a", None)

    def delete_and_insert(self):
        found = self.d.pop("a", None)
        if found is not None:
            self.d["a"] = copy.deepcopy(found)

    def assign_equal(self):
        if "a" in self.d:
            self.d["a"] = copy.deepcopy(self.d["a"])

    def assign_other(self):
        self.d["a"] = {"n": -5, "list": [], "r": None}
        self.d["b"] = {"n": -6}

    def assign_text(self):
        self.d["b"] = "text"

    def delete_all(self):
        self.d.clear()
        self.log.clear()

    def insert_entry(self):
        self.d["new"] = {"n": 3}
        self.d["c"] = {"n": 4}

    def log_pop(self):
        if self.log:
            self.log.pop(0)

    def log_insert(self):
        self.log.insert(0, {"e": 40})

    def log_append(self):
        self.log.append({"e": 41})

    def log_reverse(self):
        self.log.reverse()

    def log_change(self):
        for entry in self.log:
            if isinstance(entry, dict):
                entry["e"] += 100

    def log_assign(self):
        self.log = [{"e": 42}]

    def log_assign_equal(self):
        self.log = copy.deepcopy(self.log)

    def record_change(self):
        room = self.d.get("a", {}).get("r")
        if room is not None:
            room.number = 8
            room.tags.insert(0, "lake")

    def tuple_change(self):
        for part in self.d.get("a", {}).get("t", ())[1:]:
            part.append(3)

    def set_change(self):
        self.d.get("a", {}).get("s", set()).discard(1)

    def keys_of_other_types(self):
        self.e["z"] = self.e.pop("z") + [2]
        self.e[1] = (1, 1.0)


class Store(Holds, Others):
    pass
'''


def names(text):
    body = text.split("\n")
    return [line.split("def ")[1].split("(")[0] for line in body if line.startswith(("    def ", "    async def "))]


HOLDS = [name for name in names(SOURCE[: SOURCE.index("class Others")]) if name != "helper"]
OTHERS = names(SOURCE[SOURCE.index("class Others") :])
STORE = fake.service("Store", scalars={"log": []}, dicts=["d", "e"], methods=[*HOLDS, *OTHERS], held=True)
#: dict notices that its keys were replaced when the iteration ends, a field when it goes on.
STATED = {("all_values", "delete_and_insert")}
APP = [fake.module("app", SOURCE)]
RECORDS = [("app.Room", False)]


class Plain:
    """The same text in one process that never fails."""

    class Wait:
        def __init__(self, result):
            self.result = result

        def __await__(self):
            yield
            return self.result

    @staticmethod
    async def gather(*coroutines):
        """Side by side, as the worker does: one after the other up to its next wait."""
        results, running = [None] * len(coroutines), dict(enumerate(coroutines))
        while running:
            for index, coroutine in list(running.items()):
                try:
                    coroutine.send(None)
                except StopIteration as stop:
                    results[index] = stop.value
                    del running[index]
            if running:
                await Plain.Wait(None)
        return results

    def __init__(self):
        sos = SimpleNamespace(sleep=lambda _, result=None: self.Wait(result), gather=self.gather)
        self.names = {"__sos__": sos, "__name__": "plain"}
        import sys

        with mock.patch.dict(sys.modules, plain=SimpleNamespace(**self.names)):
            exec(compile(SOURCE, "plain.py", "exec"), self.names)

    def run(self, holds, others):
        store = self.names["Store"]()
        store.d, store.log, store.e = self.names["first_state"]()
        coroutine = getattr(store, holds)()
        for other in [*others, *["nothing"] * 20]:
            try:
                coroutine.send(None)
            except StopIteration as stop:
                return self.told(stop.value), self.state(store)
            except Exception as error:
                return f"{type(error).__name__}: {error}", self.state(store)
            getattr(store, other)()
        raise AssertionError(f"{holds} does not end")

    @staticmethod
    def told(value):
        return repr(value)

    @staticmethod
    def state(store):
        return repr((list(store.d.items()), store.log, list(store.e.items())))


class HeldCase(unittest.TestCase):
    store = STORE
    refused = set()

    def setUp(self):
        self.plain = Plain()
        self.server = fake.Server(fake.Inside(), APP, [self.store], RECORDS)
        self.addCleanup(self.server.close)

    def run_in_worker(self, holds, others):
        server = self.server
        server.state.clear()
        import app

        for field, value in zip(("d", "log", "e"), app.first_state(), strict=True):
            server.put("Store", field, value)
        invocation = server.begin("Store", holds)
        for other in [*others, *["nothing"] * 20]:
            server.step(invocation)
            if invocation.status != fake.SUSPENDED:
                break
            try:
                server.call("Store", other)
            except fake.Failed as failed:
                raise AssertionError((holds, others, failed.text)) from failed
            server.deliver(invocation)
        store = SimpleNamespace(**{field: server.get("Store", field) for field in ("d", "log", "e")})
        if invocation.status == fake.RETURNED:
            return Plain.told(codec.decode(invocation.payload)), Plain.state(store)
        error = fake.exceptions.decode(invocation.payload)
        return f"{type(error).__name__}: {error}", Plain.state(store)

    def differs(self, holds, others):
        """What the worker and plain Python say, if that is not the same."""
        found, expected = self.run_in_worker(holds, others), self.plain.run(holds, others)
        return None if found == expected else f"{holds} {others}\nfound    {found}\nexpected {expected}"

    def is_compared(self, hold, others):
        return not self.refused & {hold, *others} and not any((hold, other) in STATED for other in others)

    def differences(self):
        pairs = ((hold, other) for hold in HOLDS for other in OTHERS if self.is_compared(hold, [other]))
        return [told for hold, other in pairs if (told := self.differs(hold, [other]))]


class Differential(HeldCase):
    def test_every_pair(self):
        self.assertEqual("\n".join(self.differences()), "")

    def test_every_pair_rebuilt_by_replay(self):
        self.server.evict_always = True
        self.assertEqual("\n".join(self.differences()), "")

    def test_random_sequences(self):
        for seed in range(400):
            dice = random.Random(seed)
            self.server.evict_always = seed % 2 == 0
            self.server.ship_nothing = seed % 3 == 0
            self.server.ship_wholes = seed % 3 == 1
            hold, others = dice.choice(HOLDS), dice.choices(OTHERS, k=dice.randrange(1, 6))
            if not self.is_compared(hold, others):
                continue
            with self.subTest(seed=seed):
                self.assertIsNone(self.differs(hold, others))


class Miscounted(HeldCase):
    """What is counted as held and is not changes nothing, also if it is something else in a replay."""

    def setUp(self):
        super().setUp()
        self.enterContext(fake.miscounting(6))

    def test_every_pair(self):
        self.assertEqual("\n".join(self.differences()), "")

    def test_every_pair_rebuilt_by_replay(self):
        self.server.evict_always = True
        for _ in range(3):
            self.assertEqual("\n".join(self.differences()), "")


class DifferentialOfLists(Differential):
    """The same with `log` as a list field; if one is assigned as a whole, the compiler refuses what holds it itself."""

    refused = {"assigned_list", "log_assign", "log_assign_equal"}
    store = fake.service("Store", lists={"log": []}, dicts=["d", "e"], methods=[*HOLDS, *OTHERS], held=True)


class MiscountedOfLists(Miscounted):
    """The same with `log` as a list field."""

    refused, store = DifferentialOfLists.refused, DifferentialOfLists.store


class Planted(HeldCase):
    """The comparison above finds what it is there for."""

    def test_no_refresh(self):
        with mock.patch.object(cells, "update", lambda held, data: True):
            self.assertGreater(len(self.differences()), 50)

    def test_no_detachment(self):
        with mock.patch.object(cells.Cells, "name", lambda *_: 0):
            self.assertGreater(len(self.differences()), 20)

    def test_inner_containers_replaced(self):
        with mock.patch.dict(held._MERGES, {list: lambda old, new, done: new}):
            self.assertGreater(len(self.differences()), 10)

    def test_nothing_counts_as_held(self):
        with mock.patch.object(cells, "choose", lambda candidates: []):
            self.assertGreater(len(self.differences()), 50)


class Counting(HeldCase):
    """What is held, and what it costs."""

    def holds(self, hold):
        self.server.ends.clear()
        self.run_in_worker(hold, [])
        return self.server.ends[0][11]

    def test_only_what_is_referred_to(self):
        a, b = fake.dumps("a"), fake.dumps("b")
        self.assertEqual(self.holds("entry"), ([("d", a)], []))
        self.assertEqual(self.holds("deep"), ([("d", a)], []))
        self.assertEqual(self.holds("in_expression"), ([("d", b)], []))
        self.assertEqual(self.holds("whole_list"), ([("log", None)], []))
        self.assertEqual(self.holds("popped"), ([], []))
        self.assertEqual(self.holds("given_up"), ([], []))
        self.assertEqual(self.holds("view"), ([], []))
        self.assertEqual(self.holds("all_values"), ([("d", a)], ["d"]))

    def test_what_was_held_and_is_not_any_more(self):
        self.server.ends.clear()
        self.run_in_worker("held_for_a_while", [])
        a = fake.dumps("a")
        self.assertEqual([end[11] for end in self.server.ends if end[3] == fake.SUSPENDED],
                         [([("log", None), ("d", a)], []), ([], []), ([], [])])  # fmt: skip

    def test_what_did_not_change_is_not_journalled_again(self):
        self.run_in_worker("entry", ["nothing"])
        self.assertEqual(self.server.ends[-1][5], ([], []))
        self.run_in_worker("changed_before_and_after", ["nothing", "nothing"])
        self.assertEqual(self.server.ends[-2][5], ([], []))
        self.run_in_worker("changed_before_and_after", ["change", "nothing"])
        self.assertEqual([len(end[5][0]) for end in self.server.ends[-6:] if end[3] == fake.SUSPENDED], [1, 1])

    def test_a_field_that_is_iterated_over_is_journalled_once(self):
        self.server.ends.clear()
        self.run_in_worker("all_values", [])
        wholes = [end[5][1] for end in self.server.ends if end[3] == fake.SUSPENDED]
        self.assertEqual(wholes, [["d"], []])
        reads = [sorted(codec.decode(key) for _, key in end[5][0]) for end in self.server.ends if end[3] == fake.SUSPENDED]
        self.assertEqual(reads, [[], ["b"]])

    def test_a_change_in_place_keeps_the_incarnation(self):
        for hold, names in [("entry", 0), ("put_back", 0), ("taken_out_and_in", 0), ("stored_over", 1)]:
            self.run_in_worker(hold, [])
            found = self.server.cells("Store")["d"]["a"][2]
            self.assertEqual(bool(found), bool(names), hold)


class Updating(unittest.TestCase):
    """Objects brought to another value."""

    def update(self, before, after):
        value = copy.deepcopy(before)
        one = held.Held(None, "k", b"k", value, 0)
        self.assertTrue(held.update(one, codec.encode(after)))
        self.assertTrue(codec.same(codec.encode(value), codec.encode(after)), (value, after))
        return value

    def test_random_values(self):
        dice = random.Random(5)

        def make(depth):
            kinds = ["int", "text", "list", "dict", "tuple", "set"] if depth else ["int", "text", "bool"]
            kind = dice.choice(kinds)
            parts = range(dice.randrange(4))
            return {
                "int": lambda: dice.randrange(3),
                "text": lambda: dice.choice("ab"),
                "bool": lambda: dice.choice([True, 1.0, None]),
                "list": lambda: [make(depth - 1) for _ in parts],
                "tuple": lambda: tuple(make(depth - 1) for _ in parts),
                "set": lambda: {dice.choice([1, True, "a", (1, 2), None]) for _ in parts},
                "dict": lambda: {dice.choice([1, True, 1.0, "a", "b", (1,), (True,)]): make(depth - 1) for _ in parts},
            }[kind]()

        for _ in range(3000):
            before, after = [make(3)], [make(3)]
            self.update(before, after)

    def test_the_elements_of_a_list_are_known_by_value_then_by_place(self):
        a, b, c = {"a": 1}, {"b": 2}, {"c": 3}
        for after, kept in [
            ([b, c], [1, 2]),
            ([c, b, a], [2, 1, 0]),
            ([{"n": 0}, a, b, c], [None, 0, 1, 2]),
            ([a, {"b": 3}, c], [0, 1, 2]),
            ([a, {"x": 0}, {"b": 3}, c], [0, 1, None, 2]),
            ([], []),
        ]:
            value = [dict(a), dict(b), dict(c)]
            parts = list(value)
            held.update(held.Held(None, "k", b"k", value, 0), codec.encode(after))
            found = [next((i for i, old in enumerate(parts) if old is part), None) for part in value]
            self.assertEqual((value, found), (after, kept))

    def test_one_object_in_two_cells_stays_with_the_first(self):
        inner = [1]
        one, two = held.Held(None, "1", b"1", {"l": inner}, 0), held.Held(None, "2", b"2", {"m": inner}, 0)
        keep = [one.value, two.value]
        user = [two.value]
        chosen = held.choose([(one, 1), (two, 1)])
        self.assertEqual(chosen, [one, two])
        self.assertEqual((one.shared, two.shared), (None, {id(inner)}))
        held.update(two, two.data)
        self.assertIs(keep[0]["l"], inner)
        self.assertIsNot(keep[1]["m"], inner)
        self.assertEqual(keep[1], {"m": [1]})
        self.assertIs(user[0], keep[1])

    def test_one_object_in_two_places_of_a_cell_stays_in_the_first(self):
        inner = [1]
        one = held.Held(None, "1", b"1", [inner, inner], 0)
        keep = one.value
        self.assertEqual(held.choose([(one, 1)]), [one])
        held.update(one, one.data)
        self.assertIs(keep[0], inner)
        self.assertIsNot(keep[1], inner)


if __name__ == "__main__":
    unittest.main()
