//! Time and chance as a replay sees them again: the step's recorded clock, and draws from the invocation's seed. In a
//! task, which nobody replays, those of the machine.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::value::Uuid;
use crate::{run, task};

/// The time of the step, each reading one microsecond later than the last; in a task the clock's.
pub fn now() -> SystemTime {
    if task::is_running() {
        return SystemTime::now();
    }
    UNIX_EPOCH + Duration::from_micros(run::with("now()", run::Run::now))
}

/// Random bytes, in a task those of the operating system. Seeds any generator: `StdRng::from_seed(random_bytes())`.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if task::is_running() {
        let mut source = File::open("/dev/urandom").expect("every Unix has /dev/urandom");
        source.read_exact(&mut bytes).expect("it never ends");
        return bytes;
    }
    run::with("random_bytes()", |run| run.draw(&mut bytes));
    bytes
}

/// A random number of all that there are.
pub fn random_u64() -> u64 {
    u64::from_le_bytes(random_bytes())
}

/// A random number from 0 (inclusive) to 1 (exclusive).
pub fn random_f64() -> f64 {
    (random_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A random UUID of version 4.
pub fn uuid4() -> Uuid {
    let mut bytes: [u8; 16] = random_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid(bytes)
}
