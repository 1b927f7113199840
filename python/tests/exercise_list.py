"""Random operations on a list: the same text runs on a real list here and on a persistent field in a worker."""

import copy
import random

SOURCE = '''
import copy as _copy
import heapq as _heapq
import json as _json


def exercise(owner, script):
    """What each operation gives, as text. `owner.l` is the list."""
    return [_one(owner, operation) for operation in script]


def _one(owner, operation):
    name, *args = operation
    try:
        return repr(_OPERATIONS[name](owner, *args))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class _Index:
    def __init__(self, index):
        self.index = index

    def __index__(self):
        return self.index


def _set(owner, index, value):
    owner.l[index] = value


def _set_slice(owner, first, last, step, values):
    owner.l[first:last:step] = values


def _set_slice_generator(owner, first, last, values):
    owner.l[first:last] = (value for value in values)


def _set_slice_self(owner, first, last):
    owner.l[first:last] = owner.l


def _delete(owner, index):
    del owner.l[index]


def _delete_slice(owner, first, last, step):
    del owner.l[first:last:step]


def _assign(owner, values):
    held = owner.l
    owner.l = values
    held.append(1)
    return len(held), owner.l is held


def _assign_self(owner):
    held = owner.l
    owner.l = owner.l
    return owner.l is held


def _assign_slice(owner, first, last):
    owner.l = owner.l[first:last]


def _aliased(owner, value):
    fresh = [value]
    owner.l = fresh
    fresh.append(value)
    owner.l.append([1])
    return fresh, owner.l


def _add_assign(owner, values):
    owner.l += values
    return len(owner.l)


def _add_assign_to_other(owner, values):
    same = values
    values += owner.l
    return same is values, len(same)


def _mul_assign(owner, times):
    owner.l *= times
    return len(owner.l)


def _change(owner, index):
    owner.l[index].append(1)
    return owner.l[index]


def _change_all(owner):
    for each in owner.l:
        if type(each) is list and len(each) < 6:
            each.append(0)


def _bump(owner, index):
    owner.l[index] += 1


def _same(owner, index):
    return owner.l[index] is owner.l[index], owner.l[index] is owner.l[index - len(owner.l)]


def _change_while_iterating(owner, what):
    seen = []
    for each in owner.l:
        seen.append(each)
        if len(seen) == 70:
            break
        if what == "append" and len(seen) % 7 == 0:
            owner.l.append(len(seen))
        if what == "pop":
            owner.l.pop()
        if what == "pop_first" and len(seen) % 3 == 0:
            owner.l.pop(0)
        if what == "insert" and len(seen) == 5:
            owner.l.insert(0, "new")
        if what == "clear" and len(seen) == 3:
            owner.l.clear()
        if what == "assign" and len(seen) == 3:
            owner.l = [1]
    return seen


def _exhausted(owner):
    found = iter(owner.l)
    count = sum(1 for _ in found)
    owner.l.append(0)
    return count, list(found)


def _reversed_while_popping(owner):
    seen = []
    for each in reversed(owner.l):
        seen.append(each)
        if len(seen) < 9:
            owner.l.pop()
    return seen


def _sort_and_append(owner):
    def key(value):
        owner.l.append(value)
        return 0

    owner.l.sort(key=key)


def _sort_and_look(owner):
    return owner.l.sort(key=lambda value: (len(owner.l), repr(value)))


def _queue(owner, values):
    for value in values:
        owner.l.append(value)
    return [owner.l.pop(0) for _ in values]


def _stack(owner, values):
    for value in values * 40:
        owner.l.append(value)
    return [owner.l.pop() for _ in values * 30]


def _prepend(owner, values):
    for value in values * 20:
        owner.l.insert(0, value)


def _drain(owner, count):
    return [owner.l.pop(0) for _ in range(count)]


def _unpack(owner):
    first, *rest, last = owner.l
    return first, len(rest), last


def _match(owner):
    match owner.l:
        case []:
            return "empty"
        case [one]:
            return one
        case [first, *_, last]:
            return first, last


def _nested(owner):
    owner.l.append([each for each in owner.l[:2] if type(each) is not list])
    owner.l.append([type(each).__name__ for each in owner.l[-3:]])


def _heap(owner, values):
    """Heap operations of which any may fail: elements need not be comparable."""
    _heapq.heapify(owner.l)
    for value in values:
        _heapq.heappush(owner.l, value)
    return [_heapq.heappushpop(owner.l, value) for value in values], _heapq.heappop(owner.l)


def _heap_of_numbers(owner, values):
    owner.l = [len(repr(each)) for each in owner.l]
    _heapq.heapify(owner.l)
    for number, value in enumerate(values):
        _heapq.heappush(owner.l, len(repr(value)) * 7 % 23)
        _heapq.heappushpop(owner.l, number)
    popped = [_heapq.heapreplace(owner.l, number) for number in range(5)]
    return popped, [_heapq.heappop(owner.l) for _ in values]


def _heap_step(owner, name, *values):
    """One operation on what may be no heap."""
    return getattr(_heapq, name)(owner.l, *values), _heapq.nsmallest(2, owner.l, key=repr)


def _raising(owner):
    def values():
        yield 1
        yield 2
        raise ValueError("no more")

    owner.l.extend(values())


def _growing(owner):
    before = len(owner.l)
    owner.l.extend(len(owner.l) for _ in range(5))
    return owner.l[before:]


_OPERATIONS = {
    "get": lambda owner, index: owner.l[index],
    "get_index": lambda owner, index: owner.l[_Index(index)],
    "get_bool": lambda owner: owner.l[True],
    "set": _set,
    "set_index": lambda owner, index, value: _set(owner, _Index(index), value),
    "delete": _delete,
    "slice": lambda owner, first, last, step: owner.l[first:last:step],
    "set_slice": _set_slice,
    "set_plain_slice": lambda owner, first, last, values: _set_slice(owner, first, last, None, values),
    "set_slice_generator": _set_slice_generator,
    "set_slice_self": _set_slice_self,
    "set_all": lambda owner, values: _set_slice(owner, None, None, None, values),
    "delete_slice": _delete_slice,
    "delete_plain_slice": lambda owner, first, last: _delete_slice(owner, first, last, None),
    "delete_all": lambda owner: _delete_slice(owner, None, None, None),
    "append": lambda owner, value: owner.l.append(value),
    "extend": lambda owner, values: owner.l.extend(values),
    "extend_generator": lambda owner, values: owner.l.extend(value for value in values),
    "extend_self": lambda owner: len(owner.l) < 200 and owner.l.extend(owner.l),
    "extend_raising": _raising,
    "extend_growing": _growing,
    "insert": lambda owner, index, value: owner.l.insert(index, value),
    "pop": lambda owner: owner.l.pop(),
    "pop_at": lambda owner, index: owner.l.pop(index),
    "pop_first": lambda owner: owner.l.pop(0),
    "remove": lambda owner, value: owner.l.remove(value),
    "clear": lambda owner: owner.l.clear(),
    "index": lambda owner, value: owner.l.index(value),
    "index_from": lambda owner, value, first, last: owner.l.index(value, first, last),
    "count": lambda owner, value: owner.l.count(value),
    "reverse": lambda owner: owner.l.reverse(),
    "sort": lambda owner: owner.l.sort(),
    "sort_key": lambda owner: owner.l.sort(key=repr, reverse=True),
    "sort_and_append": _sort_and_append,
    "sort_and_look": _sort_and_look,
    "len": lambda owner: len(owner.l),
    "bool": lambda owner: (bool(owner.l), not owner.l),
    "iter": lambda owner: [each for each in owner.l],
    "iter_some": lambda owner: next((each for each in owner.l if type(each) is str), None),
    "exhausted": _exhausted,
    "reversed": lambda owner: list(reversed(owner.l)),
    "reversed_while_popping": _reversed_while_popping,
    "change_while_iterating": _change_while_iterating,
    "in": lambda owner, value: (value in owner.l, value not in owner.l),
    "equal": lambda owner, other: (owner.l == other, other == owner.l, owner.l != other),
    "equal_self": lambda owner: (owner.l == owner.l, owner.l == list(owner.l), owner.l != owner.l[:]),
    "less": lambda owner, other: (owner.l < other, other <= owner.l, owner.l > other, other >= owner.l),
    "less_tuple": lambda owner: owner.l < (),
    "equal_tuple": lambda owner: owner.l == (),
    "add": lambda owner, other: owner.l + other,
    "add_self": lambda owner: len(owner.l + owner.l),
    "radd": lambda owner, other: other + owner.l,
    "add_tuple": lambda owner: owner.l + (1,),
    "radd_tuple": lambda owner: (1,) + owner.l,
    "add_number": lambda owner: owner.l + 1,
    "radd_number": lambda owner: 1 + owner.l,
    "radd_text": lambda owner: "a" + owner.l,
    "sub": lambda owner: owner.l - [],
    "add_assign": _add_assign,
    "add_assign_to_other": _add_assign_to_other,
    "add_assign_number": lambda owner: _add_assign(owner, 5),
    "mul": lambda owner, times: len(owner.l * times),
    "rmul": lambda owner, times: len(times * owner.l),
    "mul_text": lambda owner: owner.l * "a",
    "mul_self": lambda owner: owner.l * owner.l,
    "mul_assign": lambda owner, times: len(owner.l) < 150 and _mul_assign(owner, times),
    "copy": lambda owner: (type(owner.l.copy()).__name__, owner.l.copy()),
    "copy_copy": lambda owner: (_copy.copy(owner.l), _copy.deepcopy(owner.l)),
    "repr": lambda owner: owner.l,
    "text": lambda owner: f"{owner.l}",
    "list": lambda owner: list(owner.l),
    "tuple": lambda owner: tuple(owner.l),
    "star": lambda owner: [0, *owner.l],
    "unpack": _unpack,
    "match": _match,
    "heap": _heap,
    "heap_of_numbers": _heap_of_numbers,
    "heap_push": lambda owner, value: _heap_step(owner, "heappush", value),
    "heap_pop": lambda owner: _heap_step(owner, "heappop"),
    "heap_push_pop": lambda owner, value: _heap_step(owner, "heappushpop", value),
    "heap_replace": lambda owner, value: _heap_step(owner, "heapreplace", value),
    "json": lambda owner: _json.dumps(owner.l) == _json.dumps([*owner.l]) == _json.dumps({"l": owner.l})[6:-1],
    "json_lines": lambda owner: _json.dumps({"l": owner.l}, indent=1),
    "is_list": lambda owner: (isinstance(owner.l, list), owner.l.__class__.__name__, isinstance(owner.l, tuple)),
    "sorted": lambda owner: sorted(owner.l, key=repr),
    "sum": lambda owner: sum(each for each in owner.l if type(each) is int),
    "enumerate": lambda owner: [(index, each) for index, each in enumerate(owner.l) if index % 50 == 1],
    "zip": lambda owner: len(list(zip(owner.l, owner.l))),
    "min": lambda owner: min(owner.l, key=repr),
    "change": _change,
    "change_all": _change_all,
    "bump": _bump,
    "same": _same,
    "assign": _assign,
    "assign_self": _assign_self,
    "assign_slice": _assign_slice,
    "aliased": _aliased,
    "queue": _queue,
    "stack": _stack,
    "prepend": _prepend,
    "drain": _drain,
    "nested": _nested,
    "get_text": lambda owner: owner.l["a"],
    "set_text": lambda owner: _set(owner, "a", 1),
    "delete_text": lambda owner: _delete(owner, "a"),
    "get_huge": lambda owner: owner.l[2**80],
    "set_huge": lambda owner: _set(owner, 2**80, 1),
    "delete_huge": lambda owner: _delete(owner, -(2**80)),
    "pop_text": lambda owner: owner.l.pop("a"),
    "pop_huge": lambda owner: owner.l.pop(2**80),
    "insert_text": lambda owner: owner.l.insert("a", 1),
    "insert_huge": lambda owner: owner.l.insert(2**80, 1),
    "extend_number": lambda owner: owner.l.extend(5),
    "set_slice_number": lambda owner: _set_slice(owner, 1, 2, None, 5),
    "set_steps_number": lambda owner: _set_slice(owner, 0, 9, 2, 5),
    "slice_zero": lambda owner: owner.l[::0],
    "slice_text": lambda owner: owner.l["a":],
    "sort_position": lambda owner: owner.l.sort(repr),
    "hash": lambda owner: hash(owner.l),
    "as_key": lambda owner: {owner.l: 1},
    "call": lambda owner: owner.l(),
    "attribute": lambda owner: owner.l.nothing,
    "set_attribute": lambda owner: setattr(owner.l, "nothing", 1),
    "join": lambda owner: "".join(owner.l),
    "format": lambda owner: format(owner.l, ">5"),
    "int": lambda owner: int(owner.l),
}
'''

