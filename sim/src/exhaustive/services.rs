//! What the services of all configurations do. Every writer appends its own digit to a cell: the value says who wrote
//! it, in which order, and every value read says what had been written before.

use crate::program::{App, Def, Expr, Stmt, app, arg, block, def, entity, on, reg, service, to};

/// Digits have so many values; 0 is none.
pub(super) const BASE: i64 = 8;
/// A second value in one number stands so much higher.
pub(super) const SECOND: i64 = 1 << 20;

fn times(expr: Expr, power_of_two: i64) -> Expr {
    (0..power_of_two.ilog2()).fold(expr, |expr, _| expr.clone() + expr)
}

fn appended(register: usize, tag: usize) -> Expr {
    times(reg(register), BASE) + arg(tag)
}

/// Returns two values in one number.
fn both(first: usize, second: usize) -> Vec<Stmt> {
    let doubled = (0..SECOND.ilog2()).map(|_| Stmt::Let(second, reg(second) + reg(second)));
    doubled.chain([Stmt::Return(reg(first) + reg(second))]).collect()
}

fn then(mut body: Vec<Stmt>, end: Vec<Stmt>) -> Vec<Stmt> {
    body.extend(end);
    body
}

fn get(into: usize, key: usize) -> Stmt {
    Stmt::Get(into, "c", Some(arg(key)))
}

fn put(register: usize, key: usize, tag: usize) -> Stmt {
    Stmt::Put("c", Some(arg(key)), appended(register, tag))
}

fn append(into: usize, key: usize, tag: usize) -> (usize, crate::program::Target) {
    (into, to("Pad", "append", vec![arg(key), arg(tag)]))
}

fn call((into, target): (usize, crate::program::Target)) -> Stmt {
    Stmt::Call(into, target)
}

/// Cells by number, each on the partition of its number.
fn pad() -> Vec<Def> {
    vec![
        def("append", vec![get(0, 0), put(0, 0, 1), Stmt::Return(reg(0))]).routed(0),
        // The same, but nobody knows beforehand which cell it will be.
        def("append_unforeseen", vec![get(0, 0), put(0, 0, 1), Stmt::Return(reg(0))]).routed(0).unforeseen(),
        // One step over two cells.
        def("append_both", then(vec![get(0, 0), get(1, 1), put(0, 0, 2), put(1, 1, 2)], both(0, 1))).routed(0),
        def("look", vec![get(0, 0), Stmt::Return(reg(0))]).routed(0).read_only(),
        def("look_both", then(vec![get(0, 0), get(1, 1)], both(0, 1))).routed(0).read_only(),
        // Appends, and asks for another append that leaves only if this is committed.
        def("append_and_send", vec![get(0, 0), put(0, 0, 2), Stmt::Send(append(0, 1, 2).1)]).routed(0),
        // Appends, and then in another cell.
        def("append_onward", vec![get(0, 0), put(0, 0, 2), call(append(1, 1, 2)), Stmt::Return(reg(0))]).routed(0),
        def("refuse", vec![Stmt::Raise("Refused")]).routed(0),
    ]
}

/// Transactions; the first argument only says where they are at home.
fn root() -> Vec<Def> {
    let done = || Stmt::Return(1.into());
    let tx = |body: Vec<Stmt>| Stmt::Tx(block(body));
    let caught = |body: Vec<Stmt>| vec![Stmt::Try(block(vec![tx(body)]), block(vec![])), done()];
    let seen = |into, key| (into, to("Pad", "look", vec![arg(key)]));
    let look = |into, key| call(seen(into, key));
    let add = |into, key| Stmt::Call(into, on("Account", arg(key), "add", vec![arg(3)]));
    let onward = Stmt::Call(0, to("Pad", "append_onward", vec![arg(1), arg(2), arg(4)]));
    let refusal = |key| to("Pad", "refuse", vec![arg(key)]);
    let send = Stmt::Call(0, to("Pad", "append_and_send", vec![arg(1), arg(2), arg(3)]));
    vec![
        def("two", vec![tx(vec![call(append(0, 1, 3)), call(append(1, 2, 3))]), done()]).routed(0),
        def("three", vec![tx(vec![call(append(0, 1, 4)), call(append(1, 2, 4)), call(append(2, 3, 4))]), done()])
            .routed(0),
        def("side_by_side", vec![tx(vec![Stmt::Gather(vec![append(0, 1, 3), append(1, 2, 3)], false)]), done()])
            .routed(0),
        def("look_two", then(vec![tx(vec![look(0, 1), look(1, 2)])], both(0, 1))).routed(0),
        // Both at once: the second look may be long on its way when the first one has looked.
        def("look_at_once", then(vec![tx(vec![Stmt::Gather(vec![seen(0, 1), seen(1, 2)], false)])], both(0, 1)))
            .routed(0),
        def("take_back", caught(vec![call(append(0, 1, 3)), call(append(1, 2, 3)), Stmt::Raise("Aborted")])).routed(0),
        // One branch fails while the other may still run.
        def("fail", caught(vec![Stmt::Gather(vec![append(0, 1, 3), (2, refusal(2))], true)])).routed(0),
        // One branch fails while others may still read.
        def("fail_looking", caught(vec![Stmt::Gather(vec![seen(0, 1), seen(1, 2), (2, refusal(0))], true)])).routed(0),
        def("onward", vec![tx(vec![onward, call(append(1, 3, 4))]), done()]).routed(0),
        def("turns", vec![tx(vec![add(0, 1), add(1, 2)]), done()]).routed(0),
        // The pad first, then an entity's turn.
        def("pad_and_turn", vec![tx(vec![call(append(0, 1, 3)), add(1, 2)]), done()]).routed(0),
        def("sending", vec![tx(vec![send]), done()]).routed(0),
        // Without a transaction: two steps, each commits on its own.
        def("calls", vec![call(append(0, 1, 3)), call(append(1, 2, 3)), done()]).routed(0),
    ]
}

/// Entities: operations run one at a time, over their suspensions.
fn account() -> Vec<Def> {
    let value = |into| Stmt::Get(into, "v", None);
    vec![
        def("add", vec![value(0), Stmt::Put("v", None, appended(0, 0)), Stmt::Return(reg(0))]),
        // Reads, calls the pad, and only then writes.
        def(
            "slowly",
            vec![value(0), call(append(1, 0, 1)), Stmt::Put("v", None, appended(0, 1)), Stmt::Return(reg(0))],
        ),
        // Holds its turn and asks for another's.
        def(
            "pass",
            vec![
                value(0),
                Stmt::Put("v", None, appended(0, 1)),
                Stmt::Try(
                    block(vec![Stmt::Call(1, on("Account", arg(0), "add", vec![arg(1)]))]),
                    block(vec![Stmt::Return(2.into())]),
                ),
                Stmt::Return(1.into()),
            ],
        ),
    ]
}

pub(super) fn services() -> App {
    app(vec![
        service("Pad", vec![("c", true)], pad()),
        service("Root", vec![], root()),
        entity("Account", vec![("v", false)], account()),
    ])
}
