//! Bugs on purpose, chosen at run time, to show that the simulator's checkers find them. Without the feature `planted`,
//! which no released binary has, none can be chosen and nothing of them is compiled in.

/// A bug of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A retry reuses the id of its attempt.
    ReusedAttempt,
    /// An abort that arrives late ends the newer attempt of its owner too.
    LateAbort,
    /// The decision to commit is forgotten when its home restarts.
    ForgottenDecision,
    /// The reply to a call is not sent again to a caller that has restarted.
    LostReply,
    /// The journal gives results in the order of positions, not of delivery.
    JournalByPosition,
    /// The locks of a step whose worker died stay held.
    LeakedLock,
    /// Results and keys are forgotten at the first sweep.
    EarlyForget,
    /// What lies below the mark of an inbox is not known as taken in.
    InboxMoved,
    /// The reply of a read-only step does not wait for what it read.
    ReadOnlyReply,
    /// Two siblings of one attempt are granted one cell at once.
    Siblings,
    /// Whether a waiting attempt must die is judged only when it arrives.
    JudgedOnArrival,
    /// An abort releases at once, without its freeze round.
    NoFreeze,
    /// A restarted partition grants locks before the others have stopped the attempts that lost theirs with it.
    NoFence,
    /// The locks of attempts whose home has restarted are let go before their other parts have stopped.
    HastyRelease,
    /// Timers are not set again after a restart.
    TimerLost,
    /// Of several writes of a step, the last is left out.
    PartialStep,
    /// Locks of writers do not exclude readers.
    SharedWrite,
    /// What a participant is to send with a commit is dropped.
    ForgottenSend,
    /// The record of a step leaves out the last of several writes.
    HalfRecord,
    /// A participant with writes only says that its locks stand.
    LostPromise,
    /// The result of a request with a key is kept for half of its time.
    KeptShort,
    /// With a result, its key is not forgotten.
    KeyKept,
    /// A request that is under way is not known when it is sent again.
    NotJoined,
    /// An inbox keeps the numbers of all messages.
    InboxGrows,
    /// However many invocations are unfinished, more are taken.
    AdmitsAll,
    /// However large a value is, it is stored.
    TooLarge,
    /// What a step did ahead of its turn counts, whatever it ran on.
    AheadUnchecked,
    /// A write does not renew a cell that is in memory.
    StaleCell,
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
