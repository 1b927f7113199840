//! The program's own services, written in Rust: in the manifest, and in threads of the node.

mod stated;

use std::cell::RefCell;
use std::mem::take;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::bail;
use protocol::ids::digest;
use protocol::manifest::Manifest;
use protocol::worker::{FetchWhat, FromWorker, Outcome, Slice, TaskRun, ToWorker};
use protocol::{DeploymentId, InvocationId, RunNumber};
use runtime::{Fetch, Native, NativeWorker, TaskTies, WentOn};
use sdk::{Application, Ended, Host, Interrupted, Shelf, WorkFuture, Worker};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The manifest with these services too.
pub(crate) fn join(mut manifest: Manifest, application: &Application) -> anyhow::Result<Manifest> {
    if application.is_empty() {
        fitting(&manifest, application)?;
        return Ok(manifest);
    }
    let mut texts = manifest.deployment.0.to_vec();
    for service in application.services() {
        if manifest.service(&service.name).is_some() {
            bail!("{} is a service of the program and a Python service; rename one of them", service.name);
        }
        texts.extend(service.name.bytes());
        texts.extend(service.methods.iter().flat_map(|method| method.digest.to_le_bytes()));
        manifest.services.push(service);
        manifest.services.sort_by(|one, other| one.name.cmp(&other.name));
    }
    fitting(&manifest, application)?;
    if let Some(told) = stated::missing(&manifest) {
        bail!("{told}");
    }
    manifest.deployment = DeploymentId(digest(&[&texts]));
    Ok(manifest)
}

/// Whether what clients state of services in another language is so.
fn fitting(manifest: &Manifest, application: &Application) -> anyhow::Result<()> {
    let classes = ("@client class", stated::of_classes(manifest));
    let traits = ("#[client] trait", stated::of_traits(manifest, application.stated()));
    let told = [classes, traits].into_iter().filter(|(_, misfits)| !misfits.is_empty()).map(|(what, misfits)| {
        let lines = misfits.join("\n  ");
        format!(
            "a {what} does not fit its service\n  {lines}\n  state in it what the service has, or change the service"
        )
    });
    match told.collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        told => bail!("{}", told.join("\n")),
    }
}

/// What runs them, with this runtime under tasks that are an `async fn`; nothing without services.
pub(crate) fn runner(application: Application, runtime: Handle) -> Option<Arc<dyn Native>> {
    if application.is_empty() {
        return None;
    }
    Some(Arc::new(InProcess { application, runtime, shelves: Mutex::new(Arc::new([])) }))
}

struct InProcess {
    application: Application,
    runtime: Handle,
    /// Those of all workers that there are. Replaced, so that nobody holds the lock while user code runs.
    shelves: Mutex<Arc<[Weak<Shelf>]>>,
}

impl Native for InProcess {
    fn worker(&self, fetch: Fetch) -> Box<dyn NativeWorker> {
        let worker = Worker::new(self.application.clone(), Rc::new(RefCell::new(Fetching(fetch))));
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let others = shelves.iter().filter(|shelf| shelf.strong_count() > 0).cloned();
        *shelves = others.chain([Arc::downgrade(&worker.shelf())]).collect();
        drop(shelves);
        Box::new(InThread(worker))
    }

    fn task(&self, task: &TaskRun, TaskTies { output, stopped }: TaskTies) -> (Outcome, bool) {
        let limit = task.timeout.map(Duration::from_micros);
        self.application.run_task(task, output, |future| self.runtime.block_on(within(limit, stopped, future)))
    }

    fn go_on(&self, invocation: InvocationId, position: &str, result: &Outcome) -> Option<Box<WentOn>> {
        let shelves = Arc::clone(&*self.shelves.lock().unwrap_or_else(PoisonError::into_inner));
        let mut shelves = shelves.iter().filter_map(Weak::upgrade);
        let mut step = shelves.find_map(|shelf| shelf.go_on(invocation, position, result))?;
        let (after, delivered, suspended) = (step.after, take(&mut step.delivered), step.suspended());
        Some(Box::new(WentOn { invocation, after, delivered, suspended, accept: Box::new(|run| step.accept(run)) }))
    }
}

/// The future's result, if it is there in time and somebody wants it.
async fn within(
    limit: Option<Duration>,
    stopped: oneshot::Receiver<()>,
    future: WorkFuture,
) -> Result<Ended, Interrupted> {
    let timed = async {
        match limit {
            Some(limit) => tokio::time::timeout(limit, future).await.map_err(|_| Interrupted::Late),
            None => Ok(future.await),
        }
    };
    tokio::select! {
        biased;
        ended = timed => ended,
        _ = stopped => Err(Interrupted::Stopped),
    }
}

struct InThread(Worker);

impl NativeWorker for InThread {
    fn handle(&mut self, message: ToWorker) -> Option<FromWorker> {
        self.0.handle(message)
    }
}

struct Fetching(Fetch);

impl Host for Fetching {
    fn fetch(&mut self, run: RunNumber, field: &str, what: FetchWhat) -> Option<Slice> {
        (self.0)(run, field, what)
    }
}
