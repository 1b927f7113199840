//! Lists that grow and shrink at their end, and long values, some of them longer than a cell takes: those are refused
//! and nothing of their step is left.

use super::place;
use crate::program::{App, Block, Def, Expr, LONG_STEP, Stmt, app, arg, block, def, entity, on, reg, service, to};
use crate::rng::Rng;
use crate::world::World;
use crate::world::clients::{Wish, call};

/// Where a list keeps its length.
const HEADER: i64 = -1;

fn nothing() -> Block {
    block(vec![])
}

fn header() -> Option<Expr> {
    Some(Expr::Int(HEADER))
}

/// `append(number)`: the length before.
fn append() -> Vec<Stmt> {
    vec![
        Stmt::Get(0, "list", header()),
        Stmt::Put("list", Some(reg(0)), arg(0)),
        Stmt::Put("list", header(), reg(0) + Expr::Int(1)),
        Stmt::Return(reg(0)),
    ]
}

/// `pop()`: what was last, or -1.
fn pop() -> Vec<Stmt> {
    let last = block(vec![
        Stmt::Get(1, "list", Some(reg(0) - Expr::Int(1))),
        Stmt::Del("list", reg(0) - Expr::Int(1)),
        Stmt::Put("list", header(), reg(0) - Expr::Int(1)),
        Stmt::Return(reg(1)),
    ]);
    vec![Stmt::Get(0, "list", header()), Stmt::If(reg(0), last, nothing()), Stmt::Return((-1).into())]
}

fn list_methods() -> Vec<Def> {
    vec![
        def("append", append()),
        def("pop", pop()),
        def("count", vec![Stmt::Sum(0, 1, "list"), Stmt::Return(reg(1))]).read_only(),
    ]
}

/// `store(key, size)` writes a long value and a short one.
fn store() -> Def {
    let body = vec![
        Stmt::Put("long", Some(arg(0)), arg(1)),
        Stmt::Get(0, "short", Some(arg(0))),
        Stmt::Put("short", Some(arg(0)), reg(0) + Expr::Int(1)),
        Stmt::Return(1.into()),
    ];
    def("store", body).routed(0)
}

/// `copy(from, to, size)` reads a long value, waits, and writes others: a long journal.
fn copy() -> Def {
    let body = vec![
        Stmt::Get(0, "long", Some(arg(0))),
        Stmt::Sleep(Expr::Int(200)),
        Stmt::Get(1, "long", Some(arg(1))),
        Stmt::Call(2, to("Shelf", "store", vec![arg(1), arg(2)])),
        Stmt::Return(reg(2)),
    ];
    def("copy", body)
}

/// `both(a, b, number)` appends to two lists in one transaction.
fn both() -> Def {
    let append = |into: usize, key: usize| (into, on("Pile", arg(key), "append", vec![arg(2)]));
    def(
        "both",
        vec![Stmt::Tx(block(vec![Stmt::Gather(vec![append(0, 0), append(1, 1)], false)])), Stmt::Return(1.into())],
    )
}

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let pile = entity("Pile", vec![("list", true)], list_methods());
    let mut methods = list_methods();
    methods.extend([store(), copy(), both()]);
    let shelf = service("Shelf", vec![("list", true), ("long", true), ("short", true)], methods);
    let count = rng.range(15, 50) as i64;
    let wishes = (0..count)
        .map(|n| {
            let (first, second) = (rng.below(3), rng.below(3));
            let [a, b, other] = [first, second, (first + 1 + second % 2) % 3].map(place);
            // From some bytes to more than a cell takes.
            let size = *rng.pick(&[1, 3, 20, 40, 60, 90]);
            let wish = match rng.below(9) {
                0..=2 => call("Shelf", "append", &[n]),
                3 => call("Shelf", "pop", &[]),
                4 => call("Shelf", "count", &[]),
                5 => Wish { key: Some(a), ..call("Pile", "pop", &[]) },
                6 => call("Shelf", "both", &[a, other, n]),
                7 => call("Shelf", "store", &[a, size]),
                _ => call("Shelf", "copy", &[a, b, size]),
            };
            wish.keyed()
        })
        .collect();
    (app(vec![pile, shelf]), wishes)
}

/// Too long a value ends what wants to store it, and too long ones of others what keeps them in its journal.
pub(super) fn expects(class: &str, wish: &Wish) -> bool {
    let may_be_long = match wish.method {
        "store" => wish.args[1] * LONG_STEP as i64 > 100_000,
        "copy" => true,
        _ => false,
    };
    class == "sostenuto.NotStorable" && may_be_long
}

pub(super) fn check(world: &World) -> Result<(), String> {
    let list = world.entries("list");
    // Each list has as many entries as it says.
    let said: i64 = list.iter().filter(|(key, _)| *key == HEADER).map(|(_, length)| length).sum();
    let entries = list.iter().filter(|(key, _)| *key != HEADER).count() as i64;
    if said != entries {
        return Err(format!("lists say that they have {said} entries, and have {entries}"));
    }
    let (mut appended, mut popped, mut stored) = (0, 0, 0);
    for request in &world.requests {
        let Some(value) = request.value() else { continue };
        match request.wish.method {
            "append" => appended += 1,
            "both" => appended += 2,
            "pop" => popped += i64::from(value.number >= 0),
            "store" | "copy" => stored += 1,
            _ => {}
        }
    }
    let short: i64 = world.entries("short").into_iter().map(|(_, times)| times).sum();
    match (appended - popped == entries, short == stored) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("{appended} were appended and {popped} popped, {entries} are there")),
        (true, false) => Err(format!("{stored} were stored, and {short} were counted")),
    }
}
