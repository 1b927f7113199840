//! Tasks: how methods ask for them, and how a try is run.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use protocol::Value as Stored;
use protocol::message::Exception;
use protocol::msgpack;
use protocol::worker::{FromWorker, OpKind, Outcome, TaskCall, TaskRun};
use sdk::{Interrupted, Task};
use sostenuto::prelude::*;

use crate::server::{Server, exception, result, text_value, value};

#[task(retries = 3, timeout = 2.5, backoff = 0.25, backoff_max = Duration::from_secs(7))]
pub fn charge(card: String, cents: u64) -> Result<String> {
    match cents {
        0 => Err(Error::new("shop.Nothing", "nothing to pay")),
        1 => panic!("no {card}"),
        _ => Ok(format!("{card} {cents}")),
    }
}

#[task(pure, timeout = None)]
pub async fn square(number: i64) -> i64 {
    number * number
}

#[task]
async fn both(number: i64) -> Result<i64> {
    // In a task, another task is the function itself.
    Ok(square(number).await? + square(1).await?)
}

/// Has no stored form.
#[derive(serde::Deserialize)]
struct Odd;

impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it is odd"))
    }
}

#[task]
fn odd() -> Odd {
    Odd
}

#[task]
fn draws() -> (Vec<u64>, bool) {
    (vec![random_u64(), random_u64()], uuid4() == uuid4())
}

#[task]
async fn calls() -> Result<i64> {
    Till::at("x").count().await
}

#[task]
async fn waits() -> u8 {
    std::future::pending().await
}

#[task]
fn talks(who: Option<String>) {
    sostenuto::println!("hello {}", who.unwrap_or_default());
    sostenuto::eprintln!("bye");
}

#[entity(key = String)]
struct Till {
    counted: Counter,
}

#[methods]
impl Till {
    pub fn count(&mut self) -> i64 {
        self.counted.add(1)
    }
}

#[service]
struct Shop {
    sold: Counter,
}

#[methods]
impl Shop {
    pub async fn sell(&mut self, cents: u64) -> Result<String> {
        let receipt = charge("visa", cents).await?;
        self.sold.add(1);
        Ok(receipt)
    }

    pub async fn squares(&self, count: i64) -> Result<i64> {
        join_all((0..count).map(square)).await.into_iter().sum()
    }

    pub async fn hasty(&mut self) -> Result<String> {
        transaction(async { charge("visa", 5).await }).await
    }

    pub async fn impatient(&mut self) -> Result<String> {
        match timeout(Duration::from_secs(1), charge("visa", 5)).await {
            Err(error) if error.is_timeout() => Ok("late".into()),
            other => other?,
        }
    }

    pub async fn unused(&mut self) -> Result<()> {
        drop(charge("visa", 5));
        Ok(())
    }
}

fn application() -> Application {
    let application = Application::new().service::<Shop>().service::<Till>().task::<charge>().task::<square>();
    application.task::<both>().task::<odd>().task::<draws>().task::<calls>().task::<waits>().task::<talks>()
}

fn both_ways(act: impl Fn(&mut Server)) {
    for evict in [false, true] {
        let mut server = Server::new(application());
        server.evict = evict;
        act(&mut server);
    }
}

fn asked(op: &OpKind) -> &TaskCall {
    let OpKind::Task(call) = op else { panic!("{op:?} is no task") };
    call
}

#[test]
fn a_task_is_asked_for_with_its_policy_and_answered() {
    both_ways(|server| {
        let (result, told) = server.run_to_end("Shop", "sell", &[Stored::Int(500)], |op| {
            let call = asked(&op.kind);
            let (args, named) = msgpack::decode_args(&call.args).unwrap();
            assert_eq!((args, named.len()), (vec![text_value("visa"), Stored::Int(500)], 0));
            assert_eq!(
                (call.retries, call.timeout, call.backoff, call.backoff_max),
                (3, Some(2_500_000), 250_000, 7_000_000)
            );
            assert_eq!((call.is_pure, call.is_async, call.name()), (false, false, "charge"));
            value(text_value("paid"))
        });
        assert_eq!(result, Ok(text_value("paid")));
        assert_eq!(told, ["task rust:it::tasks.charge"]);
        assert_eq!(server.store.borrow().get("sold", None), Some(Stored::Int(1)));
    });
}

#[test]
fn what_a_task_raises_is_its_result() {
    both_ways(|server| {
        let (result, _) =
            server.run_to_end("Shop", "sell", &[Stored::Int(0)], |_| exception("shop.Nothing", "nothing to pay"));
        assert_eq!(result, Err("shop.Nothing: nothing to pay".into()));
        assert!(server.store.borrow().get("sold", None).is_none());
    });
}

#[test]
fn tasks_run_side_by_side() {
    both_ways(|server| {
        let (result, told) = server.run_to_end("Shop", "squares", &[Stored::Int(4)], |op| {
            let call = asked(&op.kind);
            assert_eq!((call.is_pure, call.is_async, call.timeout), (true, true, None));
            let (args, _) = msgpack::decode_args(&call.args).unwrap();
            value(args[0].clone())
        });
        assert_eq!((result, told.len(), server.journal.len()), (Ok(Stored::Int(6)), 4, 1));
    });
}

#[test]
fn a_task_in_a_transaction_is_an_error() {
    both_ways(|server| {
        let (result, told) = server.run_to_end("Shop", "hasty", &[], |_| value(Stored::None));
        let told_why = "sostenuto.TransactionError: the task charge inside a transaction could run more than once";
        assert!(result.clone().unwrap_err().starts_with(told_why), "{result:?}");
        assert_eq!(told, ["begin", "rollback"]);
    });
}

