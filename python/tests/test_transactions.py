"""Transactions: operations, joining, dooming, and the mu2sls primitives."""

import unittest

import fake
from sostenuto import Aborted
from sostenuto.errors import PART_ABORTED

SOURCE = '''\
from sostenuto import Aborted, abort, transaction


class Hotel:
    def reserve(self, name):
        self.rooms[name] -= 1
        return self.rooms[name] >= 0

    def give_up(self):
        self.rooms["x"] = 0
        abort("from the callee")

    async def join_and_fail(self):
        async with transaction():
            self.rooms["x"] = 0
            raise ValueError("inside a joined block")

    async def join(self):
        async with transaction():
            self.rooms["x"] = 0

    def left_alone(self):
        raise ValueError("not in a block")


class Main:
    async def book(self, names):
        try:
            async with transaction():
                got = [await self.hotel.reserve(name) for name in names]
                if not all(got):
                    abort("sold out")
        except Aborted as aborted:
            return [aborted.reason, aborted.args]
        return got

    async def fails(self):
        async with transaction():
            await self.hotel.reserve("a")
            raise KeyError("own")

    async def callee_gives_up(self):
        try:
            async with transaction():
                await self.hotel.give_up()
        except Aborted as aborted:
            return aborted.reason

    async def doomed(self):
        try:
            async with transaction():
                try:
                    await self.hotel.join_and_fail()
                except ValueError:
                    pass
        except Aborted as aborted:
            return ["aborted", aborted.reason]
        return "committed"

    async def caught_child(self):
        async with transaction():
            try:
                await self.hotel.left_alone()
            except ValueError:
                return "committed"

    async def doomed_by_itself(self):
        async with transaction():
            try:
                async with transaction():
                    raise ValueError("inner")
            except ValueError:
                pass

    async def nested(self):
        async with transaction():
            async with transaction():
                await self.hotel.reserve("a")

    async def twice(self):
        for name in "ab":
            async with transaction():
                await self.hotel.reserve(name)

    async def in_gather(self):
        async def branch():
            async with transaction():
                pass
        await __sos__.gather(branch())

    async def gather_inside(self):
        async def branch(name):
            async with transaction():
                return await self.hotel.reserve(name)
        async with transaction():
            return await __sos__.gather(branch("a"), self.hotel.reserve("b"))

    async def failing_gather(self):
        async def branch():
            await self.hotel.reserve("a")
            self.note = "went on"
            await self.hotel.reserve("a")
        try:
            async with transaction():
                await __sos__.gather(self.hotel.left_alone(), branch(), self.hotel.reserve("b"))
        except ValueError:
            await __sos__.sleep(1)
        return self.note

    async def sleeps(self):
        async with transaction():
            await __sos__.sleep(1)

    def abort_outside(self):
        abort("nowhere")

    def abort_plain(self):
        abort("plain")

    def sync_block(self):
        with transaction():
            pass
'''
METHODS = [line.split("def ")[1].split("(")[0] for line in SOURCE.splitlines() if line.startswith(("    async", "    def"))]
MAIN = fake.service("Main", scalars={"note": ""}, clients={"hotel": "Hotel"}, methods=METHODS)
HOTEL = fake.service("Hotel", dicts=["rooms"], methods=METHODS)

MU2SLS = '''\
from compiler import decorators
from runtime.transaction_exception import TransactionException
import sostenuto


@decorators.service
class Bank:
    def __init__(self):
        self.accounts = {}  # type: Persistent[dict]

    def add(self, name, amount):
        self.accounts[name] += amount
        return self.accounts[name]

    async def checked(self, name, amount):
        await BeginTx()
        self.accounts[name] += amount
        if self.accounts[name] < 0:
            await AbortTx()
        await CommitTx()

    async def silent(self):
        await AbortTxNoExc()
        return "went on"

    async def open_in_callee(self):
        await BeginTx()


@decorators.service
class Front:
    async def transfer(self, one, other, amount):
        try:
            await BeginTx()
            (await SyncInvoke("Bank", "checked", one, -amount))
            (await SyncInvoke("Bank", "checked", other, amount))
            await CommitTx()
            return True
        except TransactionException:
            return False

    async def together(self):
        first = AsyncInvoke("Bank", "add", "a", 1)
        second = AsyncInvoke("Bank", "add", "a", 2)
        got = await WaitAll(second, first)
        return [got, type(got).__name__, await Wait(first)]

    async def not_waited(self):
        AsyncInvoke("Bank", "add", "a", 1)
        return 1

    async def retry(self):
        tries = 0
        while True:
            try:
                await BeginTx()
                tries += 1
                await SyncInvoke("Bank", "add", "a", 1)
                if tries < 3:
                    await AbortTx()
                await CommitTx()
                return tries
            except TransactionException:
                continue

    async def retry_callee(self):
        tries = 0
        while True:
            try:
                await BeginTx()
                tries += 1
                await asyncio_gather(SyncInvoke("Bank", "add", "a", 1), SyncInvoke("Bank", "checked", "b", tries - 3))
                await CommitTx()
                return tries
            except TransactionException:
                if tries > 5:
                    return "endless"

    async def no_exception(self):
        await BeginTx()
        await SyncInvoke("Bank", "add", "a", 100)
        await AbortTxNoExc()
        return "after"

    async def silent_callee(self):
        try:
            await BeginTx()
            got = await SyncInvoke("Bank", "silent")
            await CommitTx()
        except TransactionException:
            return [got, "aborted"]

    async def left_open(self):
        await BeginTx()
        await SyncInvoke("Bank", "add", "a", 100)
        return 5

    async def left_open_by_exception(self):
        await BeginTx()
        await SyncInvoke("Bank", "add", "a", 100)
        raise ValueError("out")

    async def callee_leaves_open(self):
        await BeginTx()
        await SyncInvoke("Bank", "open_in_callee")

    async def commit_nothing(self):
        await CommitTx()

    async def abort_nothing(self):
        await AbortTx()

    async def unknown(self):
        await SyncInvoke("Nowhere", "method")

    async def unknown_method(self):
        await SyncInvoke("Bank", "method")

    def alias(self):
        return TransactionException is sostenuto.Aborted
'''
BANK = fake.service("Bank", "bank", mu2sls=True, dicts=["accounts"], methods=["add", "checked", "silent", "open_in_callee"])
FRONT = fake.service(
    "Front", "bank", mu2sls=True,
    methods=[line.split("def ")[1].split("(")[0] for line in MU2SLS.partition("class Front")[2].splitlines()
             if line.startswith(("    async", "    def"))],
)  # fmt: skip


