"""Compiled code of the application's modules, kept in the data directory, so that a worker need not compile them again.

One file for each kind of interpreter. Its key is a digest of everything that the code was made from: the modules with
their source maps, the loader and the interpreter. `marshal` can be made to do anything by whoever writes the file, so
only one is read that nobody else can write, and only if its content is what was written. Whatever is wrong with it, it
is as if it were not there; it is replaced as a whole.
"""

import importlib.util
import marshal
import os
import stat
import sys
from _blake2 import blake2b

_MARK = b"sostenuto code 1\n"
_DIGEST_BYTES = 32
_HEAD_BYTES = len(_MARK) + 2 * _DIGEST_BYTES
#: A file of more bytes is not ours.
_FILE_BYTES_MAX = 256 * 1024 * 1024


class CodeCache:
    """The code objects of these modules, as far as they were kept in the folder; None for a folder keeps nothing."""

    def __init__(self, folder, modules):
        self._path = folder and os.path.join(folder, f"{sys.implementation.cache_tag}.code")
        self._folder = folder
        self._key = folder and _key(modules)
        self._codes = (folder and _read(folder, self._path, self._key)) or {}
        self._is_new = not self._codes

    def code(self, name, compiled):
        """The code of a module; `compiled` makes it."""
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = compiled()
            self._is_new = True
        return code

    def keep(self):
        """Everything is compiled: keeps it, if that is possible."""
        if self._folder and self._is_new:
            try:
                _write(self._folder, self._path, self._key, marshal.dumps(self._codes))
            except (OSError, ValueError):
                # The next server compiles them again.
                pass
        self._is_new = False

    def close(self):
        """Everything is loaded: keeps what was compiled, and forgets it here."""
        self.keep()
        self._codes = {}


def _key(modules):
    digest = _digest(importlib.util.MAGIC_NUMBER, f"{sys.version} {sys.flags.optimize} {sys.flags.dev_mode}".encode())
    from sostenuto.worker import loader

    with open(loader.__file__, "rb") as file:
        digest.update(file.read())
    digest.update(marshal.dumps(modules, 2))
    return digest.digest()


def _digest(*parts):
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest


def _read(folder, path, key):
    """The codes of the file if it has this key; None if it does not, is damaged, or may not be trusted."""
    try:
        if not _is_private(os.stat(folder, follow_symlinks=False), stat.S_ISDIR):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        try:
            found = os.fstat(descriptor)
            if not _is_private(found, stat.S_ISREG) or found.st_size > _FILE_BYTES_MAX:
                return None
            data = file.read()
        except OSError:
            return None
    head = _MARK + key + _digest(data[_HEAD_BYTES:]).digest()
    return marshal.loads(memoryview(data)[_HEAD_BYTES:]) if data[:_HEAD_BYTES] == head else None


def _is_private(found, is_kind):
    """True for what belongs to us and nobody else can write."""
    return is_kind(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _write(folder, path, key, data):
    temporary = os.path.join(folder, f"{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(_MARK + key + _digest(data).digest() + data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
