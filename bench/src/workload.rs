//! The canonical workloads: what each prepares, sends and verifies. The applications are the examples, and those in
//! `bench/apps`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::client::{Client, Request, Seen};

const COUNTER_KEYS: u64 = 1000;
const HOTELS: u64 = 100;
const PLACES: u64 = 1_000_000;
const ACCOUNTS: u64 = 1000;
const FUNDS: u64 = 1_000_000;
/// Elements that one call adds while a list is filled: what one step may write.
const FILL: u64 = 20_000;

/// One workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Increments of 1000 counters, each one step on one partition.
    Counter,
    /// Increments of one counter.
    Hot,
    /// Bookings over 100 hotels and 100 flights: a transaction over three services, with an order.
    Hotel,
    /// Transfers between 1000 accounts: a transaction over two entities.
    Bank,
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
    pub(crate) const ALL: [Self; 8] = [
        Self::Counter,
        Self::Hot,
        Self::Hotel,
        Self::Bank,
        Self::List10,
        Self::List1000,
        Self::List100000,
        Self::List1000000,
    ];

    /// Name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Hot => "hot",
            Self::Hotel => "hotel",
            Self::Bank => "bank",
            Self::List10 => "list-10",
            Self::List1000 => "list-1000",
            Self::List100000 => "list-100000",
            Self::List1000000 => "list-1000000",
        }
    }

    /// How many elements its list has.
    fn elements(self) -> Option<u64> {
        match self {
            Self::Counter | Self::Hot | Self::Hotel | Self::Bank => None,
            Self::List10 => Some(10),
            Self::List1000 => Some(1_000),
            Self::List100000 => Some(100_000),
            Self::List1000000 => Some(1_000_000),
        }
    }

    /// The workload of which it is shown as a share.
    pub(crate) fn compared_with(self) -> Option<Self> {
        self.elements().filter(|count| *count > 10).map(|_| Self::List10)
    }

    /// Folder of the application: among the examples, else among those of the benchmark.
    pub(crate) fn folder(self, examples: &Path, apps: &Path) -> PathBuf {
        match self {
            Self::Counter | Self::Hot => examples.join("counter"),
            Self::Hotel => examples.join("hotel"),
            Self::Bank => examples.join("bank"),
            Self::List10 | Self::List1000 | Self::List100000 | Self::List1000000 => apps.join("series"),
        }
    }

    /// Prepares the state.
    pub(crate) fn set_up(self, client: &mut Client) -> Result<()> {
        match self {
            Self::Counter | Self::Hot => {}
            Self::Hotel => {
                for n in 0..HOTELS {
                    client.call("/Hotel/add", format!(r#"["h{n}",{PLACES}]"#))?;
                    client.call("/Flight/add", format!(r#"["f{n}",{PLACES}]"#))?;
                }
            }
            Self::Bank => {
                for n in 0..ACCOUNTS {
                    client.call(&format!("/Account/a{n}/deposit"), format!("[{FUNDS}]"))?;
                }
            }
            Self::List10 | Self::List1000 | Self::List100000 | Self::List1000000 => {
                let count = self.elements().unwrap_or_default();
                for first in (0..count).step_by(FILL as usize) {
                    client.call("/Series/one/fill", format!("[{first},{}]", FILL.min(count - first)))?;
                }
            }
        }
        Ok(())
    }

    /// The request with this number of a client.
    pub(crate) fn request(self, client: usize, number: u64) -> Request {
        let mut draw = Draw::new(client as u64, number);
        if let Some(count) = self.elements() {
            // Each client takes out only after it has put in, so the list never gets shorter than it began.
            let (method, args) = match number % 4 {
                0 => ("append", format!("[{number}]")),
                1 => ("at", format!("[{}]", draw.below(count))),
                2 => ("put", format!("[{},{number}]", draw.below(count))),
                _ => ("pop", "[]".to_owned()),
            };
            return Request { path: format!("/Series/one/{method}"), args };
        }
        let (path, args) = match self {
            Self::List10 | Self::List1000 | Self::List100000 | Self::List1000000 => unreachable!("has elements"),
            Self::Counter => ("/Counter/increment", format!(r#"["k{}"]"#, draw.below(COUNTER_KEYS))),
            Self::Hot => ("/Counter/increment", r#"["hot"]"#.to_owned()),
            Self::Hotel => {
                let (hotel, flight) = (draw.below(HOTELS), draw.below(HOTELS));
                ("/Frontend/book", format!(r#"["u{client}-{number}","h{hotel}","f{flight}"]"#))
            }
            Self::Bank => {
                let source = draw.below(ACCOUNTS);
                let target = (source + 1 + draw.below(ACCOUNTS - 1)) % ACCOUNTS;
                ("/Bank/transfer", format!(r#"["a{source}","a{target}",{}]"#, 1 + draw.below(10)))
            }
        };
        Request { path: path.to_owned(), args }
    }

    /// Checks that the state is what the answers say. All answers count, also those before the measured time.
    pub(crate) fn verify(self, client: &mut Client, seen: &Seen) -> Result<()> {
        match self {
            Self::Counter | Self::Hot => {
                let total = client.call("/Counter/total", "[]".to_owned())?;
                ensure!(total == seen.answers, "{} answers, {total} counted", seen.answers);
            }
            Self::Hotel => {
                let orders = client.call("/Orders/count", "[]".to_owned())?;
                ensure!(orders == seen.answers_true, "{} booked, {orders} orders", seen.answers_true);
                ensure!(seen.answers == seen.answers_true, "{} were refused", seen.answers - seen.answers_true);
                verify_places(client, "Hotel", "h", seen)?;
                verify_places(client, "Flight", "f", seen)?;
            }
            Self::Bank => {
                let names: Vec<String> = (0..ACCOUNTS).map(|n| format!(r#""a{n}""#)).collect();
                let sum = client.call("/Bank/audit", format!("[[{}]]", names.join(",")))?;
                ensure!(sum == ACCOUNTS * FUNDS, "{} went in, {sum} is there", ACCOUNTS * FUNDS);
                verify_balances(client)?;
            }
            Self::List10 | Self::List1000 | Self::List100000 | Self::List1000000 => {
                let (count, length) = (self.elements(), client.call("/Series/one/length", "[]".to_owned())?.as_u64());
                ensure!(length >= count, "{count:?} elements at first, {length:?} at the end");
            }
        }
        Ok(())
    }
}

fn verify_places(client: &mut Client, service: &str, prefix: &str, seen: &Seen) -> Result<()> {
    let mut used = 0;
    for n in 0..HOTELS {
        let free = client.call(&format!("/{service}/capacity"), format!(r#"["{prefix}{n}"]"#))?;
        used += PLACES - free.as_u64().unwrap_or(PLACES);
    }
    ensure!(used == seen.answers_true, "{service}: {} booked, {used} places used", seen.answers_true);
    Ok(())
}

fn verify_balances(client: &mut Client) -> Result<()> {
    let mut balances = BTreeMap::new();
    for n in 0..ACCOUNTS {
        let balance = client.call(&format!("/Account/a{n}/balance"), "[]".to_owned())?;
        balances.insert(n, balance.as_u64().unwrap_or(0));
    }
    let sum: u64 = balances.values().sum();
    ensure!(sum == ACCOUNTS * FUNDS, "{} went in, the balances add up to {sum}", ACCOUNTS * FUNDS);
    Ok(())
}

/// Numbers that look random and are the same in each run (splitmix64).
struct Draw(u64);

impl Draw {
    fn new(client: u64, number: u64) -> Self {
        Self((client << 40) ^ number)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::{ACCOUNTS, Draw, Workload};

    #[test]
    fn requests_are_the_same_in_each_run_and_differ() {
        let args = |n| Workload::Counter.request(3, n).args;
        assert_eq!(args(7), args(7));
        assert_ne!(args(7), args(8));
    }

    #[test]
    fn transfers_are_between_two_accounts() {
        for n in 0..1000 {
            let args = Workload::Bank.request(1, n).args;
            let names: Vec<&str> = args.split('"').filter(|part| part.starts_with('a')).collect();
            assert_ne!(names[0], names[1]);
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
