"""The worker process: frames in, frames out. What the messages mean is the business of `app`.

A frame is a 4-byte little-endian length and a `marshal` version 2 list of tuples. Everything that is there is read at
once, its steps run one by one, and their ends leave together, so many in one frame at most. The table of messages is in
`crates/protocol/src/worker.rs`.
"""

import gc
import marshal
import mmap
import os
import signal
import sys

# `socket` adds to it what nobody here needs, and loads four modules more.
from _socket import socket
from collections import deque
from time import thread_time_ns

from sostenuto.errors import InternalError
from sostenuto.worker import exceptions, output
from sostenuto.worker.app import App
from sostenuto.worker.code_cache import CodeCache
from sostenuto.worker.current import current
from sostenuto.worker.follow import Follow
from sostenuto.worker.resident import resident
from sostenuto.worker.run import DROPPED, FETCH

INIT, START, RESUME, EVICT, FETCHED, RESIDENT = range(6)
READY, BUSY = 14, 15

#: Read at once at most.
_RECEIVE_BYTES = 256 * 1024
#: Ends that leave together: the server goes on with them while further steps run.
_ENDS_TOGETHER_MAX = 32
#: Bytes of one frame (`limits.rs`).
_FRAME_BYTES_MAX = 64 * 1024 * 1024
#: New objects before a young collection: suspended coroutines are many and live long.
_GC_THRESHOLD = 50_000
#: Exit status of a worker whose own machinery failed.
FAILED = 70


class Closed(Exception):
    """The server closed the connection."""


class Channel:
    """Messages over a socket."""

    def __init__(self, connection):
        self._socket = connection
        #: Where bytes are received, and those of a frame that is not whole.
        self._space = memoryview(bytearray(_RECEIVE_BYTES))
        self._buffer = bytearray()
        #: Messages that were read and not handled.
        self.waiting = deque()
        #: Messages that have not been sent.
        self.ends = []
        #: Tells how much processor time was used, in ns; how much of it, in us, the server has been told of.
        self.clock = thread_time_ns
        self._told = 0

    def fileno(self):
        """What it reads from."""
        return self._socket.fileno()

    def read(self):
        """Waits until there is a message, and takes all that are there."""
        self.receive()
        while not self.waiting:
            self.receive()

    def receive(self, flags=0):
        """Takes what can be read at once, as far as it is whole."""
        space = self._space
        count = self._socket.recv_into(space, 0, flags)
        if not count:
            raise Closed
        buffer = self._buffer
        if not buffer and int.from_bytes(space[:4], "little") == count - 4:
            self._arrived(space[4:count])
            return
        buffer += space[:count]
        start = 0
        while len(buffer) - start >= 4:
            size = int.from_bytes(buffer[start : start + 4], "little")
            if size > _FRAME_BYTES_MAX:
                raise InternalError(f"a frame of {size} bytes")
            if len(buffer) - start - 4 < size:
                break
            with memoryview(buffer) as view:
                self._arrived(view[start + 4 : start + 4 + size])
            start += 4 + size
        del buffer[:start]

    def _arrived(self, data):
        frame = marshal.loads(data)
        if frame and frame[-1][0] == RESIDENT:
            resident.receive(frame)
        self.waiting.extend(frame)

    def flush(self):
        """Sends what waits to be sent, in one frame."""
        if self.ends:
            ends, self.ends = self.ends, []
            self.send(ends)

    def send(self, messages):
        """Sends messages in one frame, and how busy this worker was."""
        used = self.clock() // 1000
        messages.append((BUSY, used - self._told))
        self._told = used
        frame = marshal.dumps(messages, 2)
        self._socket.sendall(len(frame).to_bytes(4, "little") + frame)

    def fetch(self, run, field, key):
        """Asks for a cell and waits for the answer; other messages wait meanwhile. None is *not now*."""
        self.ends.append((FETCH, run, field, key))
        self.flush()
        while True:
            for index, message in enumerate(self.waiting):
                if message[0] == FETCHED and message[1] == run:
                    del self.waiting[index]
                    return message[2]
            self.receive()


