//! Builds the scopes of all modules: which names are bound where, and the scope of every expression.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::imported;
use super::{Binding, Class, ClassId, File, FileId, Function, FunctionId, Model, Role, Scope, ScopeId, ScopeKind};
use crate::SourceFile;
use crate::hir::{self, *};

/// A model with scopes, functions and classes; services are found later.
pub(crate) fn build<'a>(sources: &'a [SourceFile], trees: &[&'a hir::Module]) -> Model<'a> {
    let mut model = Model::default();
    for (file, (source, tree)) in sources.iter().zip(trees.iter().copied()).enumerate() {
        let scope = model.scopes.len();
        model.scopes.push(Scope::new(file, ScopeKind::Module, None));
        model.files.push(File::new(source, tree, scope, vec![scope; tree.exprs as usize]));
        let (functions, classes) = (model.functions.len(), model.classes.len());
        Builder { model: &mut model, file, function: None }.block(scope, &tree.body);
        let globals = model.scopes[scope..].iter().flat_map(|s| s.globals.iter().copied()).collect();
        let (functions, classes) = (functions..model.functions.len(), classes..model.classes.len());
        let scopes = scope..model.scopes.len();
        let info = &mut model.files[file];
        (info.functions, info.classes, info.scopes, info.globals) = (functions, classes, scopes, globals);
    }
    model.modules = model.files.len();
    index(&mut model);
    model
}

/// The modules once more, for the methods that a service inherits: their names are those of the modules, and what
/// stands in the methods has scopes of its own. Gives the first of the files.
pub(super) fn repeat(model: &mut Model<'_>) -> FileId {
    let first = model.files.len();
    for file in 0..model.modules {
        let File { source, tree, scope, .. } = model.files[file];
        model.files.push(File::new(source, tree, scope, Vec::new()));
    }
    first
}

/// The method of a base class once more, as a method of `class`, in the repeated files that begin at `first`.
pub(super) fn inherit(model: &mut Model<'_>, first: FileId, class: ClassId, method: FunctionId) -> FunctionId {
    let Function { file: from, hir, outer, owner, role, .. } = model.functions[method];
    let file = first + from;
    if model.files[file].expr_scopes.is_empty() {
        let (exprs, scope) = (model.files[file].tree.exprs as usize, model.files[file].scope);
        model.files[file].expr_scopes = vec![scope; exprs];
    }
    let before = model.functions.len();
    let mut builder = Builder { model, file, function: None };
    builder.heading(outer, hir);
    let id = builder.define(outer, hir, Some(class), owner, role);
    (before..model.functions.len()).for_each(|id| index_function(model, id));
    id
}

/// Notes what is found by its name.
fn index(model: &mut Model<'_>) {
    for (id, file) in model.files.iter().enumerate() {
        model.index.modules.entry(&file.source.module).or_insert(id);
    }
    for id in 0..model.classes.len() {
        let name = model.class_name(id);
        model.index.classes.entry(name).or_insert(id);
    }
    for id in 0..model.functions.len() {
        index_function(model, id);
    }
    model.index.imports = (0..model.files.len()).map(|file| imported(model, file)).collect();
}

fn index_function(model: &mut Model<'_>, id: FunctionId) {
    let Function { file, hir, class, .. } = model.functions[id];
    let module = model.origin(file);
    model.index.functions.entry((file, hir.name.span)).or_insert(id);
    model.index.of_module.resize_with(model.modules, Vec::new);
    model.index.of_module[module].push(id);
    if let Some(class) = class {
        model.classes[class].functions.push(id);
        model.index.members.entry(&hir.name.name).or_default().push(id);
    }
}

impl<'a> File<'a> {
    fn new(source: &'a SourceFile, tree: &'a hir::Module, scope: ScopeId, expr_scopes: Vec<ScopeId>) -> Self {
        let (inner_scopes, globals) = (BTreeMap::new(), BTreeSet::new());
        let (functions, classes, scopes) = (0..0, 0..0, 0..0);
        Self { source, tree, scope, expr_scopes, inner_scopes, functions, classes, scopes, globals }
    }
}

impl Scope<'_> {
    fn new(file: FileId, kind: ScopeKind, parent: Option<ScopeId>) -> Self {
        let (globals, nonlocals) = (BTreeSet::new(), BTreeSet::new());
        Self { file, kind, parent, bindings: BTreeMap::new(), globals, nonlocals }
    }
}

struct Builder<'m, 'a> {
    model: &'m mut Model<'a>,
    file: FileId,
    function: Option<FunctionId>,
}

