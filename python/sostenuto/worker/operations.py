"""What a coroutine can wait for: calls, sleeps, the ends of a transaction, and `gather` over them.

An operation is an awaitable that yields itself to the `Run`, which gives it a position in the program when it starts
and answers with its outcome. Nothing here runs user code or talks to the server.
"""

import functools
from datetime import timedelta
from types import CoroutineType, FunctionType

from sostenuto.errors import Aborted, NotStorable, NotSupported, TransactionError
from sostenuto.worker import codec, exceptions
from sostenuto.worker.current import Signal, current
from sostenuto.worker.lazy import is_cancelled
from sostenuto.worker.views import where

#: Kinds of operations in END, and how the journal names them.
CALL, SEND, SLEEP, BEGIN, COMMIT, ROLLBACK, TASK, CANCEL = range(8)
KINDS = ("call", "send", "sleep", "begin", "commit", "rollback", "task", "cancel")

_PURE, _ASYNC = 1, 2
#: Of a code object (`inspect.CO_COROUTINE`).
_CO_COROUTINE = 0x80


class Raise:
    """An outcome that is an exception."""

    __slots__ = ("error",)

    def __init__(self, error):
        self.error = error


#: In the place of a waiter: the outcome is of no interest any more.
NOBODY = object()


class Operation:
    """Something that the server does for a coroutine; it is started once, and its outcome may be asked for again."""

    __slots__ = ("position", "waiter", "outcome")

    __sostenuto_unstorable__ = "an operation cannot be stored: an await is missing"

    def __init__(self):
        self.position = None
        self.waiter = None

    def __await__(self):
        outcome = yield self
        if outcome.__class__ is Raise:
            raise outcome.error
        return outcome

    def start(self, run, branch):
        """Asks the server; the answer will be delivered to the operation's position."""
        position = self.position = branch.next_position()
        run.outstanding[position] = self
        run.ops.append(self.op(position, run))

    def wait(self, run, waiter):
        """Makes `waiter` wait for the outcome."""
        if self.position is None:
            self.start(run, run.branch)
            self.waiter = waiter
        elif hasattr(self, "outcome"):
            run.settle(waiter, self.outcome)
        elif self.waiter is not None:
            raise RuntimeError("two branches wait for the same call")
        else:
            self.waiter = waiter

    def take(self, outcome):
        """The server's answer."""
        self.outcome = outcome

    def op(self, position, run):
        """What END says of it."""
        raise NotImplementedError


class Call(Operation):
    """A call of a service that starts when it is awaited or gathered."""

    __slots__ = ("service", "key", "method", "args", "place")

    __sostenuto_unstorable__ = "the result of a call that was not awaited cannot be stored: an await is missing"

    def __init__(self, service, key, method, args, named):
        run = current.run or running("a call")
        self.position = None
        self.waiter = None
        if run.dead:
            # It will wait for ever: raising here would let a loop that catches everything spin.
            return
        self.service = service
        self.key = key
        self.method = method
        try:
            self.args = codec.encode_arguments(args, named)
        except codec.Unstorable as problem:
            raise _bad_argument(service, method, args, named, problem) from None
        self.place = where(3)
        run.unstarted[self] = None

    def __await__(self):
        if self.position is not None:
            target = f"{self.service}.{self.method}"
            raise RuntimeError(f"cannot await a call twice: {target}; keep its result in a variable")
        outcome = yield self
        if outcome.__class__ is Raise:
            raise outcome.error
        return outcome

    def start(self, run, branch):
        run.unstarted.pop(self, None)
        Operation.start(self, run, branch)

    def send(self, run):
        """Makes it a one-way call."""
        if self.position is not None:
            raise RuntimeError(f"this call has been made already: {self.service}.{self.method}")
        run.unstarted.pop(self, None)
        position = self.position = run.branch.next_position()
        run.ops.append((position, SEND, self.service, self.key, self.method, self.args))

    def op(self, position, run):
        return (position, CALL, self.service, self.key, self.method, self.args)

    def __repr__(self):
        return f"<call of {self.service}.{self.method}>"


