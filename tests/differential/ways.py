"""Runs what the compiler made of one program on the worker package, over a server in miniature that evicts, loses runs
and holds cells back (`python/tests/fake.py`). What comes of it is compared with what `plain` gives.
"""

import asyncio
import contextlib
import inspect
import random
import re
import sys
from unittest import mock

import fake
from differential.outcome import Outcome, form
from differential.plain import SENT, arguments
from sostenuto.worker import codec, exceptions, loader
from sostenuto.worker.output import StepStream

#: The ways that are compared with plain Python.
WAYS = ("compiled", "interrupted", "missing")
#: How often an interrupted program loses a run, is evicted, or does not get a cell at once.
LOST, EVICTED, HELD_BACK = 0.15, 0.4, 0.15

#: A dict field's class has a name of its own, which Python's messages show (a stated difference).
_NAMES = {"DictView": "dict", "_Keys": "dict_keys", "_Values": "dict_values", "_Items": "dict_items"}
_OURS = re.compile(r"(?<!\w)(" + "|".join(_NAMES) + r")\b")


def _as_builtin(text):
    return _OURS.sub(lambda match: _NAMES[match.group(1)], text)


class Trouble:
    """The worker as a server sees it: now and then a run is lost, or a cell is not to be had."""

    def __init__(self, worker, dice, way):
        self.worker, self.dice, self.way = worker, dice, way
        self.missed = set()

    def load(self, *_):
        """All programs of a batch are loaded together."""

    def evict(self, invocation):
        """Forgets a suspended invocation."""
        self.worker.evict(invocation)

    def step(self, message, answer):
        """One run of a step: its end, or that it was lost."""
        end = self.worker.step(message, answer)
        if end[0] == 12:
            return end
        self.missed.clear()
        if self.way == "interrupted" and self.dice.random() < LOST:
            self.worker.evict(end[2])
            return (12, end[1])
        return end

    def not_now(self, field, key):
        """True if this cell cannot be had in this run."""
        if self.way == "interrupted":
            return self.dice.random() < HELD_BACK
        if (field, key) in self.missed:
            return False
        self.missed.add((field, key))
        return True


class Server(fake.Server):
    """Runs the services of one program."""

    def __init__(self, worker, program, init, way):
        dice = random.Random(f"{program.seed}/{program.number}/{way}")
        mine = [each for each in init[1] if each[1] == program.module]
        trouble = Trouble(worker, dice, way)
        super().__init__(trouble, [], mine)
        self.program = program
        self.scope = sys.modules[program.module].__dict__
        self.dice = dice
        self.way = way
        self.task = self.carried_out
        #: Calls that have been carried out outside of transactions.
        self.calls = 0
        #: What other clients saw.
        self.meanwhile = []
        if way == "missing":
            self.ship_nothing = True
        if way != "compiled":
            self.not_now = trouble.not_now
        for name, _, is_entity, _, fields, *_ in mine:
            if not is_entity:
                self.begin_fields(name, fields)

    def held(self):
        """Interrupted programs hold more than is referred to, now and in a replay."""
        return fake.miscounting(self.dice.random()) if self.way == "interrupted" else contextlib.nullcontext()

    def begin_fields(self, service, fields):
        """Dict fields of a service begin with their initial entries."""
        self.cells(service)
        for name, _, initial, _ in fields:
            value = codec.decode(initial)
            if type(value) is dict and value:
                self.put(service, name, value)

    def client(self, method, text):
        """What a client sees of a call."""
        call = codec.encode((list(arguments(text, self.scope)), {}))
        return _as_builtin(_ended(self.invoke(f"Main{self.program.number}", None, method, call)))

    def child(self, parent, target):
        outcome = super().child(parent, target)
        is_in_transaction = parent.snapshot is not None or bool(parent.flags)
        if not is_in_transaction and target[2] != SENT:
            self.calls += 1
            found = self.program.meanwhile.get(self.calls)
            if found is not None:
                self.meanwhile.append(self.client(*found))
        return outcome

    def carried_out(self, name, args, retries, *_):
        """The result of a task, which is tried as often as it may be."""
        function = self.scope[name.rpartition(".")[2]].__wrapped__
        for left in range(retries, -1, -1):
            positional, named = codec.decode(args)
            try:
                result = function(*positional, **named)
                if inspect.iscoroutine(result):
                    result = asyncio.run(result)
                return 0, codec.encode(result)
            except Exception as error:
                if not left:
                    return 1, exceptions.encode(error)

    def operate(self, invocation, op):
        if op[1] == 2:
            invocation.due[op[0]] = op[2]
        super().operate(invocation, op)

    def new(self, *args):
        invocation = super().new(*args)
        #: When sleeps end, by position.
        invocation.due = {}
        return invocation

    def deliver(self, invocation):
        """First what needs no waiting, then the timers that end first."""
        mode, positions = invocation.waits
        ready = [position for position in invocation.pending if position in positions]
        at_once = [position for position in ready if position not in invocation.due]
        if not at_once:
            first = min(invocation.due[position] for position in ready)
            at_once = [position for position in ready if invocation.due[position] == first]
        invocation.waits = (mode, at_once)
        super().deliver(invocation)

    def step(self, invocation):
        self.ship_wholes = self.dice.random() < 0.3
        self.evict_always = self.way == "interrupted" and self.dice.random() < EVICTED
        super().step(invocation)


def on_worker(worker, program, init, way):
    """Runs the program as it was compiled."""
    outcome = Outcome()
    server = Server(worker, program, init, way)
    for method, text in program.script:
        try:
            with contextlib.redirect_stdout(StepStream(0, sys.stdout)), server.held():
                outcome.results.append(server.client(method, text))
        except Exception as error:
            outcome.results.append(f"the machinery failed: {type(error).__name__}: {error}")
    outcome.meanwhile = server.meanwhile
    for (service, key), _ in list(server.state.items()):
        _worker_state(outcome, server, service, key)
    outcome.printed = "".join(text for _, text in server.logs)
    return outcome


def _ended(done):
    """A result as text. The class of an exception goes by its name: its caller may not have the class."""
    value = codec.decode(done.payload)
    return form(value) if done.status == fake.RETURNED else f"raise {value[0]} {form(value[1])}"


def _worker_state(outcome, server, service, key):
    shown = "" if key is None else f"({codec.decode(key)!r})"
    for name, _, initial, _ in server.services[service][4]:
        absent = server.cells(service, key)[name] is None
        initial = codec.decode(initial)
        outcome.keep(f"{service}{shown}.{name}", initial if absent else server.get(service, name, key), initial)


def load(init):
    """A worker in this process that holds these programs."""
    worker = fake.Inside()
    with mock.patch.object(loader, "relocate"):
        # Moving positions back takes most of the time; that tracebacks show them is tested elsewhere.
        worker.load(*init)
    return worker
