//! The canonical workloads as services in Rust: `apps/canonical/app.py` in the other language.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use sostenuto::prelude::*;

#[global_allocator]
static ALLOCATOR: sostenuto::Allocator = sostenuto::Allocator;

const CITIES: [&str; 5] = ["Tokyo", "Seattle", "London", "Amsterdam", "Lima"];
const FAN: i64 = 100;

/// One of five.
#[task]
pub async fn hello(city: String) -> String {
    format!("Hello {city}! ")
}

/// One of a hundred.
#[task]
pub async fn same(number: i64) -> i64 {
    number
}

/// One counter.
#[entity(key = String)]
pub struct Tally {
    count: Counter,
}

#[methods]
impl Tally {
    /// Add and return the new count.
    pub fn add(&mut self, amount: i64) -> i64 {
        self.count.add(amount);
        self.count.get()
    }

    /// The count.
    pub fn get(&self) -> i64 {
        self.count.get()
    }
}

/// One account.
#[entity(key = String)]
pub struct Account {
    funds: Value<i64>,
}

#[methods]
impl Account {
    /// Put money in and return the new balance.
    pub fn deposit(&mut self, amount: i64) -> i64 {
        *self.funds.get_mut() += amount;
        self.funds.get()
    }

    /// Take money out; false if there is not enough.
    pub fn withdraw(&mut self, amount: i64) -> bool {
        let mut funds = self.funds.get_mut();
        if *funds < amount {
            return false;
        }
        *funds -= amount;
        true
    }

    /// How much there is.
    pub fn balance(&self) -> i64 {
        self.funds.get()
    }
}

/// What is free of a hotel or a flight.
#[entity(key = String)]
pub struct Places {
    free: Value<u64>,
}

#[methods]
impl Places {
    /// More of them.
    pub fn add(&mut self, count: u64) -> u64 {
        *self.free.get_mut() += count;
        self.free.get()
    }

    /// Take one; false if none is free.
    pub fn take(&mut self) -> bool {
        let mut free = self.free.get_mut();
        let some = *free > 0;
        *free -= u64::from(some);
        some
    }

    /// How many are free.
    pub fn left(&self) -> u64 {
        self.free.get()
    }
}

/// One booking.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
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
    pub fn place(&mut self, order: String, hotel: String, flight: String) {
        self.orders.insert(order, Order { hotel, flight });
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.orders.len()
    }
}

/// The end of the chain.
#[service]
pub struct Back {}

#[methods]
impl Back {
    /// The number and one.
    pub fn answer(&self, number: u64) -> u64 {
        number + 1
    }
}

/// The middle of the chain.
#[service]
pub struct Middle {
    back: BackClient,
}

#[methods]
impl Middle {
    /// Of the one behind.
    pub async fn answer(&self, number: u64) -> Result<u64> {
        self.back.answer(number).await
    }
}

/// What the load calls.
#[service]
pub struct Bench {
    middle: MiddleClient,
    orders: OrdersClient,
}

#[methods]
impl Bench {
    /// Nothing.
    pub fn noop(&self) {}

    /// Five tasks in sequence.
    pub async fn hello5(&self) -> Result<String> {
        let mut text = String::new();
        for city in CITIES {
            text += &hello(city).await?;
        }
        Ok(text)
    }

    /// A hundred tasks side by side, summed.
    pub async fn fanout(&self) -> Result<i64> {
        join_all((0..FAN).map(same)).await.into_iter().sum()
    }

    /// Three services deep.
    pub async fn chain(&self, number: u64) -> Result<u64> {
        self.middle.answer(number).await
    }

    /// Move money between two accounts, serializably.
    pub async fn transfer(&self, source: String, target: String, amount: i64) -> Result<bool> {
        let moved = transaction(async {
            if !Account::at(source).withdraw(amount).await? {
                return abort("insufficient funds");
            }
            Account::at(target).deposit(amount).await
        });
        or_false(moved.await)
    }

    /// A room, a seat and an order, or nothing.
    pub async fn book(&self, hotel: String, flight: String) -> Result<bool> {
        let order = uuid4().to_string();
        let booked = transaction(async {
            let (room, seat) = join((Places::at(hotel.clone()).take(), Places::at(flight.clone()).take())).await;
            if !(room? && seat?) {
                return abort("sold out");
            }
            self.orders.place(order, hotel, flight).await
        });
        or_false(booked.await)
    }
}

fn or_false<T>(done: Result<T>) -> Result<bool> {
    match done {
        Ok(_) => Ok(true),
        Err(error) if error.is_aborted() => Ok(false),
        Err(error) => Err(error),
    }
}

fn main() -> ExitCode {
    let application = Application::new().service::<Tally>().service::<Account>().service::<Places>();
    let application = application.service::<Orders>().service::<Back>().service::<Middle>().service::<Bench>();
    sostenuto::main(application.task::<hello>().task::<same>())
}