class Task(Call):
    """A task that starts when it is awaited or gathered. Its name stands in the place of a method's."""

    __slots__ = ("function", "options")

    __sostenuto_unstorable__ = "the result of a task that was not awaited cannot be stored: an await is missing"

    def __init__(self, function, method, options, args, named):
        Call.__init__(self, "task", None, method, args, named)
        self.function = function
        #: What END says of it behind its arguments.
        self.options = options

    def start(self, run, branch):
        if run.in_transaction:
            run.unstarted.pop(self, None)
            raise TransactionError(
                f"the task {self.method} inside a transaction could run more than once; run it before or after it"
            )
        Call.start(self, run, branch)

    def send(self, run):
        raise TypeError(f"send() takes a call of a service, not the task {self.method}")

    def op(self, position, run):
        return (position, TASK, self.function, self.args, *self.options)

    def __repr__(self):
        return f"<task {self.method}>"


def _is_async(function):
    if type(function) is FunctionType:
        return bool(function.__code__.co_flags & _CO_COROUTINE)
    from inspect import iscoroutinefunction

    return iscoroutinefunction(function)


def task(function, policy):
    """What calling a function with `@task` gives."""
    name = f"{function.__module__}.{function.__qualname__}"
    method = name.rpartition(".")[2]
    retries, timeout, backoff, backoff_max, pure = policy
    flags = (_PURE if pure else 0) | (_ASYNC if _is_async(function) else 0)
    options = (retries, timeout, backoff, backoff_max, flags)

    @functools.wraps(function)
    def run(*args, **named):
        return Task(name, method, options, args, named)

    run.__sostenuto_task__ = policy
    return run


class Promise:
    """A call that has been started; `Wait`, `WaitAll`, `gather` or `await` give its result."""

    __slots__ = ("call",)

    __sostenuto_unstorable__ = "the promise of a call cannot be stored; wait for its result"

    def __init__(self, call):
        self.call = call

    def __await__(self):
        return Operation.__await__(self.call)


class Sleep(Operation):
    """A durable timer."""

    __slots__ = ("micros", "result")

    def __init__(self, seconds, result=None):
        Operation.__init__(self)
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        self.micros = max(0, round(seconds * 1_000_000))
        self.result = result

    def take(self, outcome):
        self.outcome = outcome if outcome.__class__ is Raise else self.result

    def start(self, run, branch):
        if run.in_transaction:
            raise TransactionError("sleep() inside a transaction would hold its locks; sleep before or after it")
        Operation.start(self, run, branch)

    def op(self, position, run):
        return (position, SLEEP, run.clock + self.micros)


class Begin(Operation):
    """Begins a transaction."""

    __slots__ = ()

    def op(self, position, run):
        return (position, BEGIN)


class Commit(Operation):
    """Commits it; raises `Aborted` if a joined part was aborted."""

    __slots__ = ()

    def op(self, position, run):
        return (position, COMMIT)


class Rollback(Operation):
    """Aborts it with an exception."""

    __slots__ = ("error", "then")

    def __init__(self, error, then=None):
        Operation.__init__(self)
        self.error = error
        #: What its waiter gets in the end.
        self.then = then

    def take(self, outcome):
        self.outcome = outcome if outcome.__class__ is Raise else self.then

    def op(self, position, run):
        return (position, ROLLBACK, exceptions.encode(self.error))


class Turn:
    """A call that is made when those that were asked for before it have begun, as a task of asyncio begins."""

    __slots__ = ("operation", "branch", "slot")

    #: Stands among branches that can run, and is none.
    coroutine = None

    def __init__(self, operation, branch, slot):
        self.operation, self.branch, self.slot = operation, branch, slot

    def begin(self, run):
        """Makes the call, unless it was cancelled."""
        operation = self.operation
        if operation.waiter is NOBODY:
            return
        try:
            if operation.position is None:
                operation.start(run, self.branch)
            operation.wait(run, self.slot)
        except Exception as error:
            run.settle(self.slot, Raise(error))

    def forget(self, run):
        """It will not be made."""
        self.operation.waiter = NOBODY
        run.unstarted.pop(self.operation, None)


