//! Tasks and races: a result is recorded once whatever dies, tries follow the policy, nothing is left behind.

use crate::seeds::for_seeds;
use crate::world::{Options, Wish, World, ask};
use sim::program::{App, Expr, Stmt, app, arg, block, def, entity, on, reg, service, to};

const LONG: i64 = 20_000_000;

fn errands() -> App {
    let note = |number: Expr| Stmt::Call(9, to("Log", "note", vec![number]));
    let noting = def(
        "note",
        vec![
            Stmt::Get(0, "notes", Some(arg(0))),
            Stmt::Put("notes", Some(arg(0)), reg(0) + Expr::Int(1)),
            Stmt::Return(5.into()),
        ],
    );
    let seen_twice = |before: usize, after: usize| {
        // Noted, and noted again after other steps: had the result changed, both notes would be there once.
        vec![note(reg(before)), Stmt::Sleep(Expr::Int(700)), note(reg(after))]
    };
    let mut one = vec![Stmt::Task(0, arg(0), 50)];
    one.extend(seen_twice(0, 0));
    one.push(Stmt::Return(reg(0)));
    let mut two = vec![Stmt::Fork(vec![
        block(vec![Stmt::Task(0, arg(0), 50)]),
        block(vec![Stmt::Task(1, arg(0) + Expr::Int(1), 50), Stmt::Sleep(Expr::Int(300))]),
    ])];
    two.extend(seen_twice(0, 0));
    two.extend(seen_twice(1, 1));
    two.push(Stmt::Return(reg(0)));
    let begun = || Stmt::Put("begun", None, 1.into());
    let caught = |body: Vec<Stmt>| Stmt::Try(block(body), block(vec![note(Expr::Int(-9)), Stmt::Return((-9).into())]));
    let methods = vec![
        def("one", one),
        def("two", two),
        def("fails", vec![Stmt::Task(0, arg(0), 2), Stmt::Return(reg(0))]),
        def("waits", vec![begun(), caught(vec![Stmt::Task(0, arg(0), 50), Stmt::Sleep(Expr::Int(LONG))])]),
        def(
            "in_tx",
            vec![caught(vec![Stmt::Tx(block(vec![begun(), Stmt::Task(0, arg(0), 0)]))]), Stmt::Return(1.into())],
        ),
        def("slow", vec![begun(), Stmt::Sleep(arg(0)), note(Expr::Int(1)), Stmt::Return(3.into())]),
        def(
            "races",
            vec![Stmt::Race(0, on("Job", 77, "slow", vec![arg(0)]), arg(1)), note(reg(0)), Stmt::Return(reg(0))],
        ),
    ];
    app(vec![entity("Job", vec![("begun", false)], methods), service("Log", vec![("notes", true)], vec![noting])])
}

fn notes(world: &World, number: i64) -> i64 {
    world.cell("Log", None, "notes", Some(number)).unwrap_or(0)
}

/// Faults of all kinds for a seed.
fn troubled(seed: u64) -> Options {
    let mut options = Options::varied(seed);
    options.worker_deaths = (seed % 3) as u32;
    options.node_crashes = (seed % 4) as u32;
    options.partition_crashes = u32::from(seed.is_multiple_of(5));
    options.evictions = (seed % 2) as u32 * 3;
    options
}

#[test]
fn results_are_recorded_once() {
    for_seeds("tasks", 60, |seed| {
        let mut world = World::new(errands(), troubled(seed));
        for n in 0..4 {
            world.request(ask("Job", n, "one", &[100 + n]).keyed(format!("one {n}")));
            world.request(ask("Job", 10 + n, "two", &[200 + 10 * n]).keyed(format!("two {n}")));
        }
        world.run();
        for index in 0..world.requests.len() {
            let result = world.result(index).unwrap();
            assert_eq!(notes(&world, result), 2, "{result} is what was noted before and after");
        }
        for (errand, begun) in &world.errands.begun {
            assert!(*begun >= 1, "{errand} ran");
        }
        assert_eq!(world.errands.begun.len(), 12);
    });
}

#[test]
fn without_faults_a_task_runs_until_it_succeeds_and_no_more() {
    for_seeds("tasks without faults", 30, |seed| {
        let mut world = World::new(errands(), Options::varied(seed));
        for n in 0..4 {
            world.request(ask("Job", n, "one", &[100 + n]).keyed(format!("one {n}")));
        }
        world.run();
        for (errand, begun) in &world.errands.begun {
            let failed = world.errands.failed.get(errand).copied().unwrap_or(0);
            assert_eq!(*begun, failed + 1, "{errand}");
        }
    });
}

#[test]
fn the_last_failure_is_the_result() {
    for_seeds("tasks that fail", 60, |seed| {
        let mut world = World::new(errands(), Options::varied(seed));
        world.request(ask("Job", 1, "fails", &[100]).keyed("fails"));
        world.run();
        let failed = world.errands.failed.get(&100).copied().unwrap_or(0);
        let raised = world.result(0).is_err_and(|class| class.ends_with("OSError"));
        assert_eq!(raised, failed == 3, "{failed} failures");
        assert_eq!(world.errands.begun[&100], if raised { 3 } else { failed + 1 });
    });
}

#[test]
fn no_task_begins_before_what_it_rests_on_is_durable() {
    for_seeds("tasks on a frozen disk", 10, |seed| {
        let options = Options { frozen_disk: true, ..Options::varied(seed) };
        let mut world = World::new(errands(), options);
        world.request(ask("Job", 1, "one", &[100]).keyed("one"));
        world.run_still();
        assert!(world.errands.begun.is_empty() && world.tasks_running() == 0);
    });
}

#[test]
fn a_cancelled_invocation_ends_its_tasks() {
    for_seeds("tasks that are cancelled", 40, |seed| {
        let mut world = World::new(errands(), troubled(seed));
        world.request(ask("Job", 1, "waits", &[100]).keyed("waits"));
        world.run_events(4 + seed);
        if world.requests[0].state != Wish::Waiting {
            return;
        }
        world.cancel(0, seed % 3 == 0);
        world.run();
        assert_eq!(world.tasks_running(), 0);
        if notes(&world, -9) > 0 {
            assert_eq!((world.result(0), notes(&world, -9)), (Ok(-9), 1), "the method has caught it");
        }
    });
}

#[test]
fn a_task_in_a_transaction_is_refused() {
    for_seeds("tasks in transactions", 10, |seed| {
        let mut world = World::new(errands(), troubled(seed));
        world.request(ask("Job", 1, "in_tx", &[100]).keyed("in_tx"));
        world.run();
        assert_eq!(world.result(0), Ok(-9));
        assert!(world.errands.begun.is_empty());
        assert_eq!(world.cell("Job", Some(1), "begun", None), None);
    });
}

#[test]
fn races_have_one_outcome() {
    for_seeds("races", 60, |seed| {
        let mut world = World::new(errands(), troubled(seed));
        let wins = [(10, LONG), (LONG, 10), (1_000, 1_000)][(seed % 3) as usize];
        world.request(ask("Job", 1, "races", &[wins.0, wins.1]).keyed("races"));
        world.run();
        let result = world.result(0).unwrap();
        assert_eq!(notes(&world, result), 1);
        match seed % 3 {
            0 => assert_eq!(result, 3),
            1 => assert_eq!((result, notes(&world, 1)), (-1, 0), "the call was cancelled"),
            _ => assert!(result == 3 || result == -1),
        }
    });
}