class StrikeWord:
    """The word of shared memory that says which run this process executes, should it die."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            memory = mmap.mmap(file.fileno(), 8)
        self.word = memoryview(memory).cast("Q")

    @staticmethod
    def at(path):
        """The word in the file, or a list in its place if there is none."""
        return StrikeWord(path).word if path else [0]


class Worker:
    """Handles messages until the server closes the connection."""

    def __init__(self, channel, cache=None):
        self.channel = channel
        self.app = App(channel)
        self.follow = Follow()
        self.strike = [0]
        #: Code of the application that is there already.
        self.cache = cache

    def run(self):
        """The loop."""
        channel = self.channel
        while True:
            waiting = channel.waiting
            while waiting:
                self.handle(waiting.popleft())
                if len(channel.ends) >= _ENDS_TOGETHER_MAX:
                    channel.flush()
            channel.flush()
            channel.read()
            self.follow.begins()

    def handle(self, message):
        """Does what one message asks."""
        tag = message[0]
        if tag == START:
            self._start(message)
        elif tag == RESUME:
            self.follow.forget()
            self._run(message, message[4], self.app.resume)
        elif tag == EVICT:
            self.app.evict(message)
        elif tag == INIT:
            self._init(message)
        elif tag != FETCHED:
            raise InternalError(f"unknown message {message!r:.200}")

    def _start(self, message):
        follow, follows = self.follow, message[13]
        if follows is None:
            follow.begins()
            shipped = message[10]
        else:
            shipped = follow.left_by(follows)
            if shipped is None:
                self.channel.ends.append((DROPPED, message[1]))
                return
        follow.ended(message[1], shipped, self._run(message, shipped, self.app.start))

    def _run(self, message, shipped, step):
        self.strike[0] = message[1]
        end = step(message, shipped)
        self.strike[0] = 0
        if resident.candidates:
            resident.announce(end)
        self.channel.ends.append(end)
        return end

    def _init(self, message):
        _, modules, services, records, options = message
        if options.get("tasks"):
            from sostenuto.worker.tasks import TaskWorker

            return TaskWorker(self.channel, self.cache).run(message)
        problem = None
        try:
            self.strike = StrikeWord.at(options.get("strike_file"))
            resident.bytes_min = options.get("resident_bytes_min", resident.bytes_min)
            cache = self.cache or CodeCache(options.get("code_folder"), modules)
            self.app.load(modules, services, records, cache=cache)
        except BaseException as error:
            problem = exceptions.encode(error)
        self.channel.ends.append((READY, os.getpid(), version(), problem))


def version():
    """What `platform.python_version` says, without that module."""
    return sys.version.split(maxsplit=1)[0]


def name(text):
    """What this process is called in lists of processes, where that can be said."""
    try:
        with open("/proc/self/comm", "w") as file:
            file.write(text)
    except OSError:
        pass


def take_input():
    """The connection that is file descriptor 0, in whose place comes an empty input."""
    connection = socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    # The server ends its workers by closing the socket; a Ctrl-C at its terminal is not for user code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return connection


def serve(connection, init=None, cache=None):
    """Runs a worker on a connection, and ends with it. `init` is INIT, if it is known already."""
    output.install()
    gc.set_threshold(_GC_THRESHOLD, 20, 50)
    try:
        worker = Worker(Channel(connection), cache)
        if init is not None:
            worker.handle(init)
        worker.run()
    except BaseException as error:
        leave(error)


def leave(error):
    """Ends the process for this reason, from any of its threads."""
    closed = isinstance(error, Closed | ConnectionError)
    if not closed:
        import traceback

        current.output = None
        traceback.print_exception(error, file=sys.__stderr__)
    # Suspended coroutines must not be torn down one by one: that would run their `finally` blocks.
    sys.__stdout__.flush()
    sys.__stderr__.flush()
    os._exit(0 if closed else FAILED)


def main():
    """Runs a worker on file descriptor 0."""
    serve(take_input())
