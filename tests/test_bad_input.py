"""Wrong requests and failing methods: each gets its code, and the server goes on."""

import json
import socket
import tempfile
import unittest
from pathlib import Path

from harness import APPS, EndToEnd, Server, binary, new_key

SOURCE = (APPS / "trouble" / "app.py").read_text().splitlines()
BODY_BYTES_MAX = 32 * 1024 * 1024


def line_of(text: str) -> int:
    """Number of the line of the application that holds this text."""
    [number] = [n for n, line in enumerate(SOURCE, 1) if text in line]
    return number


class BadInput(EndToEnd):
    """All tests of the class share a server; each ends by asking it for something right."""

    @classmethod
    def setUpClass(cls):

        cls.temporary = tempfile.TemporaryDirectory(prefix="sostenuto-bad-input-")
        cls.node = Server(APPS / "trouble", Path(cls.temporary.name), program=binary()).start()
        cls.shared = (cls.node,)

    @classmethod
    def tearDownClass(cls):
        cls.node.dispose()
        cls.temporary.cleanup()

    def setUp(self):
        super().setUp()
        self.client = self.node.client()

    def tearDown(self):
        self.assertEqual(self.node.client().call("/Trouble/mark", [new_key(), 2]), 2, "the server goes on")
        super().tearDown()

    def post_bytes(self, path: str, body: bytes):
        return self.client.request("POST", path, body, {"Content-Type": "application/json"})

    def test_unknown_service(self):
        self.assert_problem(self.client.post("/Nowhere/mark"), "unknown_service", 404, "Nowhere")

    def test_unknown_method(self):
        self.assert_problem(self.client.post("/Trouble/nothing"), "unknown_method", 404, "nothing")

    def test_private_method(self):
        self.assert_problem(self.client.post("/Trouble/__init__"), "unknown_method", 404)

    def test_addresses_that_nothing_is_at(self):
        for path in ("/Trouble", "/a/b/c/d/e", "/_/nothing"):
            with self.subTest(path=path):
                reply = self.client.post(path)
                self.assertEqual(reply.status, 404, f"{path}: {reply.status} {reply.body!r}")
                self.assertIn("code", reply.json)

    def test_entity_without_key_and_service_with_key(self):
        for path in ("/Room/knock", "/Trouble/x/mark"):
            with self.subTest(path=path):
                self.assertEqual(self.client.post(path, ["a"]).status, 404)

    def test_entity_key_of_the_wrong_type(self):
        self.assert_problem(self.client.post("/Numbered/seven/add", [1]), "bad_key", 422, "seven")
        self.assertEqual(self.client.call("/Numbered/7/add", [1]), 1)
        self.assertEqual(self.client.call("/Numbered/7/add", [1]), 2)

    def test_entity_key_with_odd_characters(self):
        self.assertEqual(self.client.call("/Room/a%2Fb%20%C3%A9/knock", ["ann"]), 1)
        self.assertEqual(self.client.call("/Room/a%2Fb%20%C3%A9/seen"), ["ann knocks"])

    def test_missing_argument(self):
        self.assert_problem(self.client.post("/Trouble/mark", ["k"]), "bad_arguments", 422, "count")
        self.assert_problem(self.client.post("/Trouble/mark", {"count": 1}), "bad_arguments", 422, "key")

    def test_extra_argument(self):
        self.assert_problem(self.client.post("/Trouble/mark", ["k", 1, 2]), "bad_arguments", 422)
        extra = {"key": "k", "count": 1, "colour": "red"}
        self.assert_problem(self.client.post("/Trouble/mark", extra), "bad_arguments", 422, "colour")

    def test_ill_typed_arguments_are_all_named(self):
        reply = self.client.post("/Trouble/mark", {"key": 5, "count": "many"})
        self.assert_problem(reply, "bad_arguments", 422, "key", "count")

    def test_ill_typed_item(self):
        reply = self.client.post("/Trouble/unpack", {"name": "n", "tags": ["a", 3]})
        self.assert_problem(reply, "bad_arguments", 422, "tags")

    def test_bool_is_no_int(self):
        self.assertIn(self.client.post("/Trouble/mark", ["k", "1"]).status, (422,))

    def test_body_that_is_no_list_or_object(self):
        reply = self.post_bytes("/Trouble/mark", b"3")
        self.assertIn(reply.status, (400, 422), reply.body)
        self.assertIn(reply.json["code"], ("bad_arguments", "bad_request", "malformed_json"))

    def test_malformed_json(self):
        for body in (b"{", b"[1,]", b'["\xff"]', b"NaN", b"[" * 5000):
            with self.subTest(body=body[:20]):
                self.assert_problem(self.post_bytes("/Trouble/mark", body), "malformed_json", 400)

    def test_body_too_large(self):
        text = json.dumps(["k" * (BODY_BYTES_MAX + 1), 1]).encode()
        with socket.create_connection(("127.0.0.1", self.node.port), timeout=60) as connection:
            head = f"POST /Trouble/mark HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
            connection.sendall(head.encode())
            try:
                connection.sendall(text)
            except OSError:
                pass  # the server may answer and close before it has read everything
            answer = connection.recv(65536)
        self.assertIn(b" 413 ", answer.split(b"\r\n")[0])
        self.assertIn(b"body_too_large", answer)

    def test_wrong_verb(self):
        for method in ("GET", "PUT", "DELETE"):
            reply = self.client.request(method, "/Trouble/mark")
            self.assert_problem(reply, "method_not_allowed", 405)
            self.assertIn("POST", reply.headers.get("Allow", ""))
        self.assertEqual(self.client.post("/_/state").status, 405)

    def test_not_http(self):
        with socket.create_connection(("127.0.0.1", self.node.port), timeout=60) as connection:
            connection.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
            connection.recv(4096)

    def test_key_reused(self):
        key = new_key()
        self.assertEqual(self.client.call("/Trouble/mark", [key, 1], key), 1)
        self.assertEqual(self.client.call("/Trouble/mark", [key, 1], key), 1)
        self.assert_problem(self.client.post("/Trouble/mark", [key, 2], key), "key_reused", 422)
        self.assertEqual(self.client.call("/Trouble/marked", [key]), 1)

    def test_key_is_scoped_by_method_and_route(self):
        key = new_key()
        self.assertEqual(self.client.call("/Trouble/mark", [f"{key}-a", 1], key), 1)
        self.assertEqual(self.client.call("/Trouble/mark", [f"{key}-b", 1], key), 1)
        self.assertEqual(self.client.call("/Trouble/marked", [f"{key}-a"], key), 1)

    def test_exception_of_user_code(self):
        key = new_key()
        reply = self.client.post("/Trouble/ratio", [key, 0])
        problem = self.assert_problem(reply, "exception", 500, source="invocation")
        exception = problem["exception"]
        self.assertEqual(exception["type"], "ZeroDivisionError")
        self.assertEqual(exception["message"], "division by zero")
        for place in ("return divide(10, divisor)", "return dividend / divisor"):
            self.assertIn(f"line {line_of(place)}", exception["traceback"])
            self.assertIn(place, exception["traceback"])
        self.assertIn("app.py", exception["traceback"])
        self.assertEqual(self.client.call("/Trouble/marked", [key]), 1, "writes before the raise persist")

    def test_exception_has_one_reply(self):
        key = new_key()
        first = self.client.post("/Trouble/ratio", [key, 0], key)
        again = self.client.post("/Trouble/ratio", [key, 0], key)
        self.assertEqual((first.status, first.json), (again.status, again.json))
        self.assertEqual(self.client.call("/Trouble/marked", [key]), 1)

    def test_exception_of_the_application(self):
        exception = self.client.post("/Trouble/order", ["tea"]).json["exception"]
        self.assertTrue(exception["type"].endswith("OutOfStock"), exception)
        self.assertEqual(exception["message"], "no tea left")
        self.assertEqual(self.client.call("/Caller/call_order", ["tea"]), "caught no tea left")

    def test_system_exit(self):
        workers = self.node.worker_pids()
        problem = self.assert_problem(self.client.post("/Trouble/leave"), "exception", 500, source="invocation")
        self.assertEqual(problem["exception"]["type"], "SystemExit")
        self.assertEqual(sorted(self.node.worker_pids()), sorted(workers), "the process goes on")

    def test_value_that_cannot_be_stored(self):
        key = new_key()
        reply = self.client.post("/Trouble/unstorable", [key])
        self.assert_problem(reply, "not_storable", 500, "marks", key, source="invocation")
        self.assertEqual(self.client.call("/Trouble/marked", [key]), 0)

    def test_unknown_invocation_and_state(self):
        self.assert_problem(self.client.get("/_/invocations/nothing/result"), "unknown_invocation", 404)
        self.assert_problem(self.client.get("/_/state/Trouble/nothing"), "unknown_state", 404)
        self.assert_problem(self.client.get("/_/state/Trouble/marks/never-set"), "unknown_state", 404)

    def test_big_numbers_are_exact(self):
        key, big = new_key(), 2**200 + 1
        self.assertEqual(self.client.call("/Trouble/mark", [key, big]), big)
        self.assertEqual(self.client.field(f"Trouble/marks/{key}"), big)


if __name__ == "__main__":
    unittest.main()
