"""Random operations on a dict: the same text runs on a real dict here and on a persistent field in a worker."""

import copy
import random

SOURCE = '''
def exercise(owner, script):
    """What each operation gives, as text. `owner.d` is the dict."""
    return [_one(owner, operation) for operation in script]


def _one(owner, operation):
    name, *args = operation
    try:
        return repr(_OPERATIONS[name](owner, *args))
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("DictView", "dict")


def _set(owner, key, value):
    owner.d[key] = value


def _delete(owner, key):
    del owner.d[key]


def _assign(owner, value):
    held = owner.d
    owner.d = value
    return len(held), owner.d is held


def _assign_self(owner):
    held = owner.d
    owner.d = owner.d
    return owner.d is held


def _or_assign(owner, other):
    owner.d |= other
    return owner.d


def _append(owner, key, item):
    owner.d[key].append(item)
    return owner.d[key]


def _bump(owner, key):
    owner.d[key] += 1


def _same(owner, key):
    return owner.d[key] is owner.d[key], owner.d[key] is owner.d.get(key)


def _change_while_iterating(owner, what, key):
    for index, each in enumerate(owner.d):
        if what == "insert" and index == 0:
            owner.d[key] = [0]
        if what == "delete" and index == 1:
            del owner.d[each]
        if what == "replace":
            owner.d[each] = [index]
        if what == "clear":
            owner.d.clear()


def _aliased(owner, key, item):
    fresh = {key: [item]}
    owner.d = fresh
    fresh["later"] = [item]
    fresh[key].append(item)
    return owner.d


def _match(owner, key):
    match owner.d:
        case {"a": found}:
            return found
    return None


_OPERATIONS = {
    "get": lambda owner, key: owner.d[key],
    "get_default": lambda owner, key, default: owner.d.get(key, default),
    "get_none": lambda owner, key: owner.d.get(key),
    "set": _set,
    "delete": _delete,
    "in": lambda owner, key: (key in owner.d, key not in owner.d),
    "pop": lambda owner, key: owner.d.pop(key),
    "pop_default": lambda owner, key, default: owner.d.pop(key, default),
    "popitem": lambda owner: owner.d.popitem(),
    "setdefault": lambda owner, key, value: owner.d.setdefault(key, value),
    "setdefault_append": lambda owner, key, value: owner.d.setdefault(key, []).append(value),
    "update": lambda owner, other: owner.d.update(other),
    "update_pairs": lambda owner, pairs: owner.d.update(pairs),
    "update_named": lambda owner, value: owner.d.update(a=value, z=value),
    "clear": lambda owner: owner.d.clear(),
    "len": lambda owner: len(owner.d),
    "bool": lambda owner: bool(owner.d),
    "iter": lambda owner: [key for key in owner.d],
    "reversed": lambda owner: list(reversed(owner.d)),
    "keys": lambda owner: (owner.d.keys(), list(reversed(owner.d.keys())), len(owner.d.keys())),
    "values": lambda owner: (owner.d.values(), list(reversed(owner.d.values()))),
    "items": lambda owner: (owner.d.items(), list(reversed(owner.d.items()))),
    "in_keys": lambda owner, key: key in owner.d.keys(),
    "in_values": lambda owner, value: value in owner.d.values(),
    "in_items": lambda owner, key, value: (key, value) in owner.d.items(),
    "keys_and": lambda owner, keys: len(owner.d.keys() & set(keys)),
    "keys_or": lambda owner, keys: len(owner.d.keys() | set(keys)),
    "equal": lambda owner, other: (owner.d == other, other == owner.d, owner.d != other),
    "or": lambda owner, other: owner.d | other,
    "ror": lambda owner, other: other | owner.d,
    "or_assign": _or_assign,
    "copy": lambda owner: (type(owner.d.copy()).__name__, owner.d.copy()),
    "repr": lambda owner: owner.d,
    "text": lambda owner: f"{owner.d}",
    "dict": lambda owner: dict(owner.d),
    "unpack": lambda owner: {**owner.d, "more": 1},
    "comprehension": lambda owner: {key: value for key, value in owner.d.items()},
    "sorted": lambda owner: sorted(owner.d, key=repr),
    "append": _append,
    "bump": _bump,
    "same": _same,
    "assign": _assign,
    "assign_self": _assign_self,
    "change_while_iterating": _change_while_iterating,
    "aliased": _aliased,
    "match": _match,
    "unhashable": lambda owner: owner.d[[]],
    "set_unhashable": lambda owner: owner.d.update([([], 1)]),
    "bad_pairs": lambda owner: owner.d.update([("a", 1), (1, 2, 3)]),
    "bad_pair": lambda owner: owner.d.update([1]),
    "bad_update": lambda owner: owner.d.update(5),
    "less": lambda owner: owner.d < {},
    "add": lambda owner: owner.d + {},
    "attribute": lambda owner: owner.d.nothing,
    "fromkeys": lambda owner: owner.d.fromkeys(["a"]),
}
'''

KEYS = ["a", "b", "c", "key", 1, True, 1.0, 0, False, 2, None, (1, "x"), (1.0, "x"), b"a", frozenset({1, 2}), -(2**70)]
#: Kinds of arguments by operation; the rest take none.
_ARGUMENTS = {
    "get": "k", "get_default": "kv", "get_none": "k", "set": "kv", "delete": "k", "in": "k", "pop": "k",
    "pop_default": "kv", "setdefault": "kv", "setdefault_append": "kv", "update": "d", "update_pairs": "p",
    "update_named": "v", "in_keys": "k", "in_values": "v", "in_items": "kv", "keys_and": "s", "keys_or": "s",
    "equal": "d", "or": "d", "ror": "d", "or_assign": "d", "append": "kv", "bump": "k", "same": "k", "assign": "d",
    "change_while_iterating": "wk", "aliased": "kv", "match": "k",
}  # fmt: skip
_COMMON = ["get", "set", "set", "set", "delete", "delete", "in", "pop", "append", "setdefault_append", "bump", "get_none"]


def operations():
    """Names of all operations."""
    scope = {}
    exec(SOURCE, scope)
    return list(scope["_OPERATIONS"])


def plain():
    """`exercise` for a real dict; the script is copied, as an argument of a service is."""
    scope = {"__name__": "plain"}
    exec(SOURCE, scope)
    return lambda owner, script: scope["exercise"](owner, copy.deepcopy(script))


def script(dice: random.Random, names, length):
    """Operations with arguments."""
    chosen = [dice.choice(_COMMON) if dice.random() < 0.5 else dice.choice(names) for _ in range(length)]
    return [[name, *(_argument(dice, kind) for kind in _ARGUMENTS.get(name, ""))] for name in chosen]


def _argument(dice, kind):
    if kind == "k":
        return dice.choice(KEYS)
    if kind == "v":
        return _value(dice)
    if kind == "d":
        return {dice.choice(KEYS): _value(dice) for _ in range(dice.randrange(4))}
    if kind == "p":
        return [(dice.choice(KEYS), _value(dice)) for _ in range(dice.randrange(4))]
    if kind == "s":
        return [dice.choice(KEYS) for _ in range(3)]
    return dice.choice(["insert", "delete", "replace", "clear", "nothing"])


def _value(dice):
    return dice.choice([0, 1, "text", [], [1], None, {"n": [1]}, 2.5, (1, [2])])
