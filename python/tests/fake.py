"""A server in miniature: cells in a dict, steps on a worker in this process or in one of its own.

It keeps journals as the real one does and checks that messages have the agreed form. It has no locks, no partitions and
one attempt per transaction; what a transaction wrote is undone by a snapshot.
"""

import marshal
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
from collections import deque
from types import SimpleNamespace
from unittest import mock

PYTHON = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if PYTHON not in sys.path:
    sys.path.insert(0, PYTHON)

from sostenuto.worker import codec, exceptions  # noqa: E402
from sostenuto.worker.app import App  # noqa: E402
from sostenuto.worker.held import choose  # noqa: E402
from sostenuto.worker.resident import resident  # noqa: E402

RETURNED, RAISED, SUSPENDED, NOT_STORABLE = range(4)
#: Key of a list field's header.
HEADER = marshal.dumps(None, 2)
START_OF_TIME = 1_700_000_000_000_000


def dumps(value):
    return marshal.dumps(value, 2)


def module(name, source, lowered=None, pieces=None, path=None, package=False):
    """A module of INIT; what is not lowered maps to itself."""
    source = textwrap.dedent(source)
    lowered = source if lowered is None else textwrap.dedent(lowered)
    if pieces is None:
        pieces = [(0, 0, len(source.encode()), True)]
    return (name, path or f"{name.replace('.', '/')}.py", source, lowered, pieces, package)


def lower(source, *edits):
    """A module's (source, lowered, pieces) from edits `(user's text, lowered text)` at the text's first occurrence."""
    source = textwrap.dedent(source)
    lowered, pieces, at = "", [], 0
    for old, new in edits:
        found = source.index(old, at)
        pieces.append((len(lowered.encode()), len(source[:at].encode()), len(source[:found].encode()), True))
        lowered += source[at:found]
        start = len(source[:found].encode())
        inner = new.find(old)
        if inner >= 0:
            pieces.append((len(lowered.encode()), start, start + len(old.encode()), False))
            lowered += new[:inner]
            pieces.append((len(lowered.encode()), start, start + len(old.encode()), True))
            lowered += old
            pieces.append((len(lowered.encode()), start, start + len(old.encode()), False))
            lowered += new[inner + len(old) :]
        else:
            pieces.append((len(lowered.encode()), start, start + len(old.encode()), False))
            lowered += new
        at = found + len(old)
    pieces.append((len(lowered.encode()), len(source[:at].encode()), len(source.encode()), True))
    lowered += source[at:]
    return source, lowered, pieces


def service(
    name, module="app", entity=False, mu2sls=False, scalars=(), dicts=(), lists=(), methods=(), clients=(), held=False
):
    """A service of INIT."""
    fields = [(field, 0, dumps(initial), held) for field, initial in dict(scalars).items()]
    fields += [(field, 1, dumps({}), held) for field in dicts]
    fields += [(field, 2, dumps(initial), held) for field, initial in dict(lists).items()]
    shown = [(method, True, False, []) for method in methods]
    return (name, module, entity, mu2sls, fields, shown, list(dict(clients).items()))


def miscounting(seed):
    """Objects to which nobody refers count as held, now these and in a replay others: as they do for the frames of an
    exception and for other garbage, until the collector comes."""
    dice = random.Random(seed)
    counted = lambda candidates: choose([(each, own - dice.randrange(2)) for each, own in candidates])
    return mock.patch("sostenuto.worker.cells.choose", counted)


