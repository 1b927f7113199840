"""Types of what services import; `__init__.py` is the code.

To a type checker a persistent field has the type inside `Persistent[…]`, a client has the methods of its class, and an
entity is made from its key, which its class declares first (`key: str`).
"""

from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Annotated, Any, Literal, NoReturn, ParamSpec, Protocol, TypeVar, dataclass_transform, overload

from sostenuto.errors import Aborted as Aborted
from sostenuto.errors import CallError as CallError
from sostenuto.errors import Cancelled as Cancelled
from sostenuto.errors import Deadlock as Deadlock
from sostenuto.errors import InternalError as InternalError
from sostenuto.errors import NotStorable as NotStorable
from sostenuto.errors import NotSupported as NotSupported
from sostenuto.errors import RemoteTraceback as RemoteTraceback
from sostenuto.errors import TaskLost as TaskLost
from sostenuto.errors import TransactionError as TransactionError
from sostenuto.errors import UnawaitedCall as UnawaitedCall

_T = TypeVar("_T")
_P = ParamSpec("_P")
_R = TypeVar("_R")

Persistent = Annotated[_T, "sostenuto.Persistent"]

def use(backend: Any) -> None: ...
def service(cls: type[_T]) -> type[_T]: ...
@dataclass_transform()
def entity(cls: type[_T]) -> type[_T]: ...

@dataclass_transform()
def client(cls: type[_T]) -> type[_T]: ...

class transaction:
    def __enter__(self) -> transaction: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]: ...
    async def __aenter__(self) -> transaction: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]: ...

def abort(reason: object = None) -> NoReturn: ...
def sleep(seconds: float) -> Awaitable[None]: ...
def send(call: object, /) -> Awaitable[None]: ...
@overload
def task(function: Callable[_P, Coroutine[Any, Any, _R]], /) -> Callable[_P, Coroutine[Any, Any, _R]]: ...
@overload
def task(function: Callable[_P, _R], /) -> Callable[_P, Any]: ...
@overload
def task(
    *,
    retries: int = 0,
    timeout: float | None = 60,
    backoff: float = 1,
    backoff_max: float = 60,
    pure: bool = False,
) -> _TaskDecorator: ...

# What a `def` with `@task` gives is awaited in an `async def`, and is the result in a `def`.
class _TaskDecorator(Protocol):
    @overload
    def __call__(
        self, function: Callable[_P, Coroutine[Any, Any, _R]], /
    ) -> Callable[_P, Coroutine[Any, Any, _R]]: ...
    @overload
    def __call__(self, function: Callable[_P, _R], /) -> Callable[_P, Any]: ...

def wait_for(*arguments: Any, **named: Any) -> Any: ...
