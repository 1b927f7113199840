//! What Python refuses after parsing, when it compiles: told here, not when a worker loads the module.

use std::cell::RefCell;

use ruff_python_ast as ast;
use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_parser::semantic_errors::{
    LazyImportContext, SemanticSyntaxChecker, SemanticSyntaxContext, SemanticSyntaxError, SemanticSyntaxErrorKind,
};
use ruff_text_size::{Ranged, TextRange};

use super::{Problem, VERSION, sentence, span};

/// The problems of a module that has parsed.
pub(super) fn problems(source: &str, body: &[ast::Stmt]) -> Vec<Problem> {
    let context = Context {
        source,
        scopes: vec![Scope { globals: globals(body), ..Scope::new(Kind::Module) }],
        future_annotations: body.iter().any(is_future_annotations),
        found: RefCell::default(),
    };
    let mut walk = Walk { checker: SemanticSyntaxChecker::new(), context };
    walk.visit_body(body);
    let mut found = walk.context.found.into_inner();
    found.sort_by_key(|problem| problem.span);
    found.dedup_by_key(|problem| problem.span);
    found.iter_mut().for_each(|problem| problem.parsed = true);
    found
}

fn is_future_annotations(stmt: &ast::Stmt) -> bool {
    matches!(stmt, ast::Stmt::ImportFrom(import) if import.module.as_ref().is_some_and(|m| m.id == "__future__")
        && import.names.iter().any(|alias| alias.name.id == "annotations"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Module,
    Class,
    Function { is_async: bool },
    Lambda,
    Comprehension,
    Generator,
}

struct Scope {
    kind: Kind,
    loops: u32,
    params: Vec<String>,
    globals: Vec<(String, TextRange)>,
}

impl Scope {
    fn new(kind: Kind) -> Self {
        Self { kind, loops: 0, params: Vec::new(), globals: Vec::new() }
    }
}

/// The names that `global` declares in a body, not counting functions and classes in it.
fn globals(body: &[ast::Stmt]) -> Vec<(String, TextRange)> {
    struct Globals(Vec<(String, TextRange)>);
    impl<'a> Visitor<'a> for Globals {
        fn visit_stmt(&mut self, stmt: &'a ast::Stmt) {
            match stmt {
                ast::Stmt::FunctionDef(_) | ast::Stmt::ClassDef(_) => {}
                ast::Stmt::Global(s) => self.0.extend(s.names.iter().map(|n| (n.id.to_string(), stmt.range()))),
                _ => walk_stmt(self, stmt),
            }
        }

        fn visit_expr(&mut self, _: &'a ast::Expr) {}
    }
    let mut found = Globals(Vec::new());
    found.visit_body(body);
    found.0
}

struct Walk<'a> {
    checker: SemanticSyntaxChecker,
    context: Context<'a>,
}

struct Context<'a> {
    source: &'a str,
    scopes: Vec<Scope>,
    future_annotations: bool,
    found: RefCell<Vec<Problem>>,
}

impl<'a> Walk<'a> {
    fn within(&mut self, scope: Scope, walk: impl FnOnce(&mut Self)) {
        self.context.scopes.push(scope);
        walk(self);
        self.context.scopes.pop();
    }

    fn looped(&mut self, body: &'a [ast::Stmt]) {
        self.count_loop(true);
        self.visit_body(body);
        self.count_loop(false);
    }

    fn count_loop(&mut self, enters: bool) {
        if let Some(scope) = self.context.scopes.last_mut() {
            scope.loops = if enters { scope.loops + 1 } else { scope.loops - 1 };
        }
    }

    fn function(&mut self, s: &'a ast::StmtFunctionDef) {
        s.decorator_list.iter().for_each(|d| self.visit_decorator(d));
        self.visit_parameters(&s.parameters);
        s.returns.iter().for_each(|r| self.visit_annotation(r));
        let params = s.parameters.iter().map(|p| p.name().id.to_string()).collect();
        let kind = Kind::Function { is_async: s.is_async };
        let scope = Scope { params, globals: globals(&s.body), ..Scope::new(kind) };
        self.within(scope, |walk| walk.visit_body(&s.body));
    }

    fn comprehension(&mut self, kind: Kind, elements: &[&'a ast::Expr], clauses: &'a [ast::Comprehension]) {
        if let Some(first) = clauses.first() {
            self.visit_expr(&first.iter);
        }
        self.within(Scope::new(kind), |walk| {
            for (index, clause) in clauses.iter().enumerate() {
                if index > 0 {
                    walk.visit_expr(&clause.iter);
                }
                walk.visit_expr(&clause.target);
                clause.ifs.iter().for_each(|test| walk.visit_expr(test));
            }
            elements.iter().for_each(|element| walk.visit_expr(element));
        });
    }
}

impl<'a> Visitor<'a> for Walk<'a> {
    fn visit_stmt(&mut self, stmt: &'a ast::Stmt) {
        self.checker.visit_stmt(stmt, &self.context);
        match stmt {
            ast::Stmt::FunctionDef(s) => self.function(s),
            ast::Stmt::ClassDef(s) => {
                s.decorator_list.iter().for_each(|d| self.visit_decorator(d));
                if let Some(arguments) = &s.arguments {
                    self.visit_arguments(arguments);
                }
                let scope = Scope { globals: globals(&s.body), ..Scope::new(Kind::Class) };
                self.within(scope, |walk| walk.visit_body(&s.body));
            }
            ast::Stmt::For(s) => {
                self.visit_expr(&s.iter);
                self.visit_expr(&s.target);
                self.looped(&s.body);
                self.visit_body(&s.orelse);
            }
            ast::Stmt::While(s) => {
                self.visit_expr(&s.test);
                self.looped(&s.body);
                self.visit_body(&s.orelse);
            }
            ast::Stmt::Try(s) => {
                self.context.bare_handler(s);
                walk_stmt(self, stmt);
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a ast::Expr) {
        self.checker.visit_expr(expr, &self.context);
        match expr {
            ast::Expr::Lambda(e) => {
                let mut params = Vec::new();
                if let Some(parameters) = &e.parameters {
                    self.visit_parameters(parameters);
                    params.extend(parameters.iter().map(|p| p.name().id.to_string()));
                }
                self.within(Scope { params, ..Scope::new(Kind::Lambda) }, |walk| walk.visit_expr(&e.body));
            }
            ast::Expr::ListComp(e) => self.comprehension(Kind::Comprehension, &[&e.elt], &e.generators),
            ast::Expr::SetComp(e) => self.comprehension(Kind::Comprehension, &[&e.elt], &e.generators),
            ast::Expr::DictComp(e) => {
                let mut elements: Vec<&'a ast::Expr> = e.key.iter().map(|key| &**key).collect();
                elements.push(&e.value);
                self.comprehension(Kind::Comprehension, &elements, &e.generators);
            }
            ast::Expr::Generator(e) => self.comprehension(Kind::Generator, &[&e.elt], &e.generators),
            _ => walk_expr(self, expr),
        }
    }
}

impl Context<'_> {
    fn scope(&self) -> &Scope {
        self.scopes.last().expect("the module's scope is never left")
    }

    /// `except:` before another handler.
    fn bare_handler(&self, s: &ast::StmtTry) {
        for ast::ExceptHandler::ExceptHandler(handler) in s.handlers.iter().rev().skip(1).rev() {
            if handler.type_.is_none() {
                let word = TextRange::at(handler.range.start(), 6.into());
                let problem = Problem::new("`except:` without a class must be the last handler", span(word));
                self.found.borrow_mut().push(problem);
            }
        }
    }
}

impl SemanticSyntaxContext for Context<'_> {
    fn future_annotations_or_stub(&self) -> bool {
        self.future_annotations
    }

    fn lazy_import_context(&self) -> Option<LazyImportContext> {
        None
    }

    fn python_version(&self) -> ast::PythonVersion {
        VERSION
    }

    fn source(&self) -> &str {
        self.source
    }

    fn global(&self, name: &str) -> Option<TextRange> {
        self.scope().globals.iter().find(|(global, _)| global == name).map(|(_, range)| *range)
    }

    fn has_nonlocal_binding(&self, _: &str) -> bool {
        // What enclosing functions bind is not followed.
        true
    }

    fn in_async_context(&self) -> bool {
        self.scopes.iter().rev().find_map(|scope| match scope.kind {
            Kind::Function { is_async } => Some(is_async),
            Kind::Lambda | Kind::Class | Kind::Module => Some(false),
            Kind::Comprehension | Kind::Generator => None,
        }) == Some(true)
    }

    fn in_await_allowed_context(&self) -> bool {
        self.scopes.iter().rev().find_map(|scope| match scope.kind {
            Kind::Function { .. } | Kind::Lambda => Some(true),
            Kind::Class | Kind::Module => Some(false),
            Kind::Comprehension | Kind::Generator => None,
        }) == Some(true)
    }

    fn in_yield_allowed_context(&self) -> bool {
        matches!(self.scope().kind, Kind::Function { .. } | Kind::Lambda)
    }

    fn in_sync_comprehension(&self) -> bool {
        false
    }

    fn in_class_body_comprehension(&self) -> bool {
        let outer = self.scopes.iter().rev().find(|s| !matches!(s.kind, Kind::Comprehension | Kind::Generator));
        outer.is_some_and(|scope| scope.kind == Kind::Class)
    }

    fn in_module_scope(&self) -> bool {
        self.scope().kind == Kind::Module
    }

    fn in_function_scope(&self) -> bool {
        matches!(self.scope().kind, Kind::Function { .. })
    }

    fn in_generator_context(&self) -> bool {
        self.scope().kind == Kind::Generator
    }

    fn in_notebook(&self) -> bool {
        false
    }

    fn report_semantic_error(&self, error: SemanticSyntaxError) {
        if matches!(error.kind, SemanticSyntaxErrorKind::AwaitOutsideAsyncFunction(_)) {
            // Our own check knows more: a plain `def` needs no `await`.
            return;
        }
        self.found.borrow_mut().push(Problem::new(sentence(&error.to_string()), span(error.range)));
    }

    fn in_loop_context(&self) -> bool {
        self.scope().loops > 0
    }

    fn is_bound_parameter(&self, name: &str) -> bool {
        self.scope().params.iter().any(|param| param == name)
    }
}