class _Others:
    """Lets run what can run."""

    __slots__ = ()

    def __await__(self):
        yield


class Gather:
    """Several awaitables that run side by side, and begin when whoever made it waits."""

    __slots__ = ("results", "left", "waiter", "outcome", "return_exceptions", "place", "position", "parts")

    #: How messages name it.
    name = "gather()"

    __sostenuto_unstorable__ = "a gather() that was not awaited cannot be stored: an await is missing"

    def __init__(self, run, awaitables, return_exceptions):
        self.return_exceptions = return_exceptions
        self.parts = awaitables
        self.waiter = None
        self.place = where()
        self.left = len(awaitables)
        self.results = [None] * self.left
        self.position = run.branch.next_position()
        run.unstarted[self] = None
        if not awaitables:
            self.outcome = self.results
        for index, awaitable in enumerate(awaitables):
            run.spawn(f"{self.position}.{index}.", awaitable, Slot(self, index))

    def __await__(self):
        outcome = yield self
        if outcome.__class__ is Raise:
            raise outcome.error
        return outcome

    def wait(self, run, waiter):
        """Makes `waiter` wait for all, or for the first exception."""
        run.unstarted.pop(self, None)
        if hasattr(self, "outcome"):
            run.settle(waiter, self.outcome)
        elif self.waiter is not None:
            raise RuntimeError(f"two branches wait for one {self.name}")
        else:
            self.waiter = waiter

    def settle(self, run, index, outcome):
        """Takes the outcome of one of them."""
        if hasattr(self, "outcome"):
            return
        if outcome.__class__ is Raise:
            if not self.return_exceptions:
                self._finish(run, outcome)
                return
            outcome = outcome.error
        self.results[index] = outcome
        self.left -= 1
        if not self.left:
            self._finish(run, self.results)

    def _finish(self, run, outcome):
        self.outcome = outcome
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            run.settle(waiter, outcome)


class WaitFor(Gather):
    """A race between an awaitable and a durable timer. Who is first is in the journal by the order of delivery."""

    __slots__ = ("timer",)

    name = "wait_for()"

    __sostenuto_unstorable__ = "a wait_for() that was not awaited cannot be stored: an await is missing"

    def __init__(self, run, awaitable, timeout):
        self.return_exceptions = False
        self.parts = (awaitable,)
        self.waiter = None
        self.place = where()
        self.position = run.branch.next_position()
        run.unstarted[self] = None
        run.spawn(f"{self.position}.0.", awaitable, Slot(self, 0))
        self.timer = None
        if timeout is not None and not hasattr(self, "outcome"):
            self.timer = Sleep(timeout)
            run.spawn(f"{self.position}.1.", self.timer, Slot(self, 1))

    def settle(self, run, index, outcome):
        """Takes the outcome of the race; the loser is cancelled."""
        if hasattr(self, "outcome"):
            return
        if index == 0:
            if self.timer is not None:
                run.drop(self.timer)
            self._finish(run, outcome)
        else:
            # A coroutine has its say before whoever waited for it.
            run.cancel_part(self, 0)
            self._finish(run, Raise(TimeoutError()))


class Spawned(Gather):
    """What `asyncio.create_task` gives: a coroutine or call that runs beside the method, and may be awaited again."""

    __slots__ = ("waiters", "group")

    name = "create_task()"

    __sostenuto_unstorable__ = "a task of create_task() cannot be stored; await it and store its result"

    def __init__(self, run, awaitable, group=None):
        self.waiters = []
        #: The `TaskGroup` that waits for it.
        self.group = group
        Gather.__init__(self, run, (awaitable,), False)
        if group is not None:
            run.unstarted.pop(self, None)

    def wait(self, run, waiter):
        """Makes `waiter` wait for the outcome, as one of several."""
        run.unstarted.pop(self, None)
        if hasattr(self, "outcome"):
            run.settle(waiter, self.outcome)
        else:
            self.waiters.append(waiter)

    def settle(self, run, index, outcome):
        """Takes the outcome."""
        if hasattr(self, "outcome"):
            return
        self.outcome = outcome
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            run.settle(waiter, outcome)
        if self.group is not None and outcome.__class__ is Raise:
            self.group.failed(run, outcome.error)

    # What `asyncio.Task` has.

    def done(self):
        return hasattr(self, "outcome")

    def cancelled(self):
        return self.done() and is_cancelled(_error_of(self.outcome))

    def result(self):
        if not self.done():
            raise _invalid_state("Result is not set.")
        error = _error_of(self.outcome)
        if error is not None:
            raise error
        return self.outcome

    def exception(self):
        if not self.done():
            raise _invalid_state("Exception is not set.")
        error = _error_of(self.outcome)
        if is_cancelled(error):
            raise error
        return error

    def cancel(self, msg=None):
        if self.done():
            return False
        running("cancel()").interrupt(self, () if msg is None else (msg,))
        return True


