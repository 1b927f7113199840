"""Mistakes made on purpose, in the lowered text or in the worker, to show that the differential test finds such."""

import contextlib
import functools
import hashlib
import multiprocessing
import re

from differential import campaign
from differential.program import make
from sostenuto.worker import cells, draws, lists, operations, run, views
from sostenuto.worker.current import current


class Plant:
    """A mistake; this one is none."""

    #: Programs within which it must be found.
    programs_max = 600

    def lowered(self, init):
        """INIT with the modules' lowered text changed."""
        return init

    @contextlib.contextmanager
    def planted(self):
        """While this is open the worker is wrong."""
        yield


class Patch(Plant):
    """Replaces an attribute of a class or module of the worker."""

    def __init__(self, owner, name, make):
        self.owner, self.name, self.make = owner, name, make

    @contextlib.contextmanager
    def planted(self):
        original = self.owner.__dict__[self.name]
        setattr(self.owner, self.name, self.make(original))
        try:
            yield
        finally:
            setattr(self.owner, self.name, original)


class Lowering(Plant):
    """Edits the compiler's text, line by line."""

    def __init__(self, pattern, replacement):
        self.pattern, self.replacement = re.compile(pattern, re.MULTILINE), replacement

    def lowered(self, init):
        modules, services, records = init
        edited = [(name, path, source, self.pattern.sub(self.replacement, text), [], package)
                  for name, path, source, text, _, package in modules]  # fmt: skip
        return edited, services, records


def _only_assigned(original):
    """Values that were changed in place are not written back."""

    def finish(self, reads, wholes, writes):
        for key in [key for key in self._now if key not in self._set and not self._adopted]:
            self._now[key] = views.PENDING
        original(self, reads, wholes, writes)

    return finish


def _scalars_only_assigned(original):
    def finish(self, writes):
        kept, self.scalars = self.scalars, {name: self.scalars[name] for name in self.scalars if name in self.assigned}
        original(self, writes)
        self.scalars = kept

    return finish


def _border_off_by_one(original):
    """The last element of a full chunk is looked for in the next one."""

    def at(self, index):
        number, chunk, place = original(self, index)
        if place + 1 == lists.CHUNK and number < self._tail:
            return number + 1, self._chunk(number + 1), 0
        return number, chunk, place

    return at


def _order_lost(original):
    """A key that is deleted and inserted again keeps its old place."""

    def finish(self, reads, wholes, writes):
        mine = []
        original(self, reads, wholes, mine)
        writes.extend((field, key, value, False, name) for field, key, value, _, name in mine)

    return finish


def _afresh_each_time(original):
    """`self.d[k]` gives a new object at each access."""

    def get(self, key):
        value = original(self, key)
        if type(value) is list:
            return list(value)
        return value

    return get


def _stale(original):
    """A cell is not read again after a suspension."""

    def begin(self, shipped):
        known = dict(getattr(self, "scalars", {}))
        original(self, shipped)
        self.scalars.update(known)

    return begin


def _results_in_reverse(original):
    """Results that are ready together are delivered to each other's place."""

    def deliver(self, delivered):
        places = [each[0] for each in delivered]
        original(self, [(place, *each[1:]) for place, each in zip(reversed(places), delivered, strict=True)])

    return deliver


def _at_once(original):
    """Calls in `gather` and `create_task` are made when these are."""

    def spawn(self, path, awaitable, slot):
        original(self, path, awaitable, slot)
        if self.ready and type(self.ready[-1][0]) is operations.Turn:
            self.ready.pop()[0].begin(self)

    return spawn


def _sent_once(original):
    """A call that the run before had sent, which was lost, is not sent again."""
    sent = {}

    def send(self, run):
        count = len(run.ops)
        original(self, run)
        which = (run.invocation, self.position)
        if sent.get(which) == run.number - 1:
            del run.ops[count:]
        sent[which] = run.number

    return send


