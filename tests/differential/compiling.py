"""Has the real compiler translate many programs in one go, each a module of one application."""

import json
import marshal
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from differential import ROOT

COMPILE_SECONDS_MAX = 300


def binary():
    """The compiler: `SOSTENUTO_BIN`, else the one that cargo built last."""
    for path in (os.environ.get("SOSTENUTO_BIN"), ROOT / "target/release/sostenuto", ROOT / "target/debug/sostenuto"):
        if path and Path(path).exists():
            return str(path)
    raise FileNotFoundError("no binary: build it or set SOSTENUTO_BIN")


class Compiled:
    """What a worker is told of the programs that were accepted, and why others were not."""

    def __init__(self):
        #: (modules, services, records) of INIT, or None if nothing was accepted.
        self.init = None
        #: Module to (code, line, message) of its errors.
        self.refused = defaultdict(list)


def compile_all(programs):
    """Compiles the programs; those that are refused are left out and listed."""
    compiled = Compiled()
    with tempfile.TemporaryDirectory(prefix="sostenuto-differential-") as place:
        app, out = Path(place) / "app", Path(place) / "out"
        app.mkdir()
        for program in programs:
            (app / f"{program.module}.py").write_text(program.text)
        while any(app.iterdir()):
            errors = _check(app, out)
            if not errors:
                frame = (out / "init.frame").read_bytes()
                compiled.init = marshal.loads(frame[4:])[0][1:4]
                break
            for module, error in errors:
                compiled.refused[module].append(error)
                (app / f"{module}.py").unlink(missing_ok=True)
    return compiled


def _check(app, out):
    """(module, error) of each error; what was compiled is in `out` if there is none."""
    command = [binary(), "--json", "check", str(app), "--emit", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX, check=False)
    if ended.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr}")
    found = [each for each in json.loads(ended.stdout) if each["severity"] == "error"]
    if ended.returncode and not found:
        raise RuntimeError(f"{' '.join(command)} failed: {ended.stderr}")
    return [(Path(each["file"]).stem, (each["code"], each["line"], each["message"])) for each in found]
