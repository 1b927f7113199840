"""Sostenuto: write services as ordinary Python classes; run them as durable, exactly-once functions.

Under a Sostenuto server these names are the durable thing. In a plain Python process they work in memory
(`sostenuto.memory`), so that a service can be tested like any other class.
"""

from typing import Annotated as _Annotated
from typing import TypeVar as _TypeVar

from sostenuto import memory as _memory
from sostenuto.errors import (
    Aborted,
    CallError,
    Cancelled,
    Deadlock,
    InternalError,
    NotStorable,
    NotSupported,
    RemoteTraceback,
    TransactionError,
    UnawaitedCall,
)

__all__ = [
    "Aborted",
    "CallError",
    "Cancelled",
    "Deadlock",
    "InternalError",
    "NotStorable",
    "NotSupported",
    "Persistent",
    "RemoteTraceback",
    "TransactionError",
    "UnawaitedCall",
    "abort",
    "entity",
    "send",
    "service",
    "sleep",
    "task",
    "transaction",
    "wait_for",
]

_T = _TypeVar("_T")

#: `hits: Persistent[int] = 0` declares a persistent field; to a type checker it is an `int`.
Persistent = _Annotated[_T, _memory.PERSISTENT]

_backend = _memory


def use(backend):
    """Chooses what the names stand for; the worker calls this."""
    global _backend
    _backend = backend


def service(cls):
    """Makes a class a service: one state, many invocations at once."""
    return _backend.service(cls)


def entity(cls):
    """Makes a class an entity: one state for each key, `self.key`; its operations run one at a time."""
    return _backend.entity(cls)


def transaction():
    """`async with transaction():` everything inside happens, on all services, or nothing."""
    return _backend.transaction()


def abort(reason=None):
    """Ends the transaction around it: raises `Aborted(reason)`."""
    return _backend.abort(reason)


def sleep(seconds):
    """`await sleep(3600)`: a durable timer."""
    return _backend.sleep(seconds)


def send(call):
    """`send(self.mail.welcome(user))`: a call whose result nobody waits for."""
    return _backend.send(call)


def task(function=None, /, **options):
    """Marks a function with outside effects. Not supported yet under a server: calling it there raises."""
    import functools

    if function is None:
        return lambda marked: task(marked, **options)

    @functools.wraps(function)
    def run(*args, **named):
        if getattr(_backend, "is_worker", False):
            raise NotSupported(f"@task is not supported yet: {function.__qualname__} cannot be called here")
        return function(*args, **named)

    run.__sostenuto_task__ = options
    return run


def wait_for(*_, **__):
    """Not supported yet."""
    raise NotSupported("wait_for() is not supported yet: poll with sleep()")
