"""Shortens and expands links over many connections, then checks that each link is known once and each visit was counted."""

import argparse
import random
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from load import Client, in_parallel, timed_call


def load(connect, tag: str, clients: int, requests: int, seed: int) -> list[dict]:
    """Each client shortens and expands links of a small common set; returns what they saw."""

    def work(client, number):
        chance = random.Random(f"{seed}-{number}")
        events = []
        for n in range(requests):
            url = f"https://example.org/{tag}/{chance.randrange(10)}"
            key = f"{tag}-{number}-{n}"
            events.append(timed_call(client, number, "/Shortener/shorten", [url], f"{key}-shorten"))
            events.append(timed_call(client, number, "/Shortener/expand", [events[-1]["reply"]], f"{key}-expand"))
        return events

    return in_parallel(connect, clients, work)


def read(client, history: list[dict]) -> dict[str, int]:
    """How often each short id of the history was expanded, as the service counts."""
    asked = uuid.uuid4().hex
    shorts = {event["reply"] for event in history if event["path"] == "/Shortener/shorten"}
    return {short: client.call("/Shortener/count", [short], f"{asked}-{short}") for short in sorted(shorts)}


def invariants(history: list[dict], counts: dict[str, int]) -> list[str]:
    """What is wrong with the end of a load, empty if nothing is."""
    shorts, visits, wrong = {}, dict.fromkeys(counts, 0), []
    for event in history:
        if event["path"] == "/Shortener/shorten":
            url = event["args"][0]
            if shorts.setdefault(url, event["reply"]) != event["reply"]:
                wrong.append(f"{url} is both {shorts[url]} and {event['reply']}")
    urls = {short: url for url, short in shorts.items()}
    for event in history:
        if event["path"] == "/Shortener/expand":
            short = event["args"][0]
            visits[short] += 1
            if event["reply"] != urls[short]:
                wrong.append(f"{short} led to {event['reply']}, not to {urls[short]}")
    for short, count in counts.items():
        if visits[short] != count:
            wrong.append(f"{short}: {visits[short]} visits, {count} counted")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=50, help="for each client")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    def connect():
        return Client(options.server)

    began = time.monotonic()
    history = load(connect, uuid.uuid4().hex[:8], options.clients, options.requests, options.seed)
    seconds = time.monotonic() - began
    counts = read(connect(), history)
    wrong = invariants(history, counts)
    print(f"{len(history)} calls in {seconds:.1f} s: {len(counts)} links, {sum(counts.values())} visits")
    print("\n".join(wrong) or "every link has one id, every visit was counted once")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
