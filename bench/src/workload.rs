//! The canonical workloads: what each prepares, sends and verifies. The applications are those in `apps`, and
//! `services` in Rust.

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::{
    http::{Client, Request},
    load::{Seen, Traffic},
};

pub(crate) const TALLIES: u64 = 1000;
const PLACES: u64 = 100;
const FREE: u64 = 1_000_000;
pub(crate) const ACCOUNTS: u64 = 1000;
const FUNDS: u64 = 1_000_000;
/// Elements that one call adds while a list is filled: what one step may write.
const FILL: u64 = 20_000;

/// The language of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// In worker processes.
    Python,
    /// In threads of the server.
    Rust,
}

impl Language {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Rust => "rust",
        }
    }
}

/// One workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// A method that does nothing. It changes nothing, so nothing is recorded.
    Noop,
    /// The same with an `Idempotency-Key` each, so that its result is recorded and durable before the answer.
    #[value(name = "noop-key")]
    NoopKey,
    /// Five tasks in sequence.
    #[value(name = "hello5")]
    Hello5,
    /// Additions to 1000 counters, each one step on one partition.
    Counter,
    /// Additions to one counter.
    Hot,
    /// Transfers between 1000 accounts: a transaction over two entities.
    Transfer,
    /// A hundred tasks side by side.
    Fanout,
    /// A room, a seat and an order in a transaction.
    Book,
    /// A service that calls one that calls one.
    Chain,
    /// Nine reads of a counter of 1000 for each addition.
    Mixed,
    /// Appends, reads and assignments by index, and pops of one list of 10 elements.
    #[value(name = "list-10")]
    List10,
    /// The same with 1,000 elements.
    #[value(name = "list-1000")]
    List1000,
    /// The same with 100,000 elements.
    #[value(name = "list-100000")]
    List100000,
    /// The same with 1,000,000 elements.
    #[value(name = "list-1000000")]
    List1000000,
}

impl Workload {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 14] = [
        Self::Noop,
        Self::NoopKey,
        Self::Hello5,
        Self::Counter,
        Self::Hot,
        Self::Transfer,
        Self::Fanout,
        Self::Book,
        Self::Chain,
        Self::Mixed,
        Self::List10,
        Self::List1000,
        Self::List100000,
        Self::List1000000,
    ];

    /// Name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::NoopKey => "noop-key",
            Self::Hello5 => "hello5",
            Self::Counter => "counter",
            Self::Hot => "hot",
            Self::Transfer => "transfer",
            Self::Fanout => "fanout",
            Self::Book => "book",
            Self::Chain => "chain",
            Self::Mixed => "mixed",
            Self::List10 => "list-10",
            Self::List1000 => "list-1000",
            Self::List100000 => "list-100000",
            Self::List1000000 => "list-1000000",
        }
    }

    /// How many elements its list has.
    fn elements(self) -> Option<u64> {
        match self {
            Self::List10 => Some(10),
            Self::List1000 => Some(1_000),
            Self::List100000 => Some(100_000),
            Self::List1000000 => Some(1_000_000),
            _ => None,
        }
    }

    /// The workload of which it is shown as a share.
    pub(crate) fn compared_with(self) -> Option<Self> {
        self.elements().filter(|count| *count > 10).map(|_| Self::List10)
    }

    /// Are there services for it in this language?
    pub(crate) fn is_in(self, language: Language) -> bool {
        language == Language::Python || self.elements().is_none()
    }

    /// Folder of the Python application, among those of the benchmark.
    pub(crate) fn folder(self) -> &'static str {
        if self.elements().is_some() { "series" } else { "canonical" }
    }

    /// Does each request have a key?
    pub(crate) fn has_keys(self) -> bool {
        self == Self::NoopKey
    }

    /// Prepares the state.
    pub(crate) fn set_up(self, client: &mut Client) -> Result<()> {
        match self {
            Self::Transfer => {
                for n in 0..ACCOUNTS {
                    client.call(&format!("/Account/a{n}/deposit"), format!("[{FUNDS}]"))?;
                }
            }
            Self::Book => {
                for n in 0..PLACES {
                    client.call(&format!("/Places/h{n}/add"), format!("[{FREE}]"))?;
                    client.call(&format!("/Places/f{n}/add"), format!("[{FREE}]"))?;
                }
            }
            _ => {
                let count = self.elements().unwrap_or_default();
                for first in (0..count).step_by(FILL as usize) {
                    client.call("/Series/one/fill", format!("[{first},{}]", FILL.min(count - first)))?;
                }
            }
        }
        Ok(())
    }

    /// Checks that the state is what the answers say. All answers count, also those before the measured time.
    pub(crate) fn verify(self, client: &mut Client, seen: &Seen) -> Result<()> {
        match self {
            Self::Hot => {
                let count = client.call("/Tally/hot/get", "[]")?;
                ensure!(count == seen.answers, "{} answers, {count} counted", seen.answers);
            }
            Self::Counter => {
                let total = sum(client, "Tally", "t", TALLIES, "get")?;
                ensure!(total == seen.answers, "{} answers, {total} counted", seen.answers);
            }
            Self::Transfer => {
                let total = sum(client, "Account", "a", ACCOUNTS, "balance")?;
                ensure!(total == ACCOUNTS * FUNDS, "{} went in, {total} is there", ACCOUNTS * FUNDS);
            }
            Self::Book => {
                let orders = client.call("/Orders/count", "[]")?;
                ensure!(orders == seen.answers, "{} booked, {orders} orders", seen.answers);
                for prefix in ["h", "f"] {
                    let taken = PLACES * FREE - sum(client, "Places", prefix, PLACES, "left")?;
                    ensure!(taken == seen.answers, "{} booked, {taken} of {prefix} taken", seen.answers);
                }
            }
            _ => {
                if let Some(count) = self.elements() {
                    let length = client.call("/Series/one/length", "[]")?;
                    ensure!(length.as_u64() >= Some(count), "{count} elements at first, {length} at the end");
                }
            }
        }
        Ok(())
    }
}

