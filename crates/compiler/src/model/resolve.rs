//! What an expression stands for, as far as it can be known without running it: a module, a class, a client, a field.
//! Local names are followed only where all their bindings agree.

use super::{Binding, ClassId, FileId, FunctionId, Model, Role, ScopeId, ScopeKind, ServiceId};
use crate::hir::{Expr, ExprKind};

/// Following names deeper than this gives [`Entity::Unknown`].
const DEPTH_MAX: u32 = 24;

/// The path of what `async with asyncio.TaskGroup() as name` gives.
pub(crate) const TASK_GROUP: &str = "asyncio.TaskGroup()";

fn is_task_group(path: &str) -> bool {
    path == "asyncio.TaskGroup" || path == "builtins.__sos__.TaskGroup"
}

/// What an expression stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    Unknown,
    /// Something outside the application, by its dotted path (`time.time`, `builtins.len`).
    Path(String),
    Module(FileId),
    Class(ClassId),
    Function(FunctionId),
    /// `self` in a method of the class.
    SelfRef(ClassId),
    /// The class itself, as a class method sees it.
    ClassRef(ClassId),
    /// A persistent field of `self`.
    Field(ServiceId, usize),
    /// `self.method`.
    Method(FunctionId),
    /// Another attribute of `self`.
    SelfAttribute(ClassId, String),
    /// Something that receives calls: an instance of a service's client.
    Client(ServiceId),
    /// An iterable of clients of one service.
    Clients(ServiceId),
    /// Sometimes a client of this service, sometimes not.
    MaybeClient(ServiceId),
    /// A method of a client, not called yet.
    Remote(ServiceId, String),
    /// An instance of a class of the application that is no service.
    Instance(ClassId),
    /// `super()` in a method that the second class defines, for objects of the first.
    Super(ClassId, ClassId),
}

impl<'a> Model<'a> {
    /// What `expr` stands for.
    pub(crate) fn resolve(&self, file: FileId, expr: &'a Expr) -> Entity {
        Resolver { model: self, file, depth: 0 }.expr(expr, self.scope_at(file, expr))
    }

    /// What `expr`, which stands in a string or comment of `scope`, stands for.
    pub(crate) fn resolve_in(&self, scope: ScopeId, expr: &Expr) -> Entity {
        Resolver { model: self, file: self.scopes[scope].file, depth: 0 }.detached(expr, scope)
    }

    /// What `name` stands for in `scope`.
    pub(crate) fn resolve_name(&self, scope: ScopeId, name: &str) -> Entity {
        Resolver { model: self, file: self.scopes[scope].file, depth: 0 }.name(name, scope)
    }

    /// The scope of an expression.
    pub(crate) fn scope_at(&self, file: FileId, expr: &Expr) -> ScopeId {
        let info = &self.files[file];
        info.expr_scopes.get(expr.id.0 as usize).copied().unwrap_or(info.scope)
    }

    /// The scope that binds `name` as seen from `scope`; `None` for a builtin.
    pub(crate) fn binding_scope(&self, scope: ScopeId, name: &str) -> Option<ScopeId> {
        let mut at = scope;
        loop {
            let info = &self.scopes[at];
            if info.globals.contains(name) {
                let module = self.files[info.file].scope;
                return self.scopes[module].bindings.contains_key(name).then_some(module);
            }
            let visible = at == scope || !matches!(info.kind, ScopeKind::Class(_));
            if visible && info.bindings.contains_key(name) && !info.nonlocals.contains(name) {
                return Some(at);
            }
            at = info.parent?;
        }
    }
}

struct Resolver<'m, 'a> {
    model: &'m Model<'a>,
    file: FileId,
    depth: u32,
}

