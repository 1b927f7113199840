"""The simulator's checkers find errors planted in histories of the real binary, and nothing in a good one."""

import copy
import tempfile
import unittest
from pathlib import Path

import recorded


def event(path, args, reply, start, end, key=None):
    return {"path": path, "args": args, "reply": reply, "start": start, "end": end, "key": key, "status": 200, "id": key}


class Recorded(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "history.txt"
        self.events = [
            event("/Registers/move", [["a", "b"], 5], [0, 0], 1, 4, "1"),
            event("/Registers/move", [["b", "c"], 6], [5, 0], 2, 6, "2"),
            event("/Registers/look", [["a", "b", "c"]], [5, 6, 6], 3, 7, "3"),
            event("/Counter/increment", ["n"], 1, 1, 2, "4"),
            event("/Counter/increment", ["n"], 2, 1, 2, "5"),
            event("/Bank/transfer", ["x", "y", 3], True, 1, 2, "6"),
        ]
        self.events.append({**self.events[1], "start": 8, "end": 9})
        self.ends = {"register a": 5, "register b": 6, "register c": 6, "counter n": 2}

    def found(self, change):
        events, ends, left = copy.deepcopy(self.events), dict(self.ends), []
        change(events, ends, left)
        return "".join(recorded.judge(self.path, events, ends, left))

    def test_good(self):
        self.assertEqual(self.found(lambda events, ends, left: None), "")

    def test_another_answer_to_the_same_key(self):
        self.assertIn("once", self.found(lambda events, ends, left: events[-1].update(reply=[5, 5])))

    def test_half_of_a_transaction_was_seen(self):
        self.assertIn("serial", self.found(lambda events, ends, left: events[2].update(reply=[5, 0, 6])))

    def test_a_lost_update(self):
        self.assertIn("linear", self.found(lambda events, ends, left: events[4].update(reply=1)))

    def test_an_answer_from_the_past(self):
        self.assertIn("linear", self.found(lambda events, ends, left: events[2].update(start=10, end=11, reply=[0, 0, 0])))

    def test_an_acknowledged_write_is_gone(self):
        self.assertIn("loss", self.found(lambda events, ends, left: ends.update({"register c": 0})))

    def test_something_did_not_end(self):
        self.assertIn("progress", self.found(lambda events, ends, left: left.append({"id": "x"})))


if __name__ == "__main__":
    unittest.main()
