"""`python3 -m differential`: random services in four ways; see the package."""

import argparse
import os
import random
import sys
import time

from differential import campaign, real
from differential.catalogue import NAMES

#: Without another number.
PROGRAMS, PROGRAMS_KILLED = 1000, 100
#: A run of fewer programs cannot be expected to reach every operation.
EXPECTED_FROM = 5000
#: More refused programs than this, and the generator or the compiler needs a look.
REFUSED_MAX = 0.1
FAILURES_SHOWN_MAX = 5


def main():
    """Runs the campaign and reports; the exit code says whether all was well."""
    options = _options()
    seed = options.seed if options.seed is not None else str(random.SystemRandom().randrange(10**9))
    print(f"seed {seed}: {options.programs} programs", flush=True)
    if options.killed:
        return killed(seed, options.first, options.programs)
    began = time.perf_counter()
    tally = campaign.run(seed, options.first, options.programs, options.jobs, _progress)
    print(f"\n{time.perf_counter() - began:.0f} s", flush=True)
    ok = report(tally, options.verbose)
    for failure in tally.failures:
        print(f"program {failure.program.number}: {failure}", flush=True)
    for failure in tally.failures[:FAILURES_SHOWN_MAX]:
        show_failure(failure, seed)
    return 0 if ok else 1


def _options():
    parser = argparse.ArgumentParser(prog="differential", description=__doc__)
    parser.add_argument("--programs", type=int, help="how many programs")
    parser.add_argument("--seed", help="what they are drawn from; a new one if not given")
    parser.add_argument("--first", type=int, default=0, help="number of the first program")
    parser.add_argument("--killed", action="store_true", help="on the real server, which is killed, as are its workers")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--verbose", action="store_true", help="how often each operation was exercised")
    options = parser.parse_args()
    if options.programs is None:
        options.programs = PROGRAMS_KILLED if options.killed else PROGRAMS
    return options


def _progress(tally):
    print(f"\r{tally.programs} programs, {len(tally.failures)} different", end="", file=sys.stderr, flush=True)


def report(tally, verbose=False):
    """Prints the counts; false if something is wrong."""
    never = tally.never()
    refused = tally.refused_programs / max(1, tally.programs)
    print(f"{tally.programs} programs: {len(tally.failures)} behave differently")
    print(f"{tally.results} calls, {tally.raised} of them ended with an exception")
    print(f"{tally.refused_programs} refused by the compiler ({refused:.1%})")
    for code, count in tally.refused.most_common():
        module, line, message = tally.examples[code]
        print(f"  {code} {count:>5}  {module}.py:{line}: {message}")
    only_refused = tally.refused_always()
    print(f"{len(NAMES) - len(never) - len(only_refused)} of {len(NAMES)} operations exercised")
    if only_refused:
        print("  only in refused programs: " + " ".join(only_refused))
    if verbose:
        for name in NAMES:
            print(f"  {tally.exercised[name]:>6}  {name}")
    elif never and tally.programs >= EXPECTED_FROM // 5:
        print("  never: " + " ".join(never))
    is_complete = not never or tally.programs < EXPECTED_FROM
    return not tally.failures and is_complete and refused <= REFUSED_MAX


def killed(seed, first, count):
    """Runs programs on the real server and reports; 0 if all was well."""
    with real.servers() as make_server:
        seen = real.run(seed, first, count, make_server)
    show_differences(seen, seed)
    return 1 if seen.differences else 0


def show_differences(seen, seed):
    """Prints what was different on the real server, and how to repeat it."""
    for number, what, ours, theirs in seen.differences[:FAILURES_SHOWN_MAX]:
        print(f"\n--- program {number}: {what}\n  plain:  {ours}\n  server: {theirs}")
        print(f"repeat: cd tests && python3 -m differential --killed --seed {seed} --first {number} --programs 1")


def show_failure(failure, seed):
    """Prints the smallest program that still differs, and how to repeat the original."""
    number = failure.program.number
    small = campaign.shrink(failure)
    print(f"\n--- program {number} behaves differently: {small}")
    print(f"script: {small.program.script}\nmeanwhile: {small.program.meanwhile}\n{campaign.shown(small.program)}")
    print(f"repeat: cd tests && python3 -m differential --seed {seed} --first {number} --programs 1")


if __name__ == "__main__":
    sys.exit(main())
