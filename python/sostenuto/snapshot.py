"""What objects hold at one moment, and giving it back to the same objects: how `sostenuto.memory` rolls back.

A name that refers to an object of a field still does after the rollback, as on a server. With a copy in the object's
place, the name would refer to an object that nobody stores.
"""

import copy
import dataclasses


class Snapshot:
    """What can be reached from some values now.

    What can be stored and changed (lists, dicts, sets, dataclasses) gets it back in place. Whatever else can change is
    replaced by a copy of now.
    """

    def __init__(self, values):
        memo = {}
        self._values = [copy.deepcopy(value, memo) for value in values]
        # Under its own identity, `deepcopy` keeps all that it copied alive: so no identity below is of two objects.
        copied = [value for value in memo.get(id(memo), ()) if _setter(type(value))]
        #: (object, copy of now)
        self._kept = [(value, memo[id(value)]) for value in copied]
        #: Identity of a copy to its object.
        self._objects = {id(kept): value for value, kept in self._kept}

    def give_back(self):
        """Gives all objects what they held; returns the values. Works once: they hold parts of the snapshot then."""
        for value, kept in self._kept:
            _setter(type(value))(value, kept, self._back)
        return [self._back(value) for value in self._values]

    def _back(self, kept):
        """The object that a copy was made of."""
        if type(kept) is tuple:
            return tuple(map(self._back, kept))
        return self._objects.get(id(kept), kept)


def _setter(kind):
    """What gives an object of this kind the contents of another one, or None if nothing does."""
    return _SETTERS.get(kind) or (_set_record if dataclasses.is_dataclass(kind) else None)


def _set_list(value, kept, back):
    value[:] = map(back, kept)


def _set_dict(value, kept, back):
    value.clear()
    value.update((back(key), back(part)) for key, part in kept.items())


def _set_set(value, kept, back):
    value.clear()
    value.update(map(back, kept))


def _set_record(value, kept, back):
    # Attributes may be in a dict, in slots, or in both.
    if hasattr(value, "__dict__"):
        _set_dict(value.__dict__, kept.__dict__, back)
    for field in dataclasses.fields(value):
        if hasattr(kept, field.name):
            object.__setattr__(value, field.name, back(getattr(kept, field.name)))


_SETTERS = {list: _set_list, dict: _set_dict, set: _set_set}
