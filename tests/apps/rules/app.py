"""Methods in which a broken rule of replay, locks or transactions would show."""

import asyncio

from sostenuto import Aborted, Persistent, abort, service, sleep, transaction


@service
class Cells:
    values: Persistent[dict[str, int]] = {}

    def add(self, key: str, amount: int) -> int:
        self.values[key] = self.values.get(key, 0) + amount
        return self.values[key]

    def get(self, key: str) -> int:
        return self.values.get(key, 0)

    def both(self, one: str, other: str) -> int:
        """One step over two cells, which may lie on two partitions."""
        self.values[one] = self.values.get(one, 0) + 1
        self.values[other] = self.values.get(other, 0) + 1
        return self.values[one] + self.values[other]

    async def read_around(self, key: str, seconds: float) -> list[int]:
        """What is read before a suspension decides which call is made; a writer changes it meanwhile."""
        before = self.values.get(key, 0)
        if before == 0:
            await sleep(seconds)
        await sleep(0.01)
        after = self.values.get(key, 0)
        await sleep(0.01)
        return [before, after]


@service
class Scopes:
    cells: Cells

    async def twice(self, key: str) -> int:
        """Two parallel children of one transaction on one cell."""
        async with transaction():
            one, other = await asyncio.gather(self.cells.add(key, 1), self.cells.add(key, 1))
        return one + other

    async def add_all(self, keys: list[str], keep: bool) -> bool:
        """Adds to each in a transaction, and takes it all back unless it is to be kept."""
        try:
            async with transaction():
                await asyncio.gather(*[self.cells.add(key, 1) for key in keys])
                if not keep:
                    abort("not kept")
        except Aborted:
            return False
        return True

    async def sum(self, keys: list[str]) -> int:
        async with transaction():
            values = await asyncio.gather(*[self.cells.get(key) for key in keys])
        return sum(values)

    async def nap(self, name: str, seconds: float) -> str:
        await sleep(seconds)
        return name

    async def race(self, short: float, long: float) -> list[str]:
        """Results come in another order than they were asked for, and then everything is replayed."""
        names = await asyncio.gather(self.nap("slow", long), self.nap("fast", short))
        await sleep(0.01)
        again = await asyncio.gather(self.nap("fast", short), self.nap("slow", long))
        await sleep(0.01)
        return [*names, *again]
