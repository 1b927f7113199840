//! One booking, with a crash at every instant of it: at each record of the log, at each message, of the node, of the
//! coordinator, of a participant, of a worker.

use protocol::PartitionId;

use crate::world::{Options, World, call};
use sim::program::{App, Block, Expr, Stmt, app, arg, block, def, entity, on, reg, service, to};

fn nothing() -> Block {
    block(vec![])
}

/// `Front.book`: a transaction over two services and an entity with a one-way call in it, a failed try of another one,
/// then a call, a sleep, a step over several partitions.
fn travel() -> App {
    let reserve = def(
        "reserve",
        vec![
            Stmt::Get(0, "left", Some(arg(0))),
            Stmt::Put("left", Some(arg(0)), reg(0) - Expr::Int(1)),
            Stmt::Return(reg(0)),
        ],
    )
    .routed(0);
    let fail = def("fail", vec![Stmt::Put("left", Some(arg(0)), Expr::Int(77)), Stmt::Raise("Full")]).routed(0);
    let notify = def(
        "notify",
        vec![Stmt::Get(0, "mails", Some(arg(0))), Stmt::Put("mails", Some(arg(0)), reg(0) + Expr::Int(1))],
    );
    let pay =
        def("pay", vec![Stmt::Get(0, "paid", None), Stmt::Put("paid", None, reg(0) + arg(0)), Stmt::Return(reg(0))]);
    let look = def("look", vec![Stmt::Get(0, "left", Some(arg(0))), Stmt::Return(reg(0))]).routed(0).read_only();
    let calls = vec![(0, to("Hotel", "reserve", vec![arg(0)])), (1, to("Flight", "reserve", vec![arg(1)]))];
    let booked = block(vec![
        Stmt::Gather(calls, true),
        Stmt::Call(2, on("Card", arg(2), "pay", vec![Expr::Int(5)])),
        Stmt::Send(to("Mail", "notify", vec![arg(2)])),
        Stmt::Get(3, "trips", Some(arg(2))),
        Stmt::Put("trips", Some(arg(2)), reg(3) + Expr::Int(1)),
        Stmt::Print("booked"),
    ]);
    let failing = block(vec![Stmt::Gather(
        vec![(0, to("Hotel", "fail", vec![arg(0)])), (1, to("Flight", "reserve", vec![arg(1)]))],
        true,
    )]);
    let book = def(
        "book",
        vec![
            Stmt::Try(block(vec![Stmt::Tx(failing)]), block(vec![Stmt::Let(4, 1.into())])),
            Stmt::Call(6, to("Hotel", "look", vec![arg(0)])),
            Stmt::Tx(booked),
            Stmt::Call(5, to("Mail", "notify", vec![arg(2)])),
            Stmt::Sleep(500.into()),
            Stmt::Tx(block(vec![Stmt::Call(7, to("Flight", "look", vec![arg(1)]))])),
            Stmt::Get(8, "done", Some(arg(0))),
            Stmt::Get(9, "done", Some(arg(1))),
            Stmt::Put("done", Some(arg(0)), reg(8) + Expr::Int(1)),
            Stmt::Put("done", Some(arg(1)), reg(9) + Expr::Int(1)),
            Stmt::If(reg(4), nothing(), block(vec![Stmt::Raise("NotCaught")])),
            Stmt::Return(reg(6)),
        ],
    );
    let dict = |name: &'static str| vec![(name, true)];
    app(vec![
        service("Hotel", dict("left"), vec![reserve.clone(), fail, look.clone()]),
        service("Flight", dict("left"), vec![reserve, look]),
        service("Mail", dict("mails"), vec![notify]),
        entity("Card", vec![("paid", false)], vec![pay]),
        service("Front", vec![("trips", true), ("done", true)], vec![book]),
    ])
}

fn world(seed: u64, partitions: u16, change: impl Fn(&mut Options)) -> World {
    let mut options = Options::new(seed, partitions);
    options.lazy_disk = true;
    change(&mut options);
    let mut world = World::new(travel(), options);
    // The ids of requests, and with them their homes, come from the seed.
    world.request(call("Front", "book", &[1, 2, 3]).keyed("booking"));
    world
}

fn finish(mut world: World, what: &str) {
    world.run();
    assert_eq!(world.result(0), Ok(0), "{what}");
    assert_eq!(world.cell("Hotel", None, "left", Some(1)), Some(-1), "{what}");
    assert_eq!(world.cell("Flight", None, "left", Some(2)), Some(-1), "{what}");
    assert_eq!(world.cell("Mail", None, "mails", Some(3)), Some(2), "{what}");
    assert_eq!(world.cell("Card", Some(3), "paid", None), Some(5), "{what}");
    assert_eq!(world.cell("Front", None, "trips", Some(3)), Some(1), "{what}");
    assert_eq!(world.cell("Front", None, "done", Some(1)), Some(1), "{what}");
    assert_eq!(world.cell("Front", None, "done", Some(2)), Some(1), "{what}");
    assert!(world.prints.iter().filter(|(_, text)| text == "booked").count() <= 1, "{what}: printed twice");
}

const SEED: u64 = 5;

#[test]
fn crash_of_the_node_at_each_record() {
    for evict in [false, true] {
        let set = |options: &mut Options| options.evict = evict;
        let mut whole = world(SEED, 3, set);
        whole.run();
        let records = whole.log_len();
        assert!(records > 12, "{records} records");
        finish(whole, "no crash");
        for at in 4..records {
            for keep in at.saturating_sub(2).max(3)..=at {
                let mut world = world(SEED, 3, set);
                while world.log_len() < at {
                    assert!(world.step());
                }
                world.crash_at(keep.min(world.log_len()).max(world.durable()));
                finish(world, &format!("crash at record {at}, keeping {keep}, evicting {evict}"));
            }
        }
    }
}

#[test]
fn crash_of_a_partition_at_each_message() {
    for (logs, stride) in [(false, 1), (true, 2)] {
        let set = |options: &mut Options| options.logs = logs;
        let mut whole = world(SEED, 3, set);
        whole.run();
        let messages = whole.delivered;
        for at in (0..messages).step_by(stride) {
            for id in 0..3 {
                let mut world = world(SEED, 3, set);
                while world.delivered < at {
                    assert!(world.step());
                }
                world.crash_partition(PartitionId(id));
                finish(world, &format!("crash of partition {id} at message {at} of {messages}, own logs {logs}"));
            }
        }
    }
}

/// The second crash falls into what the others do about the first.
#[test]
fn crashes_of_two_partitions() {
    let set = |options: &mut Options| options.slow_links = true;
    let mut whole = world(SEED, 3, set);
    whole.run();
    for at in 0..whole.delivered {
        for (first, second) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            for later in [1, 2, 3, 5, 8, 13] {
                let mut world = world(SEED, 3, set);
                while world.delivered < at {
                    assert!(world.step());
                }
                world.crash_partition(PartitionId(first));
                while world.delivered < at + later && world.step() {}
                world.crash_partition(PartitionId(second));
                finish(world, &format!("crash of partition {first} at message {at}, of {second} {later} later"));
            }
        }
    }
}

#[test]
fn death_of_a_worker_at_each_event() {
    let mut whole = world(SEED, 3, |_| {});
    whole.run();
    for at in 1..whole.events {
        for index in 0..2 {
            let mut world = world(SEED, 3, |_| {});
            world.run_events(at);
            world.kill_worker(index, false);
            finish(world, &format!("death of worker {index} at event {at}"));
        }
    }
}
