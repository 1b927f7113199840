"""A cached property of a local object."""

from functools import cached_property
from sostenuto import service, Persistent

class Helper:

    def __init__(self, xs):
        self.xs = xs

    @cached_property
    def total(self):
        return sum(self.xs)

@service
class Cached:
    xs: Persistent[list[int]] = [1, 2]

    def get(self) -> int:
        h = Helper(self.xs)
        return h.total + h.total


# >>> Cached.get()