impl<'a> Resolver<'_, 'a> {
    fn expr(&mut self, expr: &'a Expr, scope: ScopeId) -> Entity {
        self.depth += 1;
        let entity = if self.depth > DEPTH_MAX { Entity::Unknown } else { self.known(expr, scope) };
        self.depth -= 1;
        entity
    }

    fn known(&mut self, expr: &'a Expr, scope: ScopeId) -> Entity {
        match &expr.kind {
            ExprKind::Name(name) => self.name(name, scope),
            ExprKind::Attribute(value, attribute) => {
                let base = self.expr(value, scope);
                self.attribute(base, &attribute.name)
            }
            ExprKind::Call(call) => match self.expr(&call.func, scope) {
                Entity::Class(class) => self.instance(class),
                Entity::Path(path) if path == "builtins.super" && call.args.is_empty() => self.super_of(scope),
                _ => Entity::Unknown,
            },
            ExprKind::Named(_, value) => self.expr(value, scope),
            ExprKind::IfElse(parts) => {
                let (yes, no) = (self.expr(&parts[1], scope), self.expr(&parts[2], scope));
                join(yes, no)
            }
            ExprKind::Bool2(items) => {
                let entities: Vec<_> = items.iter().map(|item| self.expr(item, scope)).collect();
                entities.into_iter().reduce(join).unwrap_or(Entity::Unknown)
            }
            ExprKind::List(items) | ExprKind::Tuple(items) => self.items(items, scope),
            ExprKind::Comp(comp) => {
                let inner = self.model.files[self.file].inner_scopes.get(&expr.id).copied().unwrap_or(scope);
                match comp.elements.as_slice() {
                    [element] => collection(self.expr(element, inner)),
                    _ => Entity::Unknown,
                }
            }
            ExprKind::Subscript(value, _) => match self.expr(value, scope) {
                Entity::Clients(service) => Entity::Client(service),
                _ => Entity::Unknown,
            },
            _ => Entity::Unknown,
        }
    }

    /// Names and attributes of an expression that is not part of the module's tree.
    fn detached(&mut self, expr: &Expr, scope: ScopeId) -> Entity {
        match &expr.kind {
            ExprKind::Name(name) => self.name(name, scope),
            ExprKind::Attribute(value, attribute) => {
                let base = self.detached(value, scope);
                self.attribute(base, &attribute.name)
            }
            _ => Entity::Unknown,
        }
    }

    fn items(&mut self, items: &'a [Expr], scope: ScopeId) -> Entity {
        let entities: Vec<_> = items.iter().map(|item| self.expr(item, scope)).collect();
        entities.into_iter().reduce(join).map_or(Entity::Unknown, collection)
    }

    fn instance(&self, class: ClassId) -> Entity {
        match self.model.classes[class].service {
            Some(service) => Entity::Client(service),
            None => Entity::Instance(class),
        }
    }

    fn super_of(&self, scope: ScopeId) -> Entity {
        let method = self.model.method_around(scope).map(|f| &self.model.functions[f]);
        match method.and_then(|f| f.class.zip(f.owner)) {
            Some((class, owner)) if self.model.classes[class].mro.len() > 1 => Entity::Super(class, owner),
            _ => Entity::Unknown,
        }
    }

    fn name(&mut self, name: &str, scope: ScopeId) -> Entity {
        let Some(bound) = self.model.binding_scope(scope, name) else {
            return Entity::Path(format!("builtins.{name}"));
        };
        if let Some(known) = self.model.resolved.borrow().get(&bound).and_then(|names| names.get(name)) {
            // Nothing yet: the name is defined by itself.
            return known.clone().unwrap_or(Entity::Unknown);
        }
        self.remember(bound, name, None);
        let bindings = &self.model.scopes[bound].bindings[name];
        let entities: Vec<_> = bindings.iter().map(|b| self.binding(b, bound)).collect();
        let entity = entities.into_iter().reduce(join).unwrap_or(Entity::Unknown);
        self.remember(bound, name, Some(entity.clone()));
        entity
    }

    fn remember(&self, scope: ScopeId, name: &str, entity: Option<Entity>) {
        self.model.resolved.borrow_mut().entry(scope).or_default().insert(name.to_owned(), entity);
    }

    fn binding(&mut self, binding: &Binding<'a>, scope: ScopeId) -> Entity {
        self.depth += 1;
        let file = std::mem::replace(&mut self.file, self.model.scopes[scope].file);
        let entity = if self.depth > DEPTH_MAX { Entity::Unknown } else { self.bound(binding, scope) };
        self.file = file;
        self.depth -= 1;
        entity
    }

    fn bound(&mut self, binding: &Binding<'a>, scope: ScopeId) -> Entity {
        match binding {
            Binding::Param { function, index, annotation, .. } => self.param(*function, *index, *annotation),
            Binding::Value(value) => {
                let at = self.model.scope_at(self.file, value);
                self.expr(value, at)
            }
            Binding::Annotated { annotation, value, .. } => match (self.annotated_client(annotation, scope), value) {
                (Some(service), _) => Entity::Client(service),
                (None, Some(value)) => {
                    let at = self.model.scope_at(self.file, value);
                    self.expr(value, at)
                }
                (None, None) => Entity::Unknown,
            },
            Binding::Element(iter) => {
                let at = self.model.scope_at(self.file, iter);
                match self.expr(iter, at) {
                    Entity::Clients(service) => Entity::Client(service),
                    _ => Entity::Unknown,
                }
            }
            Binding::Import(path) => self.path(path.clone()),
            Binding::From { module, name } => match self.model.module(module) {
                Some(file) => self.member(file, name),
                None => self.path(format!("{module}.{name}")),
            },
            Binding::Function(function) => Entity::Function(*function),
            Binding::Class(class) => Entity::Class(*class),
            Binding::With(context) => {
                let at = self.model.scope_at(self.file, context);
                match context.as_call().map(|call| self.expr(&call.func, at)) {
                    Some(Entity::Path(path)) if is_task_group(&path) => Entity::Path(TASK_GROUP.to_owned()),
                    _ => Entity::Unknown,
                }
            }
            Binding::Other => Entity::Unknown,
        }
    }

    fn param(&mut self, function: Option<FunctionId>, index: usize, annotation: Option<&'a Expr>) -> Entity {
        if let Some(id) = function {
            let info = &self.model.functions[id];
            if let (Some(class), 0) = (info.class, index) {
                match info.role {
                    Role::Plain | Role::Property | Role::Setter | Role::Decorated => return Entity::SelfRef(class),
                    Role::ClassMethod => return Entity::ClassRef(class),
                    Role::Static | Role::Task => {}
                }
            }
        }
        let scope = annotation.map(|a| self.model.scope_at(self.file, a));
        match annotation.zip(scope).and_then(|(a, s)| self.annotated_client(a, s)) {
            Some(service) => Entity::Client(service),
            None => Entity::Unknown,
        }
    }

    /// The service that an annotation names: `Hotel`, `"Hotel"`.
    fn annotated_client(&mut self, annotation: &'a Expr, scope: ScopeId) -> Option<ServiceId> {
        if let Some(name) = annotation.as_str() {
            return match self.name(name, scope) {
                Entity::Class(class) => self.model.classes[class].service,
                _ => self.model.service_named(name),
            };
        }
        match self.expr(annotation, scope) {
            Entity::Class(class) => self.model.classes[class].service,
            _ => None,
        }
    }

    fn path(&mut self, path: String) -> Entity {
        match self.model.module(&path) {
            Some(file) => Entity::Module(file),
            None => Entity::Path(path),
        }
    }

    fn member(&mut self, file: FileId, name: &str) -> Entity {
        let scope = self.model.files[file].scope;
        if self.model.scopes[scope].bindings.contains_key(name) {
            let before = std::mem::replace(&mut self.file, file);
            self.depth += 1;
            let entity = if self.depth > DEPTH_MAX { Entity::Unknown } else { self.name(name, scope) };
            self.depth -= 1;
            self.file = before;
            return entity;
        }
        let path = format!("{}.{name}", self.model.files[file].source.module);
        match self.model.module(&path) {
            Some(file) => Entity::Module(file),
            None => Entity::Unknown,
        }
    }

    fn attribute(&mut self, base: Entity, name: &str) -> Entity {
        match base {
            Entity::Path(path) => self.path(format!("{path}.{name}")),
            Entity::Module(file) => self.member(file, name),
            Entity::SelfRef(class) => self.self_attribute(class, name),
            Entity::Class(class) | Entity::ClassRef(class) => self.class_attribute(class, name),
            Entity::Client(service) => Entity::Remote(service, name.to_owned()),
            Entity::Super(class, owner) => {
                self.model.inherited(class, Some(owner), name).map_or(Entity::Unknown, Entity::Method)
            }
            Entity::Instance(class) => match self.class_attribute(class, name) {
                Entity::Function(function) => Entity::Function(function),
                _ => Entity::Unknown,
            },
            _ => Entity::Unknown,
        }
    }

    fn self_attribute(&mut self, class: ClassId, name: &str) -> Entity {
        if let Some(id) = self.model.classes[class].service {
            let service = &self.model.services[id];
            if let Some(field) = service.field(name) {
                return Entity::Field(id, field);
            }
            if let Some(client) = service.client(name) {
                return Entity::Client(client);
            }
        }
        match self.class_attribute(class, name) {
            Entity::Function(function) => Entity::Method(function),
            Entity::Unknown => Entity::SelfAttribute(class, name.to_owned()),
            other => other,
        }
    }

    fn is_setter(&self, binding: &Binding<'_>) -> bool {
        matches!(binding, Binding::Function(f) if self.model.functions[*f].role == Role::Setter)
    }

    fn class_attribute(&mut self, class: ClassId, name: &str) -> Entity {
        let scope = self.model.classes[class].scope;
        match self.model.scopes[scope].bindings.get(name).map(Vec::as_slice) {
            Some([Binding::Function(function), setters @ ..]) if setters.iter().all(|b| self.is_setter(b)) => {
                Entity::Function(*function)
            }
            Some([Binding::Class(class)]) => Entity::Class(*class),
            Some(_) => Entity::Unknown,
            None => self.model.inherited(class, None, name).map_or(Entity::Unknown, Entity::Function),
        }
    }
}

fn collection(element: Entity) -> Entity {
    match element {
        Entity::Client(service) => Entity::Clients(service),
        Entity::MaybeClient(service) => Entity::MaybeClient(service),
        _ => Entity::Unknown,
    }
}

fn join(one: Entity, other: Entity) -> Entity {
    if one == other {
        return one;
    }
    match (&one, &other) {
        (Entity::Client(s) | Entity::Clients(s) | Entity::MaybeClient(s), _)
        | (_, Entity::Client(s) | Entity::Clients(s) | Entity::MaybeClient(s)) => Entity::MaybeClient(*s),
        _ => Entity::Unknown,
    }
}
