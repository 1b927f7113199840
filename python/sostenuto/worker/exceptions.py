"""Exceptions to and from values, with tracebacks at the user's lines.

An exception travels as the tuple (qualified class, args, attributes, notes, traceback text, str). It comes back as that
class if Python or the application defines it, else as `CallError`. An exception group's second argument is its
exceptions in this form. Frames of this package are in no traceback.
"""

import builtins
import importlib
import os
import sys

from sostenuto import errors
from sostenuto.worker import codec
from sostenuto.worker.lazy import cancelled_class

_PACKAGE = os.path.dirname(os.path.abspath(errors.__file__)) + os.sep
_IMPORTLIB = importlib.__file__
#: A traceback longer than this loses its middle: chains grow with every call they pass.
_TEXT_MAX = 32 * 1024
#: Groups within groups beyond this depth, and exceptions of one group beyond this number, come back as their text.
_GROUPS_MAX = 8
_PARTS_MAX = 100

#: Classes outside of builtins that come back as themselves.
_KNOWN = {f"sostenuto.{name}": getattr(errors, name) for name in errors.NAMES}

#: Names of the application's modules, whose exceptions come back as themselves.
app_modules = set()


def encode(error, text=None, groups=_GROUPS_MAX):
    """The bytes of an exception. `text` replaces its traceback; `groups` may be nested in it."""
    kind = type(error)
    name = clean(f"{kind.__module__}.{kind.__qualname__}")
    notes = [clean(note) for note in getattr(error, "__notes__", None) or () if isinstance(note, str)]
    text = user_traceback(error) if text is None else text
    told = message(error)
    if groups and isinstance(error, BaseExceptionGroup) and len(error.exceptions) <= _PARTS_MAX:
        args = (clean(error.message), [encode(part, "", groups - 1) for part in error.exceptions])
    else:
        args = tuple(map(_sendable, _args(error)))
    try:
        return codec.encode((name, args, _attributes(error), notes, text, told))
    except codec.Unstorable:
        # Each part could be sent; together they are nested too deeply.
        return codec.encode((name, tuple(map(short_repr, _args(error))), {}, notes, text, told))


def decode(data):
    """The exception of these bytes, its cause the callee's traceback."""
    name, args, attributes, notes, text, told = codec.decode(data)
    error = _build(name, args, told)
    if attributes:
        _set_attributes(error, attributes)
    for note in notes:
        error.add_note(note)
    if text:
        error.__cause__ = errors.RemoteTraceback(text)
    return error


def message(error):
    """`str(error)`, whatever its class does."""
    try:
        return clean(str(error))
    except Exception as problem:
        return f"<{type(error).__name__}, whose text raised {type(problem).__name__}>"


def clean(text):
    """`text` without lone surrogates."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def user_traceback(error):
    """The text of a traceback without the frames of this package."""
    try:
        import traceback

        shown = traceback.TracebackException.from_exception(error, compact=True)
        _keep_user_frames(shown, set())
        text = clean("".join(shown.format()))
    except Exception as problem:
        return f"{type(error).__name__}: {message(error)}\n(its traceback raised {type(problem).__name__})\n"
    if len(text) > _TEXT_MAX:
        text = f"{text[: _TEXT_MAX // 2]}\n  [...]\n{text[-_TEXT_MAX // 2 :]}"
    return text


def is_ours(path):
    """True for files of this package, and for the import machinery that we drive."""
    return path.startswith(_PACKAGE) or path.startswith("<frozen importlib") or path == _IMPORTLIB


def _keep_user_frames(shown, seen):
    if shown is None or id(shown) in seen:
        return
    seen.add(id(shown))
    shown.stack = type(shown.stack).from_list([frame for frame in shown.stack if not is_ours(frame.filename)])
    _keep_user_frames(shown.__cause__, seen)
    _keep_user_frames(shown.__context__, seen)
    for part in shown.exceptions or ():
        _keep_user_frames(part, seen)


def _args(error):
    args = error.args
    return args if type(args) is tuple else ()


def _sendable(value):
    try:
        codec.encode(value)
        return value
    except codec.Unstorable:
        return short_repr(value)


def short_repr(value):
    """`repr(value)` as text that can be sent."""
    try:
        return clean(repr(value))
    except Exception:
        return f"<{type(value).__name__}>"


def _attributes(error):
    kept = {}
    for name, value in getattr(error, "__dict__", {}).items():
        if name == "__notes__" or type(name) is not str:
            continue
        try:
            codec.encode((name, value))
        except codec.Unstorable:
            continue
        kept[name] = value
    return kept


def _build(name, args, told):
    cls = _class_of(name)
    error = None
    if cls is not None:
        try:
            if issubclass(cls, BaseExceptionGroup):
                args = (args[0], [decode(part) for part in args[1]])
            error = _instance(cls, args)
        except Exception:
            error = None
    if error is None:
        error = errors.CallError(f"{name}: {told}" if told else name)
        error.type, error.message, error.details = name, told, args
    return error


def _instance(cls, args):
    """An exception with these `args`, without running an `__init__` of the application."""
    if cls.__module__ == "builtins":
        return cls(*args)
    error = cls.__new__(cls, *args)
    if not isinstance(error, BaseException):
        return None
    base = next(base for base in cls.__mro__ if base.__module__ == "builtins")
    base.__init__(error, *args)
    error.args = args
    return error


def _set_attributes(error, attributes):
    for name, value in attributes.items():
        try:
            error.__dict__[name] = value
        except Exception:
            continue


def _class_of(name):
    if name == "asyncio.exceptions.CancelledError":
        return cancelled_class()
    known = _KNOWN.get(name)
    if known is not None:
        return known
    module, _, qualified = name.partition(".")
    if module == "builtins":
        found = getattr(builtins, qualified, None)
        return found if isinstance(found, type) and issubclass(found, BaseException) else None
    return _class_of_app(name)


def _class_of_app(name):
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:count]) not in app_modules:
            continue
        found = sys.modules.get(".".join(parts[:count]))
        for part in parts[count:]:
            found = getattr(found, part, None)
        if isinstance(found, type) and issubclass(found, BaseException):
            return found
    return None
