"""What is over a record of the log is refused or done in parts; the server goes on, and starts again."""

import os
import signal
import threading
import unittest

from harness import APPS, EndToEnd, Client, in_parallel


class Large(EndToEnd):
    def started(self):
        server = self.server(APPS / "large")
        return server, server.start().client()

    def test_results_of_a_large_fan_out_come_in_parts(self):
        server, client = self.started()
        self.assertEqual(client.call("/Much/tasks", [6000]), 5999 * 6000)
        asked = client.send("/Much/tasks", [6000])
        server.kill()
        client = server.start().client()
        self.assertEqual(client.result(asked).json, 5999 * 6000)
        self.assertEqual(client.call("/Much/calls", [1500]), 1500)

    def test_a_step_that_asks_for_too_much_fails_alone(self):
        server, client = self.started()
        for method, count, words in [
            ("tasks", 20_000, "20000 calls, tasks and sleeps"),
            ("calls", 5_000, "5000 calls, tasks and sleeps"),
            ("write", 9_000, "9000 written cells"),
        ]:
            with self.subTest(method):
                reply = client.post(f"/Much/{method}", [count])
                self.assert_problem(reply, "not_storable", 500, words, source="invocation")
        self.assertEqual(client.call("/Much/write", [3000]), 3000)
        server.kill()
        self.assertEqual(server.start().client().call("/Much/write", [10]), 3000)

    def test_a_transaction_over_a_record_is_undone(self):
        server, client = self.started()
        self.assertEqual(client.call("/Much/together", [2, 150_000]), "done")
        # Of twelve boxes at least three are on one of the four partitions.
        self.assertIn("do it in several transactions", client.call("/Much/together", [12, 180_000]))
        self.assertEqual([client.call(f"/Box/box{number}/size") for number in range(4)], [150_000, 150_000, 0, 0])
        server.kill()
        self.assertEqual(server.start().client().call("/Box/box1/size"), 150_000)

    def test_more_than_the_memory_for_state(self):
        server = self.server(APPS / "large")
        server.extra = ["--memory", "64MiB"]
        client = server.start().client()
        contents = [f"{number:06} " * 25_000 for number in range(600)]
        for number, content in enumerate(contents):
            self.assertEqual(client.call(f"/Box/{number}/put", [content]), 175_000)
        for _ in range(2):
            for number, content in enumerate(contents):
                self.assertTrue(client.call(f"/Box/{number}/holds", [content]), number)
            server.kill()
            client = server.start().client()

    def test_large_values_that_workers_keep(self):
        """More of them than workers keep, changed and read by several clients in turn on workers that are killed."""
        server, client = self.started()
        tables, numbers, counts = 12, 50_000, 40
        for table in range(tables):
            self.assertEqual(client.call(f"/Table/{table}/fill", [numbers]), numbers)
        stopping = threading.Event()

        def kill_workers():
            while not stopping.wait(0.3):
                for pid in server.worker_pids()[:1]:
                    os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_workers)
        killer.start()

        def count(own: int):
            mine = Client(server.port)
            for number in range(1, counts + 1):
                for table in (own, (own + number) % tables):
                    place = own if table == own else 1_000 * (own + 1) + number
                    counted = mine.call(f"/Table/{table}/count", [place])
                    self.assertEqual(mine.call(f"/Table/{table}/look", [place])[0], counted)
            mine.close()

        try:
            in_parallel(4, count)
        finally:
            stopping.set()
            killer.join()
        sums = [client.call(f"/Table/{table}/look", [0])[1] for table in range(tables)]
        self.assertEqual(sum(sums), 4 * counts * 2)
        server.kill()
        client = server.start().client()
        self.assertEqual([client.call(f"/Table/{table}/look", [0])[1] for table in range(tables)], sums)


if __name__ == "__main__":
    unittest.main()
