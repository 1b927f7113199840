//! Restarts, message by message: what a partition with a new epoch may grant and when, and what it and the others owe
//! each other. Three partitions; unless a test says otherwise, each has its own log.

use std::ops::Range;
use std::sync::Arc;

use engine::{Config, Deployment, Effect, Input, Partition, Submit, Turn, routing};
use protocol::cell::CellKey;
use protocol::ids::{Age, AttemptId, InvocationId, PartitionId, Position, RunNumber};
use protocol::message::{LockMode, LockRequest, Message, Vote};
use protocol::msgpack;
use protocol::worker::{FromWorker, Op, OpKind, StepEnd};
use sim::program::{App, Stmt, app, def, encode_int, entity, service};

const PARTITIONS: u16 = 3;

/// One partition; the test plays all others, its worker and its client.
struct Alone {
    engine: Partition,
    next: u64,
    app: App,
}

/// What it says to whom.
type Said = Vec<(u16, Message)>;

impl Alone {
    /// Starts it; what it says first are greetings.
    fn start(id: u16, epoch: u64, same_log: Range<u16>) -> Self {
        let one = || Stmt::Return(1.into());
        let touch = def("touch", vec![one()]);
        let services = [service("Root", vec![], vec![def("go", vec![one()])]), entity("Account", vec![], vec![touch])];
        let app = app(services.into());
        let deployment = Arc::new(Deployment::new(Arc::new(app.manifest())));
        let config = Config { id: PartitionId(id), partitions: PARTITIONS, epoch, same_log, ..Config::default() };
        let mut alone = Self { engine: Partition::new(config, deployment), next: 1, app };
        let first = alone.engine.catalogue().clone();
        alone.turn(|engine, turn| engine.deploy(&first, turn));
        let (said, _) = alone.turn(Partition::start);
        let others = (0..PARTITIONS).filter(|other| *other != id);
        assert_eq!(said, others.map(|other| (other, Message::Hello { epoch, heard: 0 })).collect::<Said>());
        alone
    }

    /// Its own log, which the others have not seen restart before.
    fn restarted(id: u16, epoch: u64) -> Self {
        Self::start(id, epoch, id..id + 1)
    }

    fn turn(&mut self, act: impl FnOnce(&mut Partition, &mut Turn)) -> (Said, Vec<RunNumber>) {
        let mut turn = Turn { now: 1_000, next: Position(self.next), ..Turn::default() };
        act(&mut self.engine, &mut turn);
        self.next += turn.records.len() as u64;
        let mut said = Vec::new();
        let mut runs = Vec::new();
        for effect in turn.effects {
            match effect {
                Effect::Send { to, message, .. } => said.push((to.0, message)),
                Effect::Start(start) => runs.push(start.run),
                Effect::Resume(resume) => runs.push(resume.run),
                _ => {}
            }
        }
        (said, runs)
    }

    fn hears(&mut self, from: u16, message: Message) -> Said {
        self.turn(|engine, turn| engine.handle(Input::Message { from: PartitionId(from), message }, turn)).0
    }

    fn hello(&mut self, from: u16, epoch: u64, heard: u64) -> Said {
        self.hears(from, Message::Hello { epoch, heard })
    }

    fn quiet(&mut self, from: u16, epoch: u64, heard: u64) -> Said {
        self.hears(from, Message::Quiet { epoch, heard })
    }

    /// A request for the one cell of these tests arrives; who asked is told of a grant as the answer.
    fn asks(&mut self, from: u16, epoch: u64, age: u64) -> Said {
        let attempt = attempt(from, epoch, age);
        let request = LockRequest {
            attempt,
            age: Age { accepted: age, root: attempt.owner },
            step: attempt.owner,
            holds: false,
            wants: vec![(CellKey { field: 77, ..CellKey::default() }, LockMode::Exclusive)],
            home: PartitionId(from),
            transaction: true,
        };
        self.hears(from, Message::Lock(request))
    }

    /// A request of a client that is at home here.
    fn submits(&mut self, service: &str, method: &str) -> (InvocationId, Vec<RunNumber>) {
        let args = msgpack::encode_args(&[], &[]).unwrap();
        let manifest = self.app.manifest();
        let entity = service == "Account";
        let asked = (0..=u8::MAX).map(|seed| {
            let key = entity.then(|| encode_int(i64::from(seed)));
            let id = routing::route(&manifest, service, key.as_deref(), method, &args, None, [seed; 16]).unwrap();
            (id, key)
        });
        let (id, key) = asked.into_iter().find(|(id, _)| id.slot().partition(PARTITIONS) == PartitionId(0)).unwrap();
        let submit = Submit {
            token: 1,
            id,
            seed: [0; 32],
            service: service.into(),
            key,
            method: method.into(),
            args,
            idempotency_key: None,
            send: false,
        };
        let (_, runs) = self.turn(|engine, turn| engine.handle(Input::Submit(Box::new(submit)), turn));
        (id, runs)
    }

