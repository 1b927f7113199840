//! Handlers that would catch the signals by which a step is dropped, where no guard can be put.

use crate::diagnostic::{Report, Sink};
use crate::hir::{Expr, ExprKind, StmtKind};
use crate::model::{Entity, FileId, FunctionId, Model};
use crate::walk::{expressions, statements};

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    statements(&info.hir.body, &mut |stmt| {
        let StmtKind::Try(s) = &stmt.kind else { return };
        for class in s.handlers.iter().filter(|_| s.is_star).filter_map(|h| h.class.as_ref()) {
            if is_base(model, info.file, class) {
                let message = "`except*` cannot catch `BaseException` here";
                let report = Report::error("SOS0801", info.file, class.span, message);
                sink.add(report.help("catch `Exception`"));
            }
        }
    });
    expressions(&info.hir.body, &mut |expr| {
        let ExprKind::Call(call) = &expr.kind else { return };
        let suppresses = model.resolve(info.file, &call.func) == Entity::Path("contextlib.suppress".to_owned());
        if suppresses && let Some(class) = call.args.iter().find(|a| is_base(model, info.file, a)) {
            let message = "`suppress(BaseException)` would hide that a step is dropped";
            let report = Report::error("SOS0801", info.file, class.span, message);
            sink.add(report.help("suppress `Exception`"));
        }
    });
}

fn is_base<'a>(model: &Model<'a>, file: FileId, class: &'a Expr) -> bool {
    match &class.kind {
        ExprKind::Tuple(items) => items.iter().any(|item| is_base(model, file, item)),
        _ => matches!(
            model.resolve(file, class),
            Entity::Path(path) if path == "builtins.BaseException" || path == "builtins.BaseExceptionGroup"
        ),
    }
}
