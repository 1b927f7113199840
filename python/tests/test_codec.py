"""Values to bytes and back, and what is refused."""

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import marshal
import types
import unittest
import uuid

import fake  # noqa: F401 (makes the package importable)

from sostenuto.worker import codec


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    tags: frozenset = frozenset()


@dataclasses.dataclass
class Strict:
    n: int
    doubled: int = dataclasses.field(init=False)
    items: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        if self.n < 0:
            raise ValueError("negative")
        self.doubled = 2 * self.n


class Color(enum.Enum):
    RED = 1
    PAIR = (1, "x")


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):
    YES = "yes"


class Perm(enum.Flag):
    READ = 1
    WRITE = 2


REGISTERED = [Point, Frozen, Strict, Color, Level, Word, Perm]

VALUES = [
    None, True, False, 0, -1, 2**31, -(2**31) - 1, 2**63, 2**64, -(2**200), 1.5, -0.0, float("inf"), 1e-320,
    "", "text", "ünïcödé", "日本語", "한국어 \ued00", "😀", b"", b"\x00\xff", 3 + 4j,
    [], [1, [2, [3]]], (), (1,), (1, "a", None), {}, {"a": {"b": [1]}}, {1: "a", "1": "b", None: 0, (1, 2): 3, b"x": 4},
    set(), {1, 2, 3}, frozenset(), frozenset({"a", (1, 2)}), {"s": {1}},
    decimal.Decimal("1.10"), decimal.Decimal("-Infinity"), decimal.Decimal("sNaN123"), [decimal.Decimal(0)],
    dt.datetime(2024, 2, 29, 12, 30, 15, 123456), dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
    dt.datetime(2024, 10, 27, 2, 30, fold=1), dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
    dt.date(2024, 2, 29), dt.time(1, 2, 3, 4), dt.time(23, 59, tzinfo=dt.timezone.utc), dt.time(2, fold=1),
    dt.timedelta(days=-1, seconds=5, microseconds=7), uuid.UUID(int=5), {uuid.UUID(int=6): {decimal.Decimal(1)}},
    Point(1, [2]), Point(1, Point(2)), Frozen("a", frozenset({1})), {Frozen("k"): 1}, Strict(3), {Frozen("in a set")},
    Color.RED, Color.PAIR, Level.LOW, Word.YES, Perm.READ | Perm.WRITE, [Level.LOW, 1], {Color.RED: Word.YES},
]  # fmt: skip


class Codec(unittest.TestCase):
    def setUp(self):
        codec.registry.clear()
        for cls in REGISTERED:
            codec.registry.add(f"app.{cls.__name__}", cls)
        self.addCleanup(codec.registry.clear)


class RoundTrip(Codec):
    def test_every_kind(self):
        for value in VALUES:
            with self.subTest(value=value):
                back = codec.decode(codec.encode(value))
                self.assertEqual(self.typed(back), self.typed(value))

    def test_nested(self):
        for value in VALUES:
            nested = {"list": [value, (value,)]}
            self.assertEqual(self.typed(codec.decode(codec.encode(nested))), self.typed(nested))

    def typed(self, value):
        """`repr` shows types, fold, signs and NaN; sets are sorted by it."""
        if type(value) in (set, frozenset):
            return (type(value).__name__, sorted(map(repr, map(self.typed, value))))
        if type(value) in (list, tuple):
            return (type(value).__name__, [self.typed(part) for part in value])
        if type(value) is dict:
            return ("dict", [(self.typed(key), self.typed(part)) for key, part in value.items()])
        return (type(value), repr(value))

    def test_decoded_afresh(self):
        data = codec.encode([Point([])])
        self.assertIsNot(codec.decode(data)[0].x, codec.decode(data)[0].x)

    def test_builtins_are_marshals_own(self):
        for value in ({"a": [1, 2.5, (None, True)]}, "x", 5, b"y", [{1, 2}]):
            self.assertEqual(codec.encode(value), marshal.dumps(value, 2))

    def test_extension_tuples(self):
        forms = {
            decimal.Decimal("1.10"): (..., 4, "1.10"),
            dt.datetime(2024, 1, 1, fold=1): (..., 5, "2024-01-01T00:00:00;1"),
            dt.timedelta(-1, 2, 3): (..., 6, -1, 2, 3),
            uuid.UUID(int=1): (..., 7, bytes(15) + b"\x01"),
            Frozen("a"): (..., 9, "app.Frozen", (("name", "a"), ("tags", frozenset()))),
            Color.PAIR: (..., 10, "app.Color", (1, "x")),
            dt.date(2024, 1, 2): (..., 12, "2024-01-02"),
            dt.time(1, 2): (..., 13, "01:02:00"),
        }
        for value, form in forms.items():
            self.assertEqual(marshal.loads(codec.encode(value)), form)

    def test_ordinary_text_that_looks_like_an_extension(self):
        for value in ("\0\0.i", [b"\0\0.i\x04", ("x",)], {"\0\0.i": ["\0\0.i"]}):
            self.assertEqual(codec.decode(codec.encode(value)), value)


