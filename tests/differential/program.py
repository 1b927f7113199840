"""Makes random services. A program is a module's text and a script of calls; the same seed gives the same program.

Text is typed, so that most operations succeed, and owned: what is stored is always new, because a stored value is a
tree that its cell owns (one object in two places is a stated difference).
"""

import contextlib
import random
import re
from dataclasses import dataclass, field

from differential.application import FAMILIES, FIXED, HEADER, LAST, MIXED_IN, OVERRIDES
from differential.catalogue import OPERATIONS
from differential.flow import DRAWING, DRAWING_KEPT, READING, READING_KEPT
from differential.flow import TABLES as FLOW

STATEMENTS_MAX = 11
DEPTH_MAX = 2
#: How often an operation is on a name rather than on a field, if there is one for it.
NAMED = 0.4
#: How often a key or value tells when it is evaluated.
TICKED = 0.12
#: How often a program keeps an object of a field in a name over a suspension.
BORROWED = 0.4
#: How often a statement draws or reads the clock.
DRAWN = 0.08
#: How often a key is made of the method's parameters.
COMPUTED = 0.2
#: How often a field belongs to another class of the family than most, and a method; how often one is overridden.
ELSEWHERE, INHERITED, OVERRIDDEN = 0.3, 0.6, 0.5
#: How often another client comes in between, after each of the first calls.
MEANWHILE, CALLS_MAX = 0.25, 60

#: Attribute and type of the dataclasses' fields.
ATTRIBUTES = {
    "point": {"x": "int", "y": "float", "tags": ("list", "str"), "near": ("dict", "str", "int")},
    "box": {"name": "str", "point": "point", "rows": ("list", ("list", "int"))},
}

#: Type and, where it is no `None`, initial value of the fields that programs choose from.
FIELDS = {
    "n": ("int", "0"), "r": ("float", "0.5"), "s": ("str", '"ab"'), "b": ("bytes", 'b"ab"'), "flag": ("bool", "False"),
    "maybe": ("none", "None"), "t": ("tuple", '(0, "a", 1.5)'), "colour": ("enum", None), "fz": ("frozen", None),
    "code": ("key", None), "price": ("decimal", None), "at": ("when", None), "day": ("day", None),
    "span": ("span", None), "uid": ("uid", None), "point": ("point", None), "box": ("box", None),
    "nums": (("list", "int"), "[3, 1, 2]"), "names": (("list", "str"), '["b", "a"]'),
    "rows": (("list", ("list", "int")), "[[1], [2, 3]]"), "points": (("list", "point"), "[]"),
    "recs": (("list", ("dict", "str", ("list", "int"))), "[]"), "tuples": (("list", "tuple"), "[]"),
    "long": (("list", "int"), "[]"), "grid": (("list", ("list", "int")), "[]"),
    "tags": (("set", "str"), "set()"), "ids": (("set", "int"), "set()"),
    "counts": (("dict", "str", "int"), "{}"), "lists": (("dict", "str", ("list", "int")), "{}"),
    "tree": (("dict", "str", ("dict", "str", ("list", "int"))), "{}"), "people": (("dict", "str", "point"), "{}"),
    "byid": (("dict", "int", "box"), "{}"), "mixed": (("dict", "any", ("list", "int")), "{}"),
    "sets": (("dict", "str", ("set", "int")), "{}"), "pairs": (("dict", "tuple", "str"), "{}"),
    "colours": (("dict", "enum", "float"), "{}"), "codes": (("dict", "key", "str"), "{}"),
    "prices": (("dict", "decimal", "decimal"), "{}"), "days": (("dict", "day", ("list", "span")), "{}"),
    "times": (("dict", "when", "int"), "{}"), "uids": (("dict", "uid", ("list", "str")), "{}"),
}  # fmt: skip
#: Fields that `setup` makes long, from text with their length: list fields are stored in chunks.
LONG = {"long": "list(range({}))", "grid": "[[each] for each in range({})]"}
LENGTHS = (62, 63, 64, 65, 66, 127, 128, 129, 200)
#: Indices at the borders of chunks, and how often one is taken.
BORDERS, AT_BORDER = (61, 62, 63, 64, 65, 127, 128, -63, -64, -65, -66), 0.1
#: Every program has these: its own methods use them.
ALWAYS = ("n", "counts", "lists", "nums")

