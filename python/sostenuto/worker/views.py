"""A dict field as user code sees it: a mapping over the cells that were shipped with the step.

`DictView` behaves as a dict and is none (C code would find a subclass empty). It knows three things apart: what the
store holds (`_base`), what the field holds now (`_now`, a real dict, so that order and the errors of changing it
while iterating are dict's own), and what user code has looked at (`_seen`, `_scanned`). What leaves the step is the
difference, found by encoding again what may have changed.
"""

import sys
from collections.abc import ItemsView, KeysView, MutableMapping, ValuesView
from itertools import islice
from reprlib import recursive_repr

from sostenuto.worker import codec
from sostenuto.worker.codec import IMMUTABLE, decode, encode, encode_changed, same
from sostenuto.worker.held import Held
from sostenuto.worker.resident import resident


class _Sentinel:
    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


#: Stands in `_now` for a value that nobody has looked at yet.
PENDING = _Sentinel("PENDING")
#: No such entry.
MISSING = _Sentinel("MISSING")
#: Key of the place where the whole field was assigned.
_WHOLE = _Sentinel("WHOLE")
#: In the place of what the store holds under a key that nobody asked for.
_UNKNOWN = (None, None, 0)
#: Shared by all views until they need one of their own.
_NOTHING = {}


def encode_key(key):
    """The bytes of a key; raises `Unstorable`, also for NaN, which is equal to nothing."""
    if type(key) is not str and _has_nan(key):
        raise codec.Unstorable("nan cannot be a key")
    return encode(key)


def _surely_same(key, other):
    """Whether equal keys are of one form, too (1 and True are not), as far as that is easily told."""
    kind = type(key)
    return kind is type(other) and kind is not tuple and kind is not frozenset


def _has_nan(key):
    kind = type(key)
    if kind is tuple or kind is frozenset:
        return any(map(_has_nan, key))
    try:
        return kind is not str and key != key
    except Exception:
        return False


def where(depth=2):
    """Code and instruction of the user's statement that is being executed, to find its line when it is needed. So many
    frames are ours at least, with this one."""
    frame = sys._getframe(depth)
    while frame is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    return (frame.f_code, frame.f_lasti) if frame is not None else None


