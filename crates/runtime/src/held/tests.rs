//! What leaves when; with the feature `interleave` in every kind of order of driver and log.

use std::sync::Arc;

use super::*;
use crate::sync::{AtomicU64, thread};

/// What has left.
type Out = Arc<std::sync::Mutex<Vec<u64>>>;

fn push(out: &Out, number: u64) -> Release {
    let out = Arc::clone(out);
    Box::new(move || out.lock().unwrap().push(number))
}

/// The driver puts in, ahead of the log and behind it; the log's thread lets out.
fn driver_and_log() {
    let (out, held, durable) = (Out::default(), Arc::new(Held::default()), Arc::new(AtomicU64::new(0)));
    let log = {
        let (held, durable) = (Arc::clone(&held), Arc::clone(&durable));
        thread::spawn(move || {
            for position in 1..=3 {
                durable.store(position, std::sync::atomic::Ordering::SeqCst);
                held.let_out(Position(position));
            }
        })
    };
    for (number, after) in [(0, 1), (1, 1), (2, 2), (3, 0), (4, 3)] {
        let (push, durable) = (push(&out, number), Arc::clone(&durable));
        let leave = move || {
            assert!(durable.load(std::sync::atomic::Ordering::SeqCst) >= after, "{number} has left early");
            push();
        };
        held.until(Position(after), Box::new(leave));
    }
    log.join().unwrap();
    assert_eq!(held.len(), 0, "what rests on nothing more has left");
    let left = out.lock().unwrap().clone();
    let of_positions: Vec<u64> = left.iter().copied().filter(|number| *number != 3).collect();
    assert_eq!((of_positions.as_slice(), left.len()), ([0, 1, 2, 4].as_slice(), 5));
}

#[cfg(not(feature = "interleave"))]
mod once {
    use super::*;

    #[test]
    fn nothing_leaves_early_and_order_is_kept() {
        let (out, held) = (Out::default(), Held::default());
        held.let_out(Position(1));
        for (number, after) in [(3, 3), (1, 2), (2, 2), (0, 1)] {
            held.until(Position(after), push(&out, number));
        }
        held.let_out(Position(1));
        assert_eq!(*out.lock().unwrap(), [0]);
        held.let_out(Position(2));
        assert_eq!(*out.lock().unwrap(), [0, 1, 2]);
        // A watermark that is heard of late.
        held.let_out(Position(1));
        held.let_out(Position(9));
        assert_eq!(*out.lock().unwrap(), [0, 1, 2, 3]);
        assert_eq!(held.len(), 0);
    }

    #[test]
    fn when_it_is_shut_nothing_leaves() {
        let (out, held) = (Out::default(), Held::default());
        held.until(Position(2), push(&out, 0));
        held.until(Position(3), push(&out, 1));
        held.let_out(Position(2));
        held.shut();
        held.let_out(Position(3));
        held.until(Position(3), push(&out, 2));
        assert_eq!((out.lock().unwrap().as_slice(), held.len()), ([0].as_slice(), 0));
    }

    #[test]
    fn what_comes_while_others_leave_lines_up_behind_them() {
        let (out, held) = (Out::default(), Arc::new(Held::default()));
        let (inner, pushed) = (Arc::clone(&held), Arc::clone(&out));
        let meanwhile = move || {
            inner.until(Position(1), push(&pushed, 2));
            inner.let_out(Position(2));
            pushed.lock().unwrap().push(0);
        };
        held.until(Position(1), Box::new(meanwhile));
        held.until(Position(1), push(&out, 1));
        held.until(Position(2), push(&out, 3));
        held.let_out(Position(1));
        assert_eq!(*out.lock().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn driver_and_log() {
        super::driver_and_log();
    }
}

#[cfg(feature = "interleave")]
mod interleave {
    #[test]
    fn driver_and_log() {
        shuttle::check_random(super::driver_and_log, 3_000);
        shuttle::check_pct(super::driver_and_log, 3_000, 3);
    }
}
