"""Sostenuto: write services as ordinary Python classes; run them as durable, exactly-once functions.

Under a Sostenuto server these names are the durable thing. In a plain Python process they work in memory
(`sostenuto.memory`), so that a service can be tested like any other class.
"""

import importlib as _importlib
from typing import Annotated as _Annotated
from typing import TypeVar as _TypeVar

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

#: Marks annotations of persistent fields.
_PERSISTENT = "sostenuto.Persistent"

#: `hits: Persistent[int] = 0` declares a persistent field; to a type checker it is an `int`.
Persistent = _Annotated[_T, _PERSISTENT]

#: What the names stand for; None: what they stand for in memory, which is loaded when the first of them is used.
_backend = None


def use(backend):
    """Chooses what the names stand for; the worker calls this."""
    global _backend
    _backend = backend


def _chosen():
    if _backend is None:
        from sostenuto import memory

        use(memory)
    return _backend


def __getattr__(name):
    if name == "memory":
        return _importlib.import_module("sostenuto.memory")
    raise AttributeError(f"module 'sostenuto' has no attribute {name!r}")


def service(cls):
    """Makes a class a service: one state, many invocations at once."""
    return _chosen().service(cls)


def entity(cls):
    """Makes a class an entity: one state for each key, `self.key`; its operations run one at a time."""
    return _chosen().entity(cls)


def client(cls):
    """Makes a class the interface of a service that is written elsewhere (in Rust): methods without bodies, and `key`."""
    return _chosen().client(cls)


def transaction():
    """`async with transaction():` everything inside happens, on all services, or nothing."""
    return _chosen().transaction()


def abort(reason=None):
    """Ends the transaction around it: raises `Aborted(reason)`."""
    return _chosen().abort(reason)


def sleep(seconds):
    """`await sleep(3600)`: a durable timer."""
    return _chosen().sleep(seconds)


def send(call):
    """`send(self.mail.welcome(user))`: a call whose result nobody waits for."""
    return _chosen().send(call)


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
    return _chosen().task(function, policy)


def wait_for(*_, **__):
    """Waiting for events is not supported yet; for a time limit on a call there is `asyncio.wait_for`."""
    raise NotSupported("waiting for events is not supported yet: poll with sleep()")
