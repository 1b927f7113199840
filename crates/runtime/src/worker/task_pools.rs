//! The task pools of a node's languages, as one: a task goes to the pool of its function's language, everything else to
//! the pool that has the run.

use std::io;
use std::time::Instant;

use engine::TaskStart;
use protocol::manifest::Language;
use protocol::worker::{FromWorker, RUST_TASK};
use protocol::{PartitionId, Position, RunNumber};

use super::pool::Owed;
use super::tasks::{TaskNews, TaskPool};
use super::{Death, WorkerId};

/// Numbers of workers of later pools begin this much higher.
const NUMBERS: u64 = 1 << 32;

/// One pool for each language that has tasks.
pub(crate) struct TaskPools {
    pools: Vec<(Language, TaskPool)>,
}

impl TaskPools {
    /// The pools, of languages that differ.
    pub(crate) fn new(pools: Vec<(Language, TaskPool)>) -> Self {
        let numbered = pools
            .into_iter()
            .zip(0..)
            .map(|((language, pool), index)| (language, pool.numbered_from(index * NUMBERS + 1)));
        Self { pools: numbered.collect() }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut TaskPool> {
        self.pools.iter_mut().map(|(_, pool)| pool)
    }

    fn of_worker(&mut self, id: WorkerId) -> Option<&mut TaskPool> {
        let index = usize::try_from((id.0 - 1) / NUMBERS).ok()?;
        self.pools.get_mut(index).map(|(_, pool)| pool)
    }

    /// Tasks that workers have and have not ended.
    pub(crate) fn running(&self) -> usize {
        self.pools.iter().map(|(_, pool)| pool.running()).sum()
    }

    /// Runs a task when what it rests on is durable and a worker is free. One of a language that is gone fails where there is none of its name.
    pub(crate) fn start(&mut self, partition: PartitionId, start: TaskStart) {
        let is_rust = start.call.function.starts_with(RUST_TASK);
        let language = if is_rust { Language::Rust } else { Language::Python };
        let of_language = self.pools.iter().position(|(of, _)| *of == language).unwrap_or_default();
        if let Some((_, pool)) = self.pools.get_mut(of_language) {
            pool.start(partition, start);
        }
    }

    /// Nobody wants the result any more.
    pub(crate) fn stop(&mut self, partition: PartitionId, number: RunNumber, now: Instant) {
        self.all().for_each(|pool| pool.stop(partition, number, now));
    }

    /// Takes in what a worker said.
    pub(crate) fn said(
        &mut self,
        id: WorkerId,
        messages: Vec<FromWorker>,
        now: Instant,
        owed: &mut Vec<Owed>,
    ) -> Vec<TaskNews> {
        self.of_worker(id).map(|pool| pool.said(id, messages, now, owed)).unwrap_or_default()
    }

    /// Takes in that a worker has ended.
    pub(crate) fn gone(&mut self, id: WorkerId, death: &Death, now: Instant, owed: &mut Vec<Owed>) -> Option<TaskNews> {
        self.of_worker(id)?.gone(id, death, now, owed)
    }

    /// Places what waits and sends what is ready. Everything up to `durable` is durable.
    pub(crate) fn flush(&mut self, durable: Position, now: Instant, owed: &mut Vec<Owed>) {
        self.all().for_each(|pool| pool.flush(durable, now, owed));
    }

    /// Starts missing workers, ends those of late tasks.
    pub(crate) fn check(&mut self, now: Instant) -> io::Result<()> {
        self.all().map(|pool| pool.check(now)).fold(Ok(()), io::Result::and)
    }

    /// When [`Self::check`] wants to be called.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.pools.iter().filter_map(|(_, pool)| pool.next_wake()).min()
    }

    /// Begins no task any more.
    pub(crate) fn drain(&mut self) {
        self.all().for_each(TaskPool::drain);
    }

    /// Lets go of all workers. Returns how many there were that will end.
    pub(crate) fn close(&mut self) -> usize {
        self.all().map(TaskPool::close).sum()
    }
}
