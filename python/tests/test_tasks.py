"""Tasks and `wait_for`: what a method asks the server for, and the process that runs tasks."""

import asyncio
import unittest

import fake
from sostenuto.worker import codec, exceptions

SOURCE = '''\
import asyncio
import logging
import os
import random
import sys
import threading
import time
import sostenuto
from sostenuto import task

started = threading.Event()


@task(retries=2, timeout=10, backoff=0.5)
def fetch(url, *, times=1):
    return [url] * times


@task(pure=True, timeout=None)
async def add(a, b):
    await asyncio.sleep(0)
    return a + b


@task
def fails(text):
    raise ValueError(text)


@task
def prints(text):
    print("one", text)
    print("rest", end="")
    logging.warning("beware")


@task
def prints_much():
    for _ in range(2000):
        print("x" * 99)


@task
def gives_nonsense():
    return threading.Lock()


@task
def ends_thread():
    sys.exit(3)


@task
def spins():
    print("spins")
    while True:
        pass


@task
async def waits():
    print("waits")
    await asyncio.Event().wait()


released = threading.Event()


@task
async def blocks(turns):
    for _ in range(turns):
        await asyncio.sleep(0)
    print("blocks")
    released.wait()
    released.clear()


@task
def release():
    released.set()


@task
async def ends_coroutine():
    await asyncio.create_task(ends_itself())


async def ends_itself():
    sys.exit(3)


@task
async def stops_loop():
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)


@task
async def tells_task():
    before = asyncio.current_task()
    await asyncio.sleep(0)
    return before is asyncio.current_task() is not None


@task(timeout=0.02)
async def too_long():
    await asyncio.Event().wait()


@task(timeout=0.02)
async def late_with_result():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "late"


@task(timeout=0.02)
async def late_and_stopped():
    try:
        await asyncio.Event().wait()
    finally:
        print("late")
        released.wait()
        released.clear()
        await asyncio.sleep(0)


@task
def nested(url):
    return fetch(url) + fetch(url)


@task
def draws():
    return [random.random() >= 0, time.time() > 0, __sos__.time.time() > 0, len(__sos__.urandom(3))]


class Other:
    def echo(self, value):
        return value


class Main:
    async def one(self, url):
        return await fetch(url, times=2)

    async def sum(self):
        return await __sos__.gather(add(1, 2), fetch("u"), self.other.echo("x"))

    async def caught(self):
        try:
            return await fails("no")
        except ValueError as error:
            return str(error)

    async def forgotten(self):
        fetch("u")

    async def in_transaction(self):
        async with sostenuto.transaction():
            await fetch("u")

    async def races(self):
        try:
            return await __sos__.wait_for(self.other.echo("x"), 5)
        except TimeoutError:
            return "late"

    async def races_then_calls(self):
        first = await self.races()
        return [first, await self.other.echo("after")]

    async def without_limit(self):
        return await __sos__.wait_for(self.other.echo("x"), None)

    async def races_helper(self):
        async def helper():
            try:
                await self.other.echo(1)
                return await self.other.echo(2)
            except asyncio.CancelledError:
                self.order.append("cancelled")
                raise
        try:
            return await __sos__.wait_for(helper(), 5)
        except TimeoutError:
            return ["late", *self.order]

    async def races_gather(self):
        try:
            return await __sos__.wait_for(__sos__.gather(self.other.echo(1), fetch("u"), __sos__.sleep(9)), 5)
        except TimeoutError:
            return "late"

    async def race_in_transaction(self):
        async with sostenuto.transaction():
            await __sos__.wait_for(self.other.echo("x"), 5)
'''

MODULES = [fake.module("app", SOURCE)]
MAIN = fake.service(
    "Main", scalars={"order": []}, clients={"other": "Other"},
    methods=["one", "sum", "caught", "forgotten", "in_transaction", "races", "races_then_calls", "without_limit",
             "races_helper", "races_gather", "race_in_transaction"],
)  # fmt: skip
SERVICES = [MAIN, fake.service("Other", methods=["echo"])]


def value(result):
    return (0, codec.encode(result))


