"""The canonical workloads; `services/main.rs` is the same in Rust."""

import asyncio
from uuid import uuid4

from sostenuto import Aborted, Persistent, abort, entity, service, task, transaction

CITIES = ("Tokyo", "Seattle", "London", "Amsterdam", "Lima")
FAN = 100


@task
async def hello(city: str) -> str:
    """One of five."""
    return f"Hello {city}! "


@task
async def same(number: int) -> int:
    """One of a hundred."""
    return number


@entity
class Tally:
    """One counter."""

    key: str
    count: Persistent[int] = 0

    def add(self, amount: int) -> int:
        """Add and return the new count."""
        self.count += amount
        return self.count

    def get(self) -> int:
        """The count."""
        return self.count


@entity
class Account:
    """One account."""

    key: str
    funds: Persistent[int] = 0

    def deposit(self, amount: int) -> int:
        """Put money in and return the new balance."""
        self.funds += amount
        return self.funds

    def withdraw(self, amount: int) -> bool:
        """Take money out; False if there is not enough."""
        if self.funds < amount:
            return False
        self.funds -= amount
        return True

    def balance(self) -> int:
        """How much there is."""
        return self.funds


@entity
class Places:
    """What is free of a hotel or a flight."""

    key: str
    free: Persistent[int] = 0

    def add(self, count: int) -> int:
        """More of them."""
        self.free += count
        return self.free

    def take(self) -> bool:
        """Take one; False if none is free."""
        if self.free == 0:
            return False
        self.free -= 1
        return True

    def left(self) -> int:
        """How many are free."""
        return self.free


@service
class Orders:
    """Every booking that went through."""

    orders: Persistent[dict[str, dict]] = {}

    def place(self, order: str, hotel: str, flight: str) -> None:
        """Store an order."""
        self.orders[order] = {"hotel": hotel, "flight": flight}

    def count(self) -> int:
        """How many there are."""
        return len(self.orders)


@service
class Back:
    """The end of the chain."""

    def answer(self, number: int) -> int:
        """The number and one."""
        return number + 1


@service
class Middle:
    """The middle of the chain."""

    back: Back

    async def answer(self, number: int) -> int:
        """Of the one behind."""
        return await self.back.answer(number)


@service
class Bench:
    """What the load calls."""

    middle: Middle
    orders: Orders

    def noop(self) -> None:
        """Nothing."""

    async def hello5(self) -> str:
        """Five tasks in sequence."""
        text = ""
        for city in CITIES:
            text += await hello(city)
        return text

    async def fanout(self) -> int:
        """A hundred tasks side by side, summed."""
        return sum(await asyncio.gather(*(same(number) for number in range(FAN))))

    async def chain(self, number: int) -> int:
        """Three services deep."""
        return await self.middle.answer(number)

    async def transfer(self, source: str, target: str, amount: int) -> bool:
        """Move money between two accounts, serializably."""
        try:
            async with transaction():
                if not await Account(source).withdraw(amount):
                    abort("insufficient funds")
                await Account(target).deposit(amount)
        except Aborted:
            return False
        return True

    async def book(self, hotel: str, flight: str) -> bool:
        """A room, a seat and an order, or nothing."""
        order = str(uuid4())
        try:
            async with transaction():
                room, seat = await asyncio.gather(Places(hotel).take(), Places(flight).take())
                if not (room and seat):
                    abort("sold out")
                await self.orders.place(order, hotel, flight)
        except Aborted:
            return False
        return True
