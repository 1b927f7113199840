"""Tasks: at least once, their result once, by their policy, and never in the way of steps; and races against time. Of
Python services, and of Rust services with the same methods."""

import contextlib
import os
import signal
import unittest
from pathlib import Path

from harness import APPS, EndToEnd, alive, in_parallel, rust_example, until

ERRANDS = APPS / "errands" / "app.py"
#: What the server gives one process to run at once; it starts as many processes as there are cores.
TASKS_PER_PROCESS_MAX = 64


class Errands(EndToEnd):
    def setUp(self):
        super().setUp()
        self.marks = self.folder / "marks"
        self.marks.mkdir()
        self.node = self.new_server().start()
        self.client = self.node.client()

    def new_server(self):
        return self.server(ERRANDS)

    def restart(self):
        self.node.kill()
        self.node.start()
        self.client = self.node.client()

    def count(self, name: str) -> int:
        """How often a task has left its mark."""
        path = self.marks / name
        return path.stat().st_size if path.exists() else 0

    def go(self, name: str):
        (self.marks / f"{name}.go").touch()

    def at(self, *args) -> list:
        return [str(self.marks), *args]

    def waits(self, invocation: str, text: str) -> dict:
        """Once an invocation waits for a task, it says so."""

        def waiting():
            found = self.client.describe(invocation).get("waiting") or {}
            return found.get("reason") == "task" and text in found["for"] and found

        found = until(f"{invocation} waits for {text}", waiting)
        self.assertTrue(found["action"])
        self.assertGreaterEqual(found["age_ms"], 0)
        return found


class InRust(Errands):
    """The same errands as tasks of Rust services, in threads of the server."""

    def new_server(self):
        return self.server(None, native=rust_example("native"))


class Results(Errands):
    #: What a task prints.
    told = ("on it", "WARNING:root:nearly done")

    def test_a_task_runs_once_and_its_result_comes_back(self):
        self.assertEqual(self.client.call("/Desk/effect", self.at("a")), 1)
        self.assertEqual(self.client.call("/Desk/all_done"), ["a"])
        self.assertEqual(self.count("a"), 1)

    def test_the_same_request_does_not_run_it_again(self):
        results = [self.client.call("/Desk/effect", self.at("a"), key="k") for _ in range(3)]
        self.restart()
        results.append(self.client.call("/Desk/effect", self.at("a"), key="k"))
        self.assertEqual((results, self.count("a")), ([1] * 4, 1))

    def test_tasks_calls_sleeps_and_helpers_side_by_side(self):
        self.assertEqual(self.client.call("/Desk/mixed", self.at()), [1, 42, 1, None, 8])

    def test_output_is_shown_at_once_and_marked(self):
        self.client.call("/Desk/talks")
        for text in self.told:
            until(text, lambda: f"task talks: {text}" in self.node.tail())  # noqa: B023

    def test_many_at_once(self):
        names = [f"n{n}" for n in range(40)]
        in_parallel(8, lambda n: [self.node.client().call("/Desk/effect", self.at(name)) for name in names[n::8]])
        self.assertEqual([self.count(name) for name in names], [1] * 40)
        self.assertEqual(self.client.field("Desk/hits"), 40)

    def test_a_result_that_is_too_large(self):
        self.assertEqual(self.client.call("/Desk/huge", [100_000]), 100_000)
        reply = self.client.post("/Desk/huge", [300_000])
        self.assert_problem(reply, "not_storable", 500, "the limit is", source="invocation")

    def test_no_task_in_a_transaction(self):
        reply = self.client.post("/Desk/sneaks", self.at())
        self.assert_problem(reply, "exception", 500, "TransactionError", "the task effect", source="invocation")
        self.assertEqual((self.count("sneaky"), self.client.field("Desk/hits")), (0, 0))


