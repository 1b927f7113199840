"""Moves money over many connections while others audit, then checks that none was made or lost."""

import argparse
import random
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from load import Client, in_parallel, timed_call

AUDITORS_SHARE = 4  # one client in four audits


def setup(client, tag: str, accounts: int, funds: int) -> list[str]:
    """Open accounts whose names begin with the tag; returns the names."""
    names = [f"{tag}-{n}" for n in range(accounts)]
    for name in names:
        client.call(f"/Account/{name}/deposit", [funds], f"open-{name}")
    return names


def load(connect, names: list[str], clients: int, requests: int, seed: int) -> list[dict]:
    """Three clients in four make random transfers, the others audit; returns what they saw."""

    def work(client, number):
        chance = random.Random(f"{seed}-{number}")
        auditor = number % AUDITORS_SHARE == AUDITORS_SHARE - 1
        events = []
        for n in range(requests):
            key = f"{names[0]}-{number}-{n}"
            if auditor:
                events.append(timed_call(client, number, "/Bank/audit", [names], key))
            else:
                source, target = chance.sample(names, 2)
                args = [source, target, chance.randint(1, 60)]
                events.append(timed_call(client, number, "/Bank/transfer", args, key))
        return events

    return in_parallel(connect, clients, work)


def read(client, names: list[str]) -> dict[str, int]:
    """Balances at the end."""
    asked = uuid.uuid4().hex
    return {name: client.call(f"/Account/{name}/balance", [], f"{asked}-{name}") for name in names}


def invariants(history: list[dict], balances: dict[str, int], funds: int) -> list[str]:
    """What is wrong with the end of a load, empty if nothing is."""
    expected = dict.fromkeys(balances, funds)
    wrong = []
    for event in history:
        if event["path"] == "/Bank/audit":
            if event["reply"] != funds * len(balances):
                wrong.append(f"an audit saw {event['reply']}, there are {funds * len(balances)}")
        elif event["reply"] is True:
            source, target, amount = event["args"]
            expected[source] -= amount
            expected[target] += amount
    for name, balance in balances.items():
        if balance != expected[name] or balance < 0:
            wrong.append(f"{name} has {balance}, the replies say {expected[name]}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--accounts", type=int, default=10)
    parser.add_argument("--funds", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100, help="for each client")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    def connect():
        return Client(options.server)

    names = setup(connect(), uuid.uuid4().hex[:8], options.accounts, options.funds)
    began = time.monotonic()
    history = load(connect, names, options.clients, options.requests, options.seed)
    seconds = time.monotonic() - began
    wrong = invariants(history, read(connect(), names), options.funds)
    moved = sum(event["reply"] is True for event in history)
    audits = sum(event["path"] == "/Bank/audit" for event in history)
    print(f"{len(history)} calls in {seconds:.1f} s: {moved} transfers, {audits} audits")
    print("\n".join(wrong) or f"every audit saw {options.funds * options.accounts}, every balance is as replied")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
