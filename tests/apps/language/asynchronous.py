"""Calls in every place where Python takes an expression."""

import asyncio
from sostenuto import service, entity, Persistent, sleep

@entity
class Acc:
    bal: Persistent[int] = 0

    def dep(self, n: int) -> int:
        if n < 0:
            raise ValueError(f'neg {n}')
        self.bal += n
        return self.bal

    def get(self) -> int:
        return self.bal

@service
class Bank:
    names: Persistent[list[str]] = []

    async def one(self, name: str, n: int) -> int:
        self.names.append(name)
        return await Acc(name).dep(n)

    async def many(self, names: list[str]) -> list[int]:
        return await asyncio.gather(*[Acc(n).dep(1) for n in names])

    async def comp(self, names: list[str]) -> dict[str, int]:
        return {n: await Acc(n).get() for n in names if await Acc(n).get() >= 0}

    async def listc(self, names: list[str]):
        return [await self._g(n) for n in names]

    async def _g(self, n):
        return await Acc(n).get()

    async def exc(self, name: str):
        rs = await asyncio.gather(Acc(name).dep(1), Acc(name).dep(-1), return_exceptions=True)
        return [r if isinstance(r, int) else repr(r) for r in rs]

    async def loop(self, names: list[str]) -> int:
        t = 0
        for n in names:
            try:
                t += await Acc(n).dep(-1)
            except ValueError as e:
                t += 100
                continue
            finally:
                t += 1
        return t

    async def nested(self, names):

        async def help(n):
            return (n, await Acc(n).get())
        rs = await asyncio.gather(*(help(n) for n in names))
        return dict(rs)

    async def slp(self):
        await asyncio.sleep(0.001)
        await sleep(0.001)
        return 'ok'

    async def tern(self, name, b):
        return await Acc(name).get() if b else -1

    async def fstr(self, name):
        return f'{await Acc(name).get():>5}|{await Acc(name).get()!r}'

    async def boolop(self, name):
        return await Acc(name).get() > 0 and await Acc(name).dep(5) or 7

    async def walrus(self, name):
        while (b := (await Acc(name).dep(3))) < 20:
            pass
        return b

    def plain(self, name):
        return Acc(name).dep(1) + Acc(name).get()

    def plaincomp(self, names):
        return [Acc(n).dep(1) for n in names]

    def plainlam(self, name):
        x = Acc(name).get() if name else 0
        if Acc(name).get() > 3 and Acc(name).get() < 1000:
            x += 1
        return x

    def helper2(self, name):
        return self._two(name, k=Acc(name).get())

    def _two(self, n, *, k=0):
        return [k, Acc(n).dep(k)]


# >>> Bank.one('a', 3)
# >>> Bank.many(['a','b','a2'])
# >>> Bank.comp(['a','b'])
# >>> Bank.listc(['a','b'])
# >>> Bank.exc('a')
# >>> Bank.loop(['a','b'])
# >>> Bank.nested(['a','b'])
# >>> Bank.slp()
# >>> Bank.tern('a', True)
# >>> Bank.fstr('a')
# >>> Bank.boolop('a')
# >>> Bank.walrus('a')
# >>> Bank.plain('a')
# >>> Bank.plaincomp(['a','b'])
# >>> Bank.plainlam('a')
# >>> Bank.helper2('a')
