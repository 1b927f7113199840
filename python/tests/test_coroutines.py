"""Methods that suspend: positions, gather, replay, departure, cancellation, eviction, time and chance."""

import asyncio
import gc
import random
import unittest
import warnings

import fake

SOURCE = '''\
import asyncio
from datetime import timedelta
import sostenuto
from sostenuto import send


class Other:
    def echo(self, value):
        self.calls.append(value)
        return value

    def fail(self, text):
        self.calls.append(text)
        raise ValueError(text)

    def seen(self):
        return self.calls


class Account:
    def deposit(self, amount):
        self.balance += amount
        return [self.key, self.balance]


class Main:
    async def sequence(self):
        first = await self.other.echo(1)
        second = await self._helper(first + 1)
        return [first, second]

    async def _helper(self, value):
        return await self.other.echo(value) + await self.other.echo(10)

    async def both(self):
        return await __sos__.gather(self.other.echo("a"), self.other.echo("b"), self.other.echo("c"))

    async def branches(self):
        async def branch(name, count):
            got = []
            for number in range(count):
                got.append(await self.other.echo(f"{name}{number}"))
                self.order.append(got[-1])
            return got
        inner = __sos__.gather(branch("x", 2), self.other.echo("plain"))
        return await __sos__.gather(branch("a", 3), inner, branch("b", 1), __sos__.sleep(1, "slept"))

    async def first_exception(self):
        async def slow():
            await self.other.echo("slow 1")
            self.order.append("went on")
            await self.other.echo("slow 2")
        try:
            await __sos__.gather(slow(), self.other.fail("no"), self.other.echo("x"))
        except ValueError as error:
            self.order.append(str(error))
        await __sos__.sleep(1)
        await __sos__.sleep(1)
        return self.order

    async def as_results(self):
        got = await __sos__.gather(self.other.echo(1), self.other.fail("no"), return_exceptions=True)
        return [got[0], type(got[1]).__name__, str(got[1])]

    async def empty(self):
        return await __sos__.gather()

    async def entities(self):
        await Account("ann").deposit(5)
        mine = Account("ann")
        return [await mine.deposit(2), await Account(7).deposit(1), mine == Account("ann"), repr(mine), repr(Other())]

    async def one_way(self):
        send(self.other.echo("sent"))
        await send(self.other.echo("sent too"))
        return await self.other.seen()

    def one_way_from_a_plain_method(self):
        send(self.other.echo("plain"))

    async def sleeps(self):
        before = __sos__.time.time_ns()
        await __sos__.sleep(90)
        await sostenuto.sleep(timedelta(seconds=10))
        return __sos__.time.time_ns() - before

    async def draws(self):
        async def branch():
            drawn = [str(__sos__.uuid4())]
            await self.other.echo(0)
            return [*drawn, __sos__.random.random()]
        here = [__sos__.random.randint(1, 10**9), __sos__.urandom(100), __sos__.secrets.token_hex(8)]
        clock = [__sos__.time.time_ns() for _ in range(3)]
        there = await __sos__.gather(branch(), branch())
        now = __sos__.datetime_now()
        return [here, there, clock, __sos__.random.gauss(0, 1), __sos__.random.sample(range(100), 5), now, __sos__.uuid1()]

    async def read_and_wait(self):
        before = list(self.order)
        self.order.append("mine")
        await self.other.echo(1)
        middle = list(self.order)
        await self.other.echo(2)
        return [before, middle, list(self.order)]

    async def forgotten(self):
        self.other.echo(1)
        await self.other.echo(2)

    def forgotten_in_a_plain_method(self):
        self.other.echo(1)

    async def forgotten_gather(self):
        __sos__.gather(self.other.echo(1))

    async def awaited_late(self):
        late = self.other.echo("late")
        await self.other.echo("early")
        return await late

    async def awaited_twice(self):
        call = self.other.echo(1)
        await call
        await call

    async def foreign(self):
        class Future:
            def __await__(self):
                yield self
        try:
            await Future()
        except TypeError as error:
            return str(error)

    async def never_begun(self):
        self.order.append("begun")

    async def bare_yield(self):
        class Yield:
            def __await__(self):
                yield
        await Yield()
        return "back"

    async def unstorable_argument(self):
        await self.other.echo([1, {"f": open}])

    async def result_of_a_call(self):
        return [self.other.echo(1)]

    async def unknown_method(self):
        return await self.other.nothing()

    async def cancelled(self):
        self.order.append("begin")
        try:
            await __sos__.gather(self.other.echo(1), self.other.echo(2))
        except asyncio.CancelledError:
            self.order.append("cancelled")
            await self.other.echo("cleaning up")
            raise
        finally:
            if __sos__.live():
                self.order.append("finally")

    async def guarded(self):
        try:
            await self.other.echo(1)
        except __sos__.Signal:
            raise
        except BaseException:
            self.order.append("caught")
        finally:
            if __sos__.live():
                self.order.append("finally")

    async def stubborn(self):
        for _ in range(150):  # more often than the worker insists; not for ever, as this process ends in the usual way
            try:
                await self.other.echo(1)
            except BaseException:
                pass

    async def unguarded(self):
        try:
            await self.other.echo(1)
        finally:
            self.order.append("finally")

    async def no_suspension(self):
        return 5

    async def raises_stop(self):
        await self.other.echo(1)
        raise StopIteration

    async def changed(self):
        return await self.other.echo(VERSION)


VERSION = 1
'''
MAIN = fake.service(
    "Main", scalars={"order": []}, clients={"other": "Other"},
    methods=[line.split("def ")[1].split("(")[0] for line in SOURCE.partition("class Main")[2].splitlines()
             if line.startswith(("    async def ", "    def "))],
)  # fmt: skip
OTHER = fake.service("Other", scalars={"calls": []}, methods=["echo", "fail", "seen"])
ACCOUNT = fake.service("Account", entity=True, scalars={"balance": 0}, methods=["deposit"])
APP = [fake.module("app", SOURCE)]