class Asked(unittest.TestCase):
    """What a method that runs tasks or races asks the server for."""

    def setUp(self):
        self.inside = fake.Inside()
        self.server = fake.Server(self.inside, MODULES, SERVICES)
        self.asked = []
        self.server.task = self.answer
        self.addCleanup(self.inside.app.unload)

    def answer(self, function, args, *policy):
        args, named = codec.decode(args)
        self.asked.append((function, args, named, policy))
        if function == "app.fails":
            return (1, exceptions.encode(ValueError(*args)))
        return value([function, *args])

    def begin(self, method):
        invocation = self.server.begin("Main", method)
        self.server.step(invocation)
        return invocation

    def go_on(self, invocation, *delivered):
        """Delivers results of these positions, in this order; other ones that are pending stay so."""
        invocation.delivered = [(position, *invocation.pending.pop(position)()) for position in delivered]
        self.server.step(invocation)
        return invocation

    def test_a_task_goes_out_with_its_policy(self):
        self.assertEqual(self.server.call("Main", "one", "u"), ["app.fetch", "u"])
        self.assertEqual(self.asked, [("app.fetch", ["u"], {"times": 2}, (2, 10_000_000, 500_000, 60_000_000, 0))])

    def test_tasks_and_calls_side_by_side(self):
        for evict in (False, True):
            self.server.evict_always = evict
            self.assertEqual(self.server.call("Main", "sum"), [["app.add", 1, 2], ["app.fetch", "u"], "x"])
        self.assertEqual(self.asked[0][3], (0, None, 1_000_000, 60_000_000, 3))

    def test_the_exception_of_a_task_is_raised(self):
        self.assertEqual(self.server.call("Main", "caught"), "no")

    def test_a_task_that_is_not_awaited(self):
        with self.assertRaisesRegex(fake.Failed, "task.fetch at app.py:.* was never made"):
            self.server.call("Main", "forgotten")

    def test_no_task_in_a_transaction(self):
        with self.assertRaisesRegex(fake.Failed, "TransactionError: the task fetch inside a transaction"):
            self.server.call("Main", "in_transaction")

    def test_the_result_wins(self):
        for method in ("races", "without_limit"):
            for evict in (False, True):
                self.server.evict_always, self.server.cancelled = evict, []
                done = self.go_on(self.begin(method), "0.0.0")
                self.assertEqual((done.status, codec.decode(done.payload)), (fake.RETURNED, "x"))
                self.assertEqual(self.server.cancelled, ["0.1.0"] if method == "races" else [])

    def test_the_timer_wins(self):
        for evict in (False, True):
            self.server.evict_always, self.server.cancelled = evict, []
            done = self.go_on(self.begin("races"), "0.1.0")
            self.assertEqual((done.status, codec.decode(done.payload)), (fake.RETURNED, "late"))
            self.assertEqual(self.server.cancelled, ["0.0.0"])

    def test_who_comes_first_wins_though_both_are_there(self):
        for order, result in ((("0.0.0", "0.1.0"), "x"), (("0.1.0", "0.0.0"), "late")):
            invocation = self.begin("races_then_calls")
            self.assertEqual(invocation.waits, (0, ["0.0.0", "0.1.0"]))
            self.go_on(invocation, *order)
            # Built again from its journal it stands where it stood.
            self.inside.evict(invocation.id)
            invocation.on_worker = False
            done = self.go_on(invocation, *invocation.waits[1])
            self.assertEqual(codec.decode(done.payload), [result, "after"])

    def test_the_result_of_a_cancelled_call_is_of_no_interest(self):
        invocation = self.go_on(self.begin("races_then_calls"), "0.1.0")
        late = ("0.0.0", *value("x"))
        (after,) = invocation.waits[1]
        invocation.delivered = [late, (after, *invocation.pending.pop(after)())]
        self.server.step(invocation)
        self.assertEqual(codec.decode(invocation.payload), ["late", "after"])

    def test_a_helper_is_cancelled_where_it_waits(self):
        for evict in (False, True):
            self.server.put("Main", "order", [])
            self.server.evict_always, self.server.cancelled = evict, []
            invocation = self.begin("races_helper")
            helper, timer = invocation.waits[1]
            if helper.startswith("0.1."):
                helper, timer = timer, helper
            invocation = self.go_on(invocation, helper)
            (second,) = [position for position in invocation.waits[1] if position != timer]
            done = self.go_on(invocation, timer)
            self.assertEqual(codec.decode(done.payload), ["late", "cancelled"])
            self.assertEqual(self.server.cancelled, [second])

    def test_all_parts_of_a_gather_are_cancelled(self):
        invocation = self.begin("races_gather")
        timer = "1.1.0"
        parts = [position for position in invocation.waits[1] if position != timer]
        self.assertEqual(len(parts), 3)
        done = self.go_on(self.go_on(invocation, parts[0]), timer)
        self.assertEqual(codec.decode(done.payload), "late")
        self.assertEqual(self.server.cancelled, parts[1:])

    def test_no_race_in_a_transaction(self):
        with self.assertRaisesRegex(fake.Failed, "TransactionError: .*wait_for"):
            self.server.call("Main", "race_in_transaction")


