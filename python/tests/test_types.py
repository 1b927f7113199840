"""The examples and the programs of the documentation have no errors under `mypy --strict`, nor have the library's types.

mypy is no dependency: where it is not installed, these tests are skipped. `SOSTENUTO_MYPY` names a folder that has it
(`pip install --target FOLDER mypy`).
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from test_docs import ROOT, files

SECONDS_MAX = 300
#: Examples of the mu2sls dialect have no types.
EXAMPLES = sorted(each.parent for each in ROOT.glob("examples/*/app.py") if "decorators" not in each.read_text())


def has_mypy():
    """True if mypy can be run."""
    folder = os.environ.get("SOSTENUTO_MYPY")
    return importlib.util.find_spec("mypy") is not None or bool(folder) and (Path(folder) / "mypy").is_dir()


@unittest.skipUnless(has_mypy(), "mypy is not installed; SOSTENUTO_MYPY may name a folder that has it")
class Types(unittest.TestCase):
    def errors(self, *what, cwd):
        """What mypy prints of these files, with its exit code."""
        paths = [str(ROOT / "python"), os.environ.get("SOSTENUTO_MYPY"), os.environ.get("PYTHONPATH")]
        env = {**os.environ, "MYPYPATH": paths[0], "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with tempfile.TemporaryDirectory(prefix="sostenuto-types-") as cache:
            command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", cache, *what]
            ended = subprocess.run(
                command, cwd=cwd, env=env, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
            )
        return ended.returncode, ended.stdout + ended.stderr

    def test_the_examples(self):
        self.assertIn("hotel", [each.name for each in EXAMPLES])
        for folder in EXAMPLES:
            with self.subTest(folder.name):
                self.assertEqual(self.errors("app.py", cwd=folder), (0, ""))

    def test_the_programs_of_the_documentation(self):
        with tempfile.TemporaryDirectory(prefix="sostenuto-types-") as place:
            for name, text in files(ROOT / "docs" / "testing.md").items():
                (Path(place) / name).write_text(text)
            self.assertEqual(self.errors("shop.py", "test_shop.py", cwd=place), (0, ""))

    def test_a_mistake_is_found(self):
        with tempfile.TemporaryDirectory(prefix="sostenuto-types-") as place:
            (Path(place) / "app.py").write_text(MISTAKEN)
            code, told = self.errors("app.py", cwd=place)
        self.assertEqual((code, {line.split(":")[1] for line in told.splitlines() if "error:" in line}), (1, {"17", "18"}))


MISTAKEN = """\
from sostenuto import Persistent, service


@service
class Hotel:
    rooms: Persistent[dict[str, int]] = {}

    async def free(self, room: str) -> int:
        return self.rooms[room]


@service
class Front:
    hotel: Hotel

    async def book(self, room: str) -> int:
        await self.hotel.free(5)
        return await self.hotel.book(room)
"""

if __name__ == "__main__":
    unittest.main()