impl<'a> Builder<'_, 'a> {
    fn block(&mut self, scope: ScopeId, body: &'a [Stmt]) {
        for stmt in body {
            self.stmt(scope, stmt);
            stmt.blocks(&mut |block| self.block(scope, block));
        }
    }

    fn stmt(&mut self, scope: ScopeId, stmt: &'a Stmt) {
        stmt.exprs(&mut |expr| self.expr(scope, expr));
        match &stmt.kind {
            StmtKind::Function(function) => self.function(scope, function),
            StmtKind::Class(class) => self.class(scope, class),
            StmtKind::Delete(targets) => targets.iter().for_each(|t| self.other(scope, t)),
            StmtKind::Assign(assign) => assign.targets.iter().for_each(|t| self.assign(scope, t, &assign.value)),
            StmtKind::Augment(target, ..) => self.other(scope, target),
            StmtKind::Annotated { target, annotation, value } => {
                if let ExprKind::Name(name) = &target.kind {
                    let binding = Binding::Annotated { annotation, value: value.as_ref() };
                    self.bind(scope, name, binding);
                }
            }
            StmtKind::For(s) => self.element(scope, &s.target, &s.iter),
            StmtKind::With(s) => {
                for (context, target) in s.items.iter().filter_map(|i| Some((&i.0, i.1.as_ref()?))) {
                    match &target.kind {
                        ExprKind::Name(name) => self.bind(scope, name, Binding::With(context)),
                        _ => self.other(scope, target),
                    }
                }
            }
            StmtKind::Match(_, cases) => {
                for bound in cases.iter().flat_map(|c| &c.pattern.binds) {
                    self.bind(scope, &bound.name, Binding::Other);
                }
            }
            StmtKind::Try(s) => {
                for bound in s.handlers.iter().filter_map(|h| h.name.as_ref()) {
                    self.bind(scope, &bound.name, Binding::Other);
                }
            }
            StmtKind::Import(names) => names.iter().for_each(|alias| self.import(scope, alias)),
            StmtKind::ImportFrom(import) => self.import_from(scope, import),
            StmtKind::Global(names) => {
                self.model.scopes[scope].globals.extend(names.iter().map(|n| n.name.as_str()));
            }
            StmtKind::Nonlocal(names) => {
                self.model.scopes[scope].nonlocals.extend(names.iter().map(|n| n.name.as_str()));
            }
            StmtKind::TypeAlias(name, value) => {
                if let ExprKind::Name(name) = &name.kind {
                    self.bind(scope, name, Binding::Value(value));
                }
            }
            StmtKind::Return(_)
            | StmtKind::While(..)
            | StmtKind::If(..)
            | StmtKind::Raise(..)
            | StmtKind::Assert(..)
            | StmtKind::Expr(_)
            | StmtKind::Pass
            | StmtKind::Break
            | StmtKind::Continue => {}
        }
    }

    fn function(&mut self, outer: ScopeId, hir: &'a hir::Function) {
        let class = match self.model.scopes[outer].kind {
            ScopeKind::Class(class) => Some(class),
            _ => None,
        };
        let id = self.define(outer, hir, class, class, Role::Plain);
        self.bind(outer, &hir.name.name, Binding::Function(id));
    }

    /// Decorators, defaults and annotations.
    fn heading(&mut self, outer: ScopeId, hir: &'a hir::Function) {
        let params = hir.params.iter().flat_map(|p| p.default.iter().chain(&p.annotation));
        hir.decorators.iter().chain(params).chain(&hir.returns).for_each(|expr| self.expr(outer, expr));
    }

    fn define(
        &mut self,
        outer: ScopeId,
        hir: &'a hir::Function,
        class: Option<ClassId>,
        owner: Option<ClassId>,
        role: Role,
    ) -> FunctionId {
        let id: FunctionId = self.model.functions.len();
        let scope = self.model.scopes.len();
        self.model.scopes.push(Scope::new(self.file, ScopeKind::Function(id), Some(outer)));
        let (file, parent) = (self.file, self.function);
        self.model.functions.push(Function { file, hir, scope, outer, class, owner, template: false, parent, role });
        self.params(scope, Some(id), &hir.params);
        let before = self.function.replace(id);
        self.block(scope, &hir.body);
        self.function = before;
        id
    }

    fn class(&mut self, outer: ScopeId, hir: &'a hir::Class) {
        let id: ClassId = self.model.classes.len();
        let scope = self.model.scopes.len();
        let nested = self.model.scopes[outer].kind != ScopeKind::Module;
        self.model.scopes.push(Scope::new(self.file, ScopeKind::Class(id), Some(outer)));
        let (mro, inherited, functions) = (Vec::new(), Vec::new(), Vec::new());
        let (service, record, is_base) = (None, None, false);
        let class =
            Class { file: self.file, hir, scope, outer, nested, service, record, mro, inherited, is_base, functions };
        self.model.classes.push(class);
        self.bind(outer, &hir.name.name, Binding::Class(id));
        self.block(scope, &hir.body);
    }

    fn params(&mut self, scope: ScopeId, function: Option<FunctionId>, params: &'a [Param]) {
        for (index, param) in params.iter().enumerate() {
            let binding = Binding::Param { function, index, annotation: param.annotation.as_ref() };
            self.bind(scope, &param.name.name, binding);
        }
    }

    fn import(&mut self, scope: ScopeId, alias: &'a Alias) {
        let path = &alias.name.name;
        match &alias.asname {
            Some(name) => self.bind(scope, &name.name, Binding::Import(path.clone())),
            None => {
                let first = path.split('.').next().unwrap_or(path);
                self.bind(scope, first, Binding::Import(first.to_owned()));
            }
        }
    }

    fn import_from(&mut self, scope: ScopeId, import: &'a ImportFrom) {
        let source = self.model.files[self.file].source;
        let Some(module) = super::imports::absolute(source, import) else { return };
        for alias in &import.names {
            let name = alias.asname.as_ref().unwrap_or(&alias.name);
            self.bind(scope, &name.name, Binding::From { module: module.clone(), name: &alias.name.name });
        }
    }

    fn assign(&mut self, scope: ScopeId, target: &'a Expr, value: &'a Expr) {
        match &target.kind {
            ExprKind::Name(name) => self.bind(scope, name, Binding::Value(value)),
            ExprKind::Tuple(targets) | ExprKind::List(targets) => match &value.kind {
                ExprKind::Tuple(values) | ExprKind::List(values) if pairs(targets, values) => {
                    targets.iter().zip(values).for_each(|(target, value)| self.assign(scope, target, value));
                }
                _ => targets.iter().for_each(|t| self.other(scope, t)),
            },
            _ => self.other(scope, target),
        }
    }

    fn element(&mut self, scope: ScopeId, target: &'a Expr, iter: &'a Expr) {
        match &target.kind {
            ExprKind::Name(name) => self.bind(scope, name, Binding::Element(iter)),
            _ => self.other(scope, target),
        }
    }

    fn other(&mut self, scope: ScopeId, target: &'a Expr) {
        match &target.kind {
            ExprKind::Name(name) => self.bind(scope, name, Binding::Other),
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| self.other(scope, t)),
            ExprKind::Starred(inner) => self.other(scope, inner),
            _ => {}
        }
    }

    fn bind(&mut self, scope: ScopeId, name: &'a str, binding: Binding<'a>) {
        self.model.scopes[scope].bindings.entry(name).or_default().push(binding);
    }

    fn expr(&mut self, scope: ScopeId, expr: &'a Expr) {
        if let Some(place) = self.model.files[self.file].expr_scopes.get_mut(expr.id.0 as usize) {
            *place = scope;
        }
        match &expr.kind {
            ExprKind::Lambda(lambda) => {
                let inner = self.inner(scope, expr.id, ScopeKind::Lambda);
                self.params(inner, None, &lambda.params);
                lambda.params.iter().filter_map(|p| p.default.as_ref()).for_each(|d| self.expr(scope, d));
                self.expr(inner, &lambda.body);
            }
            ExprKind::Comp(comp) => self.comp(scope, expr.id, comp),
            ExprKind::Named(target, value) => {
                self.expr(scope, value);
                self.expr(scope, target);
                if let ExprKind::Name(name) = &target.kind {
                    let scope = self.walrus_scope(scope);
                    self.bind(scope, name, Binding::Value(value));
                }
            }
            _ => expr.children(&mut |child| self.expr(scope, child)),
        }
    }

    fn comp(&mut self, scope: ScopeId, id: ExprId, comp: &'a Comp) {
        let inner = self.inner(scope, id, ScopeKind::Comprehension);
        for (number, clause) in comp.clauses.iter().enumerate() {
            self.expr(if number == 0 { scope } else { inner }, &clause.iter);
            self.expr(inner, &clause.target);
            self.element(inner, &clause.target, &clause.iter);
            clause.conditions.iter().for_each(|c| self.expr(inner, c));
        }
        comp.elements.iter().for_each(|e| self.expr(inner, e));
    }

    fn inner(&mut self, parent: ScopeId, id: ExprId, kind: ScopeKind) -> ScopeId {
        let scope = self.model.scopes.len();
        self.model.scopes.push(Scope::new(self.file, kind, Some(parent)));
        self.model.files[self.file].inner_scopes.insert(id, scope);
        scope
    }

    /// `:=` in a comprehension binds outside of it.
    fn walrus_scope(&self, mut scope: ScopeId) -> ScopeId {
        while self.model.scopes[scope].kind == ScopeKind::Comprehension {
            scope = self.model.scopes[scope].parent.unwrap_or(scope);
        }
        scope
    }
}

/// True if the targets take the values one by one.
fn pairs(targets: &[Expr], values: &[Expr]) -> bool {
    let starred = |e: &Expr| matches!(e.kind, ExprKind::Starred(_));
    targets.len() == values.len() && !targets.iter().chain(values).any(starred)
}
