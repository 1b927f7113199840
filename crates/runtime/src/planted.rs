//! Bugs on purpose, chosen at run time, to show that the simulator's checkers find them. Without the feature `planted`,
//! which no released binary has, none can be chosen and nothing of them is compiled in.

/// A bug of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Answers leave before what they rest on is durable.
    ReplyBeforeDurable,
    /// The state is written ahead of the log.
    StateAhead,
    /// The overlay drops a row when an older version of it is in the state.
    OverlayDropped,
    /// Tasks begin before what they rest on is durable.
    TaskBeforeDurable,
    /// Recovery leaves out the first record that the state lacks.
    ReplayGap,
    /// Messages leave for other nodes before what they rest on is durable.
    MessageBeforeDurable,
    /// Deletions are not written to the state.
    DeletionKept,
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
