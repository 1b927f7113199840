//! Random programs: call graphs with fan-out, chains, transactions that abort at random, entities, sleeps and one-way
//! calls. Each root counts its request in a ledger.

use super::place;
use crate::program::{App, Expr, FIRST, Stmt, Target, app, arg, block, def, entity, on, reg, service, to};
use crate::rng::Rng;
use crate::world::clients::{Wish, call};

const KEYS: u64 = 3;

fn access(rng: &mut Rng, fields: &[(&'static str, bool)]) -> Stmt {
    let (field, dict) = *rng.pick(fields);
    let key = dict.then(|| if rng.once_in(2) { arg(0) } else { Expr::Int(place(rng.below(KEYS))) });
    match rng.below(5) {
        0 if dict => Stmt::Sum(20, 21, field),
        0..=2 => Stmt::Get(22, field, key),
        _ => Stmt::Put(field, key, Expr::Fresh),
    }
}

fn accesses(rng: &mut Rng, fields: &[(&'static str, bool)]) -> Vec<Stmt> {
    (0..rng.range(1, 4)).map(|_| access(rng, fields)).collect()
}

const SERVICE: &[(&str, bool)] = &[("x", true), ("y", false)];
const ENTITY: &[(&str, bool)] = &[("v", false), ("d", true)];
const LEAVES: &[&str] = &["leaf0", "leaf1", "leaf2"];
const MIDS: &[&str] = &["mid0", "mid1"];

fn leaf_call(rng: &mut Rng) -> Target {
    let args = vec![Expr::Int(place(rng.below(KEYS)))];
    let name = *rng.pick(LEAVES);
    match rng.below(3) {
        0 => to("A", name, args),
        1 => to("B", name, args),
        _ => on("E", place(rng.below(KEYS)), name, args),
    }
}

fn any_call(rng: &mut Rng, deep: bool) -> Target {
    if !deep || rng.once_in(2) {
        return leaf_call(rng);
    }
    let args = vec![Expr::Int(place(rng.below(KEYS)))];
    to(if rng.once_in(2) { "A" } else { "B" }, rng.pick::<&'static str>(MIDS), args)
}

/// Statements with calls; `deep`: calls of methods that call.
fn calls(rng: &mut Rng, deep: bool, inside: bool) -> Vec<Stmt> {
    let mut body = Vec::new();
    for _ in 0..rng.range(1, 4) {
        match rng.below(7) {
            0 => body.push(access(rng, SERVICE)),
            1 | 2 => body.push(Stmt::Call(0, any_call(rng, deep))),
            3 | 4 => {
                let parts = (0..rng.range(2, 4)).map(|n| (n as usize, any_call(rng, deep))).collect();
                body.push(Stmt::Gather(parts, rng.once_in(2)));
                // What comes next depends on who was first.
                let (one, other) = (leaf_call(rng), leaf_call(rng));
                let choice = |target| block(vec![Stmt::Call(6, target)]);
                body.push(Stmt::If(reg(FIRST), choice(one), choice(other)));
            }
            5 => {
                let branch = |rng: &mut Rng| {
                    let mut branch: Vec<Stmt> =
                        (0..rng.range(1, 3)).map(|_| Stmt::Call(5, any_call(rng, deep))).collect();
                    branch.push(access(rng, SERVICE));
                    block(branch)
                };
                body.push(Stmt::Fork(vec![branch(rng), branch(rng)]));
            }
            _ if inside => body.push(Stmt::Send(leaf_call(rng))),
            _ => body.push(Stmt::Sleep(Expr::Int(rng.below(3_000) as i64))),
        }
    }
    body
}

fn transaction(rng: &mut Rng, deep: bool) -> Stmt {
    let mut body = calls(rng, deep, true);
    body.extend(accesses(rng, SERVICE));
    if rng.once_in(4) {
        body.push(Stmt::Raise("Aborted"));
    }
    Stmt::Try(block(vec![Stmt::Tx(block(body))]), block(vec![access(rng, SERVICE)]))
}

/// Counts the request, then does this and that.
fn root(rng: &mut Rng) -> Vec<Stmt> {
    let mut body =
        vec![Stmt::Get(30, "ledger", Some(arg(1))), Stmt::Put("ledger", Some(arg(1)), reg(30) + Expr::Int(1))];
    let mut rest = Vec::new();
    for _ in 0..rng.range(1, 4) {
        match rng.below(3) {
            0 => rest.extend(calls(rng, true, false)),
            _ => rest.push(transaction(rng, true)),
        }
    }
    body.push(Stmt::Try(block(rest), block(vec![Stmt::Return(7.into())])));
    body
}

fn random_app(rng: &mut Rng) -> App {
    let plain = |rng: &mut Rng, name: &'static str, body: Vec<Stmt>| {
        let mut method = def(name, body);
        method.foreseen = rng.once_in(2);
        method.route = rng.once_in(2).then_some(0);
        method
    };
    let mut services = Vec::new();
    for name in ["A", "B"] {
        let mut methods = Vec::new();
        for leaf in LEAVES {
            let body = accesses(rng, SERVICE);
            methods.push(plain(rng, leaf, body));
        }
        let read: Vec<Stmt> = accesses(rng, SERVICE).into_iter().filter(|s| !matches!(s, Stmt::Put(..))).collect();
        methods.push(def("peek", read).read_only());
        for mid in MIDS {
            let body = if rng.once_in(3) { vec![transaction(rng, false)] } else { calls(rng, false, true) };
            methods.push(plain(rng, mid, body));
        }
        for name in ["root0", "root1", "root2"] {
            let body = root(rng);
            methods.push(plain(rng, name, body));
        }
        services.push(service(name, vec![("x", true), ("y", false), ("ledger", true)], methods));
    }
    let leaves = LEAVES.iter().map(|leaf| {
        let body = accesses(rng, ENTITY);
        let writes = body.iter().any(|stmt| matches!(stmt, Stmt::Put(..)));
        let method = def(leaf, body);
        if writes { method } else { method.read_only() }
    });
    services.push(entity("E", ENTITY.to_vec(), leaves.collect()));
    app(services)
}

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let app = random_app(rng);
    let count = rng.range(10, 40);
    let wishes = (0..count)
        .map(|n| {
            let service = if rng.once_in(2) { "A" } else { "B" };
            let key = place(rng.below(KEYS));
            if rng.once_in(3) {
                return call(service, "peek", &[key]);
            }
            let wish = call(service, rng.pick::<&'static str>(&["root0", "root1", "root2"]), &[key, n as i64]);
            let wish = if rng.once_in(6) { wish } else { wish.keyed() };
            if rng.once_in(4) { wish.sent() } else { wish }
        })
        .collect();
    (app, wishes)
}
