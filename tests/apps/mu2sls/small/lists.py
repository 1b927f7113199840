"""A list, a chain of services, a tree of calls, and calls that wait for each other."""

import asyncio
import time
from time import perf_counter_ns

from compiler import decorators


@decorators.service
class ListService(object):
    def __init__(self):
        self.items = []  # type: Persistent[list]

    def append(self, x):
        self.items.append(x)
        return len(self.items)

    def pop(self):
        if not self.items:
            return None
        return self.items.pop()

    def sort(self):
        self.items.sort()
        return self.items

    def index(self, x):
        return self.items.index(x)

    def slice(self, start, stop):
        return self.items[start:stop]


@decorators.service
class Chain1(object):
    def __init__(self):
        self.calls = 0  # type: Persistent[int]

    def go(self, x):
        self.calls += 1
        return SyncInvoke('Chain2', 'go', x + 1)


@decorators.service
class Chain2(object):
    def __init__(self):
        self.calls = 0  # type: Persistent[int]

    async def go(self, x):
        promise = AsyncInvoke('Chain3', 'go', x + 1)
        self.calls += 1
        return await Wait(promise)


@decorators.service
class Chain3(object):
    def __init__(self):
        self.calls = {}  # type: Persistent[dict]

    def go(self, x):
        self.calls[x] = self.calls.get(x, 0) + 1
        return [x, self.calls[x], x in self.calls, str(x) in self.calls]


@decorators.service
class Tree(object):
    def __init__(self):
        pass

    async def sum(self, low, high):
        if high - low < 2:
            return SyncInvoke('ListService', 'append', low)
        middle = (low + high) // 2
        promises = [AsyncInvoke('Tree', 'sum', low, middle), AsyncInvoke('Tree', 'sum', middle, high)]
        results = await WaitAll(*promises)
        return max(results)

    async def timed(self):
        start = perf_counter_ns()
        await asyncio.sleep(0.001)
        return perf_counter_ns() > start and time.time() > 0
