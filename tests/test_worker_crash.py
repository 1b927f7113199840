"""Workers that die: clients see nothing of it, and a method that kills its worker each time is parked, alone."""

import os
import random
import signal
import threading
import time
import unittest

from checkers import bookings, counts
from harness import APPS, EndToEnd, alive, driver, in_parallel, until

HOTEL, COUNTER = driver("hotel"), driver("counter")
SEED = int(os.environ.get("SOSTENUTO_SEED", random.SystemRandom().randrange(10**6)))
KILLS = 15
REGISTERS = [f"register-{n}" for n in range(4)]
RESTART_SECONDS_MAX = 20


class WorkersKilled(EndToEnd):
    def test_clients_see_no_error(self):
        """Requests are sent once, without a key to re-send them with: any error ends the test."""
        print(f"\nSOSTENUTO_SEED={SEED}", flush=True)
        server = self.server(self.merged_app("hotel", "counter", "registers"), workers=2).start()
        hotels, flights = HOTEL.setup(server.client(), "t", 3, 3, 40)
        capacity = dict.fromkeys([*hotels, *flights], 40)
        stopping = threading.Event()

        def work(number):
            chance, client, n = random.Random(f"{SEED}-{number}"), server.client(), 0
            while not stopping.is_set():
                n += 1
                if number % 4 == 2:
                    path, args = "/Registers/move", [chance.sample(REGISTERS, 2), number * 1_000_000 + n]
                elif number % 2:
                    path, args = "/Counter/increment", [f"c{chance.randrange(3)}"]
                else:
                    path, args = "/Frontend/book", [f"u-{number}-{n}", chance.choice(hotels), chance.choice(flights)]
                self.history.append(HOTEL.timed_call(client, number, path, args, f"{number}-{n}"))

        killer = threading.Thread(target=self.kill_workers, args=(server, stopping))
        killer.start()
        try:
            in_parallel(8, work)
        finally:
            stopping.set()
            killer.join()
        self.assertEqual(self.killed, KILLS, server.tail())
        state = HOTEL.read(server.client(), "u", hotels, flights)
        self.check(bookings.check(self.history, state, capacity))
        stored = {f"c{n}": server.client().call("/Counter/get", [f"c{n}"]) for n in range(3)}
        self.check(counts.check(self.history, stored))
        self.assert_nothing_unfinished(server.client())
        self.judge(server.client(), self.history, {"counter": list(stored), "register": REGISTERS})

    def kill_workers(self, server, stopping: threading.Event):
        chance, self.killed = random.Random(SEED), 0
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0, 0.4))  # the moment of the crash
                pids = until("a worker", server.worker_pids, RESTART_SECONDS_MAX)
                try:
                    # Now and then what they are forked from.
                    os.kill(chance.choice(pids + server.template_pids()), signal.SIGKILL)
                    self.killed += 1
                except ProcessLookupError:
                    continue
        finally:
            stopping.set()


class TemplateKilled(EndToEnd):
    """The process that workers are forked from."""

    def setUp(self):
        super().setUp()
        self.node = self.server(APPS / "trouble", workers=1).start()
        self.client = self.node.client()

    def kill_template(self) -> int:
        [template] = self.node.template_pids()
        os.kill(template, signal.SIGKILL)
        return template

    def test_its_workers_go_on(self):
        self.assertEqual(self.client.call("/Trouble/mark", ["x", 1]), 1)
        workers = self.node.worker_pids()
        template = self.kill_template()
        until("it is gone", lambda: template not in self.node.template_pids())
        self.assertEqual(self.client.call("/Trouble/mark", ["x", 1]), 2)
        self.assertTrue(all(alive(pid) for pid in workers))

    def test_another_is_started_when_a_worker_is_missing(self):
        workers = until("worker and spare", lambda: len(found := self.node.worker_pids()) == 2 and found)
        self.kill_template()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.client.call("/Trouble/mark", ["x", 1]), 1)
        self.assertFalse(set(workers) & set(self.node.worker_pids()))

    def test_workers_without_it_end_with_the_server(self):
        workers = until("worker and spare", lambda: len(found := self.node.worker_pids()) == 2 and found)
        self.kill_template()
        self.node.kill()
        until("workers ended", lambda: not any(alive(pid) for pid in workers))


class Poison(EndToEnd):
    def setUp(self):
        super().setUp()
        self.node = self.server(APPS / "trouble", workers=2).start()
        self.client = self.node.client()

    def parked(self, path: str, args: list) -> str:
        """Hand over a call that kills its worker; its id once it is parked with a reason and an action."""
        invocation = self.client.send(path, args)
        until(f"{path} parked", lambda: self.client.describe(invocation)["state"] == "parked", 60)
        described = self.client.describe(invocation)
        self.assertEqual(described["waiting"]["reason"], "resume", described)
        self.assertTrue(described["waiting"]["action"], described)
        self.assertIn("worker", (described.get("note") or "").lower(), described)
        return invocation

    def test_exit_is_parked_and_the_rest_goes_on(self):
        stop, others = threading.Event(), []

        def other(number):
            client = self.node.client()
            while not stop.is_set():
                others.append(client.call("/Trouble/mark", [f"other-{number}", 1]))

        threads = [threading.Thread(target=other, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            invocation = self.parked("/Trouble/exit_worker", ["x"])
            seen = len(others)
            until("others go on", lambda: len(others) > seen + 10)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(sum(self.client.call("/Trouble/marked", [f"other-{n}"]) for n in range(3)), len(others))
        self.assertEqual(self.client.call("/Trouble/marked", ["x"]), 0, "nothing of a step that never ended")
        self.assertEqual(self.client.call("/Trouble/mark", ["x", 1]), 1, "its lock is free")
        self.assert_problem(self.client.result(invocation), "parked", 500, source="invocation")

    def test_kill_signal_and_a_waiting_caller(self):
        reply = self.client.post("/Trouble/kill_worker", ["x"])
        self.assert_problem(reply, "parked", 500, source="invocation")
        self.assertEqual(self.client.call("/Trouble/mark", ["y", 1]), 1)

    def test_after_a_committed_step(self):
        invocation = self.parked("/Caller/nap_and_die", ["x"])
        self.assertEqual(self.client.call("/Trouble/marked", ["x"]), 1, "the call before it happened once")
        self.assertEqual(self.client.act(invocation, "cancel").status // 100, 2)
        until("cancelled", lambda: self.client.describe(invocation)["state"] in ("cancelled", "parked"))

    def test_resume_goes_on(self):
        poison = self.folder / "poison"
        poison.touch()
        invocation = self.parked("/Trouble/die_while", [str(poison)])
        poison.unlink()
        self.assertEqual(self.client.act(invocation, "resume").status // 100, 2)
        reply = self.client.result(invocation)
        self.assertEqual((reply.status, reply.json), (200, "survived"), reply.body)

    def test_cancel_ends_it(self):
        invocation = self.parked("/Trouble/exit_worker", ["x"])
        self.assertEqual(self.client.act(invocation, "cancel").status // 100, 2)
        until("cancelled", lambda: self.client.describe(invocation)["state"] == "cancelled")
        self.assert_problem(self.client.result(invocation), "cancelled", 499, source="invocation")

    def test_parked_survives_a_restart(self):
        invocation = self.parked("/Trouble/exit_worker", ["x"])
        self.node.kill()
        self.node.start()
        client = self.node.client()
        self.assertEqual(client.describe(invocation)["state"], "parked")
        self.assertEqual(client.call("/Trouble/mark", ["x", 1]), 1)


if __name__ == "__main__":
    unittest.main()
