//! Where calls that suspend stand, and what must be done there: an `await` put around them in a plain `def`, nothing
//! where the user awaits or gathers them, a refusal where Python has no way to suspend.

mod asynchronous;
mod foreign;
mod in_task;

use std::collections::BTreeSet;

use foreign::{instead, unsupported};

use crate::colour::{CallKind, Colours, Primitive, RUNTIME, classify};
use crate::diagnostic::Report;
use crate::hir::*;
use crate::lower::Edit;
use crate::model::{Binding, Entity, FileId, FunctionId, Model, Role, ServiceId, TASK_GROUP};
use crate::span::Span;
use crate::walk::{expressions, statements};

/// Following names of lists deeper than this gives up.
const NAMES_MAX: u32 = 8;

/// What the placement of one body found.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    pub(crate) edits: Vec<Edit>,
    pub(crate) reports: Vec<Report>,
    /// Expressions that suspend when they are evaluated: awaited calls, or the user's `await`.
    pub(crate) suspensions: BTreeSet<ExprId>,
}

/// Places the calls of a function's own body.
pub(crate) fn function(model: &Model<'_>, colours: &Colours, id: FunctionId) -> Placed {
    let info = &model.functions[id];
    if colours.outside[id] {
        return Placed { reports: in_task::reports(model, colours, id), ..Placed::default() };
    }
    let mut placer = Placer::new(model, colours, info.file, Some(id));
    placer.signature(info.hir);
    if colours.suspends[id] {
        placer.colour(id);
    }
    placer.block(&info.hir.body);
    placer.placed
}

/// Places what stands outside of all functions: module and class bodies.
pub(crate) fn module(model: &Model<'_>, colours: &Colours, file: FileId) -> Placed {
    let mut placer = Placer::new(model, colours, file, None);
    placer.outside(&model.files[file].tree.body);
    placer.placed
}