class CoroutineCase(unittest.TestCase):
    def setUp(self):
        self.server = fake.Server(fake.Inside(), APP, [MAIN, OTHER, ACCOUNT])
        self.addCleanup(self.server.close)

    def call(self, method, *args):
        return self.server.call("Main", method, *args)

    def failure(self, method, *args):
        with self.assertRaises(fake.Failed) as caught:
            self.call(method, *args)
        return caught.exception.error

    def suspended(self, method):
        invocation = self.server.begin("Main", method)
        self.server.step(invocation)
        self.assertEqual(invocation.status, fake.SUSPENDED)
        return invocation

    def ops(self, of="Main"):
        """Positions and texts of the operations in all ends, in order."""
        return [(op[0], fake.text(op)) for end in self.server.ends if end[0] == 10 for op in end[7]]

    def everywhere(self, method):
        """The result, which must be the same kept in the worker, replayed after each step, and reordered."""
        results = []
        for evict in (False, True):
            self.server.state.clear()
            self.server.invocations = 0
            self.server.clock = fake.START_OF_TIME
            self.server.evict_always = evict
            results.append(self.call(method))
        self.assertEqual(results[0], results[1])
        return results[0]


class Positions(CoroutineCase):
    def test_a_sequence(self):
        self.assertEqual(self.everywhere("sequence"), [1, 12])
        self.assertEqual(self.ops()[:3], [(str(n), "call Other.echo") for n in range(3)])

    def test_gather_of_calls_waits_for_all(self):
        self.assertEqual(self.everywhere("both"), ["a", "b", "c"])
        end = self.server.ends[0]
        self.assertEqual([op[0] for op in end[7]], ["0.0.0", "0.1.0", "0.2.0"])
        self.assertEqual(end[8], (1, ["0.0.0", "0.1.0", "0.2.0"]))

    def test_nested_gathers_and_branches(self):
        expected = [["a0", "a1", "a2"], [["x0", "x1"], "plain"], ["b0"], "slept"]
        self.assertEqual(self.everywhere("branches"), expected)
        positions = {position: text for position, text in self.ops()}
        self.assertEqual(
            sorted(positions),
            ["0.0.0", "0.0.1", "0.1.0", "1.0.0", "1.0.1", "1.0.2", "1.2.0", "1.3.0"],
        )
        self.assertEqual(self.server.ends[0][8][0], 0)

    def test_an_empty_gather(self):
        self.assertEqual(self.everywhere("empty"), [])

    def test_entities_and_clients(self):
        expected = [["ann", 7], [7, 1], True, "Account('ann')", "Other()"]
        self.assertEqual(self.everywhere("entities"), expected)
        self.assertEqual(self.server.get("Account", "balance", key=fake.dumps("ann")), 7)

    def test_an_async_method_that_does_not_suspend(self):
        self.assertEqual(self.call("no_suspension"), 5)
        self.assertEqual(len(self.server.ends), 1)

    def test_one_way_calls(self):
        self.assertEqual(self.everywhere("one_way"), ["sent", "sent too"])
        self.assertEqual(self.ops()[0], ("0", "send Other.echo"))
        self.call("one_way_from_a_plain_method")
        self.assertEqual(self.server.ends[-2][7][0][:3], ("0", 1, "Other"))

    def test_sleep_is_from_the_steps_clock(self):
        self.assertGreater(self.everywhere("sleeps"), 100 * 10**9)
        end = self.server.ends[0]
        self.assertEqual(end[7], [("0", 2, fake.START_OF_TIME + 1000 + 90_000_000)])


