"""A dict field used as a whole."""

import json, copy, pprint, collections, pickle
from sostenuto import service, Persistent

def takes(d: dict):
    return (isinstance(d, dict), d.get('a'), sorted(d))

def kw(**k):
    return sorted(k)

@service
class Whole:
    d: Persistent[dict[str, int]] = {'a': 1, 'b': 2}
    e: Persistent[dict] = {}

    def j(self):
        return json.dumps(self.d)

    def jn(self):
        return json.dumps({'x': self.d})

    def ji(self):
        return json.dumps(self.d, indent=1, sort_keys=True)

    def js(self):
        return json.dumps(self.d, default=str)

    def spread(self):
        return ({**self.d}, dict(self.d), kw(**self.d), dict(self.d, z=1), dict(**self.d))

    def cp(self):
        a = copy.copy(self.d)
        a['q'] = 1
        b = copy.deepcopy(self.d)
        b['r'] = 1
        c = self.d.copy()
        c['s'] = 1
        return (a, b, c, self.d, type(a) is dict, type(c) is dict)

    def alias(self):
        x = self.d
        x['n'] = 5
        return (isinstance(x, dict), type(x).__name__, 'n' in self.d, x is self.d, x == self.d)

    def m(self):
        match self.d:
            case {'a': 1, **rest}:
                return rest
            case _:
                return 'no'

    def fmt(self):
        return ('%(a)s' % self.d, '{a}'.format(**self.d), '{a}'.format_map(self.d), f'{self.d}', str(self.d), repr(self.d), '%s' % (self.d,), f'{self.d!r:>30}')

    def ops(self):
        return (self.d | {'z': 9}, {'z': 9} | self.d, {'a': 1, 'b': 2, 'n': 5} == self.d, self.d != {}, bool(self.e), len(self.d), list(self.d.keys() & {'a'}), list(self.d.items())[0], self.d.keys() == {'a', 'b', 'n'})

    def cnt(self):
        return (collections.Counter(self.d).most_common(1), dict(collections.OrderedDict(self.d)), dict(collections.defaultdict(int, self.d)))

    def tk(self):
        return takes(self.d)

    def ret(self):
        return self.d

    def nest(self):
        return {'in': self.d, 'l': [self.d], 't': (self.d, 1)}

    def store(self):
        self.e['copy'] = self.d
        self.e['list'] = [dict(self.d)]
        return self.e

    def sw(self):
        self.d, self.e = ({'new': 1}, {})
        self.d['x'] = 2
        return (self.d, self.e)

    def ck(self):
        return (self.d.fromkeys(['a'], 0), {k: v for k, v in self.d.items()}, min(self.d, key=self.d.get), max(self.d.values()), sorted(self.d.items(), key=lambda kv: -kv[1]), list(map(self.d.get, ['x', 'q'])))

    def it(self):
        i = iter(self.d)
        a = next(i)
        return (a, list(i), [*self.d], (*self.d,), {*self.d} == set(self.d))

    def up(self):
        self.d.update({'u': 1}, v=2)
        self.d.update([('w', 3)])
        self.d |= [('k', 4)]
        self.d.setdefault('sd', 7)
        self.d['u'] += 1
        del self.d['v']
        return (self.d, self.d.pop('w'), self.d.pop('nope', None), self.d.popitem())


# >>> Whole.j()
# >>> Whole.jn()
# >>> Whole.ji()
# >>> Whole.js()
# >>> Whole.spread()
# >>> Whole.cp()
# >>> Whole.alias()
# >>> Whole.m()
# >>> Whole.fmt()
# >>> Whole.ops()
# >>> Whole.cnt()
# >>> Whole.tk()
# >>> Whole.ret()
# >>> Whole.nest()
# >>> Whole.store()
# >>> Whole.sw()
# >>> Whole.ck()
# >>> Whole.it()
# >>> Whole.up()
