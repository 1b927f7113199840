"""Generators over fields."""

from sostenuto import service, Persistent
from typing import Iterator

def chunks(xs, n):
    for i in range(0, len(xs), n):
        yield xs[i:i + n]

@service
class Generators:
    xs: Persistent[list[int]] = []
    m: Persistent[dict[str, int]] = {}

    def _evens(self) -> Iterator[int]:
        for x in self.xs:
            if x % 2 == 0:
                yield x

    def _pairs(self):
        yield from self.m.items()

    def add(self, n: int):
        self.xs.extend(range(n))
        self.m.update({str(i): i for i in range(n)})
        return list(chunks(self.xs, 3))

    def q(self):
        g = self._evens()
        first = next(g, None)
        return (first, list(g), dict(self._pairs()), sum((x for x in self.xs)), next(self._evens()))

    def send_(self):

        def acc():
            t = 0
            while True:
                v = (yield t)
                if v is None:
                    return
                t += v
        a = acc()
        next(a)
        r = [a.send(x) for x in self.xs]
        return r

    def z(self):
        return (list(zip(self.xs, self.m, self.m.values())), list(enumerate(self.m.items(), 1)), list(reversed(self.xs)), list(reversed(self.m)), list(map(str, self.xs)), list(filter(None, self.xs)))


# >>> Generators.add(4)
# >>> Generators.q()
# >>> Generators.send_()
# >>> Generators.z()
