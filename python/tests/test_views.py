"""Persistent fields against the real thing: random programs on a dict and on a dict field must not differ."""

import random
import unittest
from types import SimpleNamespace

import exercise
import fake

METHODS = '''
class Store:
    def run(self, script):
        return exercise(self, script)

    async def run_in_steps(self, scripts):
        results = []
        for script in scripts:
            results.append(exercise(self, script))
            await __sos__.sleep(1)
        return results

    async def iterate(self, what):
        seen = []
        for key in self.d:
            seen.append(key)
            await __sos__.sleep(1)
            if what == "insert" and len(seen) == 2:
                self.d["new"] = 1
            if what == "swap" and len(seen) == 2:
                del self.d["a"]
                self.d["new"] = 1
            await __sos__.sleep(1)
        return seen

    def whole(self):
        return self.d

    async def items(self):
        seen = []
        for key, value in self.d.items():
            seen.append((key, value))
            await __sos__.sleep(1)
        return seen
'''
APP = [fake.module("app", exercise.SOURCE + METHODS)]
STORE = fake.service("Store", dicts=["d"], methods=["run", "run_in_steps", "iterate", "items", "whole"])


class ViewCase(unittest.TestCase):
    def setUp(self):
        self.server = fake.Server(fake.Inside(), APP, [STORE])
        self.addCleanup(self.server.close)
        self.plain = exercise.plain()


class Returned(ViewCase):
    def test_a_field_that_is_returned_is_read_and_may_be_missing(self):
        self.server.put("Store", "d", {"a": 1})
        asked = []
        self.server.not_now = lambda field, key: asked.append((field, key)) is None and len(asked) == 1
        self.assertEqual(self.server.call("Store", "whole"), {"a": 1})
        self.assertEqual(asked, [("d", ...)] * 2)
        self.assertEqual(self.server.ends[-1][5], ([], ["d"]))


class Differential(ViewCase):
    def check(self, seed, **modes):
        dice = random.Random(seed)
        names = exercise.operations()
        model = SimpleNamespace(d={})
        for name, value in modes.items():
            setattr(self.server, name, value)
        for _ in range(4):
            script = exercise.script(dice, names, dice.randrange(1, 14))
            expected = self.plain(model, script)
            self.assertEqual(self.server.call("Store", "run", script), expected, (seed, script))
            self.same_field(model, (seed, script))

    def same_field(self, model, context):
        stored = self.server.get("Store", "d")
        self.assertEqual(repr(list(stored.items())), repr(list(model.d.items())), context)

    def test_entries_fetched(self):
        for seed in range(200):
            with self.subTest(seed=seed):
                self.server.state.clear()
                self.check(seed, ship_nothing=True)

    def test_whole_shipped(self):
        for seed in range(500, 650):
            with self.subTest(seed=seed):
                self.server.state.clear()
                self.check(seed, ship_wholes=True)

    def test_over_steps_and_replays(self):
        names = [name for name in exercise.operations() if name != "aliased"]
        for seed in range(120):
            dice = random.Random(seed)
            with self.subTest(seed=seed):
                self.server.state.clear()
                self.server.evict_always = seed % 2 == 0
                self.server.ship_wholes = seed % 3 == 0
                model = SimpleNamespace(d={})
                scripts = [exercise.script(dice, names, dice.randrange(1, 8)) for _ in range(4)]
                expected = [self.plain(model, script) for script in scripts]
                self.assertEqual(self.server.call("Store", "run_in_steps", scripts), expected, scripts)
                self.same_field(model, scripts)

    def test_every_operation_is_exercised(self):
        model = SimpleNamespace(d={"a": [1], "b": 2})
        for name in exercise.operations():
            with self.subTest(name):
                self.server.state.clear()
                self.server.put("Store", "d", {"a": [1], "b": 2})
                model.d = {"a": [1], "b": 2}
                dice = random.Random(name)
                script = [[name, *(exercise._argument(dice, kind) for kind in exercise._ARGUMENTS.get(name, ""))]]
                self.assertEqual(self.server.call("Store", "run", script), self.plain(model, script))
                self.same_field(model, script)


class Iteration(ViewCase):
    def setUp(self):
        super().setUp()
        self.server.put("Store", "d", {"a": 1, "b": 2, "c": 3})

    def test_goes_on_after_a_suspension(self):
        self.assertEqual(self.server.call("Store", "iterate", ""), ["a", "b", "c"])
        self.server.evict_always = True
        self.assertEqual(self.server.call("Store", "items"), [("a", 1), ("b", 2), ("c", 3)])

    def test_change_of_size_between_steps(self):
        with self.assertRaises(fake.Failed) as caught:
            self.server.call("Store", "iterate", "insert")
        self.assertEqual(str(caught.exception.error), "dictionary changed size during iteration")

    def test_change_of_keys_between_steps(self):
        with self.assertRaises(fake.Failed) as caught:
            self.server.call("Store", "iterate", "swap")
        self.assertEqual(str(caught.exception.error), "dictionary keys changed during iteration")

    def test_change_by_another_invocation(self):
        first = self.server.begin("Store", "iterate", "")
        self.server.step(first)
        self.server.put("Store", "d", {"a": 1, "b": 2, "c": 3, "d": 4})
        while first.status == fake.SUSPENDED:
            self.server.deliver(first)
            self.server.step(first)
        self.assertEqual(first.status, fake.RAISED)