    /// A request becomes a transaction whose body runs on a worker.
    fn begins(&mut self) -> AttemptId {
        let (id, runs) = self.submits("Root", "go");
        let begin = Op { position: "0".into(), kind: OpKind::Begin };
        let waits = vec!["0".to_owned()];
        let end = StepEnd { run: runs[0], invocation: id, ops: vec![begin], waits, ..StepEnd::default() };
        let (_, runs) = self.turn(|engine, turn| engine.handle(Input::Worker(FromWorker::End(Box::new(end))), turn));
        self.engine.attempt_of_run(runs[0]).unwrap()
    }
}

fn attempt(home: u16, epoch: u64, counter: u64) -> AttemptId {
    // The first bytes of an id are its slot, which says where its home is.
    let owner = (0..=u8::MAX).map(|byte| InvocationId([byte; 16]));
    let owner = owner.into_iter().filter(|id| id.slot().partition(PARTITIONS) == PartitionId(home));
    AttemptId { owner: owner.into_iter().nth(counter as usize % 8).unwrap(), epoch, counter }
}

fn frozen(attempt: AttemptId, stood: bool) -> Message {
    Message::Frozen { attempt, stood, newest: Position::default() }
}

fn grants(said: &Said) -> Vec<AttemptId> {
    let granted = said.iter().filter_map(|(_, message)| match message {
        Message::Granted { attempt, .. } => Some(*attempt),
        _ => None,
    });
    granted.collect()
}

fn quiets(said: &Said) -> Vec<(u16, u64, u64)> {
    let quiet = said.iter().filter_map(|(to, message)| match message {
        Message::Quiet { epoch, heard } => Some((*to, *epoch, *heard)),
        _ => None,
    });
    quiet.collect()
}

#[test]
fn nothing_is_granted_until_all_others_are_quiet() {
    let mut restarted = Alone::restarted(1, 5);
    assert_eq!(grants(&restarted.asks(0, 1, 1)), []);
    assert_eq!(grants(&restarted.quiet(0, 1, 5)), []);
    // Of an epoch before this one, and once more from the same partition.
    assert_eq!(grants(&restarted.quiet(2, 1, 4)), []);
    assert_eq!(grants(&restarted.quiet(0, 1, 5)), []);
    assert_eq!(grants(&restarted.quiet(2, 1, 5)), [attempt(0, 1, 1)]);
}

#[test]
fn a_closed_partition_answers_what_others_ask_to_end() {
    let mut restarted = Alone::restarted(1, 5);
    restarted.asks(0, 1, 1);
    let (waits, unknown) = (attempt(0, 1, 1), attempt(2, 1, 1));
    assert_eq!(restarted.hears(0, Message::Freeze { attempt: waits }), [(0, frozen(waits, true))]);
    assert_eq!(restarted.hears(0, Message::Freeze { attempt: unknown }), [(0, frozen(unknown, false))]);
    let said = restarted.hears(2, Message::Prepare { attempt: unknown });
    assert_eq!(
        said,
        [(2, Message::PrepareAnswer { attempt: unknown, vote: Vote::Refused, newest: Position::default() })]
    );
    // Who was frozen meanwhile is granted nothing.
    restarted.quiet(0, 1, 5);
    assert_eq!(grants(&restarted.quiet(2, 1, 5)), []);
}

#[test]
fn requests_that_came_meanwhile_are_granted_in_order_of_age() {
    let mut restarted = Alone::restarted(1, 5);
    restarted.asks(0, 1, 2);
    restarted.asks(2, 1, 1);
    restarted.quiet(2, 1, 5);
    assert_eq!(grants(&restarted.quiet(0, 1, 5)), [attempt(2, 1, 1)]);
    assert_eq!(grants(&restarted.hears(2, Message::Release { attempt: attempt(2, 1, 1) })), [attempt(0, 1, 2)]);
}

#[test]
fn a_world_of_one_log_waits_for_nobody_and_says_no_more_than_hello() {
    let mut restarted = Alone::start(1, 5, 0..PARTITIONS);
    assert_eq!(grants(&restarted.asks(0, 5, 1)), [attempt(0, 5, 1)]);
    assert_eq!(restarted.hello(0, 5, 0), [(0, Message::Hello { epoch: 5, heard: 5 })]);
    assert_eq!(restarted.hello(0, 5, 5), []);
}

#[test]
fn partitions_of_one_log_wait_for_each_other_too() {
    let mut restarted = Alone::start(0, 5, 0..2);
    restarted.asks(2, 1, 1);
    assert_eq!(grants(&restarted.quiet(2, 1, 5)), []);
    assert_eq!(grants(&restarted.quiet(1, 5, 5)), [attempt(2, 1, 1)]);
}

