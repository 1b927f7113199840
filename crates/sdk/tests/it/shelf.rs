//! Steps that go on behind a task before the server asks for them.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use protocol::Value as Stored;
use protocol::worker::{FromWorker, OpKind, Outcome, Resume, Slice, StepEnd, StepStatus, ToWorker};
use protocol::{RunNumber, msgpack};
use sostenuto::prelude::*;

use crate::server::{ID, Server, result, value};

#[task]
fn double(number: i64) -> i64 {
    2 * number
}

#[service]
struct Errands {
    done: Map<i64, i64>,
    errands: ErrandsClient,
}

/// Counts how often it is let go of.
struct Guard;

static LET_GO: AtomicUsize = AtomicUsize::new(0);

/// A method is in `hangs`; it may leave.
static HANGS: (AtomicBool, AtomicBool) = (AtomicBool::new(false), AtomicBool::new(false));

impl Drop for Guard {
    fn drop(&mut self) {
        LET_GO.fetch_add(1, Ordering::Relaxed);
    }
}

#[methods]
impl Errands {
    pub fn other(&self, number: i64) -> i64 {
        number
    }

    /// Does what the script says, and tells what it saw.
    pub async fn all(&mut self, script: Vec<i64>) -> Result<Vec<i64>> {
        let mut seen = Vec::new();
        for (at, what) in script.into_iter().enumerate() {
            let at = at as i64;
            match what {
                0 => seen.extend(self.done.get(&at)),
                1 => self.done.insert(at, seen.len() as i64),
                2 => seen.push(now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64),
                3 => seen.push((random_u64() >> 2) as i64),
                4 => sleep(Duration::from_secs(1)).await?,
                5 => seen.push(join((double(at), double(-at))).await.0?),
                6 => seen.push(timeout(Duration::from_secs(5), double(at)).await??),
                7 => seen.push(self.errands.other(at).await?),
                8 => seen.push(transaction(async { self.errands.other(at).await }).await?),
                9 => drop(self.done.remove(&(at - 1))),
                _ => seen.push(double(at).await?),
            }
        }
        Ok(seen)
    }

    pub async fn hangs(&mut self) -> Result<()> {
        double(1).await?;
        HANGS.0.store(true, Ordering::Release);
        while !HANGS.1.load(Ordering::Acquire) {
            thread::yield_now();
        }
        Ok(())
    }

    pub async fn guarded(&mut self, times: i64) -> Result<i64> {
        let _guard = Guard;
        for number in 0..times {
            double(number).await?;
        }
        Ok(self.done.len() as i64)
    }
}

fn server() -> Server {
    Server::new(Application::new().service::<Errands>().task::<double>())
}

