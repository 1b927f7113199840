"""Types of the in-memory library as tests use it; `memory.py` is the code."""

from typing import TypeVar

_T = TypeVar("_T")

PERSISTENT: str

def reset() -> None: ...
def service(cls: type[_T]) -> type[_T]: ...
def entity(cls: type[_T]) -> type[_T]: ...
