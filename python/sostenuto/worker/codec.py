"""Values to and from `marshal` version 2, with tuples that begin with `...` for the kinds that marshal lacks.

The common value goes through `marshal` at C speed; a check at C speed shows that nothing in it is a kind that marshal
takes and we do not. Everything else takes the slow path, which knows every kind. What cannot be stored raises
`Unstorable` with the place in the value; who knows the cell makes a `NotStorable` of it.

The table of kinds is in `crates/protocol/src/marshal.rs`.
"""

import datetime
import decimal
import enum
import marshal
import types
import uuid
from itertools import chain

from sostenuto.errors import InternalError

dumps, loads = marshal.dumps, marshal.loads

DECIMAL, DATE_TIME, TIME_DELTA, UUID, RECORD, ENUM, DATE, TIME = 4, 5, 6, 7, 9, 10, 12, 13

#: Containers may be nested this deep (`limits.rs`).
DEPTH_MAX = 200
#: Two's complement bytes of the largest int.
INT_BYTES_MAX = 64 * 1024

#: Of these, `marshal` writes what we read back; a `str` only if it holds no lone surrogate.
_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
#: Those whose encodings differ if they do.
_ORDERED = frozenset({list, tuple, dict})
#: Containers of more are first looked at by C code, which has a start-up cost.
LONG = 16

#: Values of these types never change, so one that was only read needs no comparison.
IMMUTABLE = _ATOMS | {
    decimal.Decimal,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
}

#: What an extension tuple looks like in bytes: the upper half of its length, `...`, a small int.
_EXTENSION = b"\0\0.i"
#: First byte of every lone surrogate in UTF-8, and what the second one is at least.
_SURROGATE, _SURROGATE_NEXT = b"\xed", b"\xa0"
#: An int of 64 KiB is this long in marshal's 15-bit digits; below it no int needs a look.
_INT_SUSPECT = INT_BYTES_MAX


class Unstorable(Exception):
    """A part of a value cannot be stored: (what is wrong). `path` grows while it leaves the containers."""

    path = ""


def encode(value):
    """The marshal bytes of a value; raises `Unstorable`."""
    try:
        data = dumps(value, 2)
    except ValueError:
        return encode_slowly(value)
    return checked(value, data)


def encode_arguments(args, named):
    """The bytes of a call's arguments."""
    value = ([*args], named)
    if _ATOMS.issuperset(map(type, args)) and (not named or _ATOMS.issuperset(map(type, named.values()))):
        return _checked_plain(value, dumps(value, 2))
    return encode(value)


def checked(value, data):
    """`data`, which `marshal` made of `value`, or better: `marshal` takes more than can be stored."""
    kind = type(value)
    if kind in _ATOMS:
        if len(data) < _INT_SUSPECT and (kind is not str or _SURROGATE not in data):
            return data
        if kind is str:
            return _checked_plain(value, data)
    elif kind in _CONTAINERS and _is_plain(value, kind):
        return _checked_plain(value, data)
    return encode_slowly(value)


def _checked_plain(value, data):
    """As `checked`, for a value of builtin types only."""
    if _may_hold_surrogates(data) or not (len(data) < _INT_SUSPECT or _ints_fit(value)):
        return encode_slowly(value)
    return data


def decode(data):
    """The value of these bytes, made afresh."""
    value = loads(data)
    if _EXTENSION in data:
        return _revive(value)
    return value


def encode_changed(value, base):
    """The bytes of a value, or None if they would say what `base` says."""
    if type(value) in _ATOMS:
        data = dumps(value, 2)
        return None if data == base else checked(value, data)
    try:
        data = dumps(value, 2)
    except ValueError:
        data = encode_slowly(value)
    else:
        if data == base:
            return None
        if is_long_and_flat(value):
            return _checked_plain(value, data)
        data = checked(value, data)
    # Sets are looked for in the value first, as a number may look like one.
    if data != base and (_is_in_order(data, base) or not _may_hold_sets(value)):
        return data
    return None if same(data, base) else data


def same(data, base):
    """True if the two encodings are of the same value; sets have no order."""
    if data == base:
        return True
    if _is_in_order(data, base):
        return False
    return _with_sorted_sets(loads(data)) == _with_sorted_sets(loads(base))


def _is_in_order(data, base):
    """True if two encodings that are not equal cannot differ in the order of sets only."""
    return base is None or len(data) != len(base) or not _may_name_sets(data)


def form(data):
    """A form of an encoding that is equal for values of the same kind and content; sets have no order."""
    return _with_sorted_sets(loads(data)) if _may_name_sets(data) else data


def _may_name_sets(data):
    """False if these bytes hold no set; true also if a number or a text looks like one."""
    return b"<" in data or b">" in data


