"""List fields of a service and of an entity: queues, stacks, documents."""

from sostenuto import Persistent, entity, service, sleep


@service
class Work:
    items: Persistent[list[str]] = []
    numbers: Persistent[list[int]] = [7, 8, 9]
    documents: Persistent[list[dict]] = []

    def push(self, item: str) -> int:
        self.items.append(item)
        return len(self.items)

    def pop(self) -> str:
        return self.items.pop()

    def shift(self) -> str:
        return self.items.pop(0)

    def push_first(self, item: str) -> int:
        self.items.insert(0, item)
        return len(self.items)

    def item(self, index: int) -> str:
        return self.items[index]

    def replace(self, index: int, item: str) -> None:
        self.items[index] = item

    def length(self) -> int:
        return len(self.items)

    def all(self) -> list[str]:
        return self.items

    def fill(self, count: int) -> int:
        self.items.extend(str(n) for n in range(count))
        return len(self.items)

    def insert(self, index: int, item: str) -> None:
        self.items.insert(index, item)

    def clear(self) -> None:
        self.items.clear()

    def assign(self, items: list[str]) -> bool:
        self.items = items
        return isinstance(self.items, list)

    def sort(self) -> None:
        self.items.sort(reverse=True)

    def twice(self, index: int) -> list[str]:
        before = self.items[index]
        sleep(0.01)
        self.items.append("after")
        return [before, self.items[index]]

    def document(self, size: int) -> int:
        self.documents.append({"text": "x" * size, "read": 0})
        return len(self.documents)

    def read(self, index: int) -> int:
        document = self.documents[index]
        document["read"] += 1
        return document["read"]

    def linger(self, index: int) -> int:
        document = self.documents[index]
        for _ in range(3):
            sleep(0.01)
            document["read"] += 1
        return document["number"]

    def number(self) -> None:
        for number, document in enumerate(self.documents):
            document["number"] = number

    def move(self, index: int, to: int) -> None:
        self.documents.insert(to, self.documents.pop(index))

    def more_numbers(self) -> list[int]:
        self.numbers += [len(self.numbers)]
        return self.numbers


@entity
class Feed:
    key: str
    posts: Persistent[list[str]] = []

    def post(self, text: str) -> int:
        self.posts.append(text)
        return len(self.posts)

    def latest(self, count: int) -> list[str]:
        return self.posts[-count:]
