//! Operators and failures: cancellation, kill, poison, parking, departures.

use std::rc::Rc;

use engine::Reply;
use protocol::problem::Code;

use crate::seeds::for_seeds;
use crate::world::{Options, Wish, World, ask, call};
use sim::program::{App, Expr, Stmt, app, arg, block, def, entity, on, reg, service, to};

const LONG: i64 = 20_000_000;

fn work() -> App {
    let nap = || Stmt::Sleep(Expr::Int(LONG));
    let note = def(
        "note",
        vec![
            Stmt::Get(0, "notes", Some(arg(0))),
            Stmt::Put("notes", Some(arg(0)), reg(0) + Expr::Int(1)),
            Stmt::Return(5.into()),
        ],
    );
    let noted = |number: i64| Stmt::Call(0, to("Log", "note", vec![Expr::Int(number)]));
    let begun = || Stmt::Put("begun", None, 1.into());
    let on_cancel = |body: Vec<Stmt>| Stmt::Try(block(body), block(vec![noted(9), noted(8), Stmt::Return(9.into())]));
    let methods = vec![
        def("nap", vec![begun(), nap(), Stmt::Return(1.into())]),
        def("guarded", vec![begun(), on_cancel(vec![nap()]), Stmt::Return(1.into())]),
        def("parent", vec![begun(), on_cancel(vec![Stmt::Call(1, on("Job", 7, "guarded", vec![]))])]),
        def(
            "beginning",
            vec![
                begun(),
                Stmt::Detach(on("Job", 8, "nap", vec![])),
                on_cancel(vec![Stmt::Tx(block(vec![Stmt::Put("begun", None, 77.into())]))]),
            ],
        ),
        def(
            "in_tx",
            vec![
                begun(),
                on_cancel(vec![Stmt::Tx(block(vec![
                    Stmt::Put("begun", None, 77.into()),
                    Stmt::Call(1, on("Job", 7, "touch", vec![])),
                ]))]),
            ],
        ),
        def("touch", vec![Stmt::Put("begun", None, 3.into())]),
        def("deadly", vec![Stmt::Die]),
        def("deadly_later", vec![begun(), noted(1), Stmt::Die]),
        def(
            "deadly_in_tx",
            vec![begun(), Stmt::Tx(block(vec![Stmt::Put("begun", None, 5.into()), noted(2), Stmt::Die]))],
        ),
        def("changed", vec![begun(), noted(3), nap(), noted(4), Stmt::Return(2.into())]),
    ];
    app(vec![entity("Job", vec![("begun", false)], methods), service("Log", vec![("notes", true)], vec![note])])
}

fn begun(world: &World, key: i64) -> Option<i64> {
    world.cell("Job", Some(key), "begun", None)
}

fn notes(world: &World, number: i64) -> i64 {
    world.cell("Log", None, "notes", Some(number)).unwrap_or(0)
}

/// Both kinds of cancellation at every event of a method, with a crash after it or not.
fn cancelled(method: &'static str, check: impl Fn(&World, bool)) {
    let name = format!("a {method} is cancelled");
    for_seeds(&name, 24, |seed| {
        let mut options = Options::varied(seed);
        options.node_crashes = u32::from(seed % 2 == 0);
        let mut world = World::new(work(), options);
        world.request(ask("Job", 1, method, &[]).keyed("job"));
        let others = world.request(ask("Job", 1, "touch", &[]).keyed("behind"));
        world.run_events(4 + seed);
        if world.requests[0].state == Wish::New {
            return;
        }
        let kill = seed % 3 == 0;
        let token = world.cancel(0, kill);
        world.run();
        if matches!(world.answers.get(&token), Some(Reply::Accepted)) && world.requests[0].asked > 0 {
            check(&world, kill);
        }
        assert!(world.result(others).is_ok(), "its turn is given on: {:?}", world.result(others));
    });
}

/// An attempt may die while its step runs, and its invocation be ended before it runs again: nobody else resumes what
/// the worker then holds. `World::run` ends with a look at that.
#[test]
fn methods_are_cancelled_while_they_contend() {
    let both = |first, second| {
        let take = |seat: Expr| {
            [Stmt::Get(0, "seats", Some(seat.clone())), Stmt::Put("seats", Some(seat), reg(0) + Expr::Int(1))]
        };
        let taken = [take(first), take(second)].concat();
        [taken, vec![Stmt::Sleep(Expr::Int(1_000)), Stmt::Return(1.into())]].concat()
    };
    let methods = vec![def("both", both(arg(0), arg(1)))];
    for_seeds("methods are cancelled while they contend", 2_000, |seed| {
        let options = Options { partition_crashes: 8, logs: true, ..Options::varied(seed) };
        let mut world = World::new(app(vec![service("Hall", vec![("seats", true)], methods.clone())]), options);
        let places = [(1, 2), (2, 1), (3, 1), (2, 3)];
        for (number, (first, second)) in places.into_iter().enumerate() {
            let name = ["a", "b", "c", "d"][number];
            world.request(call("Hall", "both", &[first, second]).keyed(name));
        }
        for index in 0..places.len() {
            world.run_events(3 + (seed + index as u64) % 31);
            if world.requests[index].state != Wish::New {
                world.cancel(index, seed % 2 == 0);
            }
        }
        world.run();
    });
}

#[test]
fn a_sleeping_method_is_cancelled() {
    cancelled("nap", |world, _| {
        assert!(world.result(0).is_err_and(|class| class.ends_with("CancelledError")) || world.result(0) == Ok(1));
    });
}

