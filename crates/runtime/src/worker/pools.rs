//! The pools of a node's languages, as one: a start goes to the pool of its service's language, everything else to the
//! pool that has the run.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use protocol::manifest::{Language, Manifest};
use protocol::worker::{FromWorker, Resume, Slice, Start};
use protocol::{InvocationId, PartitionId, RunNumber};

use super::pool::{Change, Owed, Pool, PoolStats};
use super::{Death, WentOn, WorkerId};

/// Numbers of workers of later pools begin this much higher.
const NUMBERS: u64 = 1 << 32;

/// One pool for each language that has services.
pub(crate) struct Pools {
    manifest: Arc<Manifest>,
    pools: Vec<(Language, Pool)>,
}

impl Pools {
    /// The pools, of languages that differ.
    pub(crate) fn new(manifest: Arc<Manifest>, pools: Vec<(Language, Pool)>) -> Self {
        let numbered = pools
            .into_iter()
            .zip(0..)
            .map(|((language, pool), index)| (language, pool.numbered_from(index * NUMBERS + 1)));
        Self { manifest, pools: numbered.collect() }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Pool> {
        self.pools.iter_mut().map(|(_, pool)| pool)
    }

    fn of_worker(&mut self, id: WorkerId) -> Option<&mut Pool> {
        let index = usize::try_from((id.0 - 1) / NUMBERS).ok()?;
        self.pools.get_mut(index).map(|(_, pool)| pool)
    }

    /// Each pool has a worker that has loaded the application.
    pub(crate) fn is_ready(&self) -> bool {
        self.pools.iter().all(|(_, pool)| pool.stats().ready > 0)
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.pools.iter().map(|(_, pool)| pool.stats()).fold(PoolStats::default(), PoolStats::plus)
    }

    /// Runs that workers have and have not ended.
    pub(crate) fn running(&self) -> usize {
        self.pools.iter().map(|(_, pool)| pool.running()).sum()
    }

    /// Runs a step from the beginning of its method. A service that is gone runs where it fails with a message.
    pub(crate) fn start(&mut self, partition: PartitionId, start: Start, owed: &mut Vec<Owed>) {
        let language = self.manifest.service(&start.service).map(|service| service.language).unwrap_or_default();
        let of_language = self.pools.iter().position(|(of, _)| *of == language).unwrap_or_default();
        if let Some((_, pool)) = self.pools.get_mut(of_language) {
            pool.start(partition, start, owed);
        }
    }

    /// Goes on with a coroutine. If its worker has just died, the partition is told so.
    pub(crate) fn resume(&mut self, partition: PartitionId, resume: Resume, owed: &mut Vec<Owed>) {
        let holder = self.pools.iter().position(|(_, pool)| pool.holds(resume.invocation)).unwrap_or_default();
        if let Some((_, pool)) = self.pools.get_mut(holder) {
            pool.resume(partition, resume, owed);
        }
    }

    /// Takes in that a step of a coroutine ran before it was asked for.
    pub(crate) fn went_on(&mut self, went_on: Box<WentOn>) {
        if let Some(pool) = self.all().find(|pool| pool.holds(went_on.invocation)) {
            pool.went_on(went_on);
        }
    }

    /// Drops a coroutine, also one whose step still runs.
    pub(crate) fn evict(&mut self, invocation: InvocationId) {
        self.all().for_each(|pool| pool.evict(invocation));
    }

    /// Answers a fetch.
    pub(crate) fn fetched(&mut self, partition: PartitionId, run: RunNumber, slice: Option<Slice>) {
        if let Some(pool) = self.all().find(|pool| pool.runs(partition, run)) {
            pool.fetched(partition, run, slice);
        }
    }

    /// Takes in what a worker said.
    pub(crate) fn said(
        &mut self,
        id: WorkerId,
        messages: Vec<FromWorker>,
        now: Instant,
        owed: &mut Vec<Owed>,
    ) -> Vec<Change> {
        self.of_worker(id).map(|pool| pool.said(id, messages, now, owed)).unwrap_or_default()
    }

    /// Takes in that a worker has ended.
    pub(crate) fn gone(&mut self, id: WorkerId, death: Death, now: Instant, owed: &mut Vec<Owed>) -> Option<Change> {
        self.of_worker(id)?.gone(id, death, now, owed)
    }

    /// Sends nothing more that begins a step.
    pub(crate) fn drain(&mut self) {
        self.all().for_each(Pool::drain);
    }

    /// Lets go of all workers, which end by themselves or are made to. Returns how many there were.
    pub(crate) fn close(&mut self) -> usize {
        self.all().map(Pool::close).sum()
    }

    /// Places what waits and sends what is ready.
    pub(crate) fn flush(&mut self, now: Instant) {
        self.all().for_each(|pool| pool.flush(now));
    }

    /// Starts missing workers, ends those that do not get on.
    pub(crate) fn check(&mut self, now: Instant) -> io::Result<()> {
        self.all().try_for_each(|pool| pool.check(now))
    }

    /// The driver did not listen for a while: nobody is to blame for having waited for it.
    pub(crate) fn forgive(&mut self, now: Instant) {
        self.all().for_each(|pool| pool.forgive(now));
    }

    /// When [`Self::check`] wants to be called.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.pools.iter().filter_map(|(_, pool)| pool.next_wake()).min()
    }
}
