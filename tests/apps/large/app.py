"""Steps, results and transactions around what one record of the log holds."""

import asyncio

from sostenuto import NotStorable, Persistent, entity, service, task, transaction


@task(pure=True)
async def double(number: int) -> int:
    return 2 * number


@entity
class Box:
    """Something that holds much or little."""

    content: Persistent[str] = ""

    def put(self, content: str) -> int:
        """Replace the content."""
        self.content = content
        return len(content)

    def holds(self, content: str) -> bool:
        """Is this the content?"""
        return self.content == content

    def size(self) -> int:
        """Length of the content."""
        return len(self.content)


@entity
class Table:
    """A dict that is one value, with columns of many numbers."""

    columns: Persistent[dict[str, list[int]]] = {}

    def fill(self, count: int) -> int:
        """So many numbers."""
        self.columns["a"] = [0] * count
        return count

    def count(self, place: int) -> int:
        """Raise one number."""
        numbers = self.columns["a"]
        numbers[place] += 1
        return numbers[place]

    def look(self, place: int) -> list[int]:
        """One number, and the sum of all."""
        return [self.columns["a"][place], sum(self.columns["a"])]


@service
class Much:
    """Much at once."""

    rows: Persistent[dict[int, int]] = {}

    async def tasks(self, count: int) -> int:
        """Tasks side by side."""
        return sum(await asyncio.gather(*[double(number) for number in range(count)]))

    async def calls(self, count: int) -> int:
        """Calls side by side."""
        return sum(await asyncio.gather(*[Box(f"called {number}").put("x") for number in range(count)]))

    def write(self, count: int) -> int:
        """Many small cells in one step."""
        for number in range(count):
            self.rows[number] = number
        return len(self.rows)

    async def together(self, count: int, length: int) -> str:
        """Long contents in one transaction."""
        try:
            async with transaction():
                for number in range(count):
                    await Box(f"box{number}").put("y" * length)
        except NotStorable as error:
            return str(error)
        return "done"
