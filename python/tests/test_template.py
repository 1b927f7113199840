"""The process that workers are forked from: what it shares with them, and what it tells of their ends."""

import marshal
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

import fake

SOURCE = """\
import os
import signal

print("loading")
SEEN = []


class Hotel:
    def see(self, name):
        SEEN.append(name)
        return SEEN

    def leave(self):
        os._exit(3)

    def loaded_as(self):
        return os.getpid(), os.getpgid(0)

    def found(self):
        return FOUND
"""
HOTEL = fake.service("Hotel", methods=["see", "leave", "loaded_as", "found"])
FORK, KILL, FORKED, ENDED = range(30, 34)


class Frames:
    """Our side of a connection."""

    def __init__(self, connection):
        self.socket = connection
        self.buffer = b""
        self.arrived = []

    def send(self, message, descriptors=()):
        frame = fake.dumps([message])
        data = struct.pack("<I", len(frame)) + frame
        sent = socket.send_fds(self.socket, [data], descriptors) if descriptors else 0
        self.socket.sendall(data[sent:])

    def receive(self):
        """The next message; None at the end."""
        while not self.arrived:
            while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack("<I", self.buffer[:4])[0]:
                data = self.socket.recv(1 << 16)
                if not data:
                    return None
                self.buffer += data
            size = 4 + struct.unpack("<I", self.buffer[:4])[0]
            # How busy a worker was is of no interest here.
            self.arrived += [message for message in marshal.loads(self.buffer[4:size]) if message[0] != 15]
            self.buffer = self.buffer[size:]
        return self.arrived.pop(0)


class Template(unittest.TestCase):
    def setUp(self):
        self.start()

    def start(self, *options):
        ours, theirs = socket.socketpair()
        self.template = Frames(ours)
        self.addCleanup(ours.close)
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", *options, "-m", "sostenuto.worker.template"],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": fake.PYTHON},
        )  # fmt: skip
        theirs.close()
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)

    def init(self, source=SOURCE, **options):
        self.template.send((0, [fake.module("app", source)], [HOTEL], [], options))

    def order(self, number, **options):
        """A worker, and the file of its raw output. What the template says comes later."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        output = tempfile.TemporaryFile("w+")
        self.addCleanup(output.close)
        self.template.send((FORK, number, options), [theirs.fileno(), output.fileno()])
        theirs.close()
        return Frames(ours), output

    def fork(self, number, **options):
        """The same, when it has loaded the application; and its process."""
        worker, output = self.order(number, **options)
        tag, which, pid = self.template.receive()
        self.assertEqual((tag, which), (FORKED, number))
        message = worker.receive()
        while message[0] == 25:  # what a task worker prints goes out at once
            message = worker.receive()
        tag, said, _, problem = message
        self.assertEqual((tag, said, problem), (14, pid, None))
        return worker, output, pid

    def call(self, worker, method, *args):
        args = fake.codec.encode((list(args), {}))
        run = (1, 1, b"i" * 16, "Hotel", method, None, args, bytes(16), 0, fake.START_OF_TIME, ([], []), [], [], None)
        worker.send(run)
        end = worker.receive()
        if end is None:
            return None
        self.assertEqual((end[0], end[3]), (10, 0), end)
        return fake.codec.decode(end[4])

    def test_workers_share_no_state(self):
        self.init()
        (one, output, _), (two, _, _) = self.fork(1), self.fork(2)
        self.assertEqual(self.call(one, "see", "a"), ["a"])
        self.assertEqual(self.call(two, "see", "b"), ["b"])
        output.seek(0)
        self.assertEqual(output.read(), "loading\n", "each loads the application, and writes to its own output")

    def test_a_worker_has_a_process_group_of_its_own(self):
        self.init()
        worker, _, pid = self.fork(1)
        self.assertEqual(self.call(worker, "loaded_as"), (pid, pid))

    def test_ends_are_told(self):
        self.init()
        (one, _, _), (two, _, pid), (three, _, _) = self.fork(1), self.fork(2), self.fork(3)
        self.assertIsNone(self.call(one, "leave"))
        self.assertEqual(self.template.receive(), (ENDED, 1, 3 << 8))
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.template.receive(), (ENDED, 2, signal.SIGKILL))
        self.assertIsNone(two.receive(), "no other process holds its connection")
        self.template.send((KILL, 3))
        self.assertEqual(self.template.receive(), (ENDED, 3, signal.SIGKILL))
        self.assertIsNone(three.receive())

    def test_many_that_are_ordered_at_once(self):
        self.init()
        workers = {number: self.order(number)[0] for number in range(20)}
        pids = {}
        while len(pids) < 20:
            tag, number, pid = self.template.receive()
            self.assertEqual(tag, FORKED)
            pids[number] = pid
        self.assertEqual({number: worker.receive()[1] for number, worker in workers.items()}, pids)
        self.assertEqual({number: self.call(worker, "loaded_as")[0] for number, worker in workers.items()}, pids)
        # Closed one by one, each ends although all others live.
        for number, worker in workers.items():
            worker.socket.close()
            self.assertEqual(self.template.receive(), (ENDED, number, 0))

    def test_workers_outlive_it(self):
        self.init()
        worker, _, _ = self.fork(1)
        self.template.socket.close()
        self.assertEqual(self.process.wait(), 0)
        self.assertEqual(self.call(worker, "see", "a"), ["a"])

    def test_what_does_not_compile_is_the_workers_to_tell(self):
        for source in ("def f(:\n", "1 / 0\n"):
            self.init(source)
            worker, _ = self.order(1)
            self.assertEqual(self.template.receive()[0], FORKED)
            problem = fake.exceptions.decode(worker.receive()[3])
            self.assertIsInstance(problem, (SyntaxError, ZeroDivisionError))
            worker.socket.close()
            self.assertEqual(self.template.receive(), (ENDED, 1, 0))

    def test_what_the_application_names_is_loaded_for_all(self):
        self.process.kill()
        for named, expected in (("json.decoder, logging", [True, True]), ("string", [False, False])):
            self.start("-S")
            self.init(f"import sys\nFOUND = [name in sys.modules for name in ('json', 'logging')]\nimport {named}\n" + SOURCE)
            worker, _, _ = self.fork(1)
            self.assertEqual(self.call(worker, "found"), expected)
            worker.socket.close()

    def test_code_is_compiled_once_and_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            self.init(code_folder=folder)
            self.fork(1)
            [kept] = os.listdir(folder)
            written = os.stat(os.path.join(folder, kept)).st_mtime_ns
            self.fork(2)
            self.assertEqual(os.stat(os.path.join(folder, kept)).st_mtime_ns, written)

    def test_a_task_worker(self):
        self.init("from sostenuto import task\n" + SOURCE + "\n\n@task\ndef double(number):\n    return 2 * number\n")
        worker, _, _ = self.fork(1, tasks=True)
        worker.send((20, 5, "app.double", fake.codec.encode(([4], {})), None, 0))
        tag, run, kind, payload, _ = worker.receive()
        self.assertEqual((tag, run, kind, fake.codec.decode(payload)), (24, 5, 0, 8))


if __name__ == "__main__":
    unittest.main()
