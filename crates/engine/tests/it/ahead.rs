//! Group execution: steps that run ahead of their turn, and what comes between them.

use std::cell::Cell;
use std::collections::BTreeSet;

use sim::program::{App, Expr, Stmt, app, arg, block, def, entity, on, reg, service};

use crate::seeds::for_seeds;
use crate::world::{Options, Request, World, ask, call};

const CALLS: i64 = 24;

/// Adds the first argument and returns the sum; ends its worker if the second one is positive.
fn add(name: &'static str) -> sim::program::Def {
    let body = vec![
        Stmt::Get(0, "sum", None),
        Stmt::Put("sum", None, reg(0) + arg(0)),
        Stmt::If(arg(1), block(vec![Stmt::Die]), block(vec![])),
        Stmt::Return(reg(0) + arg(0)),
    ];
    def(name, body)
}

fn sums() -> App {
    let careless = vec![Stmt::Get(0, "sum", None), Stmt::Put("sum", None, reg(0) + arg(0)), Stmt::Raise("Careless")];
    let nap = vec![
        Stmt::Get(0, "sum", None),
        Stmt::Put("sum", None, reg(0) + arg(0)),
        Stmt::Sleep(Expr::Int(1_000)),
        Stmt::Return(reg(0) + arg(0)),
    ];
    let both = vec![Stmt::Tx(block(vec![
        Stmt::Call(0, on("Entity", 1, "add", vec![arg(0), 0.into()])),
        Stmt::Call(1, on("Entity", 2, "add", vec![arg(0), 0.into()])),
    ]))];
    let methods = || vec![add("add"), add("plus"), def("careless", careless.clone()), def("nap", nap.clone())];
    let fields = || vec![("sum", false)];
    app(vec![
        entity("Entity", fields(), methods()),
        service("Service", fields(), methods()),
        service("Root", vec![], vec![def("both", both)]),
    ])
}

/// Worlds in which all calls are made at once. Gives how many steps ran ahead.
fn all_at_once(name: &str, seeds: u64, ask_for: impl Fn(u64, i64) -> Request, check: impl Fn(&World)) -> u64 {
    let ahead = Cell::new(0);
    for_seeds(name, seeds, |seed| {
        let mut world = World::new(sums(), Options { clients: CALLS as usize, ..Options::varied(seed) });
        for n in 0..CALLS {
            world.request(ask_for(seed, n).keyed(format!("{n}")));
        }
        world.run();
        check(&world);
        ahead.set(ahead.get() + world.run_ahead);
    });
    ahead.get()
}

#[test]
fn those_in_line_run_ahead_and_each_counts_once() {
    let add = |seed: u64, _| match seed % 2 {
        0 => ask("Entity", 1, "add", &[1, 0]),
        _ => call("Service", "add", &[1, 0]),
    };
    let ahead = all_at_once("those in line run ahead", 30, add, |world| {
        let results: BTreeSet<i64> = (0..CALLS as usize).map(|index| world.result(index).unwrap()).collect();
        assert_eq!(results, (1..=CALLS).collect());
    });
    assert!(ahead > 100, "{ahead} steps ran ahead");
}

/// One comes at a time, each when the one before has been sent: none of them waits until a group has ended.
#[test]
fn who_comes_while_others_run_follows_them() {
    let ahead = Cell::new(0);
    for_seeds("who comes while others run follows them", 30, |seed| {
        let mut world = World::new(sums(), Options::new(seed, 2));
        for _ in 0..CALLS {
            let index = world.request(match seed % 2 {
                0 => ask("Entity", 1, "add", &[1, 0]),
                _ => call("Service", "add", &[1, 0]),
            });
            world.run_until(|world| world.is_started(index) || world.result(index).is_ok());
        }
        world.run();
        let results: BTreeSet<i64> = (0..CALLS as usize).map(|index| world.result(index).unwrap()).collect();
        assert_eq!(results, (1..=CALLS).collect());
        ahead.set(ahead.get() + world.run_ahead);
    });
    assert!(ahead.get() > 100, "{} steps ran ahead", ahead.get());
}

/// Other methods, exceptions, suspensions and transactions between them: whoever ran on something else runs again.
#[test]
fn what_comes_between_is_seen() {
    let mixed = |_, n: i64| match n % 8 {
        0 => call("Root", "both", &[1]),
        3 => ask("Entity", 1, "plus", &[1, 0]),
        5 => ask("Entity", 1, "careless", &[1]),
        6 => ask("Entity", 1, "nap", &[1]),
        _ => ask("Entity", 1, "add", &[1, 0]),
    };
    let ahead = all_at_once("what comes between is seen", 60, mixed, |world| {
        assert_eq!(world.cell("Entity", Some(1), "sum", None), Some(CALLS));
        assert_eq!(world.cell("Entity", Some(2), "sum", None), Some(CALLS / 8));
    });
    assert!(ahead > 50, "{ahead} steps ran ahead");
}

/// Who ends its worker is struck and parked, alone; the others are only run again.
#[test]
fn a_deadly_one_takes_nobody_along() {
    for_seeds("a deadly one takes nobody along", 30, |seed| {
        let mut options = Options { clients: 8, ..Options::new(seed, 2) };
        options.logs = seed % 2 == 0;
        let mut world = World::new(sums(), options);
        for n in 0..8 {
            let dies = i64::from(n == 3);
            let request = match seed % 3 {
                0 => call("Service", "add", &[1, dies]),
                _ => ask("Entity", 1, "add", &[1, dies]),
            };
            world.request(request);
        }
        world.run_still();
        let results: Vec<_> = (0..8).map(|index| world.result(index)).collect();
        assert!(results[3].is_err(), "{results:?}");
        let others: BTreeSet<i64> = results.into_iter().flatten().collect();
        assert_eq!(others, (1..=7).collect());
    });
}
