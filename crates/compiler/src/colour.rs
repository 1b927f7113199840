//! Which functions suspend. Calls of services, sleeps, transactions and gathers do; a function that calls one that
//! does, does too (a fixpoint over the functions of the application).

use std::collections::BTreeMap;

use crate::hir::{Call, Expr, ExprId, ExprKind, StmtKind};
use crate::model::{Entity, FileId, FunctionId, Model, ServiceId};
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
    /// The functions that each calls or mentions.
    pub(crate) mentions: Vec<Vec<FunctionId>>,
    /// Reached from a service's method.
    pub(crate) reached: Vec<bool>,
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
    let own: Vec<Own> = (0..count).map(|id| own(model, id, &methods)).collect();
    let spread = |start: fn(&Own) -> bool| {
        let mut marked: Vec<bool> = own.iter().map(start).collect();
        while own.iter().enumerate().any(|(id, o)| {
            let new = !marked[id] && o.calls.iter().any(|callee| marked[*callee]);
            marked[id] |= new;
            new
        }) {}
        marked
    };
    let mut colours = Colours {
        suspends: spread(|o| o.suspends),
        transacts: spread(|o| o.transacts),
        sleeps: spread(|o| o.sleeps),
        mentions: own.into_iter().map(|o| o.mentions).collect(),
        reached: vec![false; count],
    };
    reach(model, &mut colours);
    colours
}

/// What a function does itself.
#[derive(Debug, Default)]
struct Own {
    suspends: bool,
    transacts: bool,
    sleeps: bool,
    calls: Vec<FunctionId>,
    mentions: Vec<FunctionId>,
}

/// Methods of classes that are no services, by name.
fn value_methods<'a>(model: &Model<'a>) -> BTreeMap<&'a str, Vec<FunctionId>> {
    let mut methods: BTreeMap<&str, Vec<FunctionId>> = BTreeMap::new();
    for (id, function) in model.functions.iter().enumerate() {
        if function.class.is_some_and(|c| model.classes[c].service.is_none()) {
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
            && let Some(inner) = model.functions.iter().position(|f| std::ptr::eq(f.hir, &**nested))
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
            CallKind::Remote(..) | CallKind::Gather => self.suspends = true,
            CallKind::Sleep { .. } => (self.suspends, self.sleeps) = (true, true),
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
                self.mentions.extend(
                    model.functions.iter().enumerate().filter(|(_, f)| f.class == Some(class)).map(|(id, _)| id),
                );
            }
            _ => {}
        }
    }
}

/// Marks what service methods reach by name, whether they call it or hand it on.
fn reach(model: &Model<'_>, colours: &mut Colours) {
    let of_service = |id: &FunctionId| model.functions[*id].class.is_some_and(|c| model.classes[c].service.is_some());
    let mut todo: Vec<FunctionId> = (0..model.functions.len()).filter(of_service).collect();
    while let Some(function) = todo.pop() {
        if !std::mem::replace(&mut colours.reached[function], true) {
            todo.extend(&colours.mentions[function]);
        }
    }
}
