"""One invocation in this process: its coroutine, driven by hand from step to step.

A step runs until nothing in the invocation can run. Its operations get their identity from their place in the program
(branch path and counter), and their results come back in the order of the journal, so that a replay does the same.
How messages are framed, and which runs there are, is not known here.
"""

from collections import deque
from types import CoroutineType

from sostenuto.errors import PART_ABORTED, Aborted, InternalError, NotStorable, TransactionError, UnawaitedCall
from sostenuto.worker import codec, exceptions
from sostenuto.worker.cells import NOTHING_HELD, Cells, line_of
from sostenuto.worker.current import Departure, Evicted, NotNow, Signal, current
from sostenuto.worker.lazy import cancelled, is_cancelled
from sostenuto.worker.operations import (
    CANCEL,
    KINDS,
    NOBODY,
    SEND,
    TASK,
    Gather,
    Operation,
    Promise,
    Raise,
    Rollback,
    Slot,
    Spawned,
    Turn,
    WaitFor,
)

END, FETCH, DROPPED, DEPARTED = 10, 11, 12, 13
RETURNED, RAISED, SUSPENDED, NOT_STORABLE = range(4)

_NO_WAITS = (0, [])
#: What a branch may wait for.
_DURABLE = (Operation, Gather)
#: A coroutine that catches eviction this often is left alone.
_EVICTIONS_MAX = 100


class Branch:
    """A line of execution within an invocation: the method itself, or a coroutine that it gathers."""

    path = ""
    counter = 0
    draws = 0
    coroutine = None
    #: The operation or gather that it waits for.
    awaited = None
    #: What wants its result; None for the method itself.
    waiter = None

    @classmethod
    def within(cls, path, coroutine=None, waiter=None):
        """A branch that the method gathers."""
        branch = cls()
        branch.path, branch.coroutine, branch.waiter = path, coroutine, waiter
        return branch

    def next_position(self):
        """The position of the next operation that this branch starts."""
        position = f"{self.path}{self.counter}"
        self.counter += 1
        return position


