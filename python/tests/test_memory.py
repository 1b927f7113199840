"""Services in plain Python, as a user's unit tests see them."""

import asyncio
import unittest

import fake  # noqa: F401 (makes the package importable)

import sostenuto
from sostenuto import Aborted, Persistent, abort, entity, memory, send, service, sleep, task, transaction


@service
class Hotel:
    rooms: Persistent[dict[str, int]] = {}
    log: "Persistent[list]" = []

    def reserve(self, name, guests):
        guests.append("changed by the callee")
        self.rooms[name] -= 1
        if self.rooms[name] < 0:
            raise ValueError("full")
        return self.log

    async def slow(self):
        await sleep(0)
        return "slow"


@entity
class Account:
    balance: Persistent[int] = 0

    def deposit(self, amount):
        self.balance += amount
        return self.key, self.balance


@service
class Front:
    hotel: Hotel

    async def book(self, names):
        async with transaction():
            await asyncio.gather(*[self.hotel.reserve(name, []) for name in names])
            await Account("ann").deposit(5)
            if len(names) > 1:
                abort("too many")
        return "booked"

    def plain(self, guests):
        log = self.hotel.reserve("a", guests)
        log.append("changed by the caller")
        return guests, Hotel().reserve("a", []), self.hotel.slow()

    async def nested(self):
        async with transaction():
            try:
                with transaction():
                    await Account("ann").deposit(5)
                    raise ValueError
            except ValueError:
                pass

    def pay(self):
        send(Account("ann").deposit(1))

    async def sends_before(self):
        account = Account("ann")
        send(account.deposit(1))
        first = await account.deposit(10)
        send(account.deposit(100))
        send(account.deposit(1000))
        return first[1], (await account.deposit(0))[1]

    async def sends_outside(self):
        send(Account("ann").deposit(1))
        async with transaction():
            abort("only this")

    async def sends_if_committed(self, fails):
        async with transaction():
            send(Account("ann").deposit(1))
            seen = await Account("ann").deposit(10)
            if fails:
                abort("not sent")
        return seen[1], (await Account("ann").deposit(0))[1]

    def sleeps(self):
        with transaction():
            sleep(1)

    def unknown(self):
        self.hotel.nothing()


@task(retries=3)
def mail(to):
    return to


class Memory(unittest.TestCase):
    def setUp(self):
        sostenuto.use(memory)
        memory.reset()
        self.hotel = Hotel()
        self.hotel.rooms["a"] = 2
        self.front = Front()

    def test_fields_are_fresh_for_each_instance(self):
        self.assertEqual(Hotel().rooms, {})
        self.assertEqual(Account("x").balance, 0)

    def test_a_client_reaches_the_newest_instance_and_copies(self):
        guests, log, slow = self.front.plain([])
        self.assertEqual((guests, log, slow), ([], [], "slow"))
        self.assertEqual((self.hotel.rooms, self.hotel.log), ({"a": 0}, []))

    def test_a_transaction_commits_or_leaves_nothing(self):
        self.assertEqual(asyncio.run(self.front.book(["a"])), "booked")
        self.assertEqual((self.hotel.rooms, Account("ann").balance), ({"a": 1}, 5))
        self.hotel.rooms["b"] = 1
        with self.assertRaises(Aborted) as caught:
            asyncio.run(self.front.book(["a", "b"]))
        self.assertEqual(caught.exception.reason, "too many")
        self.assertEqual((self.hotel.rooms, Account("ann").balance), ({"a": 1, "b": 1}, 5))

    def test_an_exception_in_a_joined_block_dooms_the_whole(self):
        with self.assertRaises(Aborted):
            asyncio.run(self.front.nested())
        self.assertEqual(Account("ann").balance, 0)

    def test_what_was_sent_happens_before_later_calls(self):
        self.assertEqual(asyncio.run(self.front.sends_before()), (11, 1111))
        self.front.pay()
        self.assertEqual(Account("ann").balance, 1112)

    def test_what_a_transaction_sends_happens_when_it_has_committed(self):
        self.assertEqual(asyncio.run(self.front.sends_if_committed(False)), (10, 11))
        with self.assertRaises(Aborted):
            asyncio.run(self.front.sends_if_committed(True))
        self.assertEqual(Account("ann").balance, 11)
        with self.assertRaises(Aborted):
            asyncio.run(self.front.sends_outside())
        self.assertEqual(Account("ann").balance, 12)

    def test_one_instance_per_key(self):
        Account("ann").deposit(5)
        self.assertEqual(Account("ann").deposit(1), ("ann", 6))
        self.assertEqual(Account("bob").balance, 0)
        self.front.pay()
        self.assertEqual(Account("ann").balance, 7)

    def test_mistakes(self):
        with self.assertRaises(sostenuto.TransactionError):
            abort()
        with self.assertRaises(sostenuto.TransactionError):
            self.front.sleeps()
        with self.assertRaises(sostenuto.NotSupported):
            sostenuto.wait_for("event")
        with self.assertRaisesRegex(AttributeError, "Hotel has no method 'nothing'"):
            self.front.unknown()
        with self.assertRaises(AttributeError):
            self.front.nothing

    def test_a_task_is_a_function(self):
        self.assertEqual(mail("x"), "x")

    def test_a_task_is_tried_again(self):
        tries = []

        @sostenuto.task(retries=2)
        def flaky(text):
            tries.append(text)
            if len(tries) < 3:
                raise ValueError(text)
            return [text]

        self.assertEqual(flaky("a"), ["a"])
        self.assertEqual(tries, ["a"] * 3)

        @sostenuto.task(retries=1)
        async def never():
            tries.append("never")
            raise KeyError("no")

        tries.clear()
        with self.assertRaisesRegex(KeyError, "no"):
            asyncio.run(never())
        self.assertEqual(tries, ["never"] * 2)

    def test_a_task_gets_and_gives_copies(self):
        kept = []

        @sostenuto.task
        def keeps(items):
            items.append(1)
            kept.append(items)
            return kept

        mine = []
        self.assertEqual(keeps(mine), [[1]])
        self.assertEqual(mine, [])
        self.assertIsNot(keeps(mine), kept)

    def test_an_async_method_awaits_a_plain_task(self):
        async def method():
            return await mail("x"), await asyncio.gather(mail("y"), mail("z"))

        self.assertEqual(asyncio.run(method()), ("x", ["y", "z"]))

    def test_an_async_task_has_a_time_limit(self):
        @sostenuto.task(timeout=0.01)
        async def hangs():
            await asyncio.Event().wait()

        with self.assertRaises(TimeoutError):
            asyncio.run(hangs())

    def test_no_task_in_a_transaction(self):
        with self.assertRaisesRegex(sostenuto.TransactionError, "the task mail"), sostenuto.transaction():
            mail("x")

    def test_options_of_tasks_are_checked(self):
        for options in ({"retries": -1}, {"retries": 1.5}, {"timeout": 0}, {"timeout": "1"}, {"backoff": -1}):
            with self.assertRaisesRegex(ValueError, next(iter(options))):
                sostenuto.task(lambda: None, **options)

    def test_public_names(self):
        for name in sostenuto.__all__:
            self.assertTrue(hasattr(sostenuto, name), name)


if __name__ == "__main__":
    unittest.main()
