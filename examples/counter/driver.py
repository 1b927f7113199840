"""Adds to counters over many connections, then checks that no addition was lost or made twice."""

import argparse
import random
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from load import Client, in_parallel, timed_call


def load(connect, tag: str, keys: int, clients: int, requests: int, seed: int) -> list[dict]:
    """Each client adds to random counters; returns what they saw."""

    def work(client, number):
        chance = random.Random(f"{seed}-{number}")
        events = []
        for n in range(requests):
            name = f"{tag}-{chance.randrange(keys)}"
            events.append(timed_call(client, number, "/Counter/increment", [name], f"{tag}-{number}-{n}"))
        return events

    return in_parallel(connect, clients, work)


def read(client, history: list[dict]) -> dict[str, int]:
    """Counters of the history at the end."""
    asked = uuid.uuid4().hex
    names = {event["args"][0] for event in history}
    return {name: client.call("/Counter/get", [name], f"{asked}-{name}") for name in sorted(names)}


def invariants(history: list[dict], counts: dict[str, int]) -> list[str]:
    """What is wrong with the end of a load, empty if nothing is."""
    wrong = []
    for name, count in counts.items():
        replies = sorted(event["reply"] for event in history if event["args"] == [name])
        if replies != list(range(1, count + 1)):
            wrong.append(f"{name}: {count} stored, replies {replies}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--keys", type=int, default=10)
    parser.add_argument("--requests", type=int, default=200, help="for each client")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    def connect():
        return Client(options.server)

    began = time.monotonic()
    history = load(connect, uuid.uuid4().hex[:8], options.keys, options.clients, options.requests, options.seed)
    seconds = time.monotonic() - began
    wrong = invariants(history, read(connect(), history))
    print(f"{len(history)} increments in {seconds:.1f} s")
    print("\n".join(wrong) or "every counter holds exactly its increments, every reply was given once")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
