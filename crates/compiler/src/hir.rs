//! Our own tree of a Python module, with byte spans. Only [`crate::parse`] builds it, so that nothing else depends on
//! the parser. Text that no analysis needs is not kept: the source has it.

use crate::span::Span;

/// Number of an expression within its module, dense from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ExprId(pub(crate) u32);

/// A parsed module.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) body: Vec<Stmt>,
    /// Number of expressions, so that ids index a table.
    pub(crate) exprs: u32,
    /// Tokens without comments: for digests that do not see formatting.
    pub(crate) tokens: Vec<Token>,
}

/// A token, as far as a digest cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) class: TokenClass,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenClass {
    Newline,
    Indent,
    Dedent,
    Text,
}

/// An identifier and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ident {
    pub(crate) name: String,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) id: ExprId,
    pub(crate) span: Span,
    pub(crate) kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Name(String),
    Attribute(Box<Expr>, Ident),
    Subscript(Box<Expr>, Box<Expr>),
    Call(Box<Call>),
    /// Digits as Python accepts them.
    Int(String),
    Float(f64),
    Complex(f64, f64),
    Str(String),
    Bytes(Vec<u8>),
    Bool(bool),
    None,
    Ellipsis,
    /// An f-string or t-string.
    Format(Format),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Set(Vec<Expr>),
    /// `None` as a key is `**value`.
    Dict(Vec<(Option<Expr>, Expr)>),
    Comp(Box<Comp>),
    Lambda(Box<Lambda>),
    IfElse(Box<[Expr; 3]>),
    /// `and` and `or` alike.
    Bool2(Vec<Expr>),
    Binary(Box<Expr>, BinaryOp, Box<Expr>),
    Not(Box<Expr>),
    /// `-x`, `+x`, `~x`.
    Unary(UnaryOp, Box<Expr>),
    Compare(Box<Expr>, Vec<(CompareOp, Expr)>),
    Named(Box<Expr>, Box<Expr>),
    Await(Box<Expr>),
    Yield(Option<Box<Expr>>),
    YieldFrom(Box<Expr>),
    Starred(Box<Expr>),
    Slice([Option<Box<Expr>>; 3]),
}

