"""Book a hotel room and a seat on a flight together, or neither."""

import asyncio
from typing import Any
from uuid import uuid4

from sostenuto import Aborted, Persistent, abort, service, transaction


@service
class Hotel:
    """Hotels by id: how many rooms are free and who has booked one."""

    hotels: Persistent[dict[str, dict[str, Any]]] = {
        "grand": {"capacity": 20, "clients": []},
        "station": {"capacity": 5, "clients": []},
        "harbour": {"capacity": 8, "clients": []},
    }

    def add(self, hotel_id: str, capacity: int) -> bool:
        """Add a hotel; False if there is one with this id."""
        if hotel_id in self.hotels:
            return False
        self.hotels[hotel_id] = {"capacity": capacity, "clients": []}
        return True

    async def reserve(self, hotel_id: str, user: str) -> bool:
        """Take one room; False if none is free."""
        hotel = self.hotels[hotel_id]
        if hotel["capacity"] == 0:
            return False
        hotel["capacity"] -= 1
        hotel["clients"].append(user)
        return True

    def capacity(self, hotel_id: str) -> int:
        """Number of free rooms."""
        return int(self.hotels[hotel_id]["capacity"])

    def clients(self, hotel_id: str) -> list[str]:
        """Who has booked a room, in order."""
        return list(self.hotels[hotel_id]["clients"])


@service
class Flight:
    """Flights by id: how many seats are free and who has booked one."""

    flights: Persistent[dict[str, dict[str, Any]]] = {
        "lh1": {"capacity": 20, "clients": []},
        "ba7": {"capacity": 10, "clients": []},
        "af3": {"capacity": 6, "clients": []},
    }

    def add(self, flight_id: str, capacity: int) -> bool:
        """Add a flight; False if there is one with this id."""
        if flight_id in self.flights:
            return False
        self.flights[flight_id] = {"capacity": capacity, "clients": []}
        return True

    async def reserve(self, flight_id: str, user: str) -> bool:
        """Take one seat; False if none is free."""
        flight = self.flights[flight_id]
        if flight["capacity"] == 0:
            return False
        flight["capacity"] -= 1
        flight["clients"].append(user)
        return True

    def capacity(self, flight_id: str) -> int:
        """Number of free seats."""
        return int(self.flights[flight_id]["capacity"])

    def clients(self, flight_id: str) -> list[str]:
        """Who has booked a seat, in order."""
        return list(self.flights[flight_id]["clients"])


@service
class Orders:
    """Every booking that went through."""

    orders: Persistent[dict[str, dict[str, Any]]] = {}

    async def place(self, order_id: str, user: str, hotel_id: str, flight_id: str) -> None:
        """Store an order."""
        self.orders[order_id] = {"user": user, "hotel": hotel_id, "flight": flight_id}

    def count(self) -> int:
        """How many orders there are."""
        return len(self.orders)

    def all(self) -> list[dict[str, Any]]:
        """All orders, oldest first."""
        return list(self.orders.values())


@service
class Frontend:
    """What a user calls."""

    hotel: Hotel
    flight: Flight
    orders: Orders

    async def book(self, user: str, hotel_id: str, flight_id: str) -> bool:
        """Book a room and a seat and place the order; False if either is sold out.

        >>> Frontend().book("ada", "grand", "lh1")
        True
        """
        order_id = str(uuid4())
        try:
            async with transaction():
                room, seat = await asyncio.gather(
                    self.hotel.reserve(hotel_id, user),
                    self.flight.reserve(flight_id, user),
                )
                if not (room and seat):
                    abort("sold out")
                await self.orders.place(order_id, user, hotel_id, flight_id)
        except Aborted:
            return False
        return True
