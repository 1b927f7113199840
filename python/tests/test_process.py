"""The worker as a process: frames, batches, shared memory, output, and what it survives."""

import os
import signal
import struct
import unittest

import fake

SOURCE = '''\
import gc
import logging
import os
import sys
import warnings

print("loading")


class Hotel:
    def reserve(self, name):
        self.rooms[name] -= 1
        return self.rooms[name]

    def strike(self, path):
        with open(path, "rb") as file:
            return int.from_bytes(file.read(8), "little")

    def say(self):
        print("out", 1)
        print("more", end="")
        print("err", file=sys.stderr)
        sys.stdout.write("")
        logging.getLogger("app").warning("log %s", 1)
        logging.info("not shown")
        print("\\ud800")
        return sys.stdin.read()

    def configure(self):
        logging.basicConfig(level=logging.INFO, format="%(levelname)s|%(message)s")
        logging.info("shown")

    def shout(self):
        for _ in range(100):
            print("x" * 1000)

    def warn(self):
        warnings.warn("careful")

    def broken_log(self):
        logging.getLogger().error("%d", "text")

    def raise_after_output(self):
        print("before")
        raise SystemExit("bye")

    def late(self, name):
        print("dropped")
        try:
            return self.rooms[name]
        finally:
            if __sos__.live():
                print("finally")

    async def steps(self):
        print("first")
        await __sos__.sleep(1)
        print("second")
        await __sos__.sleep(1)
        print("third")

    async def waits(self):
        try:
            await __sos__.sleep(1)
        finally:
            print("must not be seen")

    async def forgets_an_await(self):
        self.waits()
        gc.collect()

    def frozen(self):
        return gc.get_freeze_count() > 0

    def die(self):
        os._exit(9)
'''
METHODS = [line.split("def ")[1].split("(")[0] for line in SOURCE.splitlines() if "def " in line]
HOTEL = fake.service("Hotel", dicts=["rooms"], methods=METHODS)


class ProcessCase(unittest.TestCase):
    by_path = False

    def setUp(self):
        self.worker = fake.Outside(self.by_path)
        self.server = fake.Server(self.worker, [fake.module("app", SOURCE)], [HOTEL])
        self.addCleanup(self.close)

    def close(self):
        """A worker ends silently when its server does."""
        if not self.worker.socket._closed:
            self.assertEqual(self.worker.close(), 0)
            self.assertEqual(self.worker.stderr, "")
            self.assertEqual(self.worker.stdout, "loading\n")

    def call(self, method, *args):
        return self.server.call("Hotel", method, *args)

    def start(self, run, method, *args, slice=([], []), follows=None):
        identity = run.to_bytes(16, "big")
        arguments = fake.dumps((list(args), {}))
        return (1, run, identity, "Hotel", method, None, arguments, bytes(32), 0, 10**15, slice, [], [], follows)


class Frames(ProcessCase):
    def test_ready(self):
        self.assertEqual(self.worker.pid, self.worker.process.pid)
        self.assertRegex(self.worker.python, r"^3\.\d+\.\d+")

    def test_the_ends_of_a_batch_leave_in_one_frame(self):
        cells = ([("rooms", fake.dumps("a"), fake.dumps(5), 0)], [])
        self.worker.send(*[self.start(run, "reserve", "a", slice=cells) for run in (7, 8, 9)])
        ends = self.worker.receive_frame()
        self.assertEqual([(end[0], end[1], end[3]) for end in ends], [(10, run, fake.RETURNED) for run in (7, 8, 9)])

    def test_what_cannot_follow_is_dropped(self):
        cells = ([("rooms", fake.dumps("a"), fake.dumps(5), 0)], [])
        self.worker.send(
            self.start(1, "reserve", "a", slice=cells),
            self.start(2, "reserve", "a", follows=7),
            self.start(3, "warn"),
            self.start(4, "reserve", "a", follows=1),
        )
        ends = self.worker.receive_frame()
        self.assertEqual([end[:2] for end in ends], [(10, 1), (12, 2), (10, 3), (12, 4)])

    def test_frames_in_pieces(self):
        frame = fake.dumps([self.start(3, "frozen")])
        data = struct.pack("<I", len(frame)) + frame
        for index in range(0, len(data), 7):
            self.worker.socket.sendall(data[index : index + 7])
        self.assertEqual(self.worker.receive()[1], 3)

    def test_a_fetch_is_sent_at_once_and_other_messages_wait(self):
        cells = ([("rooms", fake.dumps("a"), fake.dumps(5))], [])
        self.worker.send(
            self.start(1, "reserve", "a", slice=cells), self.start(2, "reserve", "b"), self.start(3, "reserve", "c")
        )
        first = self.worker.receive_frame()
        self.assertEqual([message[:2] for message in first], [(10, 1), (11, 2)])
        self.assertEqual(first[1][2:], ("rooms", fake.dumps("b")))
        self.worker.send(self.start(4, "frozen"))
        self.worker.send((4, 2, ([("rooms", fake.dumps("b"), fake.dumps(1))], [])))
        second = self.worker.receive_frame()
        self.assertEqual([message[:2] for message in second], [(10, 2), (11, 3)])
        self.worker.send((4, 3, None))
        self.assertEqual([message[:2] for message in self.worker.receive_frame()], [(12, 3), (10, 4)])

    def test_the_run_number_stands_in_shared_memory(self):
        self.server.runs = 2**40
        self.assertEqual(self.call("strike", self.worker.strike.name), 2**40 + 1)
        self.assertEqual(self.worker.running(), 0)

    def test_a_dead_worker_leaves_its_run_number(self):
        self.worker.send(self.start(77, "die"))
        self.assertEqual(self.worker.process.wait(), 9)
        self.assertEqual(self.worker.running(), 77)
        self.worker.close()

    def test_interrupts_at_the_terminal_are_not_for_user_code(self):
        os.kill(self.worker.pid, signal.SIGINT)
        self.assertTrue(self.call("frozen"))

    def test_an_unknown_message_ends_the_worker_loudly(self):
        self.worker.send((99, "what"))
        with self.assertRaises(EOFError):
            self.worker.receive()
        self.assertEqual(self.worker.process.returncode, 70)
        self.worker.close()


