//! Functions that run only in task workers: nothing in them is placed, and what only an invocation can do is refused.

use crate::colour::{CallKind, Colours, classify};
use crate::diagnostic::Report;
use crate::hir::*;
use crate::model::{FunctionId, Model};
use crate::walk::expressions;

/// What runs in task workers may do whatever Python can, but is no part of an invocation.
pub(super) fn reports(model: &Model<'_>, colours: &Colours, id: FunctionId) -> Vec<Report> {
    let info = &model.functions[id];
    let mut reports = Vec::new();
    expressions(&info.hir.body, &mut |expr| {
        let ExprKind::Call(call) = &expr.kind else { return };
        let what = match classify(model, info.file, call) {
            CallKind::Remote(service, method) => format!("`{}.{method}`", model.services[service].name),
            CallKind::Helper(callee) if colours.suspends[callee] => format!("`{}`", model.function_name(callee)),
            CallKind::Sleep { asyncio: false } => "`sleep` of sostenuto".to_owned(),
            CallKind::Transaction => "`transaction`".to_owned(),
            CallKind::Send => "`send`".to_owned(),
            CallKind::Abort => "`abort`".to_owned(),
            CallKind::Primitive(_) => "this".to_owned(),
            CallKind::Helper(_)
            | CallKind::Sleep { asyncio: true }
            | CallKind::Gather
            | CallKind::WaitFor
            | CallKind::Spawn
            | CallKind::TaskGroup
            | CallKind::Task(_)
            | CallKind::Other => return,
        };
        let report = Report::error("SOS0703", info.file, expr.span, format!("a task cannot use {what}"));
        let report = report.note("a task runs outside of its invocation, and may run more than once");
        reports.push(report.help("do it in the method that calls the task, before or after it"));
    });
    reports
}
