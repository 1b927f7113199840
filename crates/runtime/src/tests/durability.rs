//! Nothing leaves before what it rests on is durable; everything comes back after a restart.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use engine::Reply;
use protocol::api::State;
use protocol::problem::Code;
use protocol::worker::Outcome;
use protocol::{InvocationId, Value, msgpack};
use store::{Log, Space};

use super::fixture::*;
use crate::api::{Answer, Call, Page, Place};
use crate::backends::Backends;
use crate::error::NodeError;
use crate::limits::MEMORY_MIN;
use crate::{NodeConfig, NodeHandle};

fn value(answer: &Answer) -> i64 {
    match &answer.reply {
        Reply::Done { outcome: Outcome::Value(bytes), .. } => as_int(bytes),
        other => panic!("{other:?} is no value"),
    }
}

fn hits() -> Place {
    Place { service: "Counter".into(), field: "hits".into(), ..Place::default() }
}

fn increment_now(handle: &NodeHandle) -> i64 {
    value(&block_on(handle.submit(call("increment"))))
}

#[test]
fn calls_are_answered() {
    let fixture = Fixture::start(memory_log(), good());
    assert_eq!((1..=5).map(|_| increment_now(&fixture.handle)).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(value(&block_on(fixture.handle.submit(call("read")))), 5);
    assert_eq!(as_int(&block_on(fixture.handle.state(hits())).unwrap()), 5);
}

#[test]
fn answers_and_output_wait_for_the_watermark() {
    let fixture = Fixture::start(held_log(), good());
    let mut first = Box::pin(fixture.handle.submit(call("increment")));
    assert!(is_pending(&mut first));
    fixture.until("sostenuto_held", 1);
    // Speculation: the next step already sees what the first has written.
    let mut second = Box::pin(fixture.handle.submit(call("increment")));
    assert!(is_pending(&mut second));
    fixture.until("sostenuto_steps_total", 2);
    let mut reader = Box::pin(fixture.handle.submit(call("read")));
    assert!(is_pending(&mut reader));
    fixture.until("sostenuto_steps_total", 3);
    // And so does an operator, but not before it is durable.
    let mut stored = Box::pin(fixture.handle.state(hits()));
    assert!(is_pending(&mut stored));
    fixture.until("sostenuto_held", 6);
    assert!(is_pending(&mut first) && is_pending(&mut second) && is_pending(&mut reader) && is_pending(&mut stored));
    assert!(fixture.seen.0.lock().unwrap().is_empty());

    fixture.log_moves_on();
    assert_eq!(value(&block_on(first)), 1);
    assert_eq!(value(&block_on(second)), 2);
    assert_eq!(value(&block_on(reader)), 2);
    assert_eq!(as_int(&block_on(stored).unwrap()), 2);
    let seen = fixture.seen.0.lock().unwrap().clone();
    assert_eq!(seen, ["Counter.increment/0: hits 1", "Counter.increment/0: hits 2"]);
}

#[test]
fn a_restart_goes_on_where_the_log_ends() {
    let log = memory_log();
    let keyed = Call { idempotency_key: Some("k".into()), ..call("increment") };
    let fixture = Fixture::start(Arc::clone(&log), good());
    assert_eq!(increment_now(&fixture.handle), 1);
    let first = block_on(fixture.handle.submit(keyed.clone()));
    assert_eq!(value(&first), 2);
    let survivor = Arc::new(log.crash(log.tail()));
    drop(fixture);

    // The state is lost with the first node; the log holds everything.
    let fixture = Fixture::start(survivor, good());
    assert_eq!(as_int(&block_on(fixture.handle.state(hits())).unwrap()), 2);
    let again = block_on(fixture.handle.submit(keyed));
    assert_eq!((value(&again), again.invocation), (2, first.invocation));
    assert_eq!(increment_now(&fixture.handle), 3);
}

#[test]
fn a_restart_reads_the_state_and_the_rest_of_the_log() {
    let log = memory_log();
    let backends = Backends::memory(Arc::clone(&log), PARTITIONS);
    let state = Arc::clone(&backends.state);
    let fixture = Fixture::with(backends, Arc::clone(&log), good(), NodeConfig::default());
    for expected in 1..=20 {
        assert_eq!(increment_now(&fixture.handle), expected);
    }
    let log = Arc::new(log.crash(log.tail()));
    drop(fixture);
    assert!((0..PARTITIONS).all(|partition| state.applied(partition).unwrap() > 0), "the state was brought up to date");

    let backends = Backends { log: Arc::clone(&log) as Arc<dyn Log>, state, data_dir: None };
    let fixture = Fixture::with(backends, log, good(), NodeConfig::default());
    assert_eq!(increment_now(&fixture.handle), 21);
}

#[test]
fn unacknowledged_work_may_be_lost_but_never_half() {
    let log = held_log();
    let fixture = Fixture::start(Arc::clone(&log), good());
    fixture.log_moves_on();
    let mut lost = Box::pin(fixture.handle.submit(call("increment")));
    assert!(is_pending(&mut lost));
    fixture.until("sostenuto_held", 2);
    let survivor = Arc::new(log.crash(0));
    drop(lost);
    drop(fixture);

    let fixture = Fixture::start(survivor, good());
    fixture.log_moves_on();
    let mut next = Box::pin(fixture.handle.submit(call("increment")));
    assert!(is_pending(&mut next));
    fixture.until("sostenuto_held", 2);
    // An answer is held before its record is appended, in one round; this one comes in a later round.
    let mut reader = Box::pin(fixture.handle.submit(call("read")));
    assert!(is_pending(&mut reader));
    fixture.until("sostenuto_held", 3);
    fixture.log_moves_on();
    assert_eq!((value(&block_on(next)), value(&block_on(reader))), (1, 1));
}

#[test]
fn a_failed_log_ends_the_node_and_acknowledges_nothing() {
    let log = held_log();
    let fixture = Fixture::start(Arc::clone(&log), good());
    let mut lost = Box::pin(fixture.handle.submit(call("increment")));
    assert!(is_pending(&mut lost));
    fixture.until("sostenuto_held", 1);
    log.fail("no such luck");
    assert!(matches!(block_on(fixture.node.ended()), Err(NodeError::Log(_))));
    assert!(matches!(block_on(lost).reply, Reply::Problem { code: Code::Unavailable, .. }));
    let after = block_on(fixture.handle.submit(call("increment")));
    assert!(matches!(after.reply, Reply::Problem { code: Code::Unavailable, .. }));
    assert!(!fixture.handle.health().ready);
}

#[test]
fn a_disk_without_room_stops_admission_and_nothing_else() {
    let log = memory_log();
    let fixture = Fixture::start(Arc::clone(&log), good());
    assert_eq!(increment_now(&fixture.handle), 1);
    for (space, said) in [(Space::Full, Code::DiskFull), (Space::Failed, Code::Unavailable)] {
        log.set_space(space);
        let refused = block_on(fixture.handle.submit(call("increment")));
        assert!(matches!(refused.reply, Reply::Problem { code, .. } if code == said), "{refused:?}");
    }
    assert_eq!(as_int(&block_on(fixture.handle.state(hits())).unwrap()), 1);
    log.set_space(Space::Ready);
    assert_eq!(increment_now(&fixture.handle), 2);
}

#[test]
fn a_shutdown_answers_what_runs_and_refuses_what_comes() {
    let fixture = Fixture::start(held_log(), good());
    let mut running = Box::pin(fixture.handle.submit(call("increment")));
    assert!(is_pending(&mut running));
    fixture.until("sostenuto_held", 1);
    assert_eq!(block_on(fixture.handle.shutdown()), Ok(()));
    assert_eq!(value(&block_on(running)), 1);
    let after = block_on(fixture.handle.submit(call("increment")));
    assert!(matches!(after.reply, Reply::Problem { code: Code::Unavailable, .. }));
}

#[test]
fn kept_results_are_listed_described_and_waited_for() {
    let fixture = Fixture::start(memory_log(), good());
    let mut ids = Vec::new();
    for number in 0..5 {
        let keyed = Call { idempotency_key: Some(format!("k{number}")), ..call("increment") };
        ids.extend(block_on(fixture.handle.submit(keyed)).invocation);
    }
    ids.sort();
    let mut listed: Vec<InvocationId> = Vec::new();
    let mut cursor = None;
    loop {
        let page = Page { cursor, limit: 2, ..Page::default() };
        let page = block_on(fixture.handle.list(page)).unwrap();
        assert!(page.invocations.len() <= 2);
        listed.extend(page.invocations.iter().map(|found| found.id.parse::<InvocationId>().unwrap()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
    let failed = Page { states: vec![State::Failed], limit: 10, ..Page::default() };
    assert!(block_on(fixture.handle.list(failed)).unwrap().invocations.is_empty());
    let described = block_on(fixture.handle.describe(ids[0])).unwrap();
    assert_eq!((described.invocation.state, described.invocation.method.as_str()), (State::Completed, "increment"));
    let waited = block_on(fixture.handle.wait(ids[0], std::time::Duration::from_secs(9)));
    assert!(matches!(waited.reply, Reply::Done { .. }), "{waited:?}");
    let unknown = block_on(fixture.handle.wait(InvocationId::default(), std::time::Duration::from_secs(9)));
    assert!(matches!(unknown.reply, Reply::Problem { code: Code::UnknownInvocation, .. }), "{unknown:?}");
}

#[test]
fn what_does_not_exist_is_refused() {
    let fixture = Fixture::start(memory_log(), good());
    let code = |answer: Answer| match answer.reply {
        Reply::Problem { code, .. } => code,
        other => panic!("{other:?} is no problem"),
    };
    assert_eq!(code(block_on(fixture.handle.submit(call("nothing")))), Code::UnknownMethod);
    let unknown = Call { service: "Nobody".into(), ..call("increment") };
    assert_eq!(code(block_on(fixture.handle.submit(unknown))), Code::UnknownService);
    let keyed = Call { key: Some(int(1)), ..call("increment") };
    assert_eq!(code(block_on(fixture.handle.submit(keyed))), Code::UnknownAddress);
    let place = Place { field: "misses".into(), ..hits() };
    assert_eq!(block_on(fixture.handle.state(place)).unwrap_err().code, Code::UnknownState);
    let place = Place { entry: Some(int(1)), ..hits() };
    assert_eq!(block_on(fixture.handle.state(place)).unwrap_err().code, Code::UnknownState);
}

#[test]
fn unfinished_invocations_take_so_much_memory_and_no_more() {
    const BYTES: usize = 200_000;
    let log = memory_log();
    let config = NodeConfig { memory: MEMORY_MIN, step_timeout: Duration::from_secs(3600), ..NodeConfig::default() };
    let backends = Backends::memory(Arc::clone(&log), PARTITIONS);
    let fixture = Fixture::with(backends, log, script(|_| Act::Wait), config);
    let args = msgpack::encode_args(&[Value::Bytes(vec![7; BYTES])], &[]).unwrap();
    let mut waiting = Vec::new();
    let refused = loop {
        let mut calling = Box::pin(fixture.handle.submit(Call { args: args.clone(), ..call("increment") }));
        if let Poll::Ready(answer) = poll_once(&mut calling) {
            break answer;
        }
        waiting.push(calling);
        fixture.until("sostenuto_unfinished_bytes", (waiting.len() * BYTES) as u64);
    };
    assert!(matches!(refused.reply, Reply::Problem { code: Code::TooManyInvocations, .. }), "{refused:?}");
    let bytes = (waiting.len() * BYTES) as u64;
    assert!(bytes <= MEMORY_MIN && MEMORY_MIN - bytes < MEMORY_MIN / 20, "{bytes}");
    // What only reads leaves nothing.
    assert!(is_pending(&mut Box::pin(fixture.handle.submit(call("read")))));
}