def _may_hold_surrogates(data):
    """False if no text in these bytes has a lone surrogate; true also if a number looks like one."""
    at = data.find(_SURROGATE)
    while at >= 0:
        if data[at + 1 : at + 2] >= _SURROGATE_NEXT:
            return True
        at = data.find(_SURROGATE, at + 1)
    return False


def _may_hold_sets(value):
    """False if there is no set in a value: then other bytes are of another value."""
    kind = type(value)
    if kind not in _CONTAINERS:
        return kind not in _ATOMS
    if kind is set or kind is frozenset:
        return True
    kinds = _kinds(value, kind)
    if kinds <= _ATOMS:
        return False
    inside = chain(value, value.values()) if kind is dict else value
    return any(_may_hold_sets(part) for part in inside if type(part) not in _ATOMS)


def is_flat(value):
    """True if a container holds nothing that can change."""
    return _kinds(value, type(value)) <= _ATOMS


def is_long_and_flat(value):
    """True of containers, but sets, that hold so much that a look at all of it counts, and nothing that can change."""
    return type(value) in _ORDERED and len(value) > LONG and is_flat(value)


def _kinds(value, kind):
    """The types of what is in a container, at C speed."""
    kinds = set(map(type, value))
    if kind is dict:
        kinds.update(map(type, value.values()))
    return kinds


def _is_plain(value, kind, depth=1):
    """True if a container holds builtin types only, nested within the limit. (`marshal` has shown it is a tree.)"""
    if len(value) > LONG and _kinds(value, kind) <= _ATOMS:
        return True
    if kind is dict:
        for key, part in value.items():
            inner = type(part)
            outer = type(key)
            if outer not in _ATOMS and not _is_plain_inside(key, outer, depth):
                return False
            if inner not in _ATOMS and not _is_plain_inside(part, inner, depth):
                return False
        return True
    for part in value:
        inner = type(part)
        if inner not in _ATOMS and not _is_plain_inside(part, inner, depth):
            return False
    return True


def _is_plain_inside(part, kind, depth):
    return kind in _CONTAINERS and depth < DEPTH_MAX and _is_plain(part, kind, depth + 1)


def _ints_fit(value):
    """True if no int in a plain value is too large."""
    if type(value) is int:
        return value.bit_length() < 8 * INT_BYTES_MAX
    if type(value) is dict:
        return _all_ints_fit(value) and _all_ints_fit(value.values())
    return type(value) not in _CONTAINERS or _all_ints_fit(value)


def _all_ints_fit(parts):
    kinds = set(map(type, parts))
    if int in kinds:
        ints = parts if len(kinds) == 1 else [part for part in parts if type(part) is int]
        if not (_ints_fit(max(ints)) and _ints_fit(min(ints))):
            return False
    return kinds.isdisjoint(_CONTAINERS) or all(_ints_fit(part) for part in parts if type(part) in _CONTAINERS)


def is_dataclass(cls):
    """What `dataclasses.is_dataclass` says of a class. That module loads much of Python's own compiler, so it is loaded
    where there is a dataclass only; then the application has it already."""
    return hasattr(cls, "__dataclass_fields__")


def _fields_of(cls):
    from dataclasses import fields

    return fields(cls)


class Registry:
    """The dataclasses and enums of the application, by registered name."""

    def __init__(self):
        self.classes = {}
        self.names = {}
        self._fields = {}

    def add(self, name, cls):
        """Registers a class under its name."""
        self.classes[name] = cls
        self.names[cls] = name
        if not issubclass(cls, enum.Enum):
            self._fields[cls] = tuple(field.name for field in _fields_of(cls))

    def clear(self):
        """Forgets all."""
        self.__init__()

    def fields(self, cls):
        """Names of a dataclass' fields, in order of definition."""
        return self._fields[cls]


registry = Registry()

#: A value's type is replaced here by a function that gives something encodable; persistent views register themselves.
copied = {}


def encode_slowly(value):
    """The bytes of a value of any kind."""
    try:
        return dumps(_plain_form(value, 0, ()), 2)
    except RecursionError:
        raise Unstorable("it is nested too deeply") from None


def _plain_form(value, depth, outer):
    """`value` in the types that marshal knows. `outer` holds the ids of the containers around it."""
    kind = type(value)
    if kind in _CONTAINERS:
        return _container_form(value, kind, depth, outer)
    if kind in _ATOMS:
        return _checked_atom(value, kind)
    extension = _EXTENSIONS.get(kind)
    if extension is not None:
        return extension(value)
    if kind in copied:
        return _plain_form(copied[kind](value), depth, outer)
    name = registry.names.get(kind)
    if name is not None:
        return _registered_form(value, kind, name, depth, outer)
    raise Unstorable(_why_not(value))


