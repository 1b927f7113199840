"""A list field as user code sees it: a sequence over a header and chunks of 64 elements.

`ListView` behaves as a list and is none (C code would find a subclass empty). The field lies in cells as
`protocol/src/list.rs` says: elements have positions from `start` on, chunk n holds the positions from 64 n on, and the
last chunk lies in the header. A view knows them as chunks (`_chunks`), of which it loads what is used, until the list is
short or an operation needs all of it: then it is one real list (`_items`), whose order, errors and behaviour while it is
changed are list's own. What leaves the step is the difference to the store, found by encoding again what may have changed.

If methods hold elements while they wait, each element that can be changed has a name, which stands beside it in its
chunk: wherever the element is when the method goes on, and whatever was put in its place, it is found or known to be gone.

`Cells` calls `_begin`, `_ship` (through `_base`), `_ship_whole`, `_assign`, `_finish`, `_candidates`, `_cells_of`, `_go_on`
and `_kill`; a view calls `ask`, `encode_key`, `name`, `not_storable` and `not_answered` of `Cells`.
"""

import sys
from collections.abc import MutableSequence
from opcode import opmap
from operator import index as as_index
from reprlib import recursive_repr

from sostenuto.worker import codec
from sostenuto.worker.codec import IMMUTABLE, decode, encode, encode_changed
from sostenuto.worker.held import Held, update
from sostenuto.worker.views import where

#: Positions of a chunk (`protocol/src/list.rs`).
CHUNK = 64
#: The header's key.
HEADER = None
#: Bytes of a cell (`protocol/src/limits.rs`).
CELL_BYTES_MAX = 256 * 1024
#: Chunks that are fetched one by one; more are fetched with the whole field.
_SINGLY_MAX = 4
_NOTHING = {}
_NO_RANGE = range(0)
_ABSENT = (None, None)
#: Elements that were stored before names were are named by their position, which is counted down from here.
_UNNAMED = -(1 << 60)
#: The journal has no cell in which a held element could have changed.
_UNCHANGED = object()

_BINARY_OP = opmap["BINARY_OP"]
#: The argument of that instruction for `+=`.
_INPLACE_ADD = 13


