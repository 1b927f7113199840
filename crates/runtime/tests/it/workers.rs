//! Real processes that die, hang, or do not start.

use std::time::Duration;

use protocol::Value;
use protocol::message::Exception;
use protocol::problem::Code;
use protocol::worker::Outcome;
use runtime::{Call, NodeConfig, Reply, StartError};

use crate::app::{INCREMENT, block_on, call, counter, one_worker, start, try_start, value, with_front};

/// Dies by signal 9 in the middle of its first run: the marker file tells the second one.
const DIE_ONCE: &str = "
    def die_once(self, marker):
        self.hits += 1
        if not os.path.exists(marker):
            open(marker, 'w').close()
            os.kill(os.getpid(), 9)
        return self.hits
";

#[test]
fn a_worker_killed_in_a_step_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(counter(DIE_ONCE, &["die_once"]), one_worker(None));
    let marker = Value::Str(dir.path().join("marker").to_string_lossy().into_owned());
    assert_eq!(value(&running.answer("die_once", std::slice::from_ref(&marker))), Value::Int(1));
    assert_eq!(value(&running.answer("die_once", &[marker])), Value::Int(2));
    assert_eq!(running.seen.lines("killed by signal 9 (SIGKILL)").len(), 1);
}

#[test]
fn a_coroutine_lost_with_its_worker_is_rebuilt() {
    let body = format!(
        "{DIE_ONCE}
    async def nap(self):
        self.hits += 10
        print('asleep')
        await __sos__.sleep(1.5)
        print('awake')
        self.hits += 100
        return self.hits
"
    );
    let dir = tempfile::tempdir().unwrap();
    let running = start(counter(&body, &["die_once", "nap"]), one_worker(None));
    let nap = block_on(running.handle.submit(Call { send: true, ..call("nap", &[]) }));
    while running.seen.lines("asleep").is_empty() {
        std::thread::yield_now();
    }
    let marker = Value::Str(dir.path().join("marker").to_string_lossy().into_owned());
    assert_eq!(value(&running.answer("die_once", &[marker])), Value::Int(11));
    let waited = block_on(running.handle.wait(nap.invocation.unwrap(), Duration::from_secs(60)));
    assert_eq!(value(&waited), Value::Int(111));
    assert_eq!(running.seen.lines("Counter.nap"), ["Counter.nap: asleep", "Counter.nap: awake"]);
}

#[test]
fn services_call_each_other() {
    let body =
        "    async def twice(self):\n        return [await self.counter.increment(), await self.counter.increment()]\n";
    let manifest = with_front(counter(INCREMENT, &["increment"]), body, &["twice"]);
    let running = start(manifest, NodeConfig { workers: 2, partitions: 4, ..one_worker(None) });
    let twice = || value(&block_on(running.handle.submit(Call { service: "Front".into(), ..call("twice", &[]) })));
    assert_eq!(twice(), Value::List(vec![Value::Int(1), Value::Int(2)]));
    assert_eq!(twice(), Value::List(vec![Value::Int(3), Value::Int(4)]));
    assert_eq!(running.seen.lines("Counter.increment").len(), 4);
}

#[test]
fn a_call_that_ends_its_workers_is_parked() {
    let body = format!("{INCREMENT}\n    def leave(self):\n        os._exit(7)\n");
    let running = start(counter(&body, &["increment", "leave"]), one_worker(None));
    let parked = running.answer("leave", &[]);
    let Reply::Problem { code: Code::Parked, detail } = &parked.reply else { panic!("{parked:?}") };
    assert!(detail.contains("exited with status 7"), "{detail}");
    // Its lock is free again.
    assert_eq!(running.call("increment"), Value::Int(1));
}

#[test]
fn a_step_over_its_time_is_ended() {
    let body = format!("{INCREMENT}\n    def hang(self):\n        while True:\n            pass\n");
    let config = NodeConfig { step_timeout: Duration::from_millis(700), ..one_worker(None) };
    let running = start(counter(&body, &["increment", "hang"]), config);
    let parked = running.answer("hang", &[]);
    let Reply::Problem { code: Code::Parked, detail } = &parked.reply else { panic!("{parked:?}") };
    assert!(detail.contains("took longer than 0.7 s"), "{detail}");
    assert_eq!(running.call("increment"), Value::Int(1));
}

#[test]
fn an_exception_is_the_result_and_the_process_goes_on() {
    let body = format!("{INCREMENT}\n    def fail(self):\n        raise ValueError('no')\n");
    let running = start(counter(&body, &["increment", "fail"]), one_worker(None));
    let failed = running.answer("fail", &[]);
    let Reply::Done { outcome: Outcome::Exception(bytes), .. } = &failed.reply else { panic!("{failed:?}") };
    let exception = Exception::from_value(bytes);
    assert_eq!((exception.class.as_str(), exception.message.as_str()), ("builtins.ValueError", "no"));
    assert!(exception.traceback.contains("app.py"), "{}", exception.traceback);
    assert_eq!(running.call("increment"), Value::Int(1));
    assert!(running.seen.lines("notice").is_empty(), "{:?}", running.seen.lines("notice"));
}

#[test]
fn an_application_that_does_not_load_does_not_start() {
    let body = format!("{INCREMENT}\n    missing = 1 / 0\n");
    let error = try_start(counter(&body, &["increment"]), one_worker(None)).err().expect("no start");
    let StartError::Application { summary, traceback } = &error else { panic!("{error}") };
    assert!(summary.contains("ZeroDivisionError") && traceback.contains("app.py"), "{summary}\n{traceback}");
}

#[test]
fn an_interpreter_that_is_not_there_does_not_start() {
    let config = NodeConfig { python: "/nowhere/python3".into(), ..one_worker(None) };
    let error = try_start(counter(INCREMENT, &["increment"]), config).err().expect("no start");
    assert!(matches!(error, StartError::Io { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/python3"), "{error}");
    let config = NodeConfig { python: "/bin/false".into(), ..one_worker(None) };
    let error = try_start(counter(INCREMENT, &["increment"]), config).err().expect("no start");
    assert!(matches!(&error, StartError::Workers { cause, .. } if cause.contains("status 1")), "{error}");
}