class Policies(Errands):
    #: What an exception tells of where it came from.
    place = "in flaky"

    def test_it_is_tried_again_until_it_succeeds(self):
        self.assertEqual(self.client.call("/Desk/flaky", self.at(2)), 3)

    def test_the_last_exception_is_raised_as_itself(self):
        self.assertEqual(self.client.call("/Desk/flaky", self.at(99)), -4)
        reply = self.client.post("/Desk/uncaught", self.at())
        problem = self.assert_problem(reply, "exception", 500, "OutOfStock", "try 8", source="invocation")
        self.assertIn(self.place, str(problem))

    def test_what_it_waits_for_is_shown(self):
        invocation = self.client.send("/Desk/hopeless", self.at())
        self.waits(invocation, "hopeless, attempt 2 of 4, next try in 3600 s; the last one: ConnectionError: nobody there")
        self.assertEqual(self.count("hopeless"), 1)
        # How many tries there were is not durable: after a restart it begins with its first.
        self.restart()
        until("tried again", lambda: self.count("hopeless") == 2)
        self.waits(invocation, "attempt 2 of 4, next try")
        self.assertEqual(self.client.act(invocation, "cancel").status // 100, 2)
        self.assertEqual(self.client.result(invocation).json["code"], "cancelled")

    def test_a_task_that_hangs_is_ended_and_delays_no_step(self):
        invocation = self.client.send("/Desk/hangs", self.at(False))
        for n in range(1, 21):
            self.assertEqual(self.client.call("/Desk/hit"), n)
        told = "the task hangs took longer than its timeout of 0.3 s"
        self.assertEqual(self.client.result(invocation).json, told)
        self.assertEqual(self.count("hangs"), 1)
        self.assertIn("because the task hangs took too long", self.node.tail())

    def test_a_coroutine_that_hangs_is_ended_alone(self):
        other = self.client.send("/Desk/gated", self.at("other"))
        until("the other runs", lambda: self.count("other") == 1)
        told = "the task hangs_async took longer than its timeout of 0.2 s"
        self.assertEqual(self.client.call("/Desk/hangs", self.at(True)), told)
        self.assertEqual((self.count("hangs_async"), self.count("other")), (2, 1))
        self.go("other")
        self.assertEqual(self.client.result(other).json, "other went")

class Crashes(Errands):
    def test_a_task_runs_again_after_the_server_was_killed(self):
        invocation = self.client.send("/Desk/gated", self.at("a"))
        until("it runs", lambda: self.count("a") == 1)
        self.restart()
        until("it runs again", lambda: self.count("a") == 2)
        self.go("a")
        self.assertEqual(self.client.result(invocation).json, "a went")
        self.assertEqual(self.client.call("/Desk/all_done"), ["a went"])

    def test_a_result_that_is_there_is_never_asked_for_again(self):
        invocation = self.client.send("/Desk/two", self.at())
        until("both run", lambda: self.count("first") == self.count("second") == 1)
        self.go("first")
        self.waits(invocation, "gated, attempt 1 of 1, runs")
        # A reply that leaves after the result was recorded: then the record is durable.
        until("recorded", lambda: len(self.pending(invocation)) == 1)
        self.client.call("/Desk/hit")
        self.restart()
        until("the second runs again", lambda: self.count("second") == 2)
        self.go("second")
        self.assertEqual(self.client.result(invocation).json, ["first went", "second went"])
        self.assertEqual((self.count("first"), self.count("second")), (1, 2))

    def pending(self, invocation: str) -> list[str]:
        """Positions of tasks that have no result."""
        described = self.client.describe(invocation)
        return described.get("tasks", [])

class Cancelling(Errands):
    def test_cancel_is_delivered_at_the_await_and_ends_the_task(self):
        invocation = self.client.send("/Desk/endless", self.at())
        until("it runs", lambda: self.count("endless") == 1)
        self.assertEqual(self.client.act(invocation, "cancel").status // 100, 2)
        self.assertEqual(self.client.result(invocation).json["code"], "cancelled")
        self.assertEqual(self.client.call("/Desk/all_done"), ["cancelled"])
        until("the coroutine has ended", lambda: self.count("endless.ended") == 1)
        self.restart()
        self.assertEqual(self.client.call("/Desk/hit"), 1)
        self.assertEqual(self.count("endless"), 1)


class Races(Errands):
    def test_the_result_is_first(self):
        self.assertEqual(self.client.call("/Race/call", ["a", 0.01, 3600]), "slow")
        self.assertEqual(self.client.call("/Till/a/seen"), [1, 0])
        self.assert_nothing_unfinished(self.client)

    def test_the_time_is_first_and_the_call_is_cancelled(self):
        self.assertEqual(self.client.call("/Race/call", ["a", 3600, 0.01]), "late")
        until("cancelled", lambda: self.client.call("/Till/a/seen") == [0, 1])
        self.assert_nothing_unfinished(self.client)

    def test_a_task_that_is_too_late_is_ended(self):
        self.assertEqual(self.client.call("/Race/task", self.at(0.2)), "late")
        self.assert_nothing_unfinished(self.client)

    def test_the_race_goes_on_after_a_restart(self):
        won = self.client.send("/Race/call", ["won", 2, 3600])
        lost = self.client.send("/Race/call", ["lost", 3600, 2])
        until("both wait", lambda: len(self.client.invocations("waiting")) == 4)
        self.restart()
        self.assertEqual((self.client.result(won).json, self.client.result(lost).json), ("slow", "late"))
        self.assertEqual(self.client.call("/Till/won/seen"), [1, 0])
        until("cancelled", lambda: self.client.call("/Till/lost/seen") == [0, 1])

    def test_the_outcome_outlives_a_restart(self):
        won = self.client.send("/Race/then", self.at("won", 0.01, 3600))
        until("over", lambda: self.count("then") == 1)
        lost = self.client.send("/Race/then", self.at("lost", 3600, 0.01))
        until("over", lambda: self.count("then") == 2)
        until("cancelled", lambda: self.client.call("/Till/lost/seen") == [0, 1])
        self.restart()
        until("the tasks run again", lambda: self.count("then") == 4)
        self.go("then")
        self.assertEqual(self.client.result(won).json, ["slow", "then went"])
        self.assertEqual(self.client.result(lost).json, ["late", "then went"])
        self.assertEqual(self.client.call("/Till/won/seen"), [1, 0])
        self.assertEqual(self.client.call("/Till/lost/seen"), [0, 1])


class Processes(Errands):
    """What only Python's tasks have: processes, which run many of them."""

    def task_workers(self) -> list[int]:
        """Processes that run tasks: those that hold no strike file open."""
        found = []
        for pid in self.node.worker_pids():
            with contextlib.suppress(OSError):
                if "/strike/worker" not in Path(f"/proc/{pid}/maps").read_text():
                    found.append(pid)
        return found

    def test_what_else_ran_with_one_that_hangs_runs_again(self):
        # So many that each process has one of them: wherever the one that hangs begins, it is not alone.
        names = [f"other{n}" for n in range(TASKS_PER_PROCESS_MAX * (len(os.sched_getaffinity(0)) - 1) + 1)]
        others = [self.client.send("/Desk/gated", self.at(name)) for name in names]
        until("others run", lambda: all(self.count(name) == 1 for name in names))
        self.assertIn("hangs took longer", self.client.call("/Desk/hangs", self.at(False)))
        until("some run again", lambda: any(self.count(name) == 2 for name in names))
        for name in names:
            self.go(name)
        self.assertEqual([self.client.result(other).json for other in others], [f"{name} went" for name in names])

    def test_a_task_that_ends_its_process_fails_in_the_end(self):
        told = "TaskLost: the task dies ended its process 3 times; it exited with status 7"
        self.assertEqual(self.client.call("/Desk/dies", self.at()), told)
        self.assertEqual(self.client.call("/Desk/effect", self.at("after")), 1)

    def test_a_task_runs_again_after_its_process_was_killed(self):
        invocation = self.client.send("/Desk/gated", self.at("a"))
        until("it runs", lambda: self.count("a") == 1)
        for pid in self.task_workers():
            os.kill(pid, signal.SIGKILL)
        until("it runs again", lambda: self.count("a") == 2)
        self.go("a")
        self.assertEqual(self.client.result(invocation).json, "a went")
        self.assertEqual(self.client.call("/Desk/all_done"), ["a went"])

    def test_task_workers_end_with_a_killed_server(self):
        self.client.send("/Desk/gated", self.at("a"))
        until("it runs", lambda: self.count("a") == 1)
        workers = self.task_workers()
        self.assertTrue(workers)
        self.node.kill()
        until("they ended", lambda: not any(alive(pid) for pid in workers))


class ResultsInRust(InRust, Results):
    told = ("on it", "nearly done")

    def test_hundreds_side_by_side(self):
        self.assertEqual(self.client.call("/Desk/fan_out", [300]), sum(2 * n for n in range(300)))


class PoliciesInRust(InRust, Policies):
    place = "native.OutOfStock"

    def test_a_panic_is_a_failed_try_and_nothing_else(self):
        reply = self.client.post("/Desk/panics", self.at())
        problem = self.assert_problem(reply, "exception", 500, "Panic", "try 2", source="invocation")
        self.assertIn("native.rs:", str(problem), "the place of the panic")
        self.assertEqual(self.count("panics"), 2)
        self.assertEqual(self.client.call("/Desk/effect", self.at("after")), 1)


class CrashesInRust(InRust, Crashes):
    def test_a_task_that_the_new_program_does_not_have(self):
        invocation = self.client.send("/Desk/gated", self.at("a"))
        until("it runs", lambda: self.count("a") == 1)
        self.node.kill()
        self.node.env["WITHOUT_GATED"] = "1"
        self.node.start()
        self.client = self.node.client()
        told = self.client.result(invocation)
        self.assert_problem(told, "exception", 500, "this program has no task native.gated", source="invocation")
        self.assertIn("add `.task::<gated>()`", str(told.json))
        self.assertEqual((self.count("a"), self.client.call("/Desk/all_done")), (1, []))


class CancellingInRust(InRust, Cancelling):
    pass


class RacesInRust(InRust, Races):
    pass


if __name__ == "__main__":
    unittest.main()