/// True for `if __name__ == "__main__":`, which no worker runs.
pub(crate) fn is_main_guard(stmt: &Stmt) -> bool {
    let StmtKind::If(test, ..) = &stmt.kind else { return false };
    let ExprKind::Compare(left, rest) = &test.kind else { return false };
    let sides = [Some(&**left), rest.first().map(|(_, right)| right)];
    sides.iter().flatten().any(|e| e.as_name() == Some("__name__"))
        && sides.iter().flatten().any(|e| e.as_str() == Some("__main__"))
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Directly under the user's `await`.
    awaited: bool,
    /// Where a call may be started without waiting for it: it is gathered or awaited later.
    promise: bool,
    /// The function part of a call, or the first argument of `send`.
    called: bool,
    /// Where a client may stand without being called.
    client: bool,
    /// Why nothing can suspend here.
    barred: Option<Barred>,
    /// A generator expression here is consumed on the spot.
    consumed: bool,
    /// The argument of `send`.
    sent: bool,
    /// The object of an `async with`.
    grouped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barred {
    Lambda,
    Generator,
    Shortcut,
    Definition,
    Import,
}

struct Placer<'m, 'a> {
    model: &'m Model<'a>,
    colours: &'m Colours,
    file: FileId,
    function: Option<FunctionId>,
    is_async: bool,
    /// Names whose value the function awaits or gathers somewhere.
    awaited_names: BTreeSet<&'a str>,
    /// Lexical depth of `with transaction()`.
    transactions: u32,
    placed: Placed,
}

impl<'m, 'a> Placer<'m, 'a> {
    fn new(model: &'m Model<'a>, colours: &'m Colours, file: FileId, function: Option<FunctionId>) -> Self {
        let hir = function.map(|f| model.functions[f].hir);
        Self {
            model,
            colours,
            file,
            function,
            is_async: hir.is_some_and(|h| h.is_async),
            awaited_names: hir.map_or_else(BTreeSet::new, |h| awaited_names(model, file, &h.body)),
            transactions: 0,
            placed: Placed::default(),
        }
    }

    fn report(&mut self, report: Report) {
        self.placed.reports.push(report);
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.report(Report::error(code, self.file, span, message).help(help));
    }

    /// Whether a function that suspends may do so, and its `async`.
    fn colour(&mut self, id: FunctionId) {
        let info = &self.model.functions[id];
        let name = self.model.function_name(id);
        let span = info.hir.name.span;
        let special = info.hir.name.name.starts_with("__") && info.hir.name.name.ends_with("__");
        let service = info.class.is_none_or(|c| self.model.classes[c].service.is_some());
        let reason = match info.role {
            Role::Property | Role::Setter => Some("a property cannot be awaited: make it a method"),
            Role::Decorated => Some("a decorator that we do not know may call it without awaiting it"),
            Role::Plain | Role::Static | Role::ClassMethod | Role::Task if special => {
                Some(asynchronous::reason(&info.hir.name.name))
            }
            Role::Plain | Role::Static | Role::ClassMethod | Role::Task => None,
        };
        if let Some(reason) = reason {
            let report = Report::error("SOS0307", self.file, span, format!("`{name}` cannot make calls or sleep"));
            self.report(report.note(reason).help("move the call to an ordinary method"));
        } else if !service {
            let message = format!("`{name}` makes calls, but its class is no service");
            self.error("SOS0313", span, message, "make the call in a service or in a function of the module");
        }
        let mut yields = None;
        expressions(&info.hir.body, &mut |expr| {
            if matches!(expr.kind, ExprKind::Yield(_) | ExprKind::YieldFrom(_)) {
                yields.get_or_insert(expr.span);
            }
        });
        if let Some(span) = yields {
            let message = format!("`{name}` yields, and makes calls or sleeps");
            self.error("SOS0308", span, message, "collect the values in a list and return it");
        }
        if !info.hir.is_async {
            let def = Span::new(info.hir.def, info.hir.def + 3);
            self.placed.edits.push(Edit::Wrap { span: def, open: "async ".to_owned(), close: "" });
        }
    }

    /// Decorators, defaults and annotations run when the function is defined.
    fn signature(&mut self, hir: &'a Function) {
        let place = Place { barred: Some(Barred::Definition), ..Place::default() };
        let defaults = hir.params.iter().filter_map(|p| p.default.as_ref());
        // What is wrong with `@task` is told where decorators are checked.
        let is_task =
            |d: &&Expr| d.as_call().is_some_and(|call| self.callee(call).as_deref() == Some("sostenuto.task"));
        let decorators: Vec<&'a Expr> = hir.decorators.iter().filter(|d| !is_task(d)).collect();
        for expr in decorators.into_iter().chain(defaults) {
            self.expr(expr, place);
        }
        if hir.is_async {
            expressions(&hir.body, &mut |expr| {
                if matches!(expr.kind, ExprKind::Yield(_)) && !self.colours.suspends[self.function.unwrap_or(0)] {
                    let report = Report::error("SOS0308", self.file, expr.span, "async generators are not supported");
                    self.placed.reports.push(report.help("collect the values in a list and return it"));
                }
            });
        }
    }

    /// Statements of module and class bodies.
    fn outside(&mut self, body: &'a [Stmt]) {
        let place = Place { barred: Some(Barred::Import), client: true, ..Place::default() };
        for stmt in body.iter().filter(|s| !is_main_guard(s)) {
            match &stmt.kind {
                StmtKind::Function(_) => {}
                StmtKind::Class(class) => {
                    class.decorators.iter().chain(&class.bases).for_each(|e| self.expr(e, place));
                    self.outside(&class.body);
                }
                StmtKind::Annotated { value, .. } => value.iter().for_each(|v| self.expr(v, place)),
                _ => stmt.exprs(&mut |expr| self.expr(expr, place)),
            }
            stmt.blocks(&mut |block| self.outside(block));
        }
    }

    fn block(&mut self, body: &'a [Stmt]) {
        body.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &'a Stmt) {
        let value = Place::default();
        match &stmt.kind {
            StmtKind::Function(_) => {}
            StmtKind::Class(class) => self.outside(&class.body),
            StmtKind::Assign(assign) => {
                let name = assign.targets.iter().find_map(Expr::as_name);
                let named = assign.targets.iter().all(|t| t.as_name().is_some());
                let promise = named && name.is_some_and(|n| self.awaited_names.contains(n));
                let replaces = assign.targets.iter().any(|t| self.is_client(t));
                self.expr(&assign.value, Place { promise, client: named || replaces || unpacks(assign), ..value });
                assign.targets.iter().for_each(|t| self.target(t));
            }
            StmtKind::Annotated { target, value: Some(init), .. } => {
                let promise = target.as_name().is_some_and(|n| self.awaited_names.contains(n));
                self.expr(init, Place { promise, client: target.as_name().is_some(), ..value });
                self.target(target);
            }
            StmtKind::Annotated { value: None, .. } => {}
            StmtKind::For(s) => {
                if s.is_async {
                    let span = Span::new(stmt.span.start, s.iter.span.end);
                    self.async_for(span);
                }
                self.expr(&s.iter, Place { client: true, awaited: s.is_async, ..value });
                self.target(&s.target);
                stmt.blocks(&mut |block| self.block(block));
            }
            StmtKind::With(with) => self.with(stmt.span, with),
            _ => {
                stmt.exprs(&mut |expr| self.expr(expr, value));
                stmt.blocks(&mut |block| self.block(block));
            }
        }
    }

    fn is_client(&self, expr: &'a Expr) -> bool {
        matches!(expr.kind, ExprKind::Attribute(..)) && matches!(self.model.resolve(self.file, expr), Entity::Client(_))
    }

    /// A target: a name is no use of what it held.
    fn target(&mut self, target: &'a Expr) {
        match &target.kind {
            ExprKind::Name(_) => {}
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| self.target(t)),
            ExprKind::Starred(inner) => self.target(inner),
            // That a client cannot be replaced is told by the checks.
            ExprKind::Attribute(base, _) if self.is_client(target) => {
                self.expr(base, Place { client: true, called: true, ..Place::default() });
            }
            _ => self.expr(target, Place::default()),
        }
    }

    fn with(&mut self, span: Span, with: &'a With) {
        let is = |e: &'a Expr, kind| e.as_call().is_some_and(|c| classify(self.model, self.file, c) == kind);
        let transaction = with.items.iter().find(|(context, _)| is(context, CallKind::Transaction));
        let grouped = with.is_async && with.items.iter().all(|(context, _)| is(context, CallKind::TaskGroup));
        let Some((context, target)) = transaction else {
            let bare = with.items.iter().map(|(context, _)| context).find(|context| {
                self.model.resolve(self.file, context) == Entity::Path("sostenuto.transaction".to_owned())
            });
            if let Some(context) = bare {
                let report = Report::error("SOS0401", self.file, context.span, "`transaction` is not called here");
                self.report(report.change("call it", Span::at(context.span.end), "()"));
            } else if with.is_async && !grouped {
                self.async_with(span, with);
            }
            for (context, target) in &with.items {
                if grouped {
                    // The end of the block waits for the tasks.
                    self.placed.suspensions.insert(context.id);
                }
                self.expr(context, Place { grouped, awaited: with.is_async && !grouped, ..Place::default() });
                target.iter().for_each(|t| self.target(t));
            }
            return self.block(&with.body);
        };
        let bare = context.as_call().is_some_and(|c| c.args.is_empty() && c.keywords.is_empty());
        if with.items.len() > 1 || target.is_some() || !bare {
            let message = "`with transaction():` takes no arguments, no name and no other object";
            self.error("SOS0404", context.span, message, "nest another `with` inside or outside of it");
        }
        if !with.is_async {
            let keyword = Span::new(span.start, span.start + 4);
            self.placed.edits.push(Edit::Wrap { span: keyword, open: "async ".to_owned(), close: "" });
        }
        self.placed.suspensions.insert(context.id);
        self.transactions += 1;
        self.block(&with.body);
        self.transactions -= 1;
    }

    fn expr(&mut self, expr: &'a Expr, place: Place) {
        self.loose_client(expr, place);
        let value = Place { barred: place.barred, ..Place::default() };
        match &expr.kind {
            ExprKind::Await(operand) => self.await_(expr, operand, value),
            ExprKind::Call(call) => self.call(expr, call, place),
            ExprKind::Lambda(lambda) => {
                let definition = Place { barred: Some(Barred::Definition), ..value };
                lambda.params.iter().filter_map(|p| p.default.as_ref()).for_each(|d| self.expr(d, definition));
                self.expr(&lambda.body, Place { barred: Some(Barred::Lambda), ..value });
            }
            ExprKind::Comp(comp) => self.comp(expr, comp, place),
            ExprKind::List(items) | ExprKind::Tuple(items) => {
                let item = Place { promise: place.promise, client: place.client, ..value };
                items.iter().for_each(|i| self.expr(i, item));
            }
            ExprKind::Starred(inner) => self.expr(inner, Place { promise: place.promise, ..value }),
            ExprKind::IfElse(parts) => {
                self.expr(&parts[0], value);
                let branch = Place { promise: place.promise, client: place.client, ..value };
                self.expr(&parts[1], branch);
                self.expr(&parts[2], branch);
            }
            ExprKind::Named(target, named) => {
                let promise = target.as_name().is_some_and(|n| self.awaited_names.contains(n));
                self.expr(named, Place { promise, client: true, ..value });
            }
            ExprKind::Attribute(base, _) => {
                self.value_of_function(expr, place);
                let called = !matches!(self.model.resolve(self.file, base), Entity::Remote(..));
                self.expr(base, Place { client: true, called, ..value });
            }
            ExprKind::Subscript(base, index) => {
                self.expr(base, Place { client: true, ..value });
                self.expr(index, value);
            }
            ExprKind::Name(_) => self.value_of_function(expr, place),
            ExprKind::Format(format) => {
                for part in &format.parts {
                    let before = self.placed.edits.len();
                    self.expr(&part.value, value);
                    if part.debug && self.placed.edits.len() > before {
                        let message = "a call inside `{…=}` cannot be compiled: its text is part of the result";
                        self.error("SOS0310", part.value.span, message, "assign the result to a name first");
                    }
                }
            }
            _ => expr.children(&mut |child| self.expr(child, value)),
        }
    }

    fn await_(&mut self, expr: &'a Expr, operand: &'a Expr, place: Place) {
        if self.function.is_none() || !self.is_async {
            let report = Report::error("SOS0302", self.file, expr.span, "`await` outside of an `async def`");
            let kind = operand.as_call().map(|call| classify(self.model, self.file, call));
            let waits = matches!(kind, Some(CallKind::Remote(..) | CallKind::Sleep { asyncio: false }));
            self.report(match waits && self.function.is_some() {
                true => {
                    let word = Span::new(expr.span.start, operand.span.start);
                    let report = report.note("in a plain `def` every call of a service is awaited by itself");
                    report.change("remove it, or make the function `async def`", word, "")
                }
                false => report.help("make the function `async def`"),
            });
            return;
        }
        if self.really_suspends(operand) {
            self.placed.suspensions.insert(expr.id);
        }
        let awaited = Place { awaited: true, promise: true, ..place };
        match &operand.kind {
            ExprKind::Call(call) => {
                if classify(self.model, self.file, call) == CallKind::Other && !self.is_undeclared(&call.func) {
                    self.foreign(operand.span, self.callee(call));
                }
            }
            ExprKind::Name(name) if self.holds_promises(name) => {}
            ExprKind::Subscript(base, _) if base.as_name().is_some_and(|n| self.holds_promises(n)) => {}
            _ => self.foreign(operand.span, None),
        }
        self.expr(operand, awaited);
    }

    /// True for a method of `self.name` where `name` is told to be undeclared.
    fn is_undeclared(&self, func: &'a Expr) -> bool {
        let ExprKind::Attribute(base, _) = &func.kind else { return false };
        let Entity::SelfAttribute(class, name) = self.model.resolve(self.file, base) else { return false };
        let scope = &self.model.scopes[self.model.classes[class].scope];
        match scope.bindings.get(name.as_str()).map(Vec::as_slice) {
            None => self.model.classes[class].service.is_some(),
            Some(bindings) => matches!(bindings, [Binding::Annotated { value: None, .. }]),
        }
    }

    /// An `async def` helper that makes no calls runs through.
    fn really_suspends(&self, operand: &'a Expr) -> bool {
        match operand.as_call().map(|call| classify(self.model, self.file, call)) {
            Some(CallKind::Helper(callee)) => self.colours.suspends[callee],
            _ => true,
        }
    }

    /// The dotted path of what is called, if it is outside of the application.
    fn callee(&self, call: &'a Call) -> Option<String> {
        match self.model.resolve(self.file, &call.func) {
            Entity::Path(path) => Some(path),
            _ => None,
        }
    }

    fn foreign(&mut self, span: Span, path: Option<String>) {
        if path.as_deref().is_some_and(unsupported) {
            return;
        }
        let message = "this does not give something that a service can await";
        let help = match &path {
            Some(_) => "do it in a function of the module with `@task`, and await that: its result is recorded once",
            None => "a service awaits calls of services, tasks, helpers, `asyncio.gather` and `sleep`",
        };
        let report = Report::error("SOS0302", self.file, span, message);
        let note = path.map(|p| format!("`{p}` would wait outside of the system, which could not resume it"));
        self.report(note.into_iter().fold(report, Report::note).help(help));
    }

    fn call(&mut self, expr: &'a Expr, call: &'a Call, place: Place) {
        let kind = classify(self.model, self.file, call);
        self.call_kind(expr, call, &kind, place);
        self.expr(&call.func, Place { called: true, barred: place.barred, ..Place::default() });
        let appends = matches!(&call.func.kind, ExprKind::Attribute(base, name)
            if name.name == "append" && base.as_name().is_some_and(|n| self.awaited_names.contains(n)));
        let refused = kind == CallKind::Other && self.callee(call).as_deref().is_some_and(unsupported);
        let promise = self.is_async && (kind == CallKind::Gather || appends || refused)
            || matches!(kind, CallKind::Primitive(Primitive::Wait | Primitive::WaitAll));
        for (index, arg) in call.args.iter().enumerate() {
            let first = matches!(kind, CallKind::WaitFor | CallKind::Spawn) && index == 0;
            let promise = promise || first && self.is_async;
            let mut at = Place { promise, barred: place.barred, ..Place::default() };
            at.sent = kind == CallKind::Send && index == 0;
            at.called = at.sent;
            at.client = self.takes_client(&kind, index) || appends;
            at.consumed = self.consumes(call) && call.args.len() == 1;
            if self.stops_early(call) {
                at.barred = at.barred.or(Some(Barred::Shortcut).filter(|_| is_generator(arg)));
            }
            self.expr(arg, at);
        }
        for keyword in &call.keywords {
            self.expr(&keyword.value, Place { barred: place.barred, ..Place::default() });
        }
    }

    fn call_kind(&mut self, expr: &'a Expr, call: &'a Call, kind: &CallKind, place: Place) {
        match kind {
            CallKind::Remote(..) => self.suspending(expr, place, None),
            CallKind::Helper(callee) => {
                self.in_transaction(expr, *callee);
                self.tasks_in_transaction(expr, *callee);
                if self.colours.coroutine(self.model, *callee) {
                    self.suspending(expr, place, Some(*callee));
                } else if place.awaited {
                    self.foreign(expr.span, None);
                }
            }
            CallKind::Sleep { asyncio } => {
                if self.transactions > 0 {
                    let message = "a transaction cannot sleep: it would keep its locks";
                    self.error("SOS0403", expr.span, message, "sleep before or after the transaction");
                }
                if *asyncio && !self.is_async {
                    let message = "`asyncio.sleep` is for `async def`";
                    self.error("SOS0303", expr.span, message, "use `sleep` from sostenuto, or make this `async def`");
                    return;
                }
                if *asyncio {
                    self.replace(&call.func, "sleep");
                }
                self.suspending(expr, place, None);
            }
            CallKind::Gather => self.gather(expr, call, place),
            CallKind::WaitFor => self.wait_for(expr, call, place),
            CallKind::Spawn => self.spawn(expr, call, place),
            CallKind::TaskGroup if place.grouped => self.replace(&call.func, "TaskGroup"),
            CallKind::TaskGroup => {
                let help = "write `async with asyncio.TaskGroup() as group:` in an `async def`";
                self.error("SOS0314", expr.span, "a `TaskGroup` is used with `async with`", help);
            }
            CallKind::Task(_) => {
                if self.transactions > 0 {
                    let message = "a transaction cannot run a task: it would keep its locks, and may run again";
                    self.error("SOS0403", expr.span, message, "run the task before or after the transaction");
                }
                self.suspending(expr, place, None);
            }
            CallKind::Transaction => {
                let message = "`transaction()` is used with `with`";
                self.error("SOS0401", expr.span, message, "write `with transaction():` and indent what belongs to it");
            }
            CallKind::Primitive(primitive) => self.primitive(expr, *primitive, place),
            CallKind::Other => self.other(expr, call),
            CallKind::Send => self.send(expr, call),
            CallKind::Abort => {}
        }
    }

    /// `send(client.method, a, b)` is lowered to `send(client.method(a, b))`.
    fn send(&mut self, expr: &'a Expr, call: &'a Call) {
        let Some(method) = call.args.first() else { return };
        if !matches!(self.model.resolve(self.file, method), Entity::Remote(..)) {
            return;
        }
        let others = call.args.iter().skip(1).map(|a| a.span.start);
        let named = call.keywords.iter().map(|k| k.name.as_ref().map_or(k.value.span.start, |n| n.span.start));
        let closing = Span::at(expr.span.end - 1);
        let Some(next) = others.chain(named).min() else {
            let span = Span::new(method.span.end, expr.span.end - 1);
            if self.model.text(self.file, span).trim_matches([' ', ',', '\n']).is_empty() {
                return self.placed.edits.push(Edit::Replace { span, text: "()".to_owned() });
            }
            return self.unclear_send(method.span);
        };
        let between = Span::new(method.span.end, next);
        if self.model.text(self.file, between).trim() != "," {
            return self.unclear_send(method.span);
        }
        self.placed.edits.push(Edit::Replace { span: between, text: "(".to_owned() });
        self.placed.edits.push(Edit::Insert { at: closing.start, text: ")".to_owned(), of: expr.span });
    }

    fn unclear_send(&mut self, span: Span) {
        let message = "`send` with parentheses, stars or comments around the method cannot be compiled";
        self.error("SOS0210", span, message, "write `send(client.method(…))`");
    }

    /// A call that gives something to await.
    fn suspending(&mut self, expr: &'a Expr, place: Place, callee: Option<FunctionId>) {
        if place.sent && callee.is_none() {
            return;
        }
        if let Some(barred) = place.barred {
            return self.barred(expr.span, barred);
        }
        let callee_async = callee.is_some_and(|f| self.model.functions[f].hir.is_async);
        if let Some(callee) = callee
            && !callee_async
        {
            return self.plain_helper(expr, callee, place);
        }
        if place.awaited || (place.promise && self.is_async) {
            return;
        }
        if !self.is_async && callee_async {
            let message = "an `async def` helper is called from a plain `def`";
            let help = "make this function `async def` and await the helper";
            return self.error("SOS0311", expr.span, message, help);
        }
        if self.is_async {
            return self.never_awaited(expr, "this call is never awaited", callee);
        }
        self.wrap(expr);
    }

    /// A plain `def` that suspends: the compiler awaits it wherever it is called.
    fn plain_helper(&mut self, expr: &'a Expr, callee: FunctionId, place: Place) {
        if place.awaited || (place.promise && self.is_async) {
            let name = self.model.function_name(callee);
            let message = format!("`{name}` is a plain `def`: its call has a result, not something to await");
            let report = Report::error("SOS0311", self.file, expr.span, message);
            let report = report.note("the compiler awaits calls of plain functions by itself");
            return self.report(report.help(format!("make `{name}` an `async def`, or call it without `await`")));
        }
        self.wrap(expr);
    }

    fn never_awaited(&mut self, expr: &'a Expr, message: &str, callee: Option<FunctionId>) {
        let mut report = Report::error("SOS0301", self.file, expr.span, message);
        let remote = expr.as_call().is_some_and(|c| matches!(classify(self.model, self.file, c), CallKind::Remote(..)));
        if remote && callee.is_none() {
            report = report.note("`send(client.method(…))` makes a call without waiting for it");
        }
        let source = &self.model.files[self.file].source.source;
        let line = source[..expr.span.start as usize].rfind('\n').map_or(0, |i| i + 1);
        let before = source[line..expr.span.start as usize].trim();
        let after = source[expr.span.end as usize..].lines().next().unwrap_or_default().trim();
        let assigns = before.ends_with('=') && !["==", "<=", ">=", "!="].iter().any(|op| before.ends_with(op));
        let alone =
            (before.is_empty() || assigns || before == "return") && (after.is_empty() || after.starts_with('#'));
        let (open, close) = if alone { ("await ", "") } else { ("(await ", ")") };
        report = report.change("await it", Span::at(expr.span.start), open);
        if !alone {
            report = report.change("", Span::at(expr.span.end), close);
        }
        self.report(report);
    }

    fn wrap(&mut self, expr: &'a Expr) {
        self.placed.suspensions.insert(expr.id);
        self.placed.edits.push(Edit::Wrap { span: expr.span, open: "(await ".to_owned(), close: ")" });
    }

    fn replace(&mut self, func: &'a Expr, name: &str) {
        let text = format!("{RUNTIME}.{name}");
        if self.model.text(self.file, func.span) != text {
            self.placed.edits.push(Edit::Replace { span: func.span, text });
        }
    }

    fn gather(&mut self, expr: &'a Expr, call: &'a Call, place: Place) {
        if let Some(barred) = place.barred {
            return self.barred(expr.span, barred);
        }
        if !self.is_async {
            let help = "make this function `async def` and write `await asyncio.gather(…)`";
            return self.error("SOS0312", expr.span, "`gather` is for `async def`", help);
        }
        self.replace(&call.func, "gather");
        if !place.awaited && !place.promise {
            self.never_awaited(expr, "this `gather` is never awaited", None);
        }
        for arg in &call.args {
            self.gathered(arg);
        }
    }

    fn wait_for(&mut self, expr: &'a Expr, call: &'a Call, place: Place) {
        if let Some(barred) = place.barred {
            return self.barred(expr.span, barred);
        }
        if self.transactions > 0 {
            let message = "a transaction cannot wait with a time limit: it would keep its locks";
            self.error("SOS0403", expr.span, message, "put the transaction into the method that is waited for");
        }
        if !self.is_async {
            let help = "make this function `async def` and write `await asyncio.wait_for(…)`";
            return self.error("SOS0312", expr.span, "`wait_for` is for `async def`", help);
        }
        self.replace(&call.func, "wait_for");
        if !place.awaited && !place.promise {
            self.error("SOS0301", expr.span, "this `wait_for` is never awaited", "await it");
        }
        call.args.iter().take(1).for_each(|arg| self.gathered(arg));
    }

    /// `asyncio.create_task(…)`, which must be awaited somewhere, or `group.create_task(…)`, which the group awaits.
    fn spawn(&mut self, expr: &'a Expr, call: &'a Call, place: Place) {
        if let Some(barred) = place.barred {
            return self.barred(expr.span, barred);
        }
        if !self.is_async {
            let help = "make this function `async def` and await the task";
            return self.error("SOS0312", expr.span, "`create_task` is for `async def`", help);
        }
        let of_group = self.callee(call).is_some_and(|path| path.starts_with(TASK_GROUP));
        if !of_group {
            self.replace(&call.func, "create_task");
            if !place.awaited && !place.promise {
                let report = Report::error("SOS0301", self.file, expr.span, "this task is never awaited");
                let report = report.note("`send(client.method(…))` makes a call without waiting for it");
                self.report(report.help("keep it in a name and await that, or create it in an `asyncio.TaskGroup`"));
            }
        }
        call.args.iter().take(1).for_each(|arg| self.gathered(arg));
    }

    fn gathered(&mut self, arg: &'a Expr) {
        match &arg.kind {
            ExprKind::Starred(inner) => self.gathered(inner),
            ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().for_each(|i| self.gathered(i)),
            ExprKind::Comp(comp) => comp.elements.iter().for_each(|e| self.gathered(e)),
            ExprKind::IfElse(parts) => parts[1..].iter().for_each(|p| self.gathered(p)),
            ExprKind::Name(name) if self.holds_promises(name) => {}
            ExprKind::Subscript(base, _) if base.as_name().is_some_and(|n| self.holds_promises(n)) => {}
            ExprKind::Call(call) => match classify(self.model, self.file, call) {
                CallKind::Helper(callee) => self.branch(arg, callee),
                CallKind::Other => self.foreign(arg.span, self.callee(call)),
                _ => {}
            },
            _ => self.foreign(arg.span, None),
        }
    }

    fn branch(&mut self, arg: &'a Expr, callee: FunctionId) {
        if self.colours.transacts[callee] {
            let message = "a branch of `gather` cannot open a transaction";
            self.error("SOS0402", arg.span, message, "open one transaction around the `gather`");
        } else if !self.colours.coroutine(self.model, callee) {
            self.foreign(arg.span, None);
        }
    }

    fn primitive(&mut self, expr: &'a Expr, primitive: Primitive, place: Place) {
        if !primitive.suspends() {
            return;
        }
        if let Some(barred) = place.barred {
            return self.barred(expr.span, barred);
        }
        if !place.awaited {
            self.wrap(expr);
        }
    }

    /// Calls of things that we do not know, of which some would wait outside of the system.
    fn other(&mut self, expr: &'a Expr, call: &'a Call) {
        if let ExprKind::Attribute(base, _) = &call.func.kind
            && let Entity::MaybeClient(service) = self.model.resolve(self.file, base)
        {
            let name = self.model.services[service].name;
            let message = format!("this is a client of `{name}` only sometimes, so its calls cannot be compiled");
            self.error("SOS0207", base.span, message, "use a name of its own for the client");
        }
        let Some(path) = self.callee(call) else { return };
        if path.starts_with("asyncio.") && unsupported(&path) {
            let message = format!("`{path}` is not supported");
            self.error("SOS0303", expr.span, message, instead(&path));
        }
        if path == "sostenuto.wait_for" {
            let help = "poll with `sleep`; for a time limit on a call there is `asyncio.wait_for`";
            self.error("SOS0702", expr.span, "waiting for events is not supported yet", help);
        }
        if path == "sostenuto.task" {
            let help = "write `@task` before a function of the module";
            self.error("SOS0701", expr.span, "`task` is a decorator", help);
        }
    }

    /// What a helper may do must be legal where it is called.
    fn in_transaction(&mut self, expr: &'a Expr, callee: FunctionId) {
        if self.transactions > 0 && self.colours.sleeps[callee] {
            let message = format!("`{}` sleeps, and is called in a transaction", self.model.function_name(callee));
            self.error("SOS0403", expr.span, message, "sleep before or after the transaction");
        }
    }

    /// As above, of tasks.
    fn tasks_in_transaction(&mut self, expr: &'a Expr, callee: FunctionId) {
        if self.transactions > 0 && self.colours.runs_tasks[callee] {
            let message = format!("`{}` runs a task, and is called in a transaction", self.model.function_name(callee));
            self.error("SOS0403", expr.span, message, "run the task before or after the transaction");
        }
    }

    fn barred(&mut self, span: Span, barred: Barred) {
        let (code, message, help) = match barred {
            Barred::Lambda => ("SOS0304", "a lambda cannot make calls", "use a `for` loop or a nested `def`"),
            Barred::Generator => (
                "SOS0305",
                "a generator expression that is consumed later cannot make calls",
                "use a list comprehension",
            ),
            Barred::Shortcut => (
                "SOS0305",
                "`any` and `all` stop early: a generator expression in them cannot make calls",
                "write a `for` loop, or give them a list comprehension to make all the calls",
            ),
            Barred::Definition => {
                ("SOS0306", "a decorator or a default value cannot make calls", "make the call in the body")
            }
            Barred::Import => {
                ("SOS0306", "code that runs at import cannot make calls", "make the call in a method of a service")
            }
        };
        self.error(code, span, message, help);
    }

    fn comp(&mut self, expr: &'a Expr, comp: &'a Comp, place: Place) {
        let generator = matches!(comp.kind, CompKind::Generator { .. });
        let mut barred = place.barred;
        if generator && !place.consumed && !place.promise {
            barred = barred.or(Some(Barred::Generator));
        }
        let before = self.placed.suspensions.len();
        for (index, clause) in comp.clauses.iter().enumerate() {
            if clause.is_async {
                self.async_for(clause.iter.span);
            }
            let outer = if index == 0 { place.barred } else { barred };
            let awaited = clause.is_async;
            self.expr(&clause.iter, Place { client: true, awaited, barred: outer, ..Place::default() });
            clause.conditions.iter().for_each(|c| self.expr(c, Place { barred, ..Place::default() }));
        }
        let promise = place.promise && comp.kind != CompKind::Dict;
        let element = Place { promise, client: place.client, barred, ..Place::default() };
        comp.elements.iter().for_each(|e| self.expr(e, element));
        if generator && self.placed.suspensions.len() > before {
            self.brackets(expr, comp);
        }
    }

    /// A generator expression that suspends becomes a list.
    fn brackets(&mut self, expr: &'a Expr, comp: &'a Comp) {
        if comp.kind == (CompKind::Generator { parenthesized: true }) {
            let (first, last) = (expr.span.start, expr.span.end);
            for (at, text) in [(first, "["), (last - 1, "]")] {
                self.placed.edits.push(Edit::Replace { span: Span::new(at, at + 1), text: text.to_owned() });
            }
        } else {
            self.placed.edits.push(Edit::Wrap { span: expr.span, open: "[".to_owned(), close: "]" });
        }
    }

    /// Functions that take all of an iterable at once.
    fn consumes(&self, call: &'a Call) -> bool {
        if let ExprKind::Attribute(base, name) = &call.func.kind
            && name.name == "join"
        {
            return matches!(base.kind, ExprKind::Str(_));
        }
        let names = ["list", "tuple", "set", "frozenset", "sorted", "sum", "min", "max", "dict"];
        self.callee(call).is_some_and(|p| p.strip_prefix("builtins.").is_some_and(|name| names.contains(&name)))
    }

    fn stops_early(&self, call: &'a Call) -> bool {
        self.callee(call).is_some_and(|p| p == "builtins.any" || p == "builtins.all")
    }

    /// True if parameter `index` of a helper is annotated as a client.
    fn takes_client(&self, kind: &CallKind, index: usize) -> bool {
        let CallKind::Helper(callee) = kind else { return false };
        let info = &self.model.functions[*callee];
        let bound = usize::from(info.class.is_some() && info.role != Role::Static);
        let Some(param) = info.hir.params.get(index + bound) else { return false };
        matches!(self.model.resolve_name(info.scope, &param.name.name), Entity::Client(_))
    }

    /// A client, or a method of one, that goes where we lose sight of it.
    fn loose_client(&mut self, expr: &'a Expr, place: Place) {
        if place.called {
            return;
        }
        if !matches!(expr.kind, ExprKind::Name(_) | ExprKind::Attribute(..) | ExprKind::Call(_)) {
            return;
        }
        match self.model.resolve(self.file, expr) {
            Entity::Client(service) | Entity::Clients(service) | Entity::MaybeClient(service) if !place.client => {
                let name = self.model.services[service].name;
                let message = format!("a client of `{name}` cannot be used as a value here");
                let help = format!("call its methods here, or give a helper a parameter annotated `{name}`");
                self.error("SOS0205", expr.span, message, help);
            }
            Entity::Remote(service, method) => {
                self.not_called(expr, service, &method);
            }
            _ => {}
        }
    }

    /// `self.hotel.name` without a call.
    fn not_called(&mut self, expr: &'a Expr, service: ServiceId, name: &str) {
        let info = &self.model.services[service];
        let owner = info.name;
        let (message, help) = if info.field(name).is_some() {
            let message = format!("`{name}` is a field of `{owner}`, which only its own methods can reach");
            (message, format!("add a method to `{owner}` that does what is needed, and call it"))
        } else if info.method(name).is_some() {
            let help = "call it, or write `send(client.method(…))` for a call without waiting";
            (format!("`{owner}.{name}` is not called"), help.to_owned())
        } else {
            (format!("`{owner}` has no method `{name}`"), "a client only gives methods that can be called".to_owned())
        };
        self.error("SOS0206", expr.span, message, help);
    }

    /// A function that suspends, used as a value: whoever calls it would not await it.
    fn value_of_function(&mut self, expr: &'a Expr, place: Place) {
        if place.called {
            return;
        }
        let (Entity::Function(function) | Entity::Method(function)) = self.model.resolve(self.file, expr) else {
            return;
        };
        if self.model.functions[function].role == Role::Task {
            let message = format!("the task `{}` cannot be used as a value", self.model.function_name(function));
            return self.error("SOS0309", expr.span, message, "call it, in a loop or comprehension if need be");
        }
        if self.colours.suspends[function] {
            let name = self.model.function_name(function);
            let message = format!("`{name}` makes calls, so it cannot be used as a value");
            self.error("SOS0309", expr.span, message, "call it, in a loop or comprehension if need be");
        }
    }

    /// True if a name holds calls that have been started, or a list of them.
    fn holds_promises(&self, name: &str) -> bool {
        self.holds_promises_within(name, NAMES_MAX)
    }

    fn holds_promises_within(&self, name: &str, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let Some(function) = self.function else { return false };
        let body = &self.model.functions[function].hir.body;
        let mut found = false;
        let mut elements: Vec<&str> = Vec::new();
        let mut check = |target: &Expr, value: &'a Expr| {
            if target.as_name() == Some(name) {
                found |= self.starts_calls(value);
            }
        };
        statements(body, &mut |stmt| match &stmt.kind {
            StmtKind::Assign(assign) => assign.targets.iter().for_each(|t| check(t, &assign.value)),
            StmtKind::Annotated { target, value: Some(value), .. } => check(target, value),
            StmtKind::For(s) if s.target.as_name() == Some(name) => elements.extend(s.iter.as_name()),
            _ => {}
        });
        expressions(body, &mut |expr| match &expr.kind {
            ExprKind::Call(call) => {
                if let ExprKind::Attribute(base, method) = &call.func.kind
                    && (method.name == "append" && base.as_name() == Some(name))
                {
                    found |= call.args.iter().any(|arg| self.starts_calls(arg));
                }
            }
            ExprKind::Comp(comp) => {
                let clauses = comp.clauses.iter().filter(|c| c.target.as_name() == Some(name));
                elements.extend(clauses.filter_map(|c| c.iter.as_name()));
            }
            _ => {}
        });
        found || elements.iter().any(|list| *list != name && self.holds_promises_within(list, depth))
    }

    fn starts_calls(&self, value: &'a Expr) -> bool {
        match &value.kind {
            ExprKind::Call(call) => match classify(self.model, self.file, call) {
                CallKind::Remote(..)
                | CallKind::Gather
                | CallKind::WaitFor
                | CallKind::Spawn
                | CallKind::Task(_)
                | CallKind::Sleep { .. } => true,
                CallKind::Primitive(primitive) => !primitive.suspends(),
                CallKind::Helper(callee) => self.model.functions[callee].hir.is_async,
                // Refused where it stands.
                CallKind::Other => self.callee(call).as_deref().is_some_and(unsupported),
                _ => false,
            },
            ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().any(|i| self.starts_calls(i)),
            ExprKind::Comp(comp) => comp.elements.iter().any(|e| self.starts_calls(e)),
            ExprKind::IfElse(parts) => parts[1..].iter().any(|p| self.starts_calls(p)),
            _ => false,
        }
    }
}

