//! What a data directory keeps.

use protocol::Value;
use protocol::worker::Outcome;
use runtime::{Place, Reply, StartError};

use crate::app::{INCREMENT, block_on, call, counter, encode, one_worker, start, try_start};

#[test]
fn a_counter_counts_in_memory() {
    let running = start(counter(INCREMENT, &["increment"]), one_worker(None));
    assert_eq!((0..3).map(|_| running.call("increment")).collect::<Vec<_>>(), [1, 2, 3].map(Value::Int));
    assert_eq!(
        running.seen.lines("hits"),
        ["Counter.increment: hits 1", "Counter.increment: hits 2", "Counter.increment: hits 3"]
    );
}

#[test]
fn a_counter_survives_its_node() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let running = start(counter(INCREMENT, &["increment"]), one_worker(Some(dir.path())));
        assert_eq!(running.call("increment"), Value::Int(2 * round + 1));
        assert_eq!(running.call("increment"), Value::Int(2 * round + 2));
        let place = Place { service: "Counter".into(), field: "hits".into(), ..Place::default() };
        assert_eq!(block_on(running.handle.state(place)), Ok(encode(&Value::Int(2 * round + 2))));
        assert_eq!(block_on(running.handle.shutdown()), Ok(()));
    }
    assert!(["log", "state", "blob", "worker"].iter().all(|name| dir.path().join(name).is_dir()));
}

#[test]
fn a_sleeping_invocation_wakes_up_after_a_restart() {
    let body = "    async def nap(self, seconds):\n        self.hits += 1\n        await __sos__.sleep(seconds)\n        \
                self.hits += 10\n        print('awake', self.hits)\n        return self.hits\n";
    let dir = tempfile::tempdir().unwrap();
    let running = start(counter(body, &["nap"]), one_worker(Some(dir.path())));
    let sent = block_on(running.handle.submit(runtime::Call { send: true, ..call("nap", &[Value::Float(2.0)]) }));
    let id = sent.invocation.expect("an id");
    assert_eq!(sent.reply, Reply::Accepted);
    let place = Place { service: "Counter".into(), field: "hits".into(), ..Place::default() };
    while block_on(running.handle.state(place.clone())) != Ok(encode(&Value::Int(1))) {
        std::thread::yield_now();
    }
    assert_eq!(block_on(running.handle.shutdown()), Ok(()));
    drop(running);

    let running = start(counter(body, &["nap"]), one_worker(Some(dir.path())));
    let waited = block_on(running.handle.wait(id, std::time::Duration::from_secs(60)));
    let Reply::Done { outcome: Outcome::Value(hits), .. } = &waited.reply else { panic!("{waited:?}") };
    assert_eq!(*hits, encode(&Value::Int(11)));
    assert_eq!(running.seen.lines("awake"), ["Counter.nap: awake 11"]);
}

#[test]
fn one_directory_belongs_to_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let _running = start(counter(INCREMENT, &["increment"]), one_worker(Some(dir.path())));
    let second = try_start(counter(INCREMENT, &["increment"]), one_worker(Some(dir.path())));
    assert!(matches!(second.err(), Some(StartError::Open(_))));
}
