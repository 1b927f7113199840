"""Context managers that use fields."""

from contextlib import contextmanager, suppress, ExitStack, closing, nullcontext
from sostenuto import service, Persistent

class Guard:

    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self.log.append('in')
        return self

    def __exit__(self, t, v, tb):
        self.log.append(t.__name__ if t else 'out')
        return t is KeyError

@contextmanager
def tag(log, name):
    log.append(f'<{name}>')
    try:
        yield name
    finally:
        log.append(f'</{name}>')

@service
class Contexts:
    log: Persistent[list[str]] = []
    d: Persistent[dict[str, int]] = {}

    def go(self, k):
        with Guard(self.log) as g, tag(self.log, 'a') as a:
            self.log.append(a)
            self.d[k] += 1
        with suppress(KeyError):
            del self.d['zz']
        with ExitStack() as st:
            st.enter_context(tag(self.log, 's'))
            st.callback(self.log.append, 'cb')
        with nullcontext(3) as n:
            self.log.append(str(n))
        return self.log

    def put(self, k):
        self.d[k] = 0


# >>> Contexts.go('a')
# >>> Contexts.put('a')
# >>> Contexts.go('a')
