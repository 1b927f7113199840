"""The fixed part of every random program: types, functions, entities and the service that the random one calls.

`HEADER` comes before the random service. `FAMILIES` says of which classes that inherits; `FIXED` is what the uppermost of
them has besides random fields and methods, `OVERRIDES` and `MIXED_IN` what the others do to it, `LAST` what the service
itself ends with. `{number}` and `{shown}` are filled by `program`; the operations of `flow` know the names defined here.
"""

HEADER = """\
import asyncio, bisect, contextlib, copy, dataclasses, datetime, enum, functools, heapq, itertools, json, math, os, re
import random, secrets, time, uuid
import datetime as dates, random as dice, time as clock, uuid as ids
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime as moment, timedelta, timezone
from decimal import Decimal
from os import urandom
from random import choice, randint as rolled
from secrets import token_hex
from time import time as now, time_ns
from uuid import UUID, uuid4, uuid4 as fresh

from sostenuto import Aborted, Persistent, abort, entity, send, service, sleep, task, transaction

LIMIT = 5
NAMES = ("p", "q", "r")
TABLE = {"a": 1}


class Color(enum.Enum):
    RED = "red"
    GREEN = 2
    BLUE = (3, "b")

    def darker(self):
        return f"dark {self.name}"


class Size(str, enum.Enum):
    BIG = "big"


@dataclass
class Point:
    x: int = 0
    y: float = 0.5
    tags: list[str] = field(default_factory=list)
    near: dict[str, int] = field(default_factory=dict)

    @property
    def size(self):
        return abs(self.x) + len(self.tags)

    def moved(self, by):
        return Point(self.x + by, self.y)

    def move(self, by):
        self.x += by


@dataclass
class Box:
    name: str
    point: Point
    rows: list[list[int]]


@dataclass(frozen=True, order=True)
class Key:
    a: int
    b: str


@dataclass
class Ticket:
    id: UUID = field(default_factory=uuid4)
    luck: float = field(default_factory=lambda: random.random())


@dataclass
class Stamped:
    at: float = field(default_factory=time.time)
    day: date = field(default_factory=date.today)


class Oops(Exception):
    pass


def show(value):
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}{sorted([show(each) for each in value])}"
    if isinstance(value, Mapping):
        return "{" + ", ".join([f"{show(key)}: {show(each)}" for key, each in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + "(" + ", ".join([show(each) for each in value]) + ")"
    return repr(value)


def told(value):
    if isinstance(value, BaseException):
        return f"{type(value).__name__}({show(value.args)})"
    return show(value)


def shape(value):
    if isinstance(value, (list, tuple)):
        return [shape(each) for each in value]
    if dataclasses.is_dataclass(value):
        return [type(value).__name__, [shape(getattr(value, each.name)) for each in dataclasses.fields(value)]]
    if isinstance(value, (str, bytes)):
        return [type(value).__name__, len(value)]
    if isinstance(value, UUID):
        return [type(value).__name__, value.version, value.variant]
    return type(value).__name__


def tick(out, value):
    out.append(show(value))
    return value


def gathered(*args):
    return show(args)


def named(first, **more):
    return show((first, more))


def defaulted(value, held=(1, 2)):
    return (value, *held)


def push(target, value):
    target.append(value)


def put(target, key, value):
    target[key] = value


def rename(target, name):
    target.tags.append(name)


def doubled(values):
    for each in values:
        yield each
        yield show(each)


def drawn_by_default(make=uuid4):
    return make()


def drawn_here():
    return random.getrandbits(40), uuid4()


def read_here():
    return time.time()


@contextlib.contextmanager
def noted(out, name):
    out.append(f"enter {name}")
    try:
        yield
    finally:
        out.append(f"exit {name}")


@task
def outside(x: int, values: list[int]) -> list[int]:
    values.append(x)
    return values


@task(retries=2, backoff=0.001)
def outside_fails(how: int) -> int:
    if how == 0:
        raise ValueError("outside", how)
    if how == 1:
        raise Oops("outside", [how])
    return how


@task(pure=True)
async def outside_slowly(x: int) -> dict[str, int]:
    return {"x": x}


@service
class Other{number}:
    main: "Main{number}"
    total: Persistent[int] = 0
    log: Persistent[list[str]] = []
    table: Persistent[dict[str, list[int]]] = {}

    def add(self, x: int = 1) -> int:
        self.total += x
        self.log.append(f"add {x}")
        self.table.setdefault("a", []).append(x)
        return self.total

    def post(self, x: int, text: str = "posted"):
        self.total += x
        self.log.append(text)

    def changed(self, values: list[int]) -> list[int]:
        values.append(len(values))
        return values

    def echo(self, value):
        return value

    def table_copy(self) -> dict[str, list[int]]:
        return self.table

    def fail(self, how: int):
        self.log.append(f"fail {how}")
        if how == 0:
            raise ValueError("zero", [1, 2])
        if how == 1:
            return self.table["nothing"]
        if how == 2:
            return [][5]
        raise Oops("other", how)

    async def slow(self, x: int) -> int:
        self.total += x
        await asyncio.sleep(0)
        self.total += 1
        self.log.append("slow")
        return self.total

    async def back(self, x: int) -> int:
        self.total += 1
        got = await self.main.touched(x)
        self.total += 1
        return got

    async def whole(self, x: int) -> int:
        async with transaction():
            self.total += x
            self.table["whole"] = [x]
            await self.main.touched(x)
            if x > 1:
                abort(f"more than {x}")
        return self.total

    async def half(self, x: int) -> int:
        async with transaction():
            self.total += x
            if x > 1:
                raise Oops("half", x)
            self.log.append("half")
        return self.total

    def state(self) -> str:
        return show([self.total, self.log, self.table])


@service
class Sink{number}:
    posted: Persistent[int] = 0

    def post(self, x: int):
        self.posted += x

    def state(self) -> str:
        return show(self.posted)


class Marked{number}:
    marks: Persistent[dict[str, int]] = {}

    def mark(self, text: str, x: int = 1) -> int:
        self.marks[text] = self.marks.get(text, 0) + x
        return self._weight(self.marks[text])

    def _weight(self, x: int) -> int:
        return x


@entity
class Item{number}(Marked{number}):
    key: str
    other: Other{number}
    count: Persistent[int] = 0
    notes: Persistent[dict[str, int]] = {}

    def add(self, x: int) -> int:
        self.count += x
        self.notes[str(self.count)] = x
        return self.count

    def post(self, x: int):
        self.notes["posted"] = x

    def _weight(self, x: int) -> int:
        self.notes[self.key + "!"] = x
        return super()._weight(x) * 10

    def name(self) -> str:
        return f"{self.key}:{self.count}"

    def counted(self, x: int) -> int:
        self.count += 1
        return self.other.add(x) + self.count

    async def pass_on(self, to: str, x: int) -> int:
        self.count += 1
        got = await Item{number}(to).add(x)
        self.count += got
        return self.count

    async def around(self, to: str, x: int) -> list[int]:
        self.count += 1
        got = await Item{number}(to).back_to(self.key, x)
        self.notes["around"] = got
        return [got, self.count]

    async def back_to(self, to: str, x: int) -> int:
        self.notes["back"] = x
        got = await Item{number}(to).add(x)
        self.count -= 1
        return got

    def state(self) -> str:
        return show([self.count, self.notes, self.marks])


@entity
class Ledger{number}:
    key: int
    lines: Persistent[list[int]] = []

    def book(self, x: int) -> int:
        self.lines.append(x * self.key)
        return sum(self.lines)

    async def move(self, to: int, x: int) -> int:
        self.lines.append(-x)
        got = await Ledger{number}(to).book(x)
        self.lines.append(got)
        return len(self.lines)

    def state(self) -> str:
        return show(self.lines)


@entity
class Desk{number}:
    key: UUID
    people: Persistent[dict[str, int]] = {}

    def sit(self, who: str) -> str:
        self.people[who] = len(self.people)
        return f"{self.key.int}: {who} {len(self.people)}"

    def state(self) -> str:
        return show(self.people)


async def worked(other: Other{number}, x: int) -> int:
    return await other.add(x) * 2


"""

