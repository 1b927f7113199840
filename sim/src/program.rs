//! Scripted services: methods as data, and the manifest that a compiler would give for them. How they run is the
//! business of [`crate::coroutine`].

use std::collections::BTreeSet;
use std::rc::Rc;

use protocol::ids::Slot;
use protocol::manifest::{
    Field, FieldKind, Foreseen, ForeseenCells, KeyExpr, Manifest, Method, Mode, Parameter, Service,
};
use protocol::schema::Type;
use protocol::{DeploymentId, Value, key, msgpack};

/// Number of registers of an invocation; all its branches share them.
pub const REGISTERS: usize = 32;

/// Register that says which call of the last [`Stmt::Gather`] answered first, by the register of its result.
pub const FIRST: usize = REGISTERS - 1;

/// Bytes that each unit adds to a stored value, where the field's values are long.
pub const LONG_STEP: usize = 4_000;

/// A number.
#[derive(Clone, Debug)]
pub enum Expr {
    Int(i64),
    Arg(usize),
    Reg(usize),
    /// The entity's key.
    Key,
    /// A number that no other invocation gives, the same on replay.
    Fresh,
    Clock,
    Add(Box<Expr>, Box<Expr>),
    Sub(Box<Expr>, Box<Expr>),
}

impl std::ops::Add for Expr {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::Add(Box::new(self), Box::new(other))
    }
}

impl std::ops::Sub for Expr {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::Sub(Box::new(self), Box::new(other))
    }
}

