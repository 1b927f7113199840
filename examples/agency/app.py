"""A travel agency in two languages: flights, miles and the web's side; hotels, orders and purses are in Rust (agency.rs)."""

# The methods of clients have no bodies.
# mypy: disable-error-code="empty-body"

import asyncio
from typing import Any
from uuid import uuid4

from sostenuto import Aborted, Persistent, abort, client, entity, send, service, transaction


class Unknown(Exception):
    """An id that nobody has added; the Rust services raise it, too."""


@client
class Hotel:
    async def reserve(self, hotel_id: str, user: str) -> bool: ...
    def capacity(self, hotel_id: str) -> int: ...


@client
class Purse:
    key: str

    async def pay(self, price: int) -> int: ...
    def paid(self) -> int: ...


@client
class Orders:
    async def place(self, order_id: str, user: str, hotel_id: str, flight_id: str) -> None: ...
    async def all(self) -> list[dict[str, str]]: ...


@client
class Broker:
    async def book(self, user: str, hotel_id: str, flight_id: str) -> bool: ...
    async def confirm(self, hotel_id: str, seconds: float) -> bool: ...


@service
class Flight:
    """Flights by id: how many seats are free and who has booked one."""

    flights: Persistent[dict[str, dict[str, Any]]] = {}

    def add(self, flight_id: str, capacity: int) -> bool:
        """Add a flight; False if there is one with this id."""
        if flight_id in self.flights:
            return False
        self.flights[flight_id] = {"capacity": capacity, "clients": []}
        return True

    async def reserve(self, flight_id: str, user: str) -> bool:
        """Take one seat; False if none is free."""
        if flight_id not in self.flights:
            raise Unknown(flight_id)
        flight = self.flights[flight_id]
        if flight["capacity"] == 0:
            return False
        flight["capacity"] -= 1
        flight["clients"].append(user)
        return True

    def capacity(self, flight_id: str) -> int:
        """Number of free seats."""
        free: int = self.flights[flight_id]["capacity"]
        return free

    def clients(self, flight_id: str) -> list[str]:
        """Who has booked a seat, in order."""
        return list(self.flights[flight_id]["clients"])


@entity
class Miles:
    """The miles of a user."""

    key: str
    flown: Persistent[int] = 0

    async def earn(self, flown: int) -> int:
        """Add miles; the sum so far."""
        self.flown += flown
        return self.flown

    def balance(self) -> int:
        """The sum so far."""
        return self.flown


@service
class Frontend:
    """What a user calls."""

    hotel: Hotel
    flight: Flight
    orders: Orders
    broker: Broker

    async def book(self, user: str, hotel_id: str, flight_id: str) -> bool:
        """Book a room and a seat, pay and place the order; False if either is sold out."""
        order_id = str(uuid4())
        try:
            async with transaction():
                room, seat = await asyncio.gather(
                    self.hotel.reserve(hotel_id, user),
                    self.flight.reserve(flight_id, user),
                )
                if not (room and seat):
                    abort("sold out")
                await Purse(user).pay(100)
                await Miles(user).earn(1000)
                await self.orders.place(order_id, user, hotel_id, flight_id)
        except Aborted:
            return False
        return True

    def book_all(self, users: list[str], hotel_id: str, flight_id: str) -> None:
        """Have the broker book for all of them; nobody waits."""
        for user in users:
            send(self.broker.book(user, hotel_id, flight_id))

    def free(self, hotel_id: str) -> str:
        """How many rooms are free, in words."""
        try:
            return f"{self.hotel.capacity(hotel_id)} free"
        except Unknown as error:
            return f"no hotel {error}"

    async def confirm(self, hotel_id: str, seconds: float, patience: float) -> str:
        """What the broker says about a hotel, if it is not too late."""
        try:
            is_free = await asyncio.wait_for(self.broker.confirm(hotel_id, seconds), patience)
        except TimeoutError:
            return "late"
        return "free" if is_free else "full"
