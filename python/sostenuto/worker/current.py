"""What runs in this process at the moment, and the signals that unwind user code.

A worker runs one step at a time, so one object says which. It is not a place for anything that outlives a step.
"""


class Signal(BaseException):
    """Unwinds user code for a reason of ours. Never an outcome: whatever user code makes of it, the run is over."""


class NotNow(Signal):
    """A cell cannot be had now; the step will be run again when it can."""


class Departure(Signal):
    """A replay does something else than its journal says: (expected, actual)."""


class Evicted(Signal):
    """The invocation's coroutine is forgotten; it will be built again from its journal."""


class Current:
    """The step that runs, or nothing."""

    __slots__ = ("run", "output", "live")

    def __init__(self):
        #: The `Run`, or None between steps and while the application is loaded.
        self.run = None
        #: List that takes the step's output as (stream, text), or None.
        self.output = None
        #: False while user code is unwound by a signal: its `finally` blocks must not run.
        self.live = True


current = Current()
