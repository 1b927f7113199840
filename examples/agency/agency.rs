//! A travel agency in two languages: hotels, orders and purses in Rust, flights, miles and the web's side in Python
//! (`app.py`).
//! Both book, and each calls the other in its transaction.
//!
//! ```sh
//! cargo run --release --example agency -- examples/agency
//! ```

use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sostenuto::prelude::*;

/// The flights, which are written in Python.
#[client]
pub trait Flight {
    async fn reserve(&self, flight_id: String, user: String) -> bool;
}

/// The miles of each user, which are written in Python, too.
#[client(key = String)]
pub trait Miles {
    async fn earn(&self, flown: u32) -> u32;
}

/// Rooms of a hotel, and who has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rooms {
    free: u32,
    clients: Vec<String>,
}

/// Hotels by id.
#[service]
pub struct Hotel {
    hotels: Map<String, Rooms>,
}

#[methods]
impl Hotel {
    /// Add a hotel; false if there is one with this id.
    pub fn add(&mut self, hotel_id: String, capacity: u32) -> bool {
        if self.hotels.contains_key(&hotel_id) {
            return false;
        }
        self.hotels.insert(hotel_id, Rooms { free: capacity, clients: Vec::new() });
        true
    }

    /// Take one room; false if none is free.
    pub fn reserve(&mut self, hotel_id: String, user: String) -> Result<bool> {
        let Some(mut hotel) = self.hotels.get_mut(&hotel_id) else { return unknown(&hotel_id) };
        if hotel.free == 0 {
            return Ok(false);
        }
        hotel.free -= 1;
        hotel.clients.push(user);
        Ok(true)
    }

    /// Number of free rooms.
    pub fn capacity(&self, hotel_id: String) -> Result<u32> {
        self.hotels.get(&hotel_id).map_or_else(|| unknown(&hotel_id), |hotel| Ok(hotel.free))
    }

    /// Who has booked a room, in order.
    pub fn clients(&self, hotel_id: String) -> Result<Vec<String>> {
        self.hotels.get(&hotel_id).map_or_else(|| unknown(&hotel_id), |hotel| Ok(hotel.clients))
    }
}

fn unknown<T>(id: &str) -> Result<T> {
    Err(Error::new("app.Unknown", id))
}

/// What a user has paid.
#[entity(key = String)]
pub struct Purse {
    paid: Counter,
}

#[methods]
impl Purse {
    /// Pay; the sum so far.
    pub fn pay(&mut self, price: i64) -> i64 {
        self.paid.add(price)
    }

    /// The sum so far.
    pub fn paid(&self) -> i64 {
        self.paid.get()
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

    /// All orders, oldest first.
    pub fn all(&self) -> Vec<Order> {
        self.orders.values().collect()
    }
}

/// Books for others.
#[service]
pub struct Broker {
    hotel: HotelClient,
    flight: FlightClient,
    orders: OrdersClient,
    purses: Entities<PurseClient>,
    miles: Entities<MilesClient>,
}

#[methods]
impl Broker {
    /// Book a room and a seat, pay and place the order; false if either is sold out.
    pub async fn book(&self, user: String, hotel_id: String, flight_id: String) -> Result<bool> {
        let order_id = uuid4().to_string();
        let booked = transaction(async {
            let (room, seat) =
                join((self.hotel.reserve(&hotel_id, &user), self.flight.reserve(&flight_id, &user))).await;
            if !(room? && seat?) {
                return abort("sold out");
            }
            self.purses.at(&*user).pay(100).await?;
            self.miles.at(&*user).earn(1000).await?;
            self.orders.place(order_id, &user, &hotel_id, &flight_id).await
        });
        match booked.await {
            Ok(()) => Ok(true),
            Err(error) if error.is_aborted() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ask the hotel by letter, which takes so many seconds.
    pub async fn confirm(&self, hotel_id: String, seconds: f64) -> Result<bool> {
        sleep(Duration::from_secs_f64(seconds)).await?;
        Ok(self.hotel.capacity(hotel_id).await? > 0)
    }
}

fn main() -> ExitCode {
    let application = Application::new().service::<Hotel>().service::<Purse>().service::<Orders>();
    sostenuto::main(application.service::<Broker>())
}