#: Kinds of arguments by operation; the rest take none.
_ARGUMENTS = {
    "get": "i", "get_index": "i", "set": "iv", "set_index": "iv", "delete": "i", "slice": "sst", "set_slice": "sstl",
    "set_plain_slice": "ssl", "set_slice_generator": "ssl", "set_slice_self": "ss", "set_all": "l",
    "delete_slice": "sst", "delete_plain_slice": "ss", "append": "v", "extend": "l", "extend_generator": "l",
    "insert": "iv", "pop_at": "i", "remove": "v", "index": "v", "index_from": "vii", "count": "v",
    "change_while_iterating": "w", "in": "v", "equal": "l", "less": "l", "add": "l", "radd": "l", "add_assign": "l",
    "add_assign_to_other": "l", "mul": "n", "rmul": "n", "mul_assign": "n", "change": "i", "bump": "i", "same": "i",
    "heap": "l", "heap_of_numbers": "l", "heap_push": "v", "heap_push_pop": "v", "heap_replace": "v", "assign": "L", "assign_slice": "ss", "aliased": "v", "queue": "l", "stack": "l", "prepend": "l", "drain": "d",
}  # fmt: skip
_COMMON = ["get", "set", "append", "append", "pop", "pop_first", "insert", "change", "slice", "len", "queue", "iter_some"]
_SHORTENING = {"clear", "delete_all", "assign", "assign_slice", "aliased", "delete_slice", "set_all", "set_slice_generator"}


