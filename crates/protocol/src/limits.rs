//! Sizes that bound what is stored and sent. What happens at each bound is said beside it.

/// Bytes of one value stored in a cell; beyond, the step ends with `NotStorable` (larger values need the blob store,
/// which is not connected yet).
pub const VALUE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one record; beyond, the step ends with `NotStorable`.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;
/// Bytes of an HTTP body; beyond: 413.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of one worker frame; beyond, the worker is ended.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a whole-field scan; beyond, the step ends with an error that advises a narrower read.
pub const SCAN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of an `Idempotency-Key`; beyond: 422.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 512;
/// Bytes of user output kept from one step; the rest is cut and said so.
pub const STEP_LOG_BYTES_MAX: usize = 64 * 1024;
/// Nesting of a value; beyond, encoding and decoding fail with an error.
pub const DEPTH_MAX: usize = 200;
