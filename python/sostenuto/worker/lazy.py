"""Modules of Python's own that a worker loads only when something needs them.

asyncio costs 6 MB and a good part of its start. Methods that wait do not need it: what they use of asyncio is the
compiler's and `operations`' business. Modules of the application that import it get a module that loads itself when it
is first looked into.

Of others something is changed here. That happens when they are loaded, by whomever.
"""

import importlib.util
import sys
from types import ModuleType


class _Waiting:
    """Finds nothing by itself: adds to the loading of modules what has to follow it."""

    def __init__(self):
        self.then = {}

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.then:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                self._follow(spec.loader, fullname)
                return spec
        return None

    def _follow(self, loader, name):
        execute = loader.exec_module

        def exec_module(module):
            loader.exec_module = execute
            execute(module)
            for then in self.then.pop(name, ()):
                then()

        loader.exec_module = exec_module


_waiting = _Waiting()


def after(name, then):
    """Calls `then` when the module is loaded, which may be now. The module is one that is made of a file of its own."""
    if name in sys.modules:
        then()
        return
    if _waiting not in sys.meta_path:
        sys.meta_path.insert(0, _waiting)
    _waiting.then.setdefault(name, []).append(then)


def cancelled_class():
    """`asyncio.CancelledError`."""
    from asyncio.exceptions import CancelledError

    return CancelledError


def cancelled(*args):
    """A new one."""
    return cancelled_class()(*args)


def is_cancelled(error):
    """Whether it is an `asyncio.CancelledError`. Before its module was loaded nothing can be one."""
    module = sys.modules.get("asyncio.exceptions")
    return module is not None and isinstance(error, module.CancelledError)


class _Unloaded(ModuleType):
    """A module that loads itself when it is asked for something that it does not have yet.

    Unlike those of `importlib.util.LazyLoader` it stays unloaded when it is imported once more (CPython looks into its
    `__spec__` then), and when a module of its package is.
    """

    def __getattr__(self, name):
        self.__class__ = ModuleType
        try:
            self.__spec__.loader.exec_module(self)
        except BaseException:
            self.__class__ = _Unloaded
            raise
        return getattr(self, name)


def install(name):
    """From now on the module is loaded when an attribute of it is asked for."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Unloaded
    sys.modules[name] = module
