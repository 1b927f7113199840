"""Services in plain Python, as a user's unit tests see them."""

import asyncio
import dataclasses
import unittest

import fake  # noqa: F401 (makes the package importable)

import sostenuto
from sostenuto import Aborted, CallError, Persistent, abort, client, entity, memory, send, service, sleep, task, transaction


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


@client
class Ledger:
    def add(self, amount: int) -> int: ...


@client
class Purse:
    key: str

    def pay(self, amount: int) -> int: ...


@service
class Till:
    ledger: Ledger
    sold: Persistent[int] = 0

    def sell(self, amount):
        self.sold += 1
        return self.ledger.add(amount), Purse("ann").pay(amount)

    async def try_to_sell(self, amount):
        async with transaction():
            self.sold += 1
            await asyncio.gather(self.ledger.add(amount), Purse("ann").pay(amount))
            abort("changed my mind")


@service
class FakeLedger:
    sum: Persistent[int] = 0

    def add(self, amount):
        self.sum += amount
        return self.sum


@entity
class FakePurse:
    spent: Persistent[list] = []

    def pay(self, amount):
        self.spent.append((self.key, amount))
        return len(self.spent)


@dataclasses.dataclass
class Leaf:
    number: int
    others: list


@dataclasses.dataclass(frozen=True, slots=True)
class Fixed:
    names: list


@service
class Tree:
    lists: Persistent[dict[str, list]] = {}
    shapes: Persistent[dict] = {}
    kept: Persistent[object] = 0

    async def aborts(self, change):
        """Holds objects over a transaction that changes them and is aborted; what they and the fields hold then."""
        self.lists = {"a": [1, [2]]}
        self.shapes = {"leaf": Leaf(1, [1]), "pair": (1, [2]), "fixed": Fixed(["x"]), "set": {1}, (1, 2): {"n": {}}}
        self.shapes |= {"leaf": Leaf(1, [Leaf(2, [])])}
        held = [self.lists["a"], *self.shapes.values()]
        try:
            async with transaction():
                globals()[change](self)
                abort()
        except Aborted:
            pass
        found = [self.lists["a"], *self.shapes.values()]
        return [type(one) is tuple or one is other for one, other in zip(held, found, strict=True)], repr(found)

    async def fails_after_an_abort(self):
        self.kept = 1
        try:
            async with transaction():
                abort()
        except Aborted:
            pass
        self.kept = object()


def change_nothing(tree):
    pass


def change_parts(tree):
    tree.lists["a"][1].append(3)
    tree.lists["a"].insert(0, 0)
    leaf = tree.shapes["leaf"]
    leaf.number = 7
    leaf.others[0].others.append(1)
    leaf.others.append(leaf.others[0].others)
    tree.shapes["pair"][1].clear()
    tree.shapes["fixed"].names.append("y")
    tree.shapes["set"].add(2)
    tree.shapes[1, 2]["n"]["m"] = 1


def replace_all(tree):
    change_parts(tree)
    tree.lists = {}
    tree.shapes.clear()


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


@dataclasses.dataclass
class Part:
    name: str
    sizes: list


@service
class Depot:
    parts: Persistent[dict[str, list]] = {}
    spare: Persistent[list] = []
    count: Persistent[int] = 0
    hotel: Hotel

    def put(self, name, value):
        self.count += 1
        self.parts[name] = value

    def put_twice(self, value):
        self.parts["a"] = self.spare = value

    def put_within(self, value):
        self.spare = [value, [value]]

    def move(self):
        self.spare = self.parts.pop("a")

    def circle(self):
        self.spare.append({"self": self.spare})

    def catches(self, value):
        self.count += 1
        try:
            self.put("a", value)
            return "stored"
        except Exception:
            return "caught"

    def calls(self, value):
        self.parts["a"] = value
        self.hotel.reserve("a", [])
        del self.parts["a"]

    def gives(self):
        return self.parts

    async def puts_later(self, value):
        await asyncio.sleep(0)
        self.put("a", value)


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

    def test_an_aborted_transaction_gives_the_same_objects_back_what_they_held(self):
        untouched = asyncio.run(Tree().aborts("change_nothing"))
        self.assertTrue(all(untouched[0]))
        self.assertIn("Leaf(number=1, others=[Leaf(number=2, others=[])])", untouched[1])
        for change in ("change_parts", "replace_all"):
            with self.subTest(change=change):
                self.assertEqual(asyncio.run(Tree().aborts(change)), untouched)

    def test_a_step_after_an_abort_leaves_nothing_if_it_fails(self):
        tree = Tree()
        with self.assertRaises(sostenuto.NotStorable):
            asyncio.run(tree.fails_after_an_abort())
        self.assertEqual(tree.kept, 1)

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

    def test_a_client_of_what_is_elsewhere_needs_a_stand_in(self):
        till = Till()
        with self.assertRaisesRegex(CallError, r"Ledger.add cannot be called here: (.|\n)* .*stand_in\(Ledger, …"):
            till.sell(1)
        memory.stand_in(Ledger, FakeLedger)
        memory.stand_in(Purse, FakePurse)
        self.addCleanup(memory._stand_ins.clear)
        self.assertEqual((till.sell(2), till.sell(3)), ((2, 1), (5, 2)))
        self.assertEqual(FakePurse("ann").spent, [("ann", 2), ("ann", 3)])
        with self.assertRaisesRegex(Aborted, "changed my mind"):
            asyncio.run(till.try_to_sell(7))
        self.assertEqual((till.sold, till.sell(0)), (3, (5, 3)))
        with self.assertRaisesRegex(AttributeError, "Ledger has no method 'drop'"):
            Ledger().drop()
        with self.assertRaisesRegex(TypeError, "stands in for Purse is an @entity, which FakeLedger is not"):
            memory.stand_in(Purse, FakeLedger)
        with self.assertRaisesRegex(TypeError, "Hotel is no client"):
            memory.stand_in(Hotel, FakeLedger)

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