def _container_form(value, kind, depth, outer):
    if id(value) in outer:
        raise Unstorable("it contains itself; a stored value is a tree")
    if depth >= DEPTH_MAX:
        raise Unstorable(f"it is nested deeper than {DEPTH_MAX} containers")
    outer = (*outer, id(value))
    depth += 1
    if kind is dict:
        return _dict_form(value, depth, outer)
    parts = []
    for index, part in enumerate(value):
        try:
            parts.append(_plain_form(part, depth, outer))
        except Unstorable as problem:
            problem.path = (f"[{index}]" if kind is list or kind is tuple else f"{{{short(part)}}}") + problem.path
            raise
    try:
        return kind(parts)
    except TypeError:
        raise Unstorable(f"an element of the {kind.__name__} has no hashable form") from None


def _dict_form(value, depth, outer):
    form = {}
    for key, part in value.items():
        try:
            key_form = _plain_form(key, depth, outer)
        except Unstorable as problem:
            problem.path = f"[key {short(key)}]{problem.path}"
            raise
        try:
            form[key_form] = _plain_form(part, depth, outer)
        except Unstorable as problem:
            problem.path = f"[{short(key)}]{problem.path}"
            raise
        except TypeError:
            raise Unstorable(f"the key {short(key)} has no hashable form") from None
    return form


def _checked_atom(value, kind):
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unstorable(f"{short(value)} holds a lone surrogate, which is not text") from None
    elif kind is int and value.bit_length() >= 8 * INT_BYTES_MAX:
        raise Unstorable(f"an int of more than {INT_BYTES_MAX} bytes")
    return value


def _registered_form(value, kind, name, depth, outer):
    if depth >= DEPTH_MAX:
        raise Unstorable(f"it is nested deeper than {DEPTH_MAX} containers")
    if isinstance(value, enum.Enum):
        return (..., ENUM, name, _plain_form(value.value, depth + 1, outer))
    if id(value) in outer:
        raise Unstorable("it contains itself; a stored value is a tree")
    outer = (*outer, id(value))
    parts = []
    for field in registry.fields(kind):
        try:
            parts.append((field, _plain_form(getattr(value, field), depth + 1, outer)))
        except AttributeError:
            raise Unstorable(f"the {kind.__name__} has no attribute {field!r} yet") from None
        except Unstorable as problem:
            problem.path = f".{field}{problem.path}"
            raise
    _check_no_more(value, kind, parts)
    return (..., RECORD, name, tuple(parts))


def _check_no_more(value, kind, parts):
    """Keeps fields of another deployment; refuses attributes that would be lost."""
    attributes = getattr(value, "__dict__", None)
    if not attributes:
        return
    known = registry.fields(kind)
    for name, part in attributes.items():
        if name == FOREIGN:
            parts.extend(part)
        elif name not in known:
            raise Unstorable(f"the {kind.__name__} has the attribute {name!r}, which is no field of the dataclass")


#: Attribute that carries fields of a stored record that its class does not have (any more, or yet).
FOREIGN = "__sostenuto_foreign__"


def _date_time_form(value):
    _check_zone(value.tzinfo)
    text = value.isoformat()
    return (..., DATE_TIME, text + ";1" if value.fold else text)


def _time_form(value):
    _check_zone(value.tzinfo)
    text = value.isoformat()
    return (..., TIME, text + ";1" if value.fold else text)


def _check_zone(zone):
    if zone is None:
        return
    if type(zone) is not datetime.timezone:
        raise Unstorable(
            f"a time in the zone {zone} would keep its offset and lose the zone; "
            "store value.astimezone(timezone.utc), and the zone's name beside it"
        )
    if len(zone.__getinitargs__()) > 1:
        raise Unstorable(f"a time zone with the name {zone} would lose it; use a timezone without a name")


_EXTENSIONS = {
    decimal.Decimal: lambda value: (..., DECIMAL, str(value)),
    datetime.datetime: _date_time_form,
    datetime.date: lambda value: (..., DATE, value.isoformat()),
    datetime.time: _time_form,
    datetime.timedelta: lambda value: (..., TIME_DELTA, value.days, value.seconds, value.microseconds),
    uuid.UUID: lambda value: (..., UUID, value.bytes),
}

_ADVICE = {
    "collections.OrderedDict": "use dict, which keeps its order",
    "collections.defaultdict": "use dict and setdefault",
    "collections.Counter": "use dict",
    "collections.deque": "use list",
    "builtins.bytearray": "use bytes",
    "builtins.memoryview": "use bytes",
    "array.array": "use list",
    "builtins.range": "use list(range(...))",
    "builtins.generator": "use list(...)",
    "builtins.coroutine": "an await is missing",
    "builtins.dict_keys": "use list(...)",
    "builtins.dict_values": "use list(...)",
    "builtins.dict_items": "use list(...)",
}

