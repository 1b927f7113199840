//! The configurations that are walked through: few partitions, few requests, few cells, and which faults.

use crate::program::keys_on;

/// What a request leaves behind when it has succeeded: groups of cells that get its digit, each all or nothing.
pub(super) type Leaves = Vec<Vec<String>>;

/// How a request must end, if it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// With everything that it leaves.
    Done,
    /// With a number that encodes what it read of the cells in `reads`.
    Read,
    /// With nothing left behind.
    Nothing,
    /// With 1 and everything, or with 2 and the first group only: an exception was caught.
    DoneOrRefused,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) service: &'static str,
    pub(super) key: Option<i64>,
    pub(super) method: &'static str,
    pub(super) args: Vec<i64>,
    /// Partition of its home.
    pub(super) home: u16,
    /// Is sent again, with an `Idempotency-Key`, if a crash took it.
    pub(super) again: bool,
    /// Not before this one is answered.
    pub(super) after: Option<usize>,
    /// Not before a crash, unless this one is answered.
    pub(super) crash_or: Option<usize>,
    pub(super) leaves: Leaves,
    pub(super) reads: Vec<String>,
    pub(super) ends: Ends,
}

impl Wish {
    fn again(mut self) -> Self {
        self.again = true;
        self
    }

    fn after(mut self, index: usize) -> Self {
        self.after = Some(index);
        self
    }

    fn after_crash_or(mut self, index: usize) -> Self {
        self.crash_or = Some(index);
        self
    }
}

/// A small world.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub name: &'static str,
    pub about: &'static str,
    /// The log of each partition.
    pub(super) logs: Vec<usize>,
    pub(super) requests: Vec<Wish>,
    pub(super) crashes: u32,
    /// Only the node of this log crashes, and only while the first request is under way; `None`: any at any time.
    pub(super) crashes_of: Option<usize>,
    pub(super) deaths: u32,
    /// Steps behind a step that starts run ahead on what it leaves.
    pub(super) ahead: bool,
    /// States after which it is left; `None`: all are visited.
    pub states_max: Option<usize>,
    /// It is small enough for a test that runs always.
    pub is_quick: bool,
}

impl Configuration {
    pub(super) fn partitions(&self) -> u16 {
        self.logs.len() as u16
    }

    /// For people: how the partitions share logs.
    pub fn shape(&self) -> String {
        let nodes = self.logs.iter().max().map_or(0, |last| last + 1);
        format!("{} partitions, {nodes} logs", self.logs.len())
    }

    /// For people: which faults.
    pub fn faults(&self) -> String {
        match (self.crashes, self.deaths) {
            (0, 0) => "none".to_owned(),
            (crashes, 0) => match self.crashes_of {
                Some(log) => format!("{crashes} crash of log {log}"),
                None => format!("{crashes} crash"),
            },
            (0, deaths) => format!("{deaths} worker"),
            (crashes, deaths) => format!("{crashes} crash, {deaths} worker"),
        }
    }
}

/// Stands for another key of the same partition.
const SECOND: u16 = 100;

/// The smallest number that lies on this partition as a key, or the second one.
fn key_on(partition: u16, partitions: u16) -> i64 {
    let (partition, skipped) = (partition % SECOND, usize::from(partition / SECOND));
    keys_on(partition, partitions).nth(skipped).expect("every partition has slots")
}

/// Makes the requests of a configuration.
struct Maker {
    partitions: u16,
}

impl Maker {
    fn key(&self, partition: u16) -> i64 {
        key_on(partition, self.partitions)
    }

    fn cell(&self, partition: u16) -> String {
        format!("Pad.c[{}]", self.key(partition))
    }

    fn account(&self, partition: u16) -> String {
        format!("Account({}).v", self.key(partition))
    }

    fn cells(&self, partitions: &[u16]) -> Vec<String> {
        partitions.iter().map(|partition| self.cell(*partition)).collect()
    }

    fn keys(&self, partitions: &[u16]) -> Vec<i64> {
        partitions.iter().map(|partition| self.key(*partition)).collect()
    }

