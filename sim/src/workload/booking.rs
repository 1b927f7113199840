//! Trips: a seat and a room, or neither, reserved side by side in a transaction, through an agency that has a
//! transaction of its own. Some are given up on the way: by the caller, by the agency inside the caller's transaction,
//! or because a house is full. What was reserved is exactly what was said to be.

use std::collections::BTreeMap;

use super::place;
use crate::program::{App, Block, Def, Expr, Stmt, Svc, app, arg, block, def, entity, on, reg, service, to};
use crate::rng::Rng;
use crate::world::World;
use crate::world::clients::{Wish, call};

/// Places of each hotel and of each flight.
const PLACES: i64 = 4;
const HOUSES: u64 = 3;

/// How a trip is given up.
const NOT: i64 = 0;
/// The agency gives up; the caller lets its own transaction fail.
const BY_AGENCY: i64 = 1;
/// The agency gives up, and the caller catches that inside its transaction, which must fail all the same.
const CAUGHT_INSIDE: i64 = 2;
/// The caller gives up after the agency has reserved everything.
const BY_CALLER: i64 = 3;

fn nothing() -> Block {
    block(vec![])
}

fn give_up() -> Block {
    block(vec![Stmt::Raise("Aborted")])
}

/// Runs the block if the argument is this number.
fn when(argument: usize, number: i64, then: Block) -> Stmt {
    let not_less = block(vec![Stmt::If(arg(argument) - Expr::Int(number), nothing(), then)]);
    Stmt::If(arg(argument) - Expr::Int(number - 1), not_less, nothing())
}

/// `take(guest)`: 1, or 0 if all places are taken.
fn take() -> Def {
    let free = block(vec![
        Stmt::Put("taken", None, reg(0) + Expr::Int(1)),
        Stmt::Put("guests", Some(arg(0)), 1.into()),
        Stmt::Return(1.into()),
    ]);
    def(
        "take",
        vec![
            Stmt::Get(0, "taken", None),
            Stmt::If(Expr::Int(PLACES) - reg(0), free, nothing()),
            Stmt::Return(0.into()),
        ],
    )
}

/// `free(guest)` gives a place back, if the guest has one.
fn free() -> Def {
    let had = block(vec![
        Stmt::Get(1, "taken", None),
        Stmt::Put("taken", None, reg(1) - Expr::Int(1)),
        Stmt::Del("guests", arg(0)),
    ]);
    def("free", vec![Stmt::Has(0, "guests", arg(0)), Stmt::If(reg(0), had, nothing()), Stmt::Return(reg(0))])
}

fn house(name: &'static str) -> Svc {
    entity(name, vec![("taken", false), ("guests", true)], vec![take(), free()])
}

/// `reserve(hotel, flight, guest, how)`: joins its caller's transaction.
fn reserve() -> Def {
    let both = vec![(0, on("Hotel", arg(0), "take", vec![arg(2)])), (1, on("Flight", arg(1), "take", vec![arg(2)]))];
    let body = block(vec![
        Stmt::Gather(both, false),
        Stmt::If(reg(0), nothing(), give_up()),
        Stmt::If(reg(1), nothing(), give_up()),
        when(3, BY_AGENCY, give_up()),
        when(3, CAUGHT_INSIDE, give_up()),
    ]);
    def("reserve", vec![Stmt::Tx(body), Stmt::Return(1.into())])
}

/// `book(hotel, flight, guest, how)`: 1, or 0 if it came to nothing.
fn book() -> Def {
    let through = Stmt::Call(2, to("Agency", "reserve", vec![arg(0), arg(1), arg(2), arg(3)]));
    let caught = Stmt::Try(block(vec![through.clone()]), nothing());
    let body = block(vec![
        Stmt::Put("trips", Some(arg(2)), 1.into()),
        when(3, CAUGHT_INSIDE, block(vec![caught])),
        Stmt::If(Expr::Int(1) - reg(2), block(vec![through]), nothing()),
        when(3, BY_CALLER, give_up()),
    ]);
    def(
        "book",
        vec![Stmt::Try(block(vec![Stmt::Tx(body)]), block(vec![Stmt::Return(0.into())])), Stmt::Return(1.into())],
    )
}

/// `leave(hotel, flight, guest)` gives both places back, of whoever has them: the number of places.
fn leave() -> Def {
    let body = block(vec![
        Stmt::Call(0, on("Flight", arg(1), "free", vec![arg(2)])),
        Stmt::Call(1, on("Hotel", arg(0), "free", vec![arg(2)])),
        Stmt::Has(3, "trips", arg(2)),
        Stmt::If(reg(3), block(vec![Stmt::Del("trips", arg(2))]), nothing()),
    ]);
    def("leave", vec![Stmt::Tx(body), Stmt::Return(reg(0) + reg(1))])
}

/// Houses that a guest asks for: the same ones for booking and leaving.
fn houses(guest: i64) -> (i64, i64) {
    (place(guest as u64 % HOUSES), place(guest as u64 / 2 % HOUSES))
}

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let agency = service("Agency", vec![("trips", true)], vec![reserve(), book(), leave()]);
    let count = rng.range(15, 50) as i64;
    let mut wishes: Vec<Wish> = Vec::new();
    for n in 0..count {
        let guest = if n > 0 && rng.once_in(4) { -(rng.below(n as u64) as i64 + 1) } else { n };
        let (hotel, flight) = houses(guest.abs());
        let how = *rng.pick(&[NOT, NOT, NOT, BY_AGENCY, CAUGHT_INSIDE, BY_CALLER]);
        let wish = match guest < 0 {
            true => call("Agency", "leave", &[hotel, flight, -guest]),
            false => call("Agency", "book", &[hotel, flight, guest, how]),
        };
        let wish = wish.keyed();
        wishes.push(if rng.once_in(6) { wish.sent() } else { wish });
    }
    (app(vec![house("Hotel"), house("Flight"), agency]), wishes)
}

pub(super) fn check(world: &World) -> Result<(), String> {
    let mut places: BTreeMap<i64, i64> = BTreeMap::new();
    world.entries("guests").into_iter().for_each(|(guest, _)| *places.entry(guest).or_default() += 1);
    let trips: BTreeMap<i64, i64> = world.entries("trips").into_iter().collect();
    if let Some((guest, count)) = places.iter().find(|(guest, count)| **count != 2 || !trips.contains_key(guest)) {
        return Err(format!("guest {guest} has {count} places, and a trip: {}", trips.contains_key(guest)));
    }
    if let Some(guest) = trips.keys().find(|guest| !places.contains_key(guest)) {
        return Err(format!("guest {guest} has a trip without places"));
    }
    let taken: i64 = world.entries("taken").into_iter().map(|(_, number)| number).sum();
    if taken != places.values().sum::<i64>() {
        return Err(format!("{taken} places are taken, by {} guests", places.len()));
    }
    if let Some((_, over)) = world.entries("taken").into_iter().find(|(_, number)| !(0..=PLACES).contains(number)) {
        return Err(format!("{over} of {PLACES} places are taken"));
    }
    for (index, request) in world.requests.iter().enumerate() {
        let value = request.value().map(|value| value.number);
        let args = &request.wish.args;
        match (request.wish.method, value) {
            ("book", Some(1)) if args[3] != NOT => return Err(format!("request {index} was given up, and booked")),
            ("book", Some(0)) if trips.contains_key(&args[2]) => {
                return Err(format!("request {index} came to nothing, and left a trip"));
            }
            ("leave", Some(1)) => return Err(format!("request {index} gave one place back")),
            _ => {}
        }
    }
    Ok(())
}
