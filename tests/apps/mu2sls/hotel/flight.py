"""Seats."""

from compiler import decorators


@decorators.service
class Flight(object):
    def __init__(self):
        self.flights = {}  # type: Persistent[dict]

    def add_flight(self, flight_id, seats):
        self.flights[flight_id] = {"cap": seats, "customers": []}

    def reserve_flight(self, flight_id, user_id):
        flight = self.flights[flight_id]
        if flight["cap"] == 0:
            return False
        flight["cap"] -= 1
        flight["customers"].append(user_id)
        self.flights[flight_id] = flight
        return True

    def get_flight(self, flight_id):
        return self.flights[flight_id]
