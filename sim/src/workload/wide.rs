//! Wide and deep: fan-out to many entities at once, long chains of calls, long journals. Everybody who is asked counts
//! that, so that the sums say how often which was asked.

use crate::program::{App, Block, Def, Expr, Stmt, Target, app, arg, block, def, entity, on, reg, service, to};
use crate::rng::Rng;
use crate::world::World;
use crate::world::clients::{Wish, call};

/// Calls of a request that asks for everything at once. More than a worker may have.
const WIDE: usize = 90;
/// Calls of a chain.
const DEEP: i64 = 24;
/// Calls of a request, one after the other.
const LONG: i64 = 30;
const LEAVES: i64 = 30;

fn nothing() -> Block {
    block(vec![])
}

fn counted(name: &'static str, rest: Vec<Stmt>) -> Def {
    let mut body =
        vec![Stmt::Get(30, "ledger", Some(arg(1))), Stmt::Put("ledger", Some(arg(1)), reg(30) + Expr::Int(1))];
    body.extend(rest);
    def(name, body)
}

fn leaf(n: i64) -> Target {
    on("Leaf", n % LEAVES, "count", vec![])
}

/// Asks many at once; what they answer comes in few registers.
fn wide() -> Stmt {
    Stmt::Gather((0..WIDE).map(|n| (n % 20, leaf(n as i64))).collect(), false)
}

/// `Link.pass(left)` asks itself, one less, at the home of that number.
fn pass(name: &'static str) -> Def {
    let on_it_goes = block(vec![Stmt::Call(1, to("Link", name, vec![arg(0) - Expr::Int(1)]))]);
    let body = vec![
        Stmt::Get(0, "passed", Some(arg(0))),
        Stmt::Put("passed", Some(arg(0)), reg(0) + Expr::Int(1)),
        Stmt::If(arg(0), on_it_goes, nothing()),
        Stmt::Return(reg(1) + Expr::Int(1)),
    ];
    def(name, body).routed(0)
}

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let count = def(
        "count",
        vec![Stmt::Get(0, "counted", None), Stmt::Put("counted", None, reg(0) + Expr::Int(1)), Stmt::Return(1.into())],
    );
    let long = (0..LONG).map(|n| Stmt::Call((n % 20) as usize, leaf(n))).collect();
    let chain = |target: &'static str| Stmt::Call(0, to("Link", target, vec![Expr::Int(DEEP)]));
    let methods = vec![
        counted("wide", vec![wide(), Stmt::Return(1.into())]),
        counted("wide_at_once", vec![Stmt::Tx(block(vec![wide()])), Stmt::Return(1.into())]),
        counted("long", long),
        counted("deep", vec![chain("pass"), Stmt::Return(reg(0))]),
        counted("deep_at_once", vec![Stmt::Tx(block(vec![chain("pass")])), Stmt::Return(reg(0))]),
    ];
    let app = app(vec![
        entity("Leaf", vec![("counted", false)], vec![count]),
        service("Link", vec![("passed", true)], vec![pass("pass")]),
        service("Root", vec![("ledger", true)], methods),
    ]);
    let requests = rng.range(3, 9);
    let wishes = (0..requests as i64)
        .map(|n| {
            let method = *rng.pick(&["wide", "wide", "wide_at_once", "long", "deep", "deep_at_once"]);
            let wish = call("Root", method, &[0, n]).keyed();
            if rng.once_in(3) { wish.sent() } else { wish }
        })
        .collect();
    (app, wishes)
}

pub(super) fn check(world: &World) -> Result<(), String> {
    let of = |field: &str| world.entries(field).into_iter().map(|(_, number)| number).sum::<i64>();
    let (mut counted, mut passed) = (0, 0);
    for (index, request) in world.requests.iter().enumerate() {
        let Some(value) = request.value() else { return Err(format!("request {index} has no value")) };
        match request.wish.method {
            "wide" | "wide_at_once" => counted += WIDE as i64,
            "long" => counted += LONG,
            _ if value.number != DEEP + 1 => {
                return Err(format!("request {index} has gone {} deep, not {}", value.number, DEEP + 1));
            }
            _ => passed += DEEP + 1,
        }
    }
    match (of("counted"), of("passed")) {
        found if found == (counted, passed) => Ok(()),
        found => Err(format!("counted and passed {found:?}, not {:?}", (counted, passed))),
    }
}
