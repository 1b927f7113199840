"""Methods that fail, wait, kill their worker or hold locks: what the tests of errors and waiting need."""

import os
import signal
import threading

from sostenuto import Persistent, entity, service, sleep


def divide(dividend: int, divisor: int) -> float:
    return dividend / divisor


class OutOfStock(Exception):
    """An exception class of the application."""


@service
class Trouble:
    """Fails in every way."""

    marks: Persistent[dict[str, int]] = {}

    def mark(self, key: str, count: int) -> int:
        self.marks[key] = self.marks.get(key, 0) + count
        return self.marks[key]

    def marked(self, key: str) -> int:
        return self.marks.get(key, 0)

    def ratio(self, key: str, divisor: int) -> float:
        self.marks[key] = self.marks.get(key, 0) + 1
        return divide(10, divisor)

    def order(self, item: str) -> None:
        raise OutOfStock(f"no {item} left")

    def leave(self) -> None:
        raise SystemExit(3)

    def unstorable(self, key: str) -> None:
        self.marks[key] = object()

    def exit_worker(self, key: str) -> None:
        self.marks[key] = 1
        os._exit(7)

    def kill_worker(self, key: str) -> None:
        self.marks[key] = 1
        os.kill(os.getpid(), signal.SIGKILL)

    def die_while(self, path: str) -> str:
        """Kills its worker as long as the file exists."""
        if os.path.exists(path):
            os._exit(7)
        return "survived"

    def hold(self, key: str, until: str) -> int:
        """Keeps the entry's lock, and a worker, until there is such a file."""
        self.marks[key] = self.marks.get(key, 0) + 1
        while not os.path.exists(until):
            threading.Event().wait(0.01)
        return self.marks[key]

    def unpack(self, *, name: str, tags: list[str]) -> dict:
        return {"name": name, "tags": tags}


@service
class Caller:
    """Waits for others."""

    trouble: Trouble

    async def call_hold(self, key: str, until: str) -> int:
        return await self.trouble.hold(key, until)

    async def call_order(self, item: str) -> str:
        try:
            await self.trouble.order(item)
        except OutOfStock as problem:
            return f"caught {problem}"
        return "ordered"

    async def nap(self, seconds: float) -> str:
        await sleep(seconds)
        return "awake"

    async def nap_and_die(self, key: str) -> None:
        await self.trouble.mark(key, 1)
        await sleep(0.01)
        os._exit(7)


@entity
class Room:
    """One visitor at a time."""

    key: str
    events: Persistent[list[str]] = []

    async def stay(self, name: str, seconds: float) -> int:
        self.events.append(f"{name} in")
        await sleep(seconds)
        self.events.append(f"{name} out")
        return len(self.events)

    def knock(self, name: str) -> int:
        self.events.append(f"{name} knocks")
        return len(self.events)

    def seen(self) -> list[str]:
        return list(self.events)

    async def visit(self, other: str, seconds: float) -> int:
        """Keeps this room's turn and asks for the other's."""
        await sleep(seconds)
        return await Room(other).knock(self.key)


@entity
class Numbered:
    """An entity whose key is a number."""

    key: int
    count: Persistent[int] = 0

    def add(self, amount: int) -> int:
        self.count += amount
        return self.count
