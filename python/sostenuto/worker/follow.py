"""Running ahead: what a step leaves in its cells for the one that follows it.

Calls that wait for the same cells are sent to a worker together. Each but the first runs on what the one before has
left; the server compares that with what it grants later, so what cannot be told here is only run again.
"""

from time import monotonic

from sostenuto.worker.codec import decode
from sostenuto.worker.run import END, RAISED, RETURNED

#: Bytes of writes and result up to which a step is followed: far below every limit for which the server could refuse
#: the end.
_BYTES_MAX = 32 * 1024
#: For how many seconds steps may follow each other (`limits.rs`).
_SECONDS_MAX = 0.005


def left_by(shipped, end):
    """The cells that a step was shipped as its END leaves them; None if whatever follows must wait for the server."""
    if end[0] != END or end[3] not in (RETURNED, RAISED) or end[7] or end[10] is not None:
        return None
    cells, wholes = shipped
    size, writes = len(end[4]), end[6]
    if wholes or size > _BYTES_MAX:
        return None
    if not writes:
        return shipped
    if len(cells) == len(writes) == 1:
        (field, key, value, _, incarnation, *_), before = writes[0], cells[0]
        if key is None and value is not None and before[0] == field and size + len(value) <= _BYTES_MAX:
            # One scalar field and nothing else: most steps that others follow.
            return [(field, None, value, before[3] if incarnation is None else incarnation)], wholes
    # A scalar field has the name of its cell, an entry of a dict field its key beside it.
    left = {cell[0] if cell[1] is None else (cell[0], decode(cell[1])): cell for cell in cells}
    for field, key, value, _, incarnation, *_ in writes:
        name = field if key is None else (field, decode(key))
        before = left.get(name)
        if before is None:
            return None
        if value is None:
            incarnation = 0
        else:
            size += len(value)
            if incarnation is None:
                incarnation = before[3]
        left[name] = (field, key if before[2] is None else before[1], value, incarnation)
    return None if size > _BYTES_MAX else (list(left.values()), wholes)


class Follow:
    """The step that has just ended, for those that follow it."""

    def __init__(self):
        #: Its run, what it was shipped, and how it ended.
        self._run = self._shipped = self._end = None
        #: When the first of the steps that follow each other began, or the last of them came.
        self._since = 0.0

    def begins(self):
        """A step that follows none begins, or messages have come: nobody has waited longer for those that follow."""
        self._since = monotonic()

    def ended(self, run, shipped, end):
        """A step has ended."""
        self._run, self._shipped, self._end = run, shipped, end

    def forget(self):
        """Something else has happened since."""
        self._run = None

    def left_by(self, run):
        """The cells of a step that follows this run; None if it cannot."""
        if self._run != run or monotonic() - self._since >= _SECONDS_MAX:
            return None
        return left_by(self._shipped, self._end)
