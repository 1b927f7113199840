"""Methods whose keys the arguments tell, in all ways that are foreseen, and some that are not."""

from dataclasses import dataclass

from sostenuto import Persistent, service, sleep


@dataclass
class Line:
    sku: str
    count: int


@dataclass
class Order:
    user: str
    lines: list[Line]


@service
class Shop:
    d: Persistent[dict] = {}

    def fill(self, entries):
        for key, value in entries:
            self.d[tuple(key) if isinstance(key, list) else key] = value

    def text(self, user, day):
        return self.d[f"{user}:{day}"]

    def added(self, user, day):
        prefix = "u/" + user
        key = prefix + "/" + str(day)
        return self.d[key]

    def joined(self, a, b):
        return self.d["-".join([a, b])]

    def item(self, p):
        return self.d[str(p["x"])], self.d[p["a"]["b"]]

    def field(self, order: Order):
        return self.d[order.user]

    def pair(self, a, b):
        return self.d[a, b]

    def each(self, keys):
        return [self.d[k] for k in keys]

    def each_text(self, user, days):
        total = 0
        for day in sorted(days):
            total += self.d[f"{user}:{day}"]
        return total

    def each_line(self, order: Order):
        for line in order.lines:
            self.d[line.sku] -= line.count
        return [self.d[line.sku] for line in order.lines]

    def helped(self, users, day):
        return [self._of(user, day) for user in users]

    def _of(self, user, day):
        return self.d[f"{user}:{day}"]

    def waits(self, user, day):
        found = self._of(user, day)
        sleep(0)
        return found

    def waits_in_helper(self, user, day):
        return self._slow(user, day)

    def _slow(self, user, day):
        found = self._of(user, day)
        sleep(0)
        return found

    def lowered(self, user):
        return self.d[user.lower()]

    def default(self, user="ann", day=1):
        return self.d[f"{user}:{day}"]
