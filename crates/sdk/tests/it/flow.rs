//! Methods that wait: calls, timers, transactions, cancellation.

use std::time::Duration;

use protocol::Value as Stored;
use protocol::worker::{Delivered, FromWorker, Op, OpKind, Outcome, StepStatus};
use sostenuto::prelude::*;

use crate::server::{Server, exception, result, text, text_value, value};

#[entity(key = String)]
pub(crate) struct Account {
    balance: Value<i64>,
}

#[methods]
impl Account {
    pub fn deposit(&mut self, amount: i64) -> i64 {
        *self.balance.get_mut() += amount;
        self.balance.get()
    }
}

#[service]
pub(crate) struct Bank {
    done: Counter,
    log: Map<u64, String>,
    bank: BankClient,
    accounts: Entities<AccountClient>,
}

#[methods]
impl Bank {
    pub async fn transfer(&mut self, from: String, to: String, amount: i64) -> Result<i64> {
        let moved = transaction(async {
            let (left, _) = join((Account::at(&*from).deposit(-amount), Account::at(&*to).deposit(amount))).await;
            if left? < 0 {
                return abort("not enough");
            }
            Ok(self.done.add(1))
        });
        moved.await
    }

    pub async fn fan_out(&self, count: i64) -> Result<i64> {
        let calls = (0..count).map(|index| self.accounts.at(format!("a{index}")).deposit(index));
        join_all(calls).await.into_iter().sum()
    }

    pub async fn patient(&mut self) -> Result<String> {
        match timeout(Duration::from_secs(1), self.bank.fan_out(1)).await {
            Ok(sum) => Ok(format!("sum {}", sum?)),
            Err(error) if error.is_timeout() => Ok("late".into()),
            Err(error) => Err(error),
        }
    }

    pub async fn nap(&mut self) -> Result<u8> {
        self.done.add(1);
        if let Err(error) = sleep(Duration::from_secs(5)).await {
            self.log.insert(1, error.kind().to_owned());
            self.bank.fan_out(1).await?;
            return Err(error);
        }
        Ok(1)
    }

    pub async fn hasty(&mut self) -> Result<u8> {
        transaction(async {
            sleep(Duration::from_secs(5)).await?;
            Ok(1)
        })
        .await
    }

    pub async fn crowded(&mut self) -> Result<(i64, i64)> {
        let inner = || transaction(async { Account::at("a").deposit(1).await });
        let (one, other) = join((inner(), inner())).await;
        Ok((one?, other?))
    }

    pub async fn crash_inside(&mut self) -> Result<u8> {
        transaction(async {
            Account::at("a").deposit(1).await?;
            panic!("inside")
        })
        .await
    }

    pub async fn joined(&mut self) -> Result<u8> {
        let _ = transaction::<u8>(async { abort("no") }).await;
        Ok(2)
    }

    pub fn notify(&mut self, who: String) -> Result<()> {
        Account::at(who).deposit(1).send()
    }

    pub async fn foreign(&mut self) -> u8 {
        std::future::pending::<()>().await;
        1
    }

    pub async fn chatty(&mut self) -> Result<i64> {
        sostenuto::println!("before");
        let sum = self.bank.fan_out(2).await?;
        sostenuto::eprintln!("after {sum}");
        Ok(sum)
    }
}

fn bank(evict: bool) -> Server {
    let mut server = Server::new(Application::new().service::<Bank>().service::<Account>());
    server.evict = evict;
    server
}

/// Calls give `result`; everything else what it gives when nothing is wrong.
fn answering(result: impl Fn(&Op) -> Option<Outcome>) -> impl FnMut(&Op) -> Option<Outcome> {
    move |op| match &op.kind {
        OpKind::Call(_) => result(op),
        _ => value(Stored::None),
    }
}

/// The same with and without eviction at each suspension.
fn both(act: impl Fn(&mut Server)) {
    act(&mut bank(false));
    act(&mut bank(true));
}

#[test]
fn a_transaction_begins_calls_and_commits() {
    both(|server| {
        let args = [text_value("ann"), text_value("bob"), Stored::Int(5)];
        let (result, told) = server.run_to_end("Bank", "transfer", &args, answering(|_| value(Stored::Int(7))));
        assert_eq!(result, Ok(Stored::Int(1)));
        assert_eq!(told, ["begin", "call Account.deposit", "call Account.deposit", "commit"]);
    });
}

#[test]
fn an_abort_rolls_back_and_is_raised() {
    both(|server| {
        let args = [text_value("ann"), text_value("bob"), Stored::Int(5)];
        let (result, told) = server.run_to_end("Bank", "transfer", &args, answering(|_| value(Stored::Int(-1))));
        assert_eq!(result, Err("sostenuto.Aborted: not enough".into()));
        assert_eq!(told, ["begin", "call Account.deposit", "call Account.deposit", "rollback"]);
        assert!(server.store.borrow().get("done", None).is_none());
    });
}

#[test]
fn results_come_in_any_order() {
    both(|server| {
        let mut next = 4;
        let (result, told) = server.run_to_end("Bank", "fan_out", &[Stored::Int(5)], |op| {
            // The last call is answered first, one in each step.
            let index = op.position.parse::<i64>().unwrap();
            let is_next = index == next;
            next -= i64::from(is_next);
            if is_next { value(Stored::Int(index)) } else { None }
        });
        assert_eq!(result, Ok(Stored::Int(10)));
        assert_eq!(told.len(), 5);
    });
}

