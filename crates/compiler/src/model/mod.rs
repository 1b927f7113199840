//! The application as the compiler understands it: modules, scopes, functions, classes, and the services among them.
//! Built once, then read by colouring, checks, lowering and the manifest.

mod classes;
mod client;
pub(crate) mod constant;
mod fields;
mod imports;
mod inherit;
mod resolve;
mod scope;
pub(crate) mod types;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use protocol::manifest::FieldKind;
use protocol::schema::Type;

use crate::SourceFile;
use crate::hir::{self, Expr, ExprId};
use crate::span::Span;

pub(crate) use classes::collect;
pub(crate) use imports::{absolute, load_order};
pub(crate) use resolve::{Entity, TASK_GROUP};
pub(crate) use scope::build;

pub(crate) type FileId = usize;
pub(crate) type ScopeId = usize;
pub(crate) type FunctionId = usize;
pub(crate) type ClassId = usize;
/// Index in [`Model::services`].
pub(crate) type ServiceId = usize;

/// The whole application.
#[derive(Debug, Default)]
pub(crate) struct Model<'a> {
    /// The modules, and after them the same again for each service with base classes: what it inherits is followed once
    /// more as a part of it, with scopes of its own. See [`Self::origin`].
    pub(crate) files: Vec<File<'a>>,
    /// How many modules there are.
    pub(crate) modules: usize,
    pub(crate) scopes: Vec<Scope<'a>>,
    pub(crate) functions: Vec<Function<'a>>,
    pub(crate) classes: Vec<Class<'a>>,
    pub(crate) services: Vec<Service<'a>>,
    pub(crate) index: Index<'a>,
    /// What names stand for, as far as it was asked. Must be forgotten when the rest changes.
    resolved: RefCell<HashMap<ScopeId, HashMap<String, Option<Entity>>>>,
}

/// Where things are found by name, so that an application is not searched for each of its parts.
#[derive(Debug, Default)]
pub(crate) struct Index<'a> {
    /// The first module of each dotted name.
    modules: HashMap<&'a str, FileId>,
    /// The first class of each registered name.
    classes: HashMap<String, ClassId>,
    /// The first service of each name.
    services: HashMap<&'a str, ServiceId>,
    /// Functions by the place of their definition.
    functions: HashMap<(FileId, Span), FunctionId>,
    /// Functions of classes by their name.
    members: HashMap<&'a str, Vec<FunctionId>>,
    /// The modules of the application that each module imports.
    imports: Vec<Vec<FileId>>,
    /// The functions whose text stands in each module.
    of_module: Vec<Vec<FunctionId>>,
}

/// A module.
#[derive(Debug)]
pub(crate) struct File<'a> {
    pub(crate) source: &'a SourceFile,
    pub(crate) tree: &'a hir::Module,
    pub(crate) scope: ScopeId,
    /// Scope of each expression, by its id.
    pub(crate) expr_scopes: Vec<ScopeId>,
    /// Functions, lambdas and comprehensions by the id of their expression (lambdas, comprehensions only).
    pub(crate) inner_scopes: BTreeMap<ExprId, ScopeId>,
    /// Its functions, those of its classes and nested ones too.
    pub(crate) functions: Range<FunctionId>,
    pub(crate) classes: Range<ClassId>,
    pub(crate) scopes: Range<ScopeId>,
    /// Names that some function of it declares `global`.
    pub(crate) globals: BTreeSet<&'a str>,
}

/// Where names are bound.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) file: FileId,
    pub(crate) kind: ScopeKind,
    pub(crate) parent: Option<ScopeId>,
    pub(crate) bindings: BTreeMap<&'a str, Vec<Binding<'a>>>,
    pub(crate) globals: BTreeSet<&'a str>,
    pub(crate) nonlocals: BTreeSet<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    Module,
    Class(ClassId),
    Function(FunctionId),
    Lambda,
    Comprehension,
}

