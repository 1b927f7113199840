//! The test's side of a worker: cells in a table, steps one at a time, results as the test says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::worker::{
    Delivered, FetchWhat, FromWorker, JournalStep, Op, Outcome, Resume, Slice, SliceCell, Start, StepEnd, StepStatus,
    ToWorker,
};
use protocol::{InvocationId, RunNumber, Value, msgpack};
use sdk::{Application, Host, Worker};

pub(crate) const ID: InvocationId = InvocationId([7; 16]);

/// Field and key of a cell, to its value; in order of insertion.
type Table = Vec<((String, Option<Vec<u8>>), Vec<u8>)>;

/// What is stored, and what was fetched of it.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) cells: Table,
    pub(crate) fetched: Vec<String>,
    /// Fetches are answered with *not now*.
    pub(crate) locked: bool,
}

impl Store {
    pub(crate) fn get(&self, field: &str, key: Option<&Value>) -> Option<Value> {
        let key = key.map(|key| msgpack::encode(key).unwrap());
        let found = self.cells.iter().find(|((of, at), _)| of == field && *at == key);
        found.map(|(_, value)| msgpack::decode(value).unwrap())
    }

    pub(crate) fn put(&mut self, field: &str, key: Option<Value>, value: Value) {
        let key = key.map(|key| msgpack::encode(&key).unwrap());
        self.store(field, key, Some(msgpack::encode(&value).unwrap()), false);
    }

    fn store(&mut self, field: &str, key: Option<Vec<u8>>, value: Option<Vec<u8>>, fresh: bool) {
        let at = self.cells.iter().position(|((of, at), _)| of == field && *at == key);
        match (at, value) {
            (Some(at), Some(value)) if !fresh => self.cells[at].1 = value,
            (at, value) => {
                if let Some(at) = at {
                    self.cells.remove(at);
                }
                if let Some(value) = value {
                    self.cells.push(((field.to_owned(), key), value));
                }
            }
        }
    }

    fn slice(&self, field: &str, what: &FetchWhat) -> Slice {
        let key = match what {
            FetchWhat::Scalar => None,
            FetchWhat::Entry(key) => Some(key.clone()),
            FetchWhat::Whole => {
                let entries = self.cells.iter().filter(|((of, _), _)| of == field);
                let entries = entries.filter_map(|((_, key), value)| Some((key.clone()?, value.clone(), 0)));
                return Slice { cells: Vec::new(), wholes: vec![(field.to_owned(), entries.collect())] };
            }
        };
        let value = self.cells.iter().find(|((of, at), _)| of == field && *at == key).map(|(_, value)| value.clone());
        Slice { cells: vec![SliceCell { field: field.to_owned(), key, value, incarnation: 0 }], wholes: Vec::new() }
    }
}

struct Fetches(Rc<RefCell<Store>>);

impl Host for Fetches {
    fn fetch(&mut self, _: RunNumber, field: &str, what: FetchWhat) -> Option<Slice> {
        let mut store = self.0.borrow_mut();
        let key = match &what {
            FetchWhat::Scalar => String::new(),
            FetchWhat::Entry(key) => format!("[{:?}]", msgpack::decode(key).unwrap()),
            FetchWhat::Whole => "[..]".to_owned(),
        };
        store.fetched.push(format!("{field}{key}"));
        if store.locked { None } else { Some(store.slice(field, &what)) }
    }
}

/// A worker and what is stored.
pub(crate) struct Server {
    pub(crate) store: Rc<RefCell<Store>>,
    pub(crate) worker: Worker,
    application: Application,
    start: Start,
    runs: u64,
    /// Steps of the invocation so far.
    pub(crate) journal: Vec<JournalStep>,
    /// Evict the coroutine at each suspension.
    pub(crate) evict: bool,
    /// Of a step behind a task, whether it goes on at once, and whether that is taken over then.
    pub(crate) goes_on: Box<dyn FnMut() -> Option<bool>>,
    /// Steps that were taken over.
    pub(crate) taken_over: usize,
    /// Invocations run inside a caller's transaction.
    pub(crate) in_transaction: bool,
}

impl Server {
    pub(crate) fn new(application: Application) -> Self {
        let store = Rc::new(RefCell::new(Store::default()));
        let worker = Worker::new(application.clone(), Rc::new(RefCell::new(Fetches(Rc::clone(&store)))));
        let (start, journal) = (Start::default(), Vec::new());
        let goes_on = Box::new(|| None);
        Self {
            store,
            worker,
            application,
            start,
            runs: 0,
            journal,
            evict: false,
            goes_on,
            taken_over: 0,
            in_transaction: false,
        }
    }

    /// Another worker, as after the death of the first.
    pub(crate) fn new_worker(&mut self) {
        let host = Rc::new(RefCell::new(Fetches(Rc::clone(&self.store))));
        self.worker = Worker::new(self.application.clone(), host);
    }

    fn run(&mut self) -> RunNumber {
        self.runs += 1;
        RunNumber(self.runs)
    }

    /// START of a method, as it is.
    pub(crate) fn begin(&mut self, service: &str, method: &str, args: &[Value]) -> FromWorker {
        self.journal.clear();
        self.start = Start {
            invocation: ID,
            service: service.into(),
            method: method.into(),
            args: msgpack::encode_args(args, &[]).unwrap(),
            clock: 1_000_000,
            in_transaction: self.in_transaction,
            ..Start::default()
        };
        let start = Start { run: self.run(), ..self.start.clone() };
        self.worker.handle(ToWorker::Start(Box::new(start))).unwrap()
    }

