//! The thread that keeps the log short: checkpoint, full copy when it is due, trim. The driver says when.

use std::sync::Arc;

use store::DataDir;

use crate::shared::{Shared, set};
use crate::sink::Sink;
use crate::sync::mpsc::{Receiver, SyncSender, sync_channel};
use crate::sync::thread::{Builder, JoinHandle};

/// Runs beside the driver, which never waits for it.
pub(crate) struct Maintenance {
    rounds: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    pub(crate) fn start(data_dir: Arc<DataDir>, shared: Arc<Shared>, sink: Arc<dyn Sink>) -> std::io::Result<Self> {
        let (rounds, wanted) = sync_channel(1);
        let thread =
            Builder::new().name("maintenance".into()).spawn(move || run(&data_dir, &wanted, &shared, &*sink))?;
        Ok(Self { rounds: Some(rounds), thread: Some(thread) })
    }

    /// One without a thread: whoever has the other end is asked.
    pub(crate) fn stepped() -> (Self, Receiver<()>) {
        let (rounds, wanted) = sync_channel(1);
        (Self { rounds: Some(rounds), thread: None }, wanted)
    }

    /// Asks for a round, unless one is asked for already.
    pub(crate) fn ask(&self) {
        if let Some(rounds) = &self.rounds {
            // Full: the one that is asked for will do.
            let _ = rounds.try_send(());
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        drop(self.rounds.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has cost a checkpoint, no data.
            let _ = thread.join();
        }
    }
}

fn run(data_dir: &DataDir, wanted: &Receiver<()>, shared: &Shared, sink: &dyn Sink) {
    // A full copy reads and writes all of the state.
    store::give_way();
    while wanted.recv().is_ok() {
        match data_dir.checkpoint_and_trim() {
            Ok(done) => set(&shared.counters.checkpoint, done.checkpoint),
            Err(error) => {
                sink.notice(&format!("maintenance of the data directory failed, the log stays longer: {error}"))
            }
        }
    }
}
