//! Which functions suspend. Calls of services, sleeps, transactions and gathers do; a function that calls one that
//! does, does too (a fixpoint over the functions of the application).

use std::collections::BTreeMap;

use crate::hir::{Call, Expr, ExprId, ExprKind, StmtKind};
use crate::model::{ClassId, Entity, FileId, FunctionId, Model, Role, ServiceId, TASK_GROUP};
use crate::walk::{expressions, statements};

/// What a call means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A method of a service or entity, through a client.
    Remote(ServiceId, String),
    /// A function of the application, in this process.
    Helper(FunctionId),
    /// `sleep`; `asyncio` is true for `asyncio.sleep`.
    Sleep {
        asyncio: bool,
    },
    Gather,
    WaitFor,
    /// `asyncio.create_task`, also of a `TaskGroup`.
    Spawn,
    TaskGroup,
    /// A function with `@task`.
    Task(FunctionId),
    Transaction,
    Send,
    Abort,
    /// A free primitive of the mu2sls dialect.
    Primitive(Primitive),
    Other,
}

/// The free names of the mu2sls dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Primitive {
    SyncInvoke,
    AsyncInvoke,
    Wait,
    WaitAll,
    BeginTx,
    CommitTx,
    AbortTx,
    AbortTxNoExc,
}

impl Primitive {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "SyncInvoke" => Self::SyncInvoke,
            "AsyncInvoke" => Self::AsyncInvoke,
            "Wait" => Self::Wait,
            "WaitAll" => Self::WaitAll,
            "BeginTx" => Self::BeginTx,
            "CommitTx" => Self::CommitTx,
            "AbortTx" => Self::AbortTx,
            "AbortTxNoExc" => Self::AbortTxNoExc,
            _ => return None,
        })
    }

    /// `AsyncInvoke` only starts a call.
    pub(crate) fn suspends(self) -> bool {
        self != Self::AsyncInvoke
    }
}

/// Name under which the worker gives us `asyncio`'s functions and the rest.
pub(crate) const RUNTIME: &str = "__sos__";

/// What a call means to us.
pub(crate) fn classify<'a>(model: &Model<'a>, file: FileId, call: &'a Call) -> CallKind {
    match model.resolve(file, &call.func) {
        Entity::Remote(service, method) => CallKind::Remote(service, method),
        Entity::Function(function) if model.functions[function].role == Role::Task => CallKind::Task(function),
        Entity::Function(function) | Entity::Method(function) => CallKind::Helper(function),
        Entity::Path(path) => outside(&path),
        _ => CallKind::Other,
    }
}

fn outside(path: &str) -> CallKind {
    match path {
        "sostenuto.sleep" => CallKind::Sleep { asyncio: false },
        "asyncio.sleep" | "builtins.__sos__.sleep" => CallKind::Sleep { asyncio: true },
        "asyncio.gather" | "builtins.__sos__.gather" => CallKind::Gather,
        "asyncio.wait_for" | "builtins.__sos__.wait_for" => CallKind::WaitFor,
        "asyncio.create_task" | "builtins.__sos__.create_task" => CallKind::Spawn,
        "asyncio.TaskGroup" | "builtins.__sos__.TaskGroup" => CallKind::TaskGroup,
        _ if path == format!("{TASK_GROUP}.create_task") => CallKind::Spawn,
        "sostenuto.transaction" => CallKind::Transaction,
        "sostenuto.send" => CallKind::Send,
        "sostenuto.abort" => CallKind::Abort,
        _ => match path.strip_prefix("builtins.").and_then(Primitive::named) {
            Some(primitive) => CallKind::Primitive(primitive),
            None => CallKind::Other,
        },
    }
}

/// What is known of each function, by its id.
#[derive(Debug, Default)]
pub(crate) struct Colours {
    /// Makes calls, sleeps or runs transactions, itself or through helpers.
    pub(crate) suspends: Vec<bool>,
    /// Opens a transaction, itself or through helpers.
    pub(crate) transacts: Vec<bool>,
    /// Sleeps, itself or through helpers.
    pub(crate) sleeps: Vec<bool>,
    /// Runs tasks, itself or through helpers.
    pub(crate) runs_tasks: Vec<bool>,
    /// Runs in task workers only: tasks, and what only they reach.
    pub(crate) outside: Vec<bool>,
    /// Reached from a service's method.
    pub(crate) reached: Vec<bool>,
    /// What each function calls or names.
    pub(crate) mentions: Vec<Vec<FunctionId>>,
}

