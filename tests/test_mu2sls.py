"""Applications in the mu2sls dialect, as they are: CSV lists, hand-written retry loops, helpers as routes, nested
transactions, relative imports, calls that do not exist. Each runs on the real server.
"""

import unittest

from harness import APPS, EndToEnd, cli, in_parallel

FOLDER = APPS / "mu2sls"


class Mu2sls(EndToEnd):
    def start(self, app: str):
        self.node = self.server(FOLDER / app).start()
        return self.node.client()

    def failed(self, client, path: str, args=()) -> dict:
        reply = client.post(path, args)
        self.assertEqual(reply.status, 500, reply.body)
        return reply.json["exception"]

    def assert_raises(self, name: str, client, path: str, args):
        self.assertEqual(self.failed(client, path, args)["type"].rpartition(".")[2], name)

    def test_hotel_reservation(self):
        client = self.start("hotel/hotel.csv")
        for hotel in ("h0", "h1"):
            client.call("/Hotel/add_hotel", [hotel, 5])
        for flight in ("f0", "f1"):
            client.call("/Flight/add_flight", [flight, 4])

        def book(number):
            place = number % 2
            return self.node.client().call("/Frontend/request", [f"u{number}", f"f{place}", f"h{place}"])

        replies = in_parallel(12, book)
        self.assertEqual(replies.count("Order Successful"), 8)
        self.assertEqual(client.call("/Order/count"), 8)
        for place in (0, 1):
            hotel = client.call("/Hotel/get_hotel", [f"h{place}"])
            flight = client.call("/Flight/get_flight", [f"f{place}"])
            self.assertEqual((hotel["cap"], flight["cap"]), (1, 0))
            self.assertEqual(sorted(hotel["customers"]), sorted(flight["customers"]))
        booked = sorted(f"u{n}" for n, reply in enumerate(replies) if reply == "Order Successful")
        self.assertEqual(client.call("/Order/users"), booked)
        self.assertEqual(client.call("/Frontend/tries", ["u0"]), 1)
        # A helper is a route.
        client.call("/Hotel/add_hotel", ["h2", 1])
        client.call("/Flight/add_flight", ["f2", 1])
        self.assertEqual(client.call("/Frontend/reserve_both", ["me", "f2", "h2"]), [True, True])

    def test_media_service(self):
        client = self.start("media/media.csv")
        self.assertEqual(client.call("/User/register_user", ["ann", "pw"]), 1)
        client.call("/MovieId/register", ["Film", "m1"])
        client.call("/Plot/write_plot", ["p1", "a plot"])
        for cast in ("c1", "c2"):
            client.call("/CastInfo/write_cast", [cast, f"name of {cast}"])
        client.call("/MovieInfo/write", ["m1", "Film", "p1", ["c1", "c2"]])

        def compose(number):
            own = self.node.client()
            req_id = own.call("/Frontend/compose", ["ann", "pw", "Film", number, f" text {number} "])
            return own.call("/ComposeReview/count", [req_id])

        self.assertEqual(in_parallel(8, compose), [5] * 8)
        page = client.call("/Page/read_page", ["m1"])
        texts = [f"text {n}" for n in range(8)]
        self.assertEqual(sorted(page.pop("reviews")), texts)
        self.assertEqual(page, {"title": "Film", "plot": "a plot", "cast": ["name of c1", "name of c2"]})
        self.assertEqual(sorted(r["text"] for r in client.call("/UserReview/read", [1])), texts)
        self.assertEqual(client.call("/Rating/average"), 3.5)
        self.assert_raises("PermissionError", client, "/Frontend/compose", ["ann", "no", "Film", 1, "t"])
        self.assertIn(client.call("/User/token", ["ann"]), ("ann", "no jwt"))

    def test_calls_that_do_not_exist(self):
        done = cli("check", str(FOLDER / "media/media.csv"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        text = done.stdout + done.stderr
        for code, line in (("SOS0202", 20), ("SOS0201", 23), ("SOS0203", 27), ("SOS0201", 32)):
            self.assertRegex(text, rf"(?s)warning\[{code}\].{{0,200}}page\.py:{line}:")
        client = self.start("media/media.csv")
        self.assertIn("read_cast_info", self.failed(client, "/Page/broken_method", ["m1"])["message"])
        self.assertIn("Casting", self.failed(client, "/Page/broken_service", ["m1"])["message"])
        self.assertEqual(client.call("/Page/broken_arguments", ["m1"]), "refused")
        self.assertIn("EchoBackend", self.failed(client, "/Page/broken_promise")["message"])
        client.call("/Plot/write_plot", ["p1", "still alive"])

    def test_social_network(self):
        client = self.start("social/social.csv")
        users = ("ann", "bob", "cid", "ann")
        self.assertEqual([client.call("/UserService/register", [user, user]) for user in users], [1, 2, 3, None])
        self.assertEqual(client.call("/UserService/login", ["ann", "ann"]), "ok")
        self.assertEqual(client.call("/UserService/login", ["eve", "ann"]), "wrong")
        self.assertEqual([client.call("/SocialGraph/follow", [u, "ann"]) for u in ("bob", "cid", "bob")], [1, 2, 2])
        first = client.call("/Compose/compose", ["ann", "hello @dan see http://long.example/x"])
        second = client.call("/Compose/compose", ["ann", "again"])
        posts = client.call("/HomeTimeline/read", ["bob", 0, 10])
        self.assertEqual([p["post_id"] for p in posts], [second, first])
        self.assertEqual(posts[1]["mentions"], ["dan"])
        short = posts[1]["text"].split()[-1]
        self.assertEqual(client.call("/UrlShorten/expand", [short]), "http://long.example/x")
        self.assertEqual(client.call("/UrlShorten/expand", ["none"]), "unknown")
        self.assertEqual([p["post_id"] for p in client.call("/HomeTimeline/read", ["dan", 0, 10])], [first])
        events = client.call("/SocialGraph/last_events", [2])
        self.assertEqual(events, [["cid", "follows", "ann"], ["bob", "follows", "ann"]])
        self.assertEqual(client.call("/Compose/composed"), 2)

    def test_transactions_over_services(self):
        client = self.start("transactions/transactions.csv")

        def amounts():
            return [client.call("/Store/get", [key]) for key in "ab"]

        client.call("/Store/set", ["a", 10])
        self.assertEqual(client.call("/Caller/move", ["a", "b", 4]), ["moved", 1])
        self.assertEqual(client.call("/Caller/move", ["a", "b", 40]), ["failed", 2])
        self.assertEqual(amounts(), [6, 4])
        self.assertEqual(client.call("/Caller/move_in_helper", ["a", "b", 1]), "moved")
        self.assertEqual(client.call("/Caller/move_in_helper", ["a", "b", 100]), "negative")
        self.assertEqual(amounts(), [5, 5])
        self.assertEqual(client.call("/Caller/nested", [["a", "b"], 2]), "taken")
        self.assertEqual(client.call("/Caller/nested", [["a", "b"], 50]), "aborted")
        self.assertEqual(client.call("/Caller/doomed", ["a", 1]), "taken")
        self.assertEqual(client.call("/Caller/doomed", ["a", 100]), "aborted")
        self.assertEqual(amounts(), [2, 3])
        self.assertEqual(client.call("/Store/take_all", [["a"], 1]), "taken")
        self.assert_raises("Aborted", client, "/Store/take_all", [["a", "b"], 3])
        self.assertEqual(client.call("/Store/try_take", ["a", 100]), "short")
        self.assertEqual(amounts(), [1, 3])
        self.assertEqual(client.call("/Log/all"), [["a", "b", 4], "nested", "doomed"])
        self.assertEqual(client.call("/Caller/local", [3]), [3, "kept"])
        self.assertEqual(client.call("/Caller/local", [-1]), [3, "undone"])
        self.assertIn("caller.py:", self.failed(client, "/Caller/open")["message"])
        self.assertEqual(client.call("/Caller/local", [0]), [3, "kept"])
        self.assertEqual(client.call("/Caller/finished"), ["a>b"])
        self.assert_nothing_unfinished(client)

    def test_concurrent_transactions_of_one_account(self):
        client = self.start("transactions/transactions.csv")
        client.call("/Store/set", ["a", 20])

        def move(number):
            own = self.node.client()
            return [own.call("/Caller/move", ["a", f"t{number}", 1])[0] for _ in range(4)]

        succeeded = [reply for replies in in_parallel(6, move) for reply in replies if reply == "moved"]
        self.assertEqual(len(succeeded), 20)
        self.assertEqual(client.call("/Store/get", ["a"]), 0)
        self.assertEqual(len(client.call("/Log/all")), 20)

    def test_files_without_a_list(self):
        client = self.start("small")
        steps = (("add", 7), ("sub", 2), ("mul", 3))
        self.assertEqual([client.call(f"/Calculator/{method}", [x]) for method, x in steps], [7, 5, 15])
        self.assertEqual([client.call("/Calculator/negate"), client.call("/Calculator/div", [2])], [-15, -7.5])
        self.assertEqual(self.failed(client, "/Calculator/div", [0])["message"], "division by zero")
        self.assertEqual(client.call("/Calculator/get"), -7.5)
        self.assertEqual([client.call("/ListService/append", [x]) for x in (3, 1, 2)], [1, 2, 3])
        self.assertEqual(client.call("/ListService/sort"), [1, 2, 3])
        self.assertEqual(client.call("/ListService/slice", [1, None]), [2, 3])
        self.assertEqual(client.call("/ListService/index", [3]), 2)
        self.assertEqual([client.call("/ListService/pop") for _ in range(4)], [3, 2, 1, None])
        self.assertEqual(client.call("/Chain1/go", [5]), [7, 1, True, False])
        self.assertEqual(client.call("/Tree/sum", [0, 8]), 8)
        self.assertEqual(client.call("/Tree/timed"), True)


if __name__ == "__main__":
    unittest.main()
