"""Methods that hold objects of fields while they wait, and what others do to these meanwhile. Also run as plain Python."""

from dataclasses import dataclass

from sostenuto import Persistent, service, sleep, transaction

#: Between two looks at whether a method may go on.
PAUSE = 0.02


@dataclass
class Room:
    number: int
    tags: list[str]


@service
class Hotel:
    hotel: "Hotel"
    rooms: Persistent[dict[str, dict]] = {}
    lists: Persistent[dict[str, list]] = {}
    suites: Persistent[dict[str, Room]] = {}
    all: Persistent[dict[str, dict]] = {}
    is_open: Persistent[dict[str, bool]] = {}

    def fill(self, k: str):
        self.rooms[k] = {"n": 1, "tags": ["sea"], "by": {"floor": [1]}}
        self.lists[k] = [{"e": 1}, {"e": 10}, {"e": 30}]
        self.suites[k] = Room(7, ["sea"])
        self.is_open[k] = False

    def open(self, k: str):
        self.is_open[k] = True

    def show(self, k: str):
        suite = self.suites.get(k)
        shown = None if suite is None else [suite.number, suite.tags]
        return [self.rooms.get(k), self.lists.get(k), shown]

    def _wait(self, k: str):
        while not self.is_open[k]:
            sleep(PAUSE)

    # Holding.

    def entry(self, k: str):
        room = self.rooms[k]
        self._wait(k)
        room["n"] += 1
        room["tags"].append("mine")
        return room

    def inner(self, k: str):
        floors = self.rooms[k]["by"]["floor"]
        self._wait(k)
        floors.append(0)
        return floors

    def loop(self, k: str):
        seen = []
        for entry in self.lists[k]:
            self._wait(k)
            entry["e"] *= 2
            seen.append(dict(entry))
        return seen

    def own_container(self, k: str):
        pair = [self.rooms[k], {"list": self.lists[k]}]
        self._wait(k)
        pair[1]["list"].append({"e": 0})
        pair[0]["n"] = len(pair[1]["list"])
        return pair

    def closure(self, k: str):
        suite = self.suites[k]

        def change():
            suite.tags.append("mine")
            suite.number += 1
            return [suite.number, suite.tags]

        self._wait(k)
        return change()

    def stored(self, k: str):
        room = {"n": 5, "tags": [], "by": {"floor": []}}
        self.rooms[k] = room
        self._wait(k)
        room["n"] += 1
        sleep(PAUSE)
        room["tags"].append("later")
        return room

    def given_up(self, k: str):
        room = self.rooms[k]
        self.rooms[k] = {"n": -1, "tags": [], "by": {"floor": []}}
        self._wait(k)
        room["n"] = 77
        return room

    async def in_transaction(self, k: str):
        room = self.rooms[k]
        self._wait(k)
        async with transaction():
            room["n"] += 1
            await self.hotel.double(k)
            room["n"] += 1
        room["tags"].append("after")
        return room

    def iterates(self):
        seen = []
        for name, room in self.all.items():
            sleep(PAUSE)
            room["seen"] = len(seen)
            seen.append(name)
        return seen

    # Changing.

    def nothing(self, k: str):
        pass

    def double(self, k: str):
        if k in self.rooms:
            self.rooms[k]["n"] *= 2

    def change(self, k: str):
        self.rooms[k]["n"] = 1000
        self.rooms[k]["by"]["floor"].insert(0, 9)
        self.lists[k].append({"e": 5})
        self.lists[k][1]["e"] += 100
        self.suites[k].tags.insert(0, "lake")

    def delete(self, k: str):
        del self.rooms[k], self.lists[k], self.suites[k]

    def assign_equal(self, k: str):
        """Other objects of the same value."""
        room, suite = self.rooms[k], self.suites[k]
        self.rooms[k] = {"n": room["n"], "tags": [*room["tags"]], "by": {n: [*f] for n, f in room["by"].items()}}
        self.lists[k] = [dict(entry) for entry in self.lists[k]]
        self.suites[k] = Room(suite.number, [*suite.tags])

    def delete_and_insert(self, k: str):
        self.delete(k)
        self.fill(k)
        self.is_open[k] = False

    def fill_all(self, names: list[str]):
        for name in names:
            self.all[name] = {}

    def show_all(self):
        return {name: dict(room) for name, room in self.all.items()}
