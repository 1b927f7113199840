"""Rooms."""

from compiler import decorators


@decorators.service
class Hotel(object):
    def __init__(self):
        self.hotels = {}  # type: Persistent[dict]

    def add_hotel(self, hotel_id, rooms):
        self.hotels[hotel_id] = {"cap": rooms, "customers": []}

    def reserve_hotel(self, hotel_id, user_id):
        hotel = self.hotels[hotel_id]
        if hotel["cap"] == 0:
            return False
        hotel["cap"] -= 1
        hotel["customers"] = hotel["customers"] + [user_id]
        self.hotels[hotel_id] = hotel
        return True

    def get_hotel(self, hotel_id):
        return self.hotels[hotel_id]
