"""Loads the application's modules from their lowered text, so that everything shows the user's own lines.

The tree of the lowered text gets the positions of the user's file through the source map before it is compiled; the
user's text is registered with `linecache`. Imports between the modules go through a finder. Nothing is read from disk but
code that an earlier worker compiled from the same.
"""

import importlib.util
import sys

# What `ast` is made of, and all that is needed of it here.
from _ast import AST, PyCF_ONLY_AST
from bisect import bisect_right

from sostenuto.errors import NotSupported
from sostenuto.worker import lazy
from sostenuto.worker.code_cache import CodeCache


class Text:
    """Byte offsets and (line, byte column) of a text, as Python's tokenizer counts them."""

    def __init__(self, text):
        self.starts = [0]
        encoded = text.encode()
        for line in encoded.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.size = len(encoded)
        if len(self.starts) > 1 and not encoded.endswith((b"\n", b"\r")):
            self.starts.pop()

    def offset(self, line, column):
        """Byte offset of a position."""
        if line - 1 >= len(self.starts):
            return self.size
        return min(self.starts[line - 1] + column, self.size)

    def position(self, offset):
        """Line and column of a byte offset."""
        index = bisect_right(self.starts, offset) - 1
        return index + 1, offset - self.starts[index]


class SourceMap:
    """From byte offsets of the lowered text to byte offsets of the user's."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.starts = [piece[0] for piece in pieces]

    def start(self, offset):
        """Where what begins at `offset` begins in the user's text."""
        if not self.pieces:
            return offset
        lowered, start, end, verbatim = self.pieces[max(0, bisect_right(self.starts, offset) - 1)]
        return min(start + offset - lowered, end) if verbatim else start

    def end(self, offset):
        """Where what ends before `offset` ends in the user's text."""
        if not self.pieces or offset == 0:
            return offset
        lowered, start, end, verbatim = self.pieces[max(0, bisect_right(self.starts, offset - 1) - 1)]
        return min(start + offset - lowered, end) if verbatim else end


def relocate(tree, lowered, source, pieces):
    """Moves the positions of all nodes from the lowered text to the user's."""
    lowered, source, pieces = Text(lowered), Text(source), SourceMap(pieces)
    for node in _nodes(tree):
        if not hasattr(node, "lineno"):
            continue
        start = min(pieces.start(lowered.offset(node.lineno, node.col_offset)), source.size)
        node.lineno, node.col_offset = source.position(start)
        if getattr(node, "end_lineno", None) is not None:
            end = pieces.end(lowered.offset(node.end_lineno, node.end_col_offset))
            node.end_lineno, node.end_col_offset = source.position(max(start, min(end, source.size)))


def _nodes(tree):
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in node._fields:
            part = getattr(node, name, None)
            if isinstance(part, AST):
                waiting.append(part)
            elif isinstance(part, list):
                waiting.extend([inner for inner in part if isinstance(inner, AST)])


def compile_module(path, source, lowered, pieces):
    """The code object of a module."""
    tree = compile(lowered, path, "exec", PyCF_ONLY_AST, dont_inherit=True)
    relocate(tree, lowered, source, pieces)
    return compile(tree, path, "exec", dont_inherit=True)


class Finder:
    """Finds and loads the application's modules."""

    def __init__(self, modules, names, cache=None):
        #: Module name to (path, source, lowered, pieces, is a package).
        self.modules = {name: rest for name, *rest in modules}
        #: Names that every module finds in its globals.
        self.names = names
        self.cache = cache or CodeCache(None, modules)
        self.packages = {
            name.rpartition(".")[0] for name in self.modules if "." in name
        } | {name for name, rest in self.modules.items() if rest[4]}
        for name in [*self.packages]:
            while "." in name:
                name = name.rpartition(".")[0]
                self.packages.add(name)

    def find_spec(self, fullname, path=None, target=None):
        if fullname in self.modules:
            origin = self.modules[fullname][0]
        elif fullname in self.packages:
            origin = None
        else:
            return None
        return importlib.util.spec_from_loader(
            fullname, self, origin=origin, is_package=fullname in self.packages
        )

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        if name not in self.modules:
            return
        path, source, lowered, pieces, _ = self.modules[name]
        module.__file__ = path
        module.__dict__.update(self.names)
        exec(self.cache.code(name, lambda: compile_module(path, source, lowered, pieces)), module.__dict__)

    def get_source(self, fullname):
        """The user's text, for `inspect`."""
        return self.modules[fullname][1] if fullname in self.modules else None

    def _show_sources(self):
        cache = sys.modules["linecache"].cache
        for path, source, *_ in self.modules.values():
            cache[path] = (len(source), None, source.splitlines(True), path)

    def load_all(self):
        """Imports every module; an application's module takes the place of one of the same name."""
        lazy.after("linecache", self._show_sources)
        sys.meta_path.insert(0, self)
        for name in self.modules:
            if name.partition(".")[0] in sys.builtin_module_names:
                raise NotSupported(f"the module {name} has the name of one of Python's own; rename it")
            loaded = sys.modules.get(name)
            if loaded is not None and getattr(loaded, "__loader__", None) is not self:
                del sys.modules[name]
        for name in self.modules:
            importlib.import_module(name)
        self.cache.close()
