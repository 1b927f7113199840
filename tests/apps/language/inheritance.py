"""Services and entities with base classes: mixins, abstract bases, generics, diamonds, other services."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from sostenuto import Persistent, entity, service, transaction

T = TypeVar("T")


class Counted:
    LIMIT = 3
    visits: Persistent[int] = 0
    by_user: Persistent[dict[str, int]] = {}

    def visit(self, user: str) -> int:
        self.visits += 1
        self.by_user[user] = self.by_user.get(user, 0) + self.weight(user)
        return self.bounded(self.visits)

    def bounded(self, n: int) -> int:
        return min(n, self.LIMIT)

    @property
    def busy(self) -> bool:
        return self.visits >= self.LIMIT

    @property
    def last(self) -> str:
        return next(reversed(self.by_user), "nobody")

    @last.setter
    def last(self, user: str):
        self.by_user[user] = self.by_user.pop(user, 0)

    @staticmethod
    def weight(user: str) -> int:
        return len(user)

    @classmethod
    def limit(cls) -> int:
        return cls.LIMIT


class Logged:
    log: Persistent[list[str]] = []

    def visit(self, user: str) -> int:
        self.log.append(f"before {user}")
        try:
            return super().visit(user)
        finally:
            self.log.append(f"after {user}")


class Loud(Counted):
    def bounded(self, n: int) -> int:
        return -super().bounded(n)


@service
class Bazaar(Counted):
    stock: Persistent[dict[str, int]] = {}

    def enter(self, user: str):
        return self.visit(user), self.busy, self.limit(), self.last

    def first(self, user: str):
        self.last = user
        return dict(self.by_user)


@service
class Museum(Logged, Loud, Counted):
    LIMIT = 5

    @staticmethod
    def weight(user: str) -> int:
        return 100

    def state(self):
        return self.visits, dict(self.by_user), self.log, self.busy, self.limit()


@entity
class Chamber(Logged, Counted):
    key: int

    def visit(self, user: str) -> int:
        n = super().visit(user)
        if n > 1:
            raise ValueError(f"room {self.key} is full")
        return n

    def seen(self):
        return self.key, self.log


class Repository(ABC, Generic[T]):
    items: Persistent[dict[str, list]] = {}
    kind: ClassVar[str] = "any"

    @abstractmethod
    def default(self, key: str) -> T: ...

    @property
    @abstractmethod
    def label(self) -> str: ...

    def load(self, key: str):
        return self.items.setdefault(key, self.default(key))

    def add(self, key: str, item):
        self.load(key).append(item)
        return f"{self.label}:{len(self.items[key])}"


@service
class Users(Repository[list]):
    kind = "user"

    def default(self, key: str) -> list:
        return [key]

    @property
    def label(self) -> str:
        return self.kind.title()


@service
class Letters(Repository[list]):
    def default(self, key: str) -> list:
        return list(key)

    @property
    def label(self) -> str:
        return f"{self.kind}-{len(self.items)}"


@dataclass
class Defaults:
    size: Persistent[int] = 2
    name: Persistent[str] = "none"

    def grow(self) -> int:
        self.size *= 2
        return self.size


@service
class Tree(Defaults):
    def show(self):
        return self.name, self.grow()


@service
class Clock:
    ticks: Persistent[int] = 0

    def tick(self) -> int:
        self.ticks += self.step()
        return self.ticks

    def step(self) -> int:
        return 1

    def twice(self) -> list:
        return [self.tick(), self.tick()]


@service
class Fast(Clock):
    shop: Bazaar

    def step(self) -> int:
        return 10 + super().step()

    def twice(self) -> list:
        return [self.shop.bounded(99), *super().twice()]


@service
class Faster(Fast):
    ticks: Persistent[int] = 1000

    def step(self) -> int:
        return 100 * Clock().tick() + super().step()


class Base:
    def __init__(self):
        self.n: Persistent[int] = 7
        self.seen: Persistent[dict[str, int]] = {}

    def bump(self, by: int = 1) -> int:
        self.n += by
        self.seen[str(by)] = self.n
        return self.n


@service
class Derived(Base):
    def __init__(self):
        super().__init__()
        self.m: Persistent[int] = 1

    def bump(self, by: int = 2) -> int:
        with transaction():
            self.m += super().bump(by * 10)
        return self.m


@service
class Asker:
    fast: Fast
    clock: Clock

    async def ask(self):
        return await self.fast.tick(), await self.clock.tick(), await Chamber(7).visit("asker")

    def rooms(self):
        return [Chamber(n).seen() for n in (7, 8)]


# >>> Bazaar.enter("ann")
# >>> Bazaar.enter("bob")
# >>> Bazaar.enter("cy")
# >>> Bazaar.enter("dan")
# >>> Bazaar.first("ann")
# >>> Bazaar.visit("eve")
# >>> Bazaar.bounded(2)
# >>> Museum.visit("ann")
# >>> Museum.visit("ann")
# >>> Museum.visit("bob")
# >>> Museum.state()
# >>> Chamber(7).visit("ann")
# >>> Chamber(7).visit("bob")
# >>> Chamber(7).seen()
# >>> Chamber(8).visit("ann")
# >>> Users.add("a", 1)
# >>> Users.add("a", 2)
# >>> Users.load("a")
# >>> Letters.add("abc", "d")
# >>> Letters.load("xy")
# >>> Letters.add("xy", "z")
# >>> Tree.show()
# >>> Tree.show()
# >>> Clock.twice()
# >>> Fast.twice()
# >>> Fast.tick()
# >>> Clock.tick()
# >>> Faster.twice()
# >>> Faster.step()
# >>> Clock.tick()
# >>> Derived.bump()
# >>> Derived.bump(5)
# >>> Asker.ask()
# >>> Asker.rooms()
