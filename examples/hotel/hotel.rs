//! Book a hotel room and a seat on a flight together, or neither: `app.py` in Rust.
//!
//! ```sh
//! cargo run --release --example hotel
//! ```

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use sostenuto::prelude::*;

/// What there is of something, and who has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Places {
    capacity: u32,
    clients: Vec<String>,
}

/// An id that nobody has added.
#[derive(Debug)]
pub struct Unknown(String);

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unknown {}

impl Places {
    fn new(capacity: u32) -> Self {
        Self { capacity, clients: Vec::new() }
    }

    fn take(&mut self, user: String) -> bool {
        if self.capacity == 0 {
            return false;
        }
        self.capacity -= 1;
        self.clients.push(user);
        true
    }
}

/// Hotels by id: how many rooms are free and who has booked one.
#[service]
pub struct Hotel {
    hotels: Map<String, Places>,
}

#[methods]
impl Hotel {
    /// Add a hotel; false if there is one with this id.
    pub fn add(&mut self, hotel_id: String, capacity: u32) -> bool {
        if self.hotels.contains_key(&hotel_id) {
            return false;
        }
        self.hotels.insert(hotel_id, Places::new(capacity));
        true
    }

    /// Take one room; false if none is free.
    pub fn reserve(&mut self, hotel_id: String, user: String) -> Result<bool> {
        let mut hotel = self.hotels.get_mut(&hotel_id).ok_or(Unknown(hotel_id))?;
        Ok(hotel.take(user))
    }

    /// Number of free rooms.
    pub fn capacity(&self, hotel_id: String) -> Result<u32> {
        Ok(self.hotels.get(&hotel_id).ok_or(Unknown(hotel_id))?.capacity)
    }

    /// Who has booked a room, in order.
    pub fn clients(&self, hotel_id: String) -> Result<Vec<String>> {
        Ok(self.hotels.get(&hotel_id).ok_or(Unknown(hotel_id))?.clients)
    }
}

/// Flights by id: how many seats are free and who has booked one.
#[service]
pub struct Flight {
    flights: Map<String, Places>,
}

#[methods]
impl Flight {
    /// Add a flight; false if there is one with this id.
    pub fn add(&mut self, flight_id: String, capacity: u32) -> bool {
        if self.flights.contains_key(&flight_id) {
            return false;
        }
        self.flights.insert(flight_id, Places::new(capacity));
        true
    }

    /// Take one seat; false if none is free.
    pub fn reserve(&mut self, flight_id: String, user: String) -> Result<bool> {
        let mut flight = self.flights.get_mut(&flight_id).ok_or(Unknown(flight_id))?;
        Ok(flight.take(user))
    }

    /// Number of free seats.
    pub fn capacity(&self, flight_id: String) -> Result<u32> {
        Ok(self.flights.get(&flight_id).ok_or(Unknown(flight_id))?.capacity)
    }

    /// Who has booked a seat, in order.
    pub fn clients(&self, flight_id: String) -> Result<Vec<String>> {
        Ok(self.flights.get(&flight_id).ok_or(Unknown(flight_id))?.clients)
    }
}

/// One booking that went through.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    user: String,
    hotel: String,
    flight: String,
}

/// Every booking that went through.
#[service]
pub struct Orders {
    orders: Map<String, Order>,
}

#[methods]
impl Orders {
    /// Store an order.
    pub fn place(&mut self, order_id: String, user: String, hotel_id: String, flight_id: String) {
        self.orders.insert(order_id, Order { user, hotel: hotel_id, flight: flight_id });
    }

    /// How many orders there are.
    pub fn count(&self) -> usize {
        self.orders.len()
    }

    /// All orders, oldest first.
    pub fn all(&self) -> Vec<Order> {
        self.orders.values().collect()
    }
}

/// What a user calls.
#[service]
pub struct Frontend {
    hotel: HotelClient,
    flight: FlightClient,
    orders: OrdersClient,
}

#[methods]
impl Frontend {
    /// Book a room and a seat and place the order; false if either is sold out.
    pub async fn book(&self, user: String, hotel_id: String, flight_id: String) -> Result<bool> {
        let order_id = uuid4().to_string();
        let booked = transaction(async {
            let (room, seat) =
                join((self.hotel.reserve(&hotel_id, &user), self.flight.reserve(&flight_id, &user))).await;
            if !(room? && seat?) {
                return abort("sold out");
            }
            self.orders.place(order_id, &user, &hotel_id, &flight_id).await
        });
        match booked.await {
            Ok(()) => Ok(true),
            Err(error) if error.is_aborted() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn main() -> ExitCode {
    let application = Application::new().service::<Hotel>().service::<Flight>().service::<Orders>();
    sostenuto::main(application.service::<Frontend>())
}