class DictView:
    """The live mapping of a dict field."""

    __slots__ = (
        "_adopted",
        "_base",
        "_before",
        "_cells",
        "_field",
        "_given",
        "_gone",
        "_iterated",
        "_kept",
        "_now",
        "_scanned",
        "_seen",
        "_set",
        "_whole",
    )

    __hash__ = None
    __class__ = property(lambda self: dict)

    def __init__(self, cells, field):
        self._cells = cells
        self._field = field
        #: Iterators that may go on after a suspension.
        self._iterated = 0
        self._begin()

    # What the cells hold.

    def _begin(self):
        """Starts a step that knows nothing yet."""
        #: Key to (its bytes, value's bytes or None if absent, incarnation), as far as the store's content is known.
        self._base = {}
        #: What the field holds, or `PENDING`, as far as it is known; complete and in order if `_whole` or `_adopted`.
        self._now = {}
        #: Keys that were deleted in this step.
        self._gone = _NOTHING
        #: Keys that user code looked at, to their bytes.
        self._seen = {}
        #: Key to the object that the cell held, if user code may hold it over suspensions.
        self._given = _NOTHING
        #: Key to the object that user code held, `PENDING` in `_now` as long as it has not looked at the entry in this step.
        self._kept = _NOTHING
        #: Keys that were assigned in this step, to the place of the assignment if the value is mutable.
        self._set = _NOTHING
        #: The store's content is known; user code has seen it; it was replaced altogether in this step.
        self._whole = self._scanned = self._adopted = False
        #: The view that this one took the place of in this step; user code may still look at it.
        self._before = None

    def _kill(self, dead):
        """Makes every further use raise."""
        self._now = self._base = self._cells = dead

    def _ship_whole(self, entries):
        """Takes the whole field from the server, in order; what this step has changed stays changed."""
        base = {}
        for key_bytes, value, incarnation in entries:
            base[decode(key_bytes)] = (key_bytes, value, incarnation)
        self._base, self._whole = base, True
        self._know_keys(base)

    def _know_keys(self, keys):
        """The store has these keys, in order; what this step has changed stays changed."""
        changed, gone = self._now, self._gone
        now = {}
        for key in keys:
            if key not in gone:
                now[key] = changed.pop(key, PENDING) if changed else PENDING
        now.update(changed)
        self._now = now

    def _load(self, key):
        """The value of a cell that user code has not seen in this step, or `MISSING`."""
        if self._adopted or key in self._gone:
            return MISSING
        base = self._base.get(key)
        if base is None:
            base = self._ask(key)
        self._seen[key] = base[0]
        if base[1] is None:
            return MISSING
        if key in self._kept:
            value = self._now[key] = self._kept.pop(key)
            return value
        data = base[1]
        value = self._now[key] = decode(data) if len(data) < resident.bytes_min else resident.decode(data)
        if self._field.held:
            self._give(key, value)
        return value

    def _give(self, key, value):
        """User code gets the object that the cell holds."""
        if self._given is _NOTHING:
            self._given = {}
        self._given[key] = value

    def _ask(self, key):
        hash(key)
        key_bytes = self._cells.encode_key(self._field, key)
        if not self._whole:
            self._cells.ask(self._field, key_bytes)
            base = self._base.get(key)
            if base is not None:
                return base
            self._cells.not_answered(self._field, key_bytes)
        base = self._base[key] = (key_bytes, None, 0)
        return base

    def _scan(self):
        """Learns all keys."""
        if not (self._scanned or self._adopted):
            self._know_whole()
            self._scanned = True

    def _know_whole(self):
        if not self._whole:
            self._cells.ask(self._field, ...)
            if not self._whole:
                self._cells.not_answered(self._field, ...)

    def _all(self):
        """The real dict with all values in it."""
        self._scan()
        now = self._now
        for key, value in now.items():
            if value is PENDING:
                self._load(key)
        return now

    def _find(self, key):
        value = self._now.get(key, PENDING)
        return value if value is not PENDING else self._load(key)

    def _has(self, key):
        """Like `_find`, without decoding the value."""
        if key in self._now:
            if self._now[key] is PENDING:
                self._seen[key] = self._base[key][0]
            return True
        if self._adopted or key in self._gone:
            return False
        base = self._base.get(key)
        if base is None:
            base = self._ask(key)
        self._seen[key] = base[0]
        return base[1] is not None

    def _remove(self, key):
        self._now.pop(key, None)
        if self._gone is _NOTHING:
            self._gone = {}
        self._gone[key] = None

    def _assign(self, value):
        """The view of the field after `self.field = value`; this one keeps what it shows."""
        if not self._cells.replaying:
            self._know_whole()
        view = DictView.__new__(DictView)
        view._cells, view._field = self._cells, self._field
        view._base, view._now, view._seen = self._base, value, self._seen
        view._gone, view._set, view._given, view._kept = _NOTHING, {_WHOLE: where()}, self._given, _NOTHING
        view._iterated = 0
        view._whole, view._scanned, view._adopted, view._before = True, False, True, self
        return view

    # What the step changed.

    def _finish(self, reads, wholes, writes):
        """Appends what user code read and what is different from the store."""
        field = self._field.name
        if self._scanned or (self._before is not None and self._was_scanned()):
            wholes.append(field)
        else:
            for key_bytes in self._seen.values():
                reads.append((field, key_bytes))
        if self._adopted:
            self._finish_adopted(writes)
            return
        base_of, assigned, gone = self._base.get, self._set, self._gone
        self._take_kept()
        if gone:
            self._finish_gone(writes)
        for key, value in self._now.items():
            if value is PENDING or (type(value) in IMMUTABLE and key not in assigned):
                continue
            base = base_of(key, _UNKNOWN)
            is_fresh = key in gone
            incarnation = self._assigned(key, value) if self._field.held else None
            is_other = incarnation is not None and type(value) not in IMMUTABLE
            try:
                data = encode_changed(value, None if is_fresh or is_other else base[1])
            except codec.Unstorable as problem:
                raise self._not_storable(key, problem) from None
            if data is None:
                if len(base[1]) >= resident.bytes_min and not self._field.held:
                    resident.read(base[1], value)
                continue
            if len(data) >= resident.bytes_min:
                resident.wrote(data, None if self._field.held else value)
            if is_fresh or base[1] is None:
                key_bytes = self._cells.encode_key(self._field, key)
                # What was assigned before it was deleted may be there although nobody has asked for it.
                writes.append((field, key_bytes, data, is_fresh, incarnation))
            else:
                writes.append((field, base[0], data, False, incarnation))

    def _assigned(self, key, value):
        """The name of the object that was assigned, or None if the cell holds the one that it held."""
        if self._given.get(key, MISSING) is value:
            return None
        return self._cells.name(self._field, self._cells.encode_key(self._field, key))

    # Objects that are held while the method waits.

    def _candidates(self, candidates):
        """Appends what user code may hold: `(Held, references of our own)`."""
        given = self._given
        self._take_kept()
        for key, value in self._now.items():
            if value is PENDING or type(value) in IMMUTABLE:
                continue
            base = self._base.get(key, _UNKNOWN)
            named = self._assigned(key, value)
            key_bytes = base[0] if base[0] is not None else self._cells.encode_key(self._field, key)
            incarnation = base[2] if named is None else named
            own = 2 if given.get(key, MISSING) is value else 1
            candidates.append((Held(self._field, key, key_bytes, value, incarnation), own))

    def _now_holds(self, key):
        """(value's bytes or None, incarnation) of a cell as it was shipped; None if it was not."""
        base = self._base.get(key)
        if base is not None:
            return base[1], base[2]
        return (None, 0) if self._whole else None

    def _go_on_with(self, held, data):
        """The cell holds this object, as `data` says."""
        self._base.setdefault(held.key, (held.key_bytes, data, held.incarnation))
        self._now[held.key] = PENDING
        if self._kept is _NOTHING:
            self._kept = {}
        self._kept[held.key] = held.value
        self._give(held.key, held.value)

    def _take_kept(self):
        """What user code held it may have changed without a look at the field."""
        for key, value in self._kept.items():
            if self._now.get(key) is PENDING:
                self._now[key] = value
        self._kept = _NOTHING

    def _was_scanned(self):
        view = self
        while view is not None:
            if view._scanned:
                return True
            view = view._before
        return False

    def _finish_gone(self, writes):
        for key in self._gone:
            if key in self._now:
                continue
            base = self._base.get(key)
            if base is None:
                writes.append((self._field.name, self._cells.encode_key(self._field, key), None, False, None))
            elif base[1] is not None:
                writes.append((self._field.name, base[0], None, False, None))

    def _finish_adopted(self, writes):
        """After the whole field was assigned: deletes what is missing and keeps the new dict's order."""
        field, now = self._field.name, self._now
        order = {}
        for key, (key_bytes, value, _) in self._base.items():
            if value is None:
                continue
            order[key] = len(order)
            if key not in now:
                writes.append((field, key_bytes, None, False, None))
        last, moved = -1, False
        for key, value in now.items():
            try:
                data, key_bytes = encode(value), self._cells.encode_key(self._field, key)
            except codec.Unstorable as problem:
                raise self._not_storable(key, problem) from None
            place = order.get(key)
            incarnation = self._assigned(key, value) if self._field.held else None
            if place is None:
                moved = True
                writes.append((field, key_bytes, data, False, incarnation))
                continue
            base = self._base[key]
            moved = moved or place < last or key_bytes != base[0]
            last = place
            is_other = incarnation is not None and type(value) not in IMMUTABLE
            if moved or is_other or not same(data, base[1]):
                writes.append((field, key_bytes, data, moved, incarnation))

    def _not_storable(self, key, problem):
        place = self._set.get(key) or self._set.get(_WHOLE) if self._set else None
        return self._cells.not_storable(self._field, key, problem, place)

    # A dict's interface.

    def __getitem__(self, key):
        value = self._now.get(key, PENDING)
        if value is PENDING:
            value = self._load(key)
            if value is MISSING:
                raise KeyError(key)
        return value

    def __setitem__(self, key, value):
        if type(value) in codec.copied:
            value = value.copy()
        self._now[key] = value
        if self._set is _NOTHING:
            self._set = {}
        self._set[key] = None if type(value) in IMMUTABLE else where()

    def __delitem__(self, key):
        if not self._has(key):
            raise KeyError(key)
        self._remove(key)

    def __contains__(self, key):
        return self._has(key)

    def get(self, key, default=None, /):
        value = self._find(key)
        return default if value is MISSING else value

    def setdefault(self, key, default=None, /):
        value = self._find(key)
        if value is MISSING:
            self[key] = default
            value = self._now[key]
        return value

    def pop(self, key, default=MISSING, /):
        value = self._find(key)
        if value is not MISSING:
            self._remove(key)
            return value
        if default is MISSING:
            raise KeyError(key)
        return default

    def popitem(self):
        self._scan()
        if not self._now:
            raise KeyError("popitem(): dictionary is empty")
        key = next(reversed(self._now))
        return key, self.pop(key)

    def update(self, other=(), /, **named):
        if hasattr(other, "keys"):
            for key in other.keys():  # noqa: SIM118 (what dict does with an object that has `keys`)
                self[key] = other[key]
        else:
            for index, pair in enumerate(other):
                key, value = _pair(index, pair)
                self[key] = value
        for key, value in named.items():
            self[key] = value

    def clear(self):
        if not self._cells.replaying:
            self._know_whole()
        self._now.clear()
        self._adopted = True

    def copy(self):
        return self._all().copy()

    __copy__ = copy

    def __deepcopy__(self, memo):
        import copy

        return copy.deepcopy(self._all(), memo)

    def __reduce_ex__(self, protocol):
        raise TypeError(f"cannot pickle the persistent field {self._field.name!r}; use dict(...)")

    fromkeys = staticmethod(dict.fromkeys)

    def __len__(self):
        self._scan()
        return len(self._now)

    def __iter__(self):
        self._scan()
        keys = iter(self._now)
        return self._over_suspensions(keys, iter) if self._cells.suspends else keys

    def __reversed__(self):
        self._scan()
        keys = reversed(self._now)
        return self._over_suspensions(keys, reversed) if self._cells.suspends else keys

    def _over_suspensions(self, keys, order):
        """Iterates; if the step ends meanwhile, goes on if the field has the same keys and raises as dict if not."""
        now, count, size = self._now, 0, len(self._now)
        self._iterated += 1
        try:
            while True:
                if self._now is not now:
                    before = list(now)
                    now = self._again(before)
                    if len(now) != size:
                        self._scanned = True
                        raise RuntimeError("dictionary changed size during iteration")
                    if list(now) != before:
                        self._scanned = True
                        raise RuntimeError("dictionary keys changed during iteration")
                    if not self._scanned and not all(map(_surely_same, now, before)):
                        self._scanned = True
                    keys = islice(order(now), count, None)
                for key in keys:
                    break
                else:
                    return
                count += 1
                yield key
        finally:
            self._iterated -= 1

    def _again(self, before):
        """What the field holds, for an iteration that goes on. If the keys are those from before, the journal has none."""
        if not self._adopted:
            if not self._cells.replaying:
                self._know_whole()
            elif not self._whole:
                self._know_keys(before)
        return self._now

    def keys(self):
        return _Keys(self)

    def values(self):
        return _Values(self)

    def items(self):
        return _Items(self)

    def __eq__(self, other):
        if type(other) is DictView:
            other = other._all()
        elif not isinstance(other, dict):
            return NotImplemented
        return self._all() == other

    def __or__(self, other):
        other = _real(other)
        return NotImplemented if other is None else self._all() | other

    def __ror__(self, other):
        other = _real(other)
        return NotImplemented if other is None else other | self._all()

    def __ior__(self, other):
        self.update(other)
        return self

    @recursive_repr("{...}")
    def __repr__(self):
        return repr(self._all())


