"""A small application as people write them."""

from __future__ import annotations
import logging
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Optional, Iterable
from sostenuto import service, Persistent
log = logging.getLogger(__name__)

class Status(str, Enum):
    TODO = 'todo'
    DONE = 'done'

@dataclass
class Task:
    id: int
    title: str
    status: Status = Status.TODO
    tags: set[str] = field(default_factory=set)
    due: Optional[datetime] = None

    def done(self) -> None:
        self.status = Status.DONE

    @classmethod
    def make(cls, id: int, title: str) -> Task:
        return cls(id=id, title=title.strip())

    def __post_init__(self):
        if not self.title:
            raise ValueError('title is empty')

@service
class Todo:
    tasks: Persistent[dict[int, Task]] = {}
    seq: Persistent[int] = 0

    def create(self, title: str, *, tags: Optional[list[str]]=None) -> Task:
        self.seq += 1
        t = Task.make(self.seq, title)
        t.tags |= set(tags or ())
        self.tasks[t.id] = t
        log.info('created %s', t.id)
        return t

    def finish(self, id: int) -> bool:
        if (t := self.tasks.get(id)) is None:
            return False
        t.done()
        return True

    def find(self, status: Status=Status.TODO, limit: int=10) -> list[Task]:
        return sorted((t for t in self.tasks.values() if t.status is status), key=lambda t: t.id)[:limit]

    def stats(self) -> dict[Status, int]:
        out: dict[Status, int] = {}
        for t in self.tasks.values():
            out[t.status] = out.get(t.status, 0) + 1
        return out

    def remove(self, id: int) -> None:
        del self.tasks[id]

    def edit(self, id: int, **changes: str):
        t = self.tasks[id]
        for k, v in changes.items():
            setattr(t, k, v)
        return t.title


# >>> Todo.create('  a ')
# >>> Todo.create(title='b', tags=['x'])
# >>> Todo.create('')
# >>> Todo.finish(1)
# >>> Todo.finish(9)
# >>> Todo.find()
# >>> Todo.stats()
# >>> Todo.edit(id=2, title='new')
# >>> Todo.remove(2)
# >>> Todo.remove(2)