ANNOTATIONS = {
    "int": "int", "float": "float", "str": "str", "bytes": "bytes", "bool": "bool", "none": "int | None",
    "tuple": "tuple", "enum": "Color", "frozen": "frozenset", "key": "Key", "point": "Point", "box": "Box",
    "decimal": "Decimal", "when": "datetime.datetime", "day": "date", "span": "timedelta", "uid": "UUID",
}  # fmt: skip

#: What literals and keys of a type are drawn from.
POOLS = {
    "int": ["0", "1", "2", "3", "7", "-1", "-5", "100", "2**40"],
    "float": ["0.0", "1.0", "2.5", "-0.25", "1e10"],
    "str": ["'a'", "'b'", "'c'", "''", "'ab ba'", "'Zoë'"],
    "bytes": ["b'a'", "b''", "b'ab\\xff'"],
    "bool": ["True", "False"],
    "none": ["None", "4"],
    "tuple": ["(0, 'a', 1.5)", "(1, 'b', None)", "(0, 'a')", "()"],
    "enum": ["Color.RED", "Color.GREEN", "Color.BLUE"],
    "frozen": ["frozenset()", "frozenset({1})", "frozenset({1, 2})"],
    "key": ["Key(1, 'a')", "Key(1, 'b')", "Key(0, 'a')"],
    "decimal": ["Decimal('1.50')", "Decimal('1.5')", "Decimal(0)", "Decimal('-2E+3')", "Decimal('0.1')"],
    "when": [
        "moment(2024, 2, 29, 12, 30, 0, 5)", "moment(2024, 2, 29)", "moment(2024, 1, 1, tzinfo=timezone.utc)",
        "moment(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))", "moment(1999, 12, 31, 23, 59, fold=1)",
    ],
    "day": ["date(2024, 2, 29)", "date(1999, 12, 31)", "date(2024, 1, 1)"],
    "span": ["timedelta(days=1)", "timedelta(0)", "timedelta(seconds=-1, microseconds=7)", "timedelta(hours=24)"],
    "uid": ["UUID(int=1)", "UUID('12345678-1234-4234-8234-123456789abc')", "UUID(int=2**128 - 1)"],
}
ANY_KEYS = [
    "'a'", "'b'", "1", "True", "1.0", "0", "False", "None", "(1, 'x')", "(1.0, 'x')", "b'a'", "frozenset({1})",
    "-(2**70)", "Color.RED", "Key(1, 'a')", "2.5", "''",
    "Decimal(1)", "Decimal('2.50')", "UUID(int=1)", "date(2024, 1, 1)", "moment(2024, 1, 1, tzinfo=timezone.utc)",
    "moment(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))", "moment(2024, 1, 1)", "timedelta(1)", "Size.BIG",
]  # fmt: skip
MUTABLE = ("list", "dict", "set", "point", "box")

#: Keys in terms of a method's parameters.
PARAMETERS = "a: int, k: str, items: list[int], p: dict"
COMPUTED_KEYS = {
    "str": ("k", "k", "str(a)", "f'{a}'", "f'{k}-{a}'", "k + 'a'", "'a' + k", "p['name']",
            "str(p['id'])", "f'{a}/{k}'", "str(len(items))", "p['lines'][0]['sku']", "f'{items[0]}'"),
    "int": ("a", "a", "p['id']", "items[0]", "a + 1", "len(k)"),
    "tuple": ("(a, k)", "(a, k, 1.5)", "(0, k)", "(a, p['name'], None)"),
}  # fmt: skip
COMPUTED_KEYS["any"] = COMPUTED_KEYS["str"] + COMPUTED_KEYS["int"] + COMPUTED_KEYS["tuple"]

