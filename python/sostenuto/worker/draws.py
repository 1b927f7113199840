"""Time and chance as a replay sees them again: the step's recorded clock, and draws from the invocation's seed.

Draws are numbered by branch and counter, so another attempt of the same part of the program draws the same. Outside of
a method (while the application is loaded) these are the real ones.
"""

import datetime
import os
import random
import time
import uuid

# What `hashlib.blake2b` and `secrets.compare_digest` are, without the OpenSSL that those modules load.
from _blake2 import blake2b
from _operator import _compare_digest

from sostenuto.errors import NotSupported
from sostenuto.worker.current import current

_BLOCK = 64
_EPOCH_TO_1582 = 0x01B21DD213814000


def draw(count):
    """`count` bytes that nobody else draws."""
    run = current.run
    if run is None:
        return os.urandom(count)
    branch = run.branch
    number = branch.draws
    branch.draws = number + 1
    label = f"{branch.path}:{number}".encode()
    if count <= _BLOCK:
        return blake2b(label, key=run.seed, digest_size=count).digest() if count else b""
    blocks = range((count + _BLOCK - 1) // _BLOCK)
    return b"".join(blake2b(label + b":%d" % block, key=run.seed).digest() for block in blocks)[:count]


def micros():
    """The clock in microseconds; each reading within a step is one later than the last."""
    run = current.run
    if run is None:
        return time.time_ns() // 1000
    now = run.clock + run.ticks
    run.ticks += 1
    return now


class Random(random.Random):
    """The functions of `random` over the invocation's draws."""

    def random(self):
        return (int.from_bytes(draw(7), "little") >> 3) * 2.0**-53

    def getrandbits(self, k, /):
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        count = (k + 7) // 8
        return int.from_bytes(draw(count), "little") >> (count * 8 - k)

    def seed(self, *args, **named):
        if getattr(self, "_made", False):
            raise NotSupported("random.seed() would reach into other invocations; use random.Random(seed)")
        self._made = True

    def getstate(self):
        raise NotSupported("random.getstate() has no meaning here; use random.Random(seed)")

    def setstate(self, state):
        raise NotSupported("random.setstate() would reach into other invocations; use random.Random(seed)")

    @property
    def gauss_next(self):
        """Nothing is kept from one invocation for the next."""
        return None

    @gauss_next.setter
    def gauss_next(self, value):
        pass

    @staticmethod
    def Random(seed=None):
        """A generator of the program's own; without a seed it gets one from the invocation."""
        return random.Random(int.from_bytes(draw(32), "little") if seed is None else seed)

    @staticmethod
    def SystemRandom(*_):
        """The invocation's draws."""
        return RANDOM


RANDOM = Random()


def urandom(size, /):
    """`os.urandom`."""
    if size < 0:
        raise ValueError("negative argument not allowed")
    return draw(size)


def uuid4():
    """`uuid.uuid4`."""
    return uuid.UUID(bytes=draw(16), version=4)


def uuid1(node=None, clock_seq=None):
    """`uuid.uuid1` from the step's clock and a drawn node."""
    drawn = int.from_bytes(draw(8), "little")
    if node is None:
        node = (drawn & 0xFFFFFFFFFFFF) | 0x010000000000
    if clock_seq is None:
        clock_seq = (drawn >> 48) & 0x3FFF
    stamp = micros() * 10 + _EPOCH_TO_1582
    high = (clock_seq >> 8) & 0x3F
    fields = (stamp & 0xFFFFFFFF, (stamp >> 32) & 0xFFFF, (stamp >> 48) & 0x0FFF, high, clock_seq & 0xFF, node)
    return uuid.UUID(fields=fields, version=1)


class Secrets:
    """The functions of `secrets` over the invocation's draws."""

    DEFAULT_ENTROPY = 32
    SystemRandom = Random.SystemRandom
    compare_digest = staticmethod(_compare_digest)

    def token_bytes(self, nbytes=None):
        return draw(self.DEFAULT_ENTROPY if nbytes is None else nbytes)

    def token_hex(self, nbytes=None):
        return self.token_bytes(nbytes).hex()

    def token_urlsafe(self, nbytes=None):
        import base64

        return base64.urlsafe_b64encode(self.token_bytes(nbytes)).rstrip(b"=").decode("ascii")

    def choice(self, sequence):
        return RANDOM.choice(sequence)

    def randbelow(self, exclusive_upper_bound):
        if exclusive_upper_bound <= 0:
            raise ValueError("Upper bound must be positive.")
        return RANDOM.randrange(exclusive_upper_bound)

    def randbits(self, k):
        return RANDOM.getrandbits(k)


class Time:
    """`time` with the step's clock; what measures durations stays local."""

    def time(self):
        return micros() / 1_000_000

    def time_ns(self):
        return micros() * 1000

    def _seconds(self, seconds):
        return micros() // 1_000_000 if seconds is None else seconds

    def gmtime(self, seconds=None, /):
        return time.gmtime(self._seconds(seconds))

    def localtime(self, seconds=None, /):
        return time.localtime(self._seconds(seconds))

    def ctime(self, seconds=None, /):
        return time.ctime(self._seconds(seconds))

    def asctime(self, parts=None, /):
        return time.asctime(self.localtime() if parts is None else parts)

    def strftime(self, format, parts=None, /):
        return time.strftime(format, self.localtime() if parts is None else parts)

    def __getattr__(self, name):
        return getattr(time, name)


def datetime_now(tz=None):
    """`datetime.now`."""
    seconds, rest = divmod(micros(), 1_000_000)
    return datetime.datetime.fromtimestamp(seconds, tz).replace(microsecond=rest)


def datetime_utcnow():
    """`datetime.utcnow`."""
    return datetime_now(datetime.timezone.utc).replace(tzinfo=None)


def datetime_today():
    """`datetime.today`."""
    return datetime_now()


def date_today():
    """`date.today`."""
    return datetime_now().date()
