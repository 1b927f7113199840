//! Turns of entities: one operation at a time over suspensions and restarts, re-entry, circles.

use crate::seeds::for_seeds;
use crate::world::{Options, World, ask, call};
use sim::program::{App, Expr, Stmt, app, arg, block, def, entity, on, reg, service, to};

/// Reads, does something that suspends, then writes: an update is lost if turns are not kept.
fn slow(name: &'static str, between: Vec<Stmt>) -> sim::program::Def {
    let mut body = vec![Stmt::Get(0, "n", None)];
    body.extend(between);
    body.extend([Stmt::Put("n", None, reg(0) + Expr::Int(1)), Stmt::Return(reg(0) + Expr::Int(1))]);
    def(name, body)
}

/// Something else answers, and runs a step of it, while the peer is waited for.
fn cross_aside() -> sim::program::Def {
    let peer = Stmt::Call(1, on("Actor", arg(0), "bump", vec![]));
    let idle = || Stmt::Call(2, to("Relay", "idle", vec![]));
    let branches = vec![block(vec![peer]), block(vec![idle(), idle()])];
    def("cross_aside", vec![Stmt::Put("begun", None, 1.into()), Stmt::Fork(branches), Stmt::Return(1.into())])
}

fn actors() -> App {
    let bump =
        def("bump", vec![Stmt::Get(0, "n", None), Stmt::Put("n", None, reg(0) + Expr::Int(1)), Stmt::Return(reg(0))]);
    let peer = |method: &'static str, args: Vec<Expr>| Stmt::Call(1, on("Actor", arg(0), method, args));
    let nap = || Stmt::Sleep(Expr::Int(300));
    // Two branches of one operation enter its entity again, each with a suspension inside.
    let twice = vec![
        Stmt::Put("begun", None, 1.into()),
        Stmt::Gather(
            vec![(1, on("Actor", Expr::Key, "napping", vec![])), (2, on("Actor", Expr::Key, "napping", vec![]))],
            true,
        ),
        Stmt::Get(0, "n", None),
        Stmt::Return(reg(0)),
    ];
    let nested = vec![
        Stmt::Put("begun", None, 1.into()),
        Stmt::Call(1, to("Relay", "again", vec![Expr::Key])),
        Stmt::Get(0, "n", None),
        Stmt::Return(reg(0)),
    ];
    let deeper = vec![
        Stmt::Put("begun", None, 2.into()),
        Stmt::Call(1, on("Actor", Expr::Key, "napping", vec![])),
        nap(),
        Stmt::Call(1, on("Actor", Expr::Key, "napping", vec![])),
    ];
    let methods = vec![
        bump,
        def("ping", vec![Stmt::Get(0, "pings", None), Stmt::Put("pings", None, reg(0) + Expr::Int(1))]),
        slow("napping", vec![nap()]),
        slow("asking", vec![Stmt::Call(1, to("Relay", "idle", vec![]))]),
        def("cross", vec![Stmt::Put("begun", None, 1.into()), peer("bump", vec![]), Stmt::Return(1.into())]),
        def(
            "cross_tx",
            vec![
                Stmt::Put("begun", None, 1.into()),
                Stmt::Tx(block(vec![Stmt::Put("begun", None, 2.into()), peer("bump", vec![])])),
                Stmt::Return(1.into()),
            ],
        ),
        def(
            "cross_relay",
            vec![
                Stmt::Put("begun", None, 1.into()),
                Stmt::Call(1, to("Relay", "bump_in_tx", vec![arg(0)])),
                Stmt::Return(1.into()),
            ],
        ),
        def("twice", twice),
        def("nested", nested),
        def("deeper", deeper),
        def("peek", vec![Stmt::Get(0, "n", None), Stmt::Return(reg(0))]).read_only(),
        cross_aside(),
    ];
    let relay = vec![
        def("idle", vec![Stmt::Return(1.into())]),
        def("again", vec![Stmt::Call(1, on("Actor", arg(0), "deeper", vec![]))]),
        def("bump_in_tx", vec![Stmt::Tx(block(vec![Stmt::Call(1, on("Actor", arg(0), "bump", vec![]))]))]),
        def(
            "both",
            vec![
                Stmt::Tx(block(vec![Stmt::Gather(
                    vec![
                        (1, on("Actor", arg(0), "cross", vec![arg(1)])),
                        (2, on("Actor", arg(1), "cross", vec![arg(0)])),
                    ],
                    false,
                )])),
                Stmt::Return(1.into()),
            ],
        ),
    ];
    let fields = vec![("n", false), ("pings", false), ("begun", false)];
    app(vec![entity("Actor", fields, methods), service("Relay", vec![], relay)])
}