class Process(unittest.TestCase):
    """A task worker."""

    def setUp(self):
        self.worker = fake.Outside()
        self.addCleanup(self.worker.close)
        self.worker.send((0, MODULES, SERVICES, [], {"tasks": True}))
        tag, _, _, problem = self.worker.receive()
        self.assertEqual((tag, problem), (14, None))

    def start(self, run, name, *args, flags=0, timeout=None):
        self.worker.send((20, run, f"app.{name}", codec.encode((list(args), {})), timeout, flags))

    def end(self, run, outputs=None):
        """The end of a run as (value or exception, final)."""
        while True:
            message = self.worker.receive()
            if message[0] == 25:
                if outputs is not None:
                    outputs.append(message[1:])
                continue
            self.assertEqual(message[:2], (24, run))
            _, _, kind, payload, final = message
            return (exceptions.decode(payload) if kind else codec.decode(payload)), final

    def test_functions_run_in_threads_and_coroutines_on_a_loop(self):
        self.start(1, "fetch", "u")
        self.assertEqual(self.end(1), (["u"], False))
        self.start(2, "add", 2, 3, flags=2)
        self.assertEqual(self.end(2), (5, False))

    def test_a_task_calls_others_as_functions(self):
        self.start(1, "nested", "u")
        self.assertEqual(self.end(1), (["u", "u"], False))

    def test_exceptions_show_the_lines(self):
        self.start(1, "fails", "no")
        error, final = self.end(1)
        self.assertEqual((type(error), error.args, final), (ValueError, ("no",), False))
        line = SOURCE.splitlines().index("    raise ValueError(text)") + 1
        self.assertIn(f'File "app.py", line {line}, in fails', str(error.__cause__))
        self.assertNotIn("sostenuto/worker", str(error.__cause__))

    def test_what_is_no_use_to_try_again(self):
        self.start(1, "gives_nonsense")
        error, final = self.end(1)
        self.assertIn("the result of the task gives_nonsense", str(error))
        self.assertEqual((type(error).__name__, final), ("NotStorable", True))
        self.start(2, "ends_thread")
        error, final = self.end(2)
        self.assertTrue(final, error)
        self.start(3, "nothing_of_this_name")
        error, final = self.end(3)
        self.assertEqual((type(error), final), (AttributeError, True))
        self.start(4, "Main")
        error, final = self.end(4)
        self.assertEqual((type(error), final), (AttributeError, True))

    def test_output_goes_out_at_once_and_marked(self):
        self.start(7, "prints", "x")
        outputs = []
        self.assertEqual(self.end(7, outputs), (None, False))
        expected = [(7, 0, "one x\n"), (7, 2, "WARNING:root:beware\n"), (7, 0, "rest")]
        self.assertEqual(outputs, expected)

    def test_output_is_bounded(self):
        self.start(7, "prints_much")
        outputs = []
        self.end(7, outputs)
        text = "".join(text for _, _, text in outputs)
        self.assertLess(len(text), 65 * 1024)
        self.assertTrue(text.endswith("[sostenuto: the rest of this task's output was cut]\n"))

    def test_a_coroutine_is_stopped_where_it_waits(self):
        self.start(1, "waits", flags=2)
        self.assertEqual(self.worker.receive(), (25, 1, 0, "waits\n"))
        self.worker.send((21, 1))
        error, final = self.end(1)
        self.assertEqual((type(error), final), (asyncio.CancelledError, True))

    def test_a_thread_is_stopped_at_its_next_instruction(self):
        self.start(1, "spins")
        self.assertEqual(self.worker.receive(), (25, 1, 0, "spins\n"))
        self.worker.send((21, 1))
        error, final = self.end(1)
        self.assertEqual((type(error), final), (asyncio.CancelledError, True))

    def test_a_coroutine_has_a_time_limit(self):
        self.start(1, "too_long", flags=2, timeout=20_000)
        error, final = self.end(1)
        self.assertEqual((type(error), final), (TimeoutError, False))
        self.assertEqual(str(error), "the task too_long took longer than its timeout of 0.02 s")

    def test_a_coroutine_that_is_late_may_still_have_a_result(self):
        self.start(1, "late_with_result", flags=2, timeout=20_000)
        self.assertEqual(self.end(1), ("late", False))

    def test_a_coroutine_that_is_late_and_stopped_is_stopped(self):
        self.start(1, "late_and_stopped", flags=2, timeout=20_000)
        self.assertEqual(self.worker.receive(), (25, 1, 0, "late\n"))
        self.worker.send((21, 1))
        self.start(2, "release")
        values = self.ends({1, 2})
        self.assertIs(type(values[1]), asyncio.CancelledError)

    def ends(self, runs):
        """The values of these runs, in whatever order they end."""
        values = {}
        while values.keys() != runs:
            tag, run, kind, *payload = self.worker.receive()
            if tag == 24:
                values[run] = (exceptions if kind else codec).decode(payload[0])
        return values

    def test_while_a_coroutine_blocks_threads_begin_and_are_stopped(self):
        for turns in (0, 3):
            with self.subTest(turns=turns):
                self.start(1, "spins")
                self.assertEqual(self.worker.receive(), (25, 1, 0, "spins\n"))
                self.start(2, "blocks", turns, flags=2)
                self.assertEqual(self.worker.receive(), (25, 2, 0, "blocks\n"))
                self.start(3, "add", 2, 3, flags=2)
                self.worker.send((21, 1))
                self.assertIs(type(self.end(1)[0]), asyncio.CancelledError)
                self.start(4, "waits", flags=2)
                self.worker.send((21, 4))
                self.start(5, "release")
                values = self.ends({2, 3, 4, 5})
                self.assertEqual((values[2], values[3], values[5]), (None, 5, None))
                self.assertIs(type(values[4]), asyncio.CancelledError)

    def test_the_process_ends_with_the_connection_while_a_coroutine_blocks(self):
        self.start(1, "blocks", 0, flags=2)
        self.assertEqual(self.worker.receive(), (25, 1, 0, "blocks\n"))
        self.assertEqual(self.worker.close(), 0)

    def test_no_coroutine_ends_the_loop(self):
        self.start(1, "ends_coroutine", flags=2)
        error, final = self.end(1)
        self.assertEqual((type(error).__name__, final), ("SystemExit", True))
        self.start(2, "stops_loop", flags=2)
        self.assertEqual(self.end(2), (None, False))
        self.start(3, "add", 2, 3, flags=2)
        self.assertEqual(self.end(3), (5, False))

    def test_many_that_come_together_all_end(self):
        calls = [(20, run, "app.add", codec.encode(([run, 1], {})), None, 2) for run in range(1, 101)]
        self.worker.send(*calls)
        self.assertEqual(self.ends(set(range(1, 101))), {run: run + 1 for run in range(1, 101)})

    def test_a_coroutine_is_one_task_from_its_beginning(self):
        self.start(1, "tells_task", flags=2)
        self.assertEqual(self.end(1), (True, False))

    def test_nothing_is_replayed(self):
        self.start(1, "draws")
        self.assertEqual(self.end(1), ([True, True, True, 3], False))

    def test_the_process_ends_with_the_connection(self):
        self.start(1, "spins")
        self.assertEqual(self.worker.receive(), (25, 1, 0, "spins\n"))
        self.assertEqual(self.worker.close(), 0)


if __name__ == "__main__":
    unittest.main()