def _by_run(original):
    """Draws depend on which run of a step it is."""

    def draw(count):
        drawn, run = original(count), current.run
        if run is None:
            return drawn
        return hashlib.blake2b(drawn, digest_size=count, key=b"%d" % run.number).digest()

    return draw


def _clock_of_now(original):
    """A replay reads the clock of its own time."""

    def begin_step(self, clock, shipped):
        original(self, clock + self.number, shipped)

    return begin_step


def _kept_by_abort(_):
    """An exception that leaves a transaction ends it as if there were none."""

    async def roll_back(run, error):
        await operations.commit(run)

    return roll_back


def _nothing(_):
    """Does nothing."""
    return lambda *args: None


def _as_it_was(_):
    """Objects that are held over a suspension keep the value that they had."""
    return lambda held, data: True


def _let_go(original):
    """Objects that are held over a suspension do not belong to their cells any more."""

    def go_on(self):
        self.held = ()

    return go_on


PLANTS = {
    "values changed in place in a dict field are not written back": Patch(views.DictView, "_finish", _only_assigned),
    "scalar fields changed in place are not written back": Patch(cells.Cells, "_finish_scalars", _scalars_only_assigned),
    "a list's chunk border is off by one": Patch(lists.ListView, "_at", _border_off_by_one),
    "insertion order is lost": Patch(views.DictView, "_finish", _order_lost),
    "an alias is a copy": Patch(views.DictView, "__getitem__", _afresh_each_time),
    "scalar fields are not read again after a suspension": Patch(cells.Cells, "begin", _stale),
    "the results of gather change places": Patch(run.Run, "_deliver", _results_in_reverse),
    "tasks begin before whoever made them waits": Patch(run.Run, "spawn", _at_once),
    "what is sent by a run that is lost is lost": Patch(operations.Call, "send", _sent_once),
    "draws are numbered by attempt": Patch(draws, "draw", _by_run),
    "a replay reads the clock of its own time": Patch(run.Run, "begin_step", _clock_of_now),
    "an abort keeps what was written": Patch(operations, "roll_back", _kept_by_abort),
    "a joined transaction that fails does not doom the whole": Patch(run.Run, "doom", _nothing),
    "what others changed in a held object is not seen": Patch(cells, "update", _as_it_was),
    "what is changed in a held object is lost": Patch(cells.Cells, "_go_on_with_held", _let_go),
    "what is late is not told so": Patch(run.Run, "cancel_part", _nothing),
    "the key is evaluated before the value": Lowering(
        r"^( *)(\S+)\[(tick\(out, .+)\] = (tick\(out, .+\))$", r"\1\2.__setitem__(\3, \4)"
    ),
    "`+=` and `|=` make new objects": Lowering(r"^( *)(\S+) (\+|\|)= ([\[{].*)$", r"\1\2 = \2 \3 \4"),
    "`and` evaluates both sides": Lowering(r"show\(\((.+)\) and (.+)\)\)$", r"show(gathered(\1, \2)))"),
}


#: A plant that ends so does not do what it says.
_MISTAKEN = ("TypeError", "ValueError", "AttributeError", "NameError")


def found_within(plant, seed, batch=10):
    """(number of programs until the mistake was found, the failure), or (programs_max, None)."""
    for first in range(0, plant.programs_max, batch):
        tally = campaign.judge([make(seed, number) for number in range(first, first + batch)], plant)
        if tally.failures:
            failure = tally.failures[0]
            shown = str(failure)
            if any(f"the machinery failed: {error}" in shown for error in _MISTAKEN):
                raise AssertionError(f"the plant itself is wrong: {shown}")
            return failure.program.number + 1, failure
    return plant.programs_max, None


def find_all(seed, jobs):
    """What `found_within` gives for each plant by name; each is planted in a process of its own."""
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        found = pool.map(functools.partial(_find, seed), PLANTS, chunksize=1)
    return dict(zip(PLANTS, found, strict=True))


def _find(seed, name):
    return found_within(PLANTS[name], seed)