class Run:
    """An invocation that this process executes."""

    # Defaults of the class: a method of one step sets only what it needs.

    #: Transactions of a caller or of its own that it has joined by `BeginTx` and not ended; where the first began.
    joins = 0
    joined_at = None
    #: Where its own transaction began, while that is open; whether by `BeginTx`, so that an abort that surfaces ends
    #: it; the branches and operations from before.
    opened = None
    explicit = False
    before = None
    #: Branches that can run or wait; those whose transaction was rolled back; those that can run, with what they get.
    branches = None
    abandoned = ()
    ready = None
    #: The signal that ended the run.
    dead = None
    #: What the method returned or raised.
    outcome = None
    replaying = False
    #: A joined transaction was aborted in this step: the exception's bytes.
    doomed = None
    #: Steps that have begun, those of a replay counted.
    steps = 0

    def __init__(self, channel, number, invocation, target, fields, seed, joined):
        self.channel = channel
        self.number = number
        self.invocation = invocation
        #: `Service.method`, for messages.
        self.target = target
        self.seed = seed
        #: It runs inside a caller's transaction.
        self.joined = joined
        self.cells = Cells(fields, self)
        self.main = self.branch = Branch()
        #: Operations that have no result yet, by position.
        self.outstanding = {}
        #: Calls that were not started, and gathers that were not awaited.
        self.unstarted = {}

    @property
    def in_transaction(self):
        """A transaction is open, our own or a caller's."""
        return self.joined or self.opened is not None

    # Steps.

    def begin_step(self, clock, shipped):
        """Prepares everything that belongs to one step."""
        self.clock = clock
        self.steps += 1
        self.ticks = 0
        self.ops = []
        self.output = current.output = []
        self.cells.begin(shipped)

    def execute(self, method, args, named, message):
        """Runs the method from its beginning: over its journal, then one step more. Returns the step's message."""
        clock, shipped, journal, delivered = message
        if not journal:
            self.begin_step(clock, shipped)
            try:
                result = method(*args, **named)
            except BaseException as error:
                return self.end(Raise(error))
            if type(result) is not CoroutineType:
                return self.end(result)
        else:
            self.begin_step(journal[0][0], journal[0][1])
            self.replaying = self.cells.replaying = True
            result = self._create(method, args, named)
            if result is None:
                return self._departed(0, journal[0][3])
        self._become_coroutine(result)
        for step, (step_clock, reads, results, ops) in enumerate(journal):
            if step:
                self.begin_step(step_clock, reads)
            if not self._replay(step, results, ops):
                return self._departed(step, ops)
        if journal:
            self.replaying = self.cells.replaying = False
            self.doomed = None
            self.begin_step(clock, shipped)
        return self.step(delivered)

    def _create(self, method, args, named):
        """The coroutine of a method that has a journal, or None if it is not what it was."""
        try:
            result = method(*args, **named)
        except BaseException as error:
            self.outcome = Raise(error)
            return None
        if type(result) is not CoroutineType:
            self.outcome = result
            return None
        return result

    def _become_coroutine(self, coroutine):
        self.cells.suspends = True
        self.prepare_branches()
        self.main.coroutine = coroutine
        self.branches[self.main] = None
        self.ready.append((self.main, None))

    def prepare_branches(self):
        """Makes what only invocations with coroutines need."""
        if self.branches is None:
            self.branches, self.abandoned, self.ready = {}, [], deque()

    def resume(self, number, clock, shipped, delivered):
        """Goes on after a suspension."""
        self.number = number
        self.doomed = None
        self.begin_step(clock, shipped)
        return self.step(delivered)

    def step(self, delivered):
        """Runs user code until nothing can run; returns the step's message."""
        self._deliver(delivered)
        self._go()
        if self.main.coroutine is None or self.dead:
            return self.end(self.outcome)
        return self._suspend()

    def _replay(self, step, delivered, ops):
        """Runs a step of the journal: True if it did what it did the first time."""
        self._deliver(delivered)
        self._go()
        if self.dead or self.main.coroutine is None or self._texts() != [tuple(op) for op in ops]:
            return False
        self.cells.hold()
        return True

    def _deliver(self, delivered):
        for position, kind, payload in delivered:
            if not position:
                self._cancel(kind, payload)
                continue
            operation = self.outstanding.pop(position, None)
            if operation is None:
                if self.replaying:
                    continue
                raise InternalError(f"a result for position {position} of {self.target}, which waits for none there")
            try:
                outcome = Raise(exceptions.decode(payload)) if kind else codec.decode(payload)
            except Exception as error:
                outcome = Raise(error)
            operation.take(outcome)
            waiter, operation.waiter = operation.waiter, None
            if waiter is not None:
                self.settle(waiter, operation.outcome)

    def _cancel(self, kind, payload):
        """Raises `CancelledError` where the method waits; what it waited for is let go."""
        error = None
        if kind and payload:
            error = exceptions.decode(payload)
        if not is_cancelled(error):
            error = cancelled()
        for entry in list(self.ready):
            if entry[0] is self.main:
                self.ready.remove(entry)
        if self.main.awaited is not None:
            self._leave(self.main)
            self.main.awaited.waiter = NOBODY
        self.ready.append((self.main, Raise(error)))

    def settle(self, waiter, outcome):
        """Gives an outcome to a branch or to a gather."""
        if type(waiter) is Branch:
            self.ready.append((waiter, outcome))
        elif type(waiter) is Slot:
            waiter.gather.settle(self, waiter.index, outcome)

    def drop(self, operation):
        """Nobody waits for this operation any more: the server cancels it."""
        operation.waiter = NOBODY
        if operation.position in self.outstanding:
            self.ops.append((self.branch.next_position(), CANCEL, operation.position))
        else:
            self.unstarted.pop(operation, None)

    def cancel_part(self, gather, index):
        """Cancels one part of a gather, with all that it waits for."""
        for branch in self.branches:
            waiter = branch.waiter
            if type(waiter) is Slot and waiter.gather is gather and waiter.index == index:
                self._cancel_branch(branch)
                return
        part = gather.parts[index]
        if isinstance(part, Promise):
            part = part.call
        self._cancel_awaited(part)

    def _cancel_awaited(self, awaited):
        if hasattr(awaited, "outcome"):
            return
        if isinstance(awaited, Operation):
            self.drop(awaited)
        elif type(awaited) is Spawned:
            self.interrupt(awaited)
        elif isinstance(awaited, Gather):
            awaited.waiter = NOBODY
            if isinstance(awaited, WaitFor) and awaited.timer is not None:
                self.drop(awaited.timer)
            for index in range(len(awaited.parts)):
                self.cancel_part(awaited, index)

    def _cancel_branch(self, branch):
        """Raises `CancelledError` where it waits; what comes of it is of no interest."""
        branch.waiter = NOBODY
        self.interrupt_branch(branch)

    def interrupt(self, task, args=()):
        """Raises `CancelledError` in what a task runs; the task has what comes of it."""
        for branch in self.branches:
            if type(branch.waiter) is Slot and branch.waiter.gather is task:
                self.interrupt_branch(branch, args)
                return
        self._cancel_awaited(task.parts[0])
        task.settle(self, 0, Raise(cancelled(*args)))

    def interrupt_branch(self, branch, args=()):
        """Raises `CancelledError` where it waits."""
        for entry in [entry for entry in self.ready if entry[0] is branch]:
            self.ready.remove(entry)
        if branch.awaited is not None:
            self._leave(branch)
            self._cancel_awaited(branch.awaited)
        self.ready.append((branch, Raise(cancelled(*args))))

    def _leave(self, branch):
        """It no longer waits for the task that it awaits."""
        if type(branch.awaited) is Spawned and branch in branch.awaited.waiters:
            branch.awaited.waiters.remove(branch)

    def spawn(self, path, awaitable, slot):
        """Starts one part of a gather, which begins when the current branch waits and those before it have begun."""
        if isinstance(awaitable, Promise):
            awaitable = awaitable.call
        if isinstance(awaitable, Operation):
            if awaitable.position is None:
                self.ready.append((Turn(awaitable, Branch.within(path), slot), None))
            else:
                awaitable.wait(self, slot)
        elif isinstance(awaitable, Gather):
            awaitable.wait(self, slot)
        else:
            coroutine = awaitable if type(awaitable) is CoroutineType else _await(awaitable)
            branch = Branch.within(path, coroutine, slot)
            self.branches[branch] = None
            self.ready.append((branch, None))

    def _go(self):
        """Runs branches while one can run."""
        ready = self.ready
        while ready and not self.dead:
            branch, outcome = ready.popleft()
            if branch.coroutine is None:
                if type(branch) is Turn:
                    branch.begin(self)
                continue
            self.branch = branch
            if outcome.__class__ is Raise and branch is self.main and (self.explicit or self.joins):
                if isinstance(outcome.error, Aborted) and self._abort_explicit(outcome):
                    continue
            try:
                if outcome.__class__ is Raise and branch.awaited is None:
                    awaited = branch.coroutine.throw(outcome.error)
                else:
                    branch.awaited = None
                    awaited = branch.coroutine.send(outcome)
            except StopIteration as stop:
                self._ended(branch, stop.value)
            except BaseException as error:
                self._ended(branch, Raise(error))
            else:
                self._wait(branch, awaited)
        self.branch = self.main

    def _abort_explicit(self, outcome):
        """An abort surfaces in a transaction begun by `BeginTx` and ends it. True if the method must wait for that."""
        if self.joins:
            self.joins -= 1
            self.doom(outcome.error)
            return False
        if self.opened is None:
            return False
        self.opened, self.explicit = None, False
        self.abandon()
        rollback = Rollback(outcome.error, outcome)
        rollback.start(self, self.main)
        rollback.waiter, self.main.awaited = self.main, rollback
        return True

    def _wait(self, branch, awaited):
        if self.dead:
            return
        if awaited is None:
            self.ready.append((branch, None))
            return
        if not isinstance(awaited, _DURABLE):
            problem = f"await of {type(awaited).__name__} is not durable: only calls, sleep() and gather() are"
            self.ready.append((branch, Raise(TypeError(problem))))
            return
        branch.awaited = awaited
        try:
            awaited.wait(self, branch)
        except BaseException as error:
            self.ready.append((branch, Raise(error)))

    def _ended(self, branch, outcome):
        branch.coroutine = None
        self.branches.pop(branch, None)
        if self.dead:
            return
        if branch is not self.main:
            self.settle(branch.waiter, outcome)
            return
        if self.joins or self.opened is not None:
            outcome = self._left_open(outcome)
        self.outcome = outcome
        if self.main.coroutine is None:
            self.ready.clear()

    def _left_open(self, outcome):
        """The method ends with a transaction open: dooms what it joined, aborts its own, then fails."""
        error = outcome.error if outcome.__class__ is Raise else None
        if error is None:
            line = line_of(self.opened or self.joined_at)
            began = f" that began at {line}" if line else ""
            error = TransactionError(f"{self.target} returned with the transaction open{began}: CommitTx is missing")
        if self.joins:
            self.joins = 0
            self.doom(error)
        if self.opened is not None:
            self.opened = None
            self.abandon()
            self.main.coroutine = _roll_back(error)
            self.branches[self.main] = None
            self.ready.clear()
            self.ready.append((self.main, None))
        return Raise(error)

    def open(self, place):
        """Our own transaction begins."""
        self.opened = place
        self.before = ({*self.branches}, {*self.outstanding})

    def abandon(self):
        """Our own transaction is rolled back: what it left running will get no results."""
        branches, outstanding = self.before
        for branch in [*self.branches, *self.abandoned]:
            if branch not in branches:
                del self.branches[branch]
                self.abandoned.append(branch)
        for position, operation in self.outstanding.items():
            if position not in outstanding:
                operation.waiter = NOBODY
        for each, _ in self.ready or ():
            if type(each) is Turn:
                each.forget(self)

    def doom(self, error):
        """A joined transaction was aborted: the whole ends aborted, whoever catches the exception."""
        if self.doomed is None:
            doomed = Aborted(PART_ABORTED)
            doomed.__cause__ = error
            self.doomed = exceptions.encode(doomed)

    # Cells that were not shipped.

    def ask(self, field, key):
        """Gets what was not shipped; dies if it cannot be had now."""
        if self.dead:
            raise self.dead
        if self.replaying:
            shown = "" if key is None else " as a whole" if key is ... else f"[{codec.short(codec.decode(key))}]"
            self.die(Departure("", f"a read of {field.service}.{field.name}{shown}"))
        shipped = self.channel.fetch(self.number, field.name, key)
        if shipped is None:
            self.die(NotNow())
        return shipped

    def die(self, signal):
        """Unwinds user code; whatever it does from now on, the run is over."""
        self.dead = signal
        current.live = False
        self.cells.kill(signal)
        raise signal

    # Ends of a step.

    def end(self, outcome):
        """The message of a step that ended the invocation, or of a run that died."""
        if self.dead:
            return self._died()
        error = outcome.error if outcome.__class__ is Raise else None
        if error is None and self.unstarted:
            error = self._unawaited()
        try:
            # A field that is returned as a whole is read here: it may be missing, and it is one of the step's reads.
            if error is None:
                status, payload = RETURNED, self._encode_result(outcome)
            else:
                status, payload = RAISED, exceptions.encode(error)
                # The frames hold what holds the exception: without this the cycle waits for the collector.
                error.__traceback__ = None
            reads, writes = self.cells.finish()
        except NotStorable as problem:
            return self._not_storable(problem)
        except Signal:
            return self._died()
        if self.dead:
            return self._died()
        if self.branches or self.abandoned:
            self.evict()
        self.cells.close()
        return (
            END,
            self.number,
            self.invocation,
            status,
            payload,
            reads,
            writes,
            self.ops,
            _NO_WAITS,
            self.output and lines(self.output),
            self.doomed,
            NOTHING_HELD,
        )

    def _encode_result(self, value):
        try:
            return codec.encode(value)
        except codec.Unstorable as problem:
            error = NotStorable(f"the result of {self.target}{problem.path}: {problem}")
            error.path = problem.path
            raise error from None

    def _not_storable(self, problem):
        self.evict()
        text = f"sostenuto.NotStorable: {problem}\n"
        if problem.line:
            path, _, line = problem.line.rpartition(":")
            text = f'Traceback (most recent call last):\n  File "{path}", line {line}\n{text}'
        payload = exceptions.encode(problem, text)
        logs = lines(self.output)
        nothing = (([], []), [], [], _NO_WAITS, logs, None, NOTHING_HELD)
        return (END, self.number, self.invocation, NOT_STORABLE, payload, *nothing)

    def _suspend(self):
        try:
            reads, writes = self.cells.finish()
        except NotStorable as problem:
            return self._not_storable(problem)
        waits = self._waits()
        if not waits[1]:
            return self.end(Raise(RuntimeError(f"{self.target} waits for nothing that could happen")))
        held = self.cells.hold()
        return (
            END,
            self.number,
            self.invocation,
            SUSPENDED,
            None,
            reads,
            writes,
            self.ops,
            waits,
            self.output and lines(self.output),
            self.doomed,
            held,
        )

    def _waits(self):
        """Positions whose results let something run, and whether it takes all of them."""
        if len(self.outstanding) == 1:
            # A method that waits for one thing at a time.
            [(position, operation)] = self.outstanding.items()
            if operation.waiter is self.main:
                return 0, [position]
        positions, roots, direct = [], set(), False
        for position, operation in self.outstanding.items():
            waiter = operation.waiter
            if type(waiter) is Slot and type(waiter.gather) is Spawned:
                # What ends may be of interest to several, or to a group.
                direct = True
            elif type(waiter) is Slot:
                root = _root_of(waiter.gather)
                if root is None:
                    continue
                roots.add(root)
                direct = direct or _races(waiter.gather)
            elif type(waiter) is not Branch:
                continue
            else:
                direct = True
            positions.append(position)
        return (1 if len(roots) == 1 and not direct and len(self.branches) == 1 else 0, positions)

    def _unawaited(self):
        # Of what stands in a gather, the gather is told.
        first = next((each for each in self.unstarted if isinstance(each, Gather)), None) or next(iter(self.unstarted))
        line = line_of(first.place)
        if isinstance(first, Gather):
            return UnawaitedCall(f"the {first.name} at {line} was never awaited")
        return UnawaitedCall(f"the call of {first.service}.{first.method} at {line} was never made: await it")

    def _died(self):
        self.evict()
        return (DROPPED, self.number)

    def _departed(self, step, ops):
        """The message of a replay that did something else than the journal says."""
        expected, actual = self._difference([tuple(op) for op in ops])
        self.evict()
        return (DEPARTED, self.number, self.invocation, step, expected, actual)

    def _texts(self):
        """The step's operations as the journal names them."""
        return [(op[0], _text(op)) for op in self.ops]

    def _difference(self, ops):
        texts = self._texts()
        for index, (position, text) in enumerate(ops):
            expected = f"at {position}: {text}"
            if index >= len(texts):
                return expected, self._what_instead()
            if texts[index] != (position, text):
                return expected, "at {}: {}".format(*texts[index])
        if len(texts) > len(ops):
            return "suspended", "at {}: {}".format(*texts[len(ops)])
        return "suspended", self._what_instead()

    def _what_instead(self):
        if self.dead:
            return self.dead.args[1]
        if self.main.coroutine is None:
            if self.outcome.__class__ is Raise:
                return f"raise {type(self.outcome.error).__name__}: {exceptions.message(self.outcome.error)}"
            return "return"
        return f"suspended on {', '.join(self._waits()[1])}"

    def evict(self):
        """Lets go of all coroutines without running user code's `finally` blocks."""
        if not (self.branches or self.abandoned):
            return
        run, output = current.run, current.output
        current.run, current.output, current.live = self, [], False
        signal = self.dead or Evicted()
        if not self.dead:
            self.dead = signal
            self.cells.kill(signal)
        for branch in [*self.branches, *self.abandoned]:
            coroutine, branch.coroutine = branch.coroutine, None
            if coroutine is not None:
                _unwind(coroutine, signal)
        self.branches, self.abandoned = None, ()
        current.run, current.output, current.live = run, output, True


