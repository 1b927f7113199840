"""How a task is run: the options of `@task`, checked. Who runs it lives elsewhere."""

from datetime import timedelta
from typing import NamedTuple


class Policy(NamedTuple):
    """Times are microseconds."""

    #: Tries after the first one that failed.
    retries: int
    #: How long one try may take; None: for ever.
    timeout: int | None
    #: Pause after the first try; doubles with each.
    backoff: int
    backoff_max: int
    #: Has no outside effect.
    pure: bool


def make(name, retries, timeout, backoff, backoff_max, pure):
    """The policy of these options of the task `name`."""
    if type(retries) is not int or not 0 <= retries < 2**32:
        raise ValueError(f"@task of {name}: retries must be a whole number from 0, not {retries!r}")
    limit = None if timeout is None else _micros(name, "timeout", timeout)
    if limit == 0:
        raise ValueError(f"@task of {name}: timeout must be more than 0")
    pauses = _micros(name, "backoff", backoff), _micros(name, "backoff_max", backoff_max)
    return Policy(retries, limit, *pauses, bool(pure))


def _micros(name, option, value):
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**10:
        raise ValueError(f"@task of {name}: {option} must be seconds or a timedelta, not {value!r}")
    return round(value * 1_000_000)
