"""A workflow whose code the tests edit while it sleeps."""

from sostenuto import Persistent, service, sleep


@service
class Steps:
    done: Persistent[dict[str, list]] = {}

    def first(self, name: str) -> str:
        self.done[name] = self.done.get(name, []) + ["first"]
        return "first"

    def second(self, name: str) -> str:
        self.done[name] = self.done.get(name, []) + ["second"]
        return "second"

    def all(self, name: str) -> list[str]:
        return self.done.get(name, [])


@service
class Flow:
    steps: Steps

    async def go(self, name: str, seconds: float) -> str:
        before = await self.steps.first(name)  # departs here
        await sleep(seconds)
        after = await self.steps.second(name)
        return before + after
