"""Values that a worker keeps, and the objects that user code gets again."""

import unittest
from unittest import mock

import fake
from sostenuto.worker import codec, resident
from sostenuto.worker.resident import Resident

TABLE = {f"row {number}": number for number in range(50)}

SOURCE = '''\
KEPT = []


class Sheet:
    def get(self):
        return self.table["row 1"]

    def add(self):
        self.table["row 1"] += 1
        return self.table["row 1"]

    def leave(self):
        KEPT.append(self.table)

    def spoil(self):
        KEPT.pop()["row 1"] = "spoilt"

    def nest(self, first):
        both = [first]
        self.table["row 1"] = both
        self.other["row 1"] = both

    def append(self):
        self.table["row 1"].append(2)
        return self.table["row 1"]

    def in_other(self):
        return self.other["row 1"]

    def fail(self):
        self.table["row 1"] = 99
        raise ValueError("no")

    def unstorable(self):
        self.other = {"a": "b" * 50}
        self.table["row 1"] = object()

    def put(self, name, value):
        self.entries[name] = value

    def entry(self, name):
        return self.entries[name]["row 1"]
'''
METHODS = ("get", "add", "leave", "spoil", "nest", "append", "in_other", "fail", "unstorable", "put", "entry")
SHEET = fake.service("Sheet", scalars={"table": TABLE, "other": {}}, dicts=["entries"], methods=METHODS)


class Names(unittest.TestCase):
    """What names stand for."""

    def setUp(self):
        self.resident = Resident()
        self.resident.bytes_min = 3

    def start(self, *cells):
        return (1, 7, b"i", "S", "m", None, b"", b"", 0, 0, ([("f", None, value, 0) for value in cells], []), [], [], None)

    def receive(self, *messages, gone=()):
        frame = [*messages, (5, list(gone))]
        self.resident.receive(frame)
        return frame

    def test_in_order(self):
        frame = self.receive(self.start((0, b"abc"), None, b"d"), (2, 8, b"i", 0, ([("f", None, 0, 0)], []), []))
        self.assertEqual([cell[2] for cell in frame[0][10][0]], [b"abc", None, b"d"])
        self.assertEqual(frame[1][4][0][0][2], b"abc")
        # What a frame gives up is named in it for the last time.
        [message] = self.receive((4, 9, ([("f", None, 0, 5)], [])), gone=[0, 17])
        self.assertEqual(message, (4, 9, ([("f", None, b"abc", 5)], [])))
        self.assertEqual((self.resident.names, self.resident.found), ({}, {}))

    def test_without_cells(self):
        self.assertEqual(self.receive((4, 9, None), (3, b"i")), [(4, 9, None), (3, b"i")])

    def test_only_what_an_end_says_is_kept(self):
        data = b"abcdef"
        self.resident.wrote(data, None)
        self.resident.wrote(b"ghijkl", None)
        end = (10, 7, b"i", 0, b"", ([], []), [("f", None, data, False, None), ("g", None, None, False, None)])
        self.resident.announce(end)
        self.assertEqual(end[6], [("f", None, data, False, None, 1), ("g", None, None, False, None)])
        self.assertEqual({name: kept.data for name, kept in self.resident.names.items()}, {1: data})
        self.assertEqual(self.resident.candidates, [])

    def test_objects(self):
        value, data = dict(TABLE), codec.encode(TABLE)
        self.resident.wrote(data, value)
        self.resident.announce((10, 7, b"i", 0, b"", ([], []), [("f", None, data, False, None)]))
        self.assertIsNot(self.resident.decode(data), value, "somebody has it")
        for kind in (list, tuple):
            data = codec.encode(kind(range(50)))
            self.resident.wrote(data, kind(range(50)))
            self.resident.announce((10, 7, b"i", 0, b"", ([], []), [("f", None, data, False, None)]))
            first = self.resident.decode(data)
            self.assertEqual(first, kind(range(50)))
            self.resident.read(data, first)
            here = id(first)
            del first
            self.resident.announce((10, 7, b"i", 0, b"", ([], []), []))
            self.assertEqual(id(self.resident.decode(data)), here)

    def test_sets_are_decoded_afresh(self):
        data = codec.encode(set(range(50)))
        self.resident.wrote(data, set(range(50)))
        self.resident.announce((10, 7, b"i", 0, b"", ([], []), [("f", None, data, False, None)]))
        self.assertIsNot(self.resident.decode(data), self.resident.decode(data))

    def test_text_is_shared(self):
        data = codec.encode("x" * 50)
        self.resident.wrote(data, "x" * 50)
        self.resident.announce((10, 7, b"i", 0, b"", ([], []), [("f", None, data, False, None)]))
        self.assertIs(self.resident.decode(data), self.resident.decode(data))


class Steps(unittest.TestCase):
    """What user code sees."""

    def setUp(self):
        self.server = fake.Server(fake.Inside(), [fake.module("app", SOURCE)], [SHEET])
        self.addCleanup(self.server.close)

    def call(self, method, *args):
        return self.server.call("Sheet", method, *args)

    def test_read_and_changed(self):
        for expected in range(1, 20):
            self.assertEqual(self.call("get"), expected)
            self.assertEqual(self.call("add"), expected + 1)

    def spoilt(self):
        self.call("add")
        self.call("leave")
        self.call("spoil")
        return self.call("get")

    def test_what_somebody_has_is_not_given_again(self):
        self.assertEqual(self.spoilt(), 2)
        with mock.patch.object(resident, "getrefcount", lambda value: 2):
            self.assertEqual(self.spoilt(), "spoilt", "this test finds what it is for")

    def nested(self, first):
        self.call("nest", first)
        self.assertEqual(self.call("append"), [first, 2])
        return self.call("in_other")

    def test_what_holds_what_can_change_is_not_given_again(self):
        self.assertEqual(self.nested(1), [1])
        with mock.patch.object(resident, "is_flat", lambda value: True):
            self.assertEqual(self.nested(5), [5, 2], "this test finds what it is for")

    def test_a_step_that_fails(self):
        self.call("add")
        for method in ("fail", "unstorable"):
            with self.assertRaises(fake.Failed):
                self.call(method)
        self.assertEqual(self.call("get"), self.server.get("Sheet", "table")["row 1"])

    def test_entries(self):
        for number in range(3):
            self.call("put", number, {**TABLE, "row 1": number})
        self.call("put", 3, {**TABLE, "row 1": 1})
        self.assertEqual([self.call("entry", number) for number in (0, 1, 2, 3, 1)], [0, 1, 2, 1, 1])


if __name__ == "__main__":
    unittest.main()