@dataclass
class Program:
    """A module and what is called in it."""

    seed: str
    number: int
    text: str
    #: (method, text of the arguments' tuple)
    script: list
    #: What another client calls: after which call of the program, to (method, text of the arguments' tuple).
    meanwhile: dict = field(default_factory=dict)
    #: Line to names of the operations on it.
    operations: dict = field(default_factory=dict)

    @property
    def module(self):
        """The module's name."""
        return f"p{self.number:06}"


#: Holes whose order of evaluation can be told.
TELLING = ("e", "E", "k", "v", "V", "i", "j", "y", "int", "str")


class Impossible(Exception):
    """A template cannot be filled here."""


@dataclass
class Local:
    """A name of the method: its type, whether it may be stored, whether it may refer to an object of a field."""

    name: str
    type: object
    is_new: bool = False
    is_borrowed: bool = False
    #: It refers to a whole dict or list field, which cannot be held where methods assign the field.
    is_whole: bool = False
    level: int = 0


def group_of(kind):
    """The table of operations of a type."""
    return kind[0] if isinstance(kind, tuple) else kind


def is_mutable(kind):
    """True if objects of the type can be changed."""
    return group_of(kind) in MUTABLE


def annotation(kind):
    """A type as Python spells it."""
    if isinstance(kind, str):
        return "object" if kind == "any" else ANNOTATIONS[kind]
    inner = ", ".join(annotation(part) for part in kind[1:])
    return f"{kind[0]}[{inner}]"


#: The operations on values.
_ON_VALUES = [each for group, found in OPERATIONS.items() if group not in FLOW for each in found]

#: Every operation: each program has one of its own besides those that are drawn.
_ALL = [each for found in OPERATIONS.values() for each in found]
#: What a method does that overrides another one.
SUPER = "calls.inherit.super"
#: In the names of operations. If an aborted transaction replaced an object of a field, that is not the field's any more
#: (a stated difference): so no name of a random program holds one over a transaction.
TRANSACTION = "transaction"

_HOLE = re.compile(r"\{(x|y|Y|e|E|k|v|V|i|j|n|s|a|b|c|int|str|any|cond|body|aw|super|field|number|intdict|intlist|listdict)\}")


_WHOLE = re.compile(r"self\.\w+")
_REPEATS = re.compile(r"\b(for|while|lambda|def)\b")
#: What a transaction does not allow.
_WAITS = re.compile(r"sleep|slow|wait_for|outside|refused|_patient")