class ByPath(Frames):
    by_path = True


class Output(ProcessCase):
    def test_streams(self):
        self.assertEqual(self.call("say"), "")
        self.assertEqual(
            self.server.logs,
            [(0, "out 1\nmore"), (1, "err\n"), (2, "WARNING:app:log 1\n"), (0, "\\ud800\n")],
        )

    def test_basic_config(self):
        self.call("configure")
        self.assertEqual(self.server.logs, [(2, "INFO|shown\n")])

    def test_much_output_is_cut_and_says_so(self):
        self.call("shout")
        self.assertEqual(sum(len(text) for _, text in self.server.logs[:-1]), 64 * 1024)
        self.assertIn("cut", self.server.logs[-1][1])

    def test_warnings(self):
        self.call("warn")
        self.assertIn("app.py:38: UserWarning: careful\n  warnings.warn", self.server.logs[0][1])
        self.server.logs.clear()
        self.call("forgets_an_await")
        self.assertIn("coroutine 'Hotel.waits' was never awaited", "".join(text for _, text in self.server.logs))

    def test_a_log_call_that_fails(self):
        self.call("broken_log")
        self.assertIn("--- Logging error ---", self.server.logs[0][1])

    def test_output_before_an_exception(self):
        with self.assertRaises(fake.Failed) as caught:
            self.call("raise_after_output")
        self.assertEqual((caught.exception.error.code, self.server.logs), ("bye", [(0, "before\n")]))

    def test_replay_emits_nothing_again(self):
        self.server.evict_always = True
        self.call("steps")
        self.assertEqual(self.server.logs, [(0, "first\n"), (0, "second\n"), (0, "third\n")])

    def test_a_dropped_run_emits_nothing(self):
        answers = [True, False]
        self.server.not_now = lambda field, key: answers.pop(0)
        self.server.put("Hotel", "rooms", {"a": 1})
        self.call("late", "a")
        self.assertEqual(self.server.logs, [(0, "dropped\nfinally\n")])

    def test_eviction_emits_nothing(self):
        invocation = self.server.begin("Hotel", "waits")
        self.server.step(invocation)
        self.worker.evict(invocation.id)
        self.call("frozen")
        self.assertEqual(self.server.logs, [])


class Problems(unittest.TestCase):
    def test_ready_tells_why_loading_failed(self):
        worker = fake.Outside()
        self.addCleanup(worker.close)
        problem = worker.init([fake.module("broken", "def f():\n    return 1 / 0\n\nf()\n")], [], [])
        error = fake.exceptions.decode(problem)
        self.assertIsInstance(error, ZeroDivisionError)
        self.assertIn('File "broken.py", line 2, in f\n    return 1 / 0\n           ~~^~~', str(error.__cause__))
        self.assertNotIn("sostenuto/worker", str(error.__cause__))

    def test_an_exit_while_loading(self):
        worker = fake.Outside()
        self.addCleanup(worker.close)
        problem = worker.init([fake.module("leaves", "import sys\nsys.exit('no')\n")], [], [])
        self.assertIsInstance(fake.exceptions.decode(problem), SystemExit)


if __name__ == "__main__":
    unittest.main()