#[test]
fn a_restarted_partition_is_quiet_when_all_other_logs_have_heard_of_it() {
    let mut restarted = Alone::restarted(1, 5);
    assert_eq!(restarted.hello(0, 3, 0), [(0, Message::Hello { epoch: 5, heard: 3 })]);
    assert_eq!(quiets(&restarted.hello(0, 3, 5)), []);
    // A word from before this epoch does not count.
    assert_eq!(quiets(&restarted.hello(2, 4, 4)), []);
    assert_eq!(quiets(&restarted.hello(2, 4, 5)), [(0, 5, 3), (2, 5, 4)]);
    assert_eq!(restarted.hello(2, 4, 5), []);
    // Who restarts later hears it at once.
    assert_eq!(quiets(&restarted.hello(0, 6, 0)), [(0, 5, 6)]);
}

/// A partition that all others have met.
fn met(id: u16) -> Alone {
    let mut alone = Alone::restarted(id, 1);
    for other in (0..PARTITIONS).filter(|other| *other != id) {
        alone.hello(other, 1, 1);
        alone.quiet(other, 1, 1);
    }
    assert!(alone.engine.is_quiet());
    alone
}

#[test]
fn quiet_is_said_when_attempts_from_before_are_frozen_everywhere() {
    let mut home = met(0);
    let old = home.begins();
    let said = home.hello(1, 2, 0);
    assert!(said.contains(&(2, Message::Freeze { attempt: old })) && quiets(&said).is_empty(), "{said:?}");
    // The same greeting once more changes nothing.
    assert_eq!(home.hello(1, 2, 0), []);
    assert_eq!(quiets(&home.hears(1, frozen(old, false))), []);
    let said = home.hears(2, frozen(old, true));
    assert_eq!(quiets(&said), [(1, 1, 2)]);
    let place = |wanted: fn(&Message) -> bool| said.iter().position(|(to, message)| *to == 1 && wanted(message));
    let released = place(|message| matches!(message, Message::Release { .. }));
    let quiet = place(|message| matches!(message, Message::Quiet { .. }));
    assert!(released.is_some() && released < quiet, "late calls of it are refused before locks are granted: {said:?}");
}

#[test]
fn of_two_restarts_the_later_one_is_answered() {
    let mut home = met(0);
    let old = home.begins();
    assert_eq!(quiets(&home.hello(1, 2, 0)), []);
    assert_eq!(quiets(&home.hello(1, 3, 0)), []);
    // Late, and nothing new.
    assert_eq!(home.hello(1, 2, 1), []);
    let said = home.hears(2, frozen(old, true));
    assert_eq!(quiets(&said), [(1, 1, 3)]);
}

#[test]
fn a_restart_stands_for_the_freeze_of_what_it_took_along() {
    let mut home = met(0);
    let old = home.begins();
    assert_eq!(quiets(&home.hello(1, 2, 0)), []);
    assert_eq!(quiets(&home.hears(1, frozen(old, false))), []);
    // Partition 2 has not answered, and will not: it has restarted as well.
    assert_eq!(quiets(&home.hello(2, 2, 0))[0], (1, 1, 2));
}

#[test]
fn what_attempts_of_a_home_held_before_its_restart_is_kept_until_it_is_quiet() {
    let mut part = met(1);
    assert_eq!(grants(&part.asks(0, 1, 1)), [attempt(0, 1, 1)]);
    part.asks(2, 1, 2);
    assert_eq!(grants(&part.hello(0, 2, 0)), []);
    // It takes part in nothing any more.
    let vote = part.hears(0, Message::Prepare { attempt: attempt(0, 1, 1) });
    assert!(matches!(&vote[..], [(0, Message::PrepareAnswer { vote: Vote::Refused, .. })]), "{vote:?}");
    assert_eq!(grants(&part.asks(0, 1, 1)), []);
    // What the home had said in its earlier life arrives late.
    assert_eq!(grants(&part.quiet(0, 1, 1)), []);
    assert_eq!(grants(&part.quiet(0, 2, 1)), [attempt(2, 1, 2)]);
}

#[test]
fn a_newer_attempt_waits_for_the_locks_of_one_from_before_the_restart() {
    let mut part = met(1);
    let (old, new) = (attempt(0, 1, 1), AttemptId { epoch: 2, ..attempt(0, 1, 1) });
    assert_eq!(grants(&part.asks(0, 1, 1)), [old]);
    // Through another partition it comes before its home's greeting.
    assert_eq!(grants(&part.asks(0, 2, 1)), []);
    part.hello(0, 2, 0);
    assert_eq!(grants(&part.quiet(0, 2, 1)), [new]);
}

#[test]
fn who_waits_behind_the_fence_is_shown_so() {
    let mut restarted = Alone::restarted(0, 5);
    restarted.submits("Account", "touch");
    restarted.quiet(1, 1, 5);
    let waits = |alone: &Alone| alone.engine.list(1_000)[0].invocation.waiting.clone();
    let shown = waits(&restarted).unwrap();
    assert_eq!((shown.reason.as_str(), shown.action.as_str()), ("restart", "cancel"));
    assert!(shown.what.ends_with("partition 0 runs there: 2"), "{}", shown.what);
    restarted.quiet(2, 1, 5);
    assert_eq!(waits(&restarted).unwrap().reason, "worker");
}