class Maker:
    """Makes one program."""

    def __init__(self, seed, number, without=None):
        self.dice = random.Random(f"{seed}/{number}")
        self.number = number
        #: A pattern of operations that are left out.
        self.without = without
        #: The operation that programs with this number are made for.
        self.wanted = _ALL[number % len(_ALL)]
        self.family = self.dice.choice(list(FAMILIES))
        chosen = [name for name in FIELDS if name in ALWAYS or self.dice.random() < 0.45]
        chosen += self.needed(chosen)
        self.fields = {name: FIELDS[name][0] for name in chosen}
        self.kinds = _kinds(self.fields.values())
        #: Method to whether it is an `async def`: those that override each other agree.
        self.asyncs = {}
        #: Methods with transactions.
        self.transacting = set()
        #: Class to its lines: (level, text, names of operations).
        self.parts = {name: [] for name in FAMILIES[self.family]}
        self.lines = self.parts["Main"]
        base, *heirs = self.parts
        is_elsewhere = lambda name: heirs and name not in ALWAYS and self.dice.random() < ELSEWHERE
        self.owners = {name: self.dice.choice(heirs) if is_elsewhere(name) else base for name in self.fields}
        self.locals = []
        self.names = 0
        self.level = 1
        self.is_async = self.suspends = self.in_transaction = False
        #: The template may store an object more than once.
        self.repeats = False
        #: What another client calls is being made.
        self.is_other = False
        #: The method that is being made has parameters; what it overrides, if it does.
        self.has_parameters, self.overridden = False, None
        self.used = []

    def needed(self, chosen):
        """A field on which the wanted operation can be, if none of the chosen ones is of its kind."""
        group = self.wanted.name.partition(".")[0]
        fits = [name for name, (kind, _) in FIELDS.items()
                if any(group_of(each) == group and _fits(self.wanted.condition, each) for each in _kinds([kind]))]  # fmt: skip
        return [] if not fits or set(fits) & set(chosen) else [self.dice.choice(fits)]

    # Text.

    def emit(self, text):
        """Adds a statement of one or more lines; the operations so far belong to its first line."""
        first, *rest = text.split("\n")
        self.lines.append((self.level + 1, first, self.used))
        self.used = []
        for line in rest:
            self.lines.append((self.level + 1, line, []))

    def name(self):
        """A new name."""
        self.names += 1
        return f"v{self.names}"

    def pick(self, *choices):
        return self.dice.choice(choices)

    # Expressions.

    def new(self, kind, depth=0):
        """Text of a new object."""
        group = group_of(kind)
        if group == "any":
            return self.dice.choice(ANY_KEYS)
        if group in POOLS:
            return self.dice.choice(POOLS[group])
        if group == "point":
            tags, near = self.new(("list", "str"), depth + 1), self.new(("dict", "str", "int"), depth + 1)
            return f"Point({self.new('int')}, {self.new('float')}, {tags}, {near})"
        if group == "box":
            return f"Box({self.new('str')}, {self.new('point', depth + 1)}, {self.new(('list', ('list', 'int')), 1)})"
        parts = range(0 if self.dice.random() < 0.1 else self.dice.randrange(1, 3 if depth else 4))
        if group == "list":
            return "[" + ", ".join([self.new(kind[1], depth + 1) for _ in parts]) + "]"
        if group == "set":
            return "{" + ", ".join([self.new(kind[1]) for _ in parts]) + "}" if parts else "set()"
        return "{" + ", ".join([f"{self.any_key(kind[1])}: {self.new(kind[2], depth + 1)}" for _ in parts]) + "}"

    def any_of(self, kind):
        """Text of an expression."""
        if self.dice.random() < 0.4:
            try:
                return self.place(kind)
            except Impossible:
                pass
        return self.new(kind)

    def stored(self, kind):
        """Text of what may be stored: a new object, or a new one under a name that then goes on to show it."""
        if not is_mutable(kind):
            return self.any_of(kind)
        for local in [] if self.repeats else self.locals:
            if local.type == kind and local.is_new and local.level == self.level and self.dice.random() < 0.5:
                local.is_new, local.is_borrowed = False, True
                return local.name
        if self.dice.random() < 0.15:
            try:
                return f"copy.deepcopy({self.place(kind)})"
            except Impossible:
                pass
        return self.new(kind)

    def place(self, kind):
        """Text of an existing object of this type: a name, a field, or something in one, at any depth."""
        roots = [(f"self.{name}", found) for name, found in self.fields.items()]
        roots += [(local.name, local.type) for local in self.locals if is_mutable(local.type)]
        self.dice.shuffle(roots)
        if self.dice.random() < NAMED:
            roots.sort(key=lambda root: root[0].startswith("self."))
        for text, found in roots:
            ways = list(_ways(found, kind, 3))
            if ways:
                return text + "".join(self.step(part) for part in self.dice.choice(ways))
        raise Impossible

    def step(self, part):
        how, what = part
        if how == "attribute":
            return f".{what}"
        if how == "index":
            return f"[{self.pick(0, 0, -1, 1)}]"
        return f"[{self.any_key(what)}]"

    def any_key(self, kind):
        if self.has_parameters and kind in COMPUTED_KEYS and self.dice.random() < COMPUTED:
            return self.dice.choice(COMPUTED_KEYS[kind])
        if kind == "str" and self.dice.random() < 0.8:
            return self.pick("'a'", "'b'")
        return self.new(kind)

    # Templates.

    def fill(self, template, kind=None):
        """The template with its holes filled. All `{x}` are the same place."""
        values, x = {}, None
        self.repeats = _REPEATS.search(template) is not None
        if "{x}" in template:
            x = self.place(kind)

        def hole(match):
            name = match.group(1)
            if name == "x":
                return x
            if name in "abc":
                if name not in values:
                    values[name] = self.name()
                return values[name]
            text = self.hole(name, kind)
            is_told = name in TELLING and self.dice.random() < TICKED
            return f"tick(out, {text})" if is_told else text

        return _HOLE.sub(hole, template)

    def hole(self, name, kind):
        dice = self.dice
        element = kind[-1] if isinstance(kind, tuple) else kind
        if name in ("y", "Y"):
            return self.any_of(kind) if name == "y" else self.new(kind)
        if name in ("e", "v"):
            return self.any_of(element)
        if name in ("E", "V"):
            return self.stored(element)
        if name == "k":
            return self.any_key(kind[1])
        if name in ("i", "j"):
            if group_of(kind) == "list" and dice.random() < AT_BORDER:
                return str(dice.choice(BORDERS))
            return str(dice.randrange(-2, 3))
        if name == "n":
            return str(dice.randrange(3))
        if name == "s":
            return self.pick("2", "-1", "-2", "3")
        if name in ("int", "str"):
            return self.any_of(name) if dice.random() < 0.7 else self.new(name)
        if name == "any":
            return self.any_of(dice.choice(list(self.fields.values())))
        if name == "body":
            return "{body}"
        if name == "cond":
            return self.condition()
        if name == "aw":
            return "await " if self.is_async else ""
        if name == "super":
            if self.overridden is None:
                raise Impossible
            # It may store the list that it is given.
            items = "items[:]" if self.overridden in self.transacting else "items"
            return f"{'await ' if self.is_async else ''}super().{self.overridden}(a, k, {items}, p)"
        if name == "field":
            return f"self.{dice.choice(list(self.fields))}"
        if name == "number":
            return str(self.number)
        return {"intdict": "self.counts", "intlist": "self.nums", "listdict": "self.lists"}[name]

    def condition(self):
        """Text of a condition."""
        text = self.dice.choice(["{int} > 2", "not {int}", "{int} in self.nums", '"a" in self.counts', "self._ticks % 2"])
        return self.fill(text)

    # Statements.

    def statement(self, depth):
        """Adds a random statement."""
        if not self.tried(lambda: self.attempt(depth)):
            raise AssertionError("no operation can be made")

    def tried(self, make):
        """Tries to make a statement; false if nothing came of it."""
        for _ in range(50):
            before = (len(self.lines), self.level, len(self.locals), self.used)
            inside = self.in_transaction
            self.used = []
            try:
                make()
                return True
            except Impossible:
                length, self.level, count, self.used = before
                self.in_transaction = inside
                del self.lines[length:], self.locals[count:]
        return False

    def want(self):
        """Adds the wanted operation."""
        group = self.wanted.name.partition(".")[0]
        if group in ("draws", "clocks"):
            self.draw(self.wanted)
        elif group == "calls" and not self.suspends:
            raise Impossible
        elif group in FLOW:
            self.compound(self.wanted, 0)
        else:
            self.simple(self.wanted)

    def attempt(self, depth):
        roll = self.dice.random()
        if roll > 1 - DRAWN and not self.is_other:
            return self.draw()
        if self.suspends and roll < 0.5:
            return self.compound(self.dice.choice(OPERATIONS["calls"]), depth)
        if depth < DEPTH_MAX and roll < 0.6:
            return self.compound(self.dice.choice(OPERATIONS["control"]), depth)
        if roll < 0.7:
            return self.bind()
        self.simple()

    def bind(self):
        """A name for a new object, or for one of a field."""
        kind = self.dice.choice([kind for kind in self.fields.values() if is_mutable(kind)])
        name = self.name()
        is_new = self.dice.random() < 0.5
        text = self.new(kind) if is_new else self.place(kind)
        self.emit(f"{name} = {text}")
        is_whole = _WHOLE.fullmatch(text) is not None or text in [local.name for local in self.locals if local.is_whole]
        self.locals.append(Local(name, kind, is_new, not is_new, is_whole, self.level))

    def draw(self, operation=None):
        """A draw or a reading of the clock, now and then kept over a suspension."""
        operation = operation or self.dice.choice(OPERATIONS[self.pick("draws", "clocks")])
        if operation.name.startswith("draws."):
            hole, once, kept = "{draw}", DRAWING, DRAWING_KEPT
        else:
            hole, once, kept = "{read}", READING, READING_KEPT
        keeps = self.suspends and not self.in_transaction and self.dice.random() < 0.5
        if keeps:
            self.forget()
        template = self.dice.choice(kept if keeps else once)
        text = self.fill(template).replace(hole, operation.template)
        self.used = [*self.used, operation.name]
        self.emit(text)

    def simple(self, operation=None):
        """An operation on a value, most often guarded against its exception."""
        operation = operation or self.dice.choice(_ON_VALUES)
        group = operation.name.partition(".")[0]
        kinds = [kind for kind in self.kinds if group_of(kind) == group and _fits(operation.condition, kind)]
        if not kinds:
            raise Impossible
        kind = self.dice.choice(kinds)
        text = self.fill(operation.template, kind)
        self.used = [*self.used, operation.name]
        self.guarded(text)

    def guarded(self, text):
        if text.startswith("?"):
            text = f"out.append(show({text[1:]}))"
        if self.dice.random() < 0.1:
            self.emit(text)
            return
        used, self.used = self.used, []
        self.emit("try:")
        self.level += 1
        self.used = used
        self.emit(text)
        self.level -= 1
        self.emit("except Exception as error:\n    out.append(told(error))")

    def compound(self, operation, depth):
        """A statement with bodies, or one that suspends."""
        suspends = operation.name.startswith("calls.")
        if suspends and operation.name.endswith("*") and not self.is_async:
            raise Impossible
        if "inherit." in operation.name and self.family == "alone":
            raise Impossible
        if "inherit.ask" in operation.name and self.is_async:
            # A call in a plain `def` is a suspension, which plain Python has not (a stated difference).
            raise Impossible
        if self.without and self.without.search(operation.template):
            raise Impossible
        if self.in_transaction and _WAITS.search(operation.template):
            raise Impossible
        if suspends and "borrowed" in operation.name and self.dice.random() > BORROWED:
            raise Impossible
        if suspends:
            self.forget("is_whole")
        keeps = suspends and TRANSACTION not in operation.name and self.dice.random() < BORROWED
        if suspends and not keeps:
            self.forget()
        text = self.fill(operation.template)
        self.used = [operation.name]
        if "{body}" not in text and text.startswith("?") and self.dice.random() < 0.3:
            self.guarded(text)
            return
        if text.startswith("?"):
            text = f"out.append(show({text[1:]}))"
        known, was = len(self.locals), self.in_transaction
        self.in_transaction = was or operation.name.startswith("calls.transaction")
        for line in text.split("\n"):
            stripped = line.lstrip()
            indent = (len(line) - len(stripped)) // 4
            self.level += indent
            if stripped == "{body}":
                self.body(depth + 1)
            else:
                self.emit(stripped)
            self.level -= indent
        self.in_transaction = was
        del self.locals[known:]

    def body(self, depth):
        known = len(self.locals)
        was, self.suspends = self.suspends, self.suspends and depth < 2
        for _ in range(self.dice.randrange(1, 3)):
            self.statement(max(depth, 1))
        self.suspends = was
        del self.locals[known:]

    def forget(self, which="is_borrowed"):
        """After a suspension no name may refer to an object of a field, or to a whole field."""
        self.locals = [local for local in self.locals if not getattr(local, which)]

    # The whole.

    def method(self, name, owner="Main"):
        """Adds a method to one of the classes."""
        self.lines = self.parts[owner]
        start = len(self.lines)
        wanted = "" if self.is_other or self.wanted is None else self.wanted.name
        self.suspends = not self.is_other and (wanted.startswith("calls.") or self.dice.random() < 0.6)
        self.is_async = self.suspends and (wanted.endswith("*") or self.dice.random() < 0.7)
        self.overridden = name if name in self.asyncs else None
        if self.overridden:
            self.is_async = self.asyncs[name]
            self.suspends = self.suspends or self.is_async
        self.asyncs[name] = self.is_async
        self.locals = [Local("items", ("list", "int"), True, level=1)]
        self.level = 0
        self.emit(f"{'async ' if self.is_async else ''}def {name}(self, {PARAMETERS}):")
        self.level, self.has_parameters = 1, True
        self.emit("out = []")
        if self.overridden:
            self.used = [SUPER]
            self.emit(self.fill("out.append(show({super}))"))
        count = self.dice.randrange(3, STATEMENTS_MAX)
        place = self.dice.randrange(count)
        for index in range(count):
            if wanted and index == place and self.tried(self.want):
                self.wanted = None
            self.statement(0)
        self.emit("return out")
        if any(TRANSACTION in each for _, _, used in self.lines[start:] for each in used):
            self.transacting.add(name)
        self.lines.append((0, "", []))
        self.has_parameters, self.overridden = False, None

    def methods(self):
        """The methods that the script calls, here and there in the family; their names."""
        names = [f"m{index}" for index in range(self.dice.randrange(1, 4))]
        *upper, _ = self.parts
        for name in names:
            if not upper or self.dice.random() > INHERITED:
                self.method(name)
                continue
            owner = self.dice.choice(upper)
            with self.seen_by(owner):
                self.method(name, owner)
            if owner == "Base" and "Mixin" in upper and self.dice.random() < OVERRIDDEN:
                self.method(name, "Mixin")
            if self.dice.random() < OVERRIDDEN:
                self.method(name)
        return names

    @contextlib.contextmanager
    def seen_by(self, owner):
        """While this is open, the fields are those that the class may use: a service knows none of its heirs'."""
        fields, kinds = self.fields, self.kinds
        if FAMILIES[self.family][owner].startswith("@service"):
            self.fields = {name: kind for name, kind in fields.items() if self.owners[name] == owner}
            self.kinds = _kinds(self.fields.values())
        try:
            yield
        finally:
            self.fields, self.kinds = fields, kinds

    def others(self):
        """Methods for other clients: they change whole cells, and containers of what cannot be changed."""
        fields, kinds = self.fields, self.kinds
        self.fields = {name: kind for name, kind in fields.items() if not _is_nested(kind)}
        self.kinds = _kinds(self.fields.values())
        self.is_other = True
        names = [f"w{index}" for index in range(self.dice.randrange(1, 3))]
        for name in names:
            self.method(name)
        self.fields, self.kinds, self.is_other = fields, kinds, False
        return names

    def setup(self):
        self.lines = self.parts["Main"]
        self.level = 0
        self.emit("def setup(self):")
        self.level = 1
        for name, kind in self.fields.items():
            if FIELDS[name][1] is None or self.dice.random() < 0.85:
                value = LONG[name].format(self.pick(*LENGTHS)) if name in LONG else self.new(kind)
                self.emit(f"self.{name} = {value}")
        self.emit("self._ticks = 1")
        self.lines.append((0, "", []))

    def program(self, seed):
        """The program."""
        self.setup()
        methods = self.methods()
        others = self.others()
        lines = [(line, ()) for line in HEADER.splitlines()]
        for index, name in enumerate(self.parts):
            lines += self.class_(name, index == 0)
        text = "\n".join(line for line, _ in lines).replace("{number}", str(self.number)) + "\n"
        operations = {number: list(names) for number, (_, names) in enumerate(lines, 1) if names}
        script = [("setup", "()")] + [self.call(methods) for _ in range(self.dice.randrange(2, 5))]
        meanwhile = {}
        if self.dice.random() < 0.7:
            meanwhile = {count: self.call(others) for count in range(1, CALLS_MAX) if self.dice.random() < MEANWHILE}
        return Program(seed, self.number, text, script, meanwhile, operations)

    def class_(self, name, is_uppermost):
        """The lines of a class of the family, each with the operations on it."""
        given = [FAMILIES[self.family][name] + ":"]
        for field_name, kind in self.fields.items():
            if self.owners[field_name] == name:
                initial = FIELDS[field_name][1]
                hint = annotation(kind) if initial else f"{annotation(kind)} | None"
                given.append(f"    {field_name}: Persistent[{hint}] = {initial}")
        given += (FIXED if is_uppermost else MIXED_IN if name == "Mixin" else OVERRIDES).splitlines()
        if name == "Main":
            given += LAST.replace("{shown}", ", ".join(f"self.{each}" for each in self.fields)).splitlines()
        own = [(f"{'    ' * level}{line}".rstrip(), names) for level, line, names in self.parts[name]]
        head = [(line, ()) for line in "\n".join([*given, ""]).split("\n")]
        return head + own + [("", ()), ("", ())]

    def call(self, methods):
        """A call of one of the methods: (its name, text of the arguments' tuple)."""
        items = self.new(("list", "int"))
        lines = [{"sku": self.pick("a", "b", "c")} for _ in range(self.dice.randrange(4))]
        record = f"{{'id': {self.new('int')}, 'name': {self.new('str')}, 'lines': {lines}}}"
        return self.dice.choice(methods), f"({self.new('int')}, {self.new('str')}, {items}, {record})"


