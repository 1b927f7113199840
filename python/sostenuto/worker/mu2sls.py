"""The mu2sls dialect: its primitives by their bare names, and the modules its programs import."""

import sys
import types

from sostenuto.errors import Aborted, TransactionError
from sostenuto.worker import operations, services
from sostenuto.worker.operations import Call, Promise, gather, running
from sostenuto.worker.views import where


def install_modules(app_names):
    """Provides `compiler.decorators` and `runtime.transaction_exception`, unless the application has its own."""
    decorators = _module("compiler.decorators", service=_unchanged)
    exception = _module("runtime.transaction_exception", TransactionException=Aborted)
    packages = (
        _module("compiler", decorators=decorators, __path__=[]),
        _module("runtime", transaction_exception=exception, __path__=[]),
    )
    for module in (*packages, decorators, exception):
        if module.__name__.partition(".")[0] not in app_names:
            sys.modules[module.__name__] = module


def _module(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    return module


def _unchanged(cls):
    return cls


def names(known):
    """The primitives, over the services in `known` (filled later)."""

    def call(service, method, args, named):
        return getattr(services.client_of(known, service), method)(*args, **named)

    def SyncInvoke(service, method, *args, **named):
        return call(service, method, args, named)

    def AsyncInvoke(service, method, *args, **named):
        made = call(service, method, args, named)
        run = running("AsyncInvoke()")
        made.start(run, run.branch)
        return Promise(made)

    return {
        "SyncInvoke": SyncInvoke,
        "AsyncInvoke": AsyncInvoke,
        "Wait": Wait,
        "WaitAll": WaitAll,
        "BeginTx": BeginTx,
        "CommitTx": CommitTx,
        "AbortTx": AbortTx,
        "AbortTxNoExc": AbortTxNoExc,
    }


def Wait(promise):
    """The result of a promise."""
    if not isinstance(promise, Promise | Call):
        raise TypeError(f"Wait() takes what AsyncInvoke() gave, not {type(promise).__name__}")
    return promise


def WaitAll(*promises):
    """The list of their results."""
    for promise in promises:
        Wait(promise)
    return gather(*promises)


async def BeginTx():
    """Begins a transaction, or joins the one that is open."""
    run = running("BeginTx()")
    if await operations.begin():
        run.explicit = True
    else:
        if not run.joins and run.opened is None:
            run.joined_at = where()
        run.joins += 1


async def CommitTx():
    """Commits what `BeginTx` began; the end of a joined one is the business of who began it."""
    run = running("CommitTx()")
    if run.joins:
        run.joins -= 1
    elif run.opened is not None:
        await operations.commit(run)
    else:
        raise TransactionError("CommitTx() without BeginTx()")


async def AbortTx():
    """Aborts the transaction and raises `TransactionException`."""
    error = Aborted()
    await _abort(error)
    raise error


async def AbortTxNoExc():
    """Aborts the transaction and goes on after it."""
    await _abort(Aborted())


async def _abort(error):
    run = running("AbortTx()")
    if run.joins or (run.joined and run.opened is None):
        run.joins = max(0, run.joins - 1)
        run.doom(error)
    elif run.opened is not None:
        await operations.roll_back(run, error)
    else:
        raise TransactionError("AbortTx() without BeginTx()")
