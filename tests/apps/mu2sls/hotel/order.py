"""The orders that were placed."""

from compiler import decorators


@decorators.service
class Order(object):
    def __init__(self):
        self.orders = {}  # type: Persistent[dict]

    def place(self, order_id, user_id, flight_id, hotel_id):
        self.orders[order_id] = {"user": user_id, "flight": flight_id, "hotel": hotel_id}
        return True

    def count(self):
        return len(self.orders)

    def users(self):
        return sorted([o["user"] for o in self.orders.values()])
