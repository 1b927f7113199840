"""`asyncio.create_task` and `asyncio.TaskGroup` over calls of services and entities."""

import asyncio

from sostenuto import Persistent, entity, service, transaction


@entity
class Purse:
    balance: Persistent[int] = 0

    def put(self, n: int) -> int:
        if n < 0:
            raise ValueError(f"{self.key}: {n}")
        self.balance += n
        return self.balance


@service
class Spawner:
    log: Persistent[list[str]] = []

    async def _put(self, name: str, n: int) -> int:
        total = await Purse(name).put(n)
        self.log.append(f"{name} {n}")
        return total

    async def two(self, one: str, other: str):
        first = asyncio.create_task(self._put(one, 1))
        second = asyncio.create_task(self._put(other, 2))
        return await first, await second, first.done(), second.result()

    async def many(self, names: list[str]):
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(self._put(name, 5)))
        return [await task for task in tasks]

    async def gathered(self, names: list[str]):
        tasks = [asyncio.create_task(self._put(name, 7)) for name in names]
        return await asyncio.gather(*tasks)

    async def fails(self, name: str):
        task = asyncio.create_task(self._put(name, -1))
        try:
            await task
        except ValueError as error:
            return str(error), str(task.exception())

    async def grouped(self, names: list[str]):
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(self._put(name, 10)) for name in names}
        return {name: task.result() for name, task in tasks.items()}

    async def group_fails(self, name: str):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._put(name, -5))
                waiting = group.create_task(asyncio.sleep(100))
        except* ValueError as errors:
            found = [str(error) for error in errors.exceptions]
        return found, waiting.cancelled()

    async def raises_group(self, name: str):
        async with asyncio.TaskGroup() as group:
            group.create_task(self._put(name, -7))

    async def in_time(self, name: str):
        async def work():
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self._put(name, 3))
            return task.result()

        return await asyncio.wait_for(work(), 1000)

    async def in_transaction(self, names: list[str]):
        async with transaction():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._put(name, 100)) for name in names]
        return [task.result() for task in tasks]

    def seen(self):
        return sorted(self.log)


@service
class OverCalls:
    spawner: Spawner

    async def ask(self, name: str):
        try:
            await self.spawner.raises_group(name)
        except* ValueError as errors:
            found = [str(error) for error in errors.exceptions], str(errors)
        return found


# >>> Spawner.two("a", "b")
# >>> Spawner.two("b", "b")
# >>> Spawner.many(["a", "b", "c"])
# >>> Spawner.gathered(["a", "b"])
# >>> Spawner.fails("a")
# >>> Spawner.grouped(["a", "d"])
# >>> Spawner.group_fails("a")
# >>> Spawner.raises_group("b")
# >>> Spawner.in_time("e")
# >>> Spawner.in_transaction(["a", "f"])
# >>> OverCalls.ask("b")
# >>> Spawner.seen()
