"""The oracle: one program as plain Python in this process, in memory, on one thread.

A method that waits is carried on as on a server that never fails: all branches run until each waits, then the calls
that they asked for are carried out in the order in which they were asked for, then the results are delivered. Where
nothing waits for a call, the clock jumps to the next timer. What other clients do meanwhile happens after certain calls;
`ways` does the same.
"""

import asyncio
import contextlib
import contextvars
import copy
import inspect
import io
import re
import sys
import types
import uuid
from collections import deque

import sostenuto
from differential.outcome import Outcome, failure, form
from sostenuto import memory
from sostenuto.errors import TransactionError

#: Where the method begins that the first line of interest is in.
LINES_BEFORE = 60
#: A method that is called by `send`: nobody waits for it, so nobody's client comes in between.
SENT = "post"


#: How strict mode tells of one object in two places.
_SHARED = re.compile(r"raise sostenuto\.NotStorable .*: the same \w+ is stored in ")


def plain(program, service="Main"):
    """Runs the program in memory, strictly; the calls are this service's.

    One object in two places, which a server makes two of (a stated difference), is no reason to stop: a program that
    does so is run again as plain Python has it.
    """
    outcome = _plain(program, service, True)
    return _plain(program, service, False) if any(map(_SHARED.match, outcome.results)) else outcome


def _plain(program, service, strict):
    outcome = Outcome()
    module = types.ModuleType(program.module)
    path = f"{program.module}.py"
    sys.modules[program.module] = module
    sostenuto.use(memory)
    memory.reset()
    memory.strict(strict)
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(program.text, path, "exec", dont_inherit=True), module.__dict__)
            Process(program, module, outcome, service).run(path)
        outcome.printed = output.getvalue()
    finally:
        sys.modules.pop(program.module, None)
        memory.reset()
        memory.strict()
    return outcome


def keys_of_entities():
    """The keys that were used: of `Item`, `Ledger` and `Desk`, the latter as numbers."""
    keys = [key for _, key in memory._entities]
    kinds = [[key for key in keys if isinstance(key, kind)] for kind in (str, int, uuid.UUID)]
    return kinds[0], kinds[1], [key.int for key in kinds[2]]


def arguments(text, scope):
    """The arguments that a script names."""
    return eval(text, scope)  # noqa: S307 (a literal of the generator)


class Process:
    """The services of one program, and its script."""

    def __init__(self, program, module, outcome, service):
        self.program, self.scope, self.outcome = program, module.__dict__, outcome
        self.main = self.scope[f"Main{program.number}"]()
        #: What clients call.
        self.called = self.main if service == "Main" else self.scope[f"{service}{program.number}"]()
        #: Calls that have been carried out outside of transactions.
        self.calls = 0

    def run(self, path):
        """Makes the script's calls; what came of them goes into the outcome."""
        first = min(self.program.operations, default=0)
        sys.settrace(_tracer(path, first, self.outcome.lines))
        try:
            with self.durable():
                for method, text in self.program.script:
                    self.outcome.results.append(self.invoke(method, text))
                if self.called is not self.main:
                    self.outcome.keys = keys_of_entities()
                    self.outcome.told = self.invoke("state", repr(self.outcome.keys))
        finally:
            sys.settrace(None)
        for instance in memory._services.values():
            self.keep(instance)
        for (_, key), item in memory._entities.items():
            self.keep(item, f"({key!r})")

    def invoke(self, method, text):
        """What a client sees."""
        try:
            result = getattr(self.called, method)(*arguments(text, self.scope))
            if inspect.iscoroutine(result):
                result = drive(result)
            return form(copy.deepcopy(result))
        except (Exception, asyncio.CancelledError) as error:
            return failure(error)

    def keep(self, instance, shown=""):
        """Notes an instance's final state."""
        cls = type(instance)
        for name in memory._fields(cls):
            self.outcome.keep(f"{cls.__name__}{shown}.{name}", getattr(instance, name), getattr(cls, name))

    def meanwhile(self, method):
        """Another client comes in between after this call, if the program says so."""
        if memory._transaction.get() is not None or method == SENT:
            return
        self.calls += 1
        found = self.program.meanwhile.get(self.calls)
        if found is not None:
            self.outcome.meanwhile.append(contextvars.Context().run(self.invoke, *found))

    @contextlib.contextmanager
    def durable(self):
        """Calls, tasks and sleeps wait as on a server."""
        at_once = memory._call
        #: Calls that may be sent instead of awaited, by the identity of their coroutines.
        made = {}

        def call(method, *args, **named):
            args, named = copy.deepcopy((args, named))

            def carried_out():
                try:
                    return at_once(method, *args, **named)
                finally:
                    self.meanwhile(method.__name__)

            if not memory._caller_awaits(2):
                return carried_out()
            coroutine = _asked_for(carried_out)
            made[id(coroutine)] = carried_out
            return coroutine

        def carry_out(coroutine):
            # What is sent stands where it was sent, before what its sender asks for later, and nobody waits for it.
            loop = asyncio.get_running_loop()
            loop.asked_for.append((loop.create_future(), made[id(coroutine)], contextvars.copy_context()))
            coroutine.close()

        def task(function, policy, args, named):
            args, named = copy.deepcopy((args, named))
            return _asked_for(lambda: memory._try(function, policy, args, named))

        def async_task(function, policy, args, named):
            args, named = copy.deepcopy((args, named))
            return _asked_for(lambda: drive(try_async(function, policy, args, named)))

        async def begin(transaction):
            if memory._transaction.get() is None:
                await _asked_for(lambda: None)
            return await begin_at_once(transaction)

        try_async, begin_at_once = memory._try_async, memory.transaction.__aenter__
        replaced = [
            (memory, "_call", call), (memory, "_carry_out", carry_out), (memory, "_finish", drive),
            (memory, "_try_later", task), (memory, "_try_async", async_task), (asyncio, "sleep", _sleep),
            (memory.transaction, "__aenter__", begin),
        ]  # fmt: skip
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
        for owner, name, value in replaced:
            setattr(owner, name, value)
        try:
            yield
        finally:
            for owner, name, value in kept:
                setattr(owner, name, value)


