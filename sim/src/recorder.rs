//! What user code saw and did, also in runs that came to nothing. Outside of the system under test: nothing here depends
//! on what partitions, logs or nodes say.
//!
//! Every write has a *version* of its own, which is stored with the value, so that every read names the write that it
//! saw. Reads and writes belong to *units*: an attempt of a transaction, or one run of a step outside of transactions.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use protocol::ids::InvocationId;

/// Number of a transaction attempt; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(pub i64);

/// A cell by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(pub u32);

/// What a read of an absent cell sees.
pub const ABSENT: i64 = -1;
/// What a read of a cell sees that was never written.
pub const INITIAL: i64 = 0;

/// Who touches which cell.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub root: i64,
    pub invocation: InvocationId,
    pub step: u64,
    pub run: u64,
    pub transaction: Unit,
    pub field: String,
    pub key: String,
}

/// A write.
#[derive(Clone, Debug)]
pub struct Version {
    pub cell: CellId,
    pub unit: Unit,
    /// `None`: a deletion.
    pub value: Option<i64>,
}

/// A read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    pub cell: CellId,
    /// A version, or [`ABSENT`] or [`INITIAL`].
    pub version: i64,
}

/// What one unit did.
#[derive(Clone, Debug, Default)]
pub struct UnitRecord {
    /// The request that it is part of, see [`UnitRecord::request`].
    pub root: i64,
    pub invocation: InvocationId,
    pub step: u64,
    pub is_transaction: bool,
    /// A step that ran ahead of its turn, on what another one was about to leave.
    pub is_ahead: bool,
    /// When it last touched a cell, in events.
    pub touched: u64,
    pub wrote: Vec<i64>,
    /// Executions of steps, in the order in which they began.
    pub runs: Vec<RunRecord>,
}

/// What one execution of a step read. A step that is run again has seen nothing in its earlier runs.
#[derive(Clone, Debug, Default)]
pub struct RunRecord {
    /// Which step of which invocation.
    pub step: (InvocationId, u64),
    /// Which run, in which life of its node.
    run: (u32, u64),
    /// First and last touch, in events.
    pub first: u64,
    pub last: u64,
    pub reads: Vec<Read>,
    /// Whole fields that were read, and the keys found.
    pub scans: Vec<(u32, Vec<CellId>)>,
    /// It was dropped before its end: its step let go of what it had read.
    is_dropped: bool,
}

impl UnitRecord {
    /// Was this run dropped, or followed by another one of the same step?
    pub fn is_superseded(&self, index: usize) -> bool {
        let run = &self.runs[index];
        run.is_dropped || self.runs[index + 1..].iter().any(|later| later.step == run.step)
    }
}

/// The root of what a request sent without waiting for it.
pub fn detached(root: i64) -> i64 {
    if root < 0 { root } else { -root - 1 }
}

impl UnitRecord {
    /// The request that it is part of, directly or by a one-way call.
    pub fn request(&self) -> usize {
        let root = if self.root < 0 { -self.root - 1 } else { self.root };
        root as usize
    }
}

/// Where a write stands in a program: invocation, step, number within the step.
pub type Place = (InvocationId, u64, u32);

/// A cell: field and key.
#[derive(Clone, Debug)]
pub struct CellName {
    pub field: u32,
    pub text: String,
}

/// All that was seen.
#[derive(Debug, Default)]
pub struct Recorder {
    versions: Vec<Version>,
    units: Vec<UnitRecord>,
    cells: Vec<CellName>,
    fields: Vec<String>,
    cell_numbers: HashMap<String, CellId>,
    field_numbers: HashMap<String, u32>,
    steps: HashMap<(InvocationId, u64, u64, u32), Unit>,
    attempts: BTreeMap<(InvocationId, u64, u32), Unit>,
    /// Runs ahead of their turn: invocation, run, life of the node.
    ahead: HashSet<(InvocationId, u64, u32)>,
    /// The version that the newest run gave to a write.
    places: HashMap<Place, (u32, u64, i64)>,
    /// The present, in events.
    pub now: u64,
    /// What was read and written since somebody last looked, for a trace; `None`: nobody looks.
    pub said: Option<Vec<String>>,
}

impl Recorder {
    pub fn version(&self, version: i64) -> Option<&Version> {
        self.versions.get(usize::try_from(version - 1).ok()?)
    }