class Strict(unittest.TestCase):
    def setUp(self):
        sostenuto.use(memory)
        memory.reset()
        self.addCleanup(memory.strict)
        memory.strict()
        self.depot = Depot()
        hotel = Hotel()
        hotel.rooms["a"] = 9

    def refused(self, expected, method, *arguments):
        """The exception of a call that must leave everything as it was."""
        before = repr(vars(self.depot)["parts"]), repr(self.depot.spare), self.depot.count
        with self.assertRaisesRegex(sostenuto.NotStorable, expected) as caught:
            result = getattr(self.depot, method)(*arguments)
            if asyncio.iscoroutine(result):
                asyncio.run(result)
        self.assertEqual((repr(self.depot.parts), repr(self.depot.spare), self.depot.count), before)
        return caught.exception

    def test_one_object_in_two_places(self):
        self.refused(r"Depot.spare: the same list is stored in Depot.parts\['a'\], too", "put_twice", [1])
        self.refused(r"Depot.spare\[1\]\[0\]: the same list is stored in Depot.spare, too", "put_within", [1])
        self.refused(r"Depot.spare\[1\]\[0\]: the same Part", "put_within", Part("a", []))
        self.depot.put_twice(("no", "object", "that", "changes"))
        self.depot.put("b", [])
        self.depot.put("a", [])
        self.depot.move()
        self.assertEqual((self.depot.parts, self.depot.spare), ({"b": []}, []))

    def test_what_the_test_itself_shares_is_found_too(self):
        self.depot.parts["x"] = self.depot.spare
        with self.assertRaisesRegex(sostenuto.NotStorable, "the same list"):
            self.depot.gives()

    def test_a_circle(self):
        self.refused(r"Depot.spare\[0\]\['self'\]: it contains itself", "circle")

    def test_kinds_that_cannot_be_stored(self):
        error = self.refused(r"argument 1 of Depot.put: .*object", "put", "a", object())
        self.assertIsNone(error.field)
        with self.subTest("made in the method"):
            self.depot.put("a", [1])

            @service
            class Maker:
                kept: Persistent[dict] = {}

                def make(self, kind):
                    self.kept["k"] = [{"a": {"list": lambda: 0, "range": range(3), "nan": 1}[kind]}]
                    self.kept[float(kind) if kind == "nan" else kind] = 1

            maker = Maker()
            for kind, told in (("list", "is code, not data"), ("range", r"use list\(range"), ("nan", "nan cannot")):
                with self.assertRaisesRegex(sostenuto.NotStorable, told) as caught:
                    maker.make(kind)
                self.assertEqual((caught.exception.field, maker.kept), ("kept", {}))

    def test_it_cannot_be_caught_where_it_arises(self):
        self.refused("contains itself", "circle")
        self.assertEqual(self.depot.catches([1]), "stored")
        loop = []
        loop.append(loop)
        self.refused("argument 0 of Depot.catches", "catches", loop)

    def test_a_step_ends_where_a_method_waits(self):
        self.depot.calls([1])
        self.assertEqual(self.depot.parts, {})
        memory.strict(False)
        generator = (each for each in ())
        self.depot.parts["a"] = generator
        memory.strict()
        with self.assertRaisesRegex(sostenuto.NotStorable, "generator"):
            self.depot.gives()

    def test_arguments_and_results_are_copies(self):
        mine = [1]
        self.depot.put("a", mine)
        mine.append(2)
        self.depot.gives()["a"].append(3)
        self.assertEqual(self.depot.parts, {"a": [1]})

    def test_an_async_method(self):
        asyncio.run(self.depot.puts_later([1]))
        self.assertEqual(self.depot.parts, {"a": [1]})
        self.refused("argument 0 of Depot.puts_later", "puts_later", print)

    def test_without_it_anything_goes(self):
        memory.strict(False)
        self.depot.put_twice([1])
        self.assertIs(self.depot.parts["a"], self.depot.spare)
        self.depot.put("b", print)

    def test_an_aborted_transaction_leaves_what_was_there(self):
        self.depot.put("a", [1])
        with self.assertRaises(Aborted), transaction():
            self.depot.put("a", [2])
            abort("no")
        self.assertEqual((self.depot.parts, self.depot.count), ({"a": [1]}, 1))
        self.refused("contains itself", "circle")
        self.assertEqual(self.depot.parts, {"a": [1]})


if __name__ == "__main__":
    unittest.main()
