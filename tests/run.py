"""Runs the end-to-end tests, as many modules at once as there are cores: `run.py [MODULE...]`, all without a choice.

Most tests wait more than they compute: for a server's start, for an fsync, for a worker that was killed. A module has a
process and servers of its own, and its output is shown as one piece when it ends.
"""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: These take longest, so they begin first.
LONGEST = ("test_server_crash", "differential.test_differential", "test_contention", "test_worker_crash")
COUNTED = re.compile(r"^Ran (\d+) tests? in ")
CLOSING = re.compile(r"^(OK|FAILED)\b(?: \((.*)\))?")


def modules() -> list[str]:
    """All modules with tests, the longest first."""
    paths = [path.relative_to(HERE).with_suffix("") for path in HERE.rglob("test_*.py")]
    names = [".".join(path.parts) for path in paths]
    return sorted(names, key=lambda name: (LONGEST.index(name) if name in LONGEST else len(LONGEST), name))


def run(module: str) -> tuple[str, str, bool, float]:
    """What one module printed, and whether its tests passed."""
    start = time.monotonic()
    command = [sys.executable, "-m", "unittest", "-v", module]
    ended = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return module, ended.stdout, ended.returncode == 0, time.monotonic() - start


def main(chosen: list[str]) -> int:
    start, count, failed, skipped = time.monotonic(), 0, [], 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for done in as_completed([pool.submit(run, module) for module in chosen or modules()]):
            module, output, passed, seconds = done.result()
            print(f"\n=== {module}: {'ok' if passed else 'FAILED'} in {seconds:.0f} s")
            for line in output.splitlines():
                if counted := COUNTED.match(line):
                    count += int(counted[1])
                elif closing := CLOSING.match(line):
                    skipped += int((re.search(r"skipped=(\d+)", closing[2] or "") or [0, 0])[1])
                else:
                    print(line, flush=True)
            if not passed:
                failed.append(module)
    print(f"\nRan {count} tests in {time.monotonic() - start:.0f}s")
    notes = [f"modules={' '.join(failed)}"] * bool(failed) + [f"skipped={skipped}"] * bool(skipped)
    print(("FAILED" if failed else "OK") + (f" ({', '.join(notes)})" if notes else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
