"""Starts the real server for a test, talks to it, kills and restarts it. Contains no test and judges nothing.

The binary is `SOSTENUTO_BIN`, else the one that cargo built last for release, else for debug. Tests of crashes at a
chosen record and of eviction need the binary with the cargo feature `fault-points`: `SOSTENUTO_FAULT_BIN`.
"""

import contextlib
import http.client
import importlib.util
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import recorded

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
APPS = ROOT / "tests" / "apps"

START_SECONDS_MAX = 60
CALL_SECONDS_MAX = 60
RESEND_SECONDS_MAX = 120
EVENT_SECONDS_MAX = 30
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 60

UNFINISHED = ("accepted", "running", "waiting", "parked")


def binary() -> str:
    """The server under test."""
    found = [os.environ.get("SOSTENUTO_BIN"), ROOT / "target/release/sostenuto", ROOT / "target/debug/sostenuto"]
    for path in found:
        if path and Path(path).exists():
            return str(path)
    raise unittest.SkipTest("no binary: build it or set SOSTENUTO_BIN")


def fault_binary() -> str:
    """The server with fault points."""
    found = [os.environ.get("SOSTENUTO_FAULT_BIN"), ROOT / "target/fault/sostenuto"]
    for path in found:
        if path and Path(path).exists():
            return str(path)
    raise unittest.SkipTest("no fault binary: `cargo xtask test fault` builds it, or set SOSTENUTO_FAULT_BIN")


def rust_example(name: str, *, faults: bool = False) -> str:
    """The program of an example whose services are written in Rust."""
    folder = os.environ.get("SOSTENUTO_RUST_FAULT_EXAMPLES" if faults else "SOSTENUTO_RUST_EXAMPLES")
    path = Path(folder or ROOT / ("target/fault/examples" if faults else "target/release/examples")) / name
    if not path.exists():
        raise unittest.SkipTest(f"no program {path}: `cargo xtask test {'fault' if faults else 'build'}` builds it")
    return str(path)


