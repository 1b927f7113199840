"""The same errors as from real dicts, lists and numbers."""

from sostenuto import service, Persistent

@service
class Errors:
    d: Persistent[dict[str, int]] = {'a': 1, 'b': 2}
    l: Persistent[list[int]] = [1, 2, 3]
    s: Persistent[set[int]] = {1, 2}

    def mut(self):
        for k in self.d:
            self.d[k + 'x'] = 1

    def mutl(self):
        for x in self.l:
            if len(self.l) < 6:
                self.l.append(x)
        return self.l

    def muts(self):
        for x in self.s:
            self.s.add(x + 10)

    def key(self):
        return self.d['nope']

    def idx(self):
        return self.l[99]

    def pop(self):
        return self.l.pop(99)

    def attr(self):
        return self.l.foo

    def typ(self):
        return self.l + 3

    def unh(self):
        self.d[[1]] = 2

    def rem(self):
        self.l.remove(77)

    def sub(self):
        return self.d - self.d

    def cal(self):
        return self.d()

    def cmp(self):
        return self.d < {}

    def unpack(self):
        a, b, c = self.d.values()

    def nam(self):
        return undefined_name

    def rec(self):

        def f():
            return f()
        return f()

    def val(self):
        return int('x')

    def popd(self):
        return self.d.pop('q')

    def pope(self):
        self.d.clear()
        return self.d.popitem()

    def stop(self):
        return next(iter([]))

    def sys(self):
        raise SystemExit(3)


# >>> Errors.mut()
# >>> Errors.mutl()
# >>> Errors.key()
# >>> Errors.idx()
# >>> Errors.pop()
# >>> Errors.attr()
# >>> Errors.typ()
# >>> Errors.unh()
# >>> Errors.rem()
# >>> Errors.sub()
# >>> Errors.cal()
# >>> Errors.cmp()
# >>> Errors.unpack()
# >>> Errors.nam()
# >>> Errors.val()
# >>> Errors.popd()
# >>> Errors.pope()
# >>> Errors.stop()
