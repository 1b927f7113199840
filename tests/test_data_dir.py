"""The data directory: one server at a time, one version, one number of partitions, damage and a full disk."""

import ctypes
import os
import re
import shutil
import unittest

from harness import EXAMPLES, EndToEnd, until

COUNTER = EXAMPLES / "counter"
LIBC = ctypes.CDLL(None, use_errno=True)
DISK_BYTES = 512 * 1024 * 1024


class DataDirectory(EndToEnd):
    def used(self):
        """A stopped server whose directory holds three increments."""
        server = self.server(COUNTER).start()
        for _ in range(3):
            server.client().call("/Counter/increment", ["k"])
        self.assertEqual(server.stop(), 0)
        return server

    def refused(self, server, *texts: str):
        """It does not start, and says why."""
        self.assertNotEqual(server.spawn().ended(), 0, server.tail())
        for text in texts:
            self.assertIn(text, server.tail())

    def test_second_server_on_the_same_directory(self):
        first = self.server(COUNTER, "one").start()
        second = self.server(COUNTER, "two")
        second.data = first.data
        self.refused(second, str(first.data))
        self.assertEqual(first.client().call("/Counter/increment", ["k"]), 1, "the first goes on")

    def test_too_little_memory(self):
        server = self.server(COUNTER)
        server.extra = ["--memory", "1MiB"]
        self.refused(server, "--memory", "at least 64MiB")

    def test_another_number_of_partitions(self):
        server = self.used()
        server.extra = ["--partitions", "8"]
        self.refused(server, "partition", "4", "8")
        server.extra = ["--partitions", "4"]
        self.assertEqual(server.start().client().call("/Counter/get", ["k"]), 3)

    def test_chosen_number_of_partitions(self):
        server = self.server(COUNTER)
        server.extra = ["--partitions", "1"]
        server.start()
        server.client().call("/Counter/increment", ["k"])
        server.kill()
        self.assertEqual(server.start().client().call("/Counter/get", ["k"]), 1)

    def test_newer_version(self):
        server = self.used()
        path = server.data / "FORMAT"
        format_text = path.read_text()
        newer = re.sub(r"format \d+", "format 999", format_text)
        self.assertNotEqual(newer, format_text)
        path.write_text(newer)
        self.refused(server, "999", "FORMAT")
        path.write_text(format_text)
        self.assertEqual(server.start().client().call("/Counter/get", ["k"]), 3)

    def test_folder_of_somebody_else(self):
        server = self.server(COUNTER)
        server.data.mkdir(parents=True)
        (server.data / "thesis.txt").write_text("mine")
        self.refused(server, str(server.data))
        self.assertEqual([path.name for path in server.data.iterdir() if path.name != "LOCK"], ["thesis.txt"])

    def test_layout(self):
        server = self.used()
        for part in ("log", "state", "blob"):
            self.assertTrue((server.data / part).is_dir(), part)

    def test_not_a_data_directory(self):
        server = self.server(COUNTER)
        server.data.parent.mkdir(exist_ok=True)
        server.data.write_text("a file")
        self.refused(server, str(server.data))

    def test_flipped_byte_in_the_middle_of_the_log(self):
        """Acknowledged data is damaged: refused with the file's name, or everything is still there; never silence."""
        server = self.used()
        files = [path for path in (server.data / "log").rglob("*") if path.is_file()]
        largest = max(files, key=lambda path: len(path.read_bytes().strip(b"\0")))
        content = bytearray(largest.read_bytes())
        used = len(bytes(content).rstrip(b"\0"))
        place = used // 3
        while content[place] == 0:
            place += 1
        content[place] ^= 0x55
        largest.write_bytes(content)
        shutil.rmtree(server.data / "state")
        self.refused(server, largest.name)

    def test_state_that_does_not_open(self):
        """Rebuilt from the log, or refused with the file's name."""
        server = self.used()
        for path in sorted((server.data / "state").rglob("*")):
            if path.is_file() and path.stat().st_size:
                path.write_bytes(os.urandom(64))
        server.spawn()
        until("started or refused", lambda: server.process.poll() is not None or server.answers(), 60)
        if server.process.poll() is None:
            self.assertEqual(server.client().call("/Counter/get", ["k"]), 3)
        else:
            self.assertNotEqual(server.ended(), 0)
            self.assertIn("state", server.tail())


class FullDisk(EndToEnd):
    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        options = f"size={DISK_BYTES}".encode()
        if LIBC.mount(b"tmpfs", str(self.disk).encode(), b"tmpfs", 0, options) != 0:
            self.skipTest(f"cannot mount a small disk: {os.strerror(ctypes.get_errno())}")
        self.addCleanup(lambda: LIBC.umount2(str(self.disk).encode(), 2))

    def fill(self):
        """Write until nothing fits any more."""
        with (self.disk / "ballast").open("ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                try:
                    while ballast.write(b"x" * size) == size:
                        pass
                except OSError:
                    pass

    def test_full_disk_refuses_and_recovers(self):
        server = self.server(self.merged_app("counter"))
        server.data = self.disk / "data"
        server.start()
        client = server.client()
        acknowledged = client.call("/Counter/increment", ["k"])
        self.fill()
        refusals = []
        for number in range(20000):
            reply = client.post("/Counter/increment", [f"{'x' * 4000}{number % 10}"], f"fill-{number}")
            if reply.status != 200:
                refusals.append(reply)
                break
            acknowledged += 1
        self.assertTrue(refusals, "the disk never became full")
        problem = self.assert_problem(refusals[0], "disk_full", 507)
        self.assertTrue(problem["retryable"])
        self.assertIn(client.get("/_/health").status, (200, 503), "it still answers")
        self.assertEqual(client.call("/Counter/get", ["k"]), 1, "reading goes on")
        (self.disk / "ballast").unlink()
        until("calls are taken again", lambda: client.post("/Counter/increment", ["k"]).status == 200)
        self.assertGreaterEqual(client.call("/Counter/total"), acknowledged)
        server.kill()
        self.assertGreaterEqual(server.start().client().call("/Counter/total"), acknowledged)


if __name__ == "__main__":
    unittest.main()