impl Traffic for Workload {
    fn request(&self, client: usize, number: u64) -> Request {
        let mut draw = Draw::new(client as u64, number);
        if let Some(count) = self.elements() {
            // Each client takes out only after it has put in, so the list never gets shorter than it began.
            let (method, args) = match number % 4 {
                0 => ("append", format!("[{number}]")),
                1 => ("at", format!("[{}]", draw.below(count))),
                2 => ("put", format!("[{},{number}]", draw.below(count))),
                _ => ("pop", "[]".to_owned()),
            };
            return Request::new(format!("/Series/one/{method}"), args);
        }
        match self {
            Self::Counter => Request::new(format!("/Tally/t{}/add", draw.below(TALLIES)), "[1]"),
            Self::Hot => Request::new("/Tally/hot/add", "[1]"),
            Self::Mixed if number.is_multiple_of(10) => {
                Request::new(format!("/Tally/t{}/add", draw.below(TALLIES)), "[1]")
            }
            Self::Mixed => Request::new(format!("/Tally/t{}/get", draw.below(TALLIES)), "[]"),
            Self::Transfer => {
                let (source, target) = draw.two_accounts();
                Request::new("/Bench/transfer", format!(r#"["a{source}","a{target}",1]"#))
            }
            Self::Book => {
                let (hotel, flight) = (draw.below(PLACES), draw.below(PLACES));
                Request::new("/Bench/book", format!(r#"["h{hotel}","f{flight}"]"#))
            }
            Self::Chain => Request::new("/Bench/chain", format!("[{number}]")),
            Self::Hello5 => Request::new("/Bench/hello5", "[]"),
            Self::Fanout => Request::new("/Bench/fanout", "[]"),
            _ => Request::new("/Bench/noop", "[]"),
        }
    }

    fn accepts(&self, _: usize, number: u64, body: &str) -> bool {
        match self {
            Self::Noop | Self::NoopKey => body == "null",
            Self::Hello5 => body.contains("Lima"),
            Self::Fanout => body == "4950",
            Self::Chain => body == (number + 1).to_string(),
            Self::Transfer | Self::Book => body == "true",
            _ => true,
        }
    }
}

/// What a method of entities gives, summed.
fn sum(client: &mut Client, entity: &str, prefix: &str, count: u64, method: &str) -> Result<u64> {
    let mut sum = 0;
    for n in 0..count {
        sum += client.call(&format!("/{entity}/{prefix}{n}/{method}"), "[]")?.as_u64().unwrap_or(0);
    }
    Ok(sum)
}

/// Numbers that look random and are the same in each run (splitmix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(client: u64, number: u64) -> Self {
        Self((client << 40) ^ number)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Two that are not the same.
    pub(crate) fn two_accounts(&mut self) -> (u64, u64) {
        let source = self.below(ACCOUNTS);
        (source, (source + 1 + self.below(ACCOUNTS - 1)) % ACCOUNTS)
    }
}

#[cfg(test)]
mod tests {
    use super::{ACCOUNTS, Draw, Workload};
    use crate::load::Traffic as _;

    #[test]
    fn requests_are_the_same_in_each_run_and_differ() {
        let path = |n| Workload::Counter.request(3, n).path;
        assert_eq!(path(7), path(7));
        assert_ne!(path(7), path(8));
    }

    #[test]
    fn transfers_are_between_two_accounts() {
        for n in 0..1000 {
            let (source, target) = Draw::new(1, n).two_accounts();
            assert_ne!(source, target);
        }
    }

    #[test]
    fn draws_stay_below_their_bound_and_reach_all() {
        let mut seen = vec![false; 16];
        for n in 0..1000 {
            let mut draw = Draw::new(0, n);
            assert!(draw.below(ACCOUNTS) < ACCOUNTS);
            seen[usize::try_from(draw.below(16)).expect("small")] = true;
        }
        assert!(seen.into_iter().all(|hit| hit));
    }
}
