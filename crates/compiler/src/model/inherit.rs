//! Base classes of services: plain classes, mixins, abstract bases, other services. What a service inherits is followed
//! once for each service, as a part of it; the text that runs is there once, in the class that defines it.

use super::{ClassId, Entity, FunctionId, Model, Role, ScopeKind, ServiceId, scope};
use crate::diagnostic::{Report, Sink};
use crate::hir::{Expr, ExprKind, Ident, StmtKind};
use crate::span::Span;

/// Longer chains of base classes are not followed.
const DEPTH_MAX: u32 = 64;

/// What stands among the bases of a class.
enum Base {
    Class(ClassId),
    /// `object`, `ABC`, `Generic[T]`: nothing that runs.
    Nothing,
    Foreign,
}

/// Marks the classes that services inherit from and that are no services themselves.
pub(super) fn mark_bases(model: &mut Model<'_>, is_service: impl Fn(&Model<'_>, ClassId) -> bool) {
    let services: Vec<ClassId> = (0..model.classes.len()).filter(|class| is_service(model, *class)).collect();
    let mut todo = services.clone();
    while let Some(class) = todo.pop() {
        let bases = bases(model, class);
        for base in bases.into_iter().filter(|base| !services.contains(base)) {
            if !std::mem::replace(&mut model.classes[base].is_base, true) {
                todo.push(base);
            }
        }
    }
    for id in 0..model.functions.len() {
        let info = &model.functions[id];
        let within = info.parent.is_some_and(|parent| model.functions[parent].template);
        model.functions[id].template = within || info.class.is_some_and(|c| model.classes[c].is_base);
    }
}

/// Gives each service the methods of its bases, and reports bases that cannot be.
pub(super) fn collect(model: &mut Model<'_>, sink: &mut Sink<'_>) {
    for service in 0..model.services.len() {
        let class = model.services[service].class;
        let mro = order(model, class, sink);
        mro.iter().for_each(|base| shape(model, class, *base, sink));
        model.classes[class].mro.clone_from(&mro);
        if mro.len() > 1 {
            let first = scope::repeat(model);
            let defined = |base: ClassId| {
                let of_base = move |f: &super::Function<'_>| f.class == Some(base) && f.owner == Some(base);
                (0..model.functions.len()).filter(|id| of_base(&model.functions[*id])).collect::<Vec<_>>()
            };
            let methods: Vec<FunctionId> = mro[1..].iter().flat_map(|base| defined(*base)).collect();
            let inherited = methods.into_iter().map(|method| scope::inherit(model, first, class, method)).collect();
            model.classes[class].inherited = inherited;
            model.changed();
        }
    }
}

/// A service must implement what is abstract in it, and its methods must be alike, `async` or not.
pub(super) fn check(model: &Model<'_>, service: ServiceId, sink: &mut Sink<'_>) {
    let info = &model.services[service];
    let class = &model.classes[info.class];
    for (name, function) in &info.methods {
        if is_abstract(model, *function) {
            let message = format!("service `{}` does not implement `{name}`", info.name);
            let report = Report::error("SOS0122", class.file, class.hir.name.span, message);
            let report = report.note(format!("it is abstract in `{}`", model.function_name(*function)));
            sink.add(report.help("define it, or make this class a base of services that do"));
        }
        for other in class.inherited.iter().map(|f| &model.functions[*f]) {
            let own = &model.functions[*function];
            if other.hir.name.name == *name && other.hir.is_async != own.hir.is_async {
                let (is, is_not) =
                    if own.hir.is_async { ("an `async def`", "a `def`") } else { ("a `def`", "an `async def`") };
                let message = format!("`{}` is {is}, and overrides {is_not}", model.function_name(*function));
                let report = Report::error("SOS0123", own.file, own.hir.name.span, message);
                sink.add(report.help("make both the same: who calls it must know whether to await it"));
            }
        }
    }
}

fn is_abstract(model: &Model<'_>, function: FunctionId) -> bool {
    let info = &model.functions[function];
    let of = |d: &Expr| model.resolve_in(info.outer, d) == Entity::Path("abc.abstractmethod".to_owned());
    info.hir.decorators.iter().any(of)
}

fn base(model: &Model<'_>, class: ClassId, expr: &Expr) -> Base {
    let expr = match &expr.kind {
        ExprKind::Subscript(base, _) => base,
        _ => expr,
    };
    match model.resolve_in(model.classes[class].outer, expr) {
        Entity::Class(base) => Base::Class(base),
        Entity::Path(path) => match path.as_str() {
            "builtins.object" | "abc.ABC" | "typing.Generic" | "typing.Protocol" | "typing_extensions.Protocol" => {
                Base::Nothing
            }
            _ => Base::Foreign,
        },
        _ => Base::Foreign,
    }
}

fn bases(model: &Model<'_>, class: ClassId) -> Vec<ClassId> {
    let own = |expr: &Expr| match base(model, class, expr) {
        Base::Class(base) => Some(base),
        Base::Nothing | Base::Foreign => None,
    };
    model.classes[class].hir.bases.iter().filter_map(own).collect()
}