# Errors name it, and `isinstance` sees it, as what it stands for; only `type` and C code tell the difference.
DictView.__name__ = "dict"
MutableMapping.register(DictView)
codec.copied[DictView] = DictView.copy


def _real(other):
    if type(other) is DictView:
        return other._all()
    return other if isinstance(other, dict) else None


def _pair(index, pair):
    try:
        pair = tuple(pair)
    except TypeError:
        message = f"cannot convert dictionary update sequence element #{index} to a sequence"
        raise TypeError(message) from None
    if len(pair) != 2:
        raise ValueError(f"dictionary update sequence element #{index} has length {len(pair)}; 2 is required")
    return pair


def _as_sets(view):
    """Lets a dict's own views compute, whose results hold the very objects that theirs do."""

    def computing(name):
        def compute(self, other):
            operation = getattr(self._real(), name)
            return operation(other._real() if type(other) in (_Keys, _Items) else other)

        compute.__name__ = name
        return compute

    for name in ("and", "or", "sub", "xor", "rand", "ror", "rsub", "rxor"):
        setattr(view, f"__{name}__", computing(f"__{name}__"))
    return view


@_as_sets
class _Keys(KeysView):
    __slots__ = ()

    def _real(self):
        self._mapping._scan()
        return self._mapping._now.keys()

    def __reversed__(self):
        return reversed(self._mapping)

    def __repr__(self):
        return f"dict_keys({list(self)!r})"


