"""Transfers between accounts: every audit sees the same sum, and the balances are what the replies add up to."""


def check(events: list[dict], balances: dict[str, int], initial: dict[str, int]) -> list[str]:
    """What is wrong. Keys must not repeat, see `replies.distinct`."""
    expected, total, wrong = dict(initial), sum(initial.values()), []
    for event in events:
        if event["path"] in ("/Bank/audit", "/Bank/audit_opened"):
            if event["reply"] != total:
                wrong.append(f"{event['key']}: an audit saw {event['reply']} instead of {total}")
        elif event["path"] == "/Bank/transfer" and event["reply"] is True:
            source, target, amount = event["args"]
            expected[source] = expected.get(source, 0) - amount
            expected[target] = expected.get(target, 0) + amount
        elif event["path"] == "/Bank/open" and event["reply"] is True:
            name, source, amount = event["args"]
            if name in expected:
                wrong.append(f"{name} was opened twice")
            expected[source] = expected.get(source, 0) - amount
            expected[name] = expected.get(name, 0) + amount
    for name in expected.keys() | balances.keys():
        if balances.get(name, 0) != expected.get(name, 0):
            wrong.append(f"{name} has {balances.get(name)}, the replies say {expected.get(name)}")
        if balances.get(name, 0) < 0:
            wrong.append(f"{name} has {balances[name]}")
    return wrong
