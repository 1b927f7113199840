"""Elements of list fields that a method holds while it waits: against the same on a real list, with others at work."""

import os
import random
import unittest
from types import SimpleNamespace

import fake

SOURCE = '''
def act(owner, hands, operation):
    """One operation on `owner.l`, and on what the hands hold; gives what can be seen of it."""
    name, *args = operation
    try:
        return repr(_ACTIONS[name](owner, hands, *args))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _take(owner, hands, hand, index):
    hands[hand] = owner.l[index]
    return hands[hand]


def _part(owner, hands, hand, index):
    hands[hand] = owner.l[index][0]
    return hands[hand]


def _change(owner, hands, hand, value):
    hands[hand].append(value)
    return hands[hand]


def _change_at(owner, hands, index, value):
    owner.l[index].append(value)
    return owner.l[index]


def _is(owner, hands, hand, index):
    element = owner.l[index]
    return type(element) in (list, dict) and element is hands[hand], element == hands[hand]


def _set(owner, hands, index, value):
    owner.l[index] = value


def _move(owner, hands, index, to):
    owner.l.insert(to, owner.l.pop(index))


def _delete(owner, hands, first, last):
    del owner.l[first:last]


def _put_back(owner, hands, hand):
    if type(hands[hand]) not in (list, dict) or any(each is hands[hand] for each in owner.l) or hand.startswith("part"):
        return
    owner.l.append(hands[hand])


def _collect(owner, hands, hand, first, last):
    hands[hand] = owner.l[first:last]
    return hands[hand]


def _change_collected(owner, hands, hand, value):
    for each in hands[hand]:
        if type(each) is list and len(each) < 5:
            each.append(value)


_ACTIONS = {
    "take": _take,
    "part": _part,
    "change": _change,
    "change_part": _change,
    "change_at": _change_at,
    "is": _is,
    "show": lambda owner, hands, hand: hands[hand],
    "show_all": lambda owner, hands: owner.l,
    "drop": lambda owner, hands, hand: hands.pop(hand, None),
    "set": _set,
    "move": _move,
    "delete": _delete,
    "put_back": _put_back,
    "collect": _collect,
    "change_collected": _change_collected,
    "append": lambda owner, hands, value: owner.l.append(value),
    "extend": lambda owner, hands, values: owner.l.extend(values),
    "insert": lambda owner, hands, index, value: owner.l.insert(index, value),
    "pop": lambda owner, hands: owner.l.pop(),
    "pop_first": lambda owner, hands: owner.l.pop(0),
    "pop_at": lambda owner, hands, index: owner.l.pop(index),
    "sort": lambda owner, hands: owner.l.sort(key=repr),
    "reverse": lambda owner, hands: owner.l.reverse(),
    "len": lambda owner, hands: len(owner.l),
    "get": lambda owner, hands, index: owner.l[index],
    "clear": lambda owner, hands: owner.l.clear(),
}
'''
METHODS = """
class Store:
    async def hold(self, scripts):
        hands, seen = {}, []
        for script in scripts:
            seen.append([act(self, hands, operation) for operation in script])
            await __sos__.sleep(1)
        return seen

    def other(self, script):
        return [act(self, {}, operation) for operation in script]
"""
APP = [fake.module("app", SOURCE + METHODS)]
ROUNDS = int(os.environ.get("SOSTENUTO_LIST_ROUNDS", "60"))
OF_HANDS = ["take", "take", "change", "change", "show", "is", "drop", "put_back", "part", "change_part", "collect",
            "change_collected"]  # fmt: skip
OF_LISTS = ["change_at", "change_at", "set", "move", "delete", "append", "extend", "insert", "pop", "pop_first", "pop_at",
            "sort", "reverse", "len", "get", "show_all", "clear"]  # fmt: skip
RARE = {"clear", "sort", "reverse", "show_all", "delete"}


def store(initial):
    return fake.service("Store", lists={"l": initial}, methods=["hold", "other"], held=True)


