//! Tasks that fail and are tried again, races against timers, sleeping methods that are cancelled or killed. A result is
//! noted, and noted again after other steps: had it changed, both notes would be there once.

use super::place;
use crate::program::{App, Block, Def, Expr, Stmt, app, arg, block, def, entity, on, reg, service, to};
use crate::rng::Rng;
use crate::world::World;
use crate::world::clients::{Wish, call};

fn note(number: Expr) -> Stmt {
    Stmt::Call(9, to("Log", "note", vec![number]))
}

/// Counts the request in the record that also asks for its first task.
fn counted(name: &'static str, rest: Vec<Stmt>) -> Def {
    let mut body =
        vec![Stmt::Get(30, "ledger", Some(arg(1))), Stmt::Put("ledger", Some(arg(1)), reg(30) + Expr::Int(1))];
    body.extend(rest);
    def(name, body)
}

fn caught(body: Vec<Stmt>) -> Stmt {
    let handler: Block = block(vec![note(Expr::Int(-9)), Stmt::Return((-9).into())]);
    Stmt::Try(block(body), handler)
}

fn services() -> App {
    let noting = def(
        "note",
        vec![
            Stmt::Get(0, "notes", Some(arg(0))),
            Stmt::Put("notes", Some(arg(0)), reg(0) + Expr::Int(1)),
            Stmt::Return(5.into()),
        ],
    );
    let twice = |register: usize| vec![note(reg(register)), Stmt::Sleep(Expr::Int(700)), note(reg(register))];
    let mut one = vec![Stmt::Task(0, arg(0), 50)];
    one.extend(twice(0));
    one.push(Stmt::Return(reg(0)));
    let branches = vec![
        block(vec![Stmt::Task(0, arg(0), 50)]),
        block(vec![Stmt::Task(1, arg(0) + Expr::Int(1), 50), Stmt::Sleep(Expr::Int(300))]),
    ];
    let mut two = vec![Stmt::Fork(branches)];
    two.extend(twice(0));
    two.extend(twice(1));
    two.push(Stmt::Return(reg(0)));
    let slow = def(
        "slow",
        vec![Stmt::Put("begun", None, 1.into()), Stmt::Sleep(arg(0)), note(Expr::Int(1)), Stmt::Return(3.into())],
    );
    let methods = vec![
        counted("one", one),
        counted("two", two),
        counted("fails", vec![Stmt::Task(0, arg(0), 2), Stmt::Return(reg(0))]),
        counted("waits", vec![caught(vec![Stmt::Task(0, arg(0), 50), Stmt::Sleep(arg(2))]), Stmt::Return(4.into())]),
        counted(
            "chain",
            vec![
                caught((0..6).map(|at| Stmt::Task(0, arg(0) + Expr::Int(at % 2), 50)).collect()),
                note(7.into()),
                Stmt::Return(4.into()),
            ],
        ),
        counted("naps", vec![Stmt::Sleep(arg(2)), Stmt::Return(4.into())]),
        counted(
            "races",
            vec![
                Stmt::Race(0, on("Turn", arg(3), "slow", vec![arg(2)]), 20_000.into()),
                note(reg(0)),
                Stmt::Return(reg(0)),
            ],
        ),
    ];
    app(vec![
        entity("Turn", vec![("begun", false)], vec![slow]),
        service("Job", vec![("ledger", true)], methods),
        service("Log", vec![("notes", true)], vec![noting]),
    ])
}

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let count = rng.range(10, 40);
    let wishes = (0..count as i64)
        .map(|n| {
            let method = *rng.pick(&["one", "one", "two", "fails", "waits", "chain", "naps", "races"]);
            let nap = *rng.pick(&[500, 15_000, 25_000, 2_000_000]);
            let wish = call("Job", method, &[errand(n), n, nap, place(rng.below(3))]);
            let wish = if rng.once_in(4) { wish } else { wish.keyed() };
            let wish = if rng.once_in(5) { wish.sent() } else { wish };
            let cancel = rng.once_in(4).then(|| (*rng.pick(&[100, 3_000, 10_000, 60_000]), rng.once_in(3)));
            Wish { cancel, ..wish }
        })
        .collect();
    (services(), wishes)
}

/// Number of a request's first task; the next one is that of its second.
fn errand(request: i64) -> i64 {
    request * 10 + 10
}

pub(super) fn expects(class: &str, wish: &Wish) -> bool {
    match class {
        "builtins.OSError" | "rust.Panic" => wish.method == "fails",
        "asyncio.exceptions.CancelledError" | "sostenuto.Cancelled" => wish.cancel.is_some(),
        _ => false,
    }
}

pub(super) fn counts(wish: &Wish) -> bool {
    wish.service == "Job"
}

pub(super) fn check(world: &World) -> Result<(), String> {
    let notes = world.entries("notes");
    let noted = |number: i64| notes.iter().filter(|(key, _)| *key == number).map(|(_, times)| *times).sum::<i64>();
    let ledger = world.entries("ledger");
    for (index, request) in world.requests.iter().enumerate() {
        let result = request.value().map(|value| value.number).filter(|number| *number > 0);
        if let Some(result) = result.filter(|_| ["one", "two"].contains(&request.wish.method))
            && noted(result) != 2
        {
            return Err(format!("request {index} returned {result}, which was noted {} times", noted(result)));
        }
        let first = errand(index as i64);
        let begun: u64 = (first..first + 2).filter_map(|errand| world.errands.begun.get(&errand)).sum();
        let counted = ledger.iter().any(|(key, _)| *key == index as i64);
        if begun > 0 && !counted {
            return Err(format!("a task of request {index} was begun, and the step that asked for it is lost"));
        }
    }
    Ok(())
}
