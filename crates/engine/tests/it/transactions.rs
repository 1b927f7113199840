//! Transactions and steps over several partitions: siblings, joined parts, sends, order of insertion, opacity, and
//! what replies rest on.

use crate::seeds::for_seeds;
use crate::world::{Options, Wish, World, call};
use sim::coroutine::alarms;
use sim::program::{App, Def, Expr, Stmt, Target, app, arg, block, def, reg, service, to};

/// Two maps of numbers, `x` and `y`, and the shapes of transactions over them.
fn store() -> App {
    let methods = [operations(), joining(), sending(), scanning(), pairs()].concat();
    app(vec![service("Store", vec![("x", true), ("y", true)], methods)])
}

fn add_one(key: Expr) -> Target {
    to("Store", "add", vec![key, 1.into()])
}

fn operations() -> Vec<Def> {
    let add =
        vec![Stmt::Get(0, "x", Some(arg(0))), Stmt::Put("x", Some(arg(0)), reg(0) + arg(1)), Stmt::Return(reg(0))];
    vec![
        def("add", add).routed(0),
        def("get", vec![Stmt::Get(0, "x", Some(arg(0))), Stmt::Return(reg(0))]).routed(0).read_only(),
        def("has", vec![Stmt::Has(0, "x", arg(0)), Stmt::Return(reg(0))]).routed(0).read_only(),
        def("delete", vec![Stmt::Del("x", arg(0))]).routed(0),
    ]
}

/// Transactions over several calls, and inner ones that fail and are caught.
fn joining() -> Vec<Def> {
    let many = (0..5).map(|n| (n, add_one(arg(0)))).collect::<Vec<_>>();
    let parallel = |any: bool| vec![Stmt::Tx(block(vec![Stmt::Gather(many.clone(), any)])), Stmt::Return(1.into())];
    let joined = vec![Stmt::Tx(block(vec![Stmt::Call(0, add_one(arg(0))), Stmt::Raise("Inner")]))];
    let caught = Stmt::Try(block(vec![Stmt::Call(1, to("Store", "joined", vec![arg(0)]))]), block(vec![]));
    let dooming = vec![Stmt::Tx(block(vec![Stmt::Call(0, add_one(arg(0))), caught.clone()])), Stmt::Return(1.into())];
    let doomed_and_on = vec![
        Stmt::Try(block(vec![Stmt::Tx(block(vec![caught]))]), block(vec![Stmt::Let(9, 1.into())])),
        Stmt::Call(0, to("Store", "add", vec![arg(0), 10.into()])),
        Stmt::Return(reg(9)),
    ];
    vec![
        def("parallel", parallel(false)),
        def("parallel_any", parallel(true)),
        def("joined", joined),
        def("dooming", dooming),
        def("doomed_and_on", doomed_and_on),
    ]
}

/// Sends from transactions that commit and that abort, and a call whose result nobody awaits.
fn sending() -> Vec<Def> {
    let sending = |end: Vec<Stmt>| {
        let mut body = vec![Stmt::Call(0, to("Store", "send_on", vec![arg(0)])), Stmt::Send(add_one(arg(0)))];
        body.extend(end);
        vec![Stmt::Try(block(vec![Stmt::Tx(block(body))]), block(vec![])), Stmt::Return(1.into())]
    };
    let detached = vec![
        Stmt::Tx(block(vec![Stmt::Detach(add_one(arg(0)))])),
        Stmt::Sleep(100.into()),
        Stmt::Tx(block(vec![Stmt::Call(0, add_one(arg(0)))])),
        Stmt::Return(1.into()),
    ];
    vec![
        def("send_on", vec![Stmt::Send(add_one(arg(0)))]),
        def("sending", sending(vec![])),
        def("sending_nothing", sending(vec![Stmt::Raise("Aborted")])),
        def("detached", detached),
    ]
}

fn scanning() -> Vec<Def> {
    let insert = (0..8).rev().map(|n| Stmt::Put("y", Some(Expr::Int(n)), n.into())).collect();
    vec![
        def("insert", insert).unforeseen(),
        def("order", vec![Stmt::Order(0, "y"), Stmt::Return(reg(0))]).read_only(),
        def("order_in_tx", vec![Stmt::Tx(block(vec![Stmt::Call(0, to("Store", "order", vec![]))]))]),
    ]
}