#[test]
fn operations_run_one_at_a_time() {
    for_seeds("operations_run_one_at_a_time", 12, |seed| {
        let options = Options { evictions: 6, worker_deaths: 2, ..Options::varied(seed) };
        let mut world = World::new(actors(), options);
        for n in 0..12 {
            world.request(ask("Actor", 1, ["napping", "asking", "bump", "peek"][n % 4], &[]));
        }
        world.run();
        assert_eq!(world.cell("Actor", Some(1), "n", None), Some(9));
    });
}

#[test]
fn a_sleeping_operation_keeps_its_turn_over_restarts() {
    for_seeds("a_sleeping_operation_keeps_its_turn_over_restarts", 12, |seed| {
        let options = Options { node_crashes: 4, clients: 12, ..Options::varied(seed) };
        let mut world = World::new(actors(), options);
        for n in 0..9 {
            let request = ask("Actor", 1, ["napping", "asking", "bump"][n % 3], &[]);
            world.request(request.keyed(format!("request {n}")));
        }
        world.run();
        assert_eq!(world.cell("Actor", Some(1), "n", None), Some(9));
    });
}

#[test]
fn a_chain_enters_its_own_turns_again() {
    for_seeds("a_chain_enters_its_own_turns_again", 15, |seed| {
        let options = Options { node_crashes: 2, partition_crashes: 2, evictions: 4, ..Options::varied(seed) };
        let mut world = World::new(actors(), options);
        for n in 0..3 {
            world.request(ask("Actor", 1, "twice", &[]).keyed(format!("twice {n}")));
            world.request(ask("Actor", 1, "nested", &[]).keyed(format!("nested {n}")));
            world.request(ask("Actor", 1, "bump", &[]).keyed(format!("bump {n}")));
        }
        world.run();
        // Parallel branches enter one at a time: none loses the other's update.
        assert_eq!(world.cell("Actor", Some(1), "n", None), Some(3 * (2 + 2 + 1)));
    });
}

/// Operations that call each other's entities: some end, the others get `Deadlock`, none waits for ever.
fn crosswise(seed: u64, method: &'static str, entities: i64, options: Options) {
    let mut world = World::new(actors(), Options { clients: 16, ..options });
    for n in 0..entities * 2 {
        let (own, other) = (n % entities, (n + 1) % entities);
        world.request(ask("Actor", own, method, &[other]).keyed(format!("{seed} {n}")));
    }
    world.run();
    let mut done = 0;
    for index in 0..world.requests.len() {
        match world.result(index) {
            Ok(_) => done += 1,
            Err(class) => assert_eq!(class, "sostenuto.Deadlock", "request {index}"),
        }
    }
    assert!(done > 0, "somebody goes on");
    assert_eq!(world.sum("Actor", "n"), done, "each that was answered called once");
}

#[test]
fn entities_that_call_each_other_crosswise_are_told() {
    for_seeds("entities_that_call_each_other_crosswise_are_told", 15, |seed| {
        crosswise(seed, "cross", 2 + seed as i64 % 3, Options::varied(seed));
    });
}

#[test]
fn crosswise_calls_beside_others() {
    for_seeds("crosswise_calls_beside_others", 40, |seed| {
        crosswise(seed, "cross_aside", 2 + seed as i64 % 3, Options::varied(seed));
    });
}

#[test]
fn crosswise_calls_over_crashes() {
    for_seeds("crosswise_calls_over_crashes", 15, |seed| {
        let options = Options { node_crashes: 2, partition_crashes: 3, ..Options::varied(seed) };
        crosswise(seed, "cross", 2 + seed as i64 % 3, options);
    });
}

#[test]
fn crosswise_calls_in_transactions_of_operations() {
    for_seeds("crosswise_calls_in_transactions_of_operations", 15, |seed| {
        crosswise(seed, "cross_tx", 2 + seed as i64 % 3, Options::varied(seed));
        crosswise(seed, "cross_relay", 2 + seed as i64 % 3, Options::varied(seed));
    });
}

#[test]
fn crosswise_calls_within_one_transaction() {
    for_seeds("crosswise_calls_within_one_transaction", 10, |seed| {
        let mut world = World::new(actors(), Options::varied(seed));
        world.request(call("Relay", "both", &[1, 2]).keyed("both"));
        world.request(call("Relay", "both", &[2, 1]).keyed("both too"));
        world.run();
    });
}
