//! What the compiler knows of each method, for people: which cells it touches and how they are locked, where it is run,
//! where it waits and what runs without interruption in between, what it calls, and what it should not do.

mod scans;
mod stale;

use std::collections::BTreeSet;

use protocol::list::HEADER_KEY;
use protocol::manifest::{FieldKind, Foreseen, ForeseenCells, KeyExpr, Manifest, Method, Mode};

use crate::colour::{self, CallKind, Colours, classify};
use crate::diagnostic::{Diagnostic, Sink};
use crate::hir::*;
use crate::model::{self, Entity, FunctionId, Model, ServiceId};
use crate::place;
use crate::span::{Span, line_column};
use crate::walk::expressions;
use crate::{App, parse};

pub use scans::{Cost, Scan};

/// What is known of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// `Hotel.reserve`.
    pub name: String,
    /// Path of its file.
    pub file: String,
    /// Its first and last line.
    pub lines: (u32, u32),
    /// Fields and how their cells are locked.
    pub cells: Vec<(String, Mode)>,
    /// Cells that its first step has at once, as they are written in the program.
    pub foreseen: Vec<String>,
    /// The key that decides where it runs.
    pub route: Option<String>,
    /// Where it runs, in words.
    pub home: String,
    /// It changes nothing and calls nothing.
    pub read_only: bool,
    /// Where it waits, and for what.
    pub waits: Vec<(u32, String)>,
    /// Methods of services that it calls, itself or through helpers.
    pub calls: Vec<String>,
    /// Tasks that it runs.
    pub tasks: Vec<String>,
    /// Lines that run without interruption, from one wait to the next.
    pub atomic: Vec<(u32, u32)>,
    /// Places whose cost grows with a field.
    pub scans: Vec<Scan>,
}

/// Explains all methods of an application that compiles; the diagnostics are those of the lints.
pub fn explain_methods(app: &App, manifest: &Manifest) -> (Vec<Explanation>, Vec<Diagnostic>) {
    let trees: Vec<Module> = app.files.iter().map(|file| parse::parse_module(&file.source).0).collect();
    let trees: Vec<&Module> = trees.iter().collect();
    let mut model = model::build(&app.files, &trees);
    let mut ignored = Sink::new(app);
    model::collect(&mut model, app.classes.as_deref(), &mut ignored);
    let colours = colour::compute(&model);
    let mut lints = Sink::new(app);
    let mut explained = Vec::new();
    for service in &manifest.services {
        let Some(id) = model.service_named(&service.name) else { continue };
        for method in &service.methods {
            let Some(function) = model.services[id].method(&method.name) else { continue };
            let explainer = Explainer { model: &model, colours: &colours, function, service: id };
            explained.push(explainer.explain(method));
        }
    }
    for function in model.own_functions().filter(|f| colours.suspends[*f]) {
        let waits = place::function(&model, &colours, function).suspensions;
        stale::check(&model, function, &waits).into_iter().for_each(|report| lints.add(report));
    }
    (explained, lints.finish())
}

struct Explainer<'e, 'a> {
    model: &'e Model<'a>,
    colours: &'e Colours,
    function: FunctionId,
    service: ServiceId,
}

