//! Bugs on purpose, chosen at run time, to show that the simulator's checkers find them. Without the feature `planted`,
//! which no released binary has, none can be chosen and nothing of them is compiled in.

/// A bug of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A batch counts as intact if its header is.
    TornBatch,
    /// The watermark moves without a sync.
    WatermarkBeforeSync,
    /// A trim gives up the segment that is still needed.
    TrimAhead,
    /// The committer looks for work, and only then goes to sleep: what comes between does not wake it.
    SleepsUnaware,
}

#[cfg(feature = "planted")]
mod chosen {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Chooses the bug of this thread.
    pub fn plant(bug: Option<Bug>) {
        BUG.set(bug);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        BUG.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub use chosen::plant;

#[cfg(feature = "planted")]
pub(crate) use chosen::is;

#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