class ListView:
    """The live list of a list field."""

    __slots__ = (
        "_base",
        "_cells",
        "_changed",
        "_chunks",
        "_dirty",
        "_field",
        "_items",
        "_kept",
        "_named",
        "_names",
        "_places",
        "_seen",
        "_start",
        "_stored",
        "_tail",
        "_whole",
    )

    __hash__ = None
    __class__ = property(lambda self: list)

    #: Iterators go by index: they need nothing to go on after a suspension.
    _iterated = 0

    def __init__(self, cells, field):
        self._cells = cells
        self._field = field
        self._begin()

    # What the cells hold.

    def _begin(self):
        """Starts a step that knows nothing yet."""
        #: Key (`None` or a chunk's number) to (its bytes, value's bytes or None if absent), as far as it is known.
        self._base = {}
        #: The store's content is known altogether.
        self._whole = False
        #: Keys that user code looked at, to their bytes.
        self._seen = {}
        #: Numbers of the chunks that the store has besides the header; None until the header is known.
        self._stored = None
        #: Position of the first element.
        self._start = 0
        #: All elements, if they are known as one list.
        self._items = None
        #: Else the chunks that are loaded, by number, and the number of the one in the header.
        self._chunks = None
        self._tail = 0
        #: Keys whose chunks have changed but for what their elements hold; all have, if `_changed`.
        self._dirty = _NOTHING
        self._changed = False
        #: Ids of elements that were put here in this step, to the place.
        self._places = _NOTHING
        #: Id of an element to its name and itself; chunks that have names in the store.
        self._names = {}
        self._named = set()
        #: Name of an element that user code held when the step began, to itself and its position.
        self._kept = _NOTHING

    def _ship_whole(self, entries):
        """Takes the whole field from the server."""
        base = self._base
        for key_bytes, value, _ in entries:
            base.setdefault(decode(key_bytes), (key_bytes, value))
        self._whole = True

    def _kill(self, dead):
        """Makes every further use raise."""
        self._items = self._base = self._cells = dead
        self._stored = _NO_RANGE

    def _cell(self, key):
        """What the store has under a key."""
        base = self._base.get(key)
        if base is not None:
            return base
        key_bytes = self._cells.encode_key(self._field, key)
        if not self._whole:
            self._cells.ask(self._field, key_bytes)
            base = self._base.get(key)
            if base is None:
                self._cells.not_answered(self._field, key_bytes)
            return base
        base = self._base[key] = (key_bytes, None)
        return base

    def _look(self, key):
        """The same, for user code to see."""
        base = self._cell(key)
        self._seen[key] = base[0]
        return base[1]

    def _know_stored(self):
        """Learns which chunks the store has. Returns the header, or None if nothing was ever stored."""
        data = self._cell(HEADER)[1]
        if data is None:
            self._stored = _NO_RANGE
            return None
        header = decode(data)
        self._stored = range(min(header[0] // CHUNK, header[1]), header[1])
        return header

    def _load(self):
        """Learns the header, and with it a short list."""
        header = self._know_stored()
        self._seen[HEADER] = self._base[HEADER][0]
        if header is None:
            self._items = decode(self._field.initial)
            self._know(HEADER, 0, self._items, None)
            return
        self._start, self._tail, tail, *names = header
        self._know(HEADER, max(self._start, self._tail * CHUNK), tail, *names or (None,))
        if self._stored:
            self._chunks = {self._tail: tail}
        else:
            self._items = tail

    def _short(self):
        """All elements as one list, or None if they are known as chunks."""
        if self._stored is None:
            self._load()
        return self._items

    def _all(self):
        """All elements as one list."""
        items = self._short()
        if items is None:
            self._need(self._start // CHUNK, self._tail)
            items = []
            for number in range(self._start // CHUNK, self._tail):
                items += self._chunk(number)
            items += self._chunks[self._tail]
            self._changed = bool(self._dirty)
            self._items, self._chunks = items, None
        return items

    def _writable(self):
        """All elements as one list that is about to be changed."""
        items = self._all()
        self._changed = True
        return items

    def _need(self, first, last):
        """Gets chunks that will be used, at once if they are many. `last` is the one after them."""
        if self._whole or self._cells.replaying:
            return
        missing = 0
        for number in range(first, last):
            missing += number not in self._chunks and number not in self._base
        if missing > _SINGLY_MAX and missing * 4 > self._tail - self._start // CHUNK:
            self._cells.ask(self._field, ...)

    # Chunks.

    def _chunk(self, number):
        """The elements of a chunk that exists."""
        chunk = self._chunks.get(number)
        if chunk is None:
            data = self._look(number)
            if data is None:
                self._cells.not_answered(self._field, self._base[number][0])
            chunk, names = _parts(decode(data))
            self._know(number, max(self._start, number * CHUNK), chunk, names)
            self._chunks[number] = chunk
        return chunk

    def _know(self, key, position, elements, names):
        """Elements come from the store: notes their names, and puts those that user code holds into their places."""
        if names is None:
            if not self._field.held:
                return
        else:
            self._named.add(key)
        kept, known = self._kept, self._names
        for place, value in enumerate(elements):
            if type(value) in IMMUTABLE:
                continue
            name = _UNNAMED - position - place if names is None else names[place]
            if name in kept:
                value = elements[place] = kept[name][0]
            known[id(value)] = (name, value)

    def _mark(self, key):
        if self._dirty is _NOTHING:
            self._dirty = set()
        self._dirty.add(key)

    def _count(self):
        """Number of elements, known as chunks."""
        return self._tail * CHUNK + len(self._chunks[self._tail]) - self._start

    def _at(self, index):
        """Number and elements of the chunk with an index that exists, and its place there."""
        position = self._start + index
        number = position // CHUNK
        return number, self._chunk(number), position - max(self._start, number * CHUNK)

    def _push(self, value):
        tail = self._chunks[self._tail]
        if len(tail) == CHUNK:
            # The full chunk becomes a cell; its lock is taken by looking at it.
            self._look(self._tail)
            self._mark(self._tail)
            self._tail += 1
            tail = self._chunks[self._tail] = []
        tail.append(value)
        self._mark(HEADER)

    def _pull(self):
        """Takes the last element out."""
        tail = self._chunks[self._tail]
        if not tail:
            del self._chunks[self._tail]
            tail = self._chunk(self._tail - 1)
            self._tail -= 1
        value = tail.pop()
        self._mark(HEADER)
        self._settle()
        return value

    def _push_first(self, value):
        number = (self._start - 1) // CHUNK
        if self._start % CHUNK == 0:
            self._look(number)
            self._chunks[number] = [value]
        else:
            self._chunk(number).insert(0, value)
        self._start -= 1
        self._mark(number)
        self._mark(HEADER)

    def _drop_first(self, count):
        """Takes elements out at the beginning."""
        start = self._start + count
        number = start // CHUNK
        if start % CHUNK:
            chunk = self._chunk(number)
            del chunk[: start - max(self._start, number * CHUNK)]
            self._mark(number)
        for gone in [gone for gone in self._chunks if gone < number]:
            del self._chunks[gone]
        self._start = start
        self._mark(HEADER)
        self._settle()

    def _settle(self):
        """Goes on with one list when there are no chunks besides the header any more."""
        if self._start // CHUNK >= self._tail:
            self._items, self._chunks, self._changed = self._chunks[self._tail], None, True

    def _cut(self, first):
        """Takes the elements from an index on out and returns them."""
        number, chunk, place = self._at(first)
        self._need(number, self._tail)
        taken = chunk[place:]
        for following in range(number + 1, self._tail + 1):
            taken += self._chunk(following)
        del chunk[place:]
        for gone in [gone for gone in self._chunks if gone > number]:
            del self._chunks[gone]
        self._tail = number
        self._mark(HEADER)
        self._settle()
        return taken

    def _splice(self, first, last, new):
        """Puts `new` in the place of the elements from `first` to before `last`; what follows is rewritten."""
        count = self._count()
        if first == 0 and last == count:
            self.clear()
            self._items += new
        elif first == 0 and not new:
            self._drop_first(last)
        elif first == count or first * 2 > count:
            rest = self._cut(first)[last - first :] if first < count else ()
            for value in (*new, *rest):
                self._append(value)
        else:
            self._writable()[first:last] = new

    def _stow(self, value):
        """What the list gets when a value is put into it; remembers the place."""
        kind = type(value)
        if kind in IMMUTABLE:
            return value
        if kind in codec.copied:
            value = codec.copied[kind](value)
        if self._places is _NOTHING:
            self._places = {}
        self._places[id(value)] = where()
        return value

    def _assign(self, value):
        """The view of the field after `self.field = value`; this one keeps what it shows."""
        view = ListView(self._cells, self._field)
        view._base, view._seen, view._whole = self._base, self._seen, self._whole
        view._names = self._names
        view._places = {...: where()}
        view._items, view._changed = value, True
        view._stored = _NO_RANGE
        if not self._cells.replaying:
            view._know_stored()
            if view._stored and not self._whole:
                # All chunks go, so all are locked.
                self._cells.ask(self._field, ...)
                view._whole = self._whole = True
        return view

    # What the step changed.

    def _finish(self, reads, wholes, writes):
        """Appends what user code read and what is different from the store."""
        field = self._field.name
        for key_bytes in self._seen.values():
            reads.append((field, key_bytes))
        if self._stored is None:
            if not self._kept:
                return
            self._load()
        if self._items is None:
            self._load_kept()
            self._finish_chunks(writes)
        elif self._changed or not _all_immutable(self._items):
            self._finish_items(writes)

    def _finish_items(self, writes):
        items, start = self._items, self._start
        try:
            if self._base[HEADER][1] is None and encode_changed(items, self._field.initial) is None:
                return
        except codec.Unstorable as problem:
            self._refuse(items, 0, problem)
        if not items:
            start = 0
        end = start + len(items)
        stored = self._stored
        # A chunk that just became full stays in the header, and one that just became empty stays a cell.
        tail = stored.stop if stored and 0 <= end - stored.stop * CHUNK <= CHUNK else max(end - 1, start) // CHUNK
        present = range(min(start // CHUNK, tail), tail)
        for number in present:
            first = max(number * CHUNK - start, 0)
            self._write(number, first, items[first : (number + 1) * CHUNK - start], writes)
        rest = max(tail * CHUNK - start, 0)
        self._write(HEADER, rest, items[rest:], writes, (start, tail))
        self._forget(present, writes)

    def _finish_chunks(self, writes):
        dirty, start, tail = self._dirty, self._start, self._tail
        for number, chunk in self._chunks.items():
            if number < tail and (number in dirty or not _all_immutable(chunk)):
                self._write(number, max(start, number * CHUNK) - start, chunk, writes)
        chunk = self._chunks[tail]
        if HEADER in dirty or not _all_immutable(chunk):
            self._write(HEADER, max(start, tail * CHUNK) - start, chunk, writes, (start, tail))
        self._forget(range(start // CHUNK, tail), writes)

    def _write(self, key, first, elements, writes, place=None):
        """Writes the elements from index `first` on to a chunk, or to the header, with `place`."""
        base = self._base.get(key, _ABSENT)
        value = elements if place is None else [*place, elements]
        try:
            data = encode_changed(value, base[1])
            if self._field.held or key in self._named:
                is_new, names = self._names_of(first, elements)
                if names and (is_new or data is not None or key in self._named):
                    value = (elements, names) if place is None else [*value, names]
                    data = encode_changed(value, base[1])
        except codec.Unstorable as problem:
            self._refuse(elements, first, problem)
        if data is not None:
            if len(data) > CELL_BYTES_MAX:
                self._refuse_size(len(data))
            key_bytes = base[0] or self._cells.encode_key(self._field, key)
            writes.append((self._field.name, key_bytes, data, False, None))

    def _forget(self, present, writes):
        """Deletes the chunks that the store has and the list has no more."""
        stored = self._stored
        before = range(stored.start, min(stored.stop, present.start))
        after = range(max(stored.start, present.stop), stored.stop)
        for number in (*before, *after):
            base = self._base.get(number, _ABSENT)
            key_bytes = base[0] or self._cells.encode_key(self._field, number)
            writes.append((self._field.name, key_bytes, None, False, None))

    def _refuse(self, elements, first, problem):
        """Raises `NotStorable` for the element that cannot be stored."""
        places = self._places
        for index, element in enumerate(elements, first):
            try:
                encode(element)
            except codec.Unstorable as found:
                place = places.get(id(element)) or places.get(...)
                raise self._cells.not_storable(self._field, index, found, place) from None
        raise self._cells.not_storable(self._field, None, problem, places.get(...)) from None

    def _refuse_size(self, size):
        advice = "keep large values in a dict field, and their keys in the list"
        problem = codec.Unstorable(
            f"{CHUNK} neighbouring elements are one cell of at most {CELL_BYTES_MAX} bytes, and these take {size}: {advice}"
        )
        raise self._cells.not_storable(self._field, None, problem, self._places.get(...))

    # Elements that are held while the method waits.

    def _name_of(self, value, index):
        """The name of an element; a new one is named by where it is when the step ends."""
        found = self._names.get(id(value))
        if found is None:
            name = self._cells.name(self._field, b"%d" % index) >> 1
            found = self._names[id(value)] = (name, value)
        return found[0]

    def _names_of(self, first, elements):
        """Whether there are new elements, and the names of all; None if none of them can be changed."""
        if _all_immutable(elements):
            return False, None
        known = len(self._names)
        names = [
            None if type(value) in IMMUTABLE else self._name_of(value, index)
            for index, value in enumerate(elements, first)
        ]
        return len(self._names) > known, names

    def _load_kept(self):
        """Loads the chunks of what was held: it may have been changed without a look at the field."""
        for _, position in self._kept.values():
            if self._is_apart(position):
                self._chunk(position // CHUNK)

    def _is_apart(self, position):
        """Is the position in a chunk that is not loaded?"""
        number = position // CHUNK
        return self._start // CHUNK <= number < self._tail and number not in self._chunks

    def _loaded(self):
        """Index and value of each element that is known."""
        if self._stored is None:
            return
        if self._items is not None:
            yield from enumerate(self._items)
            return
        for number, chunk in self._chunks.items():
            yield from enumerate(chunk, max(self._start, number * CHUNK) - self._start)

    def _candidates(self, candidates):
        """Appends what user code may hold: `(Held, references of our own)`."""
        kept, found = self._kept, set()
        for index, value in self._loaded():
            if type(value) in IMMUTABLE:
                continue
            name = self._name_of(value, index)
            own = 1 if name in found else 3 if name in kept else 2
            found.add(name)
            candidates.append((self._held(name, value, self._start + index), own))
        for name, (value, position) in kept.items():
            if name not in found and (self._stored is None or self._items is None and self._is_apart(position)):
                candidates.append((self._held(name, value, position), 2))

    def _held(self, name, value, position):
        held = Held(self._field, name, None, value, 0)
        held.position = position
        return held

    def _cells_of(self, held):
        """Keys of the cells that tell where a held element is."""
        keys = [self._cells.encode_key(self._field, HEADER)]
        number = held.position // CHUNK
        if self._items is None and number < self._tail:
            keys.append(self._cells.encode_key(self._field, number))
        return keys

    def _go_on(self, held):
        """Brings a held element to what the list has under its name, and remembers where."""
        found = self._search(held.key, held.position)
        if found is None:
            return
        if found is not _UNCHANGED:
            value, held.position, keys = found
            data = encode(value)
            if data != held.data:
                self._notice(keys)
            if (data != held.data or held.shared is not None) and not update(held, data):
                return
        if self._kept is _NOTHING:
            self._kept = {}
        self._kept[held.key] = (held.value, held.position)
        self._names[id(held.value)] = (held.key, held.value)

    def _notice(self, keys):
        """What user code sees depends on these cells: they belong into the journal."""
        for key in keys:
            self._seen[key] = self._cells.encode_key(self._field, key)

    def _search(self, name, position):
        """The element with a name, its position, and the keys that tell so; None if it is gone. First where it was."""
        replaying = self._cells.replaying
        if replaying and HEADER not in self._base:
            return _UNCHANGED
        data = self._cell(HEADER)[1]
        start, tail, elements, *names = [0, 0, decode(self._field.initial)] if data is None else decode(data)
        number, chunks = position // CHUNK, range(min(start // CHUNK, tail), tail)
        if replaying and number in chunks and number not in self._base:
            return _UNCHANGED

        def within(number, elements, names):
            first = max(start, number * CHUNK)
            for place, value in enumerate(elements):
                if type(value) not in IMMUTABLE:
                    if name == (_UNNAMED - first - place if names is None else names[place]):
                        return value, first + place, (HEADER, number) if number in chunks else (HEADER,)
            return None

        found = within(tail, elements, *names or (None,)) if number not in chunks else None
        if found is None and number in chunks:
            found = within(number, *_parts(decode(self._cell(number)[1])))
        if found is not None:
            return found
        # It was moved or taken out.
        self._notice((HEADER, number))
        if chunks and not (replaying or self._whole):
            self._cells.ask(self._field, ...)
        found = within(tail, elements, *names or (None,))
        for other in chunks:
            if found is None and (self._whole or other in self._base):
                found = within(other, *_parts(decode(self._cell(other)[1])))
        if found is not None:
            self._notice(found[2])
        return found

    # A list's interface.

    def __len__(self):
        items = self._short()
        return self._count() if items is None else len(items)

    def __bool__(self):
        return len(self) > 0

    def __getitem__(self, index):
        items = self._short()
        if items is not None:
            return items[index]
        if type(index) is not int:
            if type(index) is slice:
                return self._slice(index)
            index = _as_index(index, [].__getitem__)
        count = self._count()
        if index < 0:
            index += count
        if not 0 <= index < count:
            return [][index]
        _, chunk, place = self._at(index)
        return chunk[place]

    def _slice(self, index):
        first, last, step = index.indices(self._count())
        indices = range(first, last, step)
        if not indices:
            return []
        low, high = (indices[0], indices[-1]) if step > 0 else (indices[-1], indices[0])
        self._need((self._start + low) // CHUNK, min((self._start + high) // CHUNK + 1, self._tail))
        at = self._at
        found = []
        for one in indices:
            _, chunk, place = at(one)
            found.append(chunk[place])
        return found

    def __setitem__(self, index, value):
        if type(index) is slice:
            self._set_slice(index, value)
            return
        value = self._stow(value)
        items = self._short()
        if items is not None:
            items[index] = value
            self._changed = True
            return
        if type(index) is not int:
            index = _as_index(index, [].__setitem__, None)
        asked, count = index, self._count()
        if index < 0:
            index += count
        if not 0 <= index < count:
            [][asked] = value
        number, chunk, place = self._at(index)
        chunk[place] = value
        self._mark(HEADER if number == self._tail else number)

    def _set_slice(self, index, value):
        if self._short() is None and (index.step is None or index.step == 1):
            try:
                new = iter(value)
            except TypeError:
                raise TypeError("can only assign an iterable") from None
            first, last, _ = index.indices(self._count())
            new = [self._stow(element) for element in new]
            if self._items is None:
                first = min(first, self._count())
                self._splice(first, min(max(first, last), self._count()), new)
                return
        elif value is self or not hasattr(value, "__iter__"):
            new = self._all().copy() if value is self else value
        else:
            new = [self._stow(element) for element in value]
        self._writable()[index] = new

    def __delitem__(self, index):
        items = self._short()
        if items is not None:
            del items[index]
            self._changed = True
            return
        count = self._count()
        if type(index) is slice:
            first, last, step = index.indices(count)
            if step == 1:
                self._splice(first, max(first, last), ())
            else:
                del self._writable()[index]
            return
        if type(index) is not int:
            index = _as_index(index, [].__delitem__)
        asked = index
        if index < 0:
            index += count
        if not 0 <= index < count:
            del [][asked]
        if index == count - 1:
            self._pull()
        else:
            self._splice(index, index + 1, ())

    def append(self, value, /):
        self._append(self._stow(value))

    def _append(self, value):
        items = self._short()
        if items is None:
            self._push(value)
        else:
            items.append(value)
            self._changed = True

    def extend(self, values, /):
        if values is self:
            values = self._all().copy()
        elif isinstance(values, list | tuple):
            values = tuple(values)
        for value in values:
            self.append(value)

    def insert(self, index, value, /):
        if type(index) is not int or index.bit_length() > 60:
            [].insert(index, None)
            index = as_index(index)
        value = self._stow(value)
        items = self._short()
        if items is not None:
            if self._stored and (index == 0 or index <= -len(items)):
                self._start -= 1
            items.insert(index, value)
            self._changed = True
            return
        count = self._count()
        index = min(index, count) if index >= 0 else max(index + count, 0)
        if index == count:
            self._push(value)
        elif index == 0:
            self._push_first(value)
        else:
            self._splice(index, index, [value])

    def pop(self, index=-1, /):
        items = self._short()
        if items is not None:
            before = len(items)
            value = items.pop(index)
            self._changed = True
            if self._stored and as_index(index) in (0, -before):
                self._start += 1
            return value
        asked = index = as_index(index)
        count = self._count()
        if index < 0:
            index += count
        if not 0 <= index < count:
            [None].pop(asked)
        if index == count - 1:
            return self._pull()
        _, chunk, place = self._at(index)
        value = chunk[place]
        self._splice(index, index + 1, ())
        return value

    def remove(self, value, /):
        self._writable().remove(value)

    def clear(self):
        if not self._cells.replaying:
            self._short()
            if self._stored and not self._whole:
                self._cells.ask(self._field, ...)
        self._items, self._chunks, self._start, self._changed = [], None, 0, True
        if self._stored is None:
            self._stored = _NO_RANGE

    def index(self, value, start=0, stop=sys.maxsize, /):
        return self._all().index(value, start, stop)

    def count(self, value, /):
        return self._all().count(value)

    def reverse(self):
        self._writable().reverse()

    def sort(self, *args, **named):
        self._writable().sort(*args, **named)

    def copy(self):
        return self._all().copy()

    __copy__ = copy

    def __deepcopy__(self, memo):
        import copy

        return copy.deepcopy(self._all(), memo)

    def __reduce_ex__(self, protocol):
        raise TypeError(f"cannot pickle the persistent field {self._field.name!r}; use list(...)")

    def __iter__(self):
        index = missed = 0
        while True:
            items = self._short()
            if items is None:
                if index >= self._count():
                    return
                number = (self._start + index) // CHUNK
                if number not in self._chunks and number not in self._base:
                    missed += 1
                    if missed > 1:
                        self._need(number, self._tail)
                yield self[index]
            else:
                if index >= len(items):
                    return
                yield items[index]
            index += 1

    def __reversed__(self):
        return self._backwards(len(self) - 1)

    def _backwards(self, index):
        while 0 <= index < len(self):
            yield self[index]
            index -= 1

    def __contains__(self, value):
        return value in self._all()

    def __eq__(self, other):
        other = _real(other)
        return NotImplemented if other is None else self._all() == other

    def __ne__(self, other):
        other = _real(other)
        return NotImplemented if other is None else self._all() != other

    def __lt__(self, other):
        other = _real(other)
        return NotImplemented if other is None else self._all() < other

    def __le__(self, other):
        other = _real(other)
        return NotImplemented if other is None else self._all() <= other

    def __gt__(self, other):
        other = _real(other)
        return NotImplemented if other is None else self._all() > other

    def __ge__(self, other):
        other = _real(other)
        return NotImplemented if other is None else self._all() >= other

    def __add__(self, other):
        other = other._all() if type(other) is ListView else other
        return self._all().copy() + other

    def __radd__(self, other):
        frame = sys._getframe(1)
        code, at = frame.f_code.co_code, frame.f_lasti
        if code[at] == _BINARY_OP and code[at + 1] == _INPLACE_ADD:
            # `other += self.field`: the operator asks us first, and must change `other` in place.
            other += self._all().copy()
            return other
        return other + self._all()

    def __iadd__(self, other):
        self.extend(other)
        return self

    def __mul__(self, other):
        other = other._all() if type(other) is ListView else other
        return self._all() * other

    def __rmul__(self, other):
        return other * self._all()

    def __imul__(self, other):
        items = self._writable()
        items *= other._all() if type(other) is ListView else other
        return self

    @recursive_repr("[...]")
    def __repr__(self):
        return repr(self._all())

    # For `standard`.

    def _as_heap(self, change, change_in_place, args):
        """A function of `heapq`: one for real lists, and one for what behaves as a list (None if it needs all)."""
        if self._short() is None and change_in_place is not None:
            return change_in_place(self, *args)
        args = [self._stow(value) for value in args]
        return change(self._writable(), *args)


# Errors name it, and `isinstance` sees it, as what it stands for; only `type` and C code tell the difference.
ListView.__name__ = "list"
MutableSequence.register(ListView)
codec.copied[ListView] = ListView.copy


def _parts(chunk):
    """Elements and names of a chunk as it is stored."""
    return chunk if type(chunk) is tuple else (chunk, None)


def _real(other):
    if type(other) is ListView:
        return other._all()
    return other if isinstance(other, list) else None


def _as_index(index, refuse, *more):
    """An index of another type as an int, or list's error."""
    if not hasattr(type(index), "__index__"):
        refuse(index, *more)
    return as_index(index)


def _all_immutable(elements):
    immutable = IMMUTABLE
    for element in elements:
        if type(element) not in immutable:
            return False
    return True
