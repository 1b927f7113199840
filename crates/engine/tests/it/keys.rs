//! `Idempotency-Key`, sends, retention, limits at admission.

use protocol::cell::kind;
use protocol::problem::Code;

use crate::seeds::for_seeds;
use crate::world::{Options, Wish, World, call};
use sim::program::{App, Expr, Stmt, app, arg, def, reg, service};

fn shop() -> App {
    let buy = vec![
        Stmt::Get(0, "sold", Some(arg(0))),
        Stmt::Sleep(Expr::Int(2_000)),
        Stmt::Get(0, "sold", Some(arg(0))),
        Stmt::Put("sold", Some(arg(0)), reg(0) + arg(1)),
        Stmt::Return(reg(0) + arg(1)),
    ];
    app(vec![service("Shop", vec![("sold", true)], vec![def("buy", buy)])])
}

#[test]
fn a_key_acts_once() {
    for_seeds("a_key_acts_once", 20, |seed| {
        let options = Options { node_crashes: 3, partition_crashes: 1, worker_deaths: 2, ..Options::varied(seed) };
        let mut world = World::new(shop(), options);
        for n in 0..4 {
            for _ in 0..4 {
                world.request(call("Shop", "buy", &[n, 1]).keyed(format!("key {n}")));
            }
            let after = world.requests.len() - 1;
            world.request(call("Shop", "buy", &[n, 1]).keyed(format!("key {n}")).after(after));
            world.request(call("Shop", "buy", &[n, 2]).keyed(format!("key {n}")).after(after));
        }
        world.run();
        for n in 0..4_i64 {
            assert_eq!(world.cell("Shop", None, "sold", Some(n)), Some(1), "once");
            for m in 0..6 {
                let index = n as usize * 6 + m;
                let expected = if m == 5 { Err(Code::KeyReused.as_str().to_owned()) } else { Ok(1) };
                assert_eq!(world.result(index), expected, "request {index}");
            }
        }
    });
}

#[test]
fn another_body_is_refused_in_flight_too() {
    let mut world = World::new(shop(), Options::new(1, 2));
    let first = world.request(call("Shop", "buy", &[1, 1]).keyed("key"));
    world.run_until(|world| world.requests[first].state == Wish::Waiting);
    let other = world.request(call("Shop", "buy", &[1, 2]).keyed("key"));
    world.run();
    assert_eq!(world.result(first), Ok(1));
    assert_eq!(world.result(other), Err(Code::KeyReused.as_str().to_owned()));
}

#[test]
fn results_are_forgotten_after_their_retention() {
    for_seeds("results_are_forgotten_after_their_retention", 3, |seed| {
        let mut world = World::new(shop(), Options { retention: 5_000_000, ..Options::varied(seed) });
        for n in 0..300 {
            let request = call("Shop", "buy", &[n % 3, 1]).keyed(format!("key {n}"));
            world.request(if n % 2 == 0 { request.sent() } else { request });
        }
        world.options.clients = 50;
        world.run();
        let kept = |world: &World| -> usize {
            let kinds = [kind::DONE, kind::DEDUP, kind::EXPIRY];
            world.ids().into_iter().map(|id| world.rows(id).keys().filter(|key| kinds.contains(&key[2])).count()).sum()
        };
        assert!(kept(&world) >= 3, "some are kept");
        world.now += 6_000_000;
        for _ in 0..4 {
            world.idle();
            world.run_still();
        }
        assert_eq!(kept(&world), 0);
        let again = world.request(call("Shop", "buy", &[0, 1]).keyed("key 0"));
        world.run();
        assert_eq!(world.result(again), Ok(101), "a forgotten key acts again");
    });
}

#[test]
fn too_many_are_refused_and_may_come_back() {
    let mut world = World::new(shop(), Options { invocations_max: 2, clients: 10, ..Options::new(1, 1) });
    for n in 0..5 {
        world.request(call("Shop", "buy", &[n, 1]).keyed(format!("key {n}")));
    }
    world.run();
    let refused = (0..5).filter(|index| world.result(*index) == Err(Code::TooManyInvocations.as_str().to_owned()));
    assert!(refused.count() > 0);
    assert_eq!(world.sum("Shop", "sold"), (0..5).filter(|index| world.result(*index).is_ok()).count() as i64);
}

#[test]
fn accepted_sends_finish_without_their_client() {
    for_seeds("accepted_sends_finish_without_their_client", 15, |seed| {
        let mut world = World::new(shop(), Options { node_crashes: 3, ..Options::varied(seed) });
        for n in 0..6 {
            world.request(call("Shop", "buy", &[n, 1]).sent());
        }
        world.run();
        for (index, request) in world.requests.iter().enumerate() {
            let sold = world.cell("Shop", None, "sold", Some(index as i64));
            match request.state {
                // Nobody was told that it was accepted; it may have been.
                Wish::Lost => assert!(sold.is_none_or(|sold| sold == 1)),
                _ => assert_eq!((world.result(index), sold), (Ok(1), Some(1))),
            }
        }
    });
}