class TransactionCase(unittest.TestCase):
    main = "Main"

    def setUp(self):
        self.server = fake.Server(fake.Inside(), [fake.module("app", SOURCE)], [MAIN, HOTEL])
        self.addCleanup(self.server.close)
        self.server.put("Hotel", "rooms", {"a": 1, "b": 1})

    def call(self, method, *args, **named):
        return self.server.call(self.main, method, *args, **named)

    def failure(self, method, *args, **named):
        with self.assertRaises(fake.Failed) as caught:
            self.call(method, *args, **named)
        self.text = caught.exception.text
        return caught.exception.error

    def ops(self):
        return [fake.text(op) for end in self.server.ends if end[0] == 10 for op in end[7]]

    def rooms(self):
        return self.server.get("Hotel", "rooms")


class Blocks(TransactionCase):
    def test_commit(self):
        for evict in (False, True):
            self.server.evict_always = evict
            self.server.put("Hotel", "rooms", {"a": 1, "b": 1})
            self.assertEqual(self.call("book", ["a", "b"]), [True, True])
            self.assertEqual(self.rooms(), {"a": 0, "b": 0})
        self.assertEqual(self.ops()[:4], ["begin", "call Hotel.reserve", "call Hotel.reserve", "commit"])

    def test_abort(self):
        for evict in (False, True):
            self.server.evict_always = evict
            self.assertEqual(self.call("book", ["a", "a"]), ["sold out", ("sold out",)])
            self.assertEqual(self.rooms(), {"a": 1, "b": 1})
        self.assertEqual(self.ops()[:4], ["begin", "call Hotel.reserve", "call Hotel.reserve", "rollback"])

    def test_an_exception_leaves_the_block_after_the_rollback(self):
        self.assertEqual(repr(self.failure("fails")), "KeyError('own')")
        self.assertEqual((self.ops()[-1], self.rooms()), ("rollback", {"a": 1, "b": 1}))
        rollback = [op for end in self.server.ends for op in end[7] if op[1] == 5][0]
        self.assertEqual(repr(fake.exceptions.decode(rollback[2])), "KeyError('own')")
        self.assertIn('raise KeyError("own")', self.text)
        self.assertNotIn("__aexit__", self.text)

    def test_a_callee_aborts(self):
        self.assertEqual(self.call("callee_gives_up"), "from the callee")
        self.assertEqual(self.rooms(), {"a": 1, "b": 1})

    def test_positions_go_on_in_a_second_transaction(self):
        self.call("twice")
        positions = [op[0] for end in self.server.ends if end[0] == 10 for op in end[7]]
        self.assertEqual(positions, ["0", "1", "2", "3", "4", "5"])


