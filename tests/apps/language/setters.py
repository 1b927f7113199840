"""A property that is augmented."""

from sostenuto import service, Persistent

@service
class Setters:
    v: Persistent[int] = 1

    @property
    def double(self):
        return self.v * 2

    @double.setter
    def double(self, x):
        self.v = x // 2

    def go(self):
        self.double = 10
        self.double += 4
        return (self.v, self.double)


# >>> Setters.go()
