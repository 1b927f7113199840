"""Random services on the real server, whose workers and which itself are killed at random moments.

Each program gets a `Judge`, a service that makes the calls and tells results and state as text, so that what crosses
HTTP keeps its types. The same text runs as plain Python. Nobody's client comes in between here, and the next call is
made when everything has ended: between callers no order is promised, nor between calls that run side by side.
"""

import contextlib
import dataclasses
import os
import random
import re
import signal
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from differential.compiling import compile_all
from differential.outcome import form
from differential.plain import arguments, plain
from differential.program import make
from harness import UNFINISHED, Server, Surviving, until

#: Programs of one application.
BATCH = 10
#: Kills during one call: one that kills its worker three times would be parked.
KILLS_MAX = 2
#: How often a kill is the server's, and how late after the call a kill may come.
SERVER_KILLED, SECONDS_MAX = 0.3, 0.03
ENDED_SECONDS_MAX = 120
#: Calls of one service side by side: which is first depends on whose worker is killed.
UNORDERED = re.compile(
    r"gather\(\*|gather\(.*\b(other|_work|_drawing|_relay)\b.*\b(other|_work|_drawing|_relay)\b|send\((self\.other|Item)"
    r"|(?s:create_task\(.*\b(self|range)\b.*\bself\.(other|_\w+)\b)"
)

JUDGE = '''

@service
class Judge{number}:
    main: Main{number}
    other: Other{number}
    sink: Sink{number}

{methods}
    async def state(self, items: list[str], ledgers: list[int], desks: list[int]) -> list[str]:
        told = [await self.main.state(), await self.other.state(), await self.sink.state()]
        for key in items:
            told.append(f"{key!r}: {await Item{number}(key).state()}")
        for key in ledgers:
            told.append(f"{key!r}: {await Ledger{number}(key).state()}")
        for key in desks:
            told.append(f"{key!r}: {await Desk{number}(UUID(int=key)).state()}")
        return told
'''
METHOD = '''    async def {name}(self, a: int, k: str, items: list[int], p: dict) -> str:
        try:
            return show(await self.main.{name}({arguments}))
        except Exception as error:
            return f"raise {{told(error)}}"

'''


@dataclass
class Seen:
    """What a number of programs showed."""

    programs: int = 0
    calls: int = 0
    #: Kills of a worker and of the server while a call was not answered.
    workers_killed: int = 0
    servers_killed: int = 0
    differences: list = field(default_factory=list)

    def __str__(self):
        return (
            f"{self.programs} programs on the server, {self.calls} calls, {self.workers_killed} workers and "
            f"{self.servers_killed} servers killed meanwhile: {len(self.differences)} differences"
        )


def judged(program):
    """The program with its judge, nobody coming in between; its calls are the judge's."""
    names = sorted({name for name, _ in program.script})
    methods = "".join(METHOD.format(name=name, arguments="" if name == "setup" else "a, k, items, p") for name in names)
    text = program.text + JUDGE.replace("{number}", str(program.number)).replace("{methods}", methods)
    script = [(name, "(0, '', [], {})" if name == "setup" else arguments) for name, arguments in program.script]
    return dataclasses.replace(program, text=text, script=script, meanwhile={})


def run(seed, first, count, make_server, told=print):
    """Programs `first` to `first + count - 1`; `make_server(app, name)` gives a server that is not started yet."""
    seen = Seen()
    for start in range(first, first + count, BATCH):
        programs = [judged(make(seed, number, UNORDERED)) for number in range(start, min(start + BATCH, first + count))]
        refused = compile_all(programs).refused
        programs = [program for program in programs if program.module not in refused]
        if programs:
            _Batch(seed, programs, make_server, seen).run()
        told(f"{seen}", flush=True)
    return seen


@contextlib.contextmanager
def servers():
    """A maker of servers in a folder of their own, which end with it."""
    made = []

    def make_server(name):
        folder = Path(place) / name
        folder.mkdir()
        made.append(Server("", folder))
        return made[-1]

    with tempfile.TemporaryDirectory(prefix="sostenuto-killed-") as place:
        try:
            yield make_server
        finally:
            for server in made:
                server.dispose()


class _Batch:
    """Programs of one application on one server."""

    def __init__(self, seed, programs, make_server, seen):
        self.programs, self.seen = programs, seen
        name = f"{seed}-{programs[0].number}"
        self.dice = random.Random(f"{name}/kills")
        self.server = make_server(name)
        app = self.server.folder / "app"
        app.mkdir()
        for program in programs:
            (app / f"{program.module}.py").write_text(program.text)
        self.server.apps = [str(app)]

    def run(self):
        self.server.start()
        self.client = Surviving(self.server, 0, [])
        for program in self.programs:
            self.compare(program)
        self.server.stop()

    def compare(self, program):
        """Runs one program here and there."""
        expected = plain(program, "Judge")
        for index, (method, text) in enumerate(program.script):
            answer = self.killing(f"/Judge{program.number}/{method}", list(arguments(text, {})), f"{program.module}-{index}")
            self.expect(program, f"result of call {index}", expected.results[index], answer)
        answer = self.client.call(f"/Judge{program.number}/state", expected.keys, f"{program.module}-state")
        self.expect(program, "state", expected.told, answer)
        self.seen.programs += 1

    def expect(self, program, what, ours, theirs):
        theirs = form(theirs)
        if ours != theirs:
            self.seen.differences.append((program.number, what, ours, theirs))

    def killing(self, path, args, key):
        """What a call gives during which workers and the server are killed; when everything has ended."""
        answer = []
        caller = threading.Thread(target=lambda: answer.append(self.client.call(path, args, key)))
        caller.start()
        for _ in range(self.dice.randrange(KILLS_MAX + 1)):
            is_server, seconds = self.dice.random() < SERVER_KILLED, self.dice.uniform(0, SECONDS_MAX)
            caller.join(seconds)  # the moment of the crash
            self.kill(is_server, caller.is_alive())
        caller.join()
        self.seen.calls += 1
        client = self.server.client()
        until("everything has ended", lambda: client.invocations(*UNFINISHED) == [], ENDED_SECONDS_MAX)
        if not answer:
            raise AssertionError(f"no answer to {path} {args} {key}: {self.client.history[-1:]}")
        return answer[0]

    def kill(self, is_server, counts):
        if is_server:
            self.server.kill()
            self.server.start()
            self.seen.servers_killed += counts
            return
        pids = self.server.worker_pids()
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.dice.choice(pids), signal.SIGKILL)
                self.seen.workers_killed += counts
