"""Tasks that leave marks in a folder, so that a test can count how often they ran, and that wait until it lets them go on."""

import asyncio
import logging
import os
import threading
import time
from pathlib import Path

from sostenuto import Persistent, entity, service, sleep, task, transaction


class OutOfStock(Exception):
    """An exception of the application."""

    def __init__(self, item):
        super().__init__(item)
        self.item = item


def mark(folder: str, name: str) -> int:
    """Leave a mark; how many there are now."""
    with open(Path(folder) / name, "a") as file:
        file.write("x")
    return os.path.getsize(Path(folder) / name)


def wait_for_file(path: Path):
    """Wait until the test says so."""
    while not path.exists():
        time.sleep(0.01)


@task
def effect(folder: str, name: str) -> int:
    return mark(folder, name)


@task(timeout=None)
def gated(folder: str, name: str) -> str:
    """Leaves a mark, then waits for the gate."""
    mark(folder, name)
    wait_for_file(Path(folder) / f"{name}.go")
    return f"{name} went"


@task(retries=3, backoff=0.05)
def flaky(folder: str, failures: int) -> int:
    tries = mark(folder, "flaky")
    if tries <= failures:
        raise OutOfStock(f"try {tries}")
    return tries


@task(retries=3, backoff=3600, backoff_max=3600)
def hopeless(folder: str) -> int:
    mark(folder, "hopeless")
    raise ConnectionError("nobody there")


@task(timeout=0.3)
def hangs(folder: str):
    mark(folder, "hangs")
    threading.Event().wait()


@task(timeout=0.2, retries=1, backoff=0)
async def hangs_async(folder: str):
    mark(folder, "hangs_async")
    await asyncio.Event().wait()


@task(timeout=None)
async def endless(folder: str):
    mark(folder, "endless")
    try:
        await asyncio.Event().wait()
    finally:
        mark(folder, "endless.ended")


@task(pure=True)
async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


@task
def talks():
    print("on it")
    logging.warning("nearly done")


@task
def dies(folder: str):
    mark(folder, "dies")
    os._exit(7)


@task
def huge(size: int) -> str:
    return "x" * size


@service
class Desk:
    """Runs tasks."""

    done: Persistent[list[str]] = []
    hits: Persistent[int] = 0

    def hit(self) -> int:
        self.hits += 1
        return self.hits

    def effect(self, folder: str, name: str) -> int:
        self.hits += 1
        count = effect(folder, name)
        self.done.append(name)
        return count

    async def gated(self, folder: str, name: str) -> str:
        result = await gated(folder, name)
        self.done.append(result)
        return result

    async def two(self, folder: str) -> list[str]:
        """The first result is there long before the second."""
        return await asyncio.gather(gated(folder, "first"), gated(folder, "second"))

    async def flaky(self, folder: str, failures: int) -> int:
        try:
            return await flaky(folder, failures)
        except OutOfStock as error:
            return -int(error.item.removeprefix("try "))

    async def uncaught(self, folder: str) -> int:
        return await flaky(folder, 99)

    async def hopeless(self, folder: str) -> int:
        return await hopeless(folder)

    async def hangs(self, folder: str, is_async: bool) -> str:
        try:
            if is_async:
                await hangs_async(folder)
            else:
                await hangs(folder)
        except TimeoutError as error:
            return str(error)
        return "?"

    async def endless(self, folder: str) -> str:
        try:
            return await endless(folder)
        except asyncio.CancelledError:
            self.done.append("cancelled")
            raise

    async def mixed(self, folder: str) -> list:
        return await asyncio.gather(effect(folder, "mixed"), double(21), Till("a").count(), sleep(0.01), self.own())

    async def own(self) -> int:
        return await double(4)

    def talks(self):
        talks()

    async def dies(self, folder: str) -> str:
        try:
            await dies(folder)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "?"

    async def huge(self, size: int) -> int:
        return len(await huge(size))

    async def sneaks(self, folder: str):
        """The compiler does not see this one."""
        async with transaction():
            self.hits += 100
            await Sneaky("x").run(folder)

    def all_done(self) -> list[str]:
        return list(self.done)


@entity
class Sneaky:
    key: str

    async def run(self, folder: str) -> int:
        return await effect(folder, "sneaky")


@entity
class Till:
    """Is waited for, but not for ever."""

    key: str
    counted: Persistent[int] = 0
    cancelled: Persistent[int] = 0

    def count(self) -> int:
        self.counted += 1
        return self.counted

    async def slow(self, seconds: float) -> str:
        try:
            await sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.counted += 1
        return "slow"

    def seen(self) -> list[int]:
        return [self.counted, self.cancelled]


@service
class Race:
    """Races calls and tasks against time."""

    async def call(self, key: str, seconds: float, limit: float) -> str:
        try:
            return await asyncio.wait_for(Till(key).slow(seconds), limit)
        except TimeoutError:
            return "late"

    async def task(self, folder: str, limit: float) -> str:
        try:
            return await asyncio.wait_for(gated(folder, "raced"), limit)
        except asyncio.TimeoutError:
            return "late"

    async def then(self, folder: str, key: str, seconds: float, limit: float) -> list[str]:
        """The race is over long before the method is."""
        first = await self.call(key, seconds, limit)
        return [first, await gated(folder, "then")]