    /// A method of `Root`, at home on a partition, over the keys of others.
    fn root(&self, home: u16, method: &'static str, over: &[u16], tag: i64) -> Wish {
        let mut args = vec![self.key(home)];
        args.extend(self.keys(over));
        args.push(tag);
        let leaves = vec![self.cells(over)];
        Wish {
            service: "Root",
            key: None,
            method,
            args,
            home,
            again: false,
            after: None,
            crash_or: None,
            leaves,
            reads: Vec::new(),
            ends: Ends::Done,
        }
    }

    fn look(&self, home: u16, method: &'static str, over: &[u16]) -> Wish {
        let wish = self.root(home, method, over, 0);
        Wish { leaves: Vec::new(), reads: self.cells(over), ends: Ends::Read, ..wish }
    }

    fn pad(&self, method: &'static str, over: &[u16], tag: i64) -> Wish {
        let mut args = self.keys(over);
        args.push(tag);
        Wish { service: "Pad", args, ..self.root(over[0], method, over, tag) }
    }

    fn reader(&self, method: &'static str, over: &[u16]) -> Wish {
        let wish = self.pad(method, over, 0);
        Wish { leaves: Vec::new(), reads: self.cells(over), ends: Ends::Read, ..wish }
    }

    fn nothing(&self, home: u16, method: &'static str, over: &[u16], tag: i64) -> Wish {
        Wish { leaves: Vec::new(), ends: Ends::Nothing, ..self.root(home, method, over, tag) }
    }

    fn turns(&self, home: u16, over: &[u16], tag: i64) -> Wish {
        let leaves = vec![over.iter().map(|partition| self.account(*partition)).collect()];
        Wish { leaves, ..self.root(home, "turns", over, tag) }
    }

    /// A cell first, then the turn of an entity.
    fn pad_and_turn(&self, cell: u16, account: u16, tag: i64) -> Wish {
        let leaves = vec![vec![self.cell(cell), self.account(account)]];
        Wish { leaves, ..self.root(cell, "pad_and_turn", &[cell, account], tag) }
    }

    /// Keeps its turn over a call to the cell of the other partition.
    fn slowly(&self, on: u16, tag: i64) -> Wish {
        let leaves = vec![vec![self.cell(1 - on)], vec![self.account(on)]];
        self.operation(on, "slowly", vec![self.key(1 - on), tag], leaves)
    }

    fn operation(&self, on: u16, method: &'static str, args: Vec<i64>, leaves: Leaves) -> Wish {
        let wish = self.root(on, method, &[], 0);
        Wish { service: "Account", key: Some(self.key(on)), args, leaves, ..wish }
    }
}

/// How partitions share logs.
fn logs(name: &str, partitions: u16) -> Vec<usize> {
    match name {
        "one" => vec![0; usize::from(partitions)],
        "each" => (0..usize::from(partitions)).collect(),
        _ => (0..usize::from(partitions)).map(|id| id / 2).collect(),
    }
}

fn configuration(
    name: &'static str,
    shape: &str,
    partitions: u16,
    about: &'static str,
    requests: Vec<Wish>,
) -> Configuration {
    let logs = logs(shape, partitions);
    Configuration {
        name,
        about,
        logs,
        requests,
        crashes: 0,
        crashes_of: None,
        deaths: 0,
        ahead: false,
        states_max: None,
        is_quick: true,
    }
}

/// Too large for a test that runs always.
fn long(configuration: Configuration) -> Configuration {
    Configuration { is_quick: false, ..configuration }
}

/// With group execution.
fn ahead(configuration: Configuration) -> Configuration {
    Configuration { ahead: true, ..configuration }
}

/// One crash.
fn crash(configuration: Configuration) -> Configuration {
    Configuration { crashes: 1, is_quick: false, ..configuration }
}

/// All configurations.
pub fn all() -> Vec<Configuration> {
    let two = Maker { partitions: 2 };
    let three = Maker { partitions: 3 };
    let with_two = [steps(&two), groups(&two), transactions(&two), readers(&two), aborts(&two), entities(&two)];
    [with_two.concat(), crashes(&two), restarts(&two, &three), many(&three)].concat()
}