impl<'a> Explainer<'_, 'a> {
    fn line(&self, offset: u32) -> u32 {
        let file = self.model.functions[self.function].file;
        line_column(&self.model.files[file].source.source, offset).0
    }

    fn explain(&self, method: &Method) -> Explanation {
        let info = &self.model.functions[self.function];
        let first = self.line(info.hir.def);
        let last = info.hir.body.last().map_or(first, |stmt| self.line(stmt.span.end));
        let suspensions = place::function(self.model, self.colours, self.function).suspensions;
        let waits = self.waits(&suspensions);
        let mut reached = BTreeSet::new();
        let (mut calls, mut tasks) = (BTreeSet::new(), BTreeSet::new());
        self.calls(self.function, &mut reached, &mut calls, &mut tasks);
        Explanation {
            name: format!("{}.{}", self.model.services[self.service].name, method.name),
            file: self.model.files[info.file].source.path.clone(),
            lines: (first, last),
            cells: method.modes.clone(),
            foreseen: method.foreseen.iter().map(|cells| foreseen(method, cells)).collect(),
            route: method.route.as_ref().map(|key| key.text(method)),
            home: self.home(method),
            read_only: method.read_only,
            atomic: atomic(first, last, &waits),
            waits,
            calls: calls.into_iter().collect(),
            tasks: tasks.into_iter().collect(),
            scans: self.scans(&suspensions),
        }
    }

    fn home(&self, method: &Method) -> String {
        let service = &self.model.services[self.service];
        let together = |(name, _): &(String, Mode)| {
            service.field(name).is_some_and(|field| service.fields[field].kind != FieldKind::Dict)
        };
        match &method.route {
            _ if service.entity_key.is_some() => "runs where its entity lives".to_owned(),
            Some(key) => format!("runs where `{}` lives", key.text(method)),
            None if !method.modes.is_empty() && method.modes.iter().all(together) => {
                format!("runs where the fields of `{}` live", service.name)
            }
            None => "runs anywhere: its arguments tell no key".to_owned(),
        }
    }

    /// Lines where the method waits, each with what it waits for.
    fn waits(&self, suspensions: &BTreeSet<ExprId>) -> Vec<(u32, String)> {
        let info = &self.model.functions[self.function];
        let mut waits: Vec<(Span, String)> = Vec::new();
        expressions(&info.hir.body, &mut |expr| {
            if suspensions.contains(&expr.id) {
                let call = match &expr.kind {
                    ExprKind::Await(operand) => operand.as_call(),
                    _ => expr.as_call(),
                };
                waits.push((expr.span, call.map_or("a call that was started".to_owned(), |c| self.shown(c))));
            }
        });
        waits.sort_by_key(|(span, _)| span.end);
        waits.into_iter().map(|(span, what)| (self.line(span.end), what)).collect()
    }

    /// What a call is, in a word.
    fn shown(&self, call: &'a Call) -> String {
        let file = self.model.functions[self.function].file;
        match classify(self.model, file, call) {
            CallKind::Remote(service, method) => format!("{}.{method}", self.model.services[service].name),
            CallKind::Helper(callee) => format!("helper {}", self.model.function_name(callee)),
            CallKind::Sleep { .. } => "sleep".to_owned(),
            CallKind::Gather => "gather".to_owned(),
            CallKind::Transaction => "transaction".to_owned(),
            CallKind::Primitive(primitive) => format!("{primitive:?}"),
            _ => self.model.text(file, call.func.span).to_owned(),
        }
    }

    fn calls(
        &self,
        function: FunctionId,
        reached: &mut BTreeSet<FunctionId>,
        calls: &mut BTreeSet<String>,
        tasks: &mut BTreeSet<String>,
    ) {
        if !reached.insert(function) {
            return;
        }
        let info = &self.model.functions[function];
        let mut helpers = Vec::new();
        expressions(&info.hir.body, &mut |expr| {
            match self.model.resolve(info.file, expr) {
                Entity::Remote(service, method) => {
                    calls.insert(format!("{}.{method}", self.model.services[service].name));
                }
                Entity::Function(callee) | Entity::Method(callee) => helpers.push(callee),
                _ => {}
            };
        });
        for helper in helpers {
            let hir = self.model.functions[helper].hir;
            let outer = self.model.functions[helper].outer;
            let is_task = hir.decorators.iter().any(|decorator| {
                let func = decorator.as_call().map_or(decorator, |call| &call.func);
                self.model.resolve_in(outer, func) == Entity::Path("sostenuto.task".to_owned())
            });
            if is_task {
                tasks.insert(self.model.function_name(helper));
            } else {
                self.calls(helper, reached, calls, tasks);
            }
        }
    }

    fn scans(&self, suspensions: &BTreeSet<ExprId>) -> Vec<Scan> {
        let found = scans::of(self.model, self.function, suspensions);
        let scan = |(span, field, what): (Span, String, Cost)| Scan { line: self.line(span.start), field, what };
        let mut scans: Vec<Scan> = found.into_iter().map(scan).collect();
        scans.dedup();
        scans
    }
}

/// The stretches of lines between waits.
fn atomic(first: u32, last: u32, waits: &[(u32, String)]) -> Vec<(u32, u32)> {
    let mut ranges = Vec::new();
    let mut from = first;
    for (line, _) in waits {
        ranges.push((from, *line));
        from = *line;
    }
    ranges.push((from, last));
    ranges.dedup();
    ranges
}

fn foreseen(method: &Method, foreseen: &Foreseen) -> String {
    match &foreseen.what {
        ForeseenCells::Scalar => foreseen.field.clone(),
        // A list's header, and with it all of a short list.
        ForeseenCells::Entry(KeyExpr::Constant(key)) if *key == HEADER_KEY => foreseen.field.clone(),
        ForeseenCells::Entry(key) => format!("{}[{}]", foreseen.field, key.text(method)),
        ForeseenCells::Whole => format!("{}[*]", foreseen.field),
    }
}