class _Values(ValuesView):
    __slots__ = ()

    def __iter__(self):
        find = self._mapping._find
        return map(find, iter(self._mapping))

    def __reversed__(self):
        return map(self._mapping._find, reversed(self._mapping))

    def __repr__(self):
        return f"dict_values({list(self)!r})"


@_as_sets
class _Items(ItemsView):
    __slots__ = ()

    def _real(self):
        return self._mapping._all().items()

    def __iter__(self):
        mapping = self._mapping
        find = mapping._find
        return ((key, find(key)) for key in mapping)

    def __reversed__(self):
        find = self._mapping._find
        return ((key, find(key)) for key in reversed(self._mapping))

    def __contains__(self, item):
        if type(item) is not tuple or len(item) != 2:
            return False
        value = self._mapping._find(item[0])
        return value is not MISSING and (value is item[1] or value == item[1])

    def __repr__(self):
        return f"dict_items({list(self)!r})"


class Dead:
    """Takes the place of the dicts of a run that is over: whatever is done to it raises."""

    __slots__ = ("make",)

    def __init__(self, make):
        #: Makes the exception.
        self.make = make

    def __getattr__(self, name):
        raise self.make()

    def _raise(self, *_):
        raise self.make()

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __reversed__ = __len__ = __bool__ = _raise