#: Coroutines that refused to end. Letting them go would run their `finally` blocks.
_refused = []


def _unwind(coroutine, signal):
    for _ in range(_EVICTIONS_MAX):
        try:
            coroutine.throw(signal)
        except StopIteration:
            return
        except BaseException:
            return
    _refused.append(coroutine)


def _text(op):
    """How the journal names an operation of END."""
    kind = op[1]
    name = KINDS[kind]
    if kind == TASK or kind == CANCEL:
        return f"{name} {op[2]}"
    return f"{name} {op[2]}.{op[4]}" if kind <= SEND else name


def _root_of(gather):
    """The outermost gather around this one that a branch waits for, or None if nobody waits for its parts."""
    while not hasattr(gather, "outcome"):
        waiter = gather.waiter
        if type(waiter) is Branch:
            return gather
        if type(waiter) is not Slot:
            return None
        gather = waiter.gather
    return None


def _races(gather):
    """True if a `wait_for` is part of what is waited for: any result may end it."""
    while type(gather) is not WaitFor:
        if type(gather) is Spawned:
            return True
        if type(gather.waiter) is not Slot:
            return False
        gather = gather.waiter.gather
    return True


async def _await(awaitable):
    return await awaitable


async def _roll_back(error):
    await Rollback(error)
    raise error


def lines(output):
    """Output as END carries it: neighbours of one stream joined, text that can be sent, bounded."""
    joined = []
    left = LOG_BYTES_MAX
    for stream, text in output:
        if left <= 0:
            joined.append((1, "[sostenuto: the rest of this step's output was cut]\n"))
            break
        text = exceptions.clean(text[:left])
        left -= len(text)
        if joined and joined[-1][0] == stream:
            joined[-1] = (stream, joined[-1][1] + text)
        else:
            joined.append((stream, text))
    return joined


#: Output kept of one step (`limits.rs`).
LOG_BYTES_MAX = 64 * 1024
