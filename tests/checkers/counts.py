"""Counters: the replies for one counter are 1, 2, 3, … without gap or repetition, in an order that time allows."""


def check(events: list[dict], counts: dict[str, int]) -> list[str]:
    """What is wrong. Keys must not repeat, see `replies.distinct`."""
    by_name: dict[str, list[dict]] = {name: [] for name in counts}
    for event in events:
        if event["path"] == "/Counter/increment":
            by_name.setdefault(event["args"][0], []).append(event)
    wrong = []
    for name, increments in by_name.items():
        replies = sorted(event["reply"] for event in increments)
        if replies != list(range(1, counts.get(name, 0) + 1)):
            wrong.append(f"{name}: {counts.get(name)} stored, {len(replies)} replies: {_oddities(replies)}")
        wrong += _order(name, increments)
    return wrong


def _oddities(replies: list[int]) -> str:
    expected = set(range(1, max(replies, default=0) + 1))
    twice = sorted({reply for reply in replies if replies.count(reply) > 1})
    return f"missing {sorted(expected - set(replies))[:10]}, twice {twice[:10]}"


def _order(name: str, increments: list[dict]) -> list[str]:
    """One that ended before another began has the smaller reply."""
    wrong, ended = [], sorted(increments, key=lambda event: event["end"])
    highest, done = 0, 0
    for event in sorted(increments, key=lambda event: event["start"]):
        while done < len(ended) and ended[done]["end"] < event["start"]:
            highest = max(highest, ended[done]["reply"])
            done += 1
        if event["reply"] < highest:
            wrong.append(f"{name}: {event['reply']} was given after {highest}")
    return wrong
