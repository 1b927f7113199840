"""Sostenuto: write services as ordinary Python classes; run them as durable, exactly-once functions.

Under a Sostenuto server these names are the durable thing. In a plain Python process they work in memory
(`sostenuto.memory`), so that a service can be tested like any other class.
"""

from typing import Annotated as _Annotated
from typing import TypeVar as _TypeVar

from sostenuto import memory as _memory
from sostenuto import policy as _policy
from sostenuto.errors import (
    Aborted,
    CallError,
    Cancelled,
    Deadlock,
    InternalError,
    NotStorable,
    NotSupported,
    RemoteTraceback,
    TaskLost,
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
    "TaskLost",
    "TransactionError",
    "UnawaitedCall",
    "abort",
    "client",
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


def client(cls):
    """Makes a class the interface of a service that is written elsewhere (in Rust): methods without bodies, and `key`."""
    return _backend.client(cls)


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


def task(function=None, /, *, retries=0, timeout=60, backoff=1, backoff_max=60, pure=False):
    """Marks a function of a module with outside effects: it runs at least once, its result is recorded once.

    `retries`: tries after the first one that raised; `timeout`: seconds of one try (None: any); `backoff`: seconds before
    the second try, doubled before each further one up to `backoff_max`; `pure`: it has no outside effect, so it need not
    wait until what came before it is durable.
    """
    if function is None:
        return lambda marked: task(
            marked, retries=retries, timeout=timeout, backoff=backoff, backoff_max=backoff_max, pure=pure
        )
    policy = _policy.make(function.__qualname__, retries, timeout, backoff, backoff_max, pure)
    return _backend.task(function, policy)


def wait_for(*_, **__):
    """Waiting for events is not supported yet; for a time limit on a call there is `asyncio.wait_for`."""
    raise NotSupported("waiting for events is not supported yet: poll with sleep()")
