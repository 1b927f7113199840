"""C code of the standard library that takes only real dicts and lists, made to take the views of fields.

`json` gets the real object that stands behind a view. On a long list field the functions of `heapq` do here what they do
in C: they touch few elements, so few chunks.
"""

import sys
from functools import wraps

from sostenuto.worker import lazy
from sostenuto.worker.lists import ListView
from sostenuto.worker.views import DictView

_VIEWS = frozenset({DictView, ListView})
_HEAP_FUNCTIONS = ("heapify", "heappush", "heappop", "heappushpop", "heapreplace")


def _for_json(make):
    """A maker of JSON encoders, of which C's knows only real dicts and lists: views are given to it as such."""

    def with_views(markers, default, *rest, **named):
        def encodable(value):
            return value._all() if type(value) in _VIEWS else default(value)

        return make(markers, encodable, *rest, **named)

    with_views.__wrapped__ = make
    return with_views


def know_views():
    """Lets `json` take the views of fields."""
    lazy.after("json.encoder", _know_json)


def know_heaps():
    """Lets `heapq` take list fields. Only for services that have some: real lists take a little longer."""
    lazy.after("heapq", _know_heaps)


def _know_json():
    encoder = sys.modules["json.encoder"]
    make = encoder.c_make_encoder
    if make is not None and not hasattr(make, "__wrapped__"):
        encoder.c_make_encoder = _for_json(make)


def _know_heaps():
    heapq = sys.modules["heapq"]
    for name in _HEAP_FUNCTIONS:
        for name in (name, f"{name}_max"):
            original = getattr(heapq, name, None)
            if original is not None and not hasattr(original, "__wrapped__"):
                setattr(heapq, name, _for_heaps(name, original))


def _for_heaps(name, original):
    @wraps(original)
    def with_views(heap, *args):
        if type(heap) is not ListView:
            return original(heap, *args)
        return heap._as_heap(original, _IN_PLACE.get(name), args)

    return with_views


def _push(heap, item):
    heap.append(item)
    _sift_down(heap, len(heap) - 1)


def _pop(heap):
    last = heap.pop()
    return _replace(heap, last) if heap else last


def _push_pop(heap, item):
    return _replace(heap, item) if heap[0] < item else item


def _replace(heap, item):
    first, heap[0] = heap[0], item
    _sift_up(heap)
    return first


def _sift_down(heap, place):
    item = heap[place]
    while place > 0:
        parent = (place - 1) >> 1
        if not item < heap[parent]:
            return
        heap[place], heap[parent] = heap[parent], item
        place = parent


def _sift_up(heap):
    place, end = 0, len(heap)
    while place < end >> 1:
        child = 2 * place + 1
        if child + 1 < end and not heap[child] < heap[child + 1]:
            child += 1
        heap[place], heap[child] = heap[child], heap[place]
        place = child
    _sift_down(heap, place)


#: What C does, comparison by comparison and exchange by exchange, on a list that is not empty.
_IN_PLACE = {"heappush": _push, "heappop": _pop, "heappushpop": _push_pop, "heapreplace": _replace}
