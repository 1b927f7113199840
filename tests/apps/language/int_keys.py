"""An entity with a number for a key."""

from uuid import UUID
from sostenuto import entity, service, Persistent

@entity
class Room:
    key: int
    seats: Persistent[int] = 3

    def book(self, n: int=1) -> int:
        self.seats -= n
        return self.seats

    def who(self):
        return self.key + 1

@service
class Rooms:

    def both(self, ns: list[int]) -> dict:
        return {n: Room(n).book() for n in ns}


# >>> Room(5).book()
# >>> Room(5).book(n=2)
# >>> Room(7).who()
# >>> Rooms.both([5,6])
