"""Running ahead: what a step leaves in its cells for the one that follows it."""

import unittest
from unittest import mock

from fake import dumps

from sostenuto.worker import follow
from sostenuto.worker.run import DROPPED, END, NOT_STORABLE, RAISED, RETURNED, SUSPENDED

NONE = dumps(None)


def end(status=RETURNED, writes=(), ops=(), doom=None, payload=NONE):
    return (END, 1, bytes(16), status, payload, ([], []), list(writes), list(ops), (0, []), [], doom, ([], []))


class LeftBy(unittest.TestCase):
    def test_scalar_fields(self):
        shipped = ([("a", None, dumps(1), 7), ("b", None, None, 0), ("c", None, dumps(3), 9)], [])
        writes = [
            ("a", None, dumps(2), False, None), ("b", None, dumps(5), False, 4), ("c", None, None, False, None),
        ]
        left = [("a", None, dumps(2), 7), ("b", None, dumps(5), 4), ("c", None, None, 0)]
        self.assertEqual(follow.left_by(shipped, end(writes=writes)), (left, []))
        self.assertEqual(follow.left_by(shipped, end(RAISED, writes)), (left, []))

    def test_entries_keep_their_first_key(self):
        shipped = ([("d", dumps(1), dumps("one"), 0), ("d", dumps("x"), None, 0)], [])
        writes = [("d", dumps(True), dumps("true"), False, None), ("d", dumps("x"), dumps("new"), False, None)]
        left = [("d", dumps(1), dumps("true"), 0), ("d", dumps("x"), dumps("new"), 0)]
        self.assertEqual(follow.left_by(shipped, end(writes=writes))[0], left)

    def test_one_field_alone_is_as_among_others(self):
        other = ("z", None, dumps(0), 3)
        for cell, write in (
            (("a", None, dumps(1), 7), ("a", None, dumps(2), False, None)),
            (("a", None, None, 0), ("a", None, dumps(2), False, 5)),
            (("a", None, dumps(1), 7), ("a", None, None, False, None)),
            (("d", dumps(1), dumps("one"), 0), ("d", dumps(True), dumps("true"), False, None)),
            (("a", None, dumps(1), 7), ("b", None, dumps(2), False, None)),
        ):
            with self.subTest(write=write):
                alone = follow.left_by(([cell], []), end(writes=[write]))
                among = follow.left_by(([cell, other], []), end(writes=[write]))
                self.assertEqual(alone and alone[0], among and among[0][:1])

    def test_nothing_written(self):
        shipped = ([("a", None, dumps(1), 7)], [])
        self.assertEqual(follow.left_by(shipped, end()), shipped)

    def test_what_the_server_may_see_otherwise(self):
        shipped = ([("a", None, dumps(1), 7)], [])
        wrote = [("a", None, dumps(2), False, None)]
        large = dumps("x" * 40_000)
        for what, shipped_first, ended in (
            ("suspended", shipped, end(SUSPENDED, wrote)),
            ("not storable", shipped, end(NOT_STORABLE, wrote)),
            ("asks for something", shipped, end(writes=wrote, ops=[("0", 1, "A", None, "m", NONE)])),
            ("doomed", shipped, end(writes=wrote, doom=NONE)),
            ("a large result", shipped, end(writes=wrote, payload=large)),
            ("a large value", shipped, end(writes=[("a", None, large, False, None)])),
            ("a cell that was fetched", shipped, end(writes=[("z", None, dumps(2), False, None)])),
            ("a whole field", (shipped[0], [("w", [])]), end(writes=wrote)),
            ("dropped", shipped, (DROPPED, 1)),
        ):
            with self.subTest(what):
                self.assertIsNone(follow.left_by(shipped_first, ended))


class Follow(unittest.TestCase):
    def test_in_a_row_and_in_time(self):
        now = 100.0
        with mock.patch.object(follow, "monotonic", lambda: now):
            steps = follow.Follow()
            steps.begins()
            steps.ended(1, ([("a", None, dumps(0), 0)], []), end(writes=[("a", None, dumps(1), False, None)]))
            second = steps.left_by(1)
            self.assertEqual(second, ([("a", None, dumps(1), 0)], []))
            steps.ended(2, second, end(writes=[("a", None, dumps(2), False, None)]))
            self.assertIsNone(steps.left_by(1))
            self.assertEqual(steps.left_by(2), ([("a", None, dumps(2), 0)], []))
            now += 1.0
            self.assertIsNone(steps.left_by(2))
            # More has come: what is to follow has not waited.
            steps.begins()
            self.assertEqual(steps.left_by(2), ([("a", None, dumps(2), 0)], []))

    def test_not_behind_something_else(self):
        steps = follow.Follow()
        steps.begins()
        steps.ended(1, ([], []), end())
        steps.forget()
        self.assertIsNone(steps.left_by(1))


if __name__ == "__main__":
    unittest.main()