class Joining(TransactionCase):
    def test_a_joined_block_makes_no_operations(self):
        self.call("nested")
        self.assertEqual(self.ops(), ["begin", "call Hotel.reserve", "commit"])
        self.server.ends.clear()
        self.server.call("Hotel", "join", in_transaction=True)
        self.assertEqual((self.ops(), self.server.ends[-1][10]), ([], None))

    def test_an_exception_that_leaves_a_joined_block_dooms_the_whole(self):
        self.assertEqual(self.call("doomed"), ["aborted", PART_ABORTED])
        doom = fake.exceptions.decode(next(end[10] for end in self.server.ends if end[10]))
        self.assertEqual((type(doom), doom.args), (Aborted, (PART_ABORTED,)))
        self.assertIn("inside a joined block", str(doom.__cause__))
        self.assertEqual(self.rooms(), {"a": 1, "b": 1})

    def test_a_caught_exception_of_a_child_dooms_nothing(self):
        self.assertEqual(self.call("caught_child"), "committed")
        self.assertFalse([end for end in self.server.ends if end[10]])

    def test_a_nested_block_of_its_own(self):
        self.assertEqual(type(self.failure("doomed_by_itself")).__name__, "Aborted")

    def test_inside_gather(self):
        self.assertIn("cannot begin inside gather()", str(self.failure("in_gather")))
        self.assertEqual(self.call("gather_inside"), [True, True])
        self.assertEqual(self.ops().count("begin"), 1)

    def test_what_a_failed_transaction_left_running_gets_no_results(self):
        self.server.reorder = lambda ready: ready[:1]
        self.assertEqual(self.call("failing_gather"), "")
        self.assertEqual(self.rooms(), {"a": 1, "b": 1})


class Mistakes(TransactionCase):
    def test_sleep_inside(self):
        self.assertIn("sleep() inside a transaction", str(self.failure("sleeps")))

    def test_abort_outside(self):
        error = self.failure("abort_outside")
        self.assertEqual((type(error).__name__, "outside a transaction" in str(error)), ("TransactionError", True))
        self.assertEqual(self.failure("abort_plain", in_transaction=True).reason, "plain")

    def test_a_block_that_was_not_compiled(self):
        self.assertEqual(type(self.failure("sync_block")).__name__, "NotSupported")


class Mu2sls(TransactionCase):
    main = "Front"

    def setUp(self):
        self.server = fake.Server(fake.Inside(), [fake.module("bank", MU2SLS + "\nasyncio_gather = __sos__.gather\n")], [BANK, FRONT])
        self.addCleanup(self.server.close)
        self.server.put("Bank", "accounts", {"a": 10, "b": 0})

    def accounts(self):
        return self.server.get("Bank", "accounts")

    def test_transfer(self):
        for evict in (False, True):
            self.server.evict_always = evict
            self.server.put("Bank", "accounts", {"a": 10, "b": 0})
            self.assertTrue(self.call("transfer", "a", "b", 4))
            self.assertEqual(self.accounts(), {"a": 6, "b": 4})
            self.assertFalse(self.call("transfer", "a", "b", 40))
            self.assertEqual(self.accounts(), {"a": 6, "b": 4})

    def test_promises(self):
        self.assertEqual(self.call("together"), [[13, 11], "list", 11])
        self.assertEqual([op[0] for op in self.server.ends[0][7]], ["0", "1"])
        self.assertEqual(self.server.ends[0][8], (1, ["0", "1"]))

    def test_a_promise_needs_not_be_waited_for(self):
        self.assertEqual(self.call("not_waited"), 1)
        self.assertEqual(len(self.server.ends[0][7]), 1)

    def test_a_hand_written_retry_loop(self):
        self.assertEqual(self.call("retry"), 3)
        self.assertEqual(self.accounts()["a"], 11)

    def test_a_retry_loop_over_aborts_of_a_callee(self):
        for evict in (False, True):
            self.server.evict_always = evict
            self.server.put("Bank", "accounts", {"a": 10, "b": 0})
            self.assertEqual(self.call("retry_callee"), 3)
            self.assertEqual(self.accounts(), {"a": 11, "b": 0})
        self.assertEqual(self.ops().count("rollback"), 4)

    def test_abort_without_exception(self):
        self.assertEqual(self.call("no_exception"), "after")
        self.assertEqual(self.accounts()["a"], 10)
        self.assertEqual(self.call("silent_callee"), ["went on", "aborted"])

    def test_left_open(self):
        line = MU2SLS[: MU2SLS.index("await BeginTx()", MU2SLS.index("def left_open"))].count("\n") + 1
        error = self.failure("left_open")
        self.assertEqual(type(error).__name__, "TransactionError")
        self.assertIn(f"Front.left_open returned with the transaction open that began at bank.py:{line}", str(error))
        self.assertEqual((self.accounts()["a"], self.ops()[-1]), (10, "rollback"))
        self.assertEqual(str(self.failure("left_open_by_exception")), "out")
        self.assertEqual(self.accounts()["a"], 10)

    def test_left_open_by_a_callee(self):
        error = self.failure("callee_leaves_open")
        self.assertIn("Bank.open_in_callee returned with the transaction open that began at bank.py:", str(error))

    def test_mistakes(self):
        self.assertIn("CommitTx() without BeginTx()", str(self.failure("commit_nothing")))
        self.assertIn("AbortTx() without BeginTx()", str(self.failure("abort_nothing")))
        self.assertIn("no service Nowhere", str(self.failure("unknown")))
        self.assertIn("Bank has no method 'method'", str(self.failure("unknown_method")))

    def test_the_exceptions_alias(self):
        self.assertTrue(self.call("alias"))


if __name__ == "__main__":
    unittest.main()
