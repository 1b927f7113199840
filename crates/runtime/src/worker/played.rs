//! Workers played by a test of a pool.

use std::sync::{Arc, Mutex};

use protocol::worker::ToWorker;

use super::{Launch, Link, WorkerId};

/// What a pool told its workers, and which it killed.
#[derive(Default)]
pub(super) struct Said {
    pub(super) messages: Vec<(WorkerId, ToWorker)>,
    pub(super) killed: Vec<(WorkerId, String)>,
    pub(super) launched: u64,
}

/// Where a test hears it.
pub(super) type Ear = Arc<Mutex<Said>>;

/// Starts workers that only listen: the test says what they answer.
pub(super) struct Launcher(pub(super) Ear);

struct Line(WorkerId, Ear);

impl Launch for Launcher {
    fn launch(&mut self, worker: WorkerId) -> std::io::Result<Box<dyn Link>> {
        self.0.lock().unwrap().launched += 1;
        Ok(Box::new(Line(worker, Arc::clone(&self.0))))
    }
}

impl Link for Line {
    fn send(&self, messages: Vec<ToWorker>) {
        self.1.lock().unwrap().messages.extend(messages.into_iter().map(|message| (self.0, message)));
    }

    fn word(&self) -> Option<u64> {
        None
    }

    fn kill(&self, reason: &str) {
        self.1.lock().unwrap().killed.push((self.0, reason.to_owned()));
    }

    fn check(&self) {}
}
