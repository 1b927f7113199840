//! A bank: accounts as entities and as entries of a service's field; transfers, audits, accounts that are created. All
//! sums are 0 at all times.

use super::place;
use crate::program::{App, Block, Def, Expr, Stmt, app, arg, block, def, entity, on, reg, service, to};
use crate::rng::Rng;
use crate::world::World;
use crate::world::clients::{Wish, call};

fn nothing() -> Block {
    block(vec![])
}

fn change(name: &'static str, by: Expr) -> Def {
    def(
        name,
        vec![Stmt::Get(0, "funds", None), Stmt::Put("funds", None, reg(0) + by.clone()), Stmt::Return(reg(0) + by)],
    )
}

fn withdraw() -> Def {
    let enough = block(vec![Stmt::Put("funds", None, reg(0) - arg(0)), Stmt::Return(1.into())]);
    def(
        "withdraw",
        vec![
            Stmt::Get(0, "funds", None),
            Stmt::If(reg(0) - arg(0) + Expr::Int(1), enough, nothing()),
            Stmt::Return(0.into()),
        ],
    )
}

/// `Bank.transfer(source, target, amount)` over entities: 1, or 0 if there is not enough.
fn transfer() -> Def {
    let abort = block(vec![Stmt::Raise("Aborted")]);
    let body = block(vec![
        Stmt::Call(0, on("Account", arg(0), "withdraw", vec![arg(2)])),
        Stmt::If(reg(0), nothing(), abort),
        Stmt::Call(1, on("Account", arg(1), "deposit", vec![arg(2)])),
    ]);
    let failed = block(vec![Stmt::Return(0.into())]);
    def("transfer", vec![Stmt::Try(block(vec![Stmt::Tx(body)]), failed), Stmt::Return(1.into())])
}

/// The same with both calls side by side.
fn swap() -> Def {
    let body = block(vec![Stmt::Gather(
        vec![
            (0, on("Account", arg(0), "deposit", vec![Expr::Int(0) - arg(2)])),
            (1, on("Account", arg(1), "deposit", vec![arg(2)])),
        ],
        false,
    )]);
    def("swap", vec![Stmt::Tx(body), Stmt::Return(1.into())])
}

/// Moves between entries of the bank's own field, in one step over up to two partitions.
fn shift() -> Def {
    def(
        "shift",
        vec![
            Stmt::Get(0, "book", Some(arg(0))),
            Stmt::Get(1, "book", Some(arg(1))),
            Stmt::Put("book", Some(arg(0)), reg(0) - arg(2)),
            Stmt::Get(1, "book", Some(arg(1))),
            Stmt::Put("book", Some(arg(1)), reg(1) + arg(2)),
            Stmt::Return(1.into()),
        ],
    )
}

/// Creates an entry with money of another one.
fn open() -> Def {
    let body = block(vec![
        Stmt::Get(0, "book", Some(arg(0))),
        Stmt::Put("book", Some(arg(0)), reg(0) - arg(2)),
        Stmt::Get(1, "book", Some(arg(1))),
        Stmt::Put("book", Some(arg(1)), reg(1) + arg(2)),
    ]);
    def("open", vec![Stmt::Tx(body), Stmt::Return(1.into())])
}

/// Closes an entry; its money goes to another one.
fn close() -> Def {
    def(
        "close",
        vec![
            Stmt::Get(0, "book", Some(arg(0))),
            Stmt::Get(1, "book", Some(arg(1))),
            Stmt::Put("book", Some(arg(1)), reg(1) + reg(0)),
            Stmt::Del("book", arg(0)),
            Stmt::Return(1.into()),
        ],
    )
}

fn audit() -> Def {
    let balance = |into: usize| (into, on("Account", place(into as u64), "balance", vec![]));
    let body = block(vec![Stmt::Gather((0..ACCOUNTS as usize).map(balance).collect(), false)]);
    let sum = (1..ACCOUNTS as usize).fold(reg(0), |sum, index| sum + reg(index));
    def("audit", vec![Stmt::Tx(body), Stmt::Return(sum)])
}

/// `Bank.add(name, amount)`, one of several side by side.
fn add() -> Def {
    let body = vec![Stmt::Get(0, "book", Some(arg(0))), Stmt::Put("book", Some(arg(0)), reg(0) + arg(1))];
    def("add", body).routed(0)
}

