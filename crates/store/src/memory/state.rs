//! State in maps, with the checkpoint kept beside it so that a crash can be played.

use std::{collections::BTreeMap, ops::Bound, sync::Mutex};

use super::lock;
use crate::{
    log::Lsn,
    state::{Entry, Snapshot, State, StateError, StateIter, Write, check_forward, check_keys},
};

/// State in memory.
pub struct MemoryState {
    parts: Mutex<Parts>,
    partitions: u16,
}

struct Parts {
    present: Vec<Part>,
    checkpoint: Vec<Part>,
}

#[derive(Clone, Default)]
struct Part {
    applied: Lsn,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryState {
    /// Empty state of so many partitions.
    #[must_use]
    pub fn new(partitions: u16) -> Self {
        Self::with(vec![Part::default(); usize::from(partitions)], partitions)
    }

    /// What a crash leaves: the last checkpoint and nothing later.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self::with(lock(&self.parts).checkpoint.clone(), self.partitions)
    }

    fn with(present: Vec<Part>, partitions: u16) -> Self {
        let checkpoint = present.clone();
        Self { parts: Mutex::new(Parts { present, checkpoint }), partitions }
    }

    fn check(&self, partition: u16) -> Result<usize, StateError> {
        if partition < self.partitions {
            Ok(usize::from(partition))
        } else {
            Err(StateError::Partition { partition, partitions: self.partitions })
        }
    }

    fn collect(&self, partition: u16, from: &[u8], to: Option<&[u8]>) -> Result<(Lsn, Vec<Entry>), StateError> {
        let index = self.check(partition)?;
        let parts = lock(&self.parts);
        let part = &parts.present[index];
        if to.is_some_and(|to| from >= to) {
            return Ok((part.applied, Vec::new()));
        }
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let entries = part.entries.range::<[u8], _>(bounds);
        Ok((part.applied, entries.map(|(key, value)| (key.clone(), value.clone())).collect()))
    }
}

impl State for MemoryState {
    fn apply(&self, partition: u16, applied: Lsn, writes: &[Write]) -> Result<(), StateError> {
        check_keys(writes)?;
        let index = self.check(partition)?;
        let mut parts = lock(&self.parts);
        let part = &mut parts.present[index];
        check_forward(partition, part.applied, applied)?;
        part.applied = applied;
        for (key, value) in writes {
            match value {
                Some(value) => part.entries.insert(key.clone(), value.clone()),
                None => part.entries.remove(key),
            };
        }
        Ok(())
    }

    fn advance(&self, partition: u16, to: Lsn) -> Result<(), StateError> {
        let index = self.check(partition)?;
        let mut parts = lock(&self.parts);
        let part = &mut parts.present[index];
        part.applied = part.applied.max(to);
        Ok(())
    }

    fn get(&self, partition: u16, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let index = self.check(partition)?;
        Ok(lock(&self.parts).present[index].entries.get(key).cloned())
    }

    fn range(&self, partition: u16, from: &[u8], to: Option<&[u8]>) -> Result<StateIter<'_>, StateError> {
        let (_, entries) = self.collect(partition, from, to)?;
        Ok(Box::new(entries.into_iter().map(Ok)))
    }

    fn applied(&self, partition: u16) -> Result<Lsn, StateError> {
        let index = self.check(partition)?;
        Ok(lock(&self.parts).present[index].applied)
    }

    fn checkpoint(&self) -> Result<(), StateError> {
        let mut parts = lock(&self.parts);
        parts.checkpoint = parts.present.clone();
        Ok(())
    }

    fn snapshot(&self, partition: u16) -> Result<Snapshot, StateError> {
        let (applied, entries) = self.collect(partition, &[], None)?;
        Ok(Snapshot { applied, entries: Box::new(entries.into_iter().map(Ok)) })
    }

    fn size_bytes(&self) -> Result<u64, StateError> {
        let parts = lock(&self.parts);
        let entries = parts.present.iter().flat_map(|part| &part.entries);
        Ok(entries.map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    fn partitions(&self) -> u16 {
        self.partitions
    }
}
