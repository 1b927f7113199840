//! Retention: results and keys past their time are forgotten, a bounded number per record.

use protocol::cell::{self, kind};
use protocol::ids::InvocationId;
use protocol::record::{self, Body, Dedup, Forgotten};

use crate::begin::Load;
use crate::io::{Query, Turn};
use crate::limits::FORGET_BATCH_MAX;
use crate::partition::Partition;
use crate::planted::{self, Bug};

impl Partition {
    /// Looks for results whose time is over.
    pub(crate) fn sweep(&mut self, turn: &mut Turn) {
        let from = cell::partition_prefix(kind::EXPIRY);
        let until = if planted::is(Bug::EarlyForget) { u64::MAX } else { turn.now };
        let to = cell::partition_row(kind::EXPIRY, &until.to_be_bytes());
        self.load(Load::Sweep, Query::Range { from, to, rows_max: FORGET_BATCH_MAX }, turn);
    }

    pub(crate) fn swept(&mut self, rows: Vec<(Vec<u8>, Vec<u8>)>, turn: &mut Turn) {
        let forgotten: Vec<Forgotten> = rows.iter().filter_map(|(key, row)| forgotten(key, row)).collect();
        if forgotten.is_empty() {
            return;
        }
        let more = forgotten.len() >= FORGET_BATCH_MAX;
        self.log(Body::Forget(forgotten), Vec::new(), turn);
        if more {
            self.sweep(turn);
        }
    }
}

fn forgotten(key: &[u8], row: &[u8]) -> Option<Forgotten> {
    let suffix = key.get(3..)?;
    let (keep_until, id) = suffix.split_at_checked(8)?;
    let keep_until = u64::from_be_bytes(keep_until.try_into().ok()?);
    let id = InvocationId(id.try_into().ok()?);
    let dedup = match row.is_empty() {
        true => None,
        false => Some(record::decode::<Dedup>(row, "retention index").expect("a stored row is one that we wrote")),
    };
    Some(Forgotten { id, keep_until, dedup })
}