FIXED = """\
    other: Other{number}
    sink: Sink{number}
    _ticks: Persistent[int] = 0
    _drawn: Persistent[list[str]] = []
    _memo: Persistent[str] = ""
    _board: Persistent[dict[str, int]] = {"a": 1, "b": 2}
    _row: Persistent[list[int]] = [1, 2]
    _boxes: Persistent[dict[str, list[int]]] = {}
    _pairs: Persistent[dict[tuple[int, str], int]] = {}
    LEVEL = 3

    def _next(self) -> int:
        self._ticks += 1
        return self._ticks

    def _draw(self, value):
        self._drawn.append(repr(value))
        return shape(value)

    @staticmethod
    def _double(value):
        return value * 2

    @property
    def _ahead(self):
        return self._ticks + 100

    def _held(self, key):
        return self.lists.setdefault(key, [])

    async def _work(self, x: int) -> int:
        self.n += x
        got = await self.other.add(x)
        self.nums.append(got)
        return got + len(self.nums)

    async def _drawing(self, x: int) -> list:
        first = self._draw(uuid4())
        await self.other.add(x)
        return [first, self._draw(random.random())]

    async def _patient(self, out: list, seconds: int) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.nums.append(-9)
            raise
        finally:
            out.append("left")
        return "waited"

    def touched(self, x: int) -> int:
        self.n += x
        self.nums.append(x)
        self.counts["a"] = x
        self.lists.setdefault("back", []).append(x)
        self._board["back"] = x
        self._row.append(x)
        self._boxes.setdefault("entry", []).append(x)
        return len(self.nums)

    @property
    def _rung(self):
        return self._ticks + self.LEVEL

    def _rank(self, by: int) -> int:
        self._ticks += by
        return self._ticks * self.LEVEL

    def _hook(self) -> str:
        return "uppermost"

    def _climb(self) -> str:
        return f"{self._hook()} {self._rank(1)}"

    def _ask(self, x: int) -> int:
        return x

    async def _relay(self, x: int) -> int:
        got = await self.other.add(x)
        self._ticks += got
        return got
"""