    pub fn versions(&self) -> impl Iterator<Item = (i64, &Version)> {
        (1..).zip(&self.versions)
    }

    pub fn units(&self) -> impl Iterator<Item = (Unit, &UnitRecord)> {
        (1..).map(Unit).zip(&self.units)
    }

    pub fn unit(&self, unit: Unit) -> &UnitRecord {
        &self.units[unit.0 as usize - 1]
    }

    pub fn cell_name(&self, cell: CellId) -> &str {
        &self.cells[cell.0 as usize].text
    }

    /// All cells of a field that anybody ever touched.
    pub fn cells_of(&self, field: u32) -> impl Iterator<Item = CellId> {
        (0..).map(CellId).zip(&self.cells).filter(move |(_, name)| name.field == field).map(|(cell, _)| cell)
    }

    /// A unit for people.
    pub fn unit_text(&self, unit: Unit) -> String {
        let record = self.unit(unit);
        let what = if record.is_transaction { "attempt".to_owned() } else { format!("step {}", record.step) };
        format!("{what} (unit {}) of {}, request {}", unit.0, record.invocation, record.root)
    }

    fn say(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.said.is_some() {
            let text = text(self);
            self.said.get_or_insert_default().push(text);
        }
    }

    fn field(&mut self, name: &str) -> u32 {
        if let Some(number) = self.field_numbers.get(name) {
            return *number;
        }
        let number = self.fields.len() as u32;
        self.fields.push(name.to_owned());
        self.field_numbers.insert(name.to_owned(), number);
        number
    }

    fn cell(&mut self, field: &str, key: &str) -> CellId {
        let text = format!("{field}{key}");
        if let Some(cell) = self.cell_numbers.get(&text) {
            return *cell;
        }
        let cell = CellId(self.cells.len() as u32);
        let field = self.field(field);
        self.cells.push(CellName { field, text: text.clone() });
        self.cell_numbers.insert(text, cell);
        cell
    }

    /// This run does not wait for its turn.
    pub fn runs_ahead(&mut self, invocation: InvocationId, run: u64, life: u32) {
        self.ahead.insert((invocation, run, life));
    }

    /// The node has dropped what the newest run of this invocation did, as it wrote cells that were not foreseen.
    pub fn runs_again(&mut self, invocation: InvocationId, life: u32) {
        let units = self.units.iter().filter(|unit| unit.is_transaction);
        let runs = units.flat_map(|unit| &unit.runs).filter(|known| known.step.0 == invocation && known.run.0 == life);
        if let Some(newest) = runs.map(|known| known.run.1).max() {
            self.drops(invocation, newest, life);
        }
    }

    /// The worker has dropped this run, which it will do again unless its attempt dies first.
    pub fn drops(&mut self, invocation: InvocationId, run: u64, life: u32) {
        // Outside of transactions each run is a unit of its own.
        let runs = self.units.iter_mut().filter(|unit| unit.is_transaction).flat_map(|unit| &mut unit.runs);
        for known in runs.filter(|known| known.step.0 == invocation && known.run == (life, run)) {
            known.is_dropped = true;
        }
    }

    fn new_unit(&mut self, record: UnitRecord) -> Unit {
        self.units.push(record);
        Unit(self.units.len() as i64)
    }

    fn unit_of(&mut self, reading: &Reading, life: u32) -> Unit {
        let unit = self.find_unit(reading, life);
        let now = self.now;
        let record = &mut self.units[unit.0 as usize - 1];
        record.touched = now;
        let (step, run) = ((reading.invocation, reading.step), (life, reading.run));
        match record.runs.iter_mut().find(|known| known.step == step && known.run == run) {
            Some(known) => known.last = now,
            None => record.runs.push(RunRecord { step, run, first: now, last: now, ..RunRecord::default() }),
        }
        unit
    }

    /// The run of a unit that was touched last by this one.
    fn run(&mut self, unit: Unit, reading: &Reading, life: u32) -> &mut RunRecord {
        let (step, run) = ((reading.invocation, reading.step), (life, reading.run));
        let runs = &mut self.units[unit.0 as usize - 1].runs;
        runs.iter_mut().find(|known| known.step == step && known.run == run).expect("it has just been touched")
    }

