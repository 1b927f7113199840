"""The checkers find planted errors, and find nothing in a good history."""

import copy
import unittest

from checkers import bookings, counts, ledger, replies


def event(path, args, reply, start, end, key=None, **more):
    return {"client": 0, "path": path, "args": args, "reply": reply, "start": start, "end": end, "key": key, **more}


class Bookings(unittest.TestCase):
    def setUp(self):
        self.events = [
            event("/Frontend/book", ["ann", "h", "f"], True, 0, 1, "1"),
            event("/Frontend/book", ["bob", "h", "f"], True, 0, 2, "2"),
            event("/Frontend/book", ["eve", "h", "g"], False, 3, 4, "3"),
        ]
        self.capacity = {"h": 2, "f": 3, "g": 1}
        self.state = {
            "hotels": {"h": {"free": 0, "clients": ["bob", "ann"]}},
            "flights": {"f": {"free": 1, "clients": ["ann", "bob"]}, "g": {"free": 1, "clients": []}},
            "orders": [{"user": name, "hotel": "h", "flight": "f"} for name in ("ann", "bob")],
        }

    def found(self, change):
        events, state = copy.deepcopy(self.events), copy.deepcopy(self.state)
        change(events, state)
        return bookings.check(events, state, self.capacity)

    def test_good(self):
        self.assertEqual(self.found(lambda events, state: None), [])

    def test_booked_but_no_order(self):
        self.assertIn("0 orders", self.found(lambda events, state: state["orders"].pop())[0])

    def test_order_placed_twice(self):
        self.assertTrue(self.found(lambda events, state: state["orders"].append(state["orders"][0])))

    def test_refused_but_stored(self):
        def change(events, state):
            state["flights"]["g"] = {"free": 0, "clients": ["eve"]}

        self.assertIn("('g', 'eve'): 0 replies, 1 stored", self.found(change)[0])

    def test_one_without_the_other(self):
        def change(events, state):
            state["hotels"]["h"] = {"free": 1, "clients": ["ann"]}

        self.assertTrue(self.found(change))

    def test_capacity_lost(self):
        self.assertTrue(self.found(lambda events, state: state["flights"]["f"].update(free=2)))

    def test_oversold(self):
        def change(events, state):
            events[2]["reply"] = True
            state["hotels"]["h"] = {"free": -1, "clients": ["ann", "bob", "eve"]}
            state["flights"]["g"] = {"free": 0, "clients": ["eve"]}
            state["orders"].append({"user": "eve", "hotel": "h", "flight": "g"})

        self.assertEqual(self.found(change), ["h: -1 free and 3 clients of 2"])

    def test_refused_too_early(self):
        def change(events, state):
            events[2].update(start=-2, end=-1)

        self.assertIn("was refused when at most [0, 0]", self.found(change)[0])


class Ledger(unittest.TestCase):
    initial = {"a": 10, "b": 0}
    events = [
        event("/Bank/transfer", ["a", "b", 4], True, 0, 1, "1"),
        event("/Bank/transfer", ["a", "b", 40], False, 0, 1, "2"),
        event("/Bank/audit", [["a", "b"]], 10, 0, 1, "3"),
        event("/Bank/open", ["c", "a", 1], True, 1, 2, "4"),
    ]

    def test_good(self):
        self.assertEqual(ledger.check(self.events, {"a": 5, "b": 4, "c": 1}, self.initial), [])

    def test_money_lost(self):
        self.assertIn("b has 3", ledger.check(self.events, {"a": 5, "b": 3, "c": 1}, self.initial)[0])

    def test_applied_twice(self):
        self.assertEqual(len(ledger.check(self.events, {"a": 1, "b": 8, "c": 1}, self.initial)), 2)

    def test_audit_between(self):
        bad = [*self.events, event("/Bank/audit_opened", [["a", "b"]], 9, 0, 1, "5")]
        self.assertIn("saw 9 instead of 10", ledger.check(bad, {"a": 5, "b": 4, "c": 1}, self.initial)[0])

    def test_negative(self):
        bad = [event("/Bank/transfer", ["a", "b", 11], True, 0, 1, "1")]
        self.assertIn("a has -1", ledger.check(bad, {"a": -1, "b": 11}, self.initial)[0])

    def test_opened_twice(self):
        bad = [*self.events, event("/Bank/open", ["c", "a", 1], True, 3, 4, "9")]
        self.assertIn("opened twice", ledger.check(bad, {"a": 4, "b": 4, "c": 2}, self.initial)[0])


class Counts(unittest.TestCase):
    def found(self, times, stored):
        """`times`: reply, start, end."""
        events = [event("/Counter/increment", ["k"], *entry, str(n)) for n, entry in enumerate(times)]
        return counts.check(events, {"k": stored})

    def test_good(self):
        self.assertEqual(self.found([(2, 0, 5), (1, 1, 4), (3, 6, 7)], 3), [])

    def test_lost_update(self):
        self.assertIn("twice [1]", self.found([(1, 0, 1), (1, 0, 1)], 1)[0])

    def test_counted_without_reply(self):
        self.assertIn("missing [2]", self.found([(1, 0, 1), (3, 2, 3)], 3)[0])

    def test_stored_less_than_replied(self):
        self.assertTrue(self.found([(1, 0, 1), (2, 2, 3)], 1))

    def test_stale(self):
        self.assertEqual(self.found([(2, 0, 1), (1, 2, 3)], 2), ["k: 1 was given after 2"])


class Replies(unittest.TestCase):
    def test_good(self):
        events = [event("/x", [], 1, 0, 1, "k", id="i"), event("/x", [], 1, 5, 6, "k", id="i")]
        self.assertEqual(replies.check(events), [])
        self.assertEqual([(e["start"], e["end"]) for e in replies.distinct(events)], [(0, 1)])

    def test_another_reply(self):
        events = [event("/x", [], 1, 0, 1, "k"), event("/x", [], 2, 5, 6, "k")]
        self.assertEqual(replies.check(events), ["k: reply was 1, then 2"])

    def test_another_invocation(self):
        events = [event("/x", [], 1, 0, 1, "k", id="i"), event("/x", [], 1, 5, 6, "k", id="j")]
        self.assertEqual(replies.check(events), ["k: id was 'i', then 'j'"])


if __name__ == "__main__":
    unittest.main()
