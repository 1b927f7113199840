"""Transactions over entities."""

import asyncio
from sostenuto import service, entity, transaction, abort, Aborted, Persistent

class Insufficient(Exception):

    def __init__(self, need, have):
        super().__init__(f'need {need} have {have}')
        self.need = need

@entity
class Wallet:
    bal: Persistent[int] = 10
    hist: Persistent[list[str]] = []

    def take(self, n):
        if self.bal < n:
            raise Insufficient(n, self.bal)
        self.bal -= n
        self.hist.append(f'-{n}')

    def put(self, n):
        self.bal += n
        self.hist.append(f'+{n}')

    def state(self):
        return (self.bal, self.hist, self.key)

@service
class Pay:
    log: Persistent[list[str]] = []

    async def move(self, a: str, b: str, n: int) -> str:
        try:
            async with transaction():
                await Wallet(b).put(n)
                await Wallet(a).take(n)
        except Insufficient as e:
            self.log.append(str(e))
            return f'no {e.need}'
        else:
            return 'ok'

    def move_plain(self, a: str, b: str, n: int) -> str:
        with transaction():
            Wallet(b).put(n)
            if n > 5:
                abort('too much')
            Wallet(a).take(n)
        return 'ok'

    async def caught(self, a, n):
        try:
            async with transaction():
                self.log.append('x')
                abort('why')
        except Aborted as e:
            return (str(e), len(self.log))

    async def total(self, names: list[str]):
        async with transaction():
            return sum([(await Wallet(n).state())[0] for n in names])


# >>> Pay.move('a','b',4)
# >>> Pay.move('a','b',40)
# >>> Pay.move_plain('a','b',2)
# >>> Pay.move_plain('a','b',6)
# >>> Pay.caught('a',1)
# >>> Pay.total(['a','b'])
# >>> Wallet('a').state()
# >>> Wallet('b').state()