def driver(example: str):
    """The driver module of an example."""
    path = EXAMPLES / example / "driver.py"
    spec = importlib.util.spec_from_file_location(f"{example}_driver", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def until(what: str, condition, seconds: float = EVENT_SECONDS_MAX):
    """Wait for an event: the first true value of the condition, or a failure that names the event."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} (last seen: {value!r})")
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, below those that the system gives to clients.

    A client that tries again while a server is down could be given such a port, and keep the server from it.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def invocation(self) -> str | None:
        return self.headers.get("X-Sostenuto-Invocation")


class CallFailed(Exception):
    """A reply other than 200."""

    def __init__(self, path: str, args, reply: Reply):
        super().__init__(f"{path} {args}: {reply.status} {reply.body[:2000]!r}")
        self.reply = reply


class Client:
    """One keep-alive connection. Nothing is sent twice unless a test asks for it."""

    def __init__(self, port: int, seconds: float = CALL_SECONDS_MAX):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)

    def close(self):
        self.connection.close()

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None) -> Reply:
        """One exchange; a broken connection is closed and its error passed on."""
        try:
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def post(self, path: str, args=(), key: str | None = None, headers: dict | None = None) -> Reply:
        """POST arguments as JSON."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            sent["Idempotency-Key"] = key
        return self.request("POST", path, json.dumps(args if isinstance(args, dict) else list(args)).encode(), sent)

    def call(self, path: str, args=(), key: str | None = None):
        """The result of a call that must succeed."""
        reply = self.post(path, args, key)
        if reply.status != 200:
            raise CallFailed(path, args, reply)
        return reply.json

    def send(self, path: str, args=(), key: str | None = None) -> str:
        """Hand work over without waiting for it; its id."""
        reply = self.post(f"{path}/send", args, key)
        if reply.status != 202:
            raise CallFailed(path, args, reply)
        return reply.json["id"]

    def result(self, invocation: str, seconds: int = 30) -> Reply:
        """How an invocation ended."""
        return self.get(f"/_/invocations/{invocation}/result?wait={seconds}s")

    def describe(self, invocation: str) -> dict:
        reply = self.get(f"/_/invocations/{invocation}")
        if reply.status != 200:
            raise CallFailed("describe", invocation, reply)
        return reply.json

    def invocations(self, *states: str) -> list[dict]:
        """Invocations in these states at one moment (asked state by state, one that changes its state is missed)."""
        query = f"/_/invocations?state={','.join(states)}"
        reply = self.get(query)
        if reply.status != 200:
            raise CallFailed("invocations", query, reply)
        return reply.json["invocations"]

    def act(self, invocation: str, action: str) -> Reply:
        """An operator's action: cancel, pause, resume."""
        return self.post(f"/_/invocations/{invocation}/{action}")

    def field(self, path: str):
        """A stored value through the control API."""
        reply = self.get(f"/_/state/{path}")
        if reply.status != 200:
            raise CallFailed("state", path, reply)
        return reply.json["value"]


class Surviving:
    """A client that re-sends a request with its key until it is answered, and keeps the history of what it saw."""

    def __init__(self, server: "Server", number: int, history: list):
        self.client, self.number, self.history = server.client(), number, history

    def call(self, path: str, args=(), key: str | None = None):
        """The result; re-sent while the server is down. The reply becomes an event of the history."""
        start, sends = time.monotonic(), 0
        while True:
            sends += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                reply = self.client.post(path, args, key)
                if reply.status not in (429, 503):
                    break
            if time.monotonic() - start > RESEND_SECONDS_MAX:
                raise AssertionError(f"no answer to {path} {args} {key} after {sends} sends")
            time.sleep(POLL_SECONDS)
        self.history.append(
            {
                "client": self.number, "path": path, "args": list(args), "key": key, "status": reply.status,
                "reply": reply.json if reply.body else None, "id": reply.invocation, "sends": sends,
                "start": start, "end": time.monotonic(),
            }
        )  # fmt: skip
        if reply.status not in (200, 202):
            raise CallFailed(path, args, reply)
        return reply.json


class Server:
    """One server on its own port and data directory."""

    def __init__(self, app, folder: Path, *, program: str | None = None, native: str | None = None, workers=2, env=None):
        self.apps = [str(app)] if app else []
        self.folder, self.workers = folder, workers
        #: A program with services of its own runs them at once.
        self.program = [native] if native else [program or binary(), "run"]
        self.env = env or {}
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self.extra: list[str] = []
        self.leftover: int | None = None
        self.clients: list[Client] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        options = ["--listen", f"127.0.0.1:{self.port}", "--data", str(self.data), "--workers", str(self.workers)]
        return [*self.program, *self.apps, *options, *self.extra]

    def spawn(self, env: dict | None = None) -> "Server":
        """Start the process without waiting for it."""
        assert self.process is None, "runs already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env, **(env or {})},
                start_new_session=True,
            )
        return self

    def start(self, env: dict | None = None) -> "Server":
        """Start and wait until it is healthy."""
        self.spawn(env)
        self.wait_ready()
        return self

    def wait_ready(self):
        until(f"healthy: {' '.join(self.command())}", self.healthy, START_SECONDS_MAX)

    def healthy(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode} at its start:\n{self.tail()}")
        return self.answers()

    def answers(self) -> bool:
        """Does the health address answer?"""
        client = Client(self.port, 5)
        try:
            return client.get("/_/health").status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()

    def client(self, seconds: float = CALL_SECONDS_MAX) -> Client:
        """A new connection, closed with the server."""
        client = Client(self.port, seconds)
        self.clients.append(client)
        return client

    def kill(self):
        """kill -9, of the server's process only: its workers have to notice by themselves."""
        self.process.kill()
        self.ended()

    def ended(self, seconds: float = EVENT_SECONDS_MAX) -> int:
        """Wait for the process to end; its exit code."""
        code = self.process.wait(seconds)
        self.leftover = self.process.pid
        self.process = None
        return code

    def stop(self) -> int:
        """Ask it to end."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def template_pids(self) -> list[int]:
        """The process that workers are forked from, once it runs."""
        return children(self.process.pid)

    def worker_pids(self) -> list[int]:
        """Workers, of steps and of tasks, also those whose template was killed: what was told where our package is."""
        package = f"PYTHONPATH={self.data.resolve()}/worker/python".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "comm").read_text().strip() in ("worker", "tasks"):
                    if package in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found

    def tail(self) -> str:
        """End of what the server printed."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def dispose(self):
        """End everything that this object started."""
        if self.process is not None:
            self.kill()
        for client in self.clients:
            client.close()
        if self.leftover is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.leftover, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    """Does a process run (and is no zombie)?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def in_parallel(count: int, work) -> list:
    """Run `work(number)` on a thread each; the first exception is raised when all have ended."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def cli(*arguments: str, seconds: float = 60, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run a command of the binary to its end."""
    return subprocess.run(
        [binary(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, cwd=cwd
    )


class EndToEnd(unittest.TestCase):
    """A test with a folder of its own. If it fails, the folder stays and the end of each server's output is printed."""

    maxDiff = None
    shared: tuple[Server, ...] = ()

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"sostenuto-{self._testMethodName}-"))
        self.servers: list[Server] = []
        self.history: list[dict] = []

    def tearDown(self):
        for server in self.servers:
            server.dispose()

    def run(self, result=None):
        before = _failures(result)
        super().run(result)
        if not hasattr(self, "folder"):
            return
        if _failures(result) == before:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        for server in [*self.servers, *self.shared]:
            print(f"\n--- {self.id()}: {server.log}\n{server.tail()}", file=sys.stderr)
        (self.folder / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in self.history))
        print(f"--- {self.id()}: folder {self.folder}", file=sys.stderr)

    def server(self, app: Path | str | None, name: str = "node", **options) -> Server:
        """A server of this test, not yet started; without an app for programs with services of their own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        server = Server(app, folder, **options)
        self.servers.append(server)
        return server

    def merged_app(self, *examples: str) -> Path:
        """One application of the modules of several examples, or of applications that only tests have."""
        target = self.folder / "merged"
        target.mkdir()
        for example in examples:
            folder = EXAMPLES if (EXAMPLES / example).exists() else APPS
            shutil.copy(folder / example / "app.py", target / f"{example}.py")
        return target

    def check(self, violations: list[str]):
        """Fail with what a checker found."""
        if violations:
            shown = "\n".join(violations[:20])
            self.fail(f"{len(violations)} violations:\n{shown}")

    def judge(self, client: Client, events: list[dict], cells: dict[str, list[str]]):
        """Let the simulator's checkers judge what clients saw of counters and registers, and what is there now."""
        ends = {f"counter {name}": client.call("/Counter/get", [name]) for name in cells.get("counter", [])}
        ends |= {f"register {name}": client.call(f"/Register/{name}/look") for name in cells.get("register", [])}
        left = client.invocations(*UNFINISHED)
        self.check(recorded.judge(self.folder / "recorded.txt", events, ends, left))

    def assert_nothing_unfinished(self, client: Client):
        """Nothing runs, waits or is parked any more."""
        until("all invocations finished", lambda: client.invocations(*UNFINISHED) == [])

    def assert_problem(self, reply: Reply, code: str, status: int, *texts: str, source: str = "ingress") -> dict:
        """The reply is a problem document with this code that names all these texts."""
        shown = f"{reply.status} {reply.body[:2000]!r}"
        self.assertEqual(reply.status, status, shown)
        self.assertTrue(reply.headers.get("Content-Type", "").startswith("application/problem+json"), shown)
        problem = reply.json
        self.assertEqual(problem["code"], code, shown)
        self.assertEqual(problem["source"], source, shown)
        self.assertIsInstance(problem["retryable"], bool, shown)
        for text in texts:
            self.assertIn(text, reply.body.decode(), shown)
        return problem


def _failures(result) -> int:
    return len(result.failures) + len(result.errors) if result is not None else 0


def new_key() -> str:
    """An idempotency key that nobody has used."""
    return uuid.uuid4().hex