/// Siblings of one transaction change one entry: nothing of it remains if none of them is lost.
fn churn() -> Def {
    let to_entry = |into: usize, by: Expr| (into, to("Bank", "add", vec![arg(0), by]));
    let minus = Expr::Int(0) - arg(2);
    let body = block(vec![Stmt::Gather(
        vec![to_entry(0, arg(2)), to_entry(1, minus.clone()), to_entry(2, arg(2)), to_entry(3, minus)],
        false,
    )]);
    def("churn", vec![Stmt::Tx(body), Stmt::Return(1.into())])
}

/// `Bank.letter(name, amount)` counts what came.
fn letter() -> Def {
    let body = vec![Stmt::Get(0, "letters", Some(arg(0))), Stmt::Put("letters", Some(arg(0)), reg(0) + arg(1))];
    def("letter", body).routed(0)
}

/// Counts a letter and sends one that takes it back, at the home of the name.
fn forward() -> Def {
    let body = vec![
        Stmt::Get(0, "letters", Some(arg(0))),
        Stmt::Put("letters", Some(arg(0)), reg(0) + arg(2)),
        Stmt::Send(to("Bank", "letter", vec![arg(1), Expr::Int(0) - arg(2)])),
    ];
    def("forward", body).routed(0)
}

/// A transaction in which others send.
fn post() -> Def {
    let body = block(vec![
        Stmt::Call(0, to("Bank", "forward", vec![arg(0), arg(1), arg(2)])),
        Stmt::Call(1, to("Bank", "forward", vec![arg(1), arg(0), arg(2)])),
    ]);
    def("post", vec![Stmt::Tx(body), Stmt::Return(1.into())])
}

/// Scans the bank's own field in one step.
fn total() -> Def {
    def("total", vec![Stmt::Sum(0, 1, "book"), Stmt::Return(reg(0))]).read_only()
}

/// Scans it in a transaction, twice: the same state both times.
fn total_twice() -> Def {
    let body = block(vec![
        Stmt::Call(0, to("Bank", "total", vec![])),
        Stmt::Call(1, to("Bank", "total", vec![])),
        Stmt::If(reg(0) - reg(1), block(vec![Stmt::Raise("Torn")]), nothing()),
        Stmt::If(reg(1) - reg(0), block(vec![Stmt::Raise("Torn")]), nothing()),
    ]);
    def("total_twice", vec![Stmt::Tx(body), Stmt::Return(reg(0))])
}

pub const ACCOUNTS: u64 = 5;

pub fn bank() -> App {
    let balance = def("balance", vec![Stmt::Get(0, "funds", None), Stmt::Return(reg(0))]).read_only();
    let account = entity("Account", vec![("funds", false)], vec![change("deposit", arg(0)), withdraw(), balance]);
    let methods = vec![
        transfer(),
        swap(),
        shift(),
        Def { name: "shift_unforeseen", ..shift().unforeseen() },
        open(),
        close(),
        audit(),
        total(),
        Def { name: "total_unforeseen", ..total().unforeseen() },
        total_twice(),
        add(),
        churn(),
        letter(),
        forward(),
        post(),
    ];
    app(vec![account, service("Bank", vec![("book", true), ("letters", true)], methods)])
}

/// Methods that return a sum.
const SUMS: [&str; 4] = ["audit", "total", "total_unforeseen", "total_twice"];

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let methods = [
        "transfer",
        "transfer",
        "swap",
        "swap",
        "shift",
        "shift_unforeseen",
        "open",
        "close",
        "audit",
        "total",
        "total_unforeseen",
        "total_twice",
        "churn",
        "post",
    ];
    let count = rng.range(20, 60);
    let wishes = (0..count)
        .map(|_| {
            let first = rng.below(ACCOUNTS);
            let [a, b] = [first, (first + rng.range(1, ACCOUNTS)) % ACCOUNTS].map(place);
            let wish = call("Bank", rng.pick::<&'static str>(&methods), &[a, b, rng.range(1, 4) as i64]);
            if rng.once_in(6) { wish } else { wish.keyed() }
        })
        .collect();
    (bank(), wishes)
}

pub(super) fn check(world: &World) -> Result<(), String> {
    for (index, request) in world.requests.iter().enumerate() {
        let sum = request.value().filter(|_| SUMS.contains(&request.wish.method)).map_or(0, |value| value.number);
        if sum != 0 {
            return Err(format!("request {index}, {}, saw {sum} made or lost", request.wish.method));
        }
    }
    for field in ["funds", "book", "letters"] {
        let sum: i64 = world.entries(field).iter().map(|(_, number)| number).sum();
        if sum != 0 {
            return Err(format!("{sum} was made or lost in {field}"));
        }
    }
    Ok(())
}
