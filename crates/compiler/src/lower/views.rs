//! A dict field is no `dict` at run time, though it behaves as one. Where a program asks for its type, it gets the
//! answer of plain Python.

use protocol::manifest::FieldKind;

use super::rope::Edit;
use crate::hir::{ExprKind, Stmt};
use crate::model::{Entity, FileId, Model};
use crate::walk::expressions;

/// Edits for the `isinstance(self.d, …)` and `type(self.d)` of a function's body.
pub(super) fn edits<'a>(model: &Model<'a>, file: FileId, body: &'a [Stmt], edits: &mut Vec<Edit>) {
    expressions(body, &mut |expr| {
        let ExprKind::Call(call) = &expr.kind else { return };
        let Some(asked) = call.args.first() else { return };
        let Entity::Field(service, field) = model.resolve(file, asked) else { return };
        if model.services[service].fields[field].kind != FieldKind::Dict {
            return;
        }
        let Entity::Path(path) = model.resolve(file, &call.func) else { return };
        if path == "builtins.isinstance" || path == "builtins.type" && call.args.len() == 1 {
            edits.push(Edit::Replace { span: asked.span, text: "{}".to_owned() });
        }
    });
}
