"""Orders: a card is charged, the warehouse packs within a time limit or the card is refunded, the customer gets mail."""

import asyncio
import os
import random
import tempfile
from pathlib import Path

from sostenuto import Persistent, entity, service, sleep, task


def outside(kind: str, order: str) -> Path:
    """Where the world outside leaves its traces: a file for each charge, refund and mail."""
    root = Path(os.environ.get("ORDERS_OUTSIDE") or Path(tempfile.gettempdir()) / "sostenuto-orders")
    folder = root / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder / order


@task(retries=20, timeout=5, backoff=0.02, backoff_max=0.2)
def charge(order: str, card: str, cents: int) -> str:
    """Charge a card at a provider that is often not there. It knows each order and charges it once."""
    if random.random() < 0.3:
        raise ConnectionError("the payment provider did not answer")
    receipt = outside("charges", order)
    if not receipt.exists():
        receipt.write_text(f"{card} {cents}")
    return f"receipt-{order}"


@task(retries=20, backoff=0.02)
def refund(order: str) -> None:
    """Give the money back, once."""
    outside("refunds", order).touch()


@task(retries=3, timeout=10)
async def mail(order: str, text: str) -> None:
    """Send a mail. If this runs twice, two are sent: that is what at least once means."""
    with open(outside("mails", order), "a") as box:
        box.write(f"{text}\n")


@entity
class Warehouse:
    """The shelf of one article."""

    key: str
    packed: Persistent[int] = 0

    async def pack(self, seconds: float) -> int:
        """Pack one; takes a while, and is undone by being cancelled, because nothing was written yet."""
        await sleep(seconds)
        self.packed += 1
        return self.packed

    def count(self) -> int:
        """How many were packed."""
        return self.packed


@service
class Shop:
    """Takes orders."""

    states: Persistent[dict[str, str]] = {}

    async def order(self, order: str, article: str, card: str, cents: int, seconds: float) -> str:
        """Charge, pack, mail; `seconds` is how long the packing takes, which may be too long.

        >>> Shop().order("1001", "lamp", "4000-1234", 1990, 0.1)
        'shipped'
        """
        receipt: str = await charge(order, card, cents)
        self.states[order] = "paid"
        try:
            await asyncio.wait_for(Warehouse(article).pack(seconds), 2)
            state = "shipped"
        except TimeoutError:
            await refund(order)
            state = "refunded"
        self.states[order] = state
        await mail(order, f"{receipt}: {state}")
        return state

    def state(self, order: str) -> str:
        """Where an order stands."""
        return self.states.get(order, "unknown")
