"""functools, itertools, collections."""

import functools
from functools import partial, reduce, cached_property, cache, lru_cache, wraps
import operator, itertools, collections
from collections import Counter, defaultdict, deque, OrderedDict, namedtuple, ChainMap
from sostenuto import service, Persistent

@cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
Point = namedtuple('Point', 'x y')

def logged(fn):

    @wraps(fn)
    def inner(*a, **k):
        return ['logged', fn(*a, **k)]
    return inner

@logged
def twice(x):
    return 2 * x

@service
class Tools:
    words: Persistent[dict[str, int]] = {}
    xs: Persistent[list[int]] = [3, 1, 2]

    def fibs(self, n):
        return [fib(i) for i in range(n)]

    def cnt(self, text: str):
        c = Counter(text.split())
        for w, n in c.most_common():
            self.words[w] = self.words.get(w, 0) + n
        return (self.words, twice(3))

    def it(self):
        dd = defaultdict(list)
        for w, n in self.words.items():
            dd[n].append(w)
        return (dict(dd), list(itertools.accumulate(self.xs)), list(itertools.chain(self.xs, self.words)), [list(g) for _, g in itertools.groupby(sorted(self.xs), key=lambda x: x % 2)], list(itertools.islice(self.words, 1)), reduce(operator.add, self.xs, 0), partial(pow, 2)(5))

    def dq(self):
        d = deque(self.xs, maxlen=2)
        d.append(9)
        return (list(d), Point(1, 2).x, Counter(self.words).total(), sorted(self.words.items(), key=operator.itemgetter(1, 0)))

    def cm(self):
        return (dict(ChainMap({'a': 1}, dict(self.words))), [dict(OrderedDict(a=1))])

    def prod(self):
        return (list(itertools.product(self.xs, repeat=2))[:3], list(itertools.pairwise(self.xs)), list(itertools.combinations(self.xs, 2)))


# >>> Tools.fibs(8)
# >>> Tools.cnt('a b a')
# >>> Tools.it()
# >>> Tools.dq()
# >>> Tools.cm()
# >>> Tools.prod()