/// Steps outside transactions.
fn steps(two: &Maker) -> Vec<Configuration> {
    let both = || vec![two.pad("append_both", &[0, 1], 1), two.pad("append_both", &[1, 0], 2)];
    let calls = || vec![calls(two, 0, &[0, 1], 1), calls(two, 1, &[1, 0], 2)];
    let pair = || vec![two.pad("append_both", &[0, SECOND], 1), two.pad("append_both", &[SECOND, 0], 2)];
    vec![
        configuration(
            "steps",
            "one",
            2,
            "two steps on one cell",
            vec![two.pad("append", &[0], 1), two.pad("append", &[0], 2)],
        ),
        configuration("pair", "one", 2, "two steps, each over the same two cells of a partition", pair()),
        configuration("two-cells-one", "one", 2, "two steps, each over the cells of both partitions", both()),
        configuration("two-cells-each", "each", 2, "the same", both()),
        long(configuration(
            "calls-one",
            "one",
            2,
            "two invocations that make two calls each, in opposite order",
            calls(),
        )),
        long(configuration("calls-each", "each", 2, "the same", calls())),
    ]
}

/// Steps on one cell that run ahead of their turn, and what may come between them.
fn groups(two: &Maker) -> Vec<Configuration> {
    let line = || (1..=3).map(|tag| two.pad("append", &[0], tag)).collect::<Vec<_>>();
    let elder = || {
        let behind = (2..=4).map(|tag| two.pad("append", &[0], tag));
        std::iter::once(two.root(0, "two", &[1, 0], 1)).chain(behind).collect()
    };
    let again = || line().into_iter().map(Wish::again).take(2).collect();
    vec![
        ahead(configuration("ahead", "one", 2, "three steps on one cell", line())),
        long(ahead(configuration(
            "ahead-elder-one",
            "one",
            2,
            "three steps on one cell, and a transaction over it",
            elder(),
        ))),
        long(ahead(configuration("ahead-elder-each", "each", 2, "the same", elder()))),
        Configuration { deaths: 2, ..ahead(configuration("death-ahead", "one", 2, "three steps on one cell", line())) },
        crash(ahead(configuration("crash-ahead", "one", 2, "two steps on one cell", again()))),
        crash(ahead(configuration(
            "crash-ahead-elder-each",
            "each",
            2,
            "three steps on one cell, and a transaction over it",
            elder(),
        ))),
    ]
}

/// Calls without a transaction: each stands for itself.
fn calls(maker: &Maker, home: u16, over: &[u16], tag: i64) -> Wish {
    let wish = maker.root(home, "calls", over, tag);
    Wish { leaves: maker.cells(over).into_iter().map(|cell| vec![cell]).collect(), ..wish }
}

fn transactions(two: &Maker) -> Vec<Configuration> {
    let crossing = || vec![two.root(0, "two", &[0, 1], 1), two.root(1, "two", &[1, 0], 2)];
    let younger = || vec![two.root(1, "two", &[1, 0], 1), two.root(1, "two", &[0, 1], 2)];
    let elder = || vec![two.root(0, "two", &[1, 0], 1), two.root(0, "two", &[0, 1], 2), two.pad("append", &[1], 3)];
    let siblings = || vec![two.root(0, "side_by_side", &[1, 1], 1), two.pad("append", &[1], 2)];
    let gathers = || vec![two.root(0, "side_by_side", &[0, 1], 1), two.root(1, "side_by_side", &[0, 1], 2)];
    let sending = || vec![sending(two, 0, &[1, 0], 1), two.pad("append", &[1], 2)];
    let unforeseen = || vec![two.root(0, "two", &[0, 1], 1), two.pad("append_unforeseen", &[1], 2)];
    vec![
        configuration("crossing-one", "one", 2, "two transactions over two cells in opposite order", crossing()),
        configuration("crossing-each", "each", 2, "the same", crossing()),
        configuration("one-home-each", "each", 2, "the same, both at home on one partition", younger()),
        long(configuration("elder-each", "each", 2, "the oldest comes last to where the others wait", elder())),
        configuration("siblings-one", "one", 2, "two calls of one attempt on one cell, and a step on it", siblings()),
        configuration("siblings-each", "each", 2, "the same", siblings()),
        long(configuration("gathers-each", "each", 2, "two transactions that call both cells at once", gathers())),
        configuration("unforeseen-each", "each", 2, "a transaction, and a step that nobody foresaw", unforeseen()),
        configuration("sending-each", "each", 2, "a transaction with a one-way call, and a step", sending()),
    ]
}

