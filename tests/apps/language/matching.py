"""Patterns over arguments and fields."""

from dataclasses import dataclass
from sostenuto import service, Persistent

@dataclass
class Place:
    x: int
    y: int

@service
class Matcher:
    log: Persistent[list[str]] = []

    def m(self, v):
        match v:
            case []:
                r = 'empty'
            case [x]:
                r = f'one {x}'
            case [x, *rest] if len(rest) > 2:
                r = f'many {x} {rest}'
            case {'type': 'add', 'n': int(n), **kw}:
                r = f'add {n} {sorted(kw)}'
            case {'type': str() as t}:
                r = f'type {t}'
            case str() | bytes():
                r = 'text'
            case int() | float() as n if n > 10:
                r = f'big {n}'
            case True | False:
                r = 'bool'
            case None:
                r = 'none'
            case _:
                r = 'other'
        self.log.append(r)
        return r

    def pt(self, x, y):
        match Place(x, y):
            case Place(x=0, y=0):
                return 'origin'
            case Place(x=0):
                return 'yaxis'
            case Place(a, b) if False:
                return 'no'
            case _:
                return 'else'

    def last(self):
        match self.log:
            case [*_, last]:
                return last
            case _:
                return None


# >>> Matcher.last()
# >>> Matcher.m([])
# >>> Matcher.m([1])
# >>> Matcher.m([1,2,3,4])
# >>> Matcher.m({'type':'add','n':3,'z':1})
# >>> Matcher.m({'type':'foo'})
# >>> Matcher.m('s')
# >>> Matcher.m(11)
# >>> Matcher.m(True)
# >>> Matcher.m(None)
# >>> Matcher.m(3)
# >>> Matcher.pt(0,0)
# >>> Matcher.pt(0,3)
# >>> Matcher.pt(1,3)
# >>> Matcher.last()
