//! The program's own services, written in Rust: in the manifest, and in threads of the node.

mod stated;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Result, bail};
use protocol::ids::digest;
use protocol::manifest::Manifest;
use protocol::worker::{FetchWhat, FromWorker, Slice, ToWorker};
use protocol::{DeploymentId, RunNumber};
use runtime::{Fetch, Native, NativeWorker};
use sdk::{Application, Host, Worker};

/// The manifest with these services too.
pub(crate) fn join(mut manifest: Manifest, application: &Application) -> Result<Manifest> {
    if application.is_empty() {
        fitting(&manifest)?;
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
    fitting(&manifest)?;
    for (service, client) in manifest.services.iter().flat_map(|one| one.clients.iter().map(move |(_, to)| (one, to))) {
        if manifest.service(client).is_none() {
            bail!(
                "{} calls {client}, which is no service of this program or of a Python application beside it",
                service.name
            );
        }
    }
    manifest.deployment = DeploymentId(digest(&[&texts]));
    Ok(manifest)
}

/// Whether what Python states of services elsewhere is so.
fn fitting(manifest: &Manifest) -> Result<()> {
    match stated::misfits(manifest).as_slice() {
        [] => Ok(()),
        misfits => bail!("a @client class does not fit its service\n  {}", misfits.join("\n  ")),
    }
}

/// What runs them; nothing without services.
pub(crate) fn runner(application: Application) -> Option<Arc<dyn Native>> {
    if application.is_empty() {
        return None;
    }
    Some(Arc::new(InProcess(application)))
}

struct InProcess(Application);

impl Native for InProcess {
    fn worker(&self, fetch: Fetch) -> Box<dyn NativeWorker> {
        Box::new(InThread(Worker::new(self.0.clone(), Rc::new(RefCell::new(Fetching(fetch))))))
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
