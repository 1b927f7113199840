"""Calls in plain methods."""

import asyncio
from sostenuto import service, entity, Persistent, send

@entity
class Item:
    stock: Persistent[int] = 0

    def add(self, n: int, *, reason: str='none') -> str:
        self.stock += n
        return f'{self.key}:{self.stock}:{reason}'

    def get(self):
        return self.stock

@service
class Mail:
    sent: Persistent[list[str]] = []

    def note(self, to: str, text: str='hi'):
        self.sent.append(f'{to}:{text}')
        return len(self.sent)

    def all(self):
        return self.sent

@service
class Shop:
    mail: Mail
    prices: Persistent[dict[str, int]] = {}

    async def restock(self, items: dict[str, int]) -> dict[str, str]:
        names = sorted(items)
        results = await asyncio.gather(*(Item(n).add(items[n], reason='restock') for n in names))
        return dict(zip(names, results))

    async def seq(self, items: list):
        out = []
        for name, n in items:
            item = Item(name)
            out.append(await item.add(n))
            if await item.get() > 3:
                out.append('plenty')
        return out

    def cond(self, n):
        x = Item(n).get()
        y = self.mail.note(n, text=f'{x}') if x else None
        return y

    async def two(self):
        a = Item('p').add(1)
        b = Item('q').add(2)
        return [await b, await a]

    async def lst(self, names):
        calls = [Item(n).add(1) for n in names]
        return await asyncio.gather(*calls)

    async def snd(self):
        await send(self.mail.note('s', text='sent'))
        return 'ok'

    def nested(self):
        return Item(str(Item('p').get())).add(Item('p').get())

    def kwd(self):
        return (self.mail.note(**{'to': 'z'}), self.mail.note(*['y'], **{'text': 'k'}))

    def mth(self):
        f = lambda n: n + 1
        return f(Item('p').get())

    def tryfin(self):
        try:
            return Item('p').add(1)
        finally:
            self.mail.note('fin')

    def withc(self, xs: list[str]):
        total = 0
        for i, x in enumerate(xs):
            total += Item(x).get() * i
        while Item('p').get() < 5:
            Item('p').add(1)
        return (total, max((Item(x).get() for x in xs)), sum((Item(x).get() for x in xs)), any([Item(x).get() > 100 for x in xs]), {x: Item(x).get() for x in xs}, sorted(xs, key=len), [Item(x).get() for x in xs if Item(x).get() > 1])

    def cmp(self):
        return (0 <= Item('p').get() <= Item('p').get(), not Item('p').get(), -Item('p').get(), [Item('p').get(), *[1]], {'a': Item('p').get()}, f"{Item('p').get():03d}", (lambda x: x)(Item('p').get()), Item('p').get() or 5, 1 if Item('p').get() else 2)

    def sub(self, k):
        self.prices[k] = Item('p').get()
        name = str(Item('p').get())
        self.prices[name] = 1
        self.prices[k] += Item('p').get()
        return self.prices

    def asr(self):
        assert Item('p').get() > 100, f"only {Item('p').get()}"

    def rs(self):
        raise ValueError(Item('p').get())

    def mtc(self):
        match Item('p').get():
            case 0:
                return 'zero'
            case n if n == Item('p').get():
                return f'same {n}'

    def dele(self):
        name = str(Item('p').get())
        del self.prices[name]
        return self.prices


# >>> Shop.restock({'b':1,'a':2})
# >>> Shop.seq([['a',1],['a',2]])
# >>> Shop.cond('a')
# >>> Shop.two()
# >>> Shop.lst(['a','b'])
# >>> Shop.nested()
# >>> Shop.kwd()
# >>> Shop.mth()
# >>> Shop.tryfin()
# >>> Shop.withc(['p','q'])
# >>> Shop.cmp()
# >>> Shop.sub('kk')
# >>> Shop.asr()
# >>> Shop.rs()
# >>> Shop.mtc()
# >>> Shop.dele()
# >>> Shop.snd()
