//! The rows of the partitions as the driver sees them: what is stored, under what is not stored yet.
//!
//! - [`overlay`] holds the rows of records that are not durable, or not written to the state yet.
//! - [`view`] reads both as one.
//! - [`query`] answers the engine's questions from a view.
//! - [`writer`] is the thread that writes durable rows to the state.

pub(crate) mod overlay;
pub(crate) mod query;
pub(crate) mod view;
pub(crate) mod writer;

pub(crate) use overlay::{Overlay, Row};
pub(crate) use view::View;
