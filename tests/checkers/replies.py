"""A key has one reply and one invocation, however often it is sent."""


def check(events: list[dict]) -> list[str]:
    """What is wrong with a history."""
    first, wrong = {}, []
    for event in events:
        if event["key"] is None:
            continue
        seen = first.setdefault(event["key"], event)
        for part in ("path", "args", "status", "reply", "id"):
            if event.get(part) != seen.get(part):
                wrong.append(f"{event['key']}: {part} was {seen.get(part)!r}, then {event.get(part)!r}")
    return wrong


def distinct(events: list[dict]) -> list[dict]:
    """The history without repeated keys: the earliest send, the earliest answer."""
    first = {}
    for event in sorted(events, key=lambda event: event["end"]):
        seen = first.setdefault(event["key"], dict(event))
        seen["start"] = min(seen["start"], event["start"])
    return list(first.values())