class Gathering(CoroutineCase):
    def test_the_first_exception_is_raised_and_the_others_run_on(self):
        self.assertEqual(self.call("first_exception"), ["went on", "no"])

    def test_return_exceptions(self):
        self.assertEqual(self.everywhere("as_results"), [1, "ValueError", "no"])

    def test_results_in_any_order_replay_in_that_order(self):
        orders = set()
        for seed in range(12):
            dice = random.Random(seed)
            self.server.reorder = lambda ready: dice.sample(ready, dice.randrange(1, len(ready) + 1))
            self.server.evict_always = bool(seed % 2)
            self.server.state.clear()
            expected = [["a0", "a1", "a2"], [["x0", "x1"], "plain"], ["b0"], "slept"]
            self.assertEqual(self.call("branches"), expected)
            orders.add(tuple(self.server.get("Main", "order")))
        self.assertGreater(len(orders), 1)

    def test_the_order_of_delivery_decides(self):
        self.assertEqual([op[0] for op in self.ops()], [])
        self.server.reorder = lambda ready: [position for position in ready if position == "0.1.0"] or ready
        self.assertEqual(self.call("first_exception"), ["no", "went on"])
        self.assertEqual([op[0] for op in self.ops()][:3], ["0.0.0", "0.1.0", "0.2.0"])


class Replay(CoroutineCase):
    def test_reads_come_from_the_journal(self):
        invocation = self.suspended("read_and_wait")
        self.server.worker.evict(invocation.id)
        invocation.on_worker = False
        self.server.put("Main", "order", ["theirs"])
        self.server.deliver(invocation)
        self.server.fetches.clear()
        self.server.step(invocation)
        self.server.deliver(invocation)
        self.server.step(invocation)
        self.assertEqual(fake.codec.decode(invocation.payload), [[], ["theirs"], ["theirs"]])

    def test_draws_and_clock(self):
        first = self.everywhere("draws")
        self.assertNotEqual(first[1][0][0], first[1][1][0])
        self.assertEqual(len(first[0][1]), 100)
        self.assertEqual([reading - first[2][0] for reading in first[2]], [0, 1000, 2000])
        self.assertNotEqual(self.call("draws"), first)

    def departure(self, change, method="sequence"):
        invocation = self.suspended(method)
        self.server.worker.evict(invocation.id)
        invocation.on_worker = False
        self.server.deliver(invocation)
        change(invocation)
        with self.assertRaises(fake.Departed) as caught:
            self.server.step(invocation)
        return caught.exception.args

    def test_another_operation(self):
        def change(invocation):
            clock, reads, delivered, _ = invocation.journal[0]
            invocation.journal = [(clock, reads, delivered, [("0", "call Flight.reserve")])]

        self.assertEqual(self.departure(change), (0, "at 0: call Flight.reserve", "at 0: call Other.echo"))

    def test_another_position(self):
        def change(invocation):
            clock, reads, delivered, _ = invocation.journal[0]
            invocation.journal = [(clock, reads, delivered, [("1", "call Other.echo")])]

        self.assertEqual(self.departure(change), (0, "at 1: call Other.echo", "at 0: call Other.echo"))

    def test_more_and_fewer_operations(self):
        def more(invocation):
            clock, reads, delivered, ops = invocation.journal[0]
            invocation.journal = [(clock, reads, delivered, [*ops, ("1", "sleep")])]

        def fewer(invocation):
            clock, reads, delivered, ops = invocation.journal[0]
            invocation.journal = [(clock, reads, delivered, [])]

        self.assertEqual(self.departure(more), (0, "at 1: sleep", "suspended on 0"))
        self.assertEqual(self.departure(fewer), (0, "suspended", "at 0: call Other.echo"))

    def test_it_returns_or_raises(self):
        def become(method):
            def change(invocation):
                invocation.method = method

            return change

        self.assertEqual(self.departure(become("no_suspension")), (0, "at 0: call Other.echo", "return"))
        plain = (0, "at 0: call Other.echo", "return")
        self.assertEqual(self.departure(become("forgotten_in_a_plain_method")), plain)
        raised = "raise AttributeError: Other has no method 'nothing' that can be called"
        self.assertEqual(self.departure(become("unknown_method")), (0, "at 0: call Other.echo", raised))

    def test_a_read_that_the_journal_does_not_hold(self):
        def change(invocation):
            clock, _, delivered, ops = invocation.journal[0]
            invocation.journal = [(clock, ([], []), delivered, ops)]

        args = self.departure(change, "read_and_wait")
        self.assertEqual(args, (0, "at 0: call Other.echo", "a read of Main.order"))

    def test_nothing_is_fetched_in_a_replay(self):
        self.server.evict_always = True
        self.server.ship_nothing = True
        self.call("read_and_wait")
        self.assertEqual(self.server.fetches.count(("order", None)), 3)

    def test_a_resumed_step_can_be_dropped(self):
        invocation = self.suspended("read_and_wait")
        self.server.deliver(invocation)
        self.server.ship_nothing = True
        answers = [True]
        self.server.not_now = lambda field, key: answers and answers.pop()
        self.server.step(invocation)
        self.assertEqual([end[0] for end in self.server.ends][-2:], [12, 10])
        self.assertEqual(invocation.status, fake.SUSPENDED)


