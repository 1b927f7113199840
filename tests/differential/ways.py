"""Runs one program in one way and says what came of it, as text that can be compared.

`plain` is the oracle: the class in this process, in memory. The others run what the compiler made on the worker
package, over a server in miniature (`python/tests/fake.py`) that evicts, loses runs and holds cells back.
"""

import asyncio
import contextlib
import copy
import dataclasses
import enum
import inspect
import io
import random
import re
import sys
import types
from dataclasses import dataclass, field

import fake
import sostenuto
from sostenuto import memory
from sostenuto.worker import codec
from sostenuto.worker.output import StepStream

#: The ways that are compared with plain Python.
WAYS = ("compiled", "interrupted", "missing")
#: How often an interrupted program loses a run, is evicted, or does not get a cell at once.
LOST, EVICTED, HELD_BACK = 0.15, 0.4, 0.15


@dataclass
class Outcome:
    """Results of all calls, the final state by service, key and field, what was printed."""

    results: list = field(default_factory=list)
    state: dict = field(default_factory=dict)
    printed: str = ""
    #: Lines of the module that were executed (plain only).
    lines: set = field(default_factory=set)

    def difference(self, other):
        """The first difference: (what, this, the other), or None."""
        for index, (ours, theirs) in enumerate(zip(self.results, other.results, strict=True)):
            if ours != theirs:
                return f"result of call {index}", ours, theirs
        for name in sorted({*self.state, *other.state}):
            ours, theirs = self.state.get(name), other.state.get(name)
            if ours != theirs:
                return f"state of {name}", ours, theirs
        if self.printed != other.printed:
            return "output", self.printed, other.printed
        return None


def form(value):
    """A value with its types as text, in order; sets sorted."""
    kind = type(value)
    name = kind.__qualname__
    if isinstance(value, enum.Enum):
        return f"{name}.{value.name}"
    if dataclasses.is_dataclass(value):
        parts = [f"{each.name}={form(getattr(value, each.name))}" for each in dataclasses.fields(value)]
        return f"{name}({', '.join(parts)})"
    if kind is dict:
        return "{" + ", ".join([f"{form(key)}: {form(part)}" for key, part in value.items()]) + "}"
    if kind in (set, frozenset):
        return f"{name}({', '.join(sorted(map(form, value)))})"
    if kind in (list, tuple):
        return f"{name}({', '.join(map(form, value))})"
    return f"{name}:{value!r}"


def failure(error):
    """An exception as text."""
    return f"raise {type(error).__module__}.{type(error).__qualname__} {form(error.args)}"


#: A dict field's class has a name of its own, which Python's messages show (a stated difference).
_NAMES = {"DictView": "dict", "_Keys": "dict_keys", "_Values": "dict_values", "_Items": "dict_items"}
_OURS = re.compile(r"(?<!\w)(" + "|".join(_NAMES) + r")\b")


def _as_builtin(text):
    return _OURS.sub(lambda match: _NAMES[match.group(1)], text)


def _arguments(text, scope):
    return eval(text, scope)  # noqa: S307 (a literal of the generator)


# Plain Python.


def plain(program):
    """Runs the program in memory."""
    outcome = Outcome()
    module = types.ModuleType(program.module)
    path = f"{program.module}.py"
    sys.modules[program.module] = module
    sostenuto.use(memory)
    memory.reset()
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(program.text, path, "exec", dont_inherit=True), module.__dict__)
            _run_plain(program, module, path, outcome)
        outcome.printed = output.getvalue()
    finally:
        sys.modules.pop(program.module, None)
        memory.reset()
    return outcome


def _run_plain(program, module, path, outcome):
    other = getattr(module, f"Other{program.number}")()
    main = getattr(module, f"Main{program.number}")()
    for method, arguments in program.script:
        values = _arguments(arguments, module.__dict__)
        sys.settrace(_tracer(path, outcome.lines))
        try:
            result = getattr(main, method)(*values)
            if inspect.iscoroutine(result):
                result = _loop().run_until_complete(result)
            sys.settrace(None)
            outcome.results.append(form(copy.deepcopy(result)))
        except Exception as error:
            sys.settrace(None)
            outcome.results.append(failure(error))
    _plain_state(outcome, other)
    _plain_state(outcome, main)
    for (_, key), item in memory._entities.items():
        _plain_state(outcome, item, key)


def _plain_state(outcome, instance, key=None):
    shown = "" if key is None else f"({key!r})"
    cls = type(instance)
    for name in memory._fields(cls):
        _keep(outcome, f"{cls.__name__}{shown}.{name}", form(getattr(instance, name)), form(getattr(cls, name)))


def _keep(outcome, name, value, initial):
    """Notes a field's value, unless nobody changed it: where an entity was looked at makes no difference."""
    if value != initial:
        outcome.state[name] = value


_loops = []


def _loop():
    if not _loops:
        _loops.append(asyncio.new_event_loop())
    return _loops[0]


def _tracer(path, lines):
    def local(frame, event, _):
        if event == "line":
            lines.add(frame.f_lineno)
        return local

    return lambda frame, event, _: local if frame.f_code.co_filename == path else None


# On the worker.


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
        self.dice = dice
        self.way = way
        if way == "missing":
            self.ship_nothing = True
        if way != "compiled":
            self.not_now = trouble.not_now
        for name, _, is_entity, _, fields, *_ in mine:
            if not is_entity:
                self.begin_fields(name, fields)

    def begin_fields(self, service, fields):
        """Dict fields of a service begin with their initial entries."""
        self.cells(service)
        for name, _, initial, _ in fields:
            value = codec.decode(initial)
            if type(value) is dict and value:
                self.put(service, name, value)

    def step(self, invocation):
        self.ship_wholes = self.dice.random() < 0.3
        self.evict_always = self.way == "interrupted" and self.dice.random() < EVICTED
        super().step(invocation)


def on_worker(worker, program, init, way):
    """Runs the program as it was compiled."""
    outcome = Outcome()
    server = Server(worker, program, init, way)
    scope = sys.modules[program.module].__dict__
    for method, arguments in program.script:
        call = codec.encode((list(_arguments(arguments, scope)), {}))
        try:
            with contextlib.redirect_stdout(StepStream(0, sys.stdout)):
                done = server.invoke(f"Main{program.number}", None, method, call)
            outcome.results.append(_ended(done))
        except Exception as error:
            outcome.results.append(f"the machinery failed: {type(error).__name__}: {error}")
    outcome.results = [_as_builtin(each) for each in outcome.results]
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
        value = server.get(service, name, key)
        absent = server.cells(service, key)[name] is None
        initial = form(codec.decode(initial))
        _keep(outcome, f"{service}{shown}.{name}", initial if absent else form(value), initial)


def load(init):
    """A worker in this process that holds these programs."""
    worker = fake.Inside()
    worker.load(*init)
    return worker