_HELD = {dict: "a dict", list: "a list", tuple: "a tuple", set: "a set", str: "a str", int: "an int", float: "a float"}


def _why_not(value):
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    advice = _ADVICE.get(name)
    if advice is not None:
        return f"a {kind.__name__} cannot be stored: {advice}"
    if isinstance(value, enum.Enum):
        return f"the enum {name} is not defined in the application's modules"
    if is_dataclass(kind) and not isinstance(value, type):
        return f"the dataclass {name} is not defined at the top level of the application's modules"
    if isinstance(value, types.FunctionType | types.MethodType | types.BuiltinFunctionType | type):
        return f"{short(value)} is code, not data"
    for base, text in _HELD.items():
        if isinstance(value, base):
            return f"{name} is a subclass of {base.__name__} and would come back as {text}; store {text}"
    explain = getattr(kind, "__sostenuto_unstorable__", None)
    return explain or f"a value of type {name} cannot be stored; use builtin types, dataclasses and enums"


def short(value):
    """The beginning of a value's repr, for messages."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


def _revive(value):
    """Makes the registered kinds of their tuples, in all of `value`."""
    kind = type(value)
    if kind is tuple:
        if value and value[0] is ...:
            return _REVIVERS[value[1]](value)
        return tuple([_revive(part) for part in value])
    if kind is list:
        return [_revive(part) for part in value]
    if kind is dict:
        return {_revive(key): _revive(part) for key, part in value.items()}
    if kind is set or kind is frozenset:
        return kind([_revive(part) for part in value])
    return value


def _revive_date_time(value):
    text = value[2]
    if text.endswith(";1"):
        return datetime.datetime.fromisoformat(text[:-2]).replace(fold=1)
    return datetime.datetime.fromisoformat(text)


def _revive_time(value):
    text = value[2]
    if text.endswith(";1"):
        return datetime.time.fromisoformat(text[:-2]).replace(fold=1)
    return datetime.time.fromisoformat(text)


def _revive_record(value):
    cls = _class_of(value[2])
    record = object.__new__(cls)
    put = object.__setattr__
    missing = dict.fromkeys(registry.fields(cls))
    foreign = []
    for field, part in value[3]:
        if field in missing:
            del missing[field]
            put(record, field, _revive(part))
        else:
            foreign.append((field, part))
    if missing:
        _fill(record, cls, missing)
    if foreign:
        put(record, FOREIGN, tuple(foreign))
    return record


def _fill(record, cls, missing):
    """Gives fields that a stored record lacks their defaults."""
    from dataclasses import MISSING

    for field in _fields_of(cls):
        if field.name not in missing:
            continue
        if field.default is not MISSING:
            object.__setattr__(record, field.name, field.default)
        elif field.default_factory is not MISSING:
            object.__setattr__(record, field.name, field.default_factory())
        elif field.init:
            raise TypeError(f"a stored {cls.__qualname__} has no field {field.name!r}; give the field a default")


def _revive_enum(value):
    return _class_of(value[2])(_revive(value[3]))


def _class_of(name):
    cls = registry.classes.get(name)
    if cls is None:
        raise LookupError(f"a stored value is a {name}, which the application does not define")
    return cls


def _unknown(value):
    raise InternalError(f"unknown extension {value[1]!r} in a value")


class _Revivers(dict):
    def __missing__(self, code):
        return _unknown


_REVIVERS = _Revivers(
    {
        DECIMAL: lambda value: decimal.Decimal(value[2]),
        DATE_TIME: _revive_date_time,
        TIME_DELTA: lambda value: datetime.timedelta(value[2], value[3], value[4]),
        UUID: lambda value: uuid.UUID(bytes=value[2]),
        RECORD: _revive_record,
        ENUM: _revive_enum,
        DATE: lambda value: datetime.date.fromisoformat(value[2]),
        TIME: _revive_time,
    }
)


def _with_sorted_sets(value):
    """A form of a decoded value that is equal for values equal in kind and content, whatever the order of sets."""
    kind = type(value)
    if kind is set or kind is frozenset:
        return (kind.__name__, tuple(sorted([dumps(_with_sorted_sets(part), 2) for part in value])))
    if kind is dict:
        return ("dict", tuple([(_with_sorted_sets(key), _with_sorted_sets(part)) for key, part in value.items()]))
    if kind is list or kind is tuple:
        return (kind.__name__, tuple([_with_sorted_sets(part) for part in value]))
    return dumps(value, 2)