#[test]
fn a_task_is_cancelled_when_nobody_waits_for_it_and_never_asked_for_if_it_is_not_awaited() {
    both_ways(|server| {
        let (result, told) = server.run_to_end("Shop", "impatient", &[], |op| match op.kind {
            OpKind::Sleep(_) => value(Stored::None),
            _ => None,
        });
        assert_eq!(result, Ok(text_value("late")));
        assert_eq!(told, ["task rust:it::tasks.charge", "sleep", "cancel 0"]);
    });
    let mut server = Server::new(application());
    let FromWorker::End(end) = server.begin("Shop", "unused", &[]) else { panic!("dropped") };
    assert_eq!((result(&end), end.ops.len()), (Ok(Stored::None), 0));
}

/// What a future gives that waits for nothing.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

type Lines = Rc<RefCell<Vec<(u8, String)>>>;

/// A try of a task of this module: value or exception as text, whether it is final, and what it printed.
fn run(name: &str, args: &[Stored], interrupted: Option<Interrupted>) -> (Result<Stored, String>, bool, Lines) {
    let (lines, printed) = (Lines::default(), Lines::default());
    let output = Rc::clone(&lines);
    let run = TaskRun {
        function: format!("rust:it::tasks.{name}"),
        args: msgpack::encode_args(args, &[]).unwrap(),
        timeout: Some(1_500_000),
        ..TaskRun::default()
    };
    let output = Box::new(move |stream, text| output.borrow_mut().push((stream, text)));
    let (outcome, is_final) =
        application().run_task(&run, output, |future| interrupted.map_or_else(|| Ok(at_once(future)), Err));
    let outcome = match outcome {
        Outcome::Value(bytes) => Ok(msgpack::decode(&bytes).unwrap()),
        Outcome::Exception(bytes) => {
            let exception = Exception::from_value(&bytes);
            printed.borrow_mut().push((9, exception.traceback));
            Err(format!("{}: {}", exception.class, exception.message))
        }
    };
    lines.borrow_mut().extend(printed.take());
    (outcome, is_final, lines)
}

#[test]
fn a_try_gives_what_the_function_gives() {
    let args = |cents| [text_value("visa"), Stored::Int(cents)];
    let (outcome, is_final, _) = run("charge", &args(5), None);
    assert_eq!((outcome, is_final), (Ok(text_value("visa 5")), false));
    let (outcome, is_final, _) = run("charge", &args(0), None);
    assert_eq!((outcome, is_final), (Err("shop.Nothing: nothing to pay".into()), false));
    assert_eq!(run("square", &[Stored::Int(-5)], None).0, Ok(Stored::Int(25)));
    assert_eq!(run("both", &[Stored::Int(3)], None).0, Ok(Stored::Int(10)));
}

#[test]
fn a_panic_is_the_failure_of_a_try() {
    let (outcome, is_final, told) = run("charge", &[text_value("visa"), Stored::Int(1)], None);
    assert_eq!((outcome, is_final), (Err("rust.Panic: no visa".into()), false));
    assert!(told.borrow()[0].1.contains("tasks.rs:"), "{told:?}");
}

#[test]
fn what_no_further_try_would_mend_is_final() {
    let told = |name, args: &[Stored]| match run(name, args, None) {
        (Err(text), true, _) => text,
        other => panic!("{other:?}"),
    };
    assert!(told("gone", &[]).contains("this program has no task it::tasks.gone: add `.task::<gone>()`"));
    let text = told("charge", &[text_value("visa"), text_value("5")]);
    assert!(text.starts_with("builtins.TypeError: task charge() argument 'cents': "), "{text}");
    assert!(told("charge", &[text_value("visa")]).contains("task charge() missing 1 required argument: 'cents'"));
    assert!(told("square", &[Stored::Int(1), Stored::Int(2)]).contains("task square() got too many arguments"));
    let text = told("odd", &[]);
    assert!(text.starts_with("sostenuto.NotStorable: the result of the task odd: it is odd"), "{text}");
}

#[test]
fn a_try_that_is_interrupted_says_why() {
    let (outcome, is_final, _) = run("waits", &[], Some(Interrupted::Late));
    let told = "builtins.TimeoutError: the task waits took longer than its timeout of 1.5 s";
    assert_eq!((outcome, is_final), (Err(told.into()), false));
    let (outcome, is_final, _) = run("waits", &[], Some(Interrupted::Stopped));
    assert!(outcome.unwrap_err().starts_with("asyncio.exceptions.CancelledError") && is_final);
}

#[test]
fn what_a_task_prints_goes_out_line_by_line() {
    let (outcome, _, lines) = run("talks", &[text_value("ann")], None);
    assert_eq!(outcome, Ok(Stored::None));
    assert_eq!(*lines.borrow(), [(0, "hello ann\n".to_owned()), (1, "bye\n".to_owned())]);
    assert_eq!(run("talks", &[], None).2.borrow()[0].1, "hello \n", "an Option may be left out");
}

#[test]
fn chance_in_a_task_is_the_worlds_and_calls_are_refused() {
    let drawn = [(); 2].map(|()| run("draws", &[], None).0.unwrap());
    assert_ne!(drawn[0], drawn[1], "nothing of a task is replayed");
    let (outcome, _, _) = run("calls", &[], None);
    assert!(outcome.unwrap_err().contains("a call in a task: a task cannot use fields, make calls"));
}

#[test]
fn outside_of_methods_a_task_is_the_function() {
    assert_eq!(at_once(charge("visa", 7)).unwrap(), "visa 7");
    let sent: Task<i64> = both(2);
    fn is_send(_: &impl Send) {}
    is_send(&sent);
    assert_eq!(at_once(sent).unwrap(), 5);
    let refused = at_once(odd()).err().unwrap();
    assert!(refused.message().starts_with("the result of the task odd"), "also what could not be stored is told");
}