#[test]
fn results_that_are_ready_together_are_taken_in_one_step() {
    both(|server| {
        let (result, told) = server
            .run_to_end("Bank", "fan_out", &[Stored::Int(200)], |op| value(Stored::Int(op.position.parse().unwrap())));
        assert_eq!(result, Ok(Stored::Int(199 * 200 / 2)));
        assert_eq!((told.len(), server.journal.len()), (200, 1), "one suspension, whatever their number");
    });
    both(|server| {
        let args = [text_value("ann"), text_value("bob"), Stored::Int(5)];
        server.run_to_end("Bank", "transfer", &args, answering(|_| value(Stored::Int(7)))).0.unwrap();
        assert_eq!(server.journal.len(), 3, "begin, both calls, commit");
    });
}

#[test]
fn the_first_error_of_a_fan_out_is_its_result() {
    both(|server| {
        let (result, _) = server.run_to_end("Bank", "fan_out", &[Stored::Int(3)], |op| {
            if op.position == "1" { exception("builtins.ValueError", "no") } else { value(Stored::Int(1)) }
        });
        assert_eq!(result, Err("builtins.ValueError: no".into()));
    });
}

#[test]
fn a_time_limit_cancels_what_it_waits_for() {
    both(|server| {
        let (result, told) = server.run_to_end("Bank", "patient", &[], |op| match op.kind {
            OpKind::Sleep(due) => {
                assert_eq!(due, 2_000_000);
                value(Stored::None)
            }
            _ => None,
        });
        assert_eq!(result, Ok(text_value("late")));
        assert_eq!(told, ["call Bank.fan_out", "sleep", "cancel 0"]);
    });
    both(|server| {
        let (result, told) = server.run_to_end("Bank", "patient", &[], |op| match op.kind {
            OpKind::Call(_) => value(Stored::Int(3)),
            _ => None,
        });
        assert_eq!(result, Ok(text_value("sum 3")));
        assert_eq!(told, ["call Bank.fan_out", "sleep", "cancel 1"]);
    });
}

#[test]
fn a_cancellation_is_an_error_of_what_is_awaited() {
    both(|server| {
        let FromWorker::End(end) = server.begin("Bank", "nap", &[]) else { panic!("dropped") };
        let cancelled =
            Outcome::Exception(protocol::message::Exception::encode("asyncio.exceptions.CancelledError", ""));
        let delivered = vec![Delivered { position: String::new(), result: cancelled }];
        let next = server.go_on(&end, delivered.clone(), &[]);
        assert_eq!(next.status, StepStatus::Suspended);
        assert_eq!(next.ops.iter().map(text).collect::<Vec<_>>(), ["call Bank.fan_out"]);
        // The timer's result may still come; nobody waits for it.
        let timer = Delivered { position: "0".into(), result: value(Stored::None).unwrap() };
        let call = Delivered { position: "1".into(), result: value(Stored::Int(0)).unwrap() };
        let last = server.go_on(&next, vec![timer, call], &delivered);
        assert!(result(&last).unwrap_err().starts_with("asyncio.exceptions.CancelledError"), "{last:?}");
        let logged = server.store.borrow().get("log", Some(&Stored::Int(1)));
        assert_eq!(logged, Some(text_value("CancelledError")));
    });
}

#[test]
fn misuse_of_transactions_is_an_error() {
    both(|server| {
        let (result, told) = server.run_to_end("Bank", "hasty", &[], answering(|_| None));
        assert!(result.unwrap_err().starts_with("sostenuto.TransactionError: sleep() inside"));
        assert_eq!(told, ["begin", "rollback"]);
        let (result, _) = server.run_to_end("Bank", "crowded", &[], answering(|_| value(Stored::Int(1))));
        assert!(result.unwrap_err().contains("begins alone"));
    });
}

#[test]
fn a_panic_inside_a_transaction_rolls_it_back() {
    both(|server| {
        let (result, told) = server.run_to_end("Bank", "crash_inside", &[], answering(|_| value(Stored::Int(1))));
        assert_eq!(result, Err("rust.Panic: inside".into()));
        assert_eq!(told, ["begin", "call Account.deposit", "rollback"]);
    });
}

#[test]
fn an_abort_of_a_joined_transaction_dooms_the_whole() {
    let mut server = bank(false);
    server.in_transaction = true;
    let FromWorker::End(end) = server.begin("Bank", "joined", &[]) else { panic!("dropped") };
    assert_eq!(result(&end), Ok(Stored::Int(2)));
    assert!(end.ops.is_empty());
    assert!(end.doom.is_some());
}

#[test]
fn a_send_waits_for_nothing() {
    let mut server = bank(false);
    let FromWorker::End(end) = server.begin("Bank", "notify", &[text_value("ann")]) else { panic!("dropped") };
    assert_eq!(result(&end), Ok(Stored::None));
    assert_eq!(end.ops.iter().map(text).collect::<Vec<_>>(), ["send Account.deposit"]);
}

#[test]
fn waiting_for_what_is_not_durable_is_an_error() {
    let mut server = bank(false);
    let FromWorker::End(end) = server.begin("Bank", "foreign", &[]) else { panic!("dropped") };
    assert!(result(&end).unwrap_err().contains("waits for something that is not durable"));
}

#[test]
fn output_belongs_to_the_step_that_wrote_it() {
    both(|server| {
        let FromWorker::End(first) = server.begin("Bank", "chatty", &[]) else { panic!("dropped") };
        assert_eq!(first.logs, [(0, "before\n".to_owned())]);
        let call = Delivered { position: "0".into(), result: value(Stored::Int(3)).unwrap() };
        let last = server.go_on(&first, vec![call], &[]);
        assert_eq!(last.logs, [(1, "after 3\n".to_owned())]);
    });
}

#[test]
fn time_outside_of_a_method_is_a_panic_that_is_told() {
    // The worker has taken over what is done with panics.
    let _server = bank(false);
    let told = std::thread::spawn(now).join().unwrap_err();
    let told = told.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
    assert!(told.starts_with("now() outside of a method"), "{told}");
}
