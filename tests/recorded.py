"""Histories of clients in the simulator's format, judged by the simulator's checkers. See `sim/src/history.rs`.

The clients of the real binary see answers, not the log. What the checkers need beyond that, which write a request found,
the services of `apps/registers` and counters say in their answers; other calls are judged for exactly once only.
"""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JUDGE_SECONDS_MAX = 120


def simulator() -> str:
    """The program that judges. Without it a test fails: what nobody judges proves nothing."""
    path = os.environ.get("SOSTENUTO_SIM") or ROOT / "target/release/sim"
    if not Path(path).exists():
        raise AssertionError(f"no program {path}: `cargo build --release -p sim` builds it, or set SOSTENUTO_SIM")
    return str(path)


def touches(event: dict) -> list[str]:
    """Cells that a request touched, with what it did and what it found there."""
    path, args, reply = event["path"], event["args"], event["reply"]
    if path == "/Counter/increment":
        return [f"counter {args[0]}|add|1|{reply - 1}"]
    if path == "/Registers/move":
        return [f"register {name}|put|{args[1]}|{found}" for name, found in zip(args[0], reply, strict=True)]
    if path == "/Registers/look":
        return [f"register {name}|get|-|{found}" for name, found in zip(args[0], reply, strict=True)]
    return []


def text(events: list[dict], ends: dict[str, int], left: list) -> str:
    """The history as a file."""
    lines = []
    for event in events:
        answer = json.dumps([event.get("status"), event["reply"], event.get("id")])
        start, end = (int(event[time] * 1e9) for time in ("start", "end"))
        name = json.dumps([event["path"], event["args"]])
        lines.append(["op", name, event["key"] or "-", start, end, answer, *touches(event)])
    lines += [["end", cell, number] for cell, number in ends.items()]
    lines += [["left", json.dumps(invocation)] for invocation in left]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


def judge(path: Path, events: list[dict], ends: dict[str, int], left: list) -> list[str]:
    """What is wrong."""
    path.write_text(text(events, ends, left))
    ended = subprocess.run(
        [simulator(), "judge", str(path)], capture_output=True, text=True, timeout=JUDGE_SECONDS_MAX, check=False
    )
    print(ended.stdout.strip()[:2000], flush=True)
    return [] if ended.returncode == 0 else [(ended.stdout + ended.stderr)[:5000]]
