//! Follows what refers to persistent state through each function.

use protocol::manifest::{Foreseen, KeyExpr, Mode};

use crate::colour::Colours;
use crate::diagnostic::Sink;
use crate::model::{FunctionId, Model};

/// What a method does with its service's fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) read_only: bool,
    pub(crate) modes: Vec<(String, Mode)>,
    pub(crate) foreseen: Vec<Foreseen>,
    pub(crate) route: Option<KeyExpr>,
}

/// Facts of every function, by its id.
pub(crate) fn analyse(model: &Model<'_>, _colours: &Colours, _sink: &mut Sink<'_>) -> Vec<Facts> {
    let fact = |f: FunctionId| {
        let fields = model.service_of(f).map_or(&[][..], |s| model.services[s].fields.as_slice());
        Facts { modes: fields.iter().map(|f| (f.name.clone(), Mode::Exclusive)).collect(), ..Facts::default() }
    };
    (0..model.functions.len()).map(fact).collect()
}