    fn find_unit(&mut self, reading: &Reading, life: u32) -> Unit {
        if reading.transaction != Unit::default() {
            self.units[reading.transaction.0 as usize - 1].root = reading.root;
            return reading.transaction;
        }
        let key = (reading.invocation, reading.step, reading.run, life);
        if let Some(unit) = self.steps.get(&key) {
            return *unit;
        }
        let (root, invocation, step) = (reading.root, reading.invocation, reading.step);
        let is_ahead = self.ahead.contains(&(invocation, reading.run, life));
        let unit = self.new_unit(UnitRecord { root, invocation, step, is_ahead, ..UnitRecord::default() });
        self.steps.insert(key, unit);
        unit
    }
}

/// What a coroutine has of a recorder. Without one, nothing is recorded and values carry no versions.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    recorder: Option<Rc<RefCell<Recorder>>>,
    /// Life of the node that the worker belongs to.
    life: u32,
}

impl Witness {
    pub fn new(recorder: &Rc<RefCell<Recorder>>, life: u32) -> Self {
        Self { recorder: Some(Rc::clone(recorder)), life }
    }

    pub fn records(&self) -> bool {
        self.recorder.is_some()
    }

    /// The unit of the attempt of `invocation` that began with this clock. What is replayed may have happened in an
    /// earlier life of the node.
    pub fn attempt(&self, invocation: InvocationId, clock: u64, replaying: bool) -> Unit {
        let Some(recorder) = &self.recorder else { return Unit::default() };
        let mut recorder = recorder.borrow_mut();
        let first = if replaying { 0 } else { self.life };
        let known = recorder.attempts.range((invocation, clock, first)..=(invocation, clock, self.life)).next_back();
        if let Some((_, unit)) = known {
            return *unit;
        }
        let record = UnitRecord { invocation, is_transaction: true, ..UnitRecord::default() };
        let unit = recorder.new_unit(record);
        recorder.attempts.insert((invocation, clock, self.life), unit);
        unit
    }

    pub fn read(&self, reading: Reading, version: i64) {
        let Some(recorder) = &self.recorder else { return };
        let mut recorder = recorder.borrow_mut();
        let cell = recorder.cell(&reading.field, &reading.key);
        let unit = recorder.unit_of(&reading, self.life);
        recorder.run(unit, &reading, self.life).reads.push(Read { cell, version });
        recorder.say(|recorder| format!("unit {} reads version {version} of {}", unit.0, recorder.cell_name(cell)));
    }

    /// The whole field was read, and these keys were there.
    pub fn scanned(&self, reading: Reading, keys: Vec<String>) {
        let Some(recorder) = &self.recorder else { return };
        let mut recorder = recorder.borrow_mut();
        let field = recorder.field(&reading.field);
        let found = keys.iter().map(|key| recorder.cell(&reading.field, key)).collect();
        let unit = recorder.unit_of(&reading, self.life);
        recorder.run(unit, &reading, self.life).scans.push((field, found));
        recorder.say(|_| format!("unit {} has read all of {}: {keys:?}", unit.0, reading.field));
    }

    /// Was this version written by this attempt?
    pub fn is_of(&self, version: i64, unit: Unit) -> bool {
        let Some(recorder) = &self.recorder else { return false };
        recorder.borrow().version(version).is_some_and(|version| version.unit == unit)
    }

    /// A write gets its version.
    pub fn wrote(&self, place: Place, reading: Reading, value: Option<i64>) -> i64 {
        let Some(recorder) = &self.recorder else { return 0 };
        let mut recorder = recorder.borrow_mut();
        let cell = recorder.cell(&reading.field, &reading.key);
        let unit = recorder.unit_of(&reading, self.life);
        recorder.versions.push(Version { cell, unit, value });
        let version = recorder.versions.len() as i64;
        recorder.say(|recorder| format!("unit {} writes version {version} of {}", unit.0, recorder.cell_name(cell)));
        recorder.units[unit.0 as usize - 1].wrote.push(version);
        let run = (self.life, reading.run);
        let newest = recorder.places.entry(place).or_insert((run.0, run.1, version));
        if run >= (newest.0, newest.1) {
            *newest = (run.0, run.1, version);
        }
        version
    }

    /// The version of a write that is replayed.
    pub fn version_of(&self, place: Place) -> i64 {
        let Some(recorder) = &self.recorder else { return 0 };
        recorder.borrow().places.get(&place).map_or(0, |(.., version)| *version)
    }
}
