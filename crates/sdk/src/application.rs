//! The services of a program.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::manifest::Service as ManifestService;

use crate::client::{Client, Stated};
use crate::describe::Described;
use crate::error::Result;
use crate::service::{Args, Invoked, Service, describe};
use crate::task::{TaskFunction, Work};

/// All Rust services and tasks of an application.
#[derive(Clone, Default)]
pub struct Application {
    services: BTreeMap<&'static str, Arc<Registered>>,
    pub(crate) tasks: BTreeMap<&'static str, fn(Args) -> Result<Work>>,
    stated: Vec<Stated>,
}

/// A service that can be run.
pub(crate) struct Registered {
    pub(crate) described: Arc<Described>,
    pub(crate) manifest: ManifestService,
    begin: fn(&str, Args) -> Option<Invoked>,
}

impl Registered {
    /// Runs a method of a new instance, or begins to.
    pub(crate) fn begin(&self, method: &str, args: Args) -> Option<Invoked> {
        (self.begin)(method, args)
    }
}

impl Application {
    /// Without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this service too. A second one of the same name takes the place of the first.
    #[must_use]
    pub fn service<S: Service>(mut self) -> Self {
        let description = describe::<S>();
        description.stated().for_each(|stated| self.state(stated));
        let registered = Registered {
            described: Arc::new(Described::new(&description)),
            manifest: description.service(),
            begin: |method, args| S::open().dispatch(method, args),
        };
        self.services.insert(S::NAME, Arc::new(registered));
        self
    }

    /// With this task too: `.task::<charge>()` for `#[task] fn charge`. What methods have asked for before a restart
    /// runs before any method does, so the program has to know its tasks beforehand.
    #[must_use]
    pub fn task<F: TaskFunction>(mut self) -> Self {
        self.tasks.insert(F::NAME, F::begin);
        self
    }

    /// With what this client's trait states: `.client::<FlightClient>()`. Clients that are members of services are known
    /// without this; of others it says that what they call is compared before anything is served.
    #[must_use]
    pub fn client<C: Client>(mut self) -> Self {
        C::stated().iter().for_each(|stated| self.state(stated));
        self
    }

    fn state(&mut self, stated: &Stated) {
        if !self.stated.contains(stated) {
            self.stated.push(stated.clone());
        }
    }

    /// What `#[client]` traits state of services that are written elsewhere.
    pub fn stated(&self) -> &[Stated] {
        &self.stated
    }

    /// The services, sorted by name, as the manifest tells the rest of the system.
    pub fn services(&self) -> Vec<ManifestService> {
        self.services.values().map(|registered| registered.manifest.clone()).collect()
    }

    /// True without services, whatever tasks there are.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    pub(crate) fn find(&self, service: &str) -> Option<&Arc<Registered>> {
        self.services.get(service)
    }
}
