"""Annotations of modern typing."""

from typing import TypeVar, Generic, Optional, Union, TypedDict, NamedTuple, Protocol, Literal, Any, Callable, NewType, Self, overload, cast, TYPE_CHECKING
from collections.abc import Mapping, Iterable
from sostenuto import service, Persistent
if TYPE_CHECKING:
    from nowhere import Thing
T = TypeVar('T')
UserId = NewType('UserId', str)

class Stack(Generic[T]):

    def __init__(self) -> None:
        self.items: list[T] = []

    def push(self, x: T) -> Self:
        self.items.append(x)
        return self

    def pop(self) -> T:
        return self.items.pop()

class User(TypedDict, total=False):
    name: str
    age: int

class Pt(NamedTuple):
    x: int
    y: int = 0
Handler = Callable[[int], int]

@service
class Generics:
    users: Persistent[dict[str, User]] = {}
    pts: Persistent[list[tuple[int, int]]] = []
    opt: Persistent[Optional[str]] = None

    def add(self, name: str, age: int) -> User:
        u: User = {'name': name, 'age': age}
        self.users[UserId(name)] = u
        return u

    def first(self, xs: Iterable[T], default: T | None=None) -> T | None:
        return next(iter(xs), default)

    def st(self) -> int:
        return Stack[int]().push(1).push(2).pop()

    def pt(self, x: int):
        p = Pt(x)
        self.pts.append((p.x, p.y))
        return (self.pts, p._replace(y=3).y)

    def setopt(self, v: Optional[str]=None, mode: Literal['a', 'b']='a'):
        self.opt = v
        return (self.opt or 'none', mode)


# >>> Generics.add('x', 3)
# >>> Generics.first([])
# >>> Generics.first([3])
# >>> Generics.st()
# >>> Generics.pt(4)
# >>> Generics.setopt('q')
# >>> Generics.setopt()