/// What gives a name its value.
#[derive(Clone, Debug)]
pub(crate) enum Binding<'a> {
    /// Parameter number `index` of a function or lambda.
    Param {
        function: Option<FunctionId>,
        index: usize,
        annotation: Option<&'a Expr>,
    },
    /// `name = value`.
    Value(&'a Expr),
    /// `name: annotation = value`.
    Annotated {
        annotation: &'a Expr,
        value: Option<&'a Expr>,
    },
    /// The elements of an iterable, one by one.
    Element(&'a Expr),
    /// `import path` (the whole dotted name that the alias stands for).
    Import(String),
    /// `from module import name`, absolute.
    From {
        module: String,
        name: &'a str,
    },
    Function(FunctionId),
    Class(ClassId),
    /// `with context as name`.
    With(&'a Expr),
    /// Anything else: unpacking, `except … as`, patterns, `del`, augmented assignment.
    Other,
}

#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) file: FileId,
    pub(crate) hir: &'a hir::Function,
    /// Scope of its body.
    pub(crate) scope: ScopeId,
    /// Scope that it is defined in.
    pub(crate) outer: ScopeId,
    /// The class whose method it is.
    pub(crate) class: Option<ClassId>,
    /// The class whose body defines it: `class`, or a base of it.
    pub(crate) owner: Option<ClassId>,
    /// A method of a class that services inherit from, or defined in one. Each service has its own.
    pub(crate) template: bool,
    /// The function whose body defines it, however deep in blocks.
    pub(crate) parent: Option<FunctionId>,
    pub(crate) role: Role,
}

/// What a function in a class is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Not in a class, or an ordinary method there.
    Plain,
    Static,
    ClassMethod,
    Property,
    /// What assigns to a property: `@name.setter`.
    Setter,
    /// A function of a module with `@task`.
    Task,
    /// A decorator that we do not know changes it.
    Decorated,
}

#[derive(Debug)]
pub(crate) struct Class<'a> {
    pub(crate) file: FileId,
    pub(crate) hir: &'a hir::Class,
    pub(crate) scope: ScopeId,
    pub(crate) outer: ScopeId,
    pub(crate) nested: bool,
    /// Set when the class is a service or entity.
    pub(crate) service: Option<ServiceId>,
    pub(crate) record: Option<Record>,
    /// Of a service: its classes in the order in which Python looks for attributes, itself first.
    pub(crate) mro: Vec<ClassId>,
    /// Of a service: the methods that it inherits, also those that it overrides, in that order.
    pub(crate) inherited: Vec<FunctionId>,
    /// A service inherits from it, and it is none.
    pub(crate) is_base: bool,
    /// The functions that are its own, in order: those of its body, and of a service those that it inherits.
    pub(crate) functions: Vec<FunctionId>,
}

/// A class whose instances are values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Dataclass { frozen: bool },
    Enum,
    TypedDict,
    NamedTuple,
}

/// A service or entity.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    pub(crate) class: ClassId,
    pub(crate) name: &'a str,
    pub(crate) mu2sls: bool,
    /// Only its interface is here: `@client`.
    pub(crate) elsewhere: bool,
    /// `None` for a service.
    pub(crate) entity_key: Option<Type>,
    pub(crate) fields: Vec<Field>,
    /// Client attributes: name, service, place.
    pub(crate) clients: Vec<(String, ServiceId, Span)>,
    /// Functions of the class body by name, in order.
    pub(crate) methods: Vec<(&'a str, FunctionId)>,
}

/// A persistent field.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) kind: FieldKind,
    pub(crate) value_type: Type,
    pub(crate) key_type: Type,
    pub(crate) initial: protocol::Value,
}

impl<'a> Model<'a> {
    /// Forgets what names stood for, after a change.
    fn changed(&mut self) {
        self.resolved.get_mut().clear();
    }

    /// The module that a file is, or repeats.
    pub(crate) fn origin(&self, file: FileId) -> FileId {
        file % self.modules.max(1)
    }