def operations():
    """Names of all operations."""
    scope = {}
    exec(SOURCE, scope)
    return list(scope["_OPERATIONS"])


def plain():
    """`exercise` for a real list; the script is copied, as an argument of a service is."""
    scope = {"__name__": "plain"}
    exec(SOURCE, scope)
    return lambda owner, script: scope["exercise"](owner, copy.deepcopy(script))


def script(dice: random.Random, names, length):
    """Operations with arguments. What makes the list short is rarer than the rest."""
    chosen = [dice.choice(_COMMON) if dice.random() < 0.4 else dice.choice(names) for _ in range(length)]
    chosen = [dice.choice(_COMMON) if name in _SHORTENING and dice.random() < 0.6 else name for name in chosen]
    return [[name, *(argument(dice, kind) for kind in _ARGUMENTS.get(name, ""))] for name in chosen]


def elements(dice, count):
    """A list of `count` values."""
    return [value(dice) for _ in range(count)]


def argument(dice, kind):
    if kind == "i":
        return dice.choice([0, -1, 1, 5, 63, 64, 65, 127, 128, -64, -65, dice.randrange(-310, 310)])
    if kind == "s":
        return dice.choice([None, 0, -1, 1, 63, 64, 128, -3, dice.randrange(-310, 310), dice.randrange(-310, 310)])
    if kind == "t":
        return dice.choice([None, None, 1, 1, 2, -1, 3, -7])
    if kind == "l":
        return elements(dice, dice.choice([0, 1, 2, 3, 3, 5, 70]))
    if kind == "L":
        return elements(dice, dice.choice([0, 1, 30, 64, 65, 130, 200]))
    if kind == "n":
        return dice.choice([0, 1, 1, 2, 3, -1])
    if kind == "d":
        return dice.choice([1, 2, 30, 64, 70])
    if kind == "w":
        return dice.choice(["append", "pop", "pop_first", "insert", "clear", "assign", "nothing"])
    return value(dice)


def value(dice):
    """An element."""
    return dice.choice([0, 1, 7, "text", "a", [], [1], None, {"n": [1]}, 2.5, (1, [2]), dice.randrange(1000)])
