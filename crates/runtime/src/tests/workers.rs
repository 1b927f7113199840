//! Workers that die: who is struck, what is run again, what is parked.

use std::time::Duration;

use engine::Reply;
use protocol::api::State;
use protocol::problem::Code;
use protocol::worker::{Outcome, ToWorker};

use super::fixture::*;
use crate::NodeConfig;
use crate::api::{Call, Page};
use crate::backends::Backends;

fn started(message: &ToWorker) -> Option<&protocol::worker::Start> {
    match message {
        ToWorker::Start(start) => Some(start),
        ToWorker::Resume(_)
        | ToWorker::Evict(_)
        | ToWorker::Fetched { .. }
        | ToWorker::Task(_)
        | ToWorker::StopTask(_) => None,
    }
}

#[test]
fn a_step_whose_worker_dies_is_run_again() {
    let runs = Count::default();
    let counted = runs.clone();
    let fixture = Fixture::start(
        memory_log(),
        script(move |message| match started(message) {
            Some(start) if counted.next() == 1 => Act::Die(Some(start.run.0)),
            Some(start) => Act::Say(obey(start)),
            None => Act::Wait,
        }),
    );
    let answer = block_on(fixture.handle.submit(call("increment")));
    assert!(
        matches!(&answer.reply, Reply::Done { outcome: Outcome::Value(one), .. } if as_int(one) == 1),
        "{answer:?}"
    );
    assert_eq!(runs.get(), 2);
    fixture.until("sostenuto_worker_deaths_total", 1);
    let seen = fixture.seen.0.lock().unwrap().clone();
    assert_eq!(seen.iter().filter(|line| line.contains("hits")).count(), 1, "output is shown once: {seen:?}");
}

#[test]
fn a_poisonous_call_is_parked_and_others_go_on() {
    let fixture = Fixture::start(
        memory_log(),
        script(|message| match started(message) {
            Some(start) if start.method == "poison" => Act::Die(Some(start.run.0)),
            Some(start) => Act::Say(obey(start)),
            None => Act::Wait,
        }),
    );
    let parked = block_on(fixture.handle.submit(call("poison")));
    assert!(matches!(parked.reply, Reply::Problem { code: Code::Parked, .. }), "{parked:?}");
    let page = Page { states: vec![State::Parked], limit: 10, ..Page::default() };
    let listed = block_on(fixture.handle.list(page)).unwrap().invocations;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].waiting.as_ref().unwrap().what.contains("signal 9"), "{listed:?}");
    let id = parked.invocation.unwrap();
    let cancelled = block_on(fixture.handle.cancel(id, true));
    assert_eq!(cancelled.reply, Reply::Accepted);
    let next = block_on(fixture.handle.submit(call("increment")));
    assert!(matches!(next.reply, Reply::Done { .. }), "{next:?}");
}

#[test]
fn without_a_strike_word_suspects_run_alone_until_one_is_guilty() {
    // Both are on the only worker when it dies without a word: which one did it?
    let runs = Count::default();
    let fixture = Fixture::with(
        Backends::memory(memory_log(), PARTITIONS),
        memory_log(),
        script(move |message| match started(message) {
            Some(_) if runs.next() == 1 => Act::Wait,
            Some(start) if start.method == "poison" => Act::Die(None),
            Some(start) => Act::Say(obey(start)),
            None => Act::Wait,
        }),
        NodeConfig { workers: 1, ..NodeConfig::default() },
    );
    let innocent = submit(&fixture.handle, call("read"));
    fixture.until("sostenuto_runs", 1);
    let guilty = submit(&fixture.handle, Call { service: "Twin".into(), ..call("poison") });
    assert!(matches!(innocent.join().unwrap().reply, Reply::Done { .. }));
    let guilty = guilty.join().unwrap();
    assert!(matches!(guilty.reply, Reply::Problem { code: Code::Parked, .. }), "{guilty:?}");
}

#[test]
fn a_client_that_goes_away_leaves_its_call_running() {
    let log = memory_log();
    let fixture = Fixture::start(log, good());
    let mut impatient = Box::pin(fixture.handle.submit(call("increment")));
    // It may be answered already; then there is nothing to go away from.
    is_pending(&mut impatient);
    drop(impatient);
    fixture.until("sostenuto_steps_total", 1);
    let answer = block_on(fixture.handle.submit(call("read")));
    assert!(
        matches!(&answer.reply, Reply::Done { outcome: Outcome::Value(one), .. } if as_int(one) == 1),
        "{answer:?}"
    );
}

#[test]
fn a_wait_ends_when_its_time_is_up() {
    let fixture = Fixture::start(memory_log(), script(|_| Act::Wait));
    let sent = block_on(fixture.handle.submit(Call { send: true, ..call("increment") }));
    assert_eq!(sent.reply, Reply::Accepted);
    let waited = block_on(fixture.handle.wait(sent.invocation.unwrap(), Duration::from_millis(1)));
    assert_eq!(waited.reply, Reply::Running);
}
