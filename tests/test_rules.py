"""Rules of replay, locks and transactions that show from outside, also when every suspension is replayed."""

import threading
import unittest

from harness import APPS, EndToEnd, binary, fault_binary, in_parallel, until

STEPS_OVER_BOTH = 20


class Rules(EndToEnd):
    """On the binary as shipped."""

    def program(self) -> str:
        return binary()

    def environment(self) -> dict:
        return {}

    def setUp(self):
        super().setUp()
        self.node = self.server(APPS / "rules", program=self.program(), env=self.environment()).start()
        self.client = self.node.client()

    def test_replay_sees_what_was_read_before(self):
        invocation = self.client.send("/Cells/read_around", ["k", 0.6])
        until("asleep", lambda: (self.client.describe(invocation).get("waiting") or {}).get("reason") == "sleep")
        self.assertEqual(self.client.call("/Cells/add", ["k", 5]), 5)
        self.assertEqual(self.client.result(invocation).json, [0, 5])

    def test_results_in_another_order(self):
        self.assertEqual(self.client.call("/Scopes/race", [0.05, 0.2]), ["slow", "fast", "fast", "slow"])

    def test_two_children_of_one_transaction_on_one_cell(self):
        replies = in_parallel(6, lambda _: self.node.client().call("/Scopes/twice", ["k"]))
        self.assertEqual(sorted(replies), [1 + 2, 3 + 4, 5 + 6, 7 + 8, 9 + 10, 11 + 12])
        self.assertEqual(self.client.call("/Cells/get", ["k"]), 12)

    def test_aborted_leaves_nothing_and_sums_are_of_one_moment(self):
        keys = [f"k{n}" for n in range(6)]

        def work(number):
            client = self.node.client()
            for n in range(10):
                if number % 2:
                    self.assertEqual(client.call("/Scopes/add_all", [keys, n % 3 > 0]), n % 3 > 0)
                else:
                    self.assertEqual(client.call("/Scopes/sum", [keys]) % len(keys), 0)

        in_parallel(6, work)
        kept = 3 * sum(n % 3 > 0 for n in range(10))
        self.assertEqual([self.client.call("/Cells/get", [key]) for key in keys], [kept] * len(keys))
        self.assert_nothing_unfinished(self.client)

    def test_two_cells_against_a_steady_stream_on_each(self):
        """A number of steps over both go through while neither is ever idle; each call has a time limit."""
        done = threading.Event()
        added = {"a": 0, "b": 0}
        lock = threading.Lock()

        def work(number):
            client = self.node.client()
            if number == 0:
                try:
                    for _ in range(STEPS_OVER_BOTH):
                        client.call("/Cells/both", ["a", "b"])
                finally:
                    done.set()
                return
            key = "ab"[number % 2]
            while not done.is_set():
                client.call("/Cells/add", [key, 1])
                with lock:
                    added[key] += 1

        in_parallel(7, work)
        for key in "ab":
            self.assertEqual(self.client.call("/Cells/get", [key]), added[key] + STEPS_OVER_BOTH)

    def test_order_of_iteration(self):
        for key in ("c", "a", "b"):
            self.client.call("/Cells/add", [key, 1])
        self.assertEqual(list(self.client.field("Cells/values")), ["c", "a", "b"])


class RulesEvicting(Rules):
    """On the binary with fault points, which drops every invocation that suspends outside a transaction."""

    def program(self) -> str:
        return fault_binary()

    def environment(self) -> dict:
        return {"SOSTENUTO_EVICT": "1"}


if __name__ == "__main__":
    unittest.main()
