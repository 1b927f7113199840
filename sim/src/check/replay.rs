//! Replay: the records of a partition, applied from the first one on to nothing, give the rows that it has, byte by
//! byte; at the end, and after each recovery.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{Config, Deployment, Partition, RowChange, Turn};
use protocol::Position;
use protocol::ids::PartitionId;

use crate::chronicle;
use crate::world::World;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn check(world: &World) -> Result<(), String> {
    (0..world.machines.len()).try_for_each(|node| agrees(world, node))
}

/// Compares the partitions of one node.
pub fn agrees(world: &World, node: usize) -> Result<(), String> {
    let machine = &world.machines[node];
    let Some(up) = machine.up.as_ref() else { return Ok(()) };
    let deployment = Arc::new(Deployment::new(world.manifest()));
    for (id, _) in up.node.partitions() {
        let has: Rows = up.node.rows(id).map_err(|error| error.to_string())?.into_iter().collect();
        let replayed = replayed(world, node, id, &deployment)?;
        if has != replayed {
            let differs = |(key, row): &(&Vec<u8>, &Vec<u8>)| replayed.get(*key) != Some(row);
            let extra = has.iter().filter(differs).map(|(key, _)| key.clone()).next();
            let missing = replayed.keys().find(|key| !has.contains_key(*key));
            return Err(format!(
                "partition {id} has other rows than its log gives: first that differs {extra:?}, first missing {missing:?}"
            ));
        }
    }
    Ok(())
}

fn replayed(world: &World, node: usize, id: PartitionId, deployment: &Arc<Deployment>) -> Result<Rows, String> {
    let config = Config { id, partitions: world.plan.partitions, ..Config::default() };
    let mut partition = Partition::new(config, Arc::clone(deployment));
    let mut rows = Rows::new();
    let chronicle = chronicle::lock(&world.machines[node].chronicle);
    for (position, entry) in chronicle.entries().filter(|(_, entry)| entry.partition == id) {
        let position = Position(position);
        let mut turn = Turn { next: position, ..Turn::default() };
        partition.replay(position, &entry.record, &mut turn);
        for (_, key, change) in turn.writes {
            if matches!(change, RowChange::Insert(_)) && rows.contains_key(&key) {
                return Err(format!(
                    "record {} of partition {id} takes a row for new that is there: {key:?}",
                    position.0
                ));
            }
            match change.encode() {
                Some(row) => drop(rows.insert(key, row)),
                None => drop(rows.remove(&key)),
            }
        }
    }
    Ok(rows)
}
