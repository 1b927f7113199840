"""Books rooms and seats over many connections until all is sold out, then checks that none was sold twice or lost."""

import argparse
import random
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from load import Client, in_parallel, timed_call


def setup(client, tag: str, hotels: int, flights: int, capacity: int) -> tuple[list[str], list[str]]:
    """Add hotels and flights whose ids begin with the tag; returns the ids."""
    hotel_ids = [f"{tag}-hotel-{n}" for n in range(hotels)]
    flight_ids = [f"{tag}-flight-{n}" for n in range(flights)]
    for hotel_id in hotel_ids:
        client.call("/Hotel/add", [hotel_id, capacity], f"add-{hotel_id}")
    for flight_id in flight_ids:
        client.call("/Flight/add", [flight_id, capacity], f"add-{flight_id}")
    return hotel_ids, flight_ids


def load(connect, tag: str, hotel_ids: list[str], flight_ids: list[str], clients: int, seed: int) -> list[dict]:
    """Each client books random pairs until it was told of each pair that it is sold out; returns what they saw."""

    def work(client, number):
        chance = random.Random(f"{seed}-{number}")
        pairs = [(hotel_id, flight_id) for hotel_id in hotel_ids for flight_id in flight_ids]
        events = []
        while pairs:
            pair = chance.choice(pairs)
            user = f"{tag}-user-{number}-{len(events)}"
            event = timed_call(client, number, "/Frontend/book", [user, *pair], f"book-{user}")
            events.append(event)
            if event["reply"] is False:
                pairs.remove(pair)
        return events

    return in_parallel(connect, clients, work)


def read(client, tag: str, hotel_ids: list[str], flight_ids: list[str]) -> dict:
    """What is stored at the end."""
    asked = uuid.uuid4().hex

    def side(service, ids):
        return {
            name: {
                "free": client.call(f"/{service}/capacity", [name], f"{asked}-capacity-{name}"),
                "clients": client.call(f"/{service}/clients", [name], f"{asked}-clients-{name}"),
            }
            for name in ids
        }

    orders = client.call("/Orders/all", [], f"{asked}-orders")
    return {
        "hotels": side("Hotel", hotel_ids),
        "flights": side("Flight", flight_ids),
        "orders": [order for order in orders if order["user"].startswith(f"{tag}-")],
    }


def invariants(history: list[dict], state: dict, capacity: int) -> list[str]:
    """What is wrong with the end of a load, empty if nothing is."""
    booked = sum(event["reply"] is True for event in history)
    wrong = []
    for side in ("hotels", "flights"):
        stored = sum(len(entry["clients"]) for entry in state[side].values())
        used = sum(capacity - entry["free"] for entry in state[side].values())
        if not booked == stored == used:
            wrong.append(f"{side}: {booked} replies, {stored} bookings stored, {used} places used")
        wrong += [f"{name} has {entry['free']} left" for name, entry in state[side].items() if entry["free"] < 0]
    if booked != len(state["orders"]):
        wrong.append(f"{booked} replies, {len(state['orders'])} orders")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--hotels", type=int, default=5)
    parser.add_argument("--flights", type=int, default=5)
    parser.add_argument("--capacity", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    def connect():
        return Client(options.server)

    tag = uuid.uuid4().hex[:8]
    ids = setup(connect(), tag, options.hotels, options.flights, options.capacity)
    began = time.monotonic()
    history = load(connect, tag, *ids, options.clients, options.seed)
    seconds = time.monotonic() - began
    wrong = invariants(history, read(connect(), tag, *ids), options.capacity)
    booked = sum(event["reply"] is True for event in history)
    print(f"{len(history)} calls in {seconds:.1f} s: {booked} booked, {len(history) - booked} sold out")
    print("\n".join(wrong) or "bookings, places used and orders agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