/// A number that looks as if it was drawn.
fn drawn(seed: u64, index: u64) -> u64 {
    let mixed = (seed << 32 | index).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

fn answer(op: &protocol::worker::Op) -> Option<Outcome> {
    match &op.kind {
        OpKind::Task(call) => {
            let (args, _) = msgpack::decode_args(&call.args).unwrap();
            let Stored::Int(number) = args[0] else { panic!("a number") };
            value(Stored::Int(2 * number))
        }
        OpKind::Call(target) => value(msgpack::decode_args(&target.args).unwrap().0[0].clone()),
        _ => value(Stored::None),
    }
}

#[test]
fn random_methods_do_the_same_whoever_goes_on_with_them() {
    let mut taken_over = 0;
    for seed in 0..400 {
        let length = 1 + drawn(seed, 0) % 12;
        let script = (1..=length).map(|index| Stored::Int((drawn(seed, index) % 18) as i64)).collect();
        let args = [Stored::List(script)];
        let run = |server: &mut Server| {
            let told = server.run_to_end("Errands", "all", &args, answer);
            (told, server.store.borrow().cells.clone())
        };
        let expected = run(&mut server());
        for way in 0..4 {
            let mut server = server();
            let count = Cell::new(0);
            server.goes_on = Box::new(move || {
                count.set(count.get() + 1);
                match way {
                    0 => Some(true),
                    1 => Some(false),
                    2 => Some(drawn(seed, 100 + count.get()).is_multiple_of(2)),
                    _ => [None, Some(true), Some(false)][(drawn(seed, 200 + count.get()) % 3) as usize],
                }
            });
            assert_eq!(run(&mut server), expected, "seed {seed}, way {way}");
            taken_over += server.taken_over;
        }
    }
    assert!(taken_over > 500, "{taken_over}");
}

fn begin(server: &mut Server, method: &str, args: &[Stored]) -> Box<StepEnd> {
    let FromWorker::End(end) = server.begin("Errands", method, args) else { panic!("dropped") };
    end
}

fn resume(server: &mut Server) -> FromWorker {
    let resume = Resume { run: RunNumber(9), invocation: ID, clock: 9, slice: Slice::default(), delivered: Vec::new() };
    server.worker.handle(ToWorker::Resume(resume)).unwrap()
}

fn script(what: &[i64]) -> [Stored; 1] {
    [Stored::List(what.iter().map(|what| Stored::Int(*what)).collect())]
}

#[test]
fn what_needs_a_cell_or_the_time_does_not_go_on() {
    for needs in [0, 2, 4, 6, 9] {
        let mut server = server();
        begin(&mut server, "all", &script(&[10, needs, 10]));
        let two = value(Stored::Int(2)).unwrap();
        assert!(server.worker.shelf().go_on(ID, "0", &two).is_none(), "{needs}");
        assert_eq!(resume(&mut server), FromWorker::Dropped { run: RunNumber(9) }, "nobody has it any more");
        // For a while it is not tried again.
        begin(&mut server, "all", &script(&[10, needs, 10]));
        for _ in 0..64 {
            assert!(server.worker.shelf().go_on(ID, "0", &two).is_none());
            assert_eq!(server.worker.suspended(), 1);
        }
        assert!(server.worker.shelf().go_on(ID, "0", &two).is_none());
        assert_eq!(server.worker.suspended(), 0);
    }
}

#[test]
fn who_waits_for_something_else_stays_where_it_is() {
    let two = value(Stored::Int(2)).unwrap();
    for (what, position) in [(vec![10], "1"), (vec![7], "0"), (vec![4], "0"), (vec![5], "0"), (vec![6], "0")] {
        let mut server = server();
        begin(&mut server, "all", &script(&what));
        assert!(server.worker.shelf().go_on(ID, position, &two).is_none(), "{what:?}");
        assert_eq!(server.worker.suspended(), 1, "{what:?}");
    }
}

#[test]
fn an_end_is_taken_over_too() {
    let mut server = server();
    begin(&mut server, "all", &script(&[10]));
    let went_on = server.worker.shelf().go_on(ID, "0", &value(Stored::Int(2)).unwrap()).unwrap();
    assert!(!went_on.suspended());
    let end = went_on.accept(RunNumber(2));
    assert!(matches!(end.status, StepStatus::Returned(_)));
    assert_eq!((result(&end), server.worker.suspended()), (Ok(Stored::List(vec![Stored::Int(2)])), 0));
}

#[test]
fn what_is_rejected_is_let_go_of_by_whoever_goes_on_next() {
    let mut server = server();
    let two = value(Stored::Int(2)).unwrap();
    begin(&mut server, "guarded", &[Stored::Int(3)]);
    let went_on = server.worker.shelf().go_on(ID, "0", &two).unwrap();
    assert!(went_on.suspended());
    drop(went_on);
    assert_eq!(LET_GO.load(Ordering::Relaxed), 0);
    begin(&mut server, "all", &script(&[10]));
    server.worker.shelf().go_on(ID, "0", &two).unwrap();
    assert_eq!(LET_GO.load(Ordering::Relaxed), 1);
}

#[test]
fn where_one_hangs_no_other_goes_on() {
    let (mut server, two) = (server(), value(Stored::Int(2)).unwrap());
    begin(&mut server, "hangs", &[]);
    let (shelf, result) = (server.worker.shelf(), two.clone());
    let hanging = thread::spawn(move || shelf.go_on(ID, "0", &result).is_some());
    while !HANGS.0.load(Ordering::Acquire) {
        thread::yield_now();
    }
    let inside = Instant::now();
    while inside.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
    begin(&mut server, "hangs", &[]);
    assert!(server.worker.shelf().go_on(ID, "0", &two).is_none());
    assert_eq!(server.worker.suspended(), 1);
    // Elsewhere it does.
    begin(&mut server, "all", &script(&[10]));
    assert!(server.worker.shelf().go_on(ID, "0", &two).is_some());
    HANGS.1.store(true, Ordering::Release);
    assert!(hanging.join().unwrap());
}