class Keeper:
    """What the server knows of the values that workers in this process keep: all of them, but now and then it lets the
    older half go.
    """

    def __init__(self):
        self.names = {}
        self.given = 0
        self.frames = 0

    def receive(self, message, place):
        """A message as the worker gets it, with names in its slice."""
        gone = []
        self.frames += 1
        if self.frames % 7 == 0:
            gone = [self.names.pop(data) for data in list(self.names)[: len(self.names) // 2]]
        cells, wholes = message[place]
        named = [(field, key, None if value is None else self._named(value), incarnation)
                 for field, key, value, incarnation in cells]  # fmt: skip
        message = (*message[:place], (named, wholes), *message[place + 1 :])
        frame = marshal.loads(dumps([message, (5, gone)]))
        resident.receive(frame)
        return frame[0]

    def _named(self, value):
        if value in self.names:
            return self.names[value]
        self.names[value], self.given = self.given, self.given + 2
        return (self.names[value], value)

    def hear(self, end):
        """A message of the worker, without what only the keeper looks at."""
        resident.announce(end)
        if end[0] != 10:
            return end
        for field, key, value, fresh, incarnation, *name in end[6]:
            if name:
                assert name[0] % 2 and resident.names[name[0]].data == value
                self.names[value] = name[0]
        return (*end[:6], [write[:5] for write in end[6]], *end[7:])


#: Like what it knows of, for the whole process.
KEEPER = Keeper()


class Inside:
    """A worker in this process. It keeps every value."""

    def __init__(self):
        self.app = App(self)
        self.answer = None
        resident.bytes_min = 1

    def load(self, modules, services, records):
        self.app.load(modules, services, records)

    def fetch(self, run, field, key):
        shipped = self.answer(run, field, key)
        return None if shipped is None else KEEPER.receive((4, run, shipped), 2)[2]

    def step(self, message, answer):
        self.answer = answer
        step, at = (self.app.start, 10) if message[0] == 1 else (self.app.resume, 4)
        message = KEEPER.receive(message, at)
        end = step(message, message[at])
        return marshal.loads(dumps(KEEPER.hear(end)))

    def evict(self, invocation):
        self.app.evict((3, invocation))

    def close(self):
        self.app.unload()


class Outside:
    """A worker process."""

    def __init__(self, by_path=False):
        self.socket, theirs = socket.socketpair()
        self.strike = tempfile.NamedTemporaryFile()
        self.strike.write(bytes(8))
        self.strike.flush()
        start = [os.path.join(PYTHON, "sostenuto", "worker", "__main__.py")] if by_path else ["-m", "sostenuto.worker"]
        environment = {**os.environ, "PYTHONPATH": PYTHON}
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", *start],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        theirs.close()
        self.buffer = b""
        self.arrived = deque()

    def load(self, modules, services, records):
        problem = self.init(modules, services, records)
        if problem is not None:
            raise exceptions.decode(problem)

    def init(self, modules, services, records):
        self.send((0, modules, services, records, {"strike_file": self.strike.name}))
        tag, self.pid, self.python, problem = self.receive()
        assert tag == 14, tag
        return problem

    def send(self, *messages):
        frame = dumps(list(messages))
        self.socket.sendall(struct.pack("<I", len(frame)) + frame)

    def receive(self):
        while not self.arrived:
            self.arrived.extend(self.receive_frame())
        return self.arrived.popleft()

    def receive_frame(self):
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack("<I", self.buffer[:4])[0]:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(self.process.communicate()[1].decode())
            self.buffer += data
        size = 4 + struct.unpack("<I", self.buffer[:4])[0]
        frame, self.buffer = self.buffer[4:size], self.buffer[size:]
        messages = marshal.loads(frame)
        # How busy it was comes last.
        assert messages[-1][0] == 15 and messages[-1][1] >= 0, messages[-1]
        return messages[:-1]

    def running(self):
        """The run number in shared memory."""
        self.strike.seek(0)
        return struct.unpack("<Q", self.strike.read(8))[0]

    def step(self, message, answer):
        self.send(message)
        while True:
            end = self.receive()
            if end[0] != 11:
                return end
            self.send((4, end[1], answer(end[1], end[2], end[3])))

    def evict(self, invocation):
        self.send((3, invocation))

    def close(self):
        self.socket.close()
        self.stdout, self.stderr = (text.decode() for text in self.process.communicate())
        self.strike.close()
        return self.process.returncode


class Failed(Exception):
    """An invocation ended with an exception: `error` is what its caller would get."""

    def __init__(self, error, status, text):
        super().__init__(f"{type(error).__name__}: {exceptions.message(error)}\n{text}")
        self.error = error
        self.status = status
        self.text = text


class Departed(Exception):
    """A replay departed: (step, expected, actual)."""


class Cells(dict):
    """Fields: value bytes, or dict of key -> (key bytes, value bytes, incarnation)."""

    def __init__(self, fields, incarnations):
        dict.__init__(self, fields)
        #: Of scalar fields.
        self.incarnations = incarnations

    def scalar(self, field):
        """A scalar field as it is shipped."""
        return (field, None, self[field], self.incarnations.get(field, 0))


class ListCells(dict):
    """The cells of a list field."""


class Server:
    """Holds cells and runs invocations, one at a time, on one worker."""

    def __init__(self, worker, modules, services, records=()):
        self.worker = worker
        self.services = {found[0]: found for found in services}
        #: (service, entity key bytes or None) -> `Cells`.
        self.state = {}
        self.runs = 0
        self.clock = START_OF_TIME
        self.logs = []
        self.ends = []
        #: Ship nothing, so that everything is fetched.
        self.ship_nothing = False
        #: Ship dict fields as a whole.
        self.ship_wholes = False
        #: Drop the coroutine after every step.
        self.evict_always = False
        #: Reorders results that are ready together.
        self.reorder = None
        #: Called with (field, key) of each fetch; true answers *not now*.
        self.not_now = None
        self.fetches = []
        self.invocations = 0
        self.sent = []
        #: Calls that were sent in a transaction, until it ends.
        self.deferred = None
        #: Gives the result of a task: called with what follows the kind of its operation, gives (kind, payload).
        self.task = None
        self.cancelled = []
        worker.load(list(modules), list(services), list(records))

    def close(self):
        return self.worker.close()

    # Cells.

    def cells(self, service, key=None):
        found = self.state.get((service, key))
        if found is not None:
            return found
        fields = self.services[service][4]
        made = {name: (lambda: None, dict, ListCells)[kind]() for name, kind, *_ in fields}
        found = self.state[service, key] = Cells(made, {})
        return found

    def put(self, service, field, value, key=None):
        """Sets a whole field from Python values."""
        if type(value) is dict and isinstance(self.cells(service, key)[field], dict):
            value = {k: (codec.encode(k), codec.encode(v), 0) for k, v in value.items()}
        elif type(self.cells(service, key)[field]) is ListCells:
            assert len(value) <= 64, "a header is all that is made here"
            value = ListCells({None: (HEADER, codec.encode([0, 0, value]), 0)})
        else:
            value = codec.encode(value)
        self.cells(service, key)[field] = value

    def get(self, service, field, key=None):
        """A whole field as Python values."""
        found = self.cells(service, key)[field]
        initial = next((initial for name, kind, initial, _ in self.services[service][4] if (name, kind) == (field, 2)), None)
        if initial is not None:
            return list_of(found, initial)
        if isinstance(found, dict):
            return {codec.decode(k): codec.decode(v) for k, v, _ in found.values()}
        return None if found is None else codec.decode(found)

    def slice(self, cells, held):
        """What is shipped ahead: what the last step held, in any case."""
        one = lambda field, key: cells.scalar(field) if key is None else (field, *self.entry(cells, field, key))
        single = [one(field, key) for field, key in held[0]]
        held_wholes = [(name, list(cells[name].values())) for name in held[1]]
        if self.ship_nothing:
            return (single, held_wholes)
        headers = [(name, *self.entry(cells, name, HEADER)) for name, found in cells.items()
                   if type(found) is ListCells and not self.ship_wholes]  # fmt: skip
        scalars = single + [cells.scalar(name) for name, found in cells.items() if not isinstance(found, dict)]
        wholes = held_wholes
        if self.ship_wholes:
            wholes = [(name, list(found.values())) for name, found in cells.items() if isinstance(found, dict)]
        return (scalars + headers, wholes)

    def answer(self, cells):
        def fetch(run, field, key):
            self.fetches.append((field, key))
            if self.not_now and self.not_now(field, key):
                return None
            if key is ...:
                return ([], [(field, list(cells[field].values()))])
            if key is None:
                return ([cells.scalar(field)], [])
            return ([(field, *self.entry(cells, field, key))], [])

        return fetch

    @staticmethod
    def entry(cells, field, key):
        return cells[field].get(codec.decode(key), (key, None, 0))

    def read_back(self, cells, reads):
        """What the journal keeps of a step's reads."""
        single, wholes = reads
        kept = []
        for field, key in single:
            kept.append(cells.scalar(field) if key is None else (field, *self.entry(cells, field, key)))
        return (kept, [(field, list(cells[field].values())) for field in wholes])

    @staticmethod
    def write(cells, writes):
        for field, key, value, fresh, incarnation in writes:
            if key is None:
                cells[field] = value
                if incarnation is not None:
                    cells.incarnations[field] = incarnation
                continue
            decoded = codec.decode(key)
            if value is None:
                cells[field].pop(decoded, None)
                continue
            old = cells[field].get(decoded)
            if incarnation is None:
                incarnation = old[2] if old else 0
            if fresh:
                old = cells[field].pop(decoded, None) and None
            cells[field][decoded] = (old[0] if old else key, value, incarnation)

    # Invocations.

    def call(self, service, method, *args, key=None, in_transaction=False, **named):
        """Runs an invocation to its end and gives its result, or raises `Failed`."""
        key = None if key is None else codec.encode(key)
        done = self.invoke(service, key, method, codec.encode((list(args), named)), in_transaction)
        if done.status == RETURNED:
            return codec.decode(done.payload)
        raise Failed(exceptions.decode(done.payload), done.status, codec.decode(done.payload)[4])

    def begin(self, service, method, *args, key=None, in_transaction=False, **named):
        """An invocation that has not begun."""
        key = None if key is None else codec.encode(key)
        return self.new(service, key, method, codec.encode((list(args), named)), in_transaction)

    def new(self, service, key, method, args, in_transaction=False):
        self.invocations += 1
        return SimpleNamespace(
            id=self.invocations.to_bytes(16, "big"), service=service, key=key, method=method, args=args,
            flags=1 if in_transaction else 0, seed=self.invocations.to_bytes(32, "big"), journal=[], held=([], []), on_worker=False,
            delivered=[], pending={}, snapshot=None, doom=None, status=None, payload=None,
        )  # fmt: skip

    def invoke(self, service, key, method, args, in_transaction=False):
        invocation = self.new(service, key, method, args, in_transaction)
        while True:
            self.step(invocation)
            if invocation.status != SUSPENDED:
                return invocation
            self.deliver(invocation)

    def step(self, invocation):
        """Runs one step and takes its end."""
        cells = self.cells(invocation.service, invocation.key)
        self.runs += 1
        self.clock += 1000
        clock, shipped, delivered = self.clock, self.slice(cells, invocation.held), invocation.delivered
        if invocation.on_worker:
            message = (2, self.runs, invocation.id, clock, shipped, delivered)
        else:
            message = (
                1, self.runs, invocation.id, invocation.service, invocation.method, invocation.key, invocation.args,
                invocation.seed, invocation.flags, clock, shipped, invocation.journal, delivered, None,
            )  # fmt: skip
        end = self.worker.step(message, self.answer(cells))
        self.ends.append(end)
        if end[0] == 12:
            assert end == (12, self.runs), end
            invocation.on_worker, invocation.status = False, "dropped"
            return self.step(invocation)
        if end[0] == 13:
            assert end[1] == self.runs and end[2] == invocation.id
            raise Departed(*end[3:])
        self.take(invocation, cells, clock, end)

    def take(self, invocation, cells, clock, end):
        _, run, identity, status, payload, reads, writes, ops, waits, logs, doom, held = end
        assert (run, identity) == (self.runs, invocation.id), end
        assert (payload is None) == (status == SUSPENDED), end
        invocation.status, invocation.payload = status, payload
        if status == SUSPENDED:
            entry = (clock, self.read_back(cells, reads), invocation.delivered, [(op[0], text(op)) for op in ops])
            invocation.journal = [*invocation.journal, entry]
            invocation.waits, invocation.held = waits, held
            invocation.on_worker = True
            if self.evict_always:
                self.worker.evict(invocation.id)
                invocation.on_worker = False
        self.write(cells, writes)
        self.logs.extend(logs)
        invocation.doom = invocation.doom or doom
        for op in ops:
            self.operate(invocation, op)

    def operate(self, invocation, op):
        position, kind, *rest = op
        if kind == 0:
            invocation.pending[position] = lambda: self.child(invocation, rest)
        elif kind == 1:
            self.sent.append(tuple(rest[:3]))
            if self.deferred is None:
                self.child(invocation, rest)
            else:
                self.deferred.append(rest)
        elif kind == 2:
            invocation.pending[position] = lambda: self.wake(rest[0])
        elif kind == 6:
            invocation.pending[position] = lambda: self.task(*rest)
        elif kind == 7:
            invocation.pending.pop(rest[0], None)
            self.cancelled.append(rest[0])
        elif kind == 3:
            invocation.snapshot = marshal.dumps(self.freeze(), 2)
            self.deferred = []
            invocation.pending[position] = lambda: (0, dumps(None))
        else:
            invocation.pending[position] = lambda: self.finish(invocation, kind)

    def freeze(self):
        return [(k, [(f, list(v.values()) if isinstance(v, dict) else v) for f, v in c.items()], c.incarnations)
                for k, c in self.state.items()]  # fmt: skip

    def thaw(self, frozen):
        self.state = {}
        for place, fields, names in marshal.loads(frozen):
            cells = self.cells(*place)
            cells.incarnations = names
            for field, content in fields:
                if isinstance(content, list):
                    cells[field].update({codec.decode(entry[0]): tuple(entry) for entry in content})
                else:
                    cells[field] = content

    def wake(self, due):
        self.clock = max(self.clock, due)
        return (0, dumps(None))

    def finish(self, invocation, kind):
        snapshot, invocation.snapshot = invocation.snapshot, None
        doom, invocation.doom = invocation.doom, None
        deferred, self.deferred = self.deferred, None
        if kind == 5 or doom:
            self.thaw(snapshot)
        else:
            for target in deferred:
                self.child(invocation, target)
        if kind == 4 and doom:
            return (1, doom)
        return (0, dumps(None))

    def child(self, parent, target):
        service, key, method, args = target
        joined = parent.snapshot is not None or bool(parent.flags)
        done = self.invoke(service, key, method, args, joined)
        parent.doom = parent.doom or done.doom
        return (0 if done.status == RETURNED else 1, done.payload)

    def deliver(self, invocation):
        """Makes results for the step to come: all that it waits for, or one."""
        mode, positions = invocation.waits
        ready = [position for position in invocation.pending if position in positions]
        assert ready, ("waits for nothing", invocation.waits, invocation.pending)
        if self.reorder:
            ready = self.reorder(ready)
        invocation.delivered = [(position, *invocation.pending.pop(position)()) for position in ready]


def list_of(cells, initial):
    """The elements of a list field's cells, which must be as `protocol/src/list.rs` says."""
    if None not in cells:
        assert not cells, cells
        return codec.decode(initial)
    start, tail, last, *names = codec.decode(cells[None][1])
    check_names(last, *names or (None,))
    numbers = range(min(start // 64, tail), tail)
    assert set(cells) == {None, *numbers}, (start, tail, set(cells))
    elements = []
    for number in numbers:
        chunk = codec.decode(cells[number][1])
        chunk, names = chunk if type(chunk) is tuple else (chunk, None)
        check_names(chunk, names)
        assert len(chunk) == min(64, (number + 1) * 64 - start), (start, number, len(chunk))
        elements += chunk
    assert len(last) <= min(64, (tail + 1) * 64 - start), (start, tail, len(last))
    return elements + last


def check_names(elements, names):
    """If a chunk has names, each element that can be changed has one."""
    if names is not None:
        assert len(names) == len(elements), (elements, names)
        for name, element in zip(names, elements, strict=True):
            assert (name is None) == (type(element) in codec.IMMUTABLE), (name, element)


def text(op):
    """How the real server names an operation in the journal."""
    kind = op[1]
    if kind in (0, 1):
        return f"{('call', 'send')[kind]} {op[2]}.{op[4]}"
    if kind in (6, 7):
        return f"{('task', 'cancel')[kind - 6]} {op[2]}"
    return ("", "", "sleep", "begin", "commit", "rollback")[kind]
