//! Accounts as entities, transfers as transactions, audits that always add up: `app.py` in Rust.
//!
//! ```sh
//! cargo run --release --example bank
//! ```

use std::process::ExitCode;

use sostenuto::prelude::*;

/// One account; its key is the owner's name.
#[entity(key = String)]
pub struct Account {
    funds: Value<i64>,
}

#[methods]
impl Account {
    /// Put money in and return the new balance.
    pub fn deposit(&mut self, amount: i64) -> Result<i64> {
        positive(amount)?;
        *self.funds.get_mut() += amount;
        Ok(self.funds.get())
    }

    /// Take money out; false if there is not enough.
    pub fn withdraw(&mut self, amount: i64) -> Result<bool> {
        positive(amount)?;
        let mut funds = self.funds.get_mut();
        if *funds < amount {
            return Ok(false);
        }
        *funds -= amount;
        Ok(true)
    }

    /// How much there is.
    pub fn balance(&self) -> i64 {
        self.funds.get()
    }
}

fn positive(amount: i64) -> Result<()> {
    if amount > 0 { Ok(()) } else { Err(Error::new("builtins.ValueError", "the amount must be positive")) }
}

/// Moves money between accounts. Never makes or loses any.
#[service]
pub struct Bank {
    names: Map<String, String>,
}

#[methods]
impl Bank {
    /// Move money between two accounts; false if there is not enough.
    pub async fn transfer(&self, source: String, target: String, amount: i64) -> Result<bool> {
        let moved = transaction(async {
            if !Account::at(source).withdraw(amount).await? {
                return abort("insufficient funds");
            }
            Account::at(target).deposit(amount).await
        });
        or_false(moved.await)
    }

    /// Open an account with money of another one; false if it exists or there is not enough money.
    pub async fn open(&mut self, name: String, source: String, amount: i64) -> Result<bool> {
        let opened = transaction(async {
            if self.names.contains_key(&name) {
                return abort("the account exists");
            }
            self.names.insert(name.clone(), source.clone());
            if !Account::at(source).withdraw(amount).await? {
                return abort("insufficient funds");
            }
            Account::at(name).deposit(amount).await
        });
        or_false(opened.await)
    }

    /// Sum of the balances of these accounts, at one moment.
    pub async fn audit(&self, accounts: Vec<String>) -> Result<i64> {
        transaction(sum(accounts)).await
    }

    /// Sum of the balances of all opened accounts and of the others, at one moment.
    pub async fn audit_opened(&self, others: Vec<String>) -> Result<i64> {
        transaction(async { sum(self.names.keys().chain(others).collect()).await }).await
    }
}

async fn sum(accounts: Vec<String>) -> Result<i64> {
    let balances = join_all(accounts.into_iter().map(|name| Account::at(name).balance())).await;
    balances.into_iter().sum()
}

fn or_false<T>(moved: Result<T>) -> Result<bool> {
    match moved {
        Ok(_) => Ok(true),
        Err(error) if error.is_aborted() => Ok(false),
        Err(error) => Err(error),
    }
}

fn main() -> ExitCode {
    sostenuto::main(Application::new().service::<Account>().service::<Bank>())
}