def _error_of(outcome):
    return outcome.error if outcome.__class__ is Raise else None


def _invalid_state(text):
    from asyncio.exceptions import InvalidStateError

    return InvalidStateError(text)


class TaskGroup:
    """`asyncio.TaskGroup`: waits for its tasks; if one fails, the others and the body are cancelled."""

    __sostenuto_unstorable__ = "a TaskGroup cannot be stored"

    def __init__(self):
        self.branch = None
        self.tasks = []
        self.errors = []
        #: The body, or the wait for the tasks, was cancelled by us.
        self.aborting = self.interrupted = self.exiting = False

    def create_task(self, coro, *, name=None, context=None):
        run = running("create_task()")
        if self.branch is None or self.exiting and all(task.done() for task in self.tasks):
            raise RuntimeError("TaskGroup has not been entered" if self.branch is None else "TaskGroup is finished")
        if self.aborting:
            raise RuntimeError("TaskGroup is shutting down")
        task = _spawned(run, coro, self)
        self.tasks.append(task)
        return task

    async def __aenter__(self):
        if self.branch is not None:
            raise RuntimeError("TaskGroup has been already entered")
        run = running("TaskGroup()")
        run.prepare_branches()
        self.branch = run.branch
        return self

    async def __aexit__(self, kind, error, trace):
        if not current.live or isinstance(error, Signal):
            return False
        run, cancelled = current.run, None
        self.exiting = True
        if error is not None:
            if is_cancelled(error) and not self.interrupted:
                cancelled = error
            self._abort(run)
        while pending := [task for task in self.tasks if not task.done()]:
            try:
                await Gather(run, tuple(pending), True)
            except BaseException as problem:
                if not is_cancelled(problem):
                    raise
                cancelled = problem
                self._abort(run)
        if isinstance(error, SystemExit | KeyboardInterrupt):
            return False
        if cancelled is not None and not self.errors:
            raise cancelled
        if error is not None and not is_cancelled(error):
            self.errors.append(error)
        if self.errors:
            errors, self.errors = self.errors, []
            raise BaseExceptionGroup("unhandled errors in a TaskGroup", errors) from None
        return False

    def failed(self, run, error):
        """One of the tasks raised."""
        if is_cancelled(error):
            return
        self.errors.append(error)
        if self.aborting:
            return
        self._abort(run)
        if not self.exiting:
            self.interrupted = True
            run.interrupt_branch(self.branch)

    def _abort(self, run):
        if not self.aborting:
            self.aborting = True
            for task in self.tasks:
                if not task.done():
                    run.interrupt(task)


class Slot:
    """Waits on behalf of one part of a `Gather`."""

    __slots__ = ("gather", "index")

    def __init__(self, gather, index):
        self.gather = gather
        self.index = index


def running(what):
    """The run that asks for an operation."""
    run = current.run
    if run is None:
        raise RuntimeError(f"{what} outside of a method: nothing runs that it could belong to")
    return run


def sleep(seconds, result=None):
    """A durable timer; `asyncio.sleep` becomes this."""
    return Sleep(seconds, result)