/// The first cell gets the digit in the transaction, the second one by a one-way call that leaves with the commit.
fn sending(maker: &Maker, home: u16, over: &[u16], tag: i64) -> Wish {
    maker.root(home, "sending", over, tag)
}

fn readers(two: &Maker) -> Vec<Configuration> {
    let steps = || vec![two.root(0, "two", &[0, 1], 1), two.reader("look_both", &[0, 1])];
    let in_turn = || {
        let look = two.reader("look_both", &[1, 0]);
        vec![two.root(0, "two", &[0, 1], 1), look, two.look(0, "look_two", &[0, 1]).after(1)]
    };
    vec![
        configuration("reader-one", "one", 2, "a transaction, and a read-only step over the same cells", steps()),
        configuration("reader-each", "each", 2, "the same", steps()),
        configuration("readers-each", "each", 2, "a transaction, a reader, and a later reading transaction", in_turn()),
    ]
}

fn aborts(two: &Maker) -> Vec<Configuration> {
    let taken = || vec![two.nothing(0, "take_back", &[0, 1], 1), two.root(1, "two", &[1, 0], 2)];
    let failing = || vec![two.nothing(0, "fail", &[1, 0], 1), two.root(1, "two", &[1, 0], 2)];
    vec![
        configuration(
            "taken-back-one",
            "one",
            2,
            "a transaction that aborts after its writes, and another one",
            taken(),
        ),
        configuration("taken-back-each", "each", 2, "the same", taken()),
        configuration("failing-each", "each", 2, "a transaction that aborts while one of its calls runs", failing()),
    ]
}

fn entities(two: &Maker) -> Vec<Configuration> {
    let turns = || vec![two.turns(0, &[0, 1], 1), two.turns(1, &[1, 0], 2)];
    let outside = || vec![two.slowly(0, 1), two.turns(1, &[1, 0], 2)];
    let cell_first = || vec![two.pad_and_turn(0, 1, 1), two.slowly(1, 2)];
    let pass = |on: u16, tag: i64| {
        let leaves = vec![vec![two.account(on)], vec![two.account(1 - on)]];
        Wish { ends: Ends::DoneOrRefused, ..two.operation(on, "pass", vec![two.key(1 - on), tag], leaves) }
    };
    let circle = || vec![pass(0, 1), pass(1, 2)];
    vec![
        configuration("turns-one", "one", 2, "two transactions over two entities in opposite order", turns()),
        configuration("turns-each", "each", 2, "the same", turns()),
        configuration(
            "turn-held-each",
            "each",
            2,
            "an operation that keeps its turn over a call, and a transaction",
            outside(),
        ),
        configuration(
            "turn-and-cell-each",
            "each",
            2,
            "a transaction that holds what the holder of a turn needs",
            cell_first(),
        ),
        configuration("circle-each", "each", 2, "two operations that ask for each other's turns", circle()),
    ]
}