class Writes(ViewCase):
    """What leaves the step, not only what remains."""

    def writes(self, script, before, **modes):
        self.server.put("Store", "d", before)
        for name, value in modes.items():
            setattr(self.server, name, value)
        self.server.call("Store", "run", script)
        return [
            (fake.codec.decode(key), value and fake.codec.decode(value), fresh)
            for _, key, value, fresh, _ in self.server.ends[-1][6]
        ]

    def reads(self):
        single, wholes = self.server.ends[-1][5]
        return [fake.codec.decode(key) for _, key in single], wholes

    def test_reading_writes_nothing(self):
        self.assertEqual(self.writes([["get", "a"], ["append", "b", 1], ["pop", "x"]], {"a": [1], "b": [], "c": 1}), [("b", [1], False)])
        self.assertEqual(self.reads(), (["a", "b", "x"], []))

    def test_equal_assignment_writes_nothing(self):
        self.assertEqual(self.writes([["get", "a"], ["set", "a", [1]]], {"a": [1]}), [])
        self.assertEqual(self.writes([["get", "a"], ["set", "a", [1.0]]], {"a": [1]}), [("a", [1.0], False)])
        self.assertEqual(self.writes([["get", "a"], ["set", "a", True]], {"a": 1}), [("a", True, False)])

    def test_blind_write_reads_nothing(self):
        self.assertEqual(self.writes([["set", "a", 5]], {"a": 1}), [("a", 5, False)])
        self.assertEqual(self.reads(), ([], []))
        self.assertEqual(self.server.fetches, [])

    def test_delete_and_insert_is_fresh(self):
        self.assertEqual(self.writes([["delete", "a"], ["set", "a", 1]], {"a": 1, "b": 2}), [("a", 1, True)])
        self.assertEqual(list(self.server.get("Store", "d")), ["b", "a"])

    def test_delete_and_insert_of_what_nobody_asked_for_is_fresh(self):
        script = [["set", "a", 1], ["delete", "a"], ["set", "a", 2]]
        self.assertEqual(self.writes(script, {"a": 0, "b": 2}), [("a", 2, True)])
        self.assertEqual(self.server.fetches, [])
        self.assertEqual(list(self.server.get("Store", "d")), ["b", "a"])
        self.writes(script, {"b": 2})
        self.assertEqual(list(self.server.get("Store", "d")), ["b", "a"])

    def test_insert_and_delete_leaves_nothing(self):
        self.assertEqual(self.writes([["in", "x"], ["set", "x", 1], ["delete", "x"]], {}), [])

    def test_keys_are_equal_as_in_python(self):
        self.assertEqual(self.writes([["get", 1.0], ["set", 1.0, "new"]], {True: "old"}), [(True, "new", False)])
        self.assertIs(list(self.server.get("Store", "d"))[0], True)

    def test_a_reinserted_key_takes_its_new_form(self):
        self.writes([["delete", 1.0], ["set", 1.0, "new"]], {True: "old"})
        self.assertIs(type(list(self.server.get("Store", "d"))[0]), float)

    def test_assigning_the_whole_writes_the_difference(self):
        script = [["assign", {"a": 1, "c": 4, "d": 5}]]
        self.assertEqual(self.writes(script, {"a": 1, "b": 2, "c": 3}), [("b", None, False), ("c", 4, False), ("d", 5, False)])

    def test_assigning_the_whole_in_another_order(self):
        self.assertEqual(self.writes([["assign", {"b": 2, "a": 1}]], {"a": 1, "b": 2}), [("a", 1, True)])

    def test_a_set_is_compared_without_order(self):
        self.server.put("Store", "d", {})
        before = {"a": {f"k{n}" for n in range(50)}}
        other = set(sorted(before["a"], reverse=True))
        self.assertEqual(self.writes([["get", "a"], ["set", "a", other]], before), [])
        self.assertEqual(len(self.writes([["get", "a"], ["set", "a", other | {"more"}]], before)), 1)
        self.assertEqual(len(self.writes([["get", "a"], ["set", "a", {1}]], {"a": {True}})), 1)

    def test_reads_of_a_whole_name_the_field_only(self):
        self.writes([["get", "a"], ["len"]], {"a": 1})
        self.assertEqual(self.reads(), ([], ["d"]))
        self.writes([["get", "a"]], {"a": 1}, ship_wholes=True)
        self.assertEqual(self.reads(), (["a"], []))


if __name__ == "__main__":
    unittest.main()
