"""What grows: sleepers, journals, values, fan-outs, iterations, fields."""

import asyncio
import time

from sostenuto import Persistent, entity, service, sleep, task


@task(pure=True)
def same(number: int) -> int:
    """One of many."""
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
class Page:
    """One text."""

    key: str
    text: Persistent[str] = ""
    edits: Persistent[int] = 0

    def put(self, text: str) -> int:
        """Another text; returns how often there was another."""
        self.text = text
        self.edits += 1
        return self.edits

    def edited(self) -> int:
        """How often there was another text."""
        return self.edits


@entity
class Sheet:
    """A dict that is one value."""

    key: str
    columns: Persistent[dict[str, dict[str, int]]] = {}

    def fill(self, count: int) -> int:
        """So many entries."""
        self.columns["a"] = {f"row {number}": number for number in range(count)}
        return count

    def add(self) -> int:
        """Changes one entry."""
        self.columns["a"]["row 0"] += 1
        return self.columns["a"]["row 0"]

    def get(self) -> int:
        """Reads one entry."""
        return self.columns["a"]["row 0"]


@service
class Sleepers:
    """Invocations that wait."""

    woken: Persistent[dict[str, int]] = {}

    async def nap(self, name: str, until: float) -> None:
        """Wait until a moment, and say so."""
        await sleep(max(0.0, until - time.time()))
        self.woken[name] = self.woken.get(name, 0) + 1

    def awake(self) -> int:
        """How many have woken up."""
        return sum(self.woken.values())


@service
class Long:
    """Invocations of many steps."""

    names: Persistent[list[str]] = []
    rows: Persistent[dict[str, int]] = {}

    async def calls(self, key: str, count: int) -> int:
        """One call after another; the sum of what they answer."""
        total = 0
        for _ in range(count):
            total += await Tally(key).add(1)
        return total

    async def tasks(self, count: int) -> int:
        """One task after another."""
        total = 0
        for number in range(count):
            total += await same(number)
        return total

    async def fan(self, count: int) -> int:
        """Tasks side by side."""
        return sum(await asyncio.gather(*(same(number) for number in range(count))))

    async def iterate(self, key: str) -> int:
        """A call for each element of a field."""
        total = 0
        for _ in self.names:
            total = await Tally(key).add(1)
        return total

    async def iterate_rows(self, key: str) -> int:
        """A call for each entry of a dict field."""
        total = 0
        for _ in self.rows:
            total = await Tally(key).add(1)
        return total

    def name(self, first: int, count: int) -> int:
        """More elements to iterate over."""
        self.names.extend(f"name {number}" for number in range(first, first + count))
        return len(self.names)

    def touch(self, count: int, first: int = 0) -> int:
        """Writes to cells that nobody can foresee."""
        for number in range(first, first + count):
            self.rows[f"row {number}"] = number
        return count

    def rows_count(self) -> int:
        """How many entries there are."""
        return len(self.rows)

    def row(self, number: int) -> int:
        """One entry."""
        return self.rows[f"row {number}"]
