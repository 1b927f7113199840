//! Imports as the worker will carry them out: names that a module of the application does not have, or does not have
//! yet because the modules import each other in a circle. What stands in `try` is the program's own business.

use std::collections::BTreeSet;

use super::{library, targets};
use crate::diagnostic::{Report, Sink};
use crate::hir::*;
use crate::model::{FileId, Model, absolute, load_order};
use crate::similar::similar;
use crate::span::Span;

/// Longer chains of imports are not followed.
const CHAIN_MAX: usize = 200;
/// Modules that are tried as the first of a circle.
const STARTS_MAX: usize = 64;

pub(super) fn check(model: &Model<'_>, sink: &mut Sink<'_>) {
    order(model).1.into_iter().for_each(|report| sink.add(report));
}

/// An order in which the modules can be loaded, and what is wrong with their imports. In a circle it matters which
/// module comes first: the one that a person would import.
pub(crate) fn order(model: &Model<'_>) -> (Vec<FileId>, Vec<Report>) {
    let usual = load_order(model);
    let (told, circle) = loaded(model, &usual);
    if circle {
        for first in (0..model.modules).take(STARTS_MAX) {
            let mut order = vec![first];
            order.extend(usual.iter().filter(|file| **file != first));
            let (told, circle) = loaded(model, &order);
            if !circle {
                return (order, told);
            }
        }
    }
    (usual, told)
}

/// What loading in this order finds, and whether a circle is among it.
fn loaded(model: &Model<'_>, order: &[FileId]) -> (Vec<Report>, bool) {
    let (state, bound) = (vec![State::New; model.modules], vec![BTreeSet::new(); model.modules]);
    let mut loader = Loader { model, told: Vec::new(), circle: false, state, bound, chain: Vec::new() };
    order.iter().for_each(|file| loader.load(*file));
    (loader.told, loader.circle)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Loading,
    Loaded,
}

struct Loader<'l, 'a> {
    model: &'l Model<'a>,
    told: Vec<Report>,
    circle: bool,
    state: Vec<State>,
    /// Names that each module has so far.
    bound: Vec<BTreeSet<&'a str>>,
    chain: Vec<FileId>,
}

impl<'a> Loader<'_, 'a> {
    fn load(&mut self, file: FileId) {
        if self.state[file] != State::New || self.chain.len() > CHAIN_MAX {
            return;
        }
        self.state[file] = State::Loading;
        self.chain.push(file);
        let tree = self.model.files[file].tree;
        self.block(file, &tree.body, false);
        self.chain.pop();
        self.state[file] = State::Loaded;
    }

    fn block(&mut self, file: FileId, body: &'a [Stmt], guarded: bool) {
        for stmt in body {
            let guards = match &stmt.kind {
                StmtKind::Try(_) => true,
                // `if TYPE_CHECKING:` does not run.
                StmtKind::If(test, ..) => match &test.kind {
                    ExprKind::Attribute(_, name) => name.name == "TYPE_CHECKING",
                    _ => test.as_name() == Some("TYPE_CHECKING"),
                },
                _ => false,
            };
            if guards && matches!(stmt.kind, StmtKind::If(..)) {
                continue;
            }
            self.stmt(file, stmt, guarded || guards);
            stmt.blocks(&mut |block| self.block(file, block, guarded || guards));
        }
    }

    fn stmt(&mut self, file: FileId, stmt: &'a Stmt, guarded: bool) {
        match &stmt.kind {
            StmtKind::Import(aliases) => {
                for alias in aliases {
                    self.load_path(&alias.name.name);
                    let first = alias.name.name.split('.').next().unwrap_or_default();
                    self.bound[file].insert(alias.asname.as_ref().map_or(first, |a| &a.name));
                }
            }
            StmtKind::ImportFrom(import) => self.import(file, import, guarded),
            StmtKind::Function(function) => _ = self.bound[file].insert(&function.name.name),
            StmtKind::Class(class) => _ = self.bound[file].insert(&class.name.name),
            _ => targets(stmt, &mut |target| self.bound[file].extend(target.as_name())),
        }
    }

    /// Loads a module and the packages that it lies in.
    fn load_path(&mut self, path: &str) {
        let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        for found in ends.filter_map(|end| self.model.module(&path[..end])).collect::<Vec<_>>() {
            self.load(found);
        }
    }

    fn import(&mut self, file: FileId, import: &'a ImportFrom, guarded: bool) {
        let Some(module) = absolute(self.model.files[file].source, import) else { return };
        self.load_path(&module);
        for alias in &import.names {
            let name = alias.name.name.as_str();
            let path = format!("{module}.{name}");
            if self.model.module(&path).is_some() {
                self.load_path(&path);
            } else if let Some(from) = self.model.module(&module).filter(|_| !guarded && name != "*") {
                self.named(file, from, &alias.name);
            } else if module == "sostenuto" && name != "*" && !guarded && !library::exports().contains(&name) {
                self.missing(file, alias.name.span, "sostenuto", name, library::exports());
            }
            self.bound[file].insert(alias.asname.as_ref().map_or(name, |a| &a.name));
        }
    }

    fn named(&mut self, file: FileId, from: FileId, name: &Ident) {
        let info = &self.model.files[from];
        let bindings = &self.model.scopes[info.scope].bindings;
        // A name that comes from `import *`, `__getattr__` or a `global` statement is not known.
        let open = bindings.contains_key("*") || bindings.contains_key("__getattr__") || special(&name.name);
        if open || info.globals.contains(name.name.as_str()) {
            return;
        }
        let module = info.source.module.as_str();
        if !bindings.contains_key(name.name.as_str()) {
            self.missing(file, name.span, module, &name.name, bindings.keys().copied().collect());
        } else if self.state[from] == State::Loading && !self.bound[from].contains(name.name.as_str()) {
            let shown = |f: &FileId| format!("`{}`", self.model.files[*f].source.module);
            let start = self.chain.iter().position(|f| *f == from).unwrap_or(0);
            let circle: Vec<String> = self.chain[start..].iter().chain([&from]).map(shown).collect();
            let message = format!("`{module}` is still being loaded here, and has no `{}` yet", name.name);
            let report = Report::error("SOS0120", file, name.span, message);
            let report =
                report.note(format!("the modules import each other in a circle: {}", circle.join(" imports ")));
            let help = "import it in the function that needs it, or move it to a module that both can import; \
                        for annotations alone, import it under `if TYPE_CHECKING:`";
            self.circle = true;
            self.told.push(report.help(help));
        }
    }

    fn missing(&mut self, file: FileId, span: Span, module: &str, name: &str, names: Vec<&str>) {
        let report = Report::error("SOS0119", file, span, format!("`{module}` has no `{name}`"));
        self.told.push(match similar(names, name) {
            Some(similar) => report.change(format!("there is `{similar}`"), span, similar),
            None => report.help("correct the name, or define it there"),
        });
    }
}

fn special(name: &str) -> bool {
    name.starts_with("__") && name.ends_with("__")
}
