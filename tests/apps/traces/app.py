"""Methods that fail in many ways; each line that must be shown carries a mark."""

import time

from helper import Thing, deep

from sostenuto import Persistent, service, transaction


@service
class Other:
    values: Persistent[dict[str, int]] = {}

    def fails(self, n: int) -> int:
        try:
            return 1 // (n - n)  # divides
        except ZeroDivisionError as error:
            raise ValueError("wrapped") from error  # wraps


@service
class Traces:
    values: Persistent[dict[str, dict]] = {}
    other: Other

    def multiline(self, a: int) -> int:
        return (
            a
            + self.values["x"]["y"]  # missing
            + 5
        )

    def calls(self, n: int) -> list[int]:
        return [self.other.fails(i) for i in range(n)]  # in a comprehension

    async def awaits(self, n: int) -> int:
        return await self.other.fails(  # over two lines
            n
        )

    def helpers(self) -> int:
        return deep({"a": [time.time()]})  # calls a helper

    def attribute(self) -> int:
        return Thing(3).broken  # a property

    def generates(self) -> int:
        return sum(int(text) for text in ["1", "zz"])  # a generator

    def generated(self) -> int:
        return eval("1 + undefined_name")  # eval

    def transacts(self) -> None:
        with transaction():
            self.values["q"] = {}
            self.other.fails(1)  # in a transaction

    def letters(self) -> None:
        größe = {"ü": None}
        return größe["ü"].länge  # letters of two bytes
