"""Objects of fields that a method holds while it waits: other clients change, delete and assign them meanwhile, the
server and its workers are killed; the method and the fields end as in plain Python with the same interleaving."""

import contextlib
import copy
import json
import os
import signal
import sys
import types
import unittest
from dataclasses import dataclass

from harness import APPS, EndToEnd, binary, fault_binary, until

HOLDS = ["entry", "inner", "loop", "own_container", "closure", "stored", "given_up", "in_transaction"]
OTHERS = ["nothing", "double", "change", "delete", "assign_equal", "delete_and_insert"]


@dataclass
class Plain:
    """The application in one process that never fails, where others run when a method sleeps for the first time."""

    names: dict
    other: object = None

    @classmethod
    def load(cls):
        plain = cls({"__name__": "plain_held"})
        stub = types.ModuleType("sostenuto")
        stub.service = lambda cls: cls
        stub.Persistent = _Persistent
        stub.sleep = plain.sleep
        stub.transaction = _Transaction
        kept = {name: sys.modules.get(name) for name in ("sostenuto", "plain_held")}
        sys.modules.update(sostenuto=stub, plain_held=types.ModuleType("plain_held"))
        try:
            path = APPS / "held" / "app.py"
            exec(compile(path.read_text(), str(path), "exec"), plain.names)
        finally:
            for name, module in kept.items():
                sys.modules.pop(name)
                if module is not None:
                    sys.modules[name] = module
        return plain

    def sleep(self, _):
        other, self.other = self.other, None
        if other is not None:
            other()

    def run(self, holds, other):
        hotel = self.names["Hotel"]()
        for field in ("rooms", "lists", "suites", "all", "is_open"):
            setattr(hotel, field, {})
        hotel.hotel = types.SimpleNamespace(double=lambda k: _awaited(hotel.double(k)))
        hotel.fill("k")

        def meanwhile():
            getattr(hotel, other)("k")
            hotel.open("k")

        self.other = meanwhile
        result = getattr(hotel, holds)("k")
        if isinstance(result, types.CoroutineType):
            result = _driven(result)
        return as_json([result, hotel.show("k")])


class _Persistent:
    def __class_getitem__(cls, _):
        return cls


class _Transaction:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return False


async def _awaited(value):
    return value


def _driven(coroutine):
    with contextlib.suppress(StopIteration):
        while True:
            try:
                coroutine.send(None)
            except StopIteration as stop:
                return stop.value


def as_json(value):
    return json.loads(json.dumps(copy.deepcopy(value)))


class Held(EndToEnd):
    """On the binary as shipped."""

    def program(self) -> str:
        return binary()

    def environment(self) -> dict:
        return {}

    def setUp(self):
        super().setUp()
        self.plain = Plain.load()
        self.node = self.server(APPS / "held", program=self.program(), env=self.environment()).start()
        self.client = self.node.client()

    def begin(self, holds, other):
        """The method waits, others have done what they do, and have not let it go on."""
        key = f"{holds}-{other}"
        self.client.call("/Hotel/fill", [key])
        invocation = self.client.send(f"/Hotel/{holds}", [key])
        until("it waits", lambda: self.waits(invocation))
        self.client.call(f"/Hotel/{other}", [key])
        return key, invocation

    def waits(self, invocation):
        return (self.client.describe(invocation).get("waiting") or {}).get("reason") == "sleep"

    def end(self, key, invocation):
        self.client.call("/Hotel/open", [key])
        reply = self.client.result(invocation)
        self.assertEqual(reply.status, 200, reply)
        return [reply.json, self.client.call("/Hotel/show", [key])]

    def check_all(self, between=lambda: None):
        pairs = [(holds, other) for holds in HOLDS for other in OTHERS]
        begun = [self.begin(*pair) for pair in pairs]
        between()
        for pair, one in zip(pairs, begun, strict=True):
            self.check(pair, one)
        self.assert_nothing_unfinished(self.client)

    def check(self, pair, begun):
        """One method goes on and shows what it shows in plain Python."""
        with self.subTest(pair):
            self.assertEqual(self.end(*begun), self.plain.run(*pair))

    def test_as_in_plain_python(self):
        self.check_all()

    def test_iteration_over_a_field(self):
        names = [f"r{n}" for n in range(5)]
        self.client.call("/Hotel/fill_all", [names])
        self.assertEqual(self.client.call("/Hotel/iterates"), names)
        self.assertEqual(self.client.call("/Hotel/show_all"), {name: {"seen": n} for n, name in enumerate(names)})


class HeldOverKills(Held):
    """Whatever holds the coroutines dies between the change and the use."""

    def test_the_workers_are_killed(self):
        def kill():
            for pid in self.node.worker_pids():
                os.kill(pid, signal.SIGKILL)

        self.check_all(kill)

    def test_the_server_is_killed(self):
        def kill():
            self.node.kill()
            self.node.start()
            self.client = self.node.client()

        self.check_all(kill)


class HeldRebuilt(Held):
    """Every suspension ends in a replay; so one method at a time, for each look at whether it may go on replays it."""

    def check_all(self, between=lambda: None):
        for pair in [(holds, other) for holds in HOLDS for other in OTHERS]:
            self.check(pair, self.begin(*pair))
        self.assert_nothing_unfinished(self.client)

    def program(self) -> str:
        return fault_binary()

    def environment(self) -> dict:
        return {"SOSTENUTO_EVICT": "1", "SOSTENUTO_RESIDENT_BYTES_MIN": "1"}


if __name__ == "__main__":
    unittest.main()