def make(seed, number, without=None):
    """The program with this number, without operations that look so."""
    return Maker(seed, number, without).program(seed)


def _ways(root, wanted, depth):
    """Paths from a type to a type within it: steps (how, attribute or type of the key)."""
    if root == wanted:
        yield ()
    if depth == 0:
        return
    if isinstance(root, tuple) and root[0] in ("list", "dict"):
        step = ("index", None) if root[0] == "list" else ("key", root[1])
        for rest in _ways(root[-1], wanted, depth - 1):
            yield (step, *rest)
    for name, kind in ATTRIBUTES.get(root, {}).items():
        for rest in _ways(kind, wanted, depth - 1):
            yield (("attribute", name), *rest)


def _kinds(roots):
    """All types that have operations, in and within these."""
    found = {}
    todo = list(roots)
    while todo:
        kind = todo.pop()
        if kind in found:
            continue
        found[kind] = None
        if isinstance(kind, tuple) and kind[0] != "set":
            todo.append(kind[-1])
        todo.extend(ATTRIBUTES.get(kind, {}).values())
    return [kind for kind in found if group_of(kind) in OPERATIONS]


def _is_nested(kind):
    """True if a cell of such a field holds containers within its value."""
    if kind in ATTRIBUTES:
        return True
    inner = kind[-1] if isinstance(kind, tuple) and kind[0] == "dict" else kind
    return isinstance(inner, tuple) and is_mutable(inner[-1]) or inner in ATTRIBUTES


def _holds_sets(kind, seen=()):
    """True if there may be a set in a value, the order of which depends on what was in it before."""
    if kind in seen:
        return False
    if kind in ATTRIBUTES:
        return any(_holds_sets(part, (*seen, kind)) for part in ATTRIBUTES[kind].values())
    return isinstance(kind, tuple) and (kind[0] == "set" or any(_holds_sets(part, seen) for part in kind[1:]))


def _fits(condition, kind):
    if not condition:
        return True
    if condition == "anykey":
        return kind[1] in ("str", "any")
    element = kind[-1]
    if condition == "flat":
        return not is_mutable(element)
    if condition == "text":
        return not _holds_sets(element)
    if condition == "ordered":
        return element in ("int", "str", "float") or element == ("list", "int")
    return element == condition
