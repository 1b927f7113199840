//! One partition, one method: counters.

use crate::seeds::for_seeds;
use crate::world::{Options, World, call};
use sim::program::{Def, Expr, Stmt, app, arg, def, reg, service};

/// Adds to one entry and returns the new value.
pub fn add() -> Def {
    let body = vec![
        Stmt::Get(0, "counts", Some(arg(0))),
        Stmt::Put("counts", Some(arg(0)), reg(0) + arg(1)),
        Stmt::Return(reg(0) + arg(1)),
    ];
    def("add", body).routed(0)
}

fn counter() -> sim::program::App {
    let get = def("get", vec![Stmt::Get(0, "counts", Some(arg(0))), Stmt::Return(reg(0))]).routed(0).read_only();
    let total = vec![
        Stmt::Get(0, "total", None),
        Stmt::Put("total", None, reg(0) + Expr::Int(1)),
        Stmt::Return(reg(0) + Expr::Int(1)),
    ];
    let methods = vec![add(), get, def("bump", total.clone()), def("bump_unforeseen", total).unforeseen()];
    app(vec![service("Counter", vec![("counts", true), ("total", false)], methods)])
}

#[test]
fn counter_counts() {
    for_seeds("counter_counts", 30, |seed| {
        let mut world = World::new(counter(), Options::varied(seed));
        for n in 0..30 {
            world.request(call("Counter", "add", &[n % 3, 1]));
            world.request(call("Counter", if n % 2 == 0 { "bump" } else { "bump_unforeseen" }, &[]));
            world.request(call("Counter", "get", &[n % 3]));
        }
        world.run();
        assert_eq!(world.sum("Counter", "counts"), 30);
        assert_eq!(world.sum("Counter", "total"), 30);
    });
}
