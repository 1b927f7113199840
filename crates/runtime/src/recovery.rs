//! From what is stored to partitions in memory: takes over the log, restores each partition from its rows, replays the
//! records that its rows lack, and writes what they change. Exchanges no messages: every input is in its records.

use std::ops::ControlFlow;
use std::sync::Arc;

use engine::Turn;
use protocol::cell::{PARTITION_SLOT, kind};
use protocol::record::{BadBytes, Record, decode};
use protocol::{PartitionId, Position};

use crate::backends::Backends;
use crate::error::StartError;
use crate::limits;
use crate::planted::{self, Bug};
use crate::rows::query::{skip_scan, slot_kind, slots_of, task_results, unfinished};
use crate::rows::writer;
use crate::rows::{Overlay, Row, View};
use engine::{Config, Deployment, Partition};

/// Partitions as they stood when the log ended.
pub(crate) struct Recovered {
    pub(crate) partitions: Vec<Partition>,
    pub(crate) epoch: u64,
    /// Last position of the log.
    pub(crate) tail: Position,
}

/// Numbers of the partitions of a node.
pub(crate) type Owned = std::ops::Range<u16>;

/// Recovers the partitions of this node. `config` is that of each partition, but for its number and epoch.
pub(crate) fn recover(
    backends: &Backends,
    config: &Config,
    owned: Owned,
    deployment: &Arc<Deployment>,
) -> Result<Recovered, StartError> {
    let epoch = backends.log.epoch() + 1;
    let tail = Position(backends.log.seal(epoch)?);
    let mut partitions = Vec::new();
    let mut applied = Vec::new();
    for id in owned.clone().map(PartitionId) {
        let own = Config { id, epoch, ..config.clone() };
        let mut partition = Partition::new(own, Arc::clone(deployment));
        restore(backends, id, config.partitions, &mut partition)?;
        applied.push(Position(backends.state.applied(id.0)?));
        partitions.push(partition);
    }
    replay(backends, (owned.start, &mut partitions), &applied, tail)?;
    Ok(Recovered { partitions, epoch, tail })
}

/// Hands a partition all its rows but cells, results and what belongs to results.
fn restore(backends: &Backends, id: PartitionId, partitions: u16, partition: &mut Partition) -> Result<(), StartError> {
    let overlay = Overlay::new(partitions);
    let mut view = View::new(&*backends.state, overlay.part(id), id);
    let mut bad = None;
    let mut row = |key: Vec<u8>, value: Vec<u8>| match partition.restore(&key, &value) {
        Ok(()) => ControlFlow::Continue(()),
        Err(source) => {
            bad = Some(source);
            ControlFlow::Break(())
        }
    };
    view.scan(&slot_kind(PARTITION_SLOT, kind::OUTBOX), &slot_kind(PARTITION_SLOT, kind::EXPIRY), &mut row)?;
    skip_scan(&mut view, slots_of(id, partitions), unfinished, &mut row)?;
    skip_scan(&mut view, slots_of(id, partitions), task_results, &mut row)?;
    bad.map_or(Ok(()), |source| Err(StartError::BadBytes { partition: id, source }))
}

/// Replays what the state lacks. The log is read once; each partition takes its own records from where its state ends.
fn replay(
    backends: &Backends,
    (first, partitions): (u16, &mut [Partition]),
    applied: &[Position],
    tail: Position,
) -> Result<(), StartError> {
    let from = applied.iter().min().map_or(1, |lowest| lowest.0 + 1);
    let mut rows = Vec::new();
    for entry in backends.log.read(from, tail.0)? {
        let (position, logged) = entry?;
        let (id, position) = (PartitionId(logged.partition), Position(position));
        let index = usize::from(logged.partition.wrapping_sub(first));
        let Some(partition) = partitions.get_mut(index) else { continue };
        let gap = u64::from(planted::is(Bug::ReplayGap) && applied[index].0 > 0);
        if position.0 <= applied[index].0 + gap {
            continue;
        }
        let bad = |source: BadBytes| StartError::BadBytes { partition: id, source };
        let record: Record = decode(&logged.bytes, "record").map_err(bad)?;
        let mut turn = Turn { next: position, ..Turn::default() };
        partition.replay(position, &record, &mut turn);
        let changed = turn.writes.into_iter();
        rows.extend(changed.map(|(position, key, change)| Row::new(position, id, key, change)));
        if rows.len() >= limits::REPLAY_BATCH_WRITES {
            writer::apply(&*backends.state, position, rows.iter(), false)?;
            rows.clear();
        }
    }
    writer::apply(&*backends.state, tail, rows.iter(), true)?;
    Ok(())
}
