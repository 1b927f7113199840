//! Keeps the user's handlers away from the signals by which a step is dropped: `except:` gets a clause before it that
//! lets them pass, `finally:` begins by going on with them when the step is no longer live.

use super::rope::Edit;
use crate::colour::RUNTIME;
use crate::hir::{Expr, ExprKind, Handler, Stmt, StmtKind, Try};
use crate::model::{Entity, FileId, Model};
use crate::span::{Span, indentation};
use crate::walk::statements;

/// Edits for all `try` statements of a function's body.
pub(super) fn edits<'a>(model: &Model<'a>, file: FileId, body: &'a [Stmt], edits: &mut Vec<Edit>) {
    let source = model.files[file].source.source.as_str();
    statements(body, &mut |stmt| {
        let StmtKind::Try(s) = &stmt.kind else { return };
        let first = s.handlers.iter().take_while(|h| !lets_signals_pass(h)).find(|h| catches_signals(model, file, h));
        if let Some(handler) = first.filter(|_| !s.is_star) {
            edits.push(before_handler(source, handler));
        }
        if !s.finalbody.first().is_some_and(is_guard) {
            edits.extend(finally(source, s));
        }
    });
}

/// A clause that an earlier lowering put there.
fn lets_signals_pass(handler: &Handler) -> bool {
    handler.class.as_ref().is_some_and(|class| runtime_member(class, "Signal"))
}

fn is_guard(stmt: &Stmt) -> bool {
    let StmtKind::If(test, ..) = &stmt.kind else { return false };
    let ExprKind::Not(call) = &test.kind else { return false };
    call.as_call().is_some_and(|call| runtime_member(&call.func, "live"))
}

fn runtime_member(expr: &Expr, member: &str) -> bool {
    matches!(&expr.kind, ExprKind::Attribute(base, name) if name.name == member && base.as_name() == Some(RUNTIME))
}

/// True unless the handler names only exceptions that no signal is.
fn catches_signals<'a>(model: &Model<'a>, file: FileId, handler: &'a Handler) -> bool {
    handler.class.as_ref().is_none_or(|class| may_be_base(model, file, class))
}

fn may_be_base<'a>(model: &Model<'a>, file: FileId, class: &'a Expr) -> bool {
    if let ExprKind::Tuple(items) = &class.kind {
        return items.iter().any(|item| may_be_base(model, file, item));
    }
    match model.resolve(file, class) {
        Entity::Path(path) => {
            let name = path.rsplit('.').next().unwrap_or(&path);
            name.starts_with("Base") || !names_class(name)
        }
        Entity::Class(_) => false,
        _ => true,
    }
}

/// Exception classes begin with a capital; modules and variables do not.
fn names_class(name: &str) -> bool {
    name.starts_with(char::is_uppercase) || name == "error" || name == "timeout"
}

fn before_handler(source: &str, handler: &Handler) -> Edit {
    let indent = indentation(source, handler.span.start);
    let text = format!("except {RUNTIME}.Signal: raise\n{indent}");
    Edit::Insert { at: handler.span.start, text, of: handler.span }
}

/// `if not __sos__.live(): raise` as the first statement. A step that is no longer live has an exception on its way.
fn finally(source: &str, s: &Try) -> Option<Edit> {
    let first = s.finalbody.first()?;
    let colon = s.finally_colon?;
    let guard = format!("if not {RUNTIME}.live(): raise\n");
    let start = first.span.start;
    let between = Span::new(colon, start).text(source);
    if between.contains('\n') && !is_continued(between) {
        let indent = indentation(source, start);
        return Some(Edit::Insert { at: start, text: format!("{guard}{indent}"), of: first.span });
    }
    // A suite on the line of its `finally:` moves to lines of its own.
    let indent = format!("{} ", indentation(source, colon));
    Some(Edit::Replace { span: Span::new(colon, start), text: format!("\n{indent}{guard}{indent}") })
}

/// True if every line break between is escaped, so that the suite stands on the same logical line.
fn is_continued(between: &str) -> bool {
    between.trim_matches([' ', '\t', '\u{c}']).split('\n').all(|part| part.trim().is_empty() || part.trim() == "\\")
        && between.contains('\\')
}
