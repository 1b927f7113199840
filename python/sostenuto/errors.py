"""The exceptions of Sostenuto. What raises them lives elsewhere; this file knows nothing of worker or library.

All of them name `sostenuto` as their module: that is the name under which they travel between services.
"""


#: What `Aborted` says if a joined part was aborted, and the program went on.
PART_ABORTED = "a part of the transaction was aborted"


class Aborted(Exception):
    """A transaction was aborted because the program asked for it: `abort(reason)`.

    Conflicts between transactions never surface: the runtime runs the transaction again.
    """

    @property
    def reason(self) -> object:
        """What `abort` was given, or None."""
        return self.args[0] if self.args else None


class CallError(Exception):
    """A call failed with an exception whose class is not known here.

    `type` is its qualified class, `message` its text, `details` its arguments as far as they could be sent.
    """

    type: str = ""
    message: str = ""
    details: tuple[object, ...] = ()


class Cancelled(Exception):
    """The called invocation was ended by an operator without running its code any further."""


class Deadlock(Exception):
    """Entity calls wait for each other in a circle, which the message names."""


class NotStorable(TypeError):
    """A value cannot be kept or sent.

    `field` and `key` name the cell (None for arguments and results), `path` the place within the value, `line` is
    `file:line` of the assignment if it is known.
    """

    field: str | None = None
    key: object = None
    path: str = ""
    line: str | None = None


class NotSupported(NotImplementedError):
    """A construct that Sostenuto knows and does not offer (yet); the message says what to do instead."""


class TaskLost(RuntimeError):
    """A task ended the process that ran it, again and again."""


class TransactionError(RuntimeError):
    """A transaction was used where it cannot be: `abort` outside of one, a sleep inside, one that is left open."""


class UnawaitedCall(RuntimeError):
    """A call was made and never started: an `await` is missing at the line in the message."""


class InternalError(RuntimeError):
    """Sostenuto itself failed; the message holds what is needed to report it."""


class RemoteTraceback(Exception):
    """The callee's traceback; it is the `__cause__` of an exception that came out of a call."""

    def __str__(self) -> str:
        text = self.args[0] if self.args else ""
        return f'\n"""\n{str(text).rstrip()}\n"""'


NAMES = (
    "Aborted",
    "CallError",
    "Cancelled",
    "Deadlock",
    "InternalError",
    "NotStorable",
    "NotSupported",
    "RemoteTraceback",
    "TaskLost",
    "TransactionError",
    "UnawaitedCall",
)

for _name in NAMES:
    globals()[_name].__module__ = "sostenuto"
del _name
