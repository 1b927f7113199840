"""Durable sleeps, turns, deadlocks, edited code; and nothing waits silently."""

import shutil
import time
import unittest

from harness import APPS, EXAMPLES, UNFINISHED, EndToEnd, in_parallel, until

FLOW = APPS / "flow" / "app.py"


class Waiting(EndToEnd):
    def waits_for(self, client, invocation: str, reason: str) -> dict:
        """Once an invocation waits, it says for what, for how long and what to do."""

        def waiting():
            described = client.describe(invocation)
            return (described.get("waiting") or {}).get("reason") == reason and described

        described = until(f"{invocation} waits for a {reason}", waiting)
        self.assertTrue(described["waiting"]["for"], described)
        self.assertGreaterEqual(described["waiting"]["age_ms"], 0)
        self.assertGreaterEqual(described["age_ms"], described["waiting"]["age_ms"])
        self.assertTrue(described["waiting"]["action"], described)
        return described


class Sleeping(Waiting):
    def test_sleep_outlives_the_server(self):
        server = self.server(EXAMPLES / "counter").start()
        client = server.client()
        began = time.monotonic()
        reminder = client.send("/Reminder/ada/remind", ["tea", 5])
        distant = client.send("/Reminder/bob/remind", ["far away", 3600])
        self.waits_for(client, reminder, "sleep")
        server.kill()
        server.start()
        client = server.client()
        self.assertEqual(client.result(reminder).json, 1)
        self.assertGreaterEqual(time.monotonic() - began, 5)
        self.assertEqual(client.call("/Reminder/ada/texts"), ["tea"])
        self.waits_for(client, distant, "sleep")
        self.assertEqual(client.call("/Reminder/bob/texts"), [])

    def test_sleep_that_ends_while_the_server_is_down(self):
        server = self.server(EXAMPLES / "counter").start()
        reminder = server.client().send("/Reminder/ada/remind", ["tea", 2])
        self.waits_for(server.client(), reminder, "sleep")
        server.kill()
        time.sleep(2.1)  # the sleep is over now
        server.start()
        self.assertEqual(server.client().result(reminder).json, 1)

    def test_more_sleepers_than_coroutines_are_kept(self):
        server = self.server(EXAMPLES / "counter")
        server.extra = ["--coroutines", "5"]
        client = server.start().client()
        sleepers = [client.send(f"/Reminder/r{number}/remind", [str(number), 3600]) for number in range(30)]
        for sleeper in sleepers:
            self.waits_for(client, sleeper, "sleep")
        until("five are kept", lambda: b"\nsostenuto_coroutines 5\n" in client.get("/_/metrics").body)
        soon = [client.send(f"/Reminder/s{number}/remind", [str(number), 1]) for number in range(30)]
        for number, reminder in enumerate(soon):
            self.assertEqual(client.result(reminder).json, 1)
            self.assertEqual(client.call(f"/Reminder/s{number}/texts"), [str(number)])
        self.assertEqual(client.act(sleepers[0], "cancel").status // 100, 2)
        self.assert_problem(client.result(sleepers[0]), "cancelled", 499, "CancelledError", source="invocation")


class Turns(Waiting):
    def test_sleeping_entity_keeps_its_turn_over_a_restart(self):
        server = self.server(APPS / "trouble").start()
        client = server.client()
        stay = client.send("/Room/red/stay", ["ann", 3600])
        self.waits_for(client, stay, "sleep")
        server.kill()
        server.start()
        client = server.client()
        knock = client.send("/Room/red/knock", ["bob"])
        waiting = self.waits_for(client, knock, "turn")
        self.assertIn("red", waiting["waiting"]["for"] + (waiting.get("key") or ""))
        self.assertEqual(client.call("/Room/red/seen"), ["ann in"], "a read takes no turn")
        self.assertEqual(client.act(stay, "cancel").status // 100, 2)
        self.assertEqual(client.result(knock).json, 2)
        self.assertEqual(client.call("/Room/red/seen"), ["ann in", "bob knocks"])

    def test_two_entities_crosswise(self):
        server = self.server(APPS / "trouble").start()
        replies = in_parallel(2, lambda n: server.client().post(f"/Room/{'lr'[n]}/visit", ["rl"[n], 0.7]))
        failed = [reply for reply in replies if reply.status != 200]
        self.assertEqual(len(failed), 1, [reply.body for reply in replies])
        self.assert_problem(failed[0], "exception", 500, source="invocation")
        self.assertIn("Deadlock", failed[0].json["exception"]["type"])
        for name in "lr":
            self.assertIn(name, failed[0].json["exception"]["message"])
            self.assertGreaterEqual(server.client().call(f"/Room/{name}/knock", ["after"]), 1)
        self.assert_nothing_unfinished(server.client())


class NothingWaitsSilently(Waiting):
    def setUp(self):
        super().setUp()
        self.node = self.server(APPS / "trouble", workers=2).start()
        self.client = self.node.client()
        self.release = self.folder / "release"

    def test_lock(self):
        self.client.send("/Trouble/hold", ["k", str(self.release)])
        behind = self.client.send("/Trouble/mark", ["k", 1])
        waiting = self.waits_for(self.client, behind, "lock")
        self.assertIn("marks", waiting["waiting"]["for"])
        listed = self.client.invocations("waiting", "accepted")
        self.assertIn(behind, [entry["id"] for entry in listed], listed)
        self.release.touch()
        self.assertEqual(self.client.result(behind).json, 2)

    def test_call(self):
        caller = self.client.send("/Caller/call_hold", ["k", str(self.release)])
        waiting = self.waits_for(self.client, caller, "call")
        self.assertIn("hold", waiting["waiting"]["for"])
        self.release.touch()
        self.assertEqual(self.client.result(caller).json, 1)

    def test_sleep(self):
        nap = self.client.send("/Caller/nap", [3600])
        self.waits_for(self.client, nap, "sleep")
        self.assertEqual(self.client.act(nap, "cancel").status // 100, 2)
        self.assertEqual(self.client.result(nap).json["code"], "cancelled")

    def test_worker(self):
        held = [self.client.send("/Trouble/hold", [f"k{n}", str(self.release)]) for n in range(2)]
        behind = self.client.send("/Trouble/mark", ["another", 1])
        self.waits_for(self.client, behind, "worker")
        self.release.touch()
        for invocation in [*held, behind]:
            self.assertEqual(self.client.result(invocation).status, 200)

    def test_call_of_a_parked_child(self):
        """Its caller waits, and says for whom."""
        caller = self.client.send("/Caller/nap_and_die", ["k"])
        until("parked", lambda: self.client.describe(caller)["state"] == "parked", 60)
        self.assertEqual(self.client.describe(caller)["waiting"]["reason"], "resume")
        self.assertTrue(self.client.invocations("parked"))


class EditedCode(Waiting):
    """A suspended invocation meets another version of its method."""

    def setUp(self):
        super().setUp()
        self.app = self.folder / "flow"
        self.app.mkdir()
        shutil.copy(FLOW, self.app / "app.py")
        self.node = self.server(self.app).start()

    def edit(self, old: str, new: str):
        text = FLOW.read_text()
        self.assertIn(old, text)
        (self.app / "app.py").write_text(text.replace(old, new))

    def test_departure_is_parked_with_both_sides_and_resumes_under_the_old_code(self):
        invocation = self.node.client().send("/Flow/go", ["n", 3])
        self.waits_for(self.node.client(), invocation, "sleep")
        self.node.kill()
        self.edit("self.steps.first(name)  # departs here", "self.steps.second(name)")
        self.node.start()
        client = self.node.client()
        until("parked", lambda: client.describe(invocation)["state"] == "parked")
        shown = client.describe(invocation)["note"]
        self.assertIn("Steps.first", shown)
        self.assertIn("Steps.second", shown)
        self.assertEqual(client.call("/Steps/all", ["n"]), ["first"])
        self.assertEqual(client.call("/Flow/go", ["other", 0]), "secondsecond", "the rest goes on")
        self.assert_problem(client.result(invocation), "parked", 500, source="invocation")
        self.node.kill()
        shutil.copy(FLOW, self.app / "app.py")
        self.node.start()
        client = self.node.client()
        self.assertEqual(client.act(invocation, "resume").status // 100, 2)
        reply = client.result(invocation)
        self.assertEqual((reply.status, reply.json), (200, "firstsecond"), reply.body)
        self.assertEqual(client.call("/Steps/all", ["n"]), ["first", "second"])

    def test_a_change_after_the_suspension_is_taken(self):
        invocation = self.node.client().send("/Flow/go", ["n", 3])
        self.waits_for(self.node.client(), invocation, "sleep")
        self.node.kill()
        self.edit("return before + after", 'return before + "-" + after')
        self.node.start()
        self.assertEqual(self.node.client().result(invocation).json, "first-second")

    def test_unchanged_code_goes_on(self):
        invocation = self.node.client().send("/Flow/go", ["n", 3])
        self.waits_for(self.node.client(), invocation, "sleep")
        self.node.kill()
        self.node.start()
        self.assertEqual(self.node.client().result(invocation).json, "firstsecond")
        self.assertEqual(self.node.client().invocations(*UNFINISHED), [])


if __name__ == "__main__":
    unittest.main()
