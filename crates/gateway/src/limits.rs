//! Bounds of the front door, and what happens at each. Sizes of bodies and keys are in [`protocol::limits`].

use std::time::Duration;

/// What is open at one time. One more is answered 503 with Retry-After.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections; one more is closed after its answer.
    pub connections: usize,
    /// Calls that wait for their reply. Fewer than connections, so that the control API stays reachable when all wait.
    pub calls: usize,
    /// Requests to the control API, long polls included.
    pub control_requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 8192, calls: 4096, control_requests: 1024 }
    }
}

/// Bytes of request bodies held in memory at one time, beyond the first [`BODY_CHUNK_BYTES`] of each; more: 503.
pub const BODIES_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Unit in which the memory of bodies is counted.
pub const BODY_CHUNK_BYTES: usize = 64 * 1024;
/// Silence of a client within a body; beyond: 400, and the connection is closed.
pub const BODY_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Bytes of a refused body that are read and dropped, so that a client that is still sending gets to see the answer.
pub const REFUSED_BODY_BYTES_MAX: usize = 2 * protocol::limits::BODY_BYTES_MAX;
/// Time for that.
pub const REFUSED_BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// Time for a request's head, and idle time between requests of one connection; beyond: the connection is closed.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(75);
/// Time that open requests get to end at shutdown; then their connections are closed.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest `wait` of a long poll; a longer one is cut to it.
pub const WAIT_MAX: Duration = Duration::from_secs(300);
/// Time that the node gets to look a result up, also if `wait` is absent or shorter.
pub const WAIT_MIN: Duration = Duration::from_millis(100);
/// Invocations on a page of the list, unless `limit` says less; a larger `limit` is cut to it.
pub const PAGE_MAX: usize = 1000;
/// Invocations on a page if `limit` is absent.
pub const PAGE_DEFAULT: usize = 100;
/// Names proposed after a misspelt one.
pub const NEAR_NAMES_MAX: usize = 3;
/// Bytes of a name that are compared with others; longer ones get no proposals.
pub const NEAR_NAME_BYTES_MAX: usize = 64;
/// Bytes of an entity's key in an address; beyond: 422.
pub const KEY_BYTES_MAX: usize = 4096;
