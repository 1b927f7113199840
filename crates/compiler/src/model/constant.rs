//! Values that are known without running the program: initial values of fields, constant keys, example arguments.

use protocol::Value;

use super::{Binding, ClassId, Entity, Model, Record, ScopeId, types};
use crate::hir::{BinaryOp, Call, Expr, ExprKind, Keyword, StmtKind, UnaryOp};

/// Following names deeper than this gives up.
const DEPTH_MAX: u32 = 64;

/// The value of a constant expression; `None` for anything that must be computed.
pub(crate) fn evaluate(model: &Model<'_>, scope: ScopeId, expr: &Expr) -> Option<Value> {
    Evaluator { model, depth: 0 }.expr(scope, expr)
}

/// The value of a literal that names nothing.
pub(crate) fn literal(expr: &Expr) -> Option<Value> {
    Evaluator { model: &Model::default(), depth: 0 }.expr(usize::MAX, expr)
}

struct Evaluator<'m, 'a> {
    model: &'m Model<'a>,
    depth: u32,
}

impl Evaluator<'_, '_> {
    fn expr(&mut self, scope: ScopeId, expr: &Expr) -> Option<Value> {
        self.depth += 1;
        let value = if self.depth > DEPTH_MAX { None } else { self.known(scope, expr) };
        self.depth -= 1;
        value
    }

    fn known(&mut self, scope: ScopeId, expr: &Expr) -> Option<Value> {
        Some(match &expr.kind {
            ExprKind::None => Value::None,
            ExprKind::Bool(value) => Value::Bool(*value),
            ExprKind::Int(digits) => integer(digits, false)?,
            ExprKind::Float(value) => Value::Float(*value),
            ExprKind::Complex(real, imaginary) => Value::Complex(*real, *imaginary),
            ExprKind::Str(text) => Value::Str(text.clone()),
            ExprKind::Bytes(bytes) => Value::Bytes(bytes.clone()),
            ExprKind::Unary(op, operand) => self.signed(scope, *op, operand)?,
            ExprKind::Binary(left, op, right) => {
                let (left, right) = (self.expr(scope, left)?, self.expr(scope, right)?);
                arithmetic(left, *op, right)?
            }
            ExprKind::List(items) => Value::List(self.items(scope, items)?),
            ExprKind::Tuple(items) => Value::Tuple(self.items(scope, items)?),
            ExprKind::Set(items) => Value::Set(unique(self.items(scope, items)?)),
            ExprKind::Dict(items) => self.dict(scope, items)?,
            ExprKind::Call(call) => self.call(scope, call)?,
            ExprKind::Name(name) => self.name(scope, name)?,
            ExprKind::Attribute(base, member) => self.member(scope, base, &member.name)?,
            _ => return None,
        })
    }

    fn signed(&mut self, scope: ScopeId, op: UnaryOp, operand: &Expr) -> Option<Value> {
        match (op, &operand.kind) {
            (UnaryOp::Minus, ExprKind::Int(digits)) => integer(digits, true),
            (UnaryOp::Minus, ExprKind::Float(value)) => Some(Value::Float(-value)),
            (UnaryOp::Plus, ExprKind::Int(_) | ExprKind::Float(_)) => self.expr(scope, operand),
            _ => None,
        }
    }

    fn items(&mut self, scope: ScopeId, items: &[Expr]) -> Option<Vec<Value>> {
        items.iter().map(|item| self.expr(scope, item)).collect()
    }

