"""Objects of cells that user code still refers to when it waits, and how they are brought up to date.

Whether somebody refers to an object is what CPython counts: everything in a cell's value has one reference from its
container, so one more is a local name, an iterator, a closure, a collection of the user's. Counting too many (an
exception's frames, garbage) costs a read and changes nothing; too few is not possible. It depends on when the collector
ran, so a replay may count others: what is held is no reason to take a cell for one that the journal knows. What cells
are, and when this is asked for, is the business of `cells`.
"""

import enum
from sys import getrefcount

from sostenuto.worker import codec
from sostenuto.worker.codec import IMMUTABLE, registry


class Held:
    """An object that belongs to a cell and that somebody else refers to."""

    __slots__ = ("field", "key", "key_bytes", "value", "incarnation", "position", "data", "shared")

    def __init__(self, field, key, key_bytes, value, incarnation):
        self.field = field
        #: None for a scalar field; the name of an element of a list field.
        self.key = key
        self.key_bytes = key_bytes
        self.value = value
        self.incarnation = incarnation
        #: Of an element of a list field, whose key is its name; else None.
        self.position = None
        #: What the cell holds, when the method begins to wait.
        self.data = None
        #: Containers in it that belong to another cell (None if nothing in it has a second place anywhere).
        self.shared = None


def choose(candidates):
    """Those that somebody else refers to, or to a part of them, of pairs: a `Held`, and how many references to its
    value are our own beside the cell's."""
    counts, trees = {}, []
    for held, own in candidates:
        containers = []
        again = _walk(held.value, containers, counts)
        counts[id(held.value)] = counts.get(id(held.value), 0) + own
        if again:
            held.shared = again.difference(map(id, containers))
        trees.append(containers)
    chosen = []
    for (held, _), containers in zip(candidates, trees, strict=True):
        references = _references(containers)
        if any(count > counts[id(part)] for count, part in zip(references, containers, strict=True)):
            held.data = codec.encode(held.value)
            chosen.append(held)
    return chosen


def _walk(value, found, counts):
    """Collects the containers of a value; `counts` are the references from containers. Gives those seen before."""
    again, todo = set(), [value]
    while todo:
        value = todo.pop()
        kind = type(value)
        if kind in IMMUTABLE:
            continue
        inner = _inner(value, kind)
        if inner is None:
            continue
        key = id(value)
        count = counts.get(key, 0)
        counts[key] = count + 1
        if count:
            again.add(key)
            continue
        found.append(value)
        # A long container of what cannot change is passed over at C speed.
        if len(inner) <= codec.LONG or not set(map(type, inner)) <= IMMUTABLE:
            todo.extend(inner)
    return again


def _inner(value, kind):
    """What a container holds; None if the value is none, or cannot hold anything."""
    if kind is dict:
        return [*value.keys(), *value.values()]
    if kind is list or kind is set:
        return value
    if kind is tuple or kind is frozenset:
        return value or None
    if kind not in registry.names or isinstance(value, enum.Enum):
        return None
    attributes = getattr(value, "__dict__", None)
    if attributes is not None:
        return [attributes]
    return [getattr(value, name) for name in registry.fields(kind) if hasattr(value, name)]


def _references(containers):
    """For each container, the references to it beside our own."""
    return [count - _OVERHEAD for count in map(getrefcount, containers)]


def _overhead():
    holder = [[]]
    return next(map(getrefcount, [holder[0]])) - 1


#: References that counting adds.
_OVERHEAD = _overhead()


def update(held, data):
    """Brings the object to what `data` says, in place. False if it cannot become that."""
    done = set(held.shared or ())
    return _merged(held.value, codec.decode(data), done) is held.value


def _merged(old, new, done):
    """The object in the place of `old` when the value there is `new`: `old` itself, changed, if that can be."""
    kind = type(old)
    if kind is not type(new) or kind in IMMUTABLE or id(old) in done:
        return new
    merge = _MERGES.get(kind)
    if merge is None:
        if kind not in registry.names or isinstance(old, enum.Enum):
            return new
        merge = _merge_record
    done.add(id(old))
    return merge(old, new, done)


def _merge_dict(old, new, done):
    for key in [key for key in old if key not in new]:
        del old[key]
    # From the first key that is not in its place on, the order is made anew.
    keys, order = list(old), list(new)
    kept = 0
    while kept < len(keys) and _same_key(keys[kept], order[kept]):
        kept += 1
    moved = {key: old.pop(key) for key in keys[kept:]}
    for key, value in new.items():
        before = old if key in old else moved
        old[key] = _merged(before[key], value, done) if key in before else value
    return old


def _same_key(one, other):
    return one == other and _form(one) == _form(other)


def _merge_list(old, new, done):
    old[:] = new if all(type(part) in IMMUTABLE for part in new) else _aligned(list(old), new, done)
    return old


def _aligned(old, new, done):
    """The elements of `new`, as far as they can be told to be ones of `old` those: by value, then by place."""
    forms, wanted = [_form(part) for part in old], [_form(part) for part in new]
    pairs = {}
    start, end = 0, 0
    least = min(len(old), len(new))
    while start < least and forms[start] == wanted[start]:
        pairs[start] = start
        start += 1
    while end < least - start and forms[-1 - end] == wanted[-1 - end]:
        end += 1
        pairs[len(new) - end] = len(old) - end
    free = list(range(start, len(old) - end))
    open_places = []
    by_form = {}
    for index in reversed(free):
        by_form.setdefault(forms[index], []).append(index)
    for place in range(start, len(new) - end):
        same = by_form.get(wanted[place])
        if same:
            pairs[place] = same.pop()
        else:
            open_places.append(place)
    taken = set(pairs.values())
    pairs.update(zip(open_places, (index for index in free if index not in taken), strict=False))
    return [_merged(old[pairs[place]], part, done) if place in pairs else part for place, part in enumerate(new)]


def _merge_set(old, new, done):
    before = {_form(part): part for part in old}
    after = {_form(part): part for part in new}
    for form, part in before.items():
        if form not in after:
            old.remove(part)
    for form, part in after.items():
        if form not in before:
            old.add(part)
        else:
            done.add(id(before[form]))
    return old


def _merge_tuple(old, new, done):
    if len(old) != len(new):
        return tuple(_aligned(old, new, done))
    same = [_form(part) == _form(other) for part, other in zip(old, new, strict=True)]
    parts = [_merged(part, other, done) for part, other in zip(old, new, strict=True)]
    is_old = (part is before or equal for part, before, equal in zip(parts, old, same, strict=True))
    return old if all(is_old) else tuple(parts)


def _merge_record(old, new, done):
    names = [*registry.fields(type(old)), codec.FOREIGN]
    for name in names:
        if not hasattr(new, name):
            if hasattr(old, name):
                object.__delattr__(old, name)
            continue
        value = getattr(new, name)
        value = _merged(getattr(old, name), value, done) if hasattr(old, name) else value
        object.__setattr__(old, name, value)
    return old


_MERGES = {dict: _merge_dict, list: _merge_list, set: _merge_set, tuple: _merge_tuple}


def _form(value):
    """What is equal for values of equal kind and content."""
    return codec.form(codec.encode(value))
