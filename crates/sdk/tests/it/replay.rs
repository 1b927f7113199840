//! Replays: what a method did is done again, from the journal; what departs is told with both sides.

use protocol::Value as Stored;
use protocol::worker::{Delivered, FromWorker, StepStatus};
use sostenuto::prelude::*;

use crate::server::{ID, Server, text_value, value};

#[service]
pub(crate) struct Diary {
    pages: Map<u64, String>,
    diary: DiaryClient,
}

#[methods]
impl Diary {
    pub fn page(&self, number: u64) -> Option<String> {
        self.pages.get(&number)
    }

    /// Reads, draws and calls in turns.
    pub async fn walk(&mut self, steps: u64) -> Result<Vec<(Option<String>, u64, u64)>> {
        let mut seen = Vec::new();
        for step in 0..steps {
            let held = self.pages.get(&step);
            seen.push((held, random_u64(), micros()));
            self.pages.insert(step + 100, format!("step {step}"));
            self.diary.page(step).await?;
        }
        Ok(seen)
    }
}

fn micros() -> u64 {
    now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64
}

fn diary() -> Server {
    let server = Server::new(Application::new().service::<Diary>());
    server.store.borrow_mut().put("pages", Some(Stored::Int(0)), text_value("first"));
    server
}

#[test]
fn evicted_at_each_suspension_it_ends_the_same() {
    let (mut kept, mut evicted) = (diary(), diary());
    evicted.evict = true;
    let args = [Stored::Int(6)];
    let one = kept.run_to_end("Diary", "walk", &args, |_| value(Stored::None));
    let other = evicted.run_to_end("Diary", "walk", &args, |_| value(Stored::None));
    assert_eq!(one, other);
    assert_eq!(kept.store.borrow().cells, evicted.store.borrow().cells);
    assert!(one.0.is_ok());
}

#[test]
fn a_replay_reads_what_was_read_then() {
    let mut server = diary();
    server.evict = true;
    let FromWorker::End(first) = server.begin("Diary", "walk", &[Stored::Int(2)]) else { panic!("dropped") };
    let call = |position: &str| Delivered { position: position.into(), result: value(Stored::None).unwrap() };
    let second = server.go_on(&first, vec![call("0")], &[]);
    // Somebody else changes what the first step read.
    server.store.borrow_mut().put("pages", Some(Stored::Int(0)), text_value("other"));
    server.store.borrow_mut().fetched.clear();
    let last = server.go_on(&second, vec![call("1")], &[call("0")]);
    let StepStatus::Returned(bytes) = &last.status else { panic!("{last:?}") };
    let Stored::List(seen) = protocol::msgpack::decode(bytes).unwrap() else { panic!("a list") };
    let Stored::Tuple(first) = &seen[0] else { panic!("a tuple") };
    assert_eq!(first[0], text_value("first"));
    assert!(server.store.borrow().fetched.is_empty(), "replays fetch nothing");
}

#[test]
fn a_departure_shows_both_sides() {
    let mut server = diary();
    let FromWorker::End(first) = server.begin("Diary", "walk", &[Stored::Int(2)]) else { panic!("dropped") };
    let call = Delivered { position: "0".into(), result: value(Stored::None).unwrap() };
    server.go_on(&first, vec![call], &[]);
    server.journal[0].ops[0].1 = "call Diary.leaf".into();
    let FromWorker::Departed { invocation, step, expected, actual, .. } = server.replay() else {
        panic!("no departure")
    };
    assert_eq!((invocation, step), (ID, 0));
    assert_eq!((expected.as_str(), actual.as_str()), ("at 0: call Diary.leaf", "at 0: call Diary.page"));
}

#[test]
fn a_read_that_the_journal_lacks_is_a_departure() {
    let mut server = diary();
    let FromWorker::End(first) = server.begin("Diary", "walk", &[Stored::Int(2)]) else { panic!("dropped") };
    let call = Delivered { position: "0".into(), result: value(Stored::None).unwrap() };
    server.go_on(&first, vec![call], &[]);
    server.journal[0].reads.cells.clear();
    let FromWorker::Departed { actual, .. } = server.replay() else { panic!("no departure") };
    assert_eq!(actual, "a read of Diary.pages");
}

#[test]
fn a_worker_forgets_what_was_evicted() {
    let mut server = diary();
    server.begin("Diary", "walk", &[Stored::Int(2)]);
    assert_eq!(server.worker.suspended(), 1);
    server.worker.handle(protocol::worker::ToWorker::Evict(ID));
    assert_eq!(server.worker.suspended(), 0);
    server.new_worker();
    assert_eq!(server.worker.suspended(), 0);
}
