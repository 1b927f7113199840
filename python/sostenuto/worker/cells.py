"""The persistent fields of one instance during a step: what was shipped, what user code sees, what it changed.

A scalar field is an object that stays the same within the step; a dict field is a `DictView`, a list field a
`ListView`. Fetching what was not shipped is the run's business; encoding is the codec's.
"""

import os
from _blake2 import blake2b
from types import MappingProxyType

from sostenuto.errors import InternalError, NotStorable, NotSupported
from sostenuto.worker import codec
from sostenuto.worker.codec import IMMUTABLE, decode, encode_changed
from sostenuto.worker.current import Signal
from sostenuto.worker.held import Held, choose, update
from sostenuto.worker.lists import ListView
from sostenuto.worker.resident import resident
from sostenuto.worker.views import Dead, DictView, encode_key, where

class ScalarField:
    """Descriptor of a field that is one cell."""

    __slots__ = ("name", "service", "initial", "held")

    def __init__(self, service, name, initial, held):
        self.service = service
        self.name = name
        self.initial = initial
        #: Methods may hold objects of it while they wait.
        self.held = held

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        cells = instance.__sostenuto_cells__
        value = cells.scalars.get(self.name, _NOBODY)
        return cells.load(self) if value is _NOBODY else value

    def __set__(self, instance, value):
        cells = instance.__sostenuto_cells__
        if type(value) in codec.copied:
            value = value.copy()
        cells.scalars[self.name] = value
        cells.assigned[self.name] = None if type(value) in IMMUTABLE else where()

    def __delete__(self, instance):
        raise NotSupported(f"{self.service}.{self.name} is persistent and cannot be deleted; assign None")

    def __repr__(self):
        return f"<persistent field {self.service}.{self.name}>"


class DictField:
    """Descriptor of a field that is one cell for each key."""

    __slots__ = ("name", "service", "initial", "held")

    #: What it holds for user code, and in plain Python.
    kind, plain = DictView, dict

    def __init__(self, service, name, initial, held):
        self.service = service
        self.name = name
        self.initial = initial
        #: Methods may hold objects of it while they wait.
        self.held = held

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        cells = instance.__sostenuto_cells__
        try:
            return cells.views[self.name]
        except KeyError:
            return cells.view(self)

    def __set__(self, instance, value):
        cells = instance.__sostenuto_cells__
        view = cells.view(self)
        if value is view:
            return
        if type(value) is self.kind:
            value = value.copy()
        elif type(value) is not self.plain:
            what = f"{self.service}.{self.name} is a {self.plain.__name__} field"
            raise TypeError(f"{what} and cannot hold a {type(value).__name__}")
        cells.views[self.name] = view._assign(value)

    def __delete__(self, instance):
        raise NotSupported(f"{self.service}.{self.name} is persistent and cannot be deleted; use clear()")

    def __repr__(self):
        return f"<persistent field {self.service}.{self.name}>"


class ListField(DictField):
    """Descriptor of a list field: a header and chunks."""

    __slots__ = ()

    kind, plain = ListView, list


class Fields(dict):
    """The fields of a service by name."""

    def __init__(self, fields):
        dict.__init__(self, {field.name: field for field in fields})
        #: Some are held over suspensions.
        self.held = any(field.held for field in fields)


#: What is held, if nothing is.
NOTHING_HELD = ([], [])
NOTHING_KEPT = MappingProxyType({})


