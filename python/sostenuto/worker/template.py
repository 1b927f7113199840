"""The template: a process that has loaded the library and the code of the application, and forks workers.

It never runs user code, so there is nothing in it that a copy must not share: no threads, no connections, no state. What
it has loaded is in memory once for all workers, and costs time once. Messages are framed like those of workers
(`process`); the descriptors of a worker's socket and raw output come with its FORK.
"""

import gc

if __name__ == "__main__":
    # What is loaded now stays: nobody looks for garbage in it before all is there.
    gc.disable()

import importlib
import marshal
import os
import select
import signal
import sys
from _socket import CMSG_SPACE, SCM_RIGHTS, SOL_SOCKET, socket
from collections import deque

from sostenuto.errors import InternalError
from sostenuto.worker import process
from sostenuto.worker.code_cache import CodeCache
from sostenuto.worker.loader import compile_module

INIT = 0
FORK, KILL, FORKED, ENDED = range(30, 34)

_RECEIVE_BYTES = 1 << 20
#: Of each worker.
_DESCRIPTORS = 2
#: At most with one part of the stream.
_DESCRIPTORS_MAX = 16
#: Modules that the library does without, and many applications do not. What they name is loaded once for all workers.
_SHARED = ("heapq", "json", "logging")
#: Bytes of one.
_DESCRIPTOR = 4
_ANCILLARY_BYTES = CMSG_SPACE(_DESCRIPTORS_MAX * _DESCRIPTOR)


class Template:
    """Handles messages until the server closes the connection."""

    def __init__(self, connection):
        self._connection = connection
        self._buffer = bytearray()
        self._descriptors = deque()
        self._init = None
        self._cache = None
        #: Number of each worker that runs, by its process.
        self._workers = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)

    def run(self):
        """The loop."""
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, _nothing)
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.register(self._connection, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._woken in ready:
                os.read(self._woken, _RECEIVE_BYTES)
                self._reap()
            if self._connection.fileno() in ready:
                for message in self._receive():
                    self._handle(message)

    def _receive(self):
        data, ancillary, _, _ = self._connection.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES)
        for level, kind, content in ancillary:
            if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
                self._take(content)
        if not data:
            raise process.Closed
        buffer = self._buffer
        buffer += data
        messages = []
        while len(buffer) >= 4:
            end = 4 + int.from_bytes(buffer[:4], "little")
            if len(buffer) < end:
                break
            with memoryview(buffer) as view:
                messages += marshal.loads(view[4:end])
            del buffer[:end]
        return messages

    def _take(self, descriptors):
        for start in range(0, len(descriptors) - _DESCRIPTOR + 1, _DESCRIPTOR):
            descriptor = int.from_bytes(descriptors[start : start + _DESCRIPTOR], sys.byteorder)
            os.set_inheritable(descriptor, False)
            self._descriptors.append(descriptor)

    def _handle(self, message):
        tag, *rest = message
        if tag == FORK:
            self._fork(*rest)
        elif tag == KILL:
            for pid, worker in self._workers.items():
                if worker == rest[0]:
                    os.kill(pid, signal.SIGKILL)
        elif tag == INIT:
            self._load(message)
        else:
            raise InternalError(f"unknown message {message!r:.200}")

    def _load(self, init):
        """Compiles what was not kept, and loads what all workers will need. A module that does not compile is theirs to
        tell."""
        self._init = init
        _, modules, _, _, options = init
        self._cache = CodeCache(options.get("code_folder"), modules)
        named = set()
        for name, path, source, lowered, pieces, _ in modules:
            try:
                named.update(self._cache.code(name, lambda: compile_module(path, source, lowered, pieces)).co_names)
            except BaseException:
                break
        else:
            self._cache.keep()
        for name in _SHARED:
            if name in named:
                importlib.import_module(name)
        # Copies of what is here are not to be touched by the workers' collector, so that they stay shared. That includes
        # the few hundred objects of garbage that are left of loading; to find them would take longer than all else here.
        gc.freeze()
        gc.enable()

    def _fork(self, worker, options):
        connection, output = (self._descriptors.popleft() for _ in range(_DESCRIPTORS))
        pid = os.fork()
        if pid == 0:
            self._become_worker(connection, output, options)
        os.close(connection)
        os.close(output)
        self._workers[pid] = worker
        self._send(FORKED, worker, pid)

    def _become_worker(self, connection, output, options):
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)
            for other in (self._woken, self._wake, *self._descriptors):
                os.close(other)
            self._connection.close()
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            process.name("tasks" if options.get("tasks") else "worker")
            tag, *parts, of_all = self._init
            init = (tag, *parts, {**of_all, **options})
            process.serve(socket(fileno=connection), init, self._cache)
        except BaseException:
            import traceback

            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(process.FAILED)

    def _reap(self):
        """Tells how workers have ended."""
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._send(ENDED, self._workers.pop(pid), status)

    def _send(self, *message):
        frame = marshal.dumps([message], 2)
        self._connection.sendall(len(frame).to_bytes(4, "little") + frame)


def _nothing(*_):
    """The wake-up descriptor says all."""


def main():
    """Runs the template on file descriptor 0; ends with the connection."""
    process.name("template")
    connection = process.take_input()
    try:
        Template(connection).run()
    except (process.Closed, ConnectionError):
        os._exit(0)


if __name__ == "__main__":
    main()