#[test]
fn handlers_run_and_may_call() {
    cancelled("guarded", |world, kill| {
        if !kill && world.result(0) == Ok(9) {
            assert_eq!((notes(world, 9), notes(world, 8)), (1, 1));
        }
    });
}

#[test]
fn children_are_cancelled_with_their_caller() {
    cancelled("parent", |world, kill| {
        if !kill && world.result(0) == Ok(9) {
            assert!(notes(world, 9) >= 1);
        }
    });
}

#[test]
fn a_cancelled_beginning_begins_nothing() {
    cancelled("beginning", |world, kill| {
        if !kill && world.result(0) == Ok(9) {
            assert_eq!(notes(world, 8), 1, "what the handler calls is answered");
        }
    });
}

#[test]
fn a_transaction_is_aborted_before_its_cancellation_is_told() {
    cancelled("in_tx", |_, _| {});
}

#[test]
fn a_cancelled_sleep_answers_at_once() {
    let mut world = World::new(work(), Options::new(1, 2));
    world.request(ask("Job", 1, "guarded", &[]));
    world.run_still();
    let before = world.now;
    world.cancel(0, false);
    world.run_still();
    assert_eq!(world.result(0), Ok(9));
    assert!(world.now < before + 1_000_000, "nobody waited for the sleep");
    world.run();
}

#[test]
fn a_method_that_kills_its_workers_is_parked_and_the_rest_goes_on() {
    for_seeds("a_method_that_kills_its_workers_is_parked_and_the_rest_goes_on", 6, |seed| {
        for (method, keeps) in [("deadly", false), ("deadly_later", true), ("deadly_in_tx", true)] {
            let mut world = World::new(work(), Options::varied(seed));
            let deadly = world.request(ask("Job", 1, method, &[]));
            world.run_still();
            assert_eq!(world.result(deadly), Err(Code::Parked.as_str().to_owned()), "{method}");
            assert!(world.waits().contains("resume"), "{:?}", world.waits());
            let behind = world.request(ask("Job", 1, "touch", &[]));
            let other = world.request(ask("Job", 2, "touch", &[]));
            world.run_still();
            assert!(world.result(other).is_ok());
            // One that has committed a step keeps its turn, and everything behind it says so.
            assert_eq!(world.result(behind).is_ok(), !keeps, "{method}: {:?}", world.waits());
            assert_eq!(world.waits().contains("turn"), keeps);
            world.crash_node();
            world.run_still();
            assert!(world.waits().contains("resume"), "parked over a restart: {:?}", world.waits());
            // Resumed with better code it goes on.
            let mut better = work();
            for method in better.services.iter_mut().flat_map(|service| &mut service.methods) {
                if method.name.starts_with("deadly") {
                    let body: Vec<Stmt> = method.body.iter().filter(|s| !matches!(s, Stmt::Die)).cloned().collect();
                    method.body = block(body);
                }
                if method.name == "deadly_in_tx" {
                    let body =
                        vec![Stmt::Put("begun", None, 5.into()), Stmt::Call(0, to("Log", "note", vec![2.into()]))];
                    method.body = block(vec![Stmt::Put("begun", None, 1.into()), Stmt::Tx(block(body))]);
                }
            }
            world.app = Rc::new(better);
            let token = world.unpark(deadly);
            assert_eq!(world.answers.get(&token), None, "the answer waits for its record");
            world.run();
            assert_eq!(notes(&world, 1), i64::from(method == "deadly_later"));
            assert_eq!(notes(&world, 2), i64::from(method == "deadly_in_tx"));
        }
    });
}

#[test]
fn a_parked_invocation_can_be_killed() {
    for method in ["deadly", "deadly_later", "deadly_in_tx"] {
        let mut world = World::new(work(), Options::new(3, 3));
        let deadly = world.request(ask("Job", 1, method, &[]));
        let behind = world.request(ask("Job", 1, "touch", &[]).after(deadly));
        world.run_still();
        world.cancel(deadly, true);
        world.run();
        assert!(world.result(behind).is_ok(), "{method}");
    }
}

#[test]
fn code_that_departs_from_its_journal_is_stopped_and_shown() {
    let mut world = World::new(work(), Options::new(2, 2));
    world.request(ask("Job", 1, "changed", &[]).keyed("job"));
    world.run_still();
    let good = world.app.clone();
    let mut edited = work();
    for method in edited.services.iter_mut().flat_map(|service| &mut service.methods) {
        if method.name == "changed" {
            let mut body = (*method.body).clone();
            body[1] = Stmt::Call(0, on("Job", 5, "touch", vec![]));
            method.body = block(body);
        }
    }
    world.app = Rc::new(edited);
    world.crash_node();
    world.now += LONG as u64 + 1_000_000;
    world.idle();
    world.run_still();
    let notice = world.notices.concat();
    assert!(notice.contains("call Log.note") && notice.contains("call Job.touch"), "both sides are shown: {notice}");
    assert_eq!(world.result(0), Err(Code::Parked.as_str().to_owned()));
    world.app = good;
    world.unpark(0);
    world.run_still();
    world.ask_again(0);
    world.run();
    assert_eq!(world.result(0), Ok(2));
    assert_eq!((notes(&world, 3), notes(&world, 4), begun(&world, 1)), (1, 1, Some(1)));
}

#[test]
fn unknown_invocations_are_refused() {
    let mut world = World::new(work(), Options::new(4, 2));
    world.request(call("Log", "note", &[1]));
    world.run();
    for token in [world.cancel(0, false), world.unpark(0)] {
        let answer = world.answers.get(&token);
        assert!(matches!(answer, Some(Reply::Problem { code: Code::UnknownInvocation, .. })), "{answer:?}");
    }
}
