"""A task worker: runs functions with `@task`, in threads or on one asyncio loop, and sends what came of each.

Nothing here is replayed: time, random numbers and the network are Python's own, and what a task prints goes out at once.
How many tasks run, how long they may take and which are tried again is the server's business; it ends this process if a
thread does not end in time.
"""

import asyncio
import contextvars
import ctypes
import datetime
import functools
import io
import logging
import os
import random
import secrets
import signal
import sys
import threading
import time
import uuid
from _socket import MSG_DONTWAIT
from collections import deque
from types import SimpleNamespace

from sostenuto.errors import InternalError, NotStorable, NotSupported
from sostenuto.worker import codec, exceptions, output
from sostenuto.worker.app import App
from sostenuto.worker.code_cache import CodeCache
from sostenuto.worker.current import Signal
from sostenuto.worker.process import leave, version

READY, TASK, STOP, TASK_END, TASK_OUTPUT = 14, 20, 21, 24, 25
VALUE, EXCEPTION = range(2)
_ASYNC = 2
#: Seconds that a coroutine may block the loop before another thread reads in its place.
_PATIENCE = 0.1
#: Output kept of one try.
_OUTPUT_MAX = 64 * 1024

#: The run that this thread or asyncio task belongs to; 0: none.
_run = contextvars.ContextVar("sostenuto_task_run", default=0)


class Loop(asyncio.SelectorEventLoop):
    """A loop whose tasks can begin at once, as the eager ones of later Pythons do: most end in their first step."""

    _captures = False
    _first_step = None

    def begin(self, coroutine):
        """A task that has run up to where it waits for the first time, or to its end."""
        self._captures = True
        try:
            task = asyncio.Task(coroutine, loop=self, name=coroutine.__name__)
        finally:
            self._captures = False
        step, context = self._first_step
        self._first_step = None
        context.run(step)
        return task

    def call_soon(self, callback, *args, context=None):
        """As ever, but for the first step of a task that begins at once."""
        if not self._captures:
            return super().call_soon(callback, *args, context=context)
        self._captures = False
        self._first_step = callback, context
        return None


