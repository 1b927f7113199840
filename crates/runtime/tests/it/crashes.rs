//! A crash of the whole process before, after and behind each append of one call: it takes effect once.
//!
//! A node that is to crash runs in a process of its own: this test binary, told by its environment to play the part.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use protocol::Value;
use runtime::Call;

use crate::app::{INCREMENT, block_on, call, counter, one_worker, start, value};

const DIR: &str = "SOSTENUTO_TEST_CRASH_DIR";
const PART: &str = "crashes::the_node_that_crashes";

/// Not a test by itself: the part that the other one starts.
#[test]
fn the_node_that_crashes() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    assert_eq!(increment_once(Path::new(&dir)), Value::Int(1));
}

/// Likewise: every coroutine is dropped when it suspends.
#[test]
fn the_node_that_evicts() {
    let Some(_) = std::env::var_os(DIR) else { return };
    let body = "
    async def steps(self):
        seen = []
        for step in range(3):
            self.hits += 1
            print('step', step)
            await __sos__.sleep(0.01)
            seen.append(self.hits)
        return seen
";
    let running = start(counter(body, &["steps"]), one_worker(None));
    assert_eq!(running.call("steps"), Value::List(vec![Value::Int(1), Value::Int(2), Value::Int(3)]));
    let lines = running.seen.lines("Counter.steps");
    assert_eq!(lines, ["Counter.steps: step 0", "Counter.steps: step 1", "Counter.steps: step 2"]);
}

#[test]
fn what_is_evicted_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let mut part = part("crashes::the_node_that_evicts", dir.path());
    let output = part.env("SOSTENUTO_EVICT", "1").output().expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn part(name: &str, dir: &Path) -> Command {
    let program = std::env::current_exe().expect("this test");
    let mut command = Command::new(program);
    command.args([name, "--exact"]).env(DIR, dir);
    command
}

fn increment_once(dir: &Path) -> Value {
    let running = start(counter(INCREMENT, &["increment"]), one_worker(Some(dir)));
    let keyed = Call { idempotency_key: Some("once".into()), ..call("increment", &[]) };
    let answer = value(&block_on(running.handle.submit(keyed)));
    assert_eq!(block_on(running.handle.shutdown()), Ok(()));
    answer
}

fn crash(dir: &Path, append: u64, phase: &str) -> ExitStatus {
    let mut command = part(PART, dir);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.env("SOSTENUTO_CRASH_AT_APPEND", append.to_string()).env("SOSTENUTO_CRASH_PHASE", phase);
    command.status().expect("a process")
}

#[test]
fn a_call_takes_effect_once_wherever_the_node_crashes() {
    const SIGABRT: i32 = 6;
    for phase in ["before", "after", "durable"] {
        for append in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let status = crash(dir.path(), append, phase);
            if status.success() {
                assert!(append > 2, "a deployment and a step were appended");
                break;
            }
            assert_eq!(status.signal(), Some(SIGABRT), "{phase} append {append}: {status}");
            assert_eq!(increment_once(dir.path()), Value::Int(1), "{phase} append {append}");
            assert_eq!(increment_once(dir.path()), Value::Int(1), "{phase} append {append}, asked again");
        }
    }
}
