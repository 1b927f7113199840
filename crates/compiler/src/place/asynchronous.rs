//! `async with` and `async for`: which objects they are refused for, and what to write instead. They would suspend in
//! methods that Python calls by itself; only those of `transaction()` and `TaskGroup()` are ours to carry over that.

use super::Placer;
use crate::hir::With;
use crate::span::Span;

impl Placer<'_, '_> {
    /// An `async for`, in a statement or a comprehension.
    pub(super) fn async_for(&mut self, span: Span) {
        let help = "make a list in an `async def`, and iterate over that: `for x in await pages():`";
        self.error("SOS0314", span, "`async for` is not supported", help);
    }

    /// An `async with` of objects that are not ours.
    pub(super) fn async_with(&mut self, span: Span, with: &With) {
        let help = "`async with` is for `transaction()` and `TaskGroup()`; use `with` for objects of your own, or call what \
                    waits yourself: `await session.open()`, `try:` … `finally: await session.close()`";
        let head = with.items.first().map_or(span, |(context, _)| Span::new(span.start, context.span.end));
        self.error("SOS0314", head, "`async with` is not supported for this object", help);
    }
}

/// Why a special method of a class cannot suspend.
pub(super) fn reason(name: &str) -> &'static str {
    match name {
        "__aenter__" | "__aexit__" => "`async with` is only for `transaction()` and `TaskGroup()`",
        "__anext__" | "__aiter__" => "`async for` is not supported",
        _ => "Python calls it without awaiting it",
    }
}