    fn dict(&mut self, scope: ScopeId, items: &[(Option<Expr>, Expr)]) -> Option<Value> {
        let mut entries: Vec<(Value, Value)> = Vec::new();
        for (key, value) in items {
            let key = self.expr(scope, key.as_ref()?)?;
            let value = self.expr(scope, value)?;
            if !unchangeable(&key) {
                return None;
            }
            match entries.iter_mut().find(|(k, _)| *k == key) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        Some(Value::Dict(entries))
    }

    fn call(&mut self, scope: ScopeId, call: &Call) -> Option<Value> {
        if scope == usize::MAX {
            return None;
        }
        let path = match self.model.resolve_in(scope, &call.func) {
            Entity::Path(path) if call.keywords.is_empty() => path,
            Entity::Class(class) => return self.dataclass(scope, class, call),
            _ => return None,
        };
        match (path.as_str(), call.args.as_slice()) {
            ("builtins.dict", []) => Some(Value::Dict(Vec::new())),
            ("builtins.list", []) => Some(Value::List(Vec::new())),
            ("builtins.set", []) => Some(Value::Set(Vec::new())),
            ("builtins.tuple", []) => Some(Value::Tuple(Vec::new())),
            ("builtins.frozenset", []) => Some(Value::FrozenSet(Vec::new())),
            ("builtins.int", []) => Some(Value::Int(0)),
            ("builtins.str", []) => Some(Value::Str(String::new())),
            ("builtins.float", []) => Some(Value::Float(0.0)),
            ("builtins.set" | "builtins.frozenset", [items]) => {
                let elements = match self.expr(scope, items)? {
                    Value::List(items) | Value::Tuple(items) | Value::Set(items) => unique(items),
                    _ => return None,
                };
                Some(if path == "builtins.set" { Value::Set(elements) } else { Value::FrozenSet(elements) })
            }
            ("decimal.Decimal", [number]) => decimal(&self.expr(scope, number)?),
            _ => None,
        }
    }

    /// A new object of a dataclass that does nothing but keep its arguments.
    fn dataclass(&mut self, scope: ScopeId, class: ClassId, call: &Call) -> Option<Value> {
        let info = &self.model.classes[class];
        let Some(Record::Dataclass { .. }) = info.record else { return None };
        let plain =
            |k: &Keyword| matches!(k.name.as_ref().map(|n| n.name.as_str()), Some("frozen" | "order" | "slots"));
        let options = info.hir.decorators.iter().filter_map(Expr::as_call).flat_map(|c| &c.keywords);
        let made = ["__init__", "__new__", "__post_init__"].iter().any(|n| self.model.method_of(class, n).is_some());
        if !info.hir.bases.is_empty() || !options.into_iter().all(plain) || made {
            return None;
        }
        let mut given = call.args.iter();
        let mut fields: Vec<(String, Value)> = Vec::new();
        for stmt in &info.hir.body {
            let StmtKind::Annotated { target, annotation, value } = &stmt.kind else { continue };
            let name = target.as_name()?;
            if matches!(types::head(annotation), "ClassVar" | "InitVar" | "KW_ONLY") || annotation.as_str().is_some() {
                return None;
            }
            let named = call.keywords.iter().find(|k| k.name.as_ref().is_some_and(|n| n.name == name));
            let value = match (given.next(), named, value) {
                (Some(value), None, _) => self.expr(scope, value)?,
                (None, Some(keyword), _) => self.expr(scope, &keyword.value)?,
                (None, None, Some(default)) => self.default(info.scope, default)?,
                _ => return None,
            };
            fields.push((name.to_owned(), value));
        }
        let known = |k: &Keyword| k.name.as_ref().is_some_and(|n| fields.iter().any(|(name, _)| *name == n.name));
        let all_taken = given.next().is_none() && call.keywords.iter().all(known);
        all_taken.then(|| Value::Record(self.model.class_name(class), fields))
    }

    /// The default of a dataclass's field.
    fn default(&mut self, scope: ScopeId, default: &Expr) -> Option<Value> {
        let Some(call) = default.as_call() else { return self.expr(scope, default).filter(unchangeable) };
        if self.model.resolve_in(scope, &call.func) != Entity::Path("dataclasses.field".to_owned()) {
            return self.expr(scope, default).filter(unchangeable);
        }
        let [keyword] = call.keywords.as_slice() else { return None };
        match (keyword.name.as_ref()?.name.as_str(), self.model.resolve_in(scope, &keyword.value)) {
            ("default", _) => self.expr(scope, &keyword.value),
            ("default_factory", Entity::Path(path)) => match path.as_str() {
                "builtins.list" => Some(Value::List(Vec::new())),
                "builtins.dict" => Some(Value::Dict(Vec::new())),
                "builtins.set" => Some(Value::Set(Vec::new())),
                _ => None,
            },
            _ => None,
        }
    }

    /// A module constant that is bound once.
    fn name(&mut self, scope: ScopeId, name: &str) -> Option<Value> {
        self.depth += 1;
        let value = if self.depth > DEPTH_MAX { None } else { self.named(scope, name) };
        self.depth -= 1;
        value
    }

    fn named(&mut self, scope: ScopeId, name: &str) -> Option<Value> {
        if scope == usize::MAX {
            return None;
        }
        let bound = self.model.binding_scope(scope, name)?;
        match self.model.scopes[bound].bindings.get(name)?.as_slice() {
            [Binding::Value(value)] => self.expr(bound, value).filter(unchangeable),
            [Binding::Annotated { value: Some(value), .. }] => self.expr(bound, value).filter(unchangeable),
            [Binding::From { module, name }] => {
                let file = self.model.module(module)?;
                self.name(self.model.files[file].scope, name)
            }
            _ => None,
        }
    }

    /// A member of an enum.
    fn member(&mut self, scope: ScopeId, base: &Expr, name: &str) -> Option<Value> {
        if scope == usize::MAX {
            return None;
        }
        let Entity::Class(class) = self.model.resolve_in(scope, base) else { return None };
        let info = &self.model.classes[class];
        if info.record != Some(Record::Enum) {
            return None;
        }
        let value = info.hir.body.iter().find_map(|stmt| match &stmt.kind {
            StmtKind::Assign(assign) if assign.targets.iter().any(|t| t.as_name() == Some(name)) => Some(&assign.value),
            _ => None,
        })?;
        let value = self.expr(info.scope, value)?;
        Some(Value::Enum(self.model.class_name(class), Box::new(value)))
    }
}

/// What a constant may have at most: texts and lists that are multiplied.
const ITEMS_MAX: usize = 1 << 16;

/// Sums and products.
fn arithmetic(left: Value, op: BinaryOp, right: Value) -> Option<Value> {
    match (op, left, right) {
        (BinaryOp::Add, Value::Str(one), Value::Str(other)) => Some(Value::Str(one + &other)),
        (BinaryOp::Add, Value::List(one), Value::List(other)) => Some(Value::List([one, other].concat())),
        (BinaryOp::Add, Value::Tuple(one), Value::Tuple(other)) => Some(Value::Tuple([one, other].concat())),
        (BinaryOp::Mult, Value::Int(count), sequence) if is_sequence(&sequence) => repeated(sequence, count),
        (BinaryOp::Mult, sequence, Value::Int(count)) if is_sequence(&sequence) => repeated(sequence, count),
        (_, one, other) => numbers(&one, op, &other),
    }
}

fn is_sequence(value: &Value) -> bool {
    matches!(value, Value::Str(_) | Value::List(_) | Value::Tuple(_))
}

fn repeated(sequence: Value, count: i64) -> Option<Value> {
    let count = usize::try_from(count.max(0)).ok()?;
    let fits = |len: usize| len.checked_mul(count).is_some_and(|items| items <= ITEMS_MAX);
    match sequence {
        Value::Str(text) if fits(text.len()) => Some(Value::Str(text.repeat(count))),
        Value::List(items) if fits(items.len()) => Some(Value::List(vec![items; count].concat())),
        Value::Tuple(items) if fits(items.len()) => Some(Value::Tuple(vec![items; count].concat())),
        _ => None,
    }
}

fn numbers(one: &Value, op: BinaryOp, other: &Value) -> Option<Value> {
    if let (Value::Int(one), Value::Int(other)) = (one, other) {
        return match op {
            BinaryOp::Add => one.checked_add(*other),
            BinaryOp::Mult => one.checked_mul(*other),
            BinaryOp::BitOr => Some(one | other),
            BinaryOp::Mod | BinaryOp::Other => None,
        }
        .map(Value::Int);
    }
    let (Value::Float(one), Value::Float(other)) = (one, other) else { return None };
    match op {
        BinaryOp::Add => Some(Value::Float(one + other)),
        BinaryOp::Mult => Some(Value::Float(one * other)),
        BinaryOp::BitOr | BinaryOp::Mod | BinaryOp::Other => None,
    }
}

fn integer(digits: &str, negative: bool) -> Option<Value> {
    let text: String = digits.chars().filter(|c| *c != '_').collect::<String>().to_lowercase();
    let (radix, body) = match text.get(..2) {
        Some("0x") => (16, &text[2..]),
        Some("0o") => (8, &text[2..]),
        Some("0b") => (2, &text[2..]),
        _ => (10, text.as_str()),
    };
    let number = num_bigint::BigInt::parse_bytes(body.as_bytes(), radix)?;
    let number = if negative { -number } else { number };
    Some(match i64::try_from(&number) {
        Ok(small) => Value::Int(small),
        Err(_) => Value::BigInt(number),
    })
}

/// Decimals whose text Python would show unchanged.
fn decimal(number: &Value) -> Option<Value> {
    let text = match number {
        Value::Int(number) => number.to_string(),
        Value::Str(text) => text.clone(),
        _ => return None,
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let canonical = plain(whole) && plain(fraction) && fraction.len() <= 6 && (whole == "0" || !whole.starts_with('0'));
    canonical.then_some(Value::Decimal(text))
}

/// Values that cannot be changed in place; they may be keys.
pub(super) fn unchangeable(value: &Value) -> bool {
    match value {
        Value::List(_) | Value::Dict(_) | Value::Set(_) | Value::Record(..) => false,
        Value::Tuple(items) => items.iter().all(unchangeable),
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::Float(_)
        | Value::Str(_)
        | Value::Bytes(_)
        | Value::FrozenSet(_)
        | Value::Complex(..)
        | Value::Decimal(_)
        | Value::DateTime(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::TimeDelta(..)
        | Value::Uuid(_)
        | Value::Enum(..) => true,
    }
}

fn unique(items: Vec<Value>) -> Vec<Value> {
    let mut unique: Vec<Value> = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}