class TaskWorker:
    """Handles messages until the server closes the connection.

    The main thread runs coroutines and reads what the server sends. While a coroutine blocks it, another thread reads,
    so that functions in threads begin, are ended, and the process ends, as if nothing was.
    """

    def __init__(self, channel, cache=None):
        self.channel = channel
        # Threads run tasks, too.
        channel.clock = time.process_time_ns
        self.cache = cache
        self.output = Output(self.send)
        self.loop = self._loop_thread = None
        #: Ends of coroutines that leave together.
        self._ends = []
        self._sending = threading.Lock()
        #: What runs, by run: a thread or an asyncio task.
        self._running = {}
        #: When coroutines that wait are cancelled, by run; None if that has happened.
        self._limits = {}
        self._reading = threading.Lock()
        #: The loop is in `_read`; how often it has been there.
        self._inside = False
        self._turns = 0
        #: Set if the thread that stands in has something to look after.
        self._wanted = threading.Event()
        #: Why the worker ends.
        self._over = None

    def send(self, *messages):
        """Sends messages in one frame; any thread may."""
        with self._sending:
            self.channel.send([*messages])

    def run(self, init):
        """Loads the application, then runs tasks."""
        # Unlike a step, a task may start processes that want their interrupts.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.output.install()
        self._load(init)
        loop, self._loop_thread = Loop(), threading.get_ident()
        self.loop = loop
        asyncio.set_event_loop(loop)
        loop.add_reader(self.channel.fileno(), self._read)
        threading.Thread(target=self._stand_in, name="tasks-stand-in", daemon=True).start()
        while self._over is None:
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # Of a task that a coroutine has made; whoever awaits it gets the same.
                pass
        raise self._over

    def _read(self):
        """Begins what the server has sent, on the loop."""
        self._inside = True
        self._turns += 1
        if not self._wanted.is_set():
            self._wanted.set()
        try:
            self._take_in(self._begin, self._stop)
            self._flush()
        except BaseException as error:
            self._over = error
            self.loop.stop()
        finally:
            self._inside = False

    def _stand_in(self):
        """Reads while a coroutine blocks the loop, which otherwise does it itself."""
        while True:
            self._wanted.wait()
            turns = self._turns
            time.sleep(_PATIENCE)
            if self._turns != turns:
                continue
            try:
                if self._inside or self._running:
                    self._take_in(self._begin_soon, self._stop_soon)
                    continue
                self._wanted.clear()
                # `_read` says that it is inside before it looks.
                if self._inside or self._running:
                    self._wanted.set()
            except BaseException as error:
                leave(error)

    def _take_in(self, begin, stop):
        """Reads what is there and does what it asks."""
        with self._reading:
            try:
                self.channel.receive(MSG_DONTWAIT)
            except BlockingIOError:
                # The other thread has read it.
                return
            waiting, self.channel.waiting = self.channel.waiting, deque()
        for message in waiting:
            if message[0] == TASK:
                self._start(begin, *message[1:])
            elif message[0] == STOP:
                stop(message[1])
            else:
                raise InternalError(f"unknown message {message!r:.200}")

    def _load(self, init):
        _, modules, services, records, options = init
        problem = None
        try:
            cache = self.cache or CodeCache(options.get("code_folder"), modules)
            App(self.channel).load(modules, services, records, NAMESPACE, BACKEND, cache)
        except BaseException as error:
            problem = exceptions.encode(error)
        self.send((READY, os.getpid(), version(), problem))

    def _start(self, begin, run, name, args, timeout, flags):
        try:
            function = find(name)
            args, named = codec.decode(args)
        except BaseException as error:
            self._ended(run, error=error, final=True)
            return
        if flags & _ASYNC:
            begin(run, self._execute_async(run, function, args, named, timeout), timeout)
        else:
            body = functools.partial(self._execute, run, function, args, named)
            thread = self._running[run] = threading.Thread(target=body, name=f"task {name}", daemon=True)
            thread.start()

    def _begin(self, run, coroutine, timeout):
        task = self.loop.begin(coroutine)
        if not task.done():
            self._running[run] = task
            if timeout is not None:
                self._limits[run] = self.loop.call_later(timeout / 1_000_000, self._expire, run, task)

    def _begin_soon(self, run, coroutine, timeout):
        self.loop.call_soon_threadsafe(self._begin, run, coroutine, timeout)

    def _expire(self, run, task):
        self._limits[run] = None
        task.cancel()

    def _execute(self, run, function, args, named):
        _run.set(run)
        try:
            self._returned(run, function.__name__, function(*args, **named))
        except Exception as error:
            self._ended(run, error=error)
        except BaseException as error:
            self._ended(run, error=error, final=True)

    async def _execute_async(self, run, function, args, named, timeout):
        _run.set(run)
        try:
            result = await function(*args, **named)
            self._returned(run, function.__name__, result)
        except Exception as error:
            self._ended(run, error=error)
        except BaseException as error:
            # As `asyncio.timeout` has it: if it was cancelled for another reason as well, that counts.
            is_late = type(error) is asyncio.CancelledError and self._limits.get(run, self) is None
            if not is_late or asyncio.current_task().uncancel():
                self._ended(run, error=error, final=True)
                return
            told = f"the task {function.__name__} took longer than its timeout of {timeout / 1_000_000} s"
            self._ended(run, error=TimeoutError(told).with_traceback(error.__traceback__))

    def _returned(self, run, name, result):
        try:
            payload = codec.encode(result)
        except codec.Unstorable as problem:
            # The effect has happened; another try would not make the result another one.
            error = NotStorable(f"the result of the task {name}{problem.path}: {problem}")
            error.path = problem.path
            self._ended(run, error=error, final=True)
        else:
            self._finish(run, (TASK_END, run, VALUE, payload, False))

    def _ended(self, run, *, error, final=False):
        self._finish(run, (TASK_END, run, EXCEPTION, exceptions.encode(error), final))

    def _finish(self, run, message):
        self._running.pop(run, None)
        limit = self._limits.pop(run, None)
        if limit is not None:
            limit.cancel()
        self.output.end(run)
        if threading.get_ident() != self._loop_thread:
            self._send_ends([message])
            return
        # Coroutines that end in one turn of the loop say so in one frame.
        if not self._ends and not self._inside:
            self.loop.call_soon(self._flush)
        self._ends.append(message)

    def _flush(self):
        if self._ends:
            ends, self._ends = self._ends, []
            self._send_ends(ends)

    def _send_ends(self, ends):
        try:
            self.send(*ends)
        except OSError:
            # The server is gone, and this process goes with it.
            pass

    def _stop(self, run):
        """Asks a run to end: a coroutine where it waits, a thread at its next instruction."""
        running = self._running.get(run)
        if isinstance(running, threading.Thread):
            if running.ident is not None:
                raised = ctypes.py_object(asyncio.CancelledError)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(running.ident), raised)
        elif running is not None:
            running.cancel()

    def _stop_soon(self, run):
        if isinstance(self._running.get(run), threading.Thread):
            self._stop(run)
        else:
            self.loop.call_soon_threadsafe(self._stop, run)