/// The class and its bases in the order in which Python looks for attributes.
fn order(model: &Model<'_>, class: ClassId, sink: &mut Sink<'_>) -> Vec<ClassId> {
    linear(model, class, DEPTH_MAX).unwrap_or_else(|| {
        let info = &model.classes[class];
        let message = format!("the bases of `{}` have no order", info.hir.name.name);
        let report = Report::error("SOS0109", info.file, info.hir.name.span, message);
        sink.add(report.note("Python cannot create the class either"));
        vec![class]
    })
}

/// Python's C3.
fn linear(model: &Model<'_>, class: ClassId, depth: u32) -> Option<Vec<ClassId>> {
    let depth = depth.checked_sub(1)?;
    let bases = bases(model, class);
    let mut lists: Vec<Vec<ClassId>> = Vec::new();
    for base in &bases {
        lists.push(linear(model, *base, depth)?);
    }
    lists.push(bases);
    let mut order = vec![class];
    loop {
        lists.retain(|list| !list.is_empty());
        if lists.is_empty() {
            return Some(order);
        }
        let free = |candidate: &ClassId| lists.iter().all(|list| !list[1..].contains(candidate));
        let next = lists.iter().map(|list| list[0]).find(free)?;
        order.push(next);
        lists.iter_mut().for_each(|list| list.retain(|c| *c != next));
    }
}

/// What a class that belongs to a service cannot be.
fn shape(model: &Model<'_>, service: ClassId, class: ClassId, sink: &mut Sink<'_>) {
    let (info, name) = (&model.classes[class], &model.classes[service].hir.name.name);
    let mut refuse = |span: Span, message: String, help: &str| {
        sink.add(Report::error("SOS0109", info.file, span, message).help(help));
    };
    let is_client = model.classes[class].service.is_some_and(|s| model.services[s].elsewhere);
    if is_client && class != service {
        let message = format!("service `{name}` cannot inherit from a client: its methods are written elsewhere");
        refuse(model.classes[service].hir.name.span, message, "declare the client as an attribute, and call it");
    }
    for expr in info.hir.bases.iter().filter(|expr| matches!(base(model, class, expr), Base::Foreign)) {
        let message = format!("service `{name}` cannot inherit from a class that is not part of the application");
        refuse(expr.span, message, "give a field an object of its values, or call it from a function of the module");
    }
    for keyword in &info.hir.keywords {
        let is_abc = model.resolve_in(info.outer, &keyword.value) == Entity::Path("abc.ABCMeta".to_owned());
        if !is_abc || keyword.name.as_ref().is_none_or(|n| n.name != "metaclass") {
            let message = format!("service `{name}` cannot have a metaclass or class arguments");
            refuse(keyword.value.span, message, "a service class is as it is written");
        }
    }
    for stmt in &info.hir.body {
        let special = match &stmt.kind {
            StmtKind::Function(function) => Some(&function.name),
            _ => None,
        };
        if let Some(Ident { name: method, span }) = special.filter(|n| SPECIAL.contains(&n.name.as_str())) {
            let message = format!("`{method}` in service `{name}` would hide what its fields do");
            refuse(*span, message, "declare fields, properties and methods by their names");
        }
        let slots = match &stmt.kind {
            StmtKind::Assign(assign) => assign.targets.iter().find(|t| t.as_name() == Some("__slots__")),
            StmtKind::Annotated { target, .. } => Some(target).filter(|t| t.as_name() == Some("__slots__")),
            _ => None,
        };
        if let Some(slots) = slots {
            let message = format!("`__slots__` in service `{name}`: its attributes are its fields");
            refuse(slots.span, message, "remove it");
        }
    }
}

/// Special methods by which Python would find attributes and objects elsewhere than where they are declared.
const SPECIAL: [&str; 7] =
    ["__getattr__", "__getattribute__", "__setattr__", "__delattr__", "__new__", "__init_subclass__", "__del__"];

impl Model<'_> {
    /// The method that `super().name` finds in a method that `owner` defines, for objects of `class`.
    pub(super) fn inherited(&self, class: ClassId, owner: Option<ClassId>, name: &str) -> Option<FunctionId> {
        let info = &self.classes[class];
        let own = owner.and_then(|owner| info.mro.iter().position(|c| *c == owner)).unwrap_or(0);
        let after = info.mro.get(own + 1..).unwrap_or_default();
        let method = |id: &&FunctionId| {
            let f = &self.functions[**id];
            f.role != Role::Setter && f.hir.name.name == name && f.owner.is_some_and(|o| after.contains(&o))
        };
        info.inherited.iter().find(method).copied()
    }

    /// The method around a scope, however deep in it.
    pub(super) fn method_around(&self, mut scope: super::ScopeId) -> Option<FunctionId> {
        loop {
            if let ScopeKind::Function(function) = self.scopes[scope].kind
                && self.functions[function].class.is_some()
            {
                return Some(function);
            }
            scope = self.scopes[scope].parent?;
        }
    }
}
