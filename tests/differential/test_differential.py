"""Random services behave the same in all four ways and on a server that is killed; mistakes that are planted are found.

The programs are drawn anew each time. The seed is printed and `SOSTENUTO_SEED` repeats it, as do the commands that a
failure prints; `SOSTENUTO_PROGRAMS` and `SOSTENUTO_PROGRAMS_KILLED` set how many programs.
"""

import os
import random
import unittest

from differential import campaign, compiling, planted, real
from differential.__main__ import REFUSED_MAX, report, show_differences, show_failure
from differential.catalogue import NAMES
from differential.program import make
from harness import EndToEnd
from sostenuto import memory, use

PROGRAMS = 1000
PROGRAMS_KILLED = 30
#: Each planted mistake is looked for in the same programs each time.
PLANTED_SEED = "9"
FAILURES_SHOWN_MAX = 3


def seed():
    """The run's seed."""
    return os.environ.get("SOSTENUTO_SEED", str(random.SystemRandom().randrange(10**9)))


class Differential(unittest.TestCase):
    def setUp(self):
        try:
            compiling.binary()
        except FileNotFoundError as problem:
            self.skipTest(str(problem))

    def tearDown(self):
        """Tests after this one run services as plain Python; the last way was a worker's."""
        use(memory)

    def test_random_services(self):
        chosen, count = seed(), int(os.environ.get("SOSTENUTO_PROGRAMS", PROGRAMS))
        print(f"differential: seed {chosen}, {count} programs", flush=True)
        tally = campaign.run(chosen, 0, count, os.cpu_count())
        report(tally)
        for failure in tally.failures[:FAILURES_SHOWN_MAX]:
            show_failure(failure, chosen)
        self.assertEqual(len(tally.failures), 0)
        self.assertLessEqual(tally.refused_programs, REFUSED_MAX * count)
        if count >= PROGRAMS:
            self.assertLess(len(tally.never()), len(NAMES) // 10)

    def test_planted_mistakes_are_found(self):
        for name, (count, failure) in planted.find_all(PLANTED_SEED, os.cpu_count()).items():
            with self.subTest(name):
                print(f"found after {count} programs: {name}", flush=True)
                self.assertIsNotNone(failure, f"not found within {count} programs of seed {PLANTED_SEED}")

    def test_a_program_is_made_of_its_seed(self):
        self.assertEqual(make("1", 5), make("1", 5))
        self.assertNotEqual(make("1", 5).text, make("2", 5).text)

    def test_a_failure_is_made_smaller(self):
        plant = planted.PLANTS["an alias is a copy"]
        _, failure = planted.found_within(plant, PLANTED_SEED)
        small = campaign.shrink(failure, plant, rounds=3)
        self.assertLess(len(campaign.shown(small.program)), len(campaign.shown(failure.program)))
        self.assertEqual(small.way, failure.way)


class Killed(EndToEnd):
    def test_random_services_on_a_server_that_is_killed(self):
        chosen, count = seed(), int(os.environ.get("SOSTENUTO_PROGRAMS_KILLED", PROGRAMS_KILLED))
        print(f"differential: seed {chosen}, {count} programs on a server that is killed", flush=True)
        seen = real.run(chosen, 0, count, lambda name: self.server("", name, program=compiling.binary()))
        show_differences(seen, chosen)
        self.assertEqual(len(seen.differences), 0)
        self.assertGreater(seen.workers_killed, 0)
        self.assertGreater(seen.servers_killed, 0)


if __name__ == "__main__":
    unittest.main()