@functools.cache
def find(name):
    """The function of a task by its name."""
    module, _, attribute = name.rpartition(".")
    function = getattr(sys.modules.get(module), attribute, None)
    if not hasattr(function, "__sostenuto_task__"):
        raise AttributeError(f"the application has no task {name}")
    return function


class Output:
    """What tasks print, log and warn: sent by lines, marked with the run, bounded."""

    def __init__(self, send):
        self._send = send
        self._lock = threading.Lock()
        #: Unfinished lines by (run, stream), and characters sent by run.
        self._parts = {}
        self._sent = {}

    def install(self):
        """Takes over the process' text streams and the root logger."""
        sys.stdout = Stream(self, output.STDOUT, sys.__stdout__)
        sys.stderr = Stream(self, output.STDERR, sys.__stderr__)
        root = logging.getLogger()
        for handler in [*root.handlers]:
            root.removeHandler(handler)
        handler = Handler(self)
        root.addHandler(handler)
        output.take_over_basic_config(handler)

    def write(self, stream, text):
        """Sends the lines that are finished now."""
        run = _run.get()
        with self._lock:
            head, newline, rest = (self._parts.pop((run, stream), "") + text).rpartition("\n")
            if len(rest) > _OUTPUT_MAX:
                head, newline, rest = head + newline + rest, "\n", ""
            if rest:
                self._parts[run, stream] = rest
            if newline:
                self._out(run, stream, head + newline)

    def end(self, run):
        """Sends what is left of a run."""
        if not (self._parts or run in self._sent):
            return
        with self._lock:
            for stream in (output.STDOUT, output.STDERR, output.LOGGING):
                rest = self._parts.pop((run, stream), None)
                if rest:
                    self._out(run, stream, rest)
            self._sent.pop(run, None)

    def _out(self, run, stream, text):
        left = _OUTPUT_MAX - self._sent.get(run, 0) if run else _OUTPUT_MAX
        if left <= 0:
            return
        if len(text) > left:
            text = text[:left] + "\n[sostenuto: the rest of this task's output was cut]\n"
        self._sent[run] = self._sent.get(run, 0) + len(text)
        try:
            self._send((TASK_OUTPUT, run, stream, exceptions.clean(text)))
        except OSError:
            pass


class Stream(io.TextIOBase):
    """In the place of `sys.stdout` or `sys.stderr`."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, target, number, real):
        super().__init__()
        self._target = target
        self._number = number
        self._real = real

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._target.write(self._number, text)
        return len(text)

    def writable(self):
        return True

    def fileno(self):
        return self._real.fileno()

    def close(self):
        """Stays open: it belongs to the process."""


class Handler(logging.Handler):
    """The root handler."""

    def __init__(self, target):
        super().__init__()
        self._target = target
        self.setFormatter(logging.Formatter(logging.BASIC_FORMAT))

    def emit(self, record):
        try:
            self._target.write(output.LOGGING, self.format(record) + "\n")
        except Exception:
            self.handleError(record)


def task(function, policy):
    """`@task` here: the function itself, also for other tasks that call it."""
    function.__sostenuto_task__ = policy
    return function


def _refuse(*_, **__):
    raise NotSupported("a task cannot make calls, sleep durably or run transactions: do it in the method that runs it")


def _class_unchanged(cls):
    return cls


#: What lowered code of the application finds here: everything is Python's own.
NAMESPACE = SimpleNamespace(
    Signal=Signal,
    date_today=datetime.date.today,
    datetime_now=datetime.datetime.now,
    datetime_today=datetime.datetime.today,
    datetime_utcnow=lambda: datetime.datetime.now(datetime.UTC).replace(tzinfo=None),
    gather=asyncio.gather,
    live=lambda: True,
    random=random,
    secrets=secrets,
    sleep=asyncio.sleep,
    time=time,
    urandom=os.urandom,
    uuid1=uuid.uuid1,
    uuid4=uuid.uuid4,
    wait_for=asyncio.wait_for,
)

BACKEND = SimpleNamespace(
    abort=_refuse,
    client=_class_unchanged,
    entity=_class_unchanged,
    send=_refuse,
    service=_class_unchanged,
    sleep=_refuse,
    task=task,
    transaction=_refuse,
    is_worker=True,
)
