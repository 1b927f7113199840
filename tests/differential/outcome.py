"""What came of one program in one way, as text that can be compared."""

import dataclasses
import enum
from dataclasses import dataclass, field

#: Fields that hold what was drawn: all ways but plain Python draw the same.
DRAWN = "._drawn"
#: Fields that hold a clock's reading.
READ = "._memo"


@dataclass
class Outcome:
    """Results of all calls, the final state by service, key and field, what was printed."""

    results: list = field(default_factory=list)
    #: Results of the calls of other clients.
    meanwhile: list = field(default_factory=list)
    state: dict = field(default_factory=dict)
    printed: str = ""
    #: What was drawn.
    drawn: list = field(default_factory=list)
    #: What a judge tells of the state, if there is one.
    told: str = ""
    #: Keys of the entities that it told of.
    keys: tuple = ()
    #: Lines of the module that were executed (plain only).
    lines: set = field(default_factory=set)

    def keep(self, name, value, initial):
        """Notes a field's value, unless nobody changed it: where an entity was looked at makes no difference."""
        if name.endswith(DRAWN):
            self.drawn = list(value)
            value, initial = len(value), 0
        elif name.endswith(READ):
            value, initial = bool(value), False
        value = form(value)
        if value != form(initial):
            self.state[name] = value

    def difference(self, other, drawn=None):
        """The first difference: (what, this, the other), or None. `drawn` is what the other must have drawn."""
        pairs = [
            *_parts("result of call", self.results, other.results),
            *_parts("result of another client's call", self.meanwhile, other.meanwhile),
            *((f"state of {name}", self.state.get(name), other.state.get(name))
              for name in sorted({*self.state, *other.state})),
            ("output", self.printed, other.printed),
            ("what was drawn", other.drawn if drawn is None else drawn, other.drawn),
        ]  # fmt: skip
        return next((each for each in pairs if each[1] != each[2]), None)


def _parts(what, ours, theirs):
    yield f"number of each {what}", len(ours), len(theirs)
    for index, pair in enumerate(zip(ours, theirs, strict=False)):
        yield f"{what} {index}", *pair


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
    """An exception as text; an argument with classes, which cannot be stored, as its `repr`: so it comes over a call."""
    args = tuple(repr(part) if _has_class(part) else part for part in error.args)
    return f"raise {type(error).__module__}.{type(error).__qualname__} {form(args)}"


def _has_class(value):
    return isinstance(value, type) or (isinstance(value, (list, tuple)) and any(map(_has_class, value)))
