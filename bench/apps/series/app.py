"""Lists of any length, to measure what their ends and elements cost."""

from sostenuto import Persistent, entity


@entity
class Series:
    """A series of numbers."""

    key: str
    values: Persistent[list[int]] = []

    def fill(self, first: int, count: int) -> int:
        """Add numbers at the end; returns how many there are."""
        self.values.extend(range(first, first + count))
        return len(self.values)

    def append(self, value: int) -> int:
        """Add a number at the end."""
        self.values.append(value)
        return len(self.values)

    def at(self, index: int) -> int:
        """The number at an index."""
        return self.values[index]

    def put(self, index: int, value: int) -> None:
        """Another number at an index."""
        self.values[index] = value

    def pop(self) -> int:
        """Take the last number out."""
        return self.values.pop()

    def length(self) -> int:
        """How many there are."""
        return len(self.values)