fn is_generator(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Comp(comp) if matches!(comp.kind, CompKind::Generator { .. }))
}

fn unpacks(assign: &Assign) -> bool {
    let sequence = |e: &Expr| matches!(e.kind, ExprKind::Tuple(_) | ExprKind::List(_));
    assign.targets.iter().all(sequence) && sequence(&assign.value)
}

/// The names that an argument of `gather` consists of.
fn direct_names<'a>(arg: &'a Expr, names: &mut BTreeSet<&'a str>) {
    match &arg.kind {
        ExprKind::Name(name) => _ = names.insert(name),
        ExprKind::Starred(inner) | ExprKind::Subscript(inner, _) => direct_names(inner, names),
        ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().for_each(|i| direct_names(i, names)),
        ExprKind::IfElse(parts) => parts[1..].iter().for_each(|p| direct_names(p, names)),
        ExprKind::Comp(comp) => comp.elements.iter().for_each(|e| direct_names(e, names)),
        _ => {}
    }
}

/// Names that appear in what is awaited or gathered, and lists whose elements do.
fn awaited_names<'a>(model: &Model<'a>, file: FileId, body: &'a [Stmt]) -> BTreeSet<&'a str> {
    let mut names: BTreeSet<&'a str> = BTreeSet::new();
    let mut sources: Vec<(&'a str, &'a str)> = Vec::new();
    let waits = |call: &'a Call| {
        let kind = classify(model, file, call);
        kind == CallKind::Gather || matches!(kind, CallKind::Primitive(Primitive::Wait | Primitive::WaitAll))
    };
    expressions(body, &mut |expr| match &expr.kind {
        ExprKind::Await(operand) => match &operand.kind {
            ExprKind::Name(name) => _ = names.insert(name),
            ExprKind::Subscript(base, _) => names.extend(base.as_name()),
            _ => {}
        },
        ExprKind::Call(call) if classify(model, file, call) == CallKind::WaitFor => {
            call.args.iter().take(1).for_each(|arg| direct_names(arg, &mut names));
        }
        ExprKind::Call(call) if waits(call) => call.args.iter().for_each(|arg| direct_names(arg, &mut names)),
        ExprKind::Comp(comp) => {
            sources.extend(comp.clauses.iter().filter_map(|c| Some((c.target.as_name()?, c.iter.as_name()?))))
        }
        _ => {}
    });
    statements(body, &mut |stmt| {
        if let StmtKind::For(s) = &stmt.kind {
            sources.extend(s.target.as_name().zip(s.iter.as_name()));
        }
    });
    for (element, list) in sources {
        if names.contains(element) {
            names.insert(list);
        }
    }
    names
}