    /// All functions but those that are only there to be inherited.
    pub(crate) fn own_functions(&self) -> impl Iterator<Item = FunctionId> + '_ {
        (0..self.functions.len()).filter(|id| !self.functions[*id].template)
    }

    /// The module with this dotted name.
    pub(crate) fn module(&self, name: &str) -> Option<FileId> {
        self.index.modules.get(name).copied()
    }

    /// The text of a span.
    pub(crate) fn text(&self, file: FileId, span: Span) -> &'a str {
        span.text(&self.files[file].source.source)
    }

    /// The service whose method this is, directly or as a function nested in one.
    pub(crate) fn service_of(&self, function: FunctionId) -> Option<ServiceId> {
        let info = &self.functions[function];
        match (info.class, info.parent) {
            (Some(class), _) => self.classes[class].service,
            (None, Some(parent)) => self.service_of(parent),
            (None, None) => None,
        }
    }

    /// What runs when the property whose getter this is is assigned to.
    pub(crate) fn setter(&self, getter: FunctionId) -> Option<FunctionId> {
        let (class, name) = (self.functions[getter].class?, &self.functions[getter].hir.name.name);
        let sets = |f: &Function<'_>| f.role == Role::Setter && f.hir.name.name == *name;
        self.classes[class].functions.iter().copied().find(|f| sets(&self.functions[*f]))
    }

    /// True in a service of the mu2sls dialect.
    pub(crate) fn is_mu2sls(&self, function: FunctionId) -> bool {
        self.service_of(function).is_some_and(|s| self.services[s].mu2sls)
    }

    /// Qualified name for messages: `Hotel.reserve`, `helper`.
    pub(crate) fn function_name(&self, function: FunctionId) -> String {
        let info = &self.functions[function];
        match info.owner {
            Some(class) => format!("{}.{}", self.classes[class].hir.name.name, info.hir.name.name),
            None => info.hir.name.name.clone(),
        }
    }

    /// Registered name of a class: `module.Class`.
    pub(crate) fn class_name(&self, class: ClassId) -> String {
        let info = &self.classes[class];
        format!("{}.{}", self.files[info.file].source.module, info.hir.name.name)
    }

    /// True if an `__init__` of the service names the attribute, whatever came of its declaration.
    pub(crate) fn declares(&self, class: ClassId, name: &str) -> bool {
        let attribute = |e: &Expr| matches!(&e.kind, hir::ExprKind::Attribute(_, n) if n.name == name);
        let functions = self.classes[class].functions.iter().map(|id| &self.functions[*id]);
        let mut inits = functions.filter(|f| f.hir.name.name == "__init__");
        inits.any(|f| {
            f.hir.body.iter().any(|stmt| match &stmt.kind {
                hir::StmtKind::Assign(assign) => assign.targets.iter().any(attribute),
                hir::StmtKind::Annotated { target, .. } => attribute(target),
                _ => false,
            })
        })
    }

    pub(crate) fn service_named(&self, name: &str) -> Option<ServiceId> {
        self.index.services.get(name).copied()
    }

    /// The class with this registered name.
    pub(crate) fn class_named(&self, name: &str) -> Option<ClassId> {
        self.index.classes.get(name).copied()
    }

    /// The first function of this name that the class's body defines.
    pub(crate) fn method_of(&self, class: ClassId, name: &str) -> Option<FunctionId> {
        self.classes[class].functions.iter().copied().find(|f| self.functions[*f].hir.name.name == name)
    }

    /// All functions of this name that classes define.
    pub(crate) fn members(&self, name: &str) -> &[FunctionId] {
        self.index.members.get(name).map_or(&[], Vec::as_slice)
    }

    /// The function that is defined here.
    pub(crate) fn defined_at(&self, file: FileId, span: Span) -> Option<FunctionId> {
        self.index.functions.get(&(file, span)).copied()
    }

    /// The functions that stand in a module.
    pub(crate) fn functions_of(&self, file: FileId) -> &[Function<'a>] {
        &self.functions[self.files[self.origin(file)].functions.clone()]
    }

    /// The functions whose text stands in a module, but those that are only there to be inherited.
    pub(crate) fn own_functions_of(&self, file: FileId) -> impl Iterator<Item = FunctionId> + '_ {
        // An application without functions has none of these.
        let own = self.index.of_module.get(file).map_or(&[][..], Vec::as_slice);
        own.iter().copied().filter(|id| !self.functions[*id].template)
    }

    /// The modules of the application that a module imports, in order, with the packages that they lie in.
    pub(crate) fn imported(&self, file: FileId) -> &[FileId] {
        &self.index.imports[self.origin(file)]
    }
}

impl Service<'_> {
    pub(crate) fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }

    pub(crate) fn method(&self, name: &str) -> Option<FunctionId> {
        self.methods.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
    }

    pub(crate) fn client(&self, name: &str) -> Option<ServiceId> {
        self.clients.iter().find(|(n, ..)| n == name).map(|(_, s, _)| *s)
    }
}
