//! Glances: transactions that look at cells of several partitions at once, and most of them give up while some of their
//! looks are still on their way or wait; meanwhile others change these cells, two in one go or one after the other.
//! An attempt that comes to nothing must have seen one state all the same, so nothing that it has looked at may change
//! before all of its looks have stopped. Small and many, for that takes links that are slow in one direction.

use super::{all_told, place};
use crate::program::{App, Def, Expr, Stmt, Target, app, arg, block, def, reg, service, to};
use crate::rng::Rng;
use crate::world::World;
use crate::world::clients::{Wish, call};

const CELLS: u64 = 4;

/// `name(cell, …)` adds one to each of these cells in one step.
fn add(name: &'static str, cells: usize) -> Def {
    let gets = (0..cells).map(|index| Stmt::Get(index, "c", Some(arg(index))));
    let puts = (0..cells).map(|index| Stmt::Put("c", Some(arg(index)), reg(index) + Expr::Int(1)));
    def(name, gets.chain(puts).chain([Stmt::Return((cells as i64).into())]).collect()).routed(0)
}

fn look(name: &'static str) -> Def {
    def(name, vec![Stmt::Get(0, "c", Some(arg(0))), Stmt::Return(reg(0))]).routed(0).read_only()
}

fn pad() -> Vec<Def> {
    vec![add("add", 1), add("add_both", 2), look("look"), look("look_late").unforeseen()]
}

/// `Desk.name(home, one, other)`: transactions that are at home elsewhere.
fn desk() -> Vec<Def> {
    let of = |method: &'static str, cell: usize| to("Pad", method, vec![arg(cell)]);
    let tx = |body: Vec<Stmt>| Stmt::Tx(block(body));
    let transaction = |name, body: Vec<Stmt>, made: i64| def(name, vec![tx(body), Stmt::Return(made.into())]).routed(0);
    let given_up = |name, body: Vec<Stmt>| {
        let body = [body, vec![Stmt::Raise("Aborted")]].concat();
        def(name, vec![Stmt::Try(block(vec![tx(body)]), block(vec![])), Stmt::Return(0.into())]).routed(0)
    };
    let glance = |other: Target, one: Target| vec![Stmt::Detach(other), Stmt::Call(0, one)];
    let both = |method| vec![Stmt::Gather(vec![(0, of(method, 1)), (1, of(method, 2))], false)];
    vec![
        given_up("glance", glance(of("look", 2), of("look", 1))),
        given_up("glance_late", glance(of("look_late", 2), of("look", 1))),
        given_up("touch", glance(of("add", 2), of("add", 1))),
        transaction("look_both", both("look"), 0),
        transaction("add_at_once", both("add"), 2),
        transaction("add_in_turn", vec![Stmt::Call(0, of("add", 1)), Stmt::Call(1, of("add", 2))], 2),
        def("add_apart", vec![Stmt::Call(0, of("add", 1)), Stmt::Call(1, of("add", 2)), Stmt::Return(2.into())])
            .routed(0),
    ]
}

const GLANCES: [&str; 5] = ["glance", "glance", "glance_late", "touch", "look_both"];
const CHANGES: [&str; 3] = ["add_at_once", "add_in_turn", "add_apart"];

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let count = rng.range(20, 80);
    let wishes = (0..count).map(|_| {
        let first = rng.below(CELLS);
        let [home, one, other] = [rng.below(CELLS), first, (first + rng.range(1, CELLS)) % CELLS].map(place);
        let wish = match rng.below(7) {
            0 => call("Desk", rng.pick::<&'static str>(&CHANGES), &[home, one, other]),
            1 => call("Pad", "add", &[one]),
            2 | 3 => call("Pad", "add_both", &[one, other]),
            _ => call("Desk", rng.pick::<&'static str>(&GLANCES), &[home, one, other]),
        };
        wish.keyed()
    });
    let wishes = wishes.collect();
    (app(vec![service("Pad", vec![("c", true)], pad()), service("Desk", vec![], desk())]), wishes)
}

pub(super) fn check(world: &World) -> Result<(), String> {
    all_told(world, "c", "were added")
}
