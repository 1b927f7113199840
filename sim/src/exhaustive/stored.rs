//! A log of a copied world, and the rows that its records make.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use engine::Query;
use protocol::cell::CellKey;
use protocol::ids::{PartitionId, SLOTS, Slot};
use protocol::record::Record;

/// Rows of a partition.
pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A record, and the rows that it changed when it was applied first.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) partition: PartitionId,
    pub(super) record: Record,
    pub(super) rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A log: what is durable as rows, the rest as records.
#[derive(Clone, Debug)]
pub(super) struct Log {
    /// Counts the starts of its node: the epoch.
    pub(super) life: u64,
    pub(super) durable: u64,
    pending: VecDeque<Rc<Written>>,
    stable: Rc<BTreeMap<PartitionId, Rows>>,
    /// Of the durable rows.
    print: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self { life: 1, durable: 0, pending: VecDeque::new(), stable: Rc::default(), print: 0 }
    }
}

impl Log {
    /// Position of the last record.
    pub(super) fn tail(&self) -> u64 {
        self.durable + self.pending.len() as u64
    }

    pub(super) fn push(&mut self, written: Written) {
        self.pending.push_back(Rc::new(written));
    }

    /// Everything up to `to` is durable.
    pub(super) fn sync(&mut self, to: u64) {
        while self.durable < to {
            let Some(written) = self.pending.pop_front() else { return };
            self.durable += 1;
            let rows = Rc::make_mut(&mut self.stable).entry(written.partition).or_default();
            put(rows, &written.rows);
        }
        let mut digest = DefaultHasher::new();
        self.stable.hash(&mut digest);
        self.print = digest.finish();
    }

    /// The node is gone; the log keeps `keep` records. Returns those that were not known to be durable.
    pub(super) fn crash(&mut self, keep: u64) -> Vec<(u64, Rc<Written>)> {
        self.pending.truncate((keep - self.durable) as usize);
        self.life += 1;
        (self.durable + 1..).zip(self.pending.iter().cloned()).collect()
    }

    /// Durable rows of a partition.
    pub(super) fn stable(&self, id: PartitionId) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.stable.get(&id).into_iter().flatten()
    }

    /// All rows of a partition.
    pub(super) fn rows(&self, id: PartitionId) -> Rows {
        let mut rows = self.stable.get(&id).cloned().unwrap_or_default();
        for written in self.pending.iter().filter(|written| written.partition == id) {
            put(&mut rows, &written.rows);
        }
        rows
    }

    pub(super) fn digest(&self) -> u64 {
        let mut digest = DefaultHasher::new();
        (self.life, self.print).hash(&mut digest);
        for written in &self.pending {
            (written.partition, &written.rows).hash(&mut digest);
        }
        digest.finish()
    }
}

fn put(rows: &mut Rows, changes: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, row) in changes {
        match row {
            Some(row) => _ = rows.insert(key.clone(), row.clone()),
            None => _ = rows.remove(key),
        }
    }
}

/// Rows in order, and whether some were left out.
pub type Found = (Vec<(Vec<u8>, Vec<u8>)>, bool);

/// Answers a partition's question about its rows.
pub fn answer(rows: &Rows, id: PartitionId, partitions: u16, query: &Query) -> Found {
    let clone = |(key, row): (&Vec<u8>, &Vec<u8>)| (key.clone(), row.clone());
    match query {
        Query::Rows(keys) => {
            let keys: BTreeSet<&Vec<u8>> = keys.iter().collect();
            (keys.into_iter().filter_map(|key| rows.get_key_value(key)).map(clone).collect(), false)
        }
        Query::Field { slot, field, entity, bytes_max } => {
            let start = |id: u16| (u32::from(id) * u32::from(SLOTS)).div_ceil(u32::from(partitions)) as u16;
            let (first, end) = slot.map_or((start(id.0), start(id.0 + 1)), |slot| (slot.0, slot.0 + 1));
            let prefixed = |key: &[u8]| {
                let slot = Slot(u16::from_be_bytes([key[0], key[1]]));
                key.starts_with(&CellKey::field_prefix(slot, *field, entity.as_deref()))
            };
            let (from, to) = (first.to_be_bytes().to_vec(), end.to_be_bytes().to_vec());
            let found: Vec<_> = rows.range(from..to).filter(|(key, _)| prefixed(key)).map(clone).collect();
            let bytes: usize = found.iter().map(|(key, row)| key.len() + row.len()).sum();
            (found, bytes > *bytes_max)
        }
        Query::Range { from, to, rows_max } => {
            let found: Vec<_> = rows.range(from.clone()..to.clone()).map(clone).collect();
            (found.iter().take(*rows_max).cloned().collect(), found.len() > *rows_max)
        }
    }
}