/// `balance` keeps x[a] + x[b] = 0; `observe` sounds the alarm if it sees anything else, and so does `watch`, which
/// looks at all pairs while branches beside it fight over two other entries.
fn pairs() -> Vec<Def> {
    let balance = vec![
        Stmt::Tx(block(vec![
            Stmt::Call(0, add_one(arg(0))),
            Stmt::Call(1, to("Store", "add", vec![arg(1), Expr::Int(-1)])),
        ])),
        Stmt::Return(1.into()),
    ];
    let observe = vec![
        Stmt::Tx(block(vec![
            Stmt::Call(0, to("Store", "get", vec![arg(0)])),
            Stmt::Call(1, to("Store", "compare", vec![arg(1), reg(0)])),
            Stmt::Put("y", Some(arg(0)), 1.into()),
        ])),
        Stmt::Return(1.into()),
    ];
    let compare = vec![
        Stmt::Get(0, "x", Some(arg(0))),
        Stmt::If(reg(0) + arg(1), block(vec![Stmt::Alarm]), block(vec![])),
        Stmt::If(Expr::Int(0) - reg(0) - arg(1), block(vec![Stmt::Alarm]), block(vec![])),
    ];
    let glance = vec![
        Stmt::Call(0, to("Store", "get", vec![arg(0)])),
        Stmt::Call(1, to("Store", "compare", vec![arg(1), reg(0)])),
    ];
    let glances = (0..PAIRS).map(|n| to("Store", "glance", vec![Expr::Int(2 * n), Expr::Int(2 * n + 1)]));
    let targets = glances.chain([add_one(arg(0)), add_one(arg(1))]);
    let branches = targets.enumerate().collect();
    let watch = vec![Stmt::Tx(block(vec![Stmt::Gather(branches, false)])), Stmt::Return(1.into())];
    vec![
        def("balance", balance),
        def("observe", observe),
        def("compare", compare).unforeseen(),
        def("glance", glance),
        def("watch", watch),
    ]
}

/// Pairs that `watch` looks at.
const PAIRS: i64 = 4;

fn x(world: &World, key: i64) -> i64 {
    world.cell("Store", None, "x", Some(key)).unwrap_or(0)
}

fn faulty(seed: u64) -> Options {
    let mut options = Options { worker_deaths: 2, evictions: 3, ..Options::varied(seed) };
    match seed % 3 {
        0 => {}
        1 => options.node_crashes = 2,
        _ => options.partition_crashes = 2,
    }
    options
}

#[test]
fn parallel_children_on_one_cell_lose_nothing() {
    for_seeds("parallel_children_on_one_cell_lose_nothing", 20, |seed| {
        let mut world = World::new(store(), faulty(seed));
        for n in 0..4 {
            let method = if n % 2 == 0 { "parallel" } else { "parallel_any" };
            world.request(call("Store", method, &[n % 2]).keyed(format!("{n}")));
        }
        world.run();
        assert_eq!((x(&world, 0), x(&world, 1)), (10, 10));
    });
}

#[test]
fn a_joined_part_that_aborts_dooms_the_whole() {
    for_seeds("a_joined_part_that_aborts_dooms_the_whole", 20, |seed| {
        let mut world = World::new(store(), faulty(seed));
        let doomed = world.request(call("Store", "dooming", &[1]).keyed("a"));
        let goes_on = world.request(call("Store", "doomed_and_on", &[2]).keyed("b"));
        world.run();
        assert_eq!(world.result(doomed), Err("app.Inner".into()));
        assert_eq!(world.result(goes_on), Ok(1));
        assert_eq!((x(&world, 1), x(&world, 2)), (0, 10));
    });
}

#[test]
fn sends_leave_with_the_commit() {
    for_seeds("sends_leave_with_the_commit", 20, |seed| {
        let mut world = World::new(store(), faulty(seed));
        world.request(call("Store", "sending", &[1]).keyed("a"));
        world.request(call("Store", "sending_nothing", &[2]).keyed("b"));
        world.run();
        assert_eq!((x(&world, 1), x(&world, 2)), (2, 0));
    });
}

#[test]
fn a_call_that_nobody_waits_for_holds_up_no_later_transaction() {
    for_seeds("a_call_that_nobody_waits_for_holds_up_no_later_transaction", 20, |seed| {
        let mut world = World::new(store(), faulty(seed));
        world.request(call("Store", "detached", &[1]).keyed("a"));
        world.run();
        assert_eq!(x(&world, 1), 2);
    });
}