#[derive(Debug)]
pub(crate) struct Format {
    /// The interpolated expressions, those of format specifications after the one that they are for.
    pub(crate) parts: Vec<Interpolation>,
    /// The literal texts before the parts and after the last, if all parts are plain `{value}`.
    pub(crate) texts: Option<Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct Interpolation {
    pub(crate) value: Expr,
    /// `{value=}`: the text of the expression is part of the result.
    pub(crate) debug: bool,
    /// It stands in the format specification of the one before.
    pub(crate) in_spec: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Mult,
    BitOr,
    Mod,
    /// Any operator whose result never contains the operands.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Minus,
    Plus,
    Invert,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompareOp {
    /// `in`, `not in`.
    In,
    /// `is`, `is not`.
    Is,
    /// Order and equality.
    Other,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) func: Expr,
    /// Positional arguments, `*x` as [`ExprKind::Starred`].
    pub(crate) args: Vec<Expr>,
    pub(crate) keywords: Vec<Keyword>,
}

#[derive(Debug)]
pub(crate) struct Keyword {
    /// `None` is `**value`.
    pub(crate) name: Option<Ident>,
    pub(crate) value: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompKind {
    List,
    Set,
    Dict,
    /// `parenthesized` is false for the only argument of a call.
    Generator {
        parenthesized: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Comp {
    pub(crate) kind: CompKind,
    /// One, or key and value.
    pub(crate) elements: Vec<Expr>,
    pub(crate) clauses: Vec<CompClause>,
}

#[derive(Debug)]
pub(crate) struct CompClause {
    pub(crate) target: Expr,
    pub(crate) iter: Expr,
    pub(crate) conditions: Vec<Expr>,
    pub(crate) is_async: bool,
}

#[derive(Debug)]
pub(crate) struct Lambda {
    pub(crate) params: Vec<Param>,
    pub(crate) body: Expr,
}

#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: Ident,
    pub(crate) kind: ParamKind,
    pub(crate) annotation: Option<Expr>,
    pub(crate) default: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamKind {
    Normal,
    PositionalOnly,
    KeywordOnly,
    VarPositional,
    VarKeyword,
}

#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) span: Span,
    pub(crate) kind: StmtKind,
}

#[derive(Debug)]
pub(crate) enum StmtKind {
    Function(Box<Function>),
    Class(Box<Class>),
    Return(Option<Expr>),
    Delete(Vec<Expr>),
    Assign(Assign),
    /// `target op= value`.
    Augment(Expr, BinaryOp, Expr),
    Annotated {
        target: Expr,
        annotation: Expr,
        value: Option<Expr>,
    },
    For(Box<For>),
    While(Expr, Vec<Stmt>, Vec<Stmt>),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    With(With),
    Match(Expr, Vec<Case>),
    Raise(Option<Expr>, Option<Expr>),
    Try(Try),
    Assert(Expr, Option<Expr>),
    Import(Vec<Alias>),
    ImportFrom(ImportFrom),
    Global(Vec<Ident>),
    Nonlocal(Vec<Ident>),
    Expr(Expr),
    /// A type alias statement: its name.
    TypeAlias(Expr, Expr),
    Pass,
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Ident,
    /// Where `def` or `async` stands.
    pub(crate) def: u32,
    pub(crate) is_async: bool,
    pub(crate) decorators: Vec<Expr>,
    pub(crate) params: Vec<Param>,
    pub(crate) returns: Option<Expr>,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) name: Ident,
    pub(crate) decorators: Vec<Expr>,
    pub(crate) bases: Vec<Expr>,
    pub(crate) keywords: Vec<Keyword>,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct Assign {
    pub(crate) targets: Vec<Expr>,
    pub(crate) value: Expr,
    /// The text of a trailing `# type:` comment.
    pub(crate) type_comment: Option<Ident>,
}

#[derive(Debug)]
pub(crate) struct For {
    pub(crate) is_async: bool,
    pub(crate) target: Expr,
    pub(crate) iter: Expr,
    pub(crate) body: Vec<Stmt>,
    pub(crate) orelse: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct With {
    pub(crate) is_async: bool,
    pub(crate) items: Vec<(Expr, Option<Expr>)>,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) pattern: Pattern,
    pub(crate) guard: Option<Expr>,
    pub(crate) body: Vec<Stmt>,
}

/// A pattern, reduced to what it evaluates and what it binds.
#[derive(Debug, Default)]
pub(crate) struct Pattern {
    pub(crate) values: Vec<Expr>,
    pub(crate) binds: Vec<Ident>,
}

#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) body: Vec<Stmt>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) orelse: Vec<Stmt>,
    pub(crate) finalbody: Vec<Stmt>,
    /// One past the colon after `finally`.
    pub(crate) finally_colon: Option<u32>,
    pub(crate) is_star: bool,
}

#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) span: Span,
    pub(crate) class: Option<Expr>,
    pub(crate) name: Option<Ident>,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) name: Ident,
    pub(crate) asname: Option<Ident>,
}

#[derive(Debug)]
pub(crate) struct ImportFrom {
    pub(crate) module: Option<Ident>,
    pub(crate) names: Vec<Alias>,
    pub(crate) level: u32,
}

impl Expr {
    /// The name, if this is one.
    pub(crate) fn as_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The call, if this is one.
    pub(crate) fn as_call(&self) -> Option<&Call> {
        match &self.kind {
            ExprKind::Call(call) => Some(call),
            _ => None,
        }
    }

    /// The string, if this is a literal one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Str(text) => Some(text),
            _ => None,
        }
    }
}

impl Function {
    /// The docstring.
    pub(crate) fn docstring(&self) -> Option<&str> {
        match &self.body.first()?.kind {
            StmtKind::Expr(expr) => expr.as_str(),
            _ => None,
        }
    }
}
