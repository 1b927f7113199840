"""Cells whose keys the arguments tell are shipped with the step: it asks for none. What the arguments do not tell, or not
with these values, costs a fetch and gives the same result.
"""

import unittest

from harness import APPS, EndToEnd

ENTRIES = [
    ["ann:1", 11], ["ann:2", 12], ["bob:1", 21], ["ann:True", 13], ["ann:1.0", 14], ["ann:None", 15],
    ["u/ann/1", 31], ["a-b", 32], ["7", 33], ["deep", 34], ["ann", 35], ["sku1", 100], ["sku2", 200],
    [["a", 1], 36], [True, 37], [5, 38],
]  # fmt: skip
ORDER = {"user": "ann", "lines": [{"sku": "sku1", "count": 1}, {"sku": "sku2", "count": 2}]}

#: Method, arguments, result, cells that it must ask for.
CALLS = [
    ("text", ["ann", 1], 11, 0),
    ("text", ["ann", "2"], 12, 0),
    ("text", ["ann", True], 13, 1),
    ("text", ["ann", 1.0], 14, 1),
    ("text", ["ann", None], 15, 1),
    ("added", ["ann", 1], 31, 0),
    ("added", ["ann", "1"], 31, 0),
    ("joined", ["a", "b"], 32, 0),
    ("item", [{"x": 7, "a": {"b": "deep"}}], [33, 34], 0),
    ("field", [ORDER], 35, 0),
    ("pair", ["a", 1], 36, 0),
    ("each", [["ann:1", "bob:1", "ann:1", 1, 5.0]], [11, 21, 11, 37, 38], 0),
    ("each", [[]], [], 0),
    ("each_text", ["ann", [2, 1]], 23, 0),
    ("each_line", [ORDER], [99, 198], 0),
    ("helped", [["ann", "bob"], 1], [11, 21], 0),
    ("waits", ["ann", 1], 11, 0),
    ("waits_in_helper", ["ann", 1], 11, 0),
    ("lowered", ["ANN"], 35, 1),
    ("default", ["ann", 2], 12, 0),
    ("default", ["ann"], 11, 1),
    ("default", [], 11, 1),
]


class Locality(EndToEnd):
    def fetches(self):
        # A further step ends only when what came before it has been counted.
        self.client.call("/Shop/each", [[]])
        name = "sostenuto_fetches_total "
        lines = self.client.get("/_/metrics").body.decode().splitlines()
        return next(int(line.removeprefix(name)) for line in lines if line.startswith(name))

    def test_cells_that_the_arguments_tell_are_not_asked_for(self):
        self.client = self.server(APPS / "locality").start().client()
        self.client.call("/Shop/fill", [ENTRIES])
        for method, args, result, missing in CALLS:
            with self.subTest(method=method, args=args):
                before = self.fetches()
                self.assertEqual(self.client.call(f"/Shop/{method}", args), result)
                self.assertEqual(self.fetches() - before, missing)
        self.assert_nothing_unfinished(self.client)


if __name__ == "__main__":
    unittest.main()
