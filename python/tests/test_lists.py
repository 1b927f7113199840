"""List fields against the real thing: random programs on a list and on a list field must not differ."""

import copy
import os
import random
import unittest
from types import SimpleNamespace

import exercise_list as exercise
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

    def unstorable(self, index):
        self.l[index] = [object()]

    def unstorable_at_end(self):
        self.l.append({"x": object()})

    def wrong(self, value):
        self.l = value

    def other(self):
        self.m = self.l
        self.m.append("own")
        self.l.append(self.m)
        self.d = {"l": self.l}
        return self.m is self.l, len(self.m), len(self.l)

    async def iterate(self):
        seen = []
        for value in self.l:
            seen.append(value)
            await __sos__.sleep(1)
            if len(seen) == 3:
                self.l.append("new")
            await __sos__.sleep(1)
        return seen

    async def read_one(self, index):
        value = self.l[index]
        await __sos__.sleep(1)
        return value, self.l[index]
'''
APP = [fake.module("app", exercise.SOURCE + METHODS)]
METHOD_NAMES = ["run", "run_in_steps", "unstorable", "unstorable_at_end", "wrong", "other", "iterate", "read_one"]
ROUNDS = int(os.environ.get("SOSTENUTO_LIST_ROUNDS", "40"))


def store(initial=()):
    return fake.service("Store", lists={"l": list(initial), "m": []}, dicts=["d"], methods=METHOD_NAMES)


class ListCase(unittest.TestCase):
    def serve(self, initial=()):
        server = fake.Server(fake.Inside(), APP, [store(initial)])
        self.addCleanup(server.close)
        return server


class Differential(ListCase):
    def check(self, seed, **modes):
        dice = random.Random(seed)
        names = exercise.operations()
        begins = exercise.elements(dice, dice.choice([0, 1, 63, 64, 65, 128, dice.randrange(300)]))
        stored = dice.random() < 0.7
        server = self.serve([] if stored else begins)
        plain, model = exercise.plain(), SimpleNamespace(l=[])
        if stored:
            # It grows as lists do, so that its beginning may lie anywhere.
            grown = [["prepend", [0] * dice.randrange(8)], ["extend", begins], ["drain", dice.randrange(100)]]
            self.assertEqual(server.call("Store", "run", grown), plain(model, grown))
        else:
            model.l = as_stored(begins)
        for name, value in modes.items():
            setattr(server, name, value)
        for round_ in range(8):
            script = exercise.script(dice, names, dice.choice([1, 2, 4, 12]))
            with self.subTest(seed=seed, round=round_, script=script, modes=modes):
                before = repr(model.l)
                got, expected = server.call("Store", "run", script), plain(model, script)
                for operation, one, other in zip(script, got, expected, strict=True):
                    self.assertEqual(one, other, (operation, before))
                model.l = as_stored(model.l)
                self.assertEqual(repr(server.get("Store", "l")), repr(model.l), before)

    def test_every_operation_ran(self):
        dice, names = random.Random(1), exercise.operations()
        ran = {operation[0] for _ in range(2000) for operation in exercise.script(dice, names, 5)}
        self.assertEqual(ran, set(names))

    def test_with_the_header_shipped(self):
        for seed in range(ROUNDS):
            self.check(seed)

    def test_with_a_miss_at_every_access(self):
        for seed in range(1000, 1000 + ROUNDS):
            self.check(seed, ship_nothing=True)

    def test_with_whole_fields_shipped(self):
        for seed in range(2000, 2000 + ROUNDS):
            self.check(seed, ship_wholes=True)

    def test_over_suspensions_and_replays(self):
        names = exercise.operations()
        for seed in range(ROUNDS):
            dice = random.Random(seed)
            server, plain, model = self.serve(), exercise.plain(), SimpleNamespace(l=[])
            server.evict_always = seed % 2 == 0
            server.ship_nothing = seed % 3 == 0
            scripts = [[["extend", exercise.elements(dice, dice.randrange(300))]]]
            scripts += [exercise.script(dice, names, dice.choice([1, 3])) for _ in range(6)]
            with self.subTest(seed=seed, scripts=scripts):
                expected = []
                for script in scripts:
                    expected.append(plain(model, script))
                    model.l = as_stored(model.l)
                self.assertEqual(server.call("Store", "run_in_steps", scripts), expected)
                self.assertEqual(repr(server.get("Store", "l")), repr(model.l))


class Cells(ListCase):
    def filled(self, count):
        server = self.serve()
        server.call("Store", "run", [["extend", list(range(count))]])
        server.ends.clear()
        server.fetches.clear()
        return server


    def step(self, server, *operation):
        """Runs one operation: keys that were fetched, keys that were written."""
        server.fetches.clear()
        cells = {key: value[1] for key, value in server.cells("Store")["l"].items()}
        server.call("Store", "run", [list(operation)])
        after = {key: value[1] for key, value in server.cells("Store")["l"].items()}
        changed = {key for key in {*cells, *after} if cells.get(key) != after.get(key)}
        return [key if key is ... else fake.codec.decode(key) for _, key in server.fetches], changed

    def test_the_ends_and_one_element_touch_one_chunk(self):
        for count in (300, 100_000, 1_000_010):
            server = self.filled(count)
            with self.subTest(count=count):
                self.assertEqual(self.step(server, "append", 1), ([], {None}))
                self.assertEqual(self.step(server, "pop"), ([], {None}))
                self.assertEqual(self.step(server, "len"), ([], set()))
                self.assertEqual(self.step(server, "get", 70), ([1], set()))
                self.assertEqual(self.step(server, "set", 70, "x"), ([1], {1}))
                self.assertEqual(self.step(server, "get", -1), ([], set()))
                self.assertEqual(self.step(server, "pop_first"), ([0], {None, 0}))
                self.assertEqual(self.step(server, "insert", 0, "y"), ([0], {None, 0}))
                self.assertEqual(self.step(server, "insert", 0, "z"), ([-1], {None, -1}))
                self.assertEqual(self.step(server, "pop_first"), ([-1], {None, -1}))
                fetched, changed = self.step(server, "slice", 60, 70, None)
                self.assertEqual((sorted(fetched), changed), ([0, 1], set()))

    def test_a_full_chunk_is_put_away_once(self):
        server = self.filled(128)
        self.assertEqual(self.step(server, "append", 1), ([1], {None, 1}))
        self.assertEqual(self.step(server, "pop"), ([], {None}))
        self.assertEqual(self.step(server, "append", 1), ([], {None}))
        self.step(server, "pop")
        self.assertEqual(self.step(server, "pop"), ([1], {None, 1}))
        self.assertEqual(server.get("Store", "l"), list(range(127)))

    def test_near_the_end_only_what_follows_is_rewritten(self):
        server = self.filled(100_000)
        fetched, changed = self.step(server, "insert", -70, "x")
        self.assertEqual(changed, {None, 1561})
        self.assertEqual(fetched, [1561])

    def test_the_journal_holds_what_was_read(self):
        server = self.filled(100_000)
        server.evict_always = True
        self.assertEqual(server.call("Store", "read_one", 640), (640, 640))
        reads, wholes = server.ends[0][5]
        self.assertEqual([fake.codec.decode(key) for _, key in reads], [None, 10])
        self.assertEqual(wholes, [])

    def test_an_initial_list_is_stored_when_it_changes(self):
        server = self.serve(range(200))
        self.assertEqual(server.call("Store", "run", [["get", 150], ["len"]]), ["150", "200"])
        self.assertEqual(server.cells("Store")["l"], {})
        server.call("Store", "run", [["append", "x"]])
        self.assertEqual(server.get("Store", "l"), [*range(200), "x"])


class Values(ListCase):
    def failed(self, server, method, *args):
        with self.assertRaises(fake.Failed) as caught:
            server.call("Store", method, *args)
        return caught.exception.error

    def test_what_cannot_be_stored_is_named(self):
        server = self.serve()
        server.call("Store", "run", [["extend", list(range(200))]])
        for index, count in ((70, 200), (199, 200)):
            error = self.failed(server, "unstorable", index)
            self.assertRegex(str(error), rf"Store\.l\[{index}\]\[0\]: .*assigned at app\.py:\d+")
        error = self.failed(server, "unstorable_at_end")
        self.assertRegex(str(error), r"Store\.l\[200\]\['x'\]: .*assigned at app\.py:\d+")
        self.assertEqual(server.get("Store", "l"), list(range(200)))

    def test_large_neighbours_are_refused_with_advice(self):
        server = self.serve()
        server.call("Store", "run", [["append", "x" * 200_000]])
        error = self.failed(server, "run", [["append", "x" * 200_000]])
        self.assertRegex(str(error), r"^Store\.l: 64 neighbouring elements are one cell of at most 262144 bytes")
        self.assertEqual(len(server.get("Store", "l")), 1)

    def test_only_a_list_can_be_assigned(self):
        error = self.failed(self.serve(), "wrong", (1, 2))
        self.assertEqual(str(error), "Store.l is a list field and cannot hold a tuple")

    def test_storing_it_elsewhere_copies(self):
        server = self.serve([1])
        self.assertEqual(server.call("Store", "other"), (False, 2, 2))
        self.assertEqual(server.get("Store", "m"), [1, "own"])
        self.assertEqual(server.get("Store", "l"), [1, [1, "own"]])
        self.assertEqual(server.get("Store", "d"), {"l": [1, [1, "own"]]})

    def test_iteration_over_suspensions(self):
        for evict in (False, True):
            server = self.serve([1, 2])
            server.evict_always = evict
            server.call("Store", "run", [["append", 3]])
            self.assertEqual(server.call("Store", "iterate"), [1, 2, 3, "new"])


def as_stored(values):
    """The list after a step: an object that was in it twice is two."""
    return [copy.deepcopy(value) for value in values]


if __name__ == "__main__":
    unittest.main()