def gather(*awaitables, return_exceptions=False):
    """Runs calls, coroutines and other gathers side by side; `asyncio.gather` becomes this."""
    run = running("gather()")
    if run.dead:
        raise run.dead
    run.prepare_branches()
    for awaitable in awaitables:
        if not (isinstance(awaitable, Operation | Gather | Promise) or isinstance(awaitable, CoroutineType)):
            if not hasattr(awaitable, "__await__"):
                raise TypeError(f"gather() takes calls and coroutines, not {type(awaitable).__name__}")
    return Gather(run, awaitables, return_exceptions)


def create_task(coro, *, name=None, context=None):
    """Runs a coroutine or call beside the method; `asyncio.create_task` becomes this."""
    return _spawned(running("create_task()"), coro, None)


def _spawned(run, awaitable, group):
    if run.dead:
        raise run.dead
    run.prepare_branches()
    if not (isinstance(awaitable, Operation) or isinstance(awaitable, CoroutineType)):
        raise TypeError(f"create_task() takes a coroutine or a call, not {type(awaitable).__name__}")
    return Spawned(run, awaitable, group)


def wait_for(fut, timeout):
    """Waits for a call, task, sleep, gather or coroutine, but not for ever; `asyncio.wait_for` becomes this."""
    run = running("wait_for()")
    if run.dead:
        raise run.dead
    if run.in_transaction:
        raise TransactionError("wait_for() inside a transaction would hold its locks; use it around the transaction")
    run.prepare_branches()
    if not (isinstance(fut, Operation | Gather | Promise) or isinstance(fut, CoroutineType)) and not hasattr(fut, "__await__"):
        raise TypeError(f"wait_for() takes a call, task or coroutine, not {type(fut).__name__}")
    return WaitFor(run, fut, timeout)


class _Nothing:
    """What `send` gives: may be awaited, needs not be."""

    __slots__ = ()

    def __await__(self):
        return iter(())


_NOTHING = _Nothing()


def send(call):
    """Makes a call whose result nobody waits for: `send(self.mail.welcome(user))`."""
    if not isinstance(call, Call):
        raise TypeError("send() takes a call: send(self.mail.welcome(user))")
    call.send(running("send()"))
    return _NOTHING


def abort(reason=None):
    """Raises `Aborted`, which ends the transaction unless the program catches it inside."""
    if not running("abort()").in_transaction:
        raise TransactionError("abort() outside a transaction: raise an exception of your own instead")
    raise Aborted() if reason is None else Aborted(reason)


class Transaction:
    """`async with transaction():` joins the transaction that is open, or begins one and ends it."""

    __slots__ = ("is_own",)

    __sostenuto_unstorable__ = "a transaction cannot be stored"

    async def __aenter__(self):
        self.is_own = await begin()
        return self

    async def __aexit__(self, kind, error, trace):
        if not current.live or isinstance(error, Signal):
            return False
        run = current.run
        if not self.is_own:
            if error is not None:
                run.doom(error)
        elif error is None:
            await commit(run)
        else:
            await roll_back(run, error)
        return False

    def __enter__(self):
        raise NotSupported("`with transaction():` in a function that is not part of the application; use `async with`")

    def __exit__(self, *_):
        return False


async def begin():
    """Begins a transaction, or joins: True if it is our own to end."""
    run = running("transaction()")
    if run.in_transaction:
        return False
    if run.branch is not run.main:
        raise TransactionError("a transaction cannot begin inside gather(); begin it around the gather()")
    if run.ready:
        # What was asked for before is not part of it.
        await _Others()
    run.open(where())
    await Begin()
    return True


async def commit(run):
    """Ends our own transaction."""
    if run.ready:
        # What was asked for before is part of it.
        await _Others()
    run.opened, run.explicit = None, False
    await Commit()


async def roll_back(run, error):
    """Ends our own transaction and leaves nothing of it."""
    run.opened, run.explicit = None, False
    run.abandon()
    await Rollback(error)


def _bad_argument(service, method, args, named, problem):
    for name, value in (*enumerate(args), *named.items()):
        try:
            codec.encode(value)
        except codec.Unstorable as found:
            name = repr(name) if isinstance(name, str) else name
            error = NotStorable(f"argument {name} of {service}.{method}{found.path}: {found}")
            error.path = found.path
            return error
    return NotStorable(f"the arguments of {service}.{method}: {problem}")