#: Below the uppermost class.
OVERRIDES = """
    LEVEL = 5

    @property
    def _rung(self):
        return super()._rung * 10

    def _rank(self, by: int) -> int:
        return super()._rank(by + 1) + 1

    def _hook(self) -> str:
        self._row.append(len(self._row))
        return super()._hook() + " lowest"

    def _ask(self, x: int) -> int:
        return self.other.add(x) + super()._ask(x + 1)

    async def _relay(self, x: int) -> int:
        self._ticks += 1
        return await super()._relay(x) + await self.other.add(1)
"""

MIXED_IN = """
    def _hook(self) -> str:
        return super()._hook() + " mixed in"

    async def _relay(self, x: int) -> int:
        got = await super()._relay(x + 1)
        self._memo = "relayed"
        return got
"""

LAST = """
    def state(self) -> str:
        return show([{shown}])
"""

#: How the random service comes about: its classes, uppermost first, each with what stands before its colon.
FAMILIES = {
    "alone": {"Main": "@service\nclass Main{number}"},
    "base": {"Base": "class Base{number}", "Main": "@service\nclass Main{number}(Base{number})"},
    "service": {"Base": "@service\nclass Base{number}", "Main": "@service\nclass Main{number}(Base{number})"},
    "mixin": {
        "Base": "@service\nclass Base{number}",
        "Mixin": "class Mixin{number}",
        "Main": "@service\nclass Main{number}(Mixin{number}, Base{number})",
    },
}
