"""Counters that never lose an update, and reminders that outlive the server."""

from sostenuto import Persistent, entity, service, sleep


@service
class Counter:
    """Counters by name, and one for everybody."""

    counts: Persistent[dict[str, int]] = {}
    visits: Persistent[int] = 0

    def increment(self, key: str) -> int:
        """Add one and return the new count.

        >>> Counter().increment("front-door")
        1
        """
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    def get(self, key: str) -> int:
        """The count, 0 if there is none."""
        return self.counts.get(key, 0)

    def visit(self) -> int:
        """Add one to the counter for everybody and return it."""
        self.visits += 1
        return self.visits

    def total(self) -> int:
        """Sum of all counters."""
        return sum(self.counts.values())


@entity
class Reminder:
    """One person's reminders."""

    key: str
    delivered: Persistent[list[str]] = []

    async def remind(self, text: str, seconds: float) -> int:
        """Note the text after this time, also if the server is restarted meanwhile; returns how many there are."""
        await sleep(seconds)
        self.delivered.append(text)
        return len(self.delivered)

    def texts(self) -> list[str]:
        """What was delivered so far, in order."""
        return list(self.delivered)