def _tracer(path, first, lines):
    """Notes the lines that are executed, in functions that begin near the first line of interest or behind it."""
    def local(frame, event, _):
        if event == "line":
            lines.add(frame.f_lineno)
        return local

    first -= LINES_BEFORE

    def trace(frame, event, _):
        code = frame.f_code
        return local if code.co_filename == path and code.co_firstlineno >= first else None

    return trace


# Waiting.


async def _asked_for(carried_out):
    """Waits until the call is carried out, which is when nothing can run."""
    await memory._after_what_was_sent()
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.asked_for.append((future, carried_out, contextvars.copy_context()))
    return await future


async def _sleep(delay, result=None):
    """`asyncio.sleep`, which always waits."""
    if memory._transaction.get() is not None:
        raise TransactionError("sleep() inside a transaction would hold its locks; sleep before or after it")
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(delay, lambda: future.done() or future.set_result(result))
    return await future


def drive(coroutine):
    """Runs a coroutine, and whatever it started, to its end."""
    loop = Loop()
    task = loop.create_task(coroutine)
    while loop.run() or not task.done():
        if loop.asked_for:
            loop.carry_out()
        elif not loop.advance():
            raise RuntimeError("waits for nothing that could happen")
    return task.result()


class Loop(asyncio.AbstractEventLoop):
    """An event loop whose clock is its own and which nothing from outside can wake."""

    def __init__(self):
        self.ready, self.timers, self.now = deque(), [], 0.0
        #: (future, function, context) of calls that wait to be carried out.
        self.asked_for = deque()

    def run(self):
        """Runs what is ready; true if calls wait to be carried out."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while self.ready:
                handle = self.ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(outer)
        return bool(self.asked_for)

    def carry_out(self):
        """Carries out what has been asked for so far."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            for _ in range(len(self.asked_for)):
                future, function, context = self.asked_for.popleft()
                if future.done():
                    continue
                try:
                    future.set_result(context.run(function))
                except Exception as error:
                    future.set_exception(error)
        finally:
            asyncio._set_running_loop(outer)

    def advance(self):
        """The clock goes on to the next timers; false if there are none."""
        self.timers = [timer for timer in self.timers if not timer.cancelled()]
        if not self.timers:
            return False
        self.now = min(timer.when() for timer in self.timers)
        self.ready.extend(timer for timer in self.timers if timer.when() == self.now)
        self.timers = [timer for timer in self.timers if timer.when() != self.now]
        return True

    def time(self):
        return self.now

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def is_closed(self):
        return False

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self.ready.append(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.now + max(0, delay), callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self.timers.append(handle)
        return handle

    def _timer_handle_cancelled(self, handle):
        pass

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coroutine, *, name=None, context=None):
        return asyncio.Task(coroutine, loop=self, name=name, context=context)

    def call_exception_handler(self, context):
        """An exception that nobody asks for is of no interest."""
