//! Visits: operations of entities whose calls come back to the entity that they began at, along one chain or two side by
//! side, in transactions and outside. Who invites knows how often its own guests came meanwhile; nobody else may have.
//!
//! Entities invite each other crosswise, so chains wait for each other in circles, and one of each gives way: an operation
//! that ends so has done nothing.

use super::{all_told, place};
use crate::program::{App, Block, Def, Expr, Stmt, Target, app, arg, block, def, entity, on, reg, service, to};
use crate::rng::Rng;
use crate::world::World;
use crate::world::clients::{Wish, ask, call};

const HOUSES: u64 = 4;

fn nothing() -> Block {
    block(vec![])
}

/// A call that counts for nothing if it had to give way.
fn try_call(into: usize, target: Target) -> Stmt {
    Stmt::Try(block(vec![Stmt::Call(into, target)]), nothing())
}

/// Comes in; another one inside meanwhile would lose it.
fn touch(name: &'static str, between: Vec<Stmt>) -> Def {
    let end = [Stmt::Put("visits", None, reg(0) + Expr::Int(1)), Stmt::Return(1.into())];
    def(name, [vec![Stmt::Get(0, "visits", None)], between, end.to_vec()].concat())
}

/// `House.name(host, …)` goes back to the host, or sends on; returns how often the host was visited.
fn guest(name: &'static str, target: Target) -> Def {
    def(name, vec![try_call(0, target), Stmt::Return(reg(0))])
}

/// Counts itself, has guests, who say in registers 1 and 2 how often they came back, and counts itself again.
fn host(name: &'static str, guests: Vec<Stmt>) -> Def {
    let torn = |difference: Expr| Stmt::If(difference, block(vec![Stmt::Raise("Torn")]), nothing());
    let expected = || reg(0) + Expr::Int(1) + reg(1) + reg(2);
    let begin = [Stmt::Get(0, "visits", None), Stmt::Put("visits", None, reg(0) + Expr::Int(1))];
    let end = [
        Stmt::Get(3, "visits", None),
        torn(reg(3) - expected()),
        torn(expected() - reg(3)),
        Stmt::Put("visits", None, reg(3) + Expr::Int(1)),
        Stmt::Return(reg(1) + reg(2) + Expr::Int(2)),
    ];
    def(name, [begin.to_vec(), guests, end.to_vec()].concat())
}

fn house() -> Vec<Def> {
    let at = |house: Expr, method: &'static str, args: Vec<Expr>| on("House", house, method, args);
    let both = |method: &'static str| {
        let branch = |into: usize, guest| block(vec![try_call(into, at(guest, method, vec![Expr::Key]))]);
        vec![Stmt::Fork(vec![branch(1, arg(0)), branch(2, arg(1))])]
    };
    vec![
        touch("touch", vec![]),
        touch("stay", vec![Stmt::Call(1, to("Street", "idle", vec![]))]),
        guest("come", at(arg(0), "touch", vec![])),
        guest("come_and_stay", at(arg(0), "stay", vec![])),
        guest("send_on", at(arg(1), "come_and_stay", vec![arg(0)])),
        host("invite", vec![try_call(1, at(arg(0), "come", vec![Expr::Key]))]),
        host("invite_both", both("come_and_stay")),
        host("invite_by_way", vec![try_call(1, at(arg(0), "send_on", vec![Expr::Key, arg(1)]))]),
        // Itself: the chain comes back at once.
        host(
            "stay_alone",
            vec![try_call(1, at(Expr::Key, "stay", vec![])), try_call(2, at(Expr::Key, "touch", vec![]))],
        ),
    ]
}

const INVITATIONS: [&str; 4] = ["invite", "invite_both", "invite_by_way", "stay_alone"];

/// `Street.name(host, guest, other)`: the same in a transaction.
fn street() -> Vec<Def> {
    let at_once = |method: &'static str| {
        let invitation = Stmt::Call(0, on("House", arg(0), method, vec![arg(1), arg(2)]));
        def(method, vec![Stmt::Tx(block(vec![invitation])), Stmt::Return(reg(0))])
    };
    let idle = def("idle", vec![Stmt::Return(1.into())]).read_only();
    INVITATIONS.into_iter().map(at_once).chain([idle]).collect()
}

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let count = rng.range(8, 30);
    let wishes = (0..count).map(|_| {
        let first = rng.below(HOUSES);
        let next = (first + rng.range(1, HOUSES)) % HOUSES;
        let last = (0..HOUSES).find(|house| *house != first && *house != next).expect("there are more than two");
        let [host, guest, other] = [first, next, last].map(place);
        let method = *rng.pick(&INVITATIONS);
        let wish = match rng.below(6) {
            0 => ask("House", host, "stay", &[]),
            1 | 2 => call("Street", method, &[host, guest, other]),
            _ => ask("House", host, method, &[guest, other]),
        };
        let wish = wish.keyed();
        if rng.once_in(6) { wish.sent() } else { wish }
    });
    let wishes = wishes.collect();
    (app(vec![entity("House", vec![("visits", false)], house()), service("Street", vec![], street())]), wishes)
}

pub(super) fn check(world: &World) -> Result<(), String> {
    all_told(world, "visits", "visits are counted")
}
