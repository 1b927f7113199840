//! Time and chance as a replay sees them again: the step's recorded clock, and draws from the invocation's seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::run;
use crate::value::Uuid;

/// The time of the step, each reading one microsecond later than the last.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(run::with("now()", run::Run::now))
}

/// Random bytes. Seeds any generator: `StdRng::from_seed(random_bytes())`.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
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
