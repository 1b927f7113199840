"""The programs of `docs/testing.md` work as the page says, without a server."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def files(page):
    """The programs of a page by the names that their first lines give."""
    programs = re.findall(r"```python\n# file: (\S+)\n(.*?)```", page.read_text(), re.DOTALL)
    return dict(programs)


class Docs(unittest.TestCase):
    def test_testing(self):
        programs = files(ROOT / "docs" / "testing.md")
        self.assertEqual(sorted(programs), ["shop.py", "test_shop.py", "test_till.py", "till.py"])
        with tempfile.TemporaryDirectory() as folder:
            for name, text in programs.items():
                (Path(folder) / name).write_text(text)
            environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
            command = [sys.executable, "-m", "unittest", "-v", "test_shop", "test_till"]
            ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("Ran 3 tests", ended.stderr)

    def test_the_stub_names_what_the_library_exports(self):
        import sostenuto

        stub = (ROOT / "python" / "sostenuto" / "__init__.pyi").read_text()
        for name in sostenuto.__all__:
            self.assertRegex(stub, rf"(?m)^(def|class) {name}\b|^{name} =|as {name}$|^async def {name}\b", name)


if __name__ == "__main__":
    unittest.main()
