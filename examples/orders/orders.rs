//! Orders: a card is charged, the warehouse packs within a time limit or the card is refunded, the customer gets mail:
//! `app.py` in Rust.
//!
//! ```sh
//! cargo run --release --example orders
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sostenuto::prelude::*;

/// Where the world outside leaves its traces: a file for each charge, refund and mail.
fn outside(kind: &str, order: &str) -> io::Result<PathBuf> {
    let root = std::env::var_os("ORDERS_OUTSIDE").map(PathBuf::from);
    let folder = root.unwrap_or_else(|| std::env::temp_dir().join("sostenuto-orders")).join(kind);
    fs::create_dir_all(&folder)?;
    Ok(folder.join(order))
}

/// Charge a card at a provider that is often not there. It knows each order and charges it once.
#[task(retries = 20, timeout = 5, backoff = 0.02, backoff_max = 0.2)]
pub fn charge(order: String, card: String, cents: u64) -> Result<String> {
    if random_f64() < 0.3 {
        return Err(Error::new("builtins.ConnectionError", "the payment provider did not answer"));
    }
    let receipt = outside("charges", &order)?;
    if !receipt.exists() {
        fs::write(receipt, format!("{card} {cents}"))?;
    }
    Ok(format!("receipt-{order}"))
}

/// Give the money back, once.
#[task(retries = 20, backoff = 0.02)]
pub fn refund(order: String) -> io::Result<()> {
    fs::write(outside("refunds", &order)?, "")
}

/// Send a mail. If this runs twice, two are sent: that is what at least once means.
#[task(retries = 3, timeout = 10)]
pub async fn mail(order: String, text: String) -> io::Result<()> {
    let mut mailbox = OpenOptions::new().append(true).create(true).open(outside("mails", &order)?)?;
    mailbox.write_all(format!("{text}\n").as_bytes())
}

/// The shelf of one article.
#[entity(key = String)]
pub struct Warehouse {
    packed: Counter,
}

#[methods]
impl Warehouse {
    /// Pack one; takes a while, and is undone by being cancelled, because nothing was written yet.
    pub async fn pack(&mut self, seconds: f64) -> Result<i64> {
        sleep(Duration::from_secs_f64(seconds)).await?;
        Ok(self.packed.add(1))
    }

    /// How many were packed.
    pub fn count(&self) -> i64 {
        self.packed.get()
    }
}

/// Takes orders.
#[service]
pub struct Shop {
    states: Map<String, String>,
}

#[methods]
impl Shop {
    /// Charge, pack, mail; `seconds` is how long the packing takes, which may be too long.
    pub async fn order(
        &mut self,
        order: String,
        article: String,
        card: String,
        cents: u64,
        seconds: f64,
    ) -> Result<String> {
        let receipt = charge(&*order, card, cents).await?;
        self.states.insert(order.clone(), "paid".into());
        let state = match timeout(Duration::from_secs(2), Warehouse::at(article).pack(seconds)).await {
            Ok(packed) => packed.map(|_| "shipped")?,
            Err(error) if error.is_timeout() => {
                refund(&*order).await?;
                "refunded"
            }
            Err(error) => return Err(error),
        };
        self.states.insert(order.clone(), state.into());
        mail(order, format!("{receipt}: {state}")).await?;
        Ok(state.into())
    }

    /// Where an order stands.
    pub fn state(&self, order: String) -> String {
        self.states.get(&order).unwrap_or_else(|| "unknown".into())
    }
}

fn main() -> ExitCode {
    let application = Application::new().service::<Shop>().service::<Warehouse>();
    sostenuto::main(application.task::<charge>().task::<refund>().task::<mail>())
}
