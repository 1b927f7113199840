"""Writes reviews over many connections, then checks that each is stored once in each of its three places."""

import argparse
import random
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from load import Client, in_parallel, timed_call

TITLES = ["Metropolis", "Solaris", "Stalker", "Ikiru"]


def load(connect, tag: str, clients: int, requests: int, seed: int) -> list[dict]:
    """Each client writes reviews of a few movies; returns what they saw."""

    def work(client, number):
        chance = random.Random(f"{seed}-{number}")
        events = []
        for n in range(requests):
            title = f"{tag} {chance.choice(TITLES)}"
            text = f"Number {n}, see https://example.org/{n} @friend{n}"
            args = [f"{tag}-{number % 5}", title, text, chance.randint(0, 10)]
            events.append(timed_call(client, number, "/ComposeReview/compose", args, f"{tag}-{number}-{n}"))
        return events

    return in_parallel(connect, clients, work)


def read(client, history: list[dict]) -> dict:
    """The ids stored for each movie and user of the history, and each movie's page."""
    asked = uuid.uuid4().hex
    movies = {event["reply"]["movie"]: event["args"][1] for event in history}
    users = {event["reply"]["user"] for event in history}
    return {
        "movies": {name: client.call("/MovieReviews/ids", [name], f"{asked}-{name}") for name in sorted(movies)},
        "users": {name: client.call("/UserReviews/ids", [name], f"{asked}-{name}") for name in sorted(users)},
        "pages": {name: client.call("/Page/movie", [title], f"{asked}-page-{name}") for name, title in movies.items()},
        "storage": {
            event["reply"]["id"]: client.call("/ReviewStorage/read", [event["reply"]["id"]], f"{asked}-{event['key']}")
            for event in history
        },
    }


def invariants(history: list[dict], state: dict) -> list[str]:
    """What is wrong with the end of a load, empty if nothing is."""
    wrong = []
    reviews = [event["reply"] for event in history]
    if len({review["id"] for review in reviews}) != len(reviews):
        wrong.append("two reviews have one id")
    for place, part in (("movies", "movie"), ("users", "user")):
        for name, ids in state[place].items():
            expected = [review["id"] for review in reviews if review[part] == name]
            if sorted(ids) != sorted(expected):
                wrong.append(f"{place}/{name}: {len(ids)} stored, {len(expected)} written")
    wrong += [f"{review['id']} is stored otherwise" for review in reviews if state["storage"][review["id"]] != review]
    for name, page in state["pages"].items():
        stars = [review["stars"] for review in reviews if review["movie"] == name]
        if abs(page["mean"] - sum(stars) / len(stars)) > 1e-9:
            wrong.append(f"{page['title']}: mean {page['mean']}, written {sum(stars) / len(stars)}")
    for event in history:
        number = event["args"][2].split()[1].rstrip(",")
        if event["reply"]["mentions"] != [f"friend{number}"] or event["reply"]["stars"] != event["args"][3]:
            wrong.append(f"{event['args']} became {event['reply']}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=20, help="for each client")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    def connect():
        return Client(options.server)

    began = time.monotonic()
    history = load(connect, uuid.uuid4().hex[:8], options.clients, options.requests, options.seed)
    seconds = time.monotonic() - began
    wrong = invariants(history, read(connect(), history))
    print(f"{len(history)} reviews in {seconds:.1f} s")
    print("\n".join(wrong) or "every review is stored once in storage, with its movie and with its user")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