    /// A method of one step: its result, after its writes are stored.
    pub(crate) fn call(&mut self, service: &str, method: &str, args: &[Value]) -> Result<Value, String> {
        let FromWorker::End(end) = self.begin(service, method, args) else { panic!("the step was dropped") };
        self.accept(&end);
        result(&end)
    }

    /// Stores what a step wrote.
    pub(crate) fn accept(&mut self, end: &StepEnd) {
        let mut store = self.store.borrow_mut();
        for write in &end.writes {
            store.store(&write.field, write.key.clone(), write.value.clone(), write.fresh);
        }
    }

    /// Keeps a suspended step in the journal, with what was read in it, and accepts it.
    fn keep(&mut self, end: &StepEnd, delivered: &[Delivered], clock: u64) {
        let mut reads = Slice::default();
        for (field, key) in &end.reads {
            let what = key.clone().map_or(FetchWhat::Scalar, FetchWhat::Entry);
            reads.cells.extend(self.store.borrow().slice(field, &what).cells);
        }
        for field in &end.whole_reads {
            reads.wholes.extend(self.store.borrow().slice(field, &FetchWhat::Whole).wholes);
        }
        let ops = end.ops.iter().map(|op| (op.position.clone(), text(op))).collect();
        self.journal.push(JournalStep { clock, reads, delivered: delivered.to_vec(), ops });
        self.accept(end);
    }

    /// Goes on after a suspension with these results.
    pub(crate) fn go_on(&mut self, suspended: &StepEnd, delivered: Vec<Delivered>, last: &[Delivered]) -> StepEnd {
        self.keep(suspended, last, self.clock());
        let before = RunNumber(self.runs);
        let run = self.run();
        if let Some(end) = self.taken_over(before, run, &delivered) {
            return end;
        }
        let clock = self.clock();
        let start =
            Start { run, clock, journal: self.journal.clone(), delivered: delivered.clone(), ..self.start.clone() };
        let start = ToWorker::Start(Box::new(start));
        let resume = Resume { run, invocation: ID, clock, slice: Slice::default(), delivered };
        let said = if self.evict {
            self.worker.handle(ToWorker::Evict(ID));
            self.worker.handle(start)
        } else {
            match self.worker.handle(ToWorker::Resume(resume)) {
                Some(FromWorker::Dropped { .. }) => self.worker.handle(start),
                said => said,
            }
        };
        match said.unwrap() {
            FromWorker::End(end) => *end,
            other => panic!("{other:?}"),
        }
    }

    /// The clock of the next step.
    fn clock(&self) -> u64 {
        1_000_000 * (self.journal.len() as u64 + 1)
    }

    /// The next step, if it could go on without us.
    fn taken_over(&mut self, before: RunNumber, run: RunNumber, delivered: &[Delivered]) -> Option<StepEnd> {
        let [one] = delivered else { return None };
        let is_taken_over = (self.goes_on)()?;
        let went_on = self.worker.shelf().go_on(ID, &one.position, &one.result)?;
        assert_eq!((went_on.after, &went_on.delivered), (before, one));
        if !is_taken_over {
            return None;
        }
        self.taken_over += 1;
        Some(StepEnd { run, ..*went_on.accept(run) })
    }

    /// Runs the method over the journal, as if its next step began.
    pub(crate) fn replay(&mut self) -> FromWorker {
        let run = self.run();
        let start = Start { run, journal: self.journal.clone(), ..self.start.clone() };
        self.worker.handle(ToWorker::Start(Box::new(start))).unwrap()
    }

    /// Runs an invocation to its end; `answer` says what its operations give.
    pub(crate) fn run_to_end(
        &mut self,
        service: &str,
        method: &str,
        args: &[Value],
        mut answer: impl FnMut(&Op) -> Option<Outcome>,
    ) -> (Result<Value, String>, Vec<String>) {
        let FromWorker::End(mut end) = self.begin(service, method, args) else { panic!("the step was dropped") };
        let mut asked = BTreeMap::new();
        let (mut told, mut last) = (Vec::new(), Vec::new());
        loop {
            for op in &end.ops {
                told.push(text(op));
                asked.insert(op.position.clone(), op.clone());
            }
            if end.status != StepStatus::Suspended {
                self.accept(&end);
                return (result(&end), told);
            }
            let mut delivered = Vec::new();
            for position in &end.waits {
                if let Some(result) = answer(&asked[position]) {
                    delivered.push(Delivered { position: position.clone(), result });
                }
            }
            assert!(!delivered.is_empty(), "{:?} waits for {:?}, and nothing answers", told, end.waits);
            let next = self.go_on(&end, delivered.clone(), &last);
            (end, last) = (Box::new(next), delivered);
        }
    }
}

/// What a step ended with.
pub(crate) fn result(end: &StepEnd) -> Result<Value, String> {
    let exception = |bytes: &[u8]| {
        let exception = protocol::message::Exception::from_value(bytes);
        Err(format!("{}: {}", exception.class, exception.message))
    };
    match &end.status {
        StepStatus::Returned(value) => Ok(msgpack::decode(value).unwrap()),
        StepStatus::Raised(bytes) | StepStatus::NotStorable(bytes) => exception(bytes),
        StepStatus::Suspended => Err("suspended".into()),
    }
}

/// How the journal names an operation.
pub(crate) fn text(op: &Op) -> String {
    op.kind.text()
}

pub(crate) fn text_value(text: &str) -> Value {
    Value::Str(text.into())
}

/// The outcome that is this value.
pub(crate) fn value(value: Value) -> Option<Outcome> {
    Some(Outcome::Value(msgpack::encode(&value).unwrap()))
}

/// The outcome that is an exception.
pub(crate) fn exception(class: &str, message: &str) -> Option<Outcome> {
    Some(Outcome::Exception(protocol::message::Exception::encode(class, message)))
}
