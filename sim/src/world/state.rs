//! State that a crash sets back: to the last checkpoint and any number of the batches that were applied since, as a
//! store that writes without syncing may have it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use store::memory::MemoryState;
use store::state::{StateIter, Write};
use store::{Lsn, Snapshot, State, StateError};

use crate::rng::Rng;

/// What was done since the last checkpoint.
enum Change {
    Apply(u16, Lsn, Vec<Write>),
    Advance(u16, Lsn),
}

/// State of one node.
pub struct SimState {
    present: MemoryState,
    behind: Mutex<Behind>,
}

struct Behind {
    checkpoint: MemoryState,
    since: Vec<Change>,
}

impl SimState {
    pub fn new(partitions: u16) -> Self {
        let behind = Behind { checkpoint: MemoryState::new(partitions), since: Vec::new() };
        Self { present: MemoryState::new(partitions), behind: Mutex::new(behind) }
    }

    fn behind(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a crash leaves, and whether something is lost. When only the process dies, everything is there.
    pub fn crash(&self, process_only: bool, rng: &mut Rng) -> (Self, bool) {
        let behind = self.behind();
        let count = behind.since.len();
        let keep = if process_only { count } else { rng.below(count as u64 + 1) as usize };
        let after = behind.checkpoint.crash();
        behind.since[..keep].iter().for_each(|change| change.redo(&after));
        // What survived is on disk now, as far as anybody can tell.
        after.checkpoint().expect("memory does not fail");
        let checkpoint = after.crash();
        (Self { present: after, behind: Mutex::new(Behind { checkpoint, since: Vec::new() }) }, keep < count)
    }
}

impl Change {
    fn redo(&self, state: &MemoryState) {
        let done = match self {
            Self::Apply(partition, applied, writes) => state.apply(*partition, *applied, writes),
            Self::Advance(partition, to) => state.advance(*partition, *to),
        };
        done.expect("it was done before");
    }
}

impl State for SimState {
    fn apply(&self, partition: u16, applied: Lsn, writes: &[Write]) -> Result<(), StateError> {
        self.present.apply(partition, applied, writes)?;
        self.behind().since.push(Change::Apply(partition, applied, writes.to_vec()));
        Ok(())
    }

    fn advance(&self, partition: u16, to: Lsn) -> Result<(), StateError> {
        self.present.advance(partition, to)?;
        self.behind().since.push(Change::Advance(partition, to));
        Ok(())
    }

    fn get(&self, partition: u16, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.present.get(partition, key)
    }

    fn range(&self, partition: u16, from: &[u8], to: Option<&[u8]>) -> Result<StateIter<'_>, StateError> {
        self.present.range(partition, from, to)
    }

    fn applied(&self, partition: u16) -> Result<Lsn, StateError> {
        self.present.applied(partition)
    }

    fn checkpoint(&self) -> Result<(), StateError> {
        let mut behind = self.behind();
        for change in std::mem::take(&mut behind.since) {
            change.redo(&behind.checkpoint);
        }
        behind.checkpoint.checkpoint()
    }

    fn snapshot(&self, partition: u16) -> Result<Snapshot, StateError> {
        self.present.snapshot(partition)
    }

    fn size_bytes(&self) -> Result<u64, StateError> {
        self.present.size_bytes()
    }

    fn partitions(&self) -> u16 {
        self.present.partitions()
    }
}
