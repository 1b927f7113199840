"""The examples as plain Python classes, without a server: the library works in memory for unit tests."""

import asyncio
import importlib
import sys
import unittest

from harness import EXAMPLES, ROOT


class Plain(unittest.TestCase):
    def app(self, example: str):
        """The example's module, with fresh state."""
        for path in (str(ROOT / "python"), str(EXAMPLES / example)):
            sys.path.insert(0, path)
            self.addCleanup(sys.path.remove, path)
        for name in ("app", "reading", "writing"):
            sys.modules.pop(name, None)
        module = importlib.import_module("app")
        importlib.import_module("sostenuto.memory").reset()
        return module

    def test_hotel(self):
        app = self.app("hotel")
        hotel, flight, orders = app.Hotel(), app.Flight(), app.Orders()
        hotel.add("attic", 1)
        book = app.Frontend().book
        self.assertEqual([asyncio.run(book(user, "attic", "lh1")) for user in ("ann", "bob")], [True, False])
        self.assertEqual((hotel.clients("attic"), flight.clients("lh1")), (["ann"], ["ann"]))
        self.assertEqual([order["user"] for order in orders.all()], ["ann"])

    def test_bank(self):
        app = self.app("bank")
        app.Account("ann").deposit(100)
        bank = app.Bank()
        self.assertTrue(bank.transfer("ann", "bob", 30))
        self.assertFalse(bank.transfer("ann", "bob", 300))
        self.assertTrue(bank.open("cy", "bob", 10))
        self.assertEqual(asyncio.run(bank.audit_opened(["ann", "bob"])), 100)
        balances = [asyncio.run(app.Account(name).balance()) for name in ("ann", "bob", "cy")]
        self.assertEqual(balances, [70, 20, 10])

    def test_counter(self):
        app = self.app("counter")
        counter = app.Counter()
        self.assertEqual([counter.increment("k"), counter.increment("k"), counter.increment("l")], [1, 2, 1])
        self.assertEqual((counter.get("k"), counter.total()), (2, 3))

    def test_reviews(self):
        app = self.app("reviews")
        review = asyncio.run(app.ComposeReview().compose("ann", "Solaris", " see https://example.org @bob ", 9))
        self.assertEqual((review["links"], review["mentions"], review["stars"]), (["https://example.org"], ["bob"], 9))
        self.assertEqual(asyncio.run(app.Page().movie("Solaris"))["reviews"], [review])
        with self.assertRaises(ValueError):
            asyncio.run(app.ComposeReview().compose("ann", "Solaris", "", 11))


if __name__ == "__main__":
    unittest.main()
