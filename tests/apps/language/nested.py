"""Changes at any depth, keys of any type."""

from sostenuto import service, Persistent

@service
class Nested:
    d: Persistent[dict[str, dict]] = {}
    l: Persistent[list[list[int]]] = [[1, 2], [3]]
    s: Persistent[dict[str, set]] = {}
    t: Persistent[tuple] = (1, [2], {'k': [3]})
    o: Persistent[dict] = {}

    def deep(self):
        self.d['a'] = {'x': {'y': [1, {'z': {1, 2}}]}}
        self.d['a']['x']['y'][1]['z'].add(3)
        self.d['a']['x']['y'].append(4)
        y = self.d['a']['x']['y']
        y[0] += 41
        y.insert(0, 'f')
        return (self.d['a']['x']['y'][1:3:2], len(y))

    def again(self):
        return (sorted(self.d['a']['x']['y'][2]['z']), self.d['a']['x']['y'][0])

    def lists(self):
        self.l[0][0] = 9
        self.l += [[4]]
        self.l[1:2] = [[7], [8]]
        del self.l[0][1]
        self.l[-1].extend([5, 6])
        self.l[0] *= 3
        a, *b = self.l
        a.append(0)
        self.l.sort(key=len)
        self.l.reverse()
        for x in self.l:
            x.append(len(x))
        self.l[0], self.l[1] = (self.l[1], self.l[0])
        return (self.l, self.l.index(self.l[0]), self.l.count([1]), self.l[::-1], self.l * 2, [[0]] + self.l, [9] in self.l)

    def sets(self):
        self.s.setdefault('a', set()).update([1, 2])
        self.s['a'] |= {3}
        self.s['a'] -= {1}
        self.s['a'].discard(9)
        return (sorted(self.s['a']), self.s['a'] >= {2}, self.s['a'] & {2} == {2}, {2} | self.s['a'] == {2, 3}, self.s['a'] ^ {3} == {2})

    def tup(self):
        self.t[1].append(5)
        self.t[2]['k'].append(6)
        self.t += (7,)
        return (self.t, self.t[1:], hash(self.t[0]) == hash(1))

    def keys(self):
        self.o[1] = 'int'
        self.o[1, 2] = 'tup'
        self.o[None] = 'none'
        self.o[True] = 'bool'
        self.o[2.5] = 'f'
        self.o[b'b'] = 'b'
        self.o[frozenset({1})] = 'fs'
        return [self.o[1], self.o[1.0], self.o[1, 2], self.o[None], self.o.get('1'), self.o[frozenset([1])], len(self.o), [type(k).__name__ for k in self.o]]

    def aug(self):
        self.o.clear()
        self.o['l'] = []
        self.o['l'] += [1]
        self.o['s'] = 'a'
        self.o['s'] += 'b'
        self.o['n'] = 2
        self.o['n'] **= 5
        self.o['b'] = b'x'
        self.o['b'] *= 2
        i = 0
        xs = [0, 0]
        i, xs[i] = (1, 5)
        return (self.o['l'], self.o['s'], self.o['n'], self.o['b'] == b'xx', xs)

    def big(self):
        self.o['big'] = 2 ** 200
        self.o['big'] += 1
        return (self.o['big'] % 1000, self.o['big'].bit_length())

    def strs(self):
        self.o['s'] = 'héllo wörld'
        s = self.o['s']
        return (s.title(), s[::-1], s.split(), s.encode(), len(s), s * 2, 'w' in s, s > 'a', s.center(20, '*'), s.find('w'), sorted(s)[:2], s.partition(' '), f'{s:>15.3}')


# >>> Nested.deep()
# >>> Nested.again()
# >>> Nested.lists()
# >>> Nested.lists()
# >>> Nested.sets()
# >>> Nested.tup()
# >>> Nested.tup()
# >>> Nested.keys()
# >>> Nested.aug()
# >>> Nested.big()
# >>> Nested.strs()
