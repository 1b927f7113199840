"""List fields on the real server: nothing is lost or doubled, at any length, also after `kill -9`. Of Python services, and of
Rust services with the same methods."""

import collections
import random
import unittest

from harness import APPS, EndToEnd, in_parallel, rust_example

CLIENTS = 16


class Lists(EndToEnd):
    def new_server(self):
        return self.server(APPS / "lists")

    def start(self):
        server = self.new_server()
        server.start()
        return server, server.client()


class Elements(Lists):
    """What both languages have."""

    def test_appends_of_many_clients_are_all_there_after_a_kill(self):
        server, _ = self.start()

        def push(number):
            client = server.client()
            return [client.call("/Work/push", [f"{number}-{n}"]) for n in range(25)]

        lengths = [length for pushed in in_parallel(CLIENTS, push) for length in pushed]
        self.assertEqual(sorted(lengths), list(range(1, CLIENTS * 25 + 1)))
        server.kill()
        server.start()
        client = server.client()
        items = client.call("/Work/all")
        self.assertEqual(sorted(items), sorted(f"{number}-{n}" for number in range(CLIENTS) for n in range(25)))
        for number in range(CLIENTS):
            own = [item for item in items if item.startswith(f"{number}-")]
            self.assertEqual(own, [f"{number}-{n}" for n in range(25)])

    def test_every_element_is_popped_once(self):
        server, client = self.start()
        self.assertEqual(client.call("/Work/fill", [400]), 400)

        def pop(number):
            client = server.client()
            return [client.call("/Work/pop" if number % 2 else "/Work/shift") for _ in range(25)]

        popped = [item for items in in_parallel(CLIENTS, pop) for item in items]
        self.assertEqual(sorted(popped, key=int), [str(n) for n in range(400)])
        reply = client.post("/Work/pop")
        self.assert_problem(reply, "exception", 500, "pop from empty list", source="invocation")

    def test_operations_at_every_place(self):
        server, client = self.start()
        model = [str(n) for n in range(1000)]
        client.call("/Work/fill", [1000])
        for index in (0, 1, 63, 64, 500, 999, -1, -1000):
            self.assertEqual(client.call("/Work/item", [index]), model[index])
            client.call("/Work/replace", [index, f"r{index}"])
            model[index] = f"r{index}"
        for index in (0, 10, 500, 990, -1):
            client.call("/Work/insert", [index, f"i{index}"])
            model.insert(index, f"i{index}")
        for _ in range(70):
            self.assertEqual(client.call("/Work/shift"), model.pop(0))
        for n in range(140):
            client.call("/Work/push_first", [f"f{n}"])
            model.insert(0, f"f{n}")
        self.assertEqual(client.call("/Work/all"), model)
        self.assertEqual(client.field("Work/items"), model)
        for index in (0, 100, 500, len(model) - 1, -1):
            self.assertEqual(client.field(f"Work/items/{index}"), model[index])
        self.assert_problem(client.get("/_/state/Work/items/5000"), "unknown_state", 404)
        client.call("/Work/sort")
        model.sort(reverse=True)
        server.kill()
        server.start()
        client = server.client()
        self.assertEqual(client.call("/Work/all"), model)
        self.assertEqual(client.call("/Work/twice", [70]), [model[70], model[70]])
        self.assertIs(client.call("/Work/assign", [["a", "b"]]), True)
        self.assertEqual(client.field("Work/items"), ["a", "b"])
        client.call("/Work/clear")
        self.assertEqual(client.field("Work/items"), [])
        reply = client.post("/Work/item", [3])
        self.assert_problem(reply, "exception", 500, "list index out of range", source="invocation")

    def test_initial_elements_documents_and_entities(self):
        _, client = self.start()
        self.assertEqual(client.field("Work/numbers"), [7, 8, 9])
        self.assertEqual(client.call("/Work/more_numbers"), [7, 8, 9, 3])
        self.assertEqual(client.field("Work/numbers"), [7, 8, 9, 3])
        for n in range(150):
            self.assertEqual(client.call("/Work/document", [1000]), n + 1)
        self.assertEqual([client.call("/Work/read", [70]) for _ in range(3)], [1, 2, 3])
        self.assertEqual(client.field("Work/documents/70")["read"], 3)
        for name in ("ann", "bob"):
            for n in range(70):
                client.call(f"/Feed/{name}/post", [f"{name} {n}"])
        self.assertEqual(client.call("/Feed/bob/latest", [2]), ["bob 68", "bob 69"])
        self.assertEqual(client.field("Feed/ann/posts"), [f"ann {n}" for n in range(70)])


class Held(Lists):
    """What only Python has: elements that a method holds while it waits."""

    def test_held_elements_are_the_same_wherever_others_move_them(self):
        server, client = self.start()
        for _ in range(150):
            client.call("/Work/document", [10])
        client.call("/Work/number")

        def work(number):
            client, dice = server.client(), random.Random(number)
            if number % 2:
                return [client.call("/Work/linger", [dice.randrange(150)]) for _ in range(8)]
            for _ in range(8):
                client.call("/Work/move", [dice.randrange(150), dice.randrange(150)])
            return []

        lingered = collections.Counter(each for numbers in in_parallel(CLIENTS, work) for each in numbers)
        documents = client.field("Work/documents")
        self.assertEqual(sorted(each["number"] for each in documents), list(range(150)))
        read = {each["number"]: each["read"] for each in documents if each["read"]}
        self.assertEqual(read, {number: 3 * count for number, count in lingered.items()})
        self.assertEqual(lingered.total(), CLIENTS // 2 * 8)


class ElementsInRust(Elements):
    def new_server(self):
        return self.server(None, native=rust_example("native"))

    def test_the_borders_of_chunks_over_kills(self):
        server, client = self.start()
        chunk, model = 64, []
        for length in (chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1):
            while len(model) < length:
                model.append(f"p{len(model)}")
                self.assertEqual(client.call("/Work/push", [model[-1]]), len(model))
            server.kill()
            server.start()
            client = server.client()
            self.assertEqual(client.call("/Work/length"), length)
            self.assertEqual(client.call("/Work/all"), model)
            for index in {0, chunk - 1, chunk, 2 * chunk - 1, 2 * chunk, length - 1} & set(range(length)):
                self.assertEqual(client.call("/Work/item", [index]), model[index])
        # Back over the same borders, from both ends.
        for keep in (2 * chunk, chunk + 1, chunk, chunk - 1, 1, 0):
            while len(model) > keep:
                first = len(model) % 3 == 0
                self.assertEqual(client.call("/Work/shift" if first else "/Work/pop"), model.pop(0 if first else -1))
            server.kill()
            server.start()
            client = server.client()
            self.assertEqual((client.call("/Work/all"), client.field("Work/items")), (model, model))
        self.assertEqual(client.call("/Work/fill", [3 * chunk]), 3 * chunk)
        for keep in (2 * chunk + 1, 2 * chunk, chunk, 5):
            self.assertEqual(client.call("/Work/cut", [keep]), keep)
            self.assertEqual(client.call("/Work/all"), [str(n) for n in range(keep)])



if __name__ == "__main__":
    unittest.main()
