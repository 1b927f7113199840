"""Places orders over many connections, some of which are packed too late; then looks at what happened outside."""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from load import Client, in_parallel, timed_call

LATE_SHARE = 4  # one order in four


def folder() -> Path:
    """The world outside."""
    return Path(os.environ.get("ORDERS_OUTSIDE") or Path(tempfile.gettempdir()) / "sostenuto-orders")


def load(connect, tag: str, clients: int, requests: int, seed: int) -> list[dict]:
    """Everybody orders lamps; returns what they saw."""

    def work(client, number):
        chance = random.Random(f"{seed}-{number}")
        events = []
        for n in range(requests):
            order = f"{tag}-{number}-{n}"
            late = chance.randrange(LATE_SHARE) == 0
            # Every order has a shelf of its own, so that nobody waits for another's packing.
            args = [order, f"lamp-{order}", f"card-{number}", 100 + n, 3600 if late else 0.01]
            events.append(timed_call(client, number, "/Shop/order", args, f"key-{order}"))
        return events

    return in_parallel(connect, clients, work)


def read(client, history: list[dict]) -> dict[str, tuple]:
    """For each order its state, and how many were packed."""
    found = {}
    for event in history:
        order, article = event["args"][:2]
        state = client.call("/Shop/state", [order], f"state-{order}-{time.monotonic()}")
        found[order] = state, client.call(f"/Warehouse/{article}/count", [], f"count-{order}-{time.monotonic()}")
    return found


def invariants(history: list[dict], found: dict[str, tuple], outside: Path) -> list[str]:
    """What is wrong, empty if nothing is."""
    wrong = []
    for event in history:
        order, _, card, cents, seconds = event["args"]
        expected = "shipped" if seconds < 1 else "refunded"
        if event["reply"] != expected or found[order] != (expected, int(expected == "shipped")):
            wrong.append(f"{order}: the reply is {event['reply']}, the shop says {found[order]}, it should be {expected}")
        if (outside / "charges" / order).read_text() != f"{card} {cents}":
            wrong.append(f"{order}: charged otherwise")
        if (outside / "refunds" / order).exists() != (expected == "refunded"):
            wrong.append(f"{order}: {expected}, but the refund says otherwise")
        mails = (outside / "mails" / order).read_text().splitlines()
        if set(mails) != {f"receipt-{order}: {expected}"}:
            wrong.append(f"{order}: mails {mails}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=5, help="for each client")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    def connect():
        return Client(options.server)

    tag = str(time.time_ns())
    began = time.monotonic()
    history = load(connect, tag, options.clients, options.requests, options.seed)
    seconds = time.monotonic() - began
    wrong = invariants(history, read(connect(), history), folder())
    refunded = sum(event["reply"] == "refunded" for event in history)
    print(f"{len(history)} orders in {seconds:.1f} s, {refunded} of them refunded: {len(wrong)} violations")
    for line in wrong[:20]:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