class Cells:
    """What an instance's fields hold during the current step."""

    #: True if the method is a coroutine: iterators may live longer than a step.
    suspends = False
    #: True while the journal answers.
    replaying = False
    #: Scalar fields: the object that user code held, as long as it has not looked at the field in this step.
    kept = NOTHING_KEPT

    def __init__(self, fields, run):
        self.fields = fields
        #: Answers `ask(field, key bytes | None | ...)`.
        self.run = run
        #: The views of dict and list fields that user code or the server has touched.
        self.views = {}
        #: Objects that user code holds while the method waits.
        self.held = ()

    def begin(self, shipped):
        """Starts a step with these cells."""
        #: Scalar fields: what the store holds, None if absent.
        self.shipped = {}
        #: Scalar fields: which object that is.
        self.incarnations = {}
        #: Scalar fields that are held over suspensions: the object that the cell held.
        self.given = {}
        #: Scalar fields: the object that user code has.
        self.scalars = {}
        #: Scalar fields that were assigned, to the place if the value is mutable.
        self.assigned = {}
        #: Scalar fields that user code read, as `reads` names them.
        self.seen = []
        views = self.views
        if views:
            for view in views.values():
                view._begin()
        if shipped[0] or shipped[1]:
            self.ship(shipped)
        if self.held:
            try:
                self._go_on_with_held()
            except Signal:
                # A cell that tells where an object is now cannot be had: the run is over, and its end says so.
                self.held = ()

    def ship(self, shipped):
        """Takes cells from the server."""
        cells, wholes = shipped
        views = self.views
        for field, key, value, incarnation in cells:
            if key is None:
                self.shipped[field] = value
                self.incarnations[field] = incarnation
                continue
            view = views.get(field)
            if view is None:
                view = self.view(self.fields[field])
            view._base.setdefault(decode(key), (key, value, incarnation))
        for field, entries in wholes:
            self.view(self.fields[field])._ship_whole(entries)

    def view(self, field):
        """The view of a field that has one."""
        view = self.views.get(field.name, None)
        if view is None:
            view = self.views[field.name] = field.kind(self, field)
        return view

    def load(self, field):
        """The object of a scalar field that user code has not seen in this step."""
        name = field.name
        if name not in self.shipped:
            self.ask(field, None)
            if name not in self.shipped:
                self.not_answered(field, None)
        self.seen.append((name, None))
        if name in self.kept:
            value = self.scalars[name] = self.kept.pop(name)
            return value
        data = self.shipped[name]
        if data is None:
            value = decode(field.initial)
        else:
            value = decode(data) if len(data) < resident.bytes_min else resident.decode(data)
        self.scalars[name] = value
        if field.held:
            self.given[name] = value
        return value

    def ask(self, field, key):
        """Gets a cell (key's bytes), a scalar field (None) or a whole field (...) that was not shipped."""
        self.ship(self.run.ask(field, key))

    def not_answered(self, field, key):
        """The answer to `ask` did not hold what was asked for."""
        raise InternalError(f"the server answered a fetch of {field.name} ({key!r}) with something else")

    def encode_key(self, field, key):
        """The bytes of a dict field's key."""
        try:
            return encode_key(key)
        except codec.Unstorable as problem:
            problem.path = ""
            raise self.not_storable(field, key, problem, None, "a key of ") from None

    def finish(self):
        """What user code read and changed: the `reads` and `writes` of END. Raises `NotStorable`."""
        reads, wholes, writes = self.seen, [], []
        if self.kept:
            self._take_kept()
        if self.scalars:
            self._finish_scalars(writes)
        for view in self.views.values():
            view._finish(reads, wholes, writes)
        return (reads, wholes), writes

    def _finish_scalars(self, writes):
        for name, value in self.scalars.items():
            is_assigned = name in self.assigned
            if not is_assigned and type(value) in IMMUTABLE:
                continue
            field = self.fields[name]
            base = self.shipped.get(name)
            if base is None and not is_assigned:
                base = field.initial
            incarnation = self._assigned(name, value) if field.held else None
            if incarnation is not None and type(value) not in IMMUTABLE:
                base = None
            try:
                data = encode_changed(value, base)
            except codec.Unstorable as problem:
                raise self.not_storable(field, None, problem, self.assigned.get(name)) from None
            if data is not None:
                writes.append((name, None, data, False, incarnation))
                if len(data) >= resident.bytes_min:
                    resident.wrote(data, None if field.held else value)
            elif base is not None and len(base) >= resident.bytes_min and not field.held:
                resident.read(base, value)

    # Objects that are held while the method waits.

    def _assigned(self, name, value):
        """The name of the object that was assigned to a scalar field that may be held, or None if the cell holds the one
        it held."""
        if name not in self.assigned or self.given.get(name, _NOBODY) is value:
            return None
        return self.name(self.fields[name], None)

    def name(self, field, key_bytes):
        """The incarnation of what this step assigns to a cell: no other step names it so, and a replay does."""
        digest = blake2b(self.run.invocation, digest_size=8)
        digest.update(b"%d %s " % (self.run.steps, field.name.encode()))
        digest.update(key_bytes or b"")
        return int.from_bytes(digest.digest(), "little")

    def _take_kept(self):
        """What user code held it may have changed without a look at the field."""
        for name, value in self.kept.items():
            self.scalars.setdefault(name, value)
        self.kept = NOTHING_KEPT

    def hold(self):
        """The method is going to wait: notes the objects of cells that user code holds. The `held` of END."""
        self.held = ()
        if not self.fields.held:
            return NOTHING_HELD
        self._take_kept()
        candidates, wholes = [], []
        for name, value in self.scalars.items():
            if not self.fields[name].held or type(value) in IMMUTABLE:
                continue
            named = self._assigned(name, value)
            incarnation = self.incarnations.get(name, 0) if named is None else named
            own = 2 if self.given.get(name, _NOBODY) is value else 1
            candidates.append((Held(self.fields[name], None, None, value, incarnation), own))
        value = None
        for view in self.views.values():
            if view._field.held:
                view._candidates(candidates)
                if view._iterated:
                    wholes.append(view._field.name)
        self.held = choose(candidates)
        cells = {}
        for held in self.held:
            name = held.field.name
            keys = (held.key_bytes,) if held.position is None else self.views[name]._cells_of(held)
            cells.update(((name, key), None) for key in keys)
        return list(cells), wholes

    def _go_on_with_held(self):
        """Brings what user code holds to what the cells hold now; objects that are not theirs any more stay.

        The journal has the cells whose objects were brought to another value, and those that user code looks at again
        as fields: a replay may count less as held, and finds those there.
        """
        for held in self.held:
            if held.position is not None:
                self.view(held.field)._go_on(held)
                continue
            shipped = self._shipped(held)
            if shipped is None:
                # The journal has no cell that did not change; the server ships all that were held.
                if not self.replaying:
                    continue
                shipped = (held.data, held.incarnation)
            data, incarnation = shipped
            if data is None or incarnation != held.incarnation:
                self._notice(held)
                continue
            if data != held.data:
                self._notice(held)
            if (data != held.data or held.shared is not None) and not update(held, data):
                continue
            if held.key_bytes is None:
                self.kept = {**self.kept, held.field.name: held.value}
                self.given[held.field.name] = held.value
                self.shipped.setdefault(held.field.name, data)
                self.incarnations.setdefault(held.field.name, incarnation)
            else:
                self.view(held.field)._go_on_with(held, data)
        self.held = ()

    def _shipped(self, held):
        """(bytes or None, incarnation) of the cell, or None if it was not shipped."""
        if held.key_bytes is not None:
            return self.view(held.field)._now_holds(held.key)
        name = held.field.name
        if name not in self.shipped:
            return None
        data = self.shipped[name]
        return held.field.initial if data is None else data, self.incarnations[name]

    def _notice(self, held):
        """What user code sees depends on the cell: it belongs into the journal."""
        if held.key_bytes is None:
            self.seen.append((held.field.name, None))
        else:
            self.view(held.field)._seen[held.key] = held.key_bytes

    def not_storable(self, field, key, problem, place, what=""):
        """The exception for a value in a field."""
        cell = f"{field.service}.{field.name}"
        if key is not None and not what:
            cell += f"[{codec.short(key)}]"
        line = line_of(place)
        at = f" (assigned at {line})" if line else ""
        error = NotStorable(f"{what}{cell}{problem.path}: {problem}{at}")
        error.field, error.key, error.path, error.line = field.name, key, problem.path, line
        return error

    def kill(self, signal):
        """Makes every further access raise the signal."""
        dead = Dead(lambda: signal)
        self.held = ()
        self.scalars = self.shipped = self.assigned = dead
        for view in self.views.values():
            view._kill(dead)
        self.views = dead


    def close(self):
        """The invocation has ended: what user code kept of it is of no use, and the cycles of references are cut."""
        self.run = self.scalars = self.assigned = self.views = _ENDED
        self.held = ()


#: No object of a cell.
_NOBODY = object()

_ENDED = Dead(lambda: RuntimeError("the invocation that this field belongs to has ended"))


def line_of(place):
    """`file:line` of what `where` gave."""
    if place is None:
        return None
    code, instruction = place
    for index, (line, *_) in enumerate(code.co_positions()):
        if index == instruction // 2:
            return f"{os.fspath(code.co_filename)}:{line}" if line else None
    return None
