"""Exceptions, loops, assignments."""

from sostenuto import service, Persistent

@service
class Flow:
    log: Persistent[list[str]] = []
    n: Persistent[int] = 0

    def t(self, v):
        try:
            self.n += 1
            r = 10 // v
        except ZeroDivisionError as e:
            self.log.append(f'zero {e}')
            return 'z'
        except (TypeError, ValueError):
            self.log.append('type')
            raise
        else:
            self.log.append('else')
        finally:
            self.log.append('fin')
        return r

    def loops(self):
        out = []
        for i in range(10):
            if i % 2:
                continue
            if i > 6:
                break
            out.append(i)
        else:
            out.append('never')
        while (n := len(out)) < 8:
            out.append(n)
        else:
            out.append('done')
        return out

    def chained(self):
        a = b = self.log
        a.append('ab')
        x, y = y0, x0 = (1, 2)
        self.n, old = (50, self.n)
        self.n -= 1
        self.n *= 2
        self.n //= 3
        self.n **= 2
        self.n %= 7
        self.n <<= 2
        self.n |= 1
        self.n ^= 3
        self.n &= 15
        self.n >>= 1
        return (b is a, x, y, old, self.n, b[-1], -self.n, +self.n, ~self.n, not self.n, 0 < self.n < 100)

    def raises(self):
        try:
            raise ValueError('a') from KeyError('b')
        except ValueError as e:
            raise RuntimeError(f'outer {e!r} {e.__cause__!r}')

    def asrt(self, v):
        assert v > 0, f'bad {v}'
        return v

    def nested(self):
        for i in range(3):
            try:
                for j in range(3):
                    if j == 1:
                        break
                else:
                    self.log.append('x')
                if i == 1:
                    continue
            finally:
                self.log.append(f'i{i}')
        return self.log

    def grp(self):
        try:
            raise ExceptionGroup('g', [ValueError(1), TypeError(2)])
        except* ValueError as g:
            self.log.append(f'v{len(g.exceptions)}')
        except* TypeError as g:
            self.log.append('t')
        return self.log[-2:]


# >>> Flow.t(2)
# >>> Flow.t(0)
# >>> Flow.t('a')
# >>> Flow.loops()
# >>> Flow.chained()
# >>> Flow.raises()
# >>> Flow.asrt(1)
# >>> Flow.asrt(-1)
# >>> Flow.nested()
# >>> Flow.grp()
