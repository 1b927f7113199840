"""Nested functions and lambdas over fields."""

from sostenuto import service, Persistent

def counter(start=0):
    n = start

    def inc(by=1):
        nonlocal n
        n += by
        return n
    return inc

@service
class Closures:
    d: Persistent[dict[str, list[int]]] = {}

    def go(self, k: str, items: list[int]):
        c = counter(10)
        out = []

        def visit(x):
            self.d.setdefault(k, []).append(x)
            out.append(c(x))
        for i in items:
            visit(i)
        fs = [lambda x, i=i: x + i for i in range(3)]
        return (out, [f(1) for f in fs], self.d[k])

    def srt(self, k):
        return (sorted(self.d[k], key=lambda v: (-v, str(v))), sorted(self.d, key=lambda q: len(self.d[q])))

    def comp(self):
        return {k: sum(v) for k, v in self.d.items() if any((x > 1 for x in v))}


# >>> Closures.go('a',[1,2,3])
# >>> Closures.go('b',[5])
# >>> Closures.srt('a')
# >>> Closures.comp()
