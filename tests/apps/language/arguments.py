"""Parameters of every kind, over calls too."""

from sostenuto import service, Persistent

def f(*a, k=1, **kw):
    return [list(a), k, dict(sorted(kw.items()))]

@service
class Arguments:
    d: Persistent[dict[str, int]] = {}

    def pos(self, a, /, b, *, c=3):
        return [a, b, c]

    def var(self, *xs: int, **named: int):
        return [sum(xs), dict(sorted(named.items()))]

    def defaults(self, a: int, b: int=5, c: list | None=None):
        return [a, b, c]

    def spread(self, xs: list):
        first, *rest = xs
        (a, b), c = ((1, 2), 3)
        return (f(*xs, *rest, **{'z': 1}, k=2), [*rest, first], {**self.d, 'q': 1}, max(*xs), a + b + c)

    def upd(self, **kw: int):
        self.d.update(kw)
        self.d |= {'k': 1}
        return self.d

@service
class ArgumentsCaller:
    b: Arguments

    async def go(self):
        return [await self.b.pos(1, 2), await self.b.pos(1, b=3, c=4), await self.b.var(1, 2, x=3), await self.b.defaults(1), await self.b.defaults(c=[1], a=2), await self.b.upd(x=1, y=2)]

    def star(self, xs: list, kw: dict):
        return self.b.var(*xs, **kw)


# >>> Arguments.pos(1,2)
# >>> Arguments.var(1,2,3)
# >>> Arguments.var(x=1,y=2)
# >>> Arguments.defaults(a=1)
# >>> Arguments.defaults(c=[1],a=2)
# >>> Arguments.spread([1,2,3])
# >>> Arguments.upd(a=3)
# >>> ArgumentsCaller.go()
# >>> ArgumentsCaller.star([1,2],{'a':1})
