"""Enums as values, keys and in patterns."""

from enum import Enum, IntEnum, auto, Flag
from sostenuto import service, Persistent

class State(Enum):
    NEW = 'new'
    PAID = 'paid'
    DONE = 'done'

    @classmethod
    def parse(cls, s):
        return cls(s)

    @property
    def final(self):
        return self is State.DONE

class Level(IntEnum):
    LOW = 1
    HIGH = 2

class Perm(Flag):
    R = auto()
    W = auto()

@service
class Orders:
    states: Persistent[dict[int, State]] = {}
    perms: Persistent[dict[str, Perm]] = {}
    level: Persistent[Level] = Level.LOW
    by_state: Persistent[dict[State, int]] = {}

    def move(self, n: int, to: str):
        self.states[n] = State(to)
        self.by_state[State(to)] = self.by_state.get(State(to), 0) + 1
        return self.states[n].name

    def what(self, n: int):
        match self.states.get(n):
            case None:
                return 'none'
            case State.NEW:
                return 'fresh'
            case State.PAID | State.DONE as s:
                return f'{s.value}:{s.final}'

    def lift(self):
        self.level = Level.HIGH
        return (int(self.level), self.level > Level.LOW, self.level.name)

    def grant(self, who, w):
        p = self.perms.get(who, Perm.R)
        if w:
            p |= Perm.W
        self.perms[who] = p
        return (Perm.W in p, p.value)

    def counts(self):
        return {s.name: n for s, n in self.by_state.items()}

    def allmembers(self):
        return [s.value for s in State]


# >>> Orders.what(1)
# >>> Orders.move(1,'new')
# >>> Orders.what(1)
# >>> Orders.move(1,'done')
# >>> Orders.what(1)
# >>> Orders.move(1,'bogus')
# >>> Orders.lift()
# >>> Orders.grant('x', True)
# >>> Orders.grant('x', False)
# >>> Orders.counts()
# >>> Orders.allmembers()
