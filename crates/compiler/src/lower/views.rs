//! A dict field is no `dict` at run time, and a list field no `list`, though they behave as such. Where a program asks
//! for its type, it gets the answer of plain Python; where the mu2sls dialect's dicts take more than Python's, they take
//! it here too.

use protocol::manifest::FieldKind;

use super::rope::Edit;
use crate::hir::{Call, ExprKind, Stmt};
use crate::model::{Entity, FileId, Model};
use crate::span::Span;
use crate::walk::expressions;

/// Edits for the `isinstance(self.d, …)` and `type(self.d)` of a function's body.
pub(super) fn edits<'a>(model: &Model<'a>, file: FileId, body: &'a [Stmt], edits: &mut Vec<Edit>) {
    expressions(body, &mut |expr| {
        let ExprKind::Call(call) = &expr.kind else { return };
        named_default(model, file, call, edits);
        let Some(asked) = call.args.first() else { return };
        let Entity::Field(service, field) = model.resolve(file, asked) else { return };
        let text = match model.services[service].fields[field].kind {
            FieldKind::Dict => "{}",
            FieldKind::List => "[]",
            FieldKind::Scalar => return,
        };
        let Entity::Path(path) = model.resolve(file, &call.func) else { return };
        if path == "builtins.isinstance" || path == "builtins.type" && call.args.len() == 1 {
            edits.push(Edit::Replace { span: asked.span, text: text.to_owned() });
        }
    });
}

/// `self.d.get(key, default=…)` in the mu2sls dialect, whose dicts take the default by name: it is given by position.
fn named_default<'a>(model: &Model<'a>, file: FileId, call: &'a Call, edits: &mut Vec<Edit>) {
    let ExprKind::Attribute(base, name) = &call.func.kind else { return };
    let ([_], [keyword]) = (call.args.as_slice(), call.keywords.as_slice()) else { return };
    let Some(named) = keyword.name.as_ref().filter(|n| n.name == "default" && name.name == "get") else { return };
    let Entity::Field(service, field) = model.resolve(file, base) else { return };
    let service = &model.services[service];
    if service.mu2sls && service.fields[field].kind == FieldKind::Dict {
        // Up to the `=`, which a comment before it may have, too: the value may begin with parentheses.
        let after = named.span.end;
        let mut in_comment = false;
        let equals = model.files[file].source.source[after as usize..].bytes().position(|byte| {
            in_comment = byte == b'#' || in_comment && byte != b'\n';
            byte == b'=' && !in_comment
        });
        if let Some(equals) = equals {
            let end = after + equals as u32 + 1;
            let value = &model.files[file].source.source[end as usize..];
            let span = Span::new(named.span.start, end + (value.len() - value.trim_start_matches(' ').len()) as u32);
            edits.push(Edit::Replace { span, text: String::new() });
        }
    }
}
