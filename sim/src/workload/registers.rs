//! Few numbers that everybody reads and changes, each request in one step: what single cells promise.

use super::place;
use crate::check::linear::SERVICE;
use crate::program::{App, Stmt, app, arg, def, reg, service};
use crate::rng::Rng;
use crate::world::clients::{Wish, call};

pub(super) fn build(rng: &mut Rng) -> (App, Vec<Wish>) {
    let get = def("get", vec![Stmt::Get(0, "values", Some(arg(0))), Stmt::Return(reg(0))]).read_only();
    let change = |name, by| {
        def(
            name,
            vec![Stmt::Get(0, "values", Some(arg(0))), Stmt::Put("values", Some(arg(0)), by), Stmt::Return(reg(0))],
        )
    };
    let mut methods = vec![get, change("put", arg(1)), change("add", reg(0) + arg(1))];
    for method in &mut methods {
        method.route = rng.once_in(2).then_some(0);
        method.foreseen = !rng.once_in(4);
    }
    let keys = rng.range(1, 4);
    let count = rng.range(30, 120);
    let wishes = (0..count)
        .map(|n| {
            let method = *rng.pick(&["get", "get", "put", "add", "add"]);
            let wish = call(SERVICE, method, &[place(rng.below(keys)), n as i64 + 1]);
            if rng.once_in(5) { wish } else { wish.keyed() }
        })
        .collect();
    (app(vec![service(SERVICE, vec![("values", true)], methods)]), wishes)
}
