//! A bank: accounts as entities and as entries of a service's field; transfers, audits, accounts that are created.

use crate::seeds::for_seeds;
use crate::world::{Options, Request, World, call};
use sim::rng::Rng;
use sim::workload::bank::{ACCOUNTS, bank};
use sim::workload::place;

/// Random traffic that conserves the sums of both kinds of accounts (0).
pub fn traffic(rng: &mut Rng, count: u64, keyed: bool) -> Vec<Request> {
    (0..count)
        .map(|n| {
            let first = rng.below(ACCOUNTS);
            let [a, b] = [first, (first + rng.range(1, ACCOUNTS)) % ACCOUNTS].map(place);
            let amount = rng.range(1, 4) as i64;
            let name = *rng.pick(&[
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
            ]);
            let request = call("Bank", name, &[a, b, amount]);
            if keyed { request.keyed(format!("request {n}")) } else { request }
        })
        .collect()
}

pub fn check_sums(world: &World) {
    for (index, request) in world.requests.iter().enumerate() {
        let result = world.result(index);
        let sums = ["audit", "total", "total_unforeseen", "total_twice"].contains(&request.method);
        match result {
            Ok(sum) if sums => assert_eq!(sum, 0, "request {index}, {}, saw money made or lost", request.method),
            Ok(_) => {}
            Err(why) => assert!(why == "Lost", "request {index}, {}: {why}", request.method),
        }
    }
    assert_eq!(world.sum("Account", "funds"), 0);
    assert_eq!(world.sum("Bank", "book"), 0);
}

fn run(options: Options, count: u64, keyed: bool) -> World {
    let mut world = World::new(bank(), options);
    for request in traffic(&mut Rng::new(world.options.seed), count, keyed) {
        world.request(request);
    }
    world.run();
    check_sums(&world);
    world
}

#[test]
fn transfers_conserve() {
    for_seeds("transfers_conserve", 20, |seed| drop(run(Options::varied(seed), 40, false)));
}

#[test]
fn transfers_conserve_when_workers_die() {
    for_seeds("transfers_conserve_when_workers_die", 15, |seed| {
        drop(run(Options { worker_deaths: 6, evictions: 10, ..Options::varied(seed) }, 40, false));
    });
}

#[test]
fn transfers_conserve_when_the_node_crashes() {
    for_seeds("transfers_conserve_when_the_node_crashes", 20, |seed| {
        drop(run(Options { node_crashes: 4, worker_deaths: 2, ..Options::varied(seed) }, 40, true));
    });
}

#[test]
fn transfers_conserve_when_partitions_crash() {
    for_seeds("transfers_conserve_when_partitions_crash", 40, |seed| {
        drop(run(
            Options { partition_crashes: 4, worker_deaths: 2, slow_links: true, ..Options::varied(seed) },
            40,
            true,
        ));
    });
}