class Mistakes(CoroutineCase):
    def line(self, text):
        return f"app.py:{SOURCE[: SOURCE.index(text)].count(chr(10)) + 1}"

    def test_calls_that_were_never_made(self):
        line = self.line("self.other.echo(1)\n        await self.other.echo(2)")
        self.assertIn(f"the call of Other.echo at {line} was never made", str(self.failure("forgotten")))
        self.assertEqual(type(self.failure("forgotten_in_a_plain_method")).__name__, "UnawaitedCall")
        line = self.line("__sos__.gather(self.other.echo(1))\n\n    async def awaited_late")
        self.assertIn(f"the gather() at {line} was never awaited", str(self.failure("forgotten_gather")))

    def test_a_call_may_be_awaited_late_and_once(self):
        self.assertEqual(self.call("awaited_late"), "late")
        self.assertIn("cannot await a call twice: Other.echo", str(self.failure("awaited_twice")))

    def test_foreign_awaitables(self):
        self.assertIn("await of Future is not durable", self.call("foreign"))
        self.assertEqual(self.call("bare_yield"), "back")

    def test_arguments_and_results(self):
        error = self.failure("unstorable_argument")
        self.assertIn("argument 0 of Other.echo[1]['f']: <built-in function open>", str(error))
        self.assertEqual(type(self.failure("result_of_a_call")).__name__, "UnawaitedCall")

    def test_unknown_methods(self):
        self.assertIn("Other has no method 'nothing'", str(self.failure("unknown_method")))

    def test_stop_iteration_in_a_coroutine(self):
        self.assertIsInstance(self.failure("raises_stop"), RuntimeError)

    def test_resume_of_nothing(self):
        invocation = self.suspended("sequence")
        self.server.worker.evict(invocation.id)
        self.server.deliver(invocation)
        self.server.step(invocation)
        self.assertIn("does not hold", str(fake.exceptions.decode(invocation.payload)))


class Endings(CoroutineCase):
    def cancel(self, invocation):
        invocation.delivered = [("", 1, fake.exceptions.encode(asyncio.CancelledError()))]
        self.server.step(invocation)

    def test_cancellation_is_raised_where_the_method_waits(self):
        for evict in (False, True):
            self.server.state.clear()
            self.server.evict_always = evict
            invocation = self.suspended("cancelled")
            self.cancel(invocation)
            self.assertEqual(invocation.waits, (0, ["1"]))
            self.server.deliver(invocation)
            self.server.step(invocation)
            self.assertEqual(invocation.status, fake.RAISED)
            self.assertIsInstance(fake.exceptions.decode(invocation.payload), asyncio.CancelledError)
            self.assertEqual(self.server.get("Main", "order"), ["begin", "cancelled", "finally"])

    def test_cancelled_before_it_begins(self):
        invocation = self.server.begin("Main", "never_begun")
        self.cancel(invocation)
        self.assertEqual((invocation.status, self.server.get("Main", "order")), (fake.RAISED, None))

    def test_late_results_after_a_cancellation(self):
        invocation = self.suspended("cancelled")
        self.cancel(invocation)
        positions = [*invocation.pending]
        self.assertEqual(positions, ["0.0.0", "0.1.0", "1"])
        invocation.delivered = [(position, *invocation.pending.pop(position)()) for position in positions]
        self.server.step(invocation)
        self.assertEqual(invocation.status, fake.RAISED)

    def test_eviction_is_silent(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for method in ("guarded", "unguarded", "branches", "first_exception", "stubborn", "cancelled"):
                invocation = self.suspended(method)
                writes = len(self.server.get("Main", "order") or [])
                self.server.worker.evict(invocation.id)
                gc.collect()
                self.assertEqual(len(self.server.get("Main", "order") or []), writes)
        self.assertEqual(caught, [])

    def test_evicting_what_is_not_there(self):
        self.server.worker.evict(b"nothing")

    def test_a_run_leaves_no_garbage(self):
        self.call("sequence")
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                self.call("sequence")
                self.call("both")
            found = gc.collect()
        finally:
            gc.enable()
        self.assertLess(found, 20)


if __name__ == "__main__":
    unittest.main()
