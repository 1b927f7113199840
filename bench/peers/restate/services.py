"""The canonical workloads for Restate's Python SDK, served over HTTP/2."""

import asyncio
import sys

import restate
import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

CITIES = ("Tokyo", "Seattle", "London", "Amsterdam", "Lima")
FAN = 100
FUNDS = 1000

bench = restate.Service("Bench")
tally = restate.VirtualObject("Tally")
account = restate.VirtualObject("Account")


def hello(city: str) -> str:
    """One of five steps."""
    return f"Hello {city}! "


def same(number: int) -> int:
    """One of a hundred steps."""
    return number


@bench.handler()
async def noop(ctx: restate.Context) -> None:
    """Nothing."""


@bench.handler()
async def hello5(ctx: restate.Context) -> str:
    """Five journalled steps in sequence."""
    text = ""
    for city in CITIES:
        text += await ctx.run_typed("hello", hello, city=city)
    return text


@bench.handler()
async def fanout(ctx: restate.Context) -> int:
    """A hundred journalled steps side by side, summed."""
    steps = [ctx.run_typed("same", same, number=number) for number in range(FAN)]
    await restate.gather(*steps)
    return sum([await step for step in steps])


@bench.handler()
async def transfer(ctx: restate.Context, order: dict) -> None:
    """Two calls, each exactly once; others see what is between them."""
    await ctx.object_call(change, key=order["source"], arg=-order["amount"])
    await ctx.object_call(change, key=order["target"], arg=order["amount"])


@tally.handler()
async def add(ctx: restate.ObjectContext, amount: int) -> int:
    """Add and return the new count."""
    count = (await ctx.get("count") or 0) + amount
    ctx.set("count", count)
    return count


@tally.handler("get")
async def get_count(ctx: restate.ObjectContext) -> int:
    """The count."""
    return await ctx.get("count") or 0


async def funds(ctx: restate.ObjectContext) -> int:
    """How much there is."""
    known = await ctx.get("funds")
    return FUNDS if known is None else known


@account.handler()
async def change(ctx: restate.ObjectContext, amount: int) -> int:
    """Put in or take out."""
    balance = await funds(ctx) + amount
    ctx.set("funds", balance)
    return balance


@account.handler("get")
async def get_funds(ctx: restate.ObjectContext) -> int:
    """How much there is."""
    return await funds(ctx)


if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    # Streams and requests of a connection are not to end it.
    config.h2_max_concurrent_streams = config.keep_alive_max_requests = config.keep_alive_timeout = 2**31 - 1
    uvloop.install()
    asyncio.run(serve(restate.app(services=[bench, tally, account]), config))
