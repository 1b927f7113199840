//! Tasks in Rust, as programs write them: the SDK makes their arguments, runs them and says what came of it, where a node
//! has threads for it. Whether a try succeeds is the world's decision, as it is for scripted tasks.

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use protocol::worker::{Outcome, TaskRun};
use sdk::{Application, Interrupted};
use sostenuto::prelude::{Error, Result, task};

/// What a try comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Given(i64),
    Failed,
    Panicked,
}

thread_local! {
    /// What the next try comes to.
    static FATE: Cell<Fate> = const { Cell::new(Fate::Failed) };
}

fn decided(number: i64) -> Result<i64> {
    match FATE.get() {
        Fate::Given(given) => Ok(given),
        Fate::Failed => Err(Error::new("builtins.OSError", format!("errand {number} failed"))),
        Fate::Panicked => panic!("errand {number} panicked"),
    }
}

#[task]
fn errand(number: i64) -> Result<i64> {
    decided(number)
}

#[task]
async fn slow_errand(number: i64) -> Result<i64> {
    // What it would wait for has come: a try takes as long as the world says.
    std::future::ready(()).await;
    decided(number)
}

/// Tasks of a program.
pub struct Tasks(Application);

impl Default for Tasks {
    fn default() -> Self {
        Self(Application::new().task::<errand>().task::<slow_errand>())
    }
}

impl Tasks {
    /// How the task of this number is called, and whether it is an `async fn`; nothing for one that is scripted.
    pub fn named(number: i64) -> Option<(String, bool)> {
        let name = |name: &str| format!("{}{}.{name}", protocol::worker::RUST_TASK, module_path!());
        match (number / 10) % 3 {
            0 => Some((name("errand"), false)),
            1 => Some((name("slow_errand"), true)),
            _ => None,
        }
    }

    /// Runs a try to its end; its outcome, and whether another one is of no use.
    pub fn run(&self, task: &TaskRun, fate: Fate) -> (Outcome, bool) {
        FATE.set(fate);
        self.0.run_task(task, Box::new(|_, _| {}), |future| {
            match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(ended) => Ok(ended),
                Poll::Pending => Err(Interrupted::Late),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::message::Exception;
    use protocol::{Value, msgpack};

    use super::*;

    #[test]
    fn a_try_comes_to_what_the_world_says() {
        let tasks = Tasks::default();
        let run = |number: i64, fate| {
            let (function, _) = Tasks::named(number).unwrap();
            let args = msgpack::encode_args(&[Value::Int(number)], &[]).unwrap();
            tasks.run(&TaskRun { function, args, ..TaskRun::default() }, fate)
        };
        for number in [0, 10] {
            let given = msgpack::encode(&Value::Int(7)).unwrap();
            assert_eq!(run(number, Fate::Given(7)), (Outcome::Value(given), false));
            for (fate, class) in [(Fate::Failed, "builtins.OSError"), (Fate::Panicked, "rust.Panic")] {
                let (Outcome::Exception(bytes), false) = run(number, fate) else {
                    panic!("it fails, and not for good")
                };
                assert_eq!(Exception::from_value(&bytes).class, class);
            }
        }
        assert_eq!(Tasks::named(20), None, "some are scripted");
    }
}