#[test]
fn entries_keep_the_order_in_which_a_step_inserted_them() {
    for_seeds("entries_keep_the_order_in_which_a_step_inserted_them", 6, |seed| {
        let mut world = World::new(store(), Options::varied(seed));
        let insert = world.request(call("Store", "insert", &[]));
        let order = world.request(call("Store", "order", &[]).after(insert));
        world.run();
        let expected = (0..8).rev().fold(7, |digest: i64, key| (digest * 31 + key) % 1_000_000_007);
        assert_eq!(world.result(order), Ok(expected));
    });
}

#[test]
fn no_attempt_sees_what_no_serial_order_explains() {
    for_seeds("no_attempt_sees_what_no_serial_order_explains", 25, |seed| {
        let options = Options { worker_deaths: 6, evictions: 6, node_crashes: 1, ..Options::varied(seed) };
        let mut world = World::new(store(), options);
        for n in 0..30 {
            let (a, b) = (n % 2, 1 - n % 2);
            let method = if n % 3 == 0 { "balance" } else { "observe" };
            let (a, b) = if method == "balance" { (0, 1) } else { (a, b) };
            world.request(call("Store", method, &[a, b]).keyed(format!("{n}")));
        }
        alarms();
        world.run();
        assert_eq!(alarms(), 0);
        assert_eq!(x(&world, 0), 10);
    });
}

#[test]
fn an_attempt_that_dies_has_stopped_looking() {
    for_seeds("an_attempt_that_dies_has_stopped_looking", 70, |seed| {
        let options = Options { clients: 24, slow_links: true, ..Options::new(seed, 3 + (seed % 3) as u16) };
        let mut world = World::new(store(), options);
        for n in 0..45 {
            let (a, c) = (2 * (n % PAIRS), 100 + n % 2);
            world.request(call("Store", "watch", &[c, 201 - c]).keyed(format!("watch {n}")));
            let pair = if n % 2 == 0 { [a, a + 1] } else { [a + 1, a] };
            world.request(call("Store", "balance", &pair).keyed(format!("balance {n}")));
        }
        alarms();
        world.run();
        assert_eq!(alarms(), 0);
        assert_eq!((x(&world, 100), x(&world, 101)), (45, 45));
    });
}

/// A reply is not given before everything that it rests on is durable; a crash instead takes both back.
fn rests_on(write: &'static str, read: &'static str, before: i64, after: i64) {
    for (seed, crash) in [(1, false), (2, true), (3, false), (4, true)] {
        let mut world = World::new(store(), Options::new(seed, 2));
        world.request(call("Store", "add", &[1, 5]));
        world.run();
        world.options.frozen_disk = true;
        let writer = world.request(call("Store", write, &[1, 2]).keyed("write"));
        world.run_still();
        let reader = world.request(call("Store", read, &[1]).keyed("read it").after(writer));
        world.requests[reader].after = None;
        world.requests[reader].idempotency = None;
        world.run_still();
        assert_eq!(world.requests[writer].state, Wish::Waiting, "a reply never comes before its record");
        assert_eq!(world.requests[reader].state, Wish::Waiting, "{read} rests on what {write} did");
        if crash {
            world.crash_at(world.durable());
            assert_eq!(world.requests[reader].state, Wish::Lost);
            let early = world.request(call("Store", read, &[1]));
            world.requests[writer].after = Some(early);
            world.options.frozen_disk = false;
            world.run();
            assert_eq!(world.result(early), Ok(before), "{read} after the crash");
        } else {
            world.options.frozen_disk = false;
            world.run();
            assert_eq!(world.result(reader), Ok(after), "{read}");
        }
    }
}

#[test]
fn a_read_only_reply_waits_for_what_it_read() {
    rests_on("add", "get", 5, 7);
}

#[test]
fn a_deletion_is_a_version_too() {
    rests_on("delete", "has", 1, 0);
    rests_on("delete", "get", 5, 0);
}

#[test]
fn a_scan_over_its_bound_is_refused_wherever_it_is() {
    for_seeds("a_scan_over_its_bound_is_refused_wherever_it_is", 12, |seed| {
        let mut world = World::new(store(), Options { scan_bytes_max: 60, ..Options::varied(seed) });
        let insert = world.request(call("Store", "insert", &[]));
        let order = world.request(call("Store", "order", &[]).after(insert));
        let caller = world.request(call("Store", "order_in_tx", &[]).after(insert));
        world.run_still();
        let small = world.result(order).is_ok();
        assert!(small || world.result(order) == Err("sostenuto.ScanTooLarge".into()), "{:?}", world.result(order));
        assert!(small || world.result(caller).is_err_and(|why| why.ends_with("ScanTooLarge") || why == "parked"));
        world.cancel(caller, true);
        world.run();
    });
}
