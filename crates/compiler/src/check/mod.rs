//! Refusals: programs that would behave differently from plain Python, or that cannot work. One file per check.

use crate::colour::Colours;
use crate::diagnostic::Sink;
use crate::model::Model;

/// Runs all checks.
pub(crate) fn run(_model: &Model<'_>, _colours: &Colours, _sink: &mut Sink<'_>) {}
