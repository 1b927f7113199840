//! Walking the tree without knowing every node: the children of expressions and statements in order of evaluation.

use crate::hir::*;

impl Expr {
    /// Calls `f` with each direct subexpression, in order of evaluation. Parameters of lambdas count with their
    /// defaults, comprehensions with their clauses first.
    pub(crate) fn children<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match &self.kind {
            ExprKind::Name(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Complex(..)
            | ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::Bool(_)
            | ExprKind::None
            | ExprKind::Ellipsis => {}
            ExprKind::Attribute(value, _)
            | ExprKind::Not(value)
            | ExprKind::Unary(_, value)
            | ExprKind::Await(value)
            | ExprKind::YieldFrom(value)
            | ExprKind::Starred(value) => f(value),
            ExprKind::Subscript(value, index) => {
                f(value);
                f(index);
            }
            ExprKind::Call(call) => {
                f(&call.func);
                call.args.iter().for_each(&mut *f);
                call.keywords.iter().for_each(|k| f(&k.value));
            }
            ExprKind::Format(format) => format.parts.iter().for_each(|p| f(&p.value)),
            ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Set(items) | ExprKind::Bool2(items) => {
                items.iter().for_each(f);
            }
            ExprKind::Dict(items) => items.iter().for_each(|(key, value)| {
                key.iter().for_each(&mut *f);
                f(value);
            }),
            ExprKind::Comp(comp) => comp.children(f),
            ExprKind::Lambda(lambda) => {
                lambda.params.iter().filter_map(|p| p.default.as_ref()).for_each(&mut *f);
                f(&lambda.body);
            }
            ExprKind::IfElse(parts) => parts.iter().for_each(f),
            ExprKind::Binary(left, _, right) => {
                f(left);
                f(right);
            }
            ExprKind::Compare(left, rest) => {
                f(left);
                rest.iter().for_each(|(_, right)| f(right));
            }
            ExprKind::Named(target, value) => {
                f(value);
                f(target);
            }
            ExprKind::Yield(value) => value.iter().for_each(|v| f(v)),
            ExprKind::Slice(parts) => parts.iter().flatten().for_each(|p| f(p)),
        }
    }

    /// Calls `f` with this expression and all below it, parents first.
    pub(crate) fn walk<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        f(self);
        self.children(&mut |child| child.walk(f));
    }
}

impl Comp {
    fn children<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        for clause in &self.clauses {
            f(&clause.iter);
            f(&clause.target);
            clause.conditions.iter().for_each(&mut *f);
        }
        self.elements.iter().for_each(f);
    }
}

impl Stmt {
    /// Calls `f` with the expressions that stand directly in this statement, targets included. Decorators, defaults
    /// and annotations of a `def` and decorators and bases of a class count; their bodies do not.
    pub(crate) fn exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match &self.kind {
            StmtKind::Function(function) => {
                function.decorators.iter().for_each(&mut *f);
                function.params.iter().filter_map(|p| p.default.as_ref()).for_each(&mut *f);
                function.params.iter().filter_map(|p| p.annotation.as_ref()).for_each(&mut *f);
                function.returns.iter().for_each(f);
            }
            StmtKind::Class(class) => {
                class.decorators.iter().for_each(&mut *f);
                class.bases.iter().for_each(&mut *f);
                class.keywords.iter().for_each(|k| f(&k.value));
            }
            StmtKind::Return(value) => value.iter().for_each(f),
            StmtKind::Delete(targets) => targets.iter().for_each(f),
            StmtKind::Assign(assign) => {
                f(&assign.value);
                assign.targets.iter().for_each(f);
            }
            StmtKind::Augment(target, _, value) => {
                f(target);
                f(value);
            }
            StmtKind::Annotated { target, annotation, value } => {
                value.iter().for_each(&mut *f);
                f(annotation);
                f(target);
            }
            StmtKind::For(s) => {
                f(&s.iter);
                f(&s.target);
            }
            StmtKind::While(test, ..) | StmtKind::If(test, ..) => f(test),
            StmtKind::With(s) => s.items.iter().for_each(|(context, target)| {
                f(context);
                target.iter().for_each(&mut *f);
            }),
            StmtKind::Match(subject, cases) => {
                f(subject);
                for case in cases {
                    case.pattern.values.iter().for_each(&mut *f);
                    case.guard.iter().for_each(&mut *f);
                }
            }
            StmtKind::Raise(exception, cause) => {
                exception.iter().for_each(&mut *f);
                cause.iter().for_each(f);
            }
            StmtKind::Try(s) => s.handlers.iter().filter_map(|h| h.class.as_ref()).for_each(f),
            StmtKind::Assert(test, message) => {
                f(test);
                message.iter().for_each(f);
            }
            StmtKind::Expr(value) => f(value),
            StmtKind::TypeAlias(..)
            | StmtKind::Import(_)
            | StmtKind::ImportFrom(_)
            | StmtKind::Global(_)
            | StmtKind::Nonlocal(_)
            | StmtKind::Pass
            | StmtKind::Break
            | StmtKind::Continue => {}
        }
    }

    /// Calls `f` with each block inside this statement, but not with bodies of functions and classes.
    pub(crate) fn blocks<'a>(&'a self, f: &mut dyn FnMut(&'a [Stmt])) {
        match &self.kind {
            StmtKind::For(s) => {
                f(&s.body);
                f(&s.orelse);
            }
            StmtKind::While(_, body, orelse) | StmtKind::If(_, body, orelse) => {
                f(body);
                f(orelse);
            }
            StmtKind::With(s) => f(&s.body),
            StmtKind::Match(_, cases) => cases.iter().for_each(|case| f(&case.body)),
            StmtKind::Try(s) => {
                f(&s.body);
                s.handlers.iter().for_each(|h| f(&h.body));
                f(&s.orelse);
                f(&s.finalbody);
            }
            StmtKind::Function(_)
            | StmtKind::Class(_)
            | StmtKind::Return(_)
            | StmtKind::Delete(_)
            | StmtKind::Assign(_)
            | StmtKind::Augment(..)
            | StmtKind::Annotated { .. }
            | StmtKind::Raise(..)
            | StmtKind::Assert(..)
            | StmtKind::Import(_)
            | StmtKind::ImportFrom(_)
            | StmtKind::Global(_)
            | StmtKind::Nonlocal(_)
            | StmtKind::Expr(_)
            | StmtKind::TypeAlias(..)
            | StmtKind::Pass
            | StmtKind::Break
            | StmtKind::Continue => {}
        }
    }
}

/// Calls `f` with every statement of a body, nested blocks included, but not inside nested functions and classes.
pub(crate) fn statements<'a>(body: &'a [Stmt], f: &mut dyn FnMut(&'a Stmt)) {
    for stmt in body {
        f(stmt);
        stmt.blocks(&mut |block| statements(block, f));
    }
}

/// Calls `f` with every statement of a body, also inside nested functions and classes.
pub(crate) fn statements_deep<'a>(body: &'a [Stmt], f: &mut dyn FnMut(&'a Stmt)) {
    statements(body, &mut |stmt| {
        f(stmt);
        match &stmt.kind {
            StmtKind::Function(function) => statements_deep(&function.body, f),
            StmtKind::Class(class) => statements_deep(&class.body, f),
            _ => {}
        }
    });
}

/// Calls `f` with every expression of a body, lambdas and comprehensions included, nested functions excluded.
pub(crate) fn expressions<'a>(body: &'a [Stmt], f: &mut dyn FnMut(&'a Expr)) {
    statements(body, &mut |stmt| stmt.exprs(&mut |expr| expr.walk(f)));
}