class Records(Codec):
    def stored(self, *fields):
        return marshal.dumps((..., 9, "app.Strict", fields), 2)

    def test_init_is_not_run(self):
        record = codec.decode(self.stored(("n", -5), ("doubled", 1), ("items", [])))
        self.assertEqual(vars(record), {"n": -5, "doubled": 1, "items": []})

    def test_a_missing_field_takes_its_default(self):
        self.assertEqual(vars(codec.decode(self.stored(("n", 1), ("doubled", 2))))["items"], [])

    def test_a_missing_field_without_default(self):
        with self.assertRaisesRegex(TypeError, "has no field 'n'"):
            codec.decode(self.stored(("doubled", 2)))

    def test_a_foreign_field_is_kept(self):
        data = self.stored(("n", 1), ("doubled", 2), ("items", []), ("later", (..., 4, "1")))
        self.assertEqual(codec.encode(codec.decode(data)), data)

    def test_an_unknown_class(self):
        with self.assertRaisesRegex(LookupError, r"app\.Gone"):
            codec.decode(marshal.dumps((..., 9, "app.Gone", ()), 2))


class Refused(Codec):
    def refuse(self, value, path, message):
        with self.assertRaises(codec.Unstorable) as caught:
            codec.encode(value)
        self.assertEqual(caught.exception.path, path)
        self.assertIn(message, str(caught.exception))

    def test_what_marshal_would_take(self):
        code = (lambda: 0).__code__
        for value in (code, ..., StopIteration, bytearray(b"x"), memoryview(b"x"), array.array("i", [1])):
            with self.subTest(value=value):
                self.refuse(value, "", "")
                self.refuse({"a": [1, value]}, "['a'][1]", "")
        self.refuse({"a": (bytearray(b"x"),)}, "['a'][0]", "use bytes")
        self.refuse({(1, ...): 2}, "[key (1, Ellipsis)][1]", "")

    def test_subclasses_of_builtins(self):
        Pair = collections.namedtuple("Pair", "a b")
        self.refuse([collections.OrderedDict()], "[0]", "use dict")
        self.refuse(collections.defaultdict(list), "", "setdefault")
        self.refuse(collections.Counter(), "", "use dict")
        self.refuse(collections.deque(), "", "use list")
        self.refuse({"p": Pair(1, 2)}, "['p']", "a tuple")
        self.refuse(type("MyInt", (int,), {})(5), "", "an int")

    def test_code_and_unknown_types(self):
        self.refuse([len], "[0]", "code, not data")
        self.refuse({"f": lambda: 0}, "['f']", "code, not data")
        self.refuse(int, "", "code, not data")
        self.refuse(types.SimpleNamespace(), "", "SimpleNamespace")
        self.refuse((n for n in ()), "", "list")
        self.refuse(Other.A, "", "not defined in the application")
        self.refuse(Outside(1), "", "not defined at the top level")

    def test_long_containers(self):
        plain = {f"key {number}": number for number in range(5_000)}
        for value in (plain, [*plain], {"a": plain, "b": [plain, ("ꏭ", "힟", 0xED)]}, {*plain}, tuple(plain.values())):
            with self.subTest(str(value)[:40]):
                self.assertEqual(codec.decode(codec.encode(value)), value)
                self.assertEqual(codec.encode(value), codec.encode_slowly(value))
        for bad, words in ((object(), "builtins.object"), ("\ud800", "lone surrogate"), (1 << 600_000, "int")):
            for value in ([*range(237), bad], {**plain, "x": bad}, {"inner": {**plain, "x": [bad]}}):
                with self.subTest(f"{words} in a {type(value).__name__}"), self.assertRaisesRegex(codec.Unstorable, words):
                    codec.encode(value)

    def test_what_changed_in_a_long_container(self):
        sets = [{8 * number for number in range(100)}, set(reversed([8 * number for number in range(100)]))]
        plain = {f"key {number}": number for number in range(5_000)}
        for value, other, changed in (
            (plain, {**plain, "key 60": 61}, True),
            (plain, dict(plain), False),
            ([plain, sets[0]], [plain, sets[1]], False),
            ([plain, sets[0]], [plain, {*sets[1], 1} - {8}], True),
            ({"a": [[sets[0]]], **plain}, {"a": [[sets[1]]], **plain}, False),
            (plain, [*plain], True),
        ):
            with self.subTest(f"a {type(value).__name__} {changed}"):
                data = codec.encode_changed(other, codec.encode(value))
                self.assertEqual(data is not None, changed)
                self.assertTrue(data is None or codec.decode(data) == other)

    def test_lone_surrogates(self):
        self.refuse("a\ud800", "", "lone surrogate")
        self.refuse({"a": ["ok", "\udfff"]}, "['a'][1]", "lone surrogate")
        self.refuse({"\ud800": 1}, "[key '\\ud800']", "lone surrogate")

    def test_cycles_and_depth(self):
        cycle = {"a": []}
        cycle["a"].append(cycle)
        self.refuse(cycle, "['a'][0]", "contains itself")
        point = Point(1)
        point.y = [point]
        self.refuse(point, ".y[0]", "contains itself")
        deep = []
        for _ in range(199):
            deep = [deep]
        codec.decode(codec.encode(deep))
        self.refuse([deep], "[0]" * 200, "deeper than 200")

    def test_shared_objects_are_no_cycle(self):
        shared = [Point(1)]
        self.assertEqual(codec.decode(codec.encode([shared, shared])), [shared, shared])

    def test_places_within_records(self):
        self.refuse({"p": Point(1, [0, {1, object}])}, "['p'].y[1]{<class 'object'>}", "code")
        point = Point(1)
        point.extra = 5
        self.refuse(point, "", "'extra', which is no field")

    def test_zones_that_would_be_lost(self):
        import zoneinfo

        try:
            zone = zoneinfo.ZoneInfo("Europe/Berlin")
        except zoneinfo.ZoneInfoNotFoundError:
            self.skipTest("no time zones on this machine")
        self.refuse([dt.datetime(2024, 1, 1, tzinfo=zone)], "[0]", "lose the zone")
        named = dt.timezone(dt.timedelta(hours=1), "CET")
        self.refuse(dt.datetime(2024, 1, 1, tzinfo=named), "", "name")

    def test_large_ints(self):
        limit = 8 * codec.INT_BYTES_MAX - 1
        self.assertEqual(codec.decode(codec.encode(2**limit - 1)), 2**limit - 1)
        self.refuse([2**limit], "[0]", "an int of more than")
        self.refuse(2**limit, "", "an int of more than")


class Other(enum.Enum):
    A = 1


@dataclasses.dataclass
class Outside:
    a: int


class Same(unittest.TestCase):
    def test_types_matter_and_order_of_sets_does_not(self):
        def same(one, other):
            return codec.same(codec.encode(one), codec.encode(other))

        first = {f"k{n}" for n in range(40)}
        second = set(sorted(first, reverse=True))
        self.assertTrue(same(first, second))
        self.assertTrue(same({"a": [first]}, {"a": [second]}))
        self.assertFalse(same({1}, {True}))
        self.assertFalse(same([1, {1}], [True, {1}]))
        self.assertFalse(same({1}, frozenset({1})))
        self.assertFalse(same("<a", "<b"))
        self.assertFalse(same({"a": 1, "b": {2}}, {"b": {2}, "a": 1}))


if __name__ == "__main__":
    unittest.main()