/// With a crash anywhere.
fn crashes(two: &Maker) -> Vec<Configuration> {
    let alone = || vec![two.root(0, "two", &[1, 0], 1).again()];
    let with_step = || vec![two.root(0, "two", &[1, 0], 1).again(), two.pad("append", &[1], 2).again()];
    let both = || vec![two.pad("append_both", &[0, 1], 1).again(), two.pad("append", &[1], 2).again()];
    let read = || vec![two.pad("append", &[1], 1), two.reader("look", &[1])];
    let siblings = || vec![two.root(0, "side_by_side", &[1, 1], 1).again()];
    let sent = || vec![sending(two, 0, &[1, 0], 1).again()];
    let called = || vec![Wish { again: true, ..calls(two, 0, &[1, 0], 1) }];
    let taken = || vec![two.nothing(0, "take_back", &[0, 1], 1).again(), two.pad("append", &[1], 2).again()];
    let failing = || vec![two.nothing(0, "fail", &[1, 0], 1).again(), two.pad("append", &[1], 2).again()];
    let turns = || vec![two.turns(0, &[1, 0], 1).again()];
    let held = || vec![two.slowly(0, 1).again()];
    let cell_first = || vec![two.pad_and_turn(0, 1, 1).again(), two.slowly(1, 2).again()];
    let quick = |configuration| Configuration { is_quick: true, ..crash(configuration) };
    vec![
        quick(configuration("crash-alone-one", "one", 2, "a transaction over two cells", alone())),
        quick(configuration("crash-alone-each", "each", 2, "the same", alone())),
        crash(configuration("crash-step-one", "one", 2, "a transaction and a step on one of its cells", with_step())),
        crash(configuration("crash-step-each", "each", 2, "the same", with_step())),
        crash(configuration("crash-two-cells-each", "each", 2, "a step over two cells and one over one", both())),
        quick(configuration("crash-read-one", "one", 2, "a step, and one that only reads", read())),
        quick(configuration("crash-siblings-each", "each", 2, "two calls of one attempt on one cell", siblings())),
        crash(configuration("crash-sending-each", "each", 2, "a transaction with a one-way call", sent())),
        crash(configuration("crash-calls-each", "each", 2, "an invocation that makes two calls", called())),
        quick(configuration("crash-turns-each", "each", 2, "a transaction over two entities", turns())),
        crash(configuration("crash-held-each", "each", 2, "an operation that keeps its turn over a call", held())),
        crash(configuration(
            "crash-failing-each",
            "each",
            2,
            "a transaction that aborts while a call runs, and a step",
            failing(),
        )),
        crash(configuration(
            "crash-turn-and-cell-each",
            "each",
            2,
            "a transaction that holds what the holder of a turn needs",
            cell_first(),
        )),
        crash(configuration("crash-taken-back-each", "each", 2, "a transaction that aborts, and a step", taken())),
        Configuration {
            deaths: 1,
            ..configuration("death-step-each", "each", 2, "a transaction and a step on one of its cells", with_step())
        },
        Configuration {
            crashes: 2,
            is_quick: false,
            ..configuration("crash-twice-each", "each", 2, "a transaction over two cells", alone())
        },
    ]
}

/// A transaction looks at two cells; the node of one of them, or its own, crashes; then the one is written, then the other.
fn restarts(two: &Maker, three: &Maker) -> Vec<Configuration> {
    let of = |log, configuration| Configuration { crashes_of: Some(log), is_quick: true, ..crash(configuration) };
    let requests = |maker: &Maker, other: u16| {
        let steps = [maker.pad("append", &[1], 1).after_crash_or(0), maker.pad("append", &[other], 2).after(1)];
        [vec![maker.look(0, "look_at_once", &[1, other])], steps.to_vec()].concat()
    };
    let about = "a look at two cells, and after the crash a step on one, then on the other";
    vec![
        of(1, configuration("restart-part-each", "each", 2, about, requests(two, 0))),
        of(0, configuration("restart-home-each", "each", 3, "the same", requests(three, 2))),
    ]
}

/// More of everything, as far as it goes.
fn many(three: &Maker) -> Vec<Configuration> {
    let ring =
        || vec![three.root(0, "two", &[0, 1], 1), three.root(1, "two", &[1, 2], 2), three.root(2, "two", &[2, 0], 3)];
    let looking = || vec![three.nothing(0, "fail_looking", &[2, 1], 1), three.root(2, "two", &[2, 1], 2)];
    let onward =
        || vec![three.pad("append", &[0], 1), three.root(0, "onward", &[1, 2, 0], 2), three.pad("append", &[2], 3)];
    let together = || {
        let siblings = three.root(0, "side_by_side", &[1, 1], 1).again();
        let aborts = three.nothing(2, "fail", &[1, 0], 2).again();
        vec![siblings, aborts, three.pad_and_turn(1, 2, 3).again()]
    };
    let bounded = |configuration| Configuration { states_max: Some(1_000_000), is_quick: false, ..configuration };
    vec![
        long(configuration(
            "looking-each",
            "each",
            3,
            "an abort while others of its calls read, and a transaction",
            looking(),
        )),
        bounded(configuration(
            "onward-each",
            "each",
            3,
            "a transaction with a call of a call, and two steps",
            onward(),
        )),
        bounded(configuration("ring-mixed", "mixed", 3, "three transactions in a ring of three cells", ring())),
        bounded(configuration("ring-each", "each", 3, "the same", ring())),
        bounded(configuration("together-mixed", "mixed", 3, "siblings, an abort and a turn over one cell", together())),
        bounded(crash(configuration("crash-together-mixed", "mixed", 3, "the same", together()))),
        bounded(crash(configuration("crash-ring-mixed", "mixed", 3, "the same", ring()))),
    ]
}