impl From<i64> for Expr {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

pub fn arg(index: usize) -> Expr {
    Expr::Arg(index)
}

pub fn reg(index: usize) -> Expr {
    Expr::Reg(index)
}

/// What is called.
#[derive(Clone, Debug)]
pub struct Target {
    pub service: &'static str,
    pub key: Option<Expr>,
    pub method: &'static str,
    pub args: Vec<Expr>,
}

/// A service's method.
pub fn to(service: &'static str, method: &'static str, args: Vec<Expr>) -> Target {
    Target { service, key: None, method, args }
}

/// An entity's method.
pub fn on(service: &'static str, key: impl Into<Expr>, method: &'static str, args: Vec<Expr>) -> Target {
    Target { service, key: Some(key.into()), method, args }
}

pub type Block = Rc<Vec<Stmt>>;

pub fn block(stmts: Vec<Stmt>) -> Block {
    Rc::new(stmts)
}

#[derive(Clone, Debug)]
pub enum Stmt {
    Let(usize, Expr),
    /// Register = cell (0 if absent).
    Get(usize, &'static str, Option<Expr>),
    /// Register = 1 if the entry is there.
    Has(usize, &'static str, Expr),
    Put(&'static str, Option<Expr>, Expr),
    Del(&'static str, Expr),
    /// Registers = sum of the values and number of the entries.
    Sum(usize, usize, &'static str),
    /// Register = a digest of the keys in the order of iteration.
    Order(usize, &'static str),
    Call(usize, Target),
    /// Calls side by side; the flag: wake at each result, not when all are there.
    Gather(Vec<(usize, Target)>, bool),
    /// Blocks side by side.
    Fork(Vec<Block>),
    Send(Target),
    Sleep(Expr),
    /// Register = result of a task with this number and so many retries.
    Task(usize, Expr, u32),
    /// Register = result of the call, or -1 if the time was over before it.
    Race(usize, Target, Expr),
    Tx(Block),
    /// Runs the second block if the first one raises.
    Try(Block, Block),
    /// Runs the first block if the number is positive.
    If(Expr, Block, Block),
    Raise(&'static str),
    Return(Expr),
    Print(&'static str),
    /// The worker process dies.
    Die,
    /// User code saw what no serial order explains, see [`crate::worker::alarms`].
    Alarm,
    /// Starts a call in a transaction and does not wait for it.
    Detach(Target),
}

/// A method.
#[derive(Clone, Debug)]
pub struct Def {
    pub name: &'static str,
    pub body: Block,
    pub read_only: bool,
    /// Tell the engine beforehand which cells the first step touches.
    pub foreseen: bool,
    /// Index of the argument that routes it.
    pub route: Option<usize>,
    /// Whole fields are foreseen as such.
    pub foresees_whole: Option<&'static str>,
}

pub fn def(name: &'static str, body: Vec<Stmt>) -> Def {
    Def { name, body: block(body), read_only: false, foreseen: true, route: None, foresees_whole: None }
}

impl Def {
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    pub fn unforeseen(mut self) -> Self {
        self.foreseen = false;
        self
    }

    pub fn routed(mut self, index: usize) -> Self {
        self.route = Some(index);
        self
    }

    pub fn whole(mut self, field: &'static str) -> Self {
        self.foresees_whole = Some(field);
        self
    }
}

/// Values of a field of this name are stored with as many bytes as their number says, see [`LONG_STEP`].
pub fn is_long(field: &str) -> bool {
    field == "long"
}

/// A field of this name is a list: its entries lie together.
fn is_list(field: &str) -> bool {
    field == "list"
}

/// A service or entity.
#[derive(Clone, Debug)]
pub struct Svc {
    pub name: &'static str,
    pub entity: bool,
    /// Name, and whether it is a dict.
    pub fields: Vec<(&'static str, bool)>,
    pub methods: Vec<Def>,
}

pub fn service(name: &'static str, fields: Vec<(&'static str, bool)>, methods: Vec<Def>) -> Svc {
    Svc { name, entity: false, fields, methods }
}

pub fn entity(name: &'static str, fields: Vec<(&'static str, bool)>, methods: Vec<Def>) -> Svc {
    Svc { name, entity: true, fields, methods }
}

/// An application.
#[derive(Clone, Debug)]
pub struct App {
    pub services: Vec<Svc>,
}

pub fn app(mut services: Vec<Svc>) -> App {
    services.sort_by_key(|service| service.name);
    App { services }
}

impl App {
    pub fn method(&self, service: &str, method: &str) -> Option<&Def> {
        self.services.iter().find(|s| s.name == service)?.methods.iter().find(|m| m.name == method)
    }

    pub fn manifest(&self) -> Manifest {
        let services = self.services.iter().map(service_manifest).collect();
        Manifest { services, deployment: DeploymentId([7; 16]), ..Manifest::default() }
    }
}

/// The numbers that lie on this partition as keys.
pub fn keys_on(partition: u16, partitions: u16) -> impl Iterator<Item = i64> {
    (0..).filter(move |number| {
        let canonical = key::canonical(&Value::Int(*number)).expect("a number is a key");
        Slot::of(&canonical).partition(partitions).0 == partition
    })
}

pub fn encode_int(number: i64) -> Vec<u8> {
    msgpack::encode(&Value::Int(number)).expect("numbers can be stored")
}

pub fn decode_int(bytes: &[u8]) -> i64 {
    decode_version(bytes).0
}

/// A number that says which write it comes from.
pub fn encode_version(number: i64, version: i64) -> Vec<u8> {
    msgpack::encode(&Value::Tuple(vec![Value::Int(number), Value::Int(version)])).expect("numbers can be stored")
}

/// The same with so many bytes more.
pub fn encode_long(number: i64, version: i64, bytes: usize) -> Vec<u8> {
    let parts = vec![Value::Int(number), Value::Int(version), Value::Bytes(vec![7; bytes])];
    msgpack::encode(&Value::Tuple(parts)).expect("numbers can be stored")
}

/// A stored number, and which write it comes from: 0 for an initial value and where writes are not told apart.
pub fn decode_version(bytes: &[u8]) -> (i64, i64) {
    match msgpack::decode(bytes) {
        Ok(Value::Int(number)) => (number, 0),
        Ok(Value::Tuple(parts)) => match parts[..] {
            [Value::Int(number), Value::Int(version)] | [Value::Int(number), Value::Int(version), Value::Bytes(_)] => {
                (number, version)
            }
            _ => panic!("a number and a version, not {parts:?}"),
        },
        other => panic!("a number, not {other:?}"),
    }
}

fn service_manifest(service: &Svc) -> Service {
    let field = |(name, dict): &(&str, bool)| Field {
        name: (*name).to_owned(),
        kind: match dict {
            true if is_list(name) => FieldKind::List,
            true => FieldKind::Dict,
            false => FieldKind::Scalar,
        },
        held: false,
        initial: if *dict { msgpack::encode(&Value::Dict(vec![])).expect("an empty dict") } else { encode_int(0) },
        ..Field::default()
    };
    Service {
        name: service.name.to_owned(),
        entity_key: service.entity.then(Type::default),
        fields: service.fields.iter().map(field).collect(),
        methods: service.methods.iter().map(|def| method_manifest(service, def)).collect(),
        ..Service::default()
    }
}

fn method_manifest(service: &Svc, def: &Def) -> Method {
    let parameter = |index: usize| Parameter { name: format!("p{index}"), ..Parameter::default() };
    let (mut reads, mut writes, mut first) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    touched(&def.body, &mut reads, &mut writes);
    if def.foreseen {
        foresee(service, &def.body, &mut first);
    }
    if let Some(field) = def.foresees_whole {
        first.push(Foreseen { field: field.to_owned(), what: ForeseenCells::Whole });
    }
    let mode = |field: &str| if writes.contains(field) { Mode::Exclusive } else { Mode::Shared };
    Method {
        name: def.name.to_owned(),
        parameters: (0..8).map(parameter).collect(),
        read_only: def.read_only,
        route: def.route.map(|index| KeyExpr::Parameter(index as u32)),
        foreseen: first,
        modes: reads.union(&writes).map(|field| ((*field).to_owned(), mode(field))).collect(),
        digest: 1,
        ..Method::default()
    }
}

fn touched<'a>(body: &'a [Stmt], reads: &mut BTreeSet<&'a str>, writes: &mut BTreeSet<&'a str>) {
    for stmt in body {
        match stmt {
            Stmt::Get(_, field, _) | Stmt::Has(_, field, _) | Stmt::Sum(_, _, field) | Stmt::Order(_, field) => {
                reads.insert(field);
            }
            Stmt::Put(field, ..) | Stmt::Del(field, _) => {
                writes.insert(field);
            }
            Stmt::Tx(body) => touched(body, reads, writes),
            Stmt::Fork(blocks) => blocks.iter().for_each(|body| touched(body, reads, writes)),
            Stmt::Try(a, b) | Stmt::If(_, a, b) => {
                touched(a, reads, writes);
                touched(b, reads, writes);
            }
            _ => {}
        }
    }
}

/// Cells of the statements before the first suspension whose keys are arguments.
fn foresee(service: &Svc, body: &[Stmt], first: &mut Vec<Foreseen>) {
    for stmt in body {
        let (field, key) = match stmt {
            Stmt::Get(_, field, key) | Stmt::Put(field, key, _) => (*field, key.clone()),
            Stmt::Has(_, field, key) | Stmt::Del(field, key) => (*field, Some(key.clone())),
            Stmt::Sum(_, _, field) | Stmt::Order(_, field) => {
                first.push(Foreseen { field: (*field).to_owned(), what: ForeseenCells::Whole });
                continue;
            }
            Stmt::Let(..) | Stmt::Print(_) | Stmt::If(..) => continue,
            _ => return,
        };
        let dict = service.fields.iter().any(|(name, dict)| *name == field && *dict);
        let what = match key {
            None if !dict => ForeseenCells::Scalar,
            Some(Expr::Arg(index)) => ForeseenCells::Entry(KeyExpr::Parameter(index as u32)),
            Some(Expr::Int(number)) => ForeseenCells::Entry(KeyExpr::Constant(encode_int(number))),
            _ => continue,
        };
        first.push(Foreseen { field: field.to_owned(), what });
    }
}