class Script:
    """Draws operations."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.count = 0

    def value(self):
        """A new element; no two are equal, but for numbers."""
        self.count += 1
        return self.dice.choice([[self.count], [[self.count], "x"], [{"n": self.count}], 7, "text"])

    def values(self, count):
        return [self.value() for _ in range(count)]

    def index(self):
        return self.dice.choice([0, 0, -1, -1, 1, 3, 63, 64, 65, -65, self.dice.randrange(-200, 200)])

    def script(self, names, length):
        return [self.operation(self.dice.choice(names)) for _ in range(length)]

    def operation(self, name):
        if name in RARE and self.dice.random() < 0.7:
            name = "get"
        hand = f"hand{self.dice.randrange(3)}"
        arguments = {
            "take": lambda: [hand, self.index()],
            "part": lambda: [f"part{self.dice.randrange(2)}", self.index()],
            "change": lambda: [hand, self.count],
            "change_part": lambda: [f"part{self.dice.randrange(2)}", self.count],
            "change_at": lambda: [self.index(), self.count],
            "is": lambda: [hand, self.index()],
            "show": lambda: [hand],
            "drop": lambda: [hand],
            "put_back": lambda: [hand],
            "collect": lambda: ["part2", self.index(), self.index()],
            "change_collected": lambda: ["part2", self.count],
            "set": lambda: [self.index(), self.value()],
            "move": lambda: [self.index(), self.index()],
            "delete": lambda: [self.index(), self.index()],
            "append": lambda: [self.value()],
            "extend": lambda: [self.values(self.dice.choice([2, 70]))],
            "insert": lambda: [self.index(), self.value()],
            "pop_at": lambda: [self.index()],
            "get": lambda: [self.index()],
        }
        return [name, *arguments.get(name, list)()]


class Held(unittest.TestCase):
    def check(self, seed, **modes):
        draw = Script(seed)
        initial = draw.values(draw.dice.choice([0, 1, 5, 64]))
        server = fake.Server(fake.Inside(), APP, [store(initial)])
        self.addCleanup(server.close)
        scope = {}
        exec(SOURCE, scope)
        act, model, hands = scope["act"], SimpleNamespace(l=fake.codec.decode(fake.codec.encode(initial))), {}
        copied = lambda script: fake.codec.decode(fake.codec.encode(script))
        grown = [["extend", draw.values(draw.dice.choice([0, 2, 60, 64, 150]))]]
        grown += [["pop_first"]] * draw.dice.choice([0, 0, 3, 70])
        server.call("Store", "other", grown)
        [act(model, {}, operation) for operation in copied(grown)]
        for name, value in modes.items():
            setattr(server, name, value)
        scripts = [draw.script(OF_HANDS + OF_LISTS * (draw.dice.random() < 0.4), draw.dice.choice([2, 5])) for _ in range(6)]
        others = [draw.script(OF_LISTS, draw.dice.choice([0, 0, 1, 2, 4])) for _ in scripts]
        # Who holds an element does not see what happened to it in the step that took it out of the list.
        others = [sorted(script, key=lambda operation: operation[0] == "change_at") for script in others]
        holder = server.begin("Store", "hold", scripts)
        expected = []
        with self.subTest(seed=seed, modes=modes, scripts=scripts, others=others):
            for script, other in zip(copied(scripts), others, strict=True):
                server.step(holder)
                self.assertEqual(holder.status, fake.SUSPENDED)
                expected.append([act(model, hands, operation) for operation in script])
                seen = server.call("Store", "other", other)
                self.assertEqual(seen, [act(model, {}, operation) for operation in copied(other)])
                self.assertEqual(repr(server.get("Store", "l")), repr(model.l))
                server.deliver(holder)
            server.step(holder)
            self.assertEqual(fake.codec.decode(holder.payload), expected)
            self.assertEqual(repr(server.get("Store", "l")), repr(model.l))

    def test_on_a_worker_that_keeps_it(self):
        for seed in range(ROUNDS):
            self.check(seed)

    def test_replayed_at_each_step(self):
        for seed in range(ROUNDS):
            self.check(seed, evict_always=True)

    def test_with_a_miss_at_every_access(self):
        for seed in range(1000, 1000 + ROUNDS):
            self.check(seed, ship_nothing=True, evict_always=seed % 2 == 0)

    def test_with_whole_fields_shipped(self):
        for seed in range(2000, 2000 + ROUNDS):
            self.check(seed, ship_wholes=True, evict_always=seed % 2 == 0)

    def test_with_more_that_counts_as_held(self):
        for seed in range(3000, 3000 + ROUNDS):
            with fake.miscounting(seed):
                self.check(seed, evict_always=seed % 4 > 0)


if __name__ == "__main__":
    unittest.main()
