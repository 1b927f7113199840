"""Numbers that tell who wrote them: every request says what it found, so that checkers can tell every order that there
was from one that there cannot have been."""

import asyncio

from sostenuto import Persistent, entity, service, transaction


@entity
class Register:
    """One number, 0 at first."""

    key: str
    number: Persistent[int] = 0

    def swap(self, number: int) -> int:
        """Put another number; the one that was there."""
        before = self.number
        self.number = number
        return before

    def look(self) -> int:
        return self.number


@service
class Registers:
    """Many of them at once."""

    async def move(self, names: list[str], number: int) -> list[int]:
        """Put the same number everywhere; the ones that were there."""
        async with transaction():
            return list(await asyncio.gather(*[Register(name).swap(number) for name in names]))

    async def look(self, names: list[str]) -> list[int]:
        """All of them at one moment."""
        async with transaction():
            return list(await asyncio.gather(*[Register(name).look() for name in names]))
