"""What a server copies and refuses, done to the fields of an instance in memory: the strict half of `sostenuto.memory`.

A step of a method begins with `begin` and ends with `end`. What the fields hold then is walked as the worker's codec
encodes it: a value is a tree of known kinds. What cannot be stored, or is stored in two places, raises `NotStorable`,
and nothing of the step stays. Nothing here knows of calls; nothing is written anywhere.
"""

import dataclasses
import enum
import sys

from sostenuto.errors import NotStorable
from sostenuto.worker import codec
from sostenuto.worker.codec import DEPTH_MAX, IMMUTABLE, Unstorable, short
from sostenuto.worker.views import _has_nan

#: Attribute of an instance: what its fields held when the step began, by name.
KEPT = "__sostenuto_kept__"

_CONTAINERS = (list, tuple, set, frozenset)


def copied(value, what):
    """A copy of an argument or result, as it comes out at the other side of a call."""
    try:
        return _Walk(None).value(value, 0, ())
    except Unstorable as problem:
        error = NotStorable(f"{what}{problem.path}: {problem}")
        error.path = problem.path
        raise error from None


def begin(instance, names):
    """A step of a method of the instance begins."""
    instance.__dict__[KEPT] = _walked(instance, names)


def end(instance, names):
    """The step ends: what the fields hold now stays, or all is as it was when it began."""
    try:
        instance.__dict__[KEPT] = _walked(instance, names)
    except NotStorable:
        undo(instance)
        raise


def undo(instance):
    """Gives the fields what they held when the step began."""
    instance.__dict__.update(instance.__dict__.pop(KEPT, {}))


def forget(state):
    """The attributes of an instance without what is only of the current step."""
    return {name: value for name, value in state.items() if name != KEPT}


def _walked(instance, names):
    """Copies of what the fields hold, by name."""
    walk = _Walk({})
    before = instance.__dict__.get(KEPT, {})
    kept = {}
    for name in names:
        if name not in instance.__dict__:
            continue
        value = instance.__dict__[name]
        if type(value) is dict:
            kept[name] = _walked_dict(instance, name, value, walk, before.get(name))
        else:
            kept[name] = _cell(walk, instance, name, value)
    return kept


def _walked_dict(instance, name, entries, walk, before):
    walk.place = place = _Place(instance, name)
    walk.note(entries)
    known = before if type(before) is dict else {}
    kept = {}
    for key, value in entries.items():
        if type(key) is not str and (type(key) is not int or key not in known):
            _key(instance, name, key)
        if type(value) in IMMUTABLE and known.get(key, known) is value:
            kept[key] = value
            continue
        kept[key] = _cell(walk, instance, name, value, (key,))
        walk.place = place
    return kept


def _key(instance, name, key):
    try:
        if _has_nan(key):
            raise Unstorable("nan cannot be a key")
        _Walk(None).value(key, 0, ())
    except Unstorable as problem:
        problem.path = ""
        raise _not_storable(_Place(instance, name), problem, "a key of ") from None


def _cell(walk, instance, name, value, key=()):
    walk.place = _Place(instance, name, *key)
    try:
        return walk.value(value, 0, ())
    except Unstorable as problem:
        raise _not_storable(walk.place, problem) from None


def _not_storable(place, problem, what=""):
    error = NotStorable(f"{what}{place}{problem.path}: {problem}")
    error.field, error.path = place.name, problem.path
    error.key = place.key[0] if place.key else None
    return error


class _Place:
    """A cell, as messages name it."""

    __slots__ = ("instance", "name", "key")

    def __init__(self, instance, name, *key):
        self.instance, self.name, self.key = instance, name, key

    def __str__(self):
        key = f"[{short(self.key[0])}]" if self.key else ""
        return f"{type(self.instance).__name__}.{self.name}{key}"


class _Walk:
    """Copies values as the server would store them; `seen` notes whose the objects are, unless it is None."""

    def __init__(self, seen):
        self.seen = seen
        self.place = None

    def note(self, value):
        """An object that can be changed has one place only."""
        if self.seen is None:
            return
        if id(value) in self.seen:
            raise Unstorable(
                f"the same {type(value).__name__} is stored in {self.seen[id(value)]}, too; a stored value is a tree that "
                "its cell owns, and a server would make two of one here: store a copy"
            )
        self.seen[id(value)] = self.place

    def value(self, value, depth, outer):
        """A copy of a value; raises `Unstorable`."""
        kind = type(value)
        if kind in IMMUTABLE:
            codec._plain_form(value, depth, outer)
            return value
        if id(value) in outer:
            raise Unstorable("it contains itself; a stored value is a tree")
        if depth >= DEPTH_MAX:
            raise Unstorable(f"it is nested deeper than {DEPTH_MAX} containers")
        outer, depth = (*outer, id(value)), depth + 1
        if kind is dict:
            self.note(value)
            return self._dict(value, depth, outer)
        if kind in _CONTAINERS:
            if kind is list or kind is set:
                self.note(value)
            return self._items(value, kind, depth, outer)
        if not _is_of_a_module(kind):
            raise Unstorable(codec._why_not(value))
        if isinstance(value, enum.Enum):
            self.value(value.value, depth, outer)
            return value
        if not dataclasses.is_dataclass(kind):
            raise Unstorable(codec._why_not(value))
        if not kind.__dataclass_params__.frozen:
            self.note(value)
        return self._record(value, kind, depth, outer)

    def _items(self, value, kind, depth, outer):
        parts = []
        for index, part in enumerate(value):
            try:
                parts.append(self.value(part, depth, outer))
            except Unstorable as problem:
                problem.path = (f"[{index}]" if kind is list or kind is tuple else f"{{{short(part)}}}") + problem.path
                raise
        return kind(parts)

    def _dict(self, value, depth, outer):
        parts = {}
        for key, part in value.items():
            try:
                own = self.value(key, depth, outer)
            except Unstorable as problem:
                problem.path = f"[key {short(key)}]{problem.path}"
                raise
            try:
                parts[own] = self.value(part, depth, outer)
            except Unstorable as problem:
                problem.path = f"[{short(key)}]{problem.path}"
                raise
        return parts

    def _record(self, value, kind, depth, outer):
        record = object.__new__(kind)
        fields = [field.name for field in dataclasses.fields(kind)]
        for name in getattr(value, "__dict__", ()):
            if name not in fields:
                raise Unstorable(
                    f"the {kind.__name__} has the attribute {name!r}, which is no field of the dataclass"
                )
        for name in fields:
            try:
                object.__setattr__(record, name, self.value(getattr(value, name), depth, outer))
            except AttributeError:
                raise Unstorable(f"the {kind.__name__} has no attribute {name!r} yet") from None
            except Unstorable as problem:
                problem.path = f".{name}{problem.path}"
                raise
        return record


def _is_of_a_module(kind):
    """True for a class at the top level of its module: the server finds it again by its name."""
    return getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind

