"""`asyncio.create_task` and `asyncio.TaskGroup`: each program gives what asyncio gives, kept and replayed."""

import asyncio
import unittest

import fake

BODY = '''\
    async def both(self):
        first = API.create_task(self._say("a", 3))
        second = API.create_task(self._say("b", 1))
        self.order.append("body")
        return [await second, await first, await first, first.done(), second.result()]

    async def later(self):
        task = API.create_task(self._say("a", 2))
        await self.other.echo("between")
        done = task.done()
        await self.other.echo("again")
        await self.other.echo("again")
        return [done, task.done(), await task]

    async def raises(self):
        task = API.create_task(self._fail("no"))
        await self.other.echo(1)
        await self.other.echo(2)
        found = [str(task.exception()), task.cancelled()]
        try:
            await task
        except ValueError as error:
            found.append(str(error))
        return found

    async def cancels(self):
        async def slow():
            try:
                await self._say("slow", 5)
            except asyncio.CancelledError:
                self.order.append("cancelled")
                await self.other.echo("cleaning up")
                raise
        task = API.create_task(slow())
        await self.other.echo(1)
        found = [task.cancel(), task.done()]
        try:
            await task
        except asyncio.CancelledError:
            found.append("raised")
        return [*found, task.cancelled(), task.cancel()]

    async def swallows(self):
        async def stubborn():
            try:
                await self._say("slow", 5)
            except asyncio.CancelledError:
                return "stayed"
        task = API.create_task(stubborn())
        await self.other.echo(1)
        task.cancel()
        return [await task, task.cancelled()]

    async def before_it_begins(self):
        task = API.create_task(self._say("never", 1))
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return task.cancelled()

    async def gathered(self):
        tasks = [API.create_task(self._say(name, 2)) for name in "xy"]
        return await API.gather(*tasks, self.other.echo("z"))

    async def begins(self):
        task = API.create_task(self.other.echo("task"))
        both = API.gather(self.other.echo("one"), self.other.echo("two"))
        timed = API.wait_for(self.other.echo("timed"), 60)
        await self.other.echo("direct")
        return [await task, await both, await timed, await self.other.heard()]

    async def cancels_what_has_not_begun(self):
        task = API.create_task(self.other.echo("never"))
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return [task.cancelled(), await self.other.heard()]

    async def shared(self):
        task = API.create_task(self._say("a", 2))
        async def uses(n):
            return [n, await task]
        return await API.gather(uses(1), uses(2))

    async def group(self):
        async with API.TaskGroup() as group:
            first = group.create_task(self._say("a", 2))
            second = group.create_task(self._say("b", 3))
            self.order.append("body")
        return [first.result(), second.result()]

    async def empty_group(self):
        async with API.TaskGroup() as group:
            pass
        return "empty"

    async def nested_tasks(self):
        async def more(group):
            await self.other.echo("more")
            return group.create_task(self._say("late", 2))
        async with API.TaskGroup() as group:
            task = group.create_task(more(group))
        return task.result().result()

    async def group_fails(self):
        found = []
        try:
            async with API.TaskGroup() as group:
                slow = group.create_task(self._say("slow", 9))
                group.create_task(self._fail("one"))
                try:
                    await self._say("body", 9)
                finally:
                    found.append("body left")
        except* ValueError as errors:
            found += [str(error) for error in errors.exceptions]
        return [*found, slow.cancelled()]

    async def group_fails_at_the_end(self):
        found = []
        try:
            async with API.TaskGroup() as group:
                slow = group.create_task(self._say("slow", 9))
                group.create_task(self._fail("one"))
                group.create_task(self._fail("two"))
        except ExceptionGroup as errors:
            found += [errors.message, sorted(str(error) for error in errors.exceptions)[0]]
        return [*found, slow.cancelled()]

    async def body_fails(self):
        found = []
        try:
            async with API.TaskGroup() as group:
                slow = group.create_task(self._say("slow", 9))
                await self.other.echo("x")
                raise KeyError("body")
        except* KeyError as errors:
            found += [repr(error) for error in errors.exceptions]
        return [*found, slow.cancelled()]

    async def inner_group(self):
        found = []
        try:
            async with API.TaskGroup() as outer:
                async with API.TaskGroup() as inner:
                    inner.create_task(self._fail("inner"))
                    other = outer.create_task(self._say("outer", 9))
        except* ValueError as errors:
            found.append([str(part) for group in errors.exceptions for part in getattr(group, "exceptions", [group])])
        return [*found, other.cancelled()]

    async def misused(self):
        group = API.TaskGroup()
        found = []
        coroutine = self._say("a", 1)
        try:
            group.create_task(coroutine)
        except RuntimeError:
            found.append("not entered")
            coroutine.close()
        async with group:
            pass
        coroutine = self._say("a", 1)
        try:
            group.create_task(coroutine)
        except RuntimeError:
            found.append("finished")
            coroutine.close()
        return found

    async def _say(self, name, count):
        got = []
        for number in range(count):
            got.append(await self.other.echo(f"{name}{number}"))
            self.order.append(got[-1])
        return got

    async def _fail(self, text):
        await self.other.echo("before")
        raise ValueError(text)
'''
SOURCE = f'''\
import asyncio


class Other:
    def echo(self, value):
        self.calls.append(value)
        return value

    def heard(self):
        return self.calls


class Main:
{BODY.replace("API.", "__sos__.")}
    async def forgotten(self):
        __sos__.create_task(self._say("a", 1))

    async def time_runs_out(self):
        async def work():
            async with __sos__.TaskGroup() as group:
                group.create_task(__sos__.sleep(500))
                await __sos__.sleep(400)
        try:
            await __sos__.wait_for(work(), 1)
        except TimeoutError:
            return "timeout"
'''
METHODS = [line.split("def ")[1].split("(")[0] for line in SOURCE.partition("class Main")[2].splitlines()
           if line.startswith("    async def ")]  # fmt: skip


class Plain:
    """The same methods with asyncio."""

    def __init__(self):
        self.order, self.calls = [], []
        self.other = self

    async def echo(self, value):
        self.calls.append(value)
        await asyncio.sleep(0)
        return value

    async def heard(self):
        return list(self.calls)


def plain_outcome(method):
    namespace = {"asyncio": asyncio}
    exec(f"class Main(Plain):\n{BODY.replace('API.', 'asyncio.')}", {"asyncio": asyncio, "Plain": Plain}, namespace)
    return asyncio.run(getattr(namespace["Main"](), method)())


class Spawned(unittest.TestCase):
    def setUp(self):
        main = fake.service("Main", scalars={"order": []}, clients={"other": "Other"}, methods=METHODS)
        services = [main, fake.service("Other", scalars={"calls": []}, methods=["echo", "heard"])]
        self.server = fake.Server(fake.Inside(), [fake.module("app", SOURCE)], services)
        self.addCleanup(self.server.close)

    def call(self, method, evict=False):
        self.server.state.clear()
        self.server.evict_always = evict
        return self.server.call("Main", method)

    def test_each_program_gives_what_asyncio_gives(self):
        for method in METHODS:
            if method.startswith("_") or f"async def {method}(" not in BODY:
                continue
            for evict in (False, True):
                with self.subTest(method=method, evict=evict):
                    self.assertEqual(self.call(method, evict), plain_outcome(method))

    def test_a_task_that_is_never_awaited(self):
        with self.assertRaises(fake.Failed) as caught:
            self.call("forgotten")
        self.assertIn("the create_task() at app.py:", str(caught.exception.error))

    def test_a_group_that_is_cancelled(self):
        for evict in (False, True):
            self.assertEqual(self.call("time_runs_out", evict), "timeout")


if __name__ == "__main__":
    unittest.main()