impl Colours {
    /// True if calling it gives a coroutine in the lowered text.
    pub(crate) fn coroutine(&self, model: &Model<'_>, function: FunctionId) -> bool {
        self.suspends[function] || model.functions[function].hir.is_async
    }
}

/// Computes the colours of all functions.
pub(crate) fn compute(model: &Model<'_>) -> Colours {
    let count = model.functions.len();
    let methods = value_methods(model);
    let mut own: Vec<Own> = (0..count).map(|id| own(model, id, &methods)).collect();
    let reached = reached(model, &own);
    let outside = outside_of_steps(model, &own, &reached);
    for (of, _) in own.iter_mut().zip(&outside).filter(|(_, outside)| **outside) {
        // What waits there waits outside of the system.
        *of = Own { mentions: std::mem::take(&mut of.mentions), ..Own::default() };
    }
    let callers = callers(&own);
    let spread = |start: fn(&Own) -> bool, relatives: &[Vec<FunctionId>]| {
        spread(&callers, relatives, own.iter().map(start).collect())
    };
    Colours {
        suspends: spread(|o| o.suspends, &relatives(model)),
        transacts: spread(|o| o.transacts, &[]),
        sleeps: spread(|o| o.sleeps, &[]),
        runs_tasks: spread(|o| o.runs_tasks, &[]),
        reached,
        outside,
        mentions: own.into_iter().map(|own| own.mentions).collect(),
    }
}

/// The functions that must have the colour of each: its text is theirs, or one overrides the other, so that a call may
/// reach any of them.
fn relatives(model: &Model<'_>) -> Vec<Vec<FunctionId>> {
    if model.files.len() == model.modules {
        return Vec::new();
    }
    let mut relatives = vec![Vec::new(); model.functions.len()];
    let mut by_text: BTreeMap<*const crate::hir::Function, Vec<FunctionId>> = BTreeMap::new();
    let mut by_name: BTreeMap<(ClassId, &str), Vec<FunctionId>> = BTreeMap::new();
    for (id, function) in model.functions.iter().enumerate() {
        by_text.entry(std::ptr::from_ref(function.hir)).or_default().push(id);
        if let Some(class) = function.class.filter(|c| model.classes[*c].service.is_some()) {
            by_name.entry((class, &function.hir.name.name)).or_default().push(id);
        }
    }
    for family in by_text.into_values().chain(by_name.into_values()).filter(|family| family.len() > 1) {
        for id in &family {
            relatives[*id].extend(family.iter().filter(|other| *other != id));
        }
    }
    relatives
}

/// Who calls each function.
fn callers(own: &[Own]) -> Vec<Vec<FunctionId>> {
    let mut callers = vec![Vec::new(); own.len()];
    for (caller, own) in own.iter().enumerate() {
        own.calls.iter().for_each(|callee| callers[*callee].push(caller));
    }
    callers
}

/// What holds of a function holds of those that call it, and of its relatives.
fn spread(callers: &[Vec<FunctionId>], relatives: &[Vec<FunctionId>], mut marked: Vec<bool>) -> Vec<bool> {
    let mut todo: Vec<FunctionId> = (0..marked.len()).filter(|id| marked[*id]).collect();
    while let Some(callee) = todo.pop() {
        for same in callers[callee].iter().chain(relatives.get(callee).into_iter().flatten()) {
            if !std::mem::replace(&mut marked[*same], true) {
                todo.push(*same);
            }
        }
    }
    marked
}

/// What a function does itself.
#[derive(Debug, Default)]
struct Own {
    suspends: bool,
    transacts: bool,
    sleeps: bool,
    runs_tasks: bool,
    calls: Vec<FunctionId>,
    mentions: Vec<FunctionId>,
}

/// Methods of classes that are no services, by name.
fn value_methods<'a>(model: &Model<'a>) -> BTreeMap<&'a str, Vec<FunctionId>> {
    let mut methods: BTreeMap<&str, Vec<FunctionId>> = BTreeMap::new();
    for (id, function) in model.functions.iter().enumerate() {
        if !function.template && function.class.is_some_and(|c| model.classes[c].service.is_none()) {
            methods.entry(&function.hir.name.name).or_default().push(id);
        }
    }
    methods
}

