"""Bookings over hotels and flights: a reply "booked" is stored in all three places, a reply "sold out" nowhere, no
place is sold twice, and nobody is refused while places are left. Every user books once."""

from collections import Counter


def check(events: list[dict], state: dict, capacity: dict[str, int]) -> list[str]:
    """What is wrong.

    `state` is {"hotels": {id: {"free", "clients"}}, "flights": the same, "orders": [{"user", "hotel", "flight"}]};
    `capacity` has the places that each hotel and flight began with. Keys must not repeat, see `replies.distinct`.
    """
    books = [event for event in events if event["path"] == "/Frontend/book"]
    wrong = _stored(books, state) + _capacity(state, capacity)
    return wrong + _refused(books, capacity)


def _stored(books: list[dict], state: dict) -> list[str]:
    wrong = []
    expected = Counter(tuple(event["args"]) for event in books if event["reply"] is True)
    orders = Counter((order["user"], order["hotel"], order["flight"]) for order in state["orders"])
    for booking in expected.keys() | orders.keys():
        if expected[booking] != orders[booking]:
            wrong.append(f"{booking}: {expected[booking]} replies, {orders[booking]} orders")
    for side, place in (("hotels", 1), ("flights", 2)):
        replied = Counter((booking[place], booking[0]) for booking in expected.elements())
        stored = Counter((name, user) for name, entry in state[side].items() for user in entry["clients"])
        for pair in replied.keys() | stored.keys():
            if replied[pair] != stored[pair]:
                wrong.append(f"{side} {pair}: {replied[pair]} replies, {stored[pair]} stored")
    for user, times in Counter(event["args"][0] for event in books).items():
        if times > 1:
            wrong.append(f"{user} asked {times} times: the history does not suit this checker")
    return wrong


def _capacity(state: dict, capacity: dict[str, int]) -> list[str]:
    wrong = []
    for side in ("hotels", "flights"):
        for name, entry in state[side].items():
            if entry["free"] < 0 or entry["free"] + len(entry["clients"]) != capacity[name]:
                wrong.append(f"{name}: {entry['free']} free and {len(entry['clients'])} clients of {capacity[name]}")
    return wrong


def _refused(books: list[dict], capacity: dict[str, int]) -> list[str]:
    """A refusal needs as many bookings of the hotel, or of the flight, that began before it ended."""
    wrong = []
    starts: dict[str, list[float]] = {}
    for event in books:
        if event["reply"] is True:
            for name in event["args"][1:]:
                starts.setdefault(name, []).append(event["start"])
    for event in books:
        if event["reply"] is False:
            taken = [sum(start < event["end"] for start in starts.get(name, [])) for name in event["args"][1:]]
            if all(count < capacity[name] for count, name in zip(taken, event["args"][1:])):
                wrong.append(f"{event['args']} was refused when at most {taken} places were taken")
    return wrong
