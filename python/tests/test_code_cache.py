"""Compiled code that is kept: used when it is what would be compiled, and otherwise as if it were not there."""

import marshal
import os
import tempfile
import traceback
import types
import unittest
from pathlib import Path
from unittest import mock

import fake

from sostenuto.worker import code_cache, loader

SOURCE = """
    WORD = "first"

    def fails(text):
        return text / 2
"""


class CodeCache(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def load(self, source=SOURCE, name="kept_module"):
        """Loads a module; gives it and how many were compiled."""
        module = fake.module(name, *fake.lower(source, ("text / 2", "((text) / (2))")))
        finder = loader.Finder([module], {}, code_cache.CodeCache(os.fspath(self.folder), [module]))
        with mock.patch.object(loader, "compile_module", side_effect=loader.compile_module) as compiled:
            finder.load_all()
        loaded = loader.sys.modules.pop(name)
        loader.sys.meta_path.remove(finder)
        return loaded, compiled.call_count

    def file(self):
        """The only file in the folder."""
        [path] = self.folder.iterdir()
        return path

    def assert_replaced(self, what):
        """The file is not used, and the next time there is a good one."""
        loaded, compiled = self.load()
        self.assertEqual((loaded.WORD, compiled), ("first", 1), what)
        self.assertEqual(self.load()[1], 0, what)

    def test_the_second_load_compiles_nothing(self):
        self.assertEqual(self.load()[1], 1)
        self.assertEqual(self.file().stat().st_mode & 0o777, 0o600)
        loaded, compiled = self.load()
        self.assertEqual((loaded.WORD, compiled), ("first", 0))

    def test_tracebacks_show_the_users_text(self):
        shown = []
        for _ in range(2):
            loaded, _ = self.load()
            try:
                loaded.fails("x")
            except TypeError as error:
                shown.append(traceback.format_exception(error)[1:])
        self.assertEqual(shown[0], shown[1])
        self.assertIn("line 5, in fails", shown[1][-2])
        self.assertIn("return text / 2\n           ~~~~~^~~\n", shown[1][-2])

    def test_another_text_map_path_or_interpreter_is_another_key(self):
        self.load()
        loaded, compiled = self.load(SOURCE.replace("first", "other"))
        self.assertEqual((loaded.WORD, compiled), ("other", 1))
        self.assert_replaced("another text")
        modules = [("m", "m.py", "a\n", "a\n", [(0, 0, 2, True)], False)]
        keys = {code_cache._key(modules)}
        for index, value in ((0, "n"), (1, "n.py"), (2, "b\n"), (3, "b\n"), (4, [(0, 0, 2, False)]), (5, True)):
            changed = list(modules[0])
            changed[index] = value
            keys.add(code_cache._key([tuple(changed)]))
        with mock.patch.object(code_cache.importlib.util, "MAGIC_NUMBER", b"else"):
            keys.add(code_cache._key(modules))
        with mock.patch.object(loader, "__file__", __file__):
            keys.add(code_cache._key(modules))
        self.assertEqual(len(keys), 9)

    def test_a_damaged_file_is_replaced(self):
        self.load()
        good = self.file().read_bytes()
        for at in (0, 20, 60, 90, len(good) // 2, len(good) - 1):
            self.file().write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            self.assert_replaced(f"byte {at}")
        for size in (0, 10, 81, len(good) - 1):
            self.file().write_bytes(good[:size])
            self.assert_replaced(f"{size} bytes")
        self.file().write_bytes(good + b"more")
        self.assert_replaced("more bytes")

    def test_what_others_could_have_written_is_not_run(self):
        self.load()
        path, good = self.file(), self.file().read_bytes()
        path.chmod(0o620)
        self.assert_replaced("a group may write the file")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.folder.chmod(0o770)
        self.assertEqual([self.load()[1], self.load()[1]], [1, 1], "a group may write the folder")
        self.folder.chmod(0o700)
        elsewhere = self.folder.parent / f"{self.folder.name}.code"
        self.addCleanup(elsewhere.unlink)
        elsewhere.write_bytes(good)
        path.unlink()
        path.symlink_to(elsewhere)
        self.assert_replaced("a link")
        self.assertFalse(path.is_symlink())
        with mock.patch.object(code_cache.os, "geteuid", return_value=os.geteuid() + 1):
            self.assertEqual(self.load()[1], 1, "somebody else's")

    def test_a_file_with_the_right_key_and_another_content_is_not_run(self):
        self.load()
        path = self.file()
        head = path.read_bytes()[: code_cache._HEAD_BYTES]
        path.write_bytes(head + marshal.dumps({"kept_module": compile("WORD = 'forged'", "x", "exec")}))
        self.assert_replaced("forged")

    def test_a_folder_that_cannot_be_used(self):
        good = self.folder
        for folder in (good / "nowhere", Path(__file__)):
            self.folder = folder
            self.assertEqual(self.load()[1], 1)
        self.folder = good
        (good / f"{os.getpid()}.tmp").write_text("in the way")
        self.assertEqual(self.load()[0].WORD, "first")
        self.assertEqual([path.suffix for path in good.iterdir()], [".tmp"])

    def test_an_application_that_does_not_load_keeps_nothing(self):
        with self.assertRaises(ZeroDivisionError):
            self.load("WORD = 1 / 0\n\ndef fails(text):\n    return text / 2\n")
        loader.sys.meta_path[:] = [each for each in loader.sys.meta_path if not isinstance(each, loader.Finder)]
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_without_a_folder_nothing_is_kept(self):
        module = fake.module("kept_module", "WORD = 1")
        finder = loader.Finder([module], {})
        finder.load_all()
        loader.sys.meta_path.remove(finder)
        self.assertIsInstance(loader.sys.modules.pop("kept_module"), types.ModuleType)


if __name__ == "__main__":
    unittest.main()
