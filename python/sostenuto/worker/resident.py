"""Values that this process keeps: the server sends a name in place of a large value that was here before, and user code
gets the object that was decoded of it, if nobody else has it.

A name stands for content and never for anything else, so what is kept cannot be out of date. Only the server decides
what is given up. What it knows of this is in `crates/protocol/src/worker/resident.rs`.
"""

from sys import getrefcount

from sostenuto.worker import codec
from sostenuto.worker.codec import IMMUTABLE, is_flat

#: Messages with cells, and where these are in them: START, RESUME, FETCHED.
_SLICES = {1: 10, 2: 4, 4: 2}
_END = 10
#: Containers of which the object is kept. (A set comes back in another order than the one that it had.)
_KINDS = frozenset({dict, list, tuple})
#: No object is kept.
_NONE = object()


class Kept:
    """A value: its bytes, and the object that they say if there is one that only we have."""

    __slots__ = ("data", "is_flat", "value")

    def __init__(self, data):
        self.data = data
        self.value = _NONE
        #: Nothing in it can change; None if nobody has looked.
        self.is_flat = None


class Resident:
    """The values that this process keeps."""

    def __init__(self):
        #: Values of fewer bytes are not kept.
        self.bytes_min = float("inf")
        self.names = {}
        #: The same, by the identity of their bytes.
        self.found = {}
        #: What the current step has read or written: its bytes, whether they are new, and the object, or `_NONE`.
        self.candidates = []
        self._next = 1

    def receive(self, frame):
        """Takes the last message of a frame, which has names in it, and puts values in their places."""
        _, gone = frame.pop()
        for message in frame:
            at = _SLICES.get(message[0])
            shipped = None if at is None else message[at]
            if shipped is not None:
                self._fill_in(shipped[0])
        for name in gone:
            kept = self.names.pop(name, None)
            if kept is not None:
                self.found.pop(id(kept.data), None)

    def _fill_in(self, cells):
        for index, (field, key, value, incarnation) in enumerate(cells):
            kind = type(value)
            if kind is int:
                value = self.names[value].data
            elif kind is tuple:
                name, value = value
                self._keep(name, value)
            else:
                continue
            cells[index] = (field, key, value, incarnation)

    def _keep(self, name, data):
        kept = self.names[name] = self.found[id(data)] = Kept(data)
        return kept

    def decode(self, data):
        """The value of a cell that user code asks for."""
        kept = self.found.get(id(data))
        if kept is None:
            return codec.decode(data)
        value = kept.value
        if value is not _NONE:
            if type(value) in IMMUTABLE:
                return value
            kept.value = _NONE
            # This name and the argument.
            if getrefcount(value) == 2:
                return value
        value = codec.decode(data)
        if type(value) in IMMUTABLE:
            kept.value = value
        return value

    def read(self, data, value):
        """User code has this object of a cell and left it as these bytes say."""
        if type(value) in _KINDS and id(data) in self.found:
            self.candidates.append((data, False, value))

    def wrote(self, data, value):
        """The server gets these bytes. `value` may be given to user code again; None if it is none for that, as objects of a
        held field are: whoever holds them is found by counting."""
        self.candidates.append((data, True, value if type(value) in _KINDS else _NONE))

    def announce(self, end):
        """A step has ended with this message. If it is an END: keeps what the step has written, and says so there, and the
        objects that it leaves."""
        if end[0] != _END:
            return self.candidates.clear()
        writes, candidates = end[6], self.candidates
        places = {id(write[2]): index for index, write in enumerate(writes)}
        while candidates:
            data, is_new, value = candidates.pop()
            if is_new:
                place = places.get(id(data))
                if place is None:
                    continue
                name, self._next = self._next, self._next + 2
                writes[place] = (*writes[place], name)
                kept = self._keep(name, data)
            else:
                kept = self.found.get(id(data))
            # Whoever else has it could change it later. (This name and the argument are two.)
            if kept is not None and value is not _NONE and getrefcount(value) == 2:
                if kept.is_flat is None:
                    kept.is_flat = is_flat(value)
                if kept.is_flat:
                    kept.value = value


#: Of this process.
resident = Resident()
