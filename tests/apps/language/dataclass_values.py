"""Dataclasses as values and as an initial value."""

from __future__ import annotations
from dataclasses import dataclass, field, replace, asdict, astuple
from sostenuto import service, Persistent

@dataclass
class Line:
    sku: str
    qty: int = 1
    tags: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.qty * 10

    def bump(self, by: int=1) -> 'Line':
        self.qty += by
        return self

@dataclass(order=True, frozen=True)
class Money:
    cents: int
    currency: str = 'EUR'

    def __add__(self, other: Money) -> Money:
        return Money(self.cents + other.cents, self.currency)

    def __str__(self):
        return f'{self.cents / 100:.2f} {self.currency}'

@service
class Cart:
    lines: Persistent[dict[str, Line]] = {}
    total: Persistent[Money] = Money(0)

    def add(self, sku: str, qty: int) -> int:
        line = self.lines.get(sku)
        if line is None:
            line = Line(sku)
            line.qty = 0
            self.lines[sku] = line
        line.bump(qty).tags.append(f'+{qty}')
        self.total += Money(qty * 100)
        return line.total

    def show(self) -> list:
        return [asdict(l) for l in self.lines.values()] + [str(self.total), self.total.cents]

    def rep(self, sku):
        self.lines[sku] = replace(self.lines[sku], qty=99)
        return (repr(self.lines[sku]), astuple(self.lines[sku]))

    def biggest(self):
        return max(self.lines.values(), key=lambda l: l.qty)

    def cmp(self):
        return (Money(1) < Money(2), Money(3) == Money(3), hash(Money(3)) == hash(Money(3)), self.total > Money(5))


# >>> Cart.add('a', 2)
# >>> Cart.add('a', 3)
# >>> Cart.add('b', 1)
# >>> Cart.show()
# >>> Cart.rep('b')
# >>> Cart.biggest()
# >>> Cart.cmp()
