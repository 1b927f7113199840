//! `id()` and `hash()` as values: another run of a step sees other numbers.

use crate::diagnostic::{Report, Sink};
use crate::hir::ExprKind;
use crate::model::{Entity, FunctionId, Model};
use crate::walk::expressions;

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    if info.hir.name.name == "__hash__" {
        return;
    }
    expressions(&info.hir.body, &mut |expr| {
        let ExprKind::Call(call) = &expr.kind else { return };
        let Entity::Path(path) = model.resolve(info.file, &call.func) else { return };
        let (message, help) = match path.as_str() {
            "builtins.id" => (
                "`id` gives another number in each run of a step",
                "compare with `is` within a step, or keep an id of your own in a field",
            ),
            "builtins.hash" => (
                "`hash` may give another number in another process or another version of Python",
                "use `hashlib`, or `zlib.crc32` of the encoded text",
            ),
            _ => return,
        };
        sink.add(Report::warning("SOS0610", info.file, expr.span, message).help(help));
    });
}