fn own(model: &Model<'_>, id: FunctionId, methods: &BTreeMap<&str, Vec<FunctionId>>) -> Own {
    let function = &model.functions[id];
    let mut own = Own::default();
    let mut sent: Vec<ExprId> = Vec::new();
    expressions(&function.hir.body, &mut |expr| match &expr.kind {
        ExprKind::Call(call) => {
            let kind = classify(model, function.file, call);
            if kind == CallKind::Send {
                // The call that is sent: its result is not waited for.
                sent.extend(call.args.first().map(|a| a.id));
            } else if let (CallKind::Other, ExprKind::Attribute(_, name)) = (&kind, &call.func.kind) {
                // An object that we do not know may be of any class of the application.
                own.mentions.extend(methods.get(name.name.as_str()).into_iter().flatten());
            } else if !sent.contains(&expr.id) || !matches!(kind, CallKind::Remote(..)) {
                own.call(model, kind);
            }
        }
        ExprKind::Await(_) => own.suspends |= awaits_call(model, function.file, expr),
        ExprKind::Name(_) | ExprKind::Attribute(..) => own.mention(model, function.file, expr),
        _ => {}
    });
    statements(&function.hir.body, &mut |stmt| {
        if let StmtKind::Function(nested) = &stmt.kind
            && let Some(inner) = model.defined_at(function.file, nested.name.span)
        {
            own.mentions.push(inner);
        }
    });
    own
}

/// `await` on anything that is not a helper's own call (that one counts by the helper's colour).
fn awaits_call<'a>(model: &Model<'a>, file: FileId, expr: &'a Expr) -> bool {
    let ExprKind::Await(operand) = &expr.kind else { return false };
    match operand.as_call() {
        Some(call) => !matches!(classify(model, file, call), CallKind::Helper(_)),
        None => true,
    }
}

impl Own {
    fn call(&mut self, model: &Model<'_>, kind: CallKind) {
        match kind {
            CallKind::Remote(..) | CallKind::Gather | CallKind::Spawn | CallKind::TaskGroup => self.suspends = true,
            CallKind::Task(_) => (self.suspends, self.runs_tasks) = (true, true),
            CallKind::Sleep { .. } | CallKind::WaitFor => (self.suspends, self.sleeps) = (true, true),
            CallKind::Transaction => (self.suspends, self.transacts) = (true, true),
            CallKind::Primitive(primitive) => {
                self.suspends |= primitive.suspends();
                self.transacts |= primitive == Primitive::BeginTx;
            }
            CallKind::Helper(function) => {
                self.calls.push(function);
                self.suspends |= model.functions[function].hir.is_async;
            }
            CallKind::Send | CallKind::Abort | CallKind::Other => {}
        }
    }

    fn mention<'a>(&mut self, model: &Model<'a>, file: FileId, expr: &'a Expr) {
        match model.resolve(file, expr) {
            Entity::Function(function) | Entity::Method(function) => self.mentions.push(function),
            Entity::Class(class) => {
                self.mentions.extend(&model.classes[class].functions);
            }
            _ => {}
        }
    }
}

/// What service methods reach by name, whether they call it or hand it on. Tasks run elsewhere.
fn reached(model: &Model<'_>, own: &[Own]) -> Vec<bool> {
    let of_service = |id: &FunctionId| model.functions[*id].class.is_some_and(|c| model.classes[c].service.is_some());
    reach(own, (0..own.len()).filter(of_service).collect(), |function| model.functions[function].role != Role::Task)
}

/// Tasks, and what is reached from them alone.
fn outside_of_steps(model: &Model<'_>, own: &[Own], reached: &[bool]) -> Vec<bool> {
    let tasks = (0..own.len()).filter(|id| model.functions[*id].role == Role::Task).collect();
    let mut outside = reach(own, tasks, |_| true);
    outside.iter_mut().zip(reached).for_each(|(outside, reached)| *outside &= !reached);
    outside
}

fn reach(own: &[Own], mut todo: Vec<FunctionId>, enters: impl Fn(FunctionId) -> bool) -> Vec<bool> {
    let mut reached = vec![false; own.len()];
    while let Some(function) = todo.pop() {
        if enters(function) && !std::mem::replace(&mut reached[function], true) {
            todo.extend(&own[function].mentions);
        }
    }
    reached
}
