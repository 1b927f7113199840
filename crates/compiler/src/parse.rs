//! From source text to [`crate::hir`]. The only module that names the parser crate; its API is unstable, so that an
//! upgrade touches this file and those below `parse/` alone. Comments are not in the parser's tree: `# type:` is recovered from the tokens.

mod problems;
mod semantic;

use ruff_python_ast as ast;
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, ParseOptions};
use ruff_text_size::{Ranged, TextRange, TextSize};

use crate::hir::*;
use crate::span::Span;

/// Deeper nesting than this is refused: our walks recurse.
const DEPTH_MAX: u32 = 220;

/// A problem that the parser found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) span: Span,
    /// True if the nesting limit was reached, false for a syntax error.
    pub(crate) depth: bool,
    /// The text has parsed: the rest can be judged, too.
    pub(crate) parsed: bool,
    /// Another place that matters, and why.
    pub(crate) label: Option<(Span, String)>,
    pub(crate) help: Option<String>,
    /// What the edits do, and the edits.
    pub(crate) change: Option<(String, Vec<(Span, String)>)>,
}

impl Problem {
    fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), span, ..Self::default() }
    }
}

/// Parses a module. With problems, the tree is what could be made of the text.
pub(crate) fn parse_module(source: &str) -> (Module, Vec<Problem>) {
    if let Some(at) = source.find('\0') {
        let span = Span::new(at as u32, at as u32 + 1);
        let help = Some("is this a Python file?".to_owned());
        return (Module::default(), vec![Problem { help, ..Problem::new("the text holds a null byte", span) }]);
    }
    let options = ParseOptions::from(Mode::Module).with_target_version(VERSION);
    let Some(parsed) = ruff_python_parser::parse_unchecked(source, options).try_into_module() else {
        return (Module::default(), Vec::new());
    };
    let errors = parsed.errors().iter().map(|e| (e.error.to_string(), e.location));
    let unsupported = parsed.unsupported_syntax_errors().iter().map(|e| (e.to_string(), e.range));
    let raw = errors.chain(unsupported).map(|(text, range)| Problem::new(sentence(&text), span(range)));
    let tokens: Vec<_> = parsed.tokens().iter().map(|t| (t.kind(), span(t.range()))).collect();
    let problems = problems::told(source, &tokens, raw.collect());
    let sound = problems.is_empty();
    let mut builder = Builder { source, tokens, next: 0, depth: 0, problems };
    let body = builder.stmts(parsed.suite());
    if sound && builder.problems.is_empty() {
        builder.problems = semantic::problems(source, parsed.suite());
    }
    let module = Module { body, exprs: builder.next, tokens: significant(&builder.tokens) };
    (module, builder.problems)
}

/// The newest Python whose syntax is understood.
const VERSION: ast::PythonVersion = ast::PythonVersion::PY313;

/// Parses an expression that stands inside a string or comment at `range` of `source`.
pub(crate) fn parse_expression(source: &str, range: Span) -> Option<Expr> {
    let range = TextRange::new(TextSize::new(range.start), TextSize::new(range.end));
    let parsed = ruff_python_parser::parse_expression_range(source, range).ok()?;
    let mut builder = Builder { source, tokens: Vec::new(), next: u32::MAX, depth: 0, problems: Vec::new() };
    let expr = builder.expr(parsed.expr());
    builder.problems.is_empty().then_some(expr)
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !text.starts_with("f-string") => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

fn span(range: TextRange) -> Span {
    Span::new(range.start().to_u32(), range.end().to_u32())
}

fn significant(tokens: &[(TokenKind, Span)]) -> Vec<Token> {
    let class = |kind| match kind {
        TokenKind::Comment | TokenKind::NonLogicalNewline | TokenKind::EndOfFile => None,
        TokenKind::Newline => Some(TokenClass::Newline),
        TokenKind::Indent => Some(TokenClass::Indent),
        TokenKind::Dedent => Some(TokenClass::Dedent),
        _ => Some(TokenClass::Text),
    };
    tokens.iter().filter_map(|(kind, span)| class(*kind).map(|class| Token { class, span: *span })).collect()
}

struct Builder<'a> {
    source: &'a str,
    tokens: Vec<(TokenKind, Span)>,
    next: u32,
    depth: u32,
    problems: Vec<Problem>,
}

impl Builder<'_> {
    fn deeper(&mut self, at: TextRange) -> bool {
        self.depth += 1;
        if self.depth == DEPTH_MAX {
            let problem = Problem::new("this is nested too deeply to be compiled", span(at));
            self.problems.push(Problem { depth: true, ..problem });
        }
        self.depth < DEPTH_MAX
    }

    fn stmts(&mut self, body: &[ast::Stmt]) -> Vec<Stmt> {
        body.iter().map(|stmt| self.stmt(stmt)).collect()
    }

    fn stmt(&mut self, stmt: &ast::Stmt) -> Stmt {
        let kind = if self.deeper(stmt.range()) { self.stmt_kind(stmt) } else { StmtKind::Pass };
        self.depth -= 1;
        Stmt { span: span(stmt.range()), kind }
    }

    fn stmt_kind(&mut self, stmt: &ast::Stmt) -> StmtKind {
        match stmt {
            ast::Stmt::FunctionDef(s) => StmtKind::Function(Box::new(self.function(s))),
            ast::Stmt::ClassDef(s) => StmtKind::Class(Box::new(self.class(s))),
            ast::Stmt::Return(s) => StmtKind::Return(self.maybe(s.value.as_deref())),
            ast::Stmt::Delete(s) => StmtKind::Delete(self.exprs(&s.targets)),
            ast::Stmt::TypeAlias(s) => StmtKind::TypeAlias(self.expr(&s.name), self.expr(&s.value)),
            ast::Stmt::Assign(s) => StmtKind::Assign(Assign {
                targets: self.exprs(&s.targets),
                value: self.expr(&s.value),
                type_comment: self.type_comment(span(s.range).end),
            }),
            ast::Stmt::AugAssign(s) => StmtKind::Augment(self.expr(&s.target), binary_op(s.op), self.expr(&s.value)),
            ast::Stmt::AnnAssign(s) => StmtKind::Annotated {
                target: self.expr(&s.target),
                annotation: self.expr(&s.annotation),
                value: self.maybe(s.value.as_deref()),
            },
            ast::Stmt::For(s) => StmtKind::For(Box::new(For {
                is_async: s.is_async,
                target: self.expr(&s.target),
                iter: self.expr(&s.iter),
                body: self.stmts(&s.body),
                orelse: self.stmts(&s.orelse),
            })),
            ast::Stmt::While(s) => StmtKind::While(self.expr(&s.test), self.stmts(&s.body), self.stmts(&s.orelse)),
            ast::Stmt::If(s) => {
                let test = self.expr(&s.test);
                let body = self.stmts(&s.body);
                StmtKind::If(test, body, self.elifs(&s.elif_else_clauses))
            }
            ast::Stmt::With(s) => StmtKind::With(self.with(s)),
            ast::Stmt::Match(s) => {
                let subject = self.expr(&s.subject);
                StmtKind::Match(subject, s.cases.iter().map(|case| self.case(case)).collect())
            }
            ast::Stmt::Raise(s) => StmtKind::Raise(self.maybe(s.exc.as_deref()), self.maybe(s.cause.as_deref())),
            ast::Stmt::Try(s) => StmtKind::Try(self.try_(s)),
            ast::Stmt::Assert(s) => StmtKind::Assert(self.expr(&s.test), self.maybe(s.msg.as_deref())),
            ast::Stmt::Import(s) => StmtKind::Import(s.names.iter().map(alias).collect()),
            ast::Stmt::ImportFrom(s) => StmtKind::ImportFrom(ImportFrom {
                module: s.module.as_ref().map(ident),
                names: s.names.iter().map(alias).collect(),
                level: s.level,
            }),
            ast::Stmt::Global(s) => StmtKind::Global(s.names.iter().map(ident).collect()),
            ast::Stmt::Nonlocal(s) => StmtKind::Nonlocal(s.names.iter().map(ident).collect()),
            ast::Stmt::Expr(s) => StmtKind::Expr(self.expr(&s.value)),
            ast::Stmt::Pass(_) | ast::Stmt::IpyEscapeCommand(_) => StmtKind::Pass,
            ast::Stmt::Break(_) => StmtKind::Break,
            ast::Stmt::Continue(_) => StmtKind::Continue,
        }
    }

    /// `elif` and `else` become nested `if`s.
    fn elifs(&mut self, clauses: &[ast::ElifElseClause]) -> Vec<Stmt> {
        let Some((first, rest)) = clauses.split_first() else { return Vec::new() };
        let Some(test) = &first.test else { return self.stmts(&first.body) };
        if !self.deeper(first.range) {
            self.depth -= 1;
            return Vec::new();
        }
        let test = self.expr(test);
        let body = self.stmts(&first.body);
        let end = rest.last().map_or(span(first.range).end, |c| span(c.range).end);
        let orelse = self.elifs(rest);
        self.depth -= 1;
        vec![Stmt { span: Span::new(span(first.range).start, end), kind: StmtKind::If(test, body, orelse) }]
    }

    fn function(&mut self, s: &ast::StmtFunctionDef) -> Function {
        let after = s.decorator_list.last().map_or(s.range.start(), |d| d.range.end()).to_u32();
        let def = self.token(after, &[TokenKind::Def, TokenKind::Async]).map_or(after, |t| t.start);
        Function {
            name: ident(&s.name),
            def,
            is_async: s.is_async,
            decorators: s.decorator_list.iter().map(|d| self.expr(&d.expression)).collect(),
            params: self.params(&s.parameters),
            returns: self.maybe(s.returns.as_deref()),
            body: self.stmts(&s.body),
        }
    }

    fn class(&mut self, s: &ast::StmtClassDef) -> Class {
        let (bases, keywords) = match &s.arguments {
            Some(arguments) => (self.exprs(&arguments.args), self.keywords(&arguments.keywords)),
            None => (Vec::new(), Vec::new()),
        };
        Class {
            name: ident(&s.name),
            decorators: s.decorator_list.iter().map(|d| self.expr(&d.expression)).collect(),
            bases,
            keywords,
            body: self.stmts(&s.body),
        }
    }

    fn with(&mut self, s: &ast::StmtWith) -> With {
        let mut items = Vec::new();
        for item in &s.items {
            items.push((self.expr(&item.context_expr), self.maybe(item.optional_vars.as_deref())));
        }
        With { is_async: s.is_async, items, body: self.stmts(&s.body) }
    }

    fn case(&mut self, case: &ast::MatchCase) -> Case {
        let mut pattern = Pattern::default();
        self.pattern(&case.pattern, &mut pattern);
        Case { pattern, guard: self.maybe(case.guard.as_deref()), body: self.stmts(&case.body) }
    }

    fn pattern(&mut self, from: &ast::Pattern, into: &mut Pattern) {
        match from {
            ast::Pattern::MatchValue(p) => into.values.push(self.expr(&p.value)),
            ast::Pattern::MatchSingleton(_) => {}
            ast::Pattern::MatchSequence(p) => p.patterns.iter().for_each(|p| self.pattern(p, into)),
            ast::Pattern::MatchMapping(p) => {
                into.values.extend(p.keys.iter().map(|key| self.expr(key)));
                p.patterns.iter().for_each(|p| self.pattern(p, into));
                into.binds.extend(p.rest.as_ref().map(ident));
            }
            ast::Pattern::MatchClass(p) => {
                into.values.push(self.expr(&p.cls));
                p.arguments.patterns.iter().for_each(|p| self.pattern(p, into));
                p.arguments.keywords.iter().for_each(|k| self.pattern(&k.pattern, into));
            }
            ast::Pattern::MatchStar(p) => into.binds.extend(p.name.as_ref().map(ident)),
            ast::Pattern::MatchAs(p) => {
                if let Some(inner) = &p.pattern {
                    self.pattern(inner, into);
                }
                into.binds.extend(p.name.as_ref().map(ident));
            }
            ast::Pattern::MatchOr(p) => p.patterns.iter().for_each(|p| self.pattern(p, into)),
        }
    }

    fn try_(&mut self, s: &ast::StmtTry) -> Try {
        let mut handlers = Vec::new();
        for ast::ExceptHandler::ExceptHandler(h) in &s.handlers {
            handlers.push(Handler {
                span: span(h.range),
                class: self.maybe(h.type_.as_deref()),
                name: h.name.as_ref().map(ident),
                body: self.stmts(&h.body),
            });
        }
        Try {
            body: self.stmts(&s.body),
            handlers,
            orelse: self.stmts(&s.orelse),
            finalbody: self.stmts(&s.finalbody),
            finally_colon: s.finalbody.first().and_then(|first| self.finally_colon(span(first.range()).start)),
            is_star: s.is_star,
        }
    }

    /// The end of the colon of the last `finally` before `body`.
    fn finally_colon(&self, body: u32) -> Option<u32> {
        let before = self.tokens.partition_point(|(_, span)| span.start < body);
        let finally = self.tokens[..before].iter().rposition(|(kind, _)| *kind == TokenKind::Finally)?;
        let (kind, span) = self.tokens.get(finally + 1)?;
        (*kind == TokenKind::Colon).then_some(span.end)
    }

    /// The first token of one of these kinds at or after `offset`.
    fn token(&self, offset: u32, kinds: &[TokenKind]) -> Option<Span> {
        let from = self.tokens.partition_point(|(_, span)| span.start < offset);
        self.tokens[from..].iter().find(|(kind, _)| kinds.contains(kind)).map(|(_, span)| *span)
    }

    /// A `# type:` comment between `end` and the end of its line.
    fn type_comment(&self, end: u32) -> Option<Ident> {
        let comment = self.token(end, &[TokenKind::Comment])?;
        if Span::new(end, comment.start).text(self.source).contains('\n') {
            return None;
        }
        let text = comment.text(self.source).strip_prefix('#')?.trim_start().strip_prefix("type:")?;
        let text = text.split('#').next()?.trim();
        let offset = (text.as_ptr() as usize - self.source.as_ptr() as usize) as u32;
        Some(Ident { name: text.to_owned(), span: Span::new(offset, offset + text.len() as u32) })
    }

    fn params(&mut self, from: &ast::Parameters) -> Vec<Param> {
        let mut params = Vec::new();
        for p in &from.posonlyargs {
            params.push(self.param(&p.parameter, p.default.as_deref(), ParamKind::PositionalOnly));
        }
        for p in &from.args {
            params.push(self.param(&p.parameter, p.default.as_deref(), ParamKind::Normal));
        }
        if let Some(p) = &from.vararg {
            params.push(self.param(p, None, ParamKind::VarPositional));
        }
        for p in &from.kwonlyargs {
            params.push(self.param(&p.parameter, p.default.as_deref(), ParamKind::KeywordOnly));
        }
        if let Some(p) = &from.kwarg {
            params.push(self.param(p, None, ParamKind::VarKeyword));
        }
        params
    }

    fn param(&mut self, p: &ast::Parameter, default: Option<&ast::Expr>, kind: ParamKind) -> Param {
        Param {
            name: ident(&p.name),
            kind,
            annotation: self.maybe(p.annotation.as_deref()),
            default: self.maybe(default),
        }
    }

    fn exprs(&mut self, exprs: &[ast::Expr]) -> Vec<Expr> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn maybe(&mut self, expr: Option<&ast::Expr>) -> Option<Expr> {
        expr.map(|expr| self.expr(expr))
    }

    fn boxed(&mut self, expr: &ast::Expr) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    fn maybe_boxed(&mut self, expr: Option<&ast::Expr>) -> Option<Box<Expr>> {
        expr.map(|expr| self.boxed(expr))
    }

    fn keywords(&mut self, keywords: &[ast::Keyword]) -> Vec<Keyword> {
        keywords.iter().map(|k| Keyword { name: k.arg.as_ref().map(ident), value: self.expr(&k.value) }).collect()
    }

    fn expr(&mut self, expr: &ast::Expr) -> Expr {
        let id = ExprId(self.next);
        self.next = self.next.saturating_add(1);
        let kind = if self.deeper(expr.range()) { self.expr_kind(expr) } else { ExprKind::None };
        self.depth -= 1;
        Expr { id, span: span(expr.range()), kind }
    }

    fn expr_kind(&mut self, expr: &ast::Expr) -> ExprKind {
        match expr {
            ast::Expr::BoolOp(e) => ExprKind::Bool2(self.exprs(&e.values)),
            ast::Expr::Named(e) => ExprKind::Named(self.boxed(&e.target), self.boxed(&e.value)),
            ast::Expr::BinOp(e) => ExprKind::Binary(self.boxed(&e.left), binary_op(e.op), self.boxed(&e.right)),
            ast::Expr::UnaryOp(e) => self.unary(e),
            ast::Expr::Lambda(e) => ExprKind::Lambda(Box::new(Lambda {
                params: e.parameters.as_deref().map_or_else(Vec::new, |p| self.params(p)),
                body: self.expr(&e.body),
            })),
            ast::Expr::If(e) => {
                ExprKind::IfElse(Box::new([self.expr(&e.test), self.expr(&e.body), self.expr(&e.orelse)]))
            }
            ast::Expr::Dict(e) => ExprKind::Dict(
                e.items.iter().map(|item| (self.maybe(item.key.as_ref()), self.expr(&item.value))).collect(),
            ),
            ast::Expr::Set(e) => ExprKind::Set(self.exprs(&e.elts)),
            ast::Expr::ListComp(e) => self.comp(CompKind::List, &[&e.elt], &e.generators),
            ast::Expr::SetComp(e) => self.comp(CompKind::Set, &[&e.elt], &e.generators),
            ast::Expr::DictComp(e) => match &e.key {
                Some(key) => self.comp(CompKind::Dict, &[key, &e.value], &e.generators),
                None => self.comp(CompKind::Dict, &[&e.value], &e.generators),
            },
            ast::Expr::Generator(e) => {
                let kind = CompKind::Generator { parenthesized: e.parenthesized };
                self.comp(kind, &[&e.elt], &e.generators)
            }
            ast::Expr::Await(e) => ExprKind::Await(self.boxed(&e.value)),
            ast::Expr::Yield(e) => ExprKind::Yield(self.maybe_boxed(e.value.as_deref())),
            ast::Expr::YieldFrom(e) => ExprKind::YieldFrom(self.boxed(&e.value)),
            ast::Expr::Compare(e) => self.compare(e),
            ast::Expr::Call(e) => ExprKind::Call(Box::new(Call {
                func: self.expr(&e.func),
                args: self.exprs(&e.arguments.args),
                keywords: self.keywords(&e.arguments.keywords),
            })),
            ast::Expr::FString(e) => self.fstring(e),
            ast::Expr::TString(e) => {
                let mut parts = Vec::new();
                e.value.iter().for_each(|t| self.interpolations(&t.elements, false, &mut parts));
                ExprKind::Format(Format { parts, texts: None })
            }
            ast::Expr::StringLiteral(e) => ExprKind::Str(e.value.to_str().to_owned()),
            ast::Expr::BytesLiteral(e) => ExprKind::Bytes(e.value.bytes().collect()),
            ast::Expr::NumberLiteral(e) => match &e.value {
                ast::Number::Int(int) => ExprKind::Int(int.to_string()),
                ast::Number::Float(float) => ExprKind::Float(*float),
                ast::Number::Complex { real, imag } => ExprKind::Complex(*real, *imag),
            },
            ast::Expr::BooleanLiteral(e) => ExprKind::Bool(e.value),
            ast::Expr::NoneLiteral(_) | ast::Expr::IpyEscapeCommand(_) => ExprKind::None,
            ast::Expr::EllipsisLiteral(_) => ExprKind::Ellipsis,
            ast::Expr::Attribute(e) => ExprKind::Attribute(self.boxed(&e.value), ident(&e.attr)),
            ast::Expr::Subscript(e) => ExprKind::Subscript(self.boxed(&e.value), self.boxed(&e.slice)),
            ast::Expr::Starred(e) => ExprKind::Starred(self.boxed(&e.value)),
            ast::Expr::Name(e) => ExprKind::Name(e.id.to_string()),
            ast::Expr::List(e) => ExprKind::List(self.exprs(&e.elts)),
            ast::Expr::Tuple(e) => ExprKind::Tuple(self.exprs(&e.elts)),
            ast::Expr::Slice(e) => ExprKind::Slice([
                self.maybe_boxed(e.lower.as_deref()),
                self.maybe_boxed(e.upper.as_deref()),
                self.maybe_boxed(e.step.as_deref()),
            ]),
        }
    }

    fn unary(&mut self, e: &ast::ExprUnaryOp) -> ExprKind {
        let operand = self.boxed(&e.operand);
        match e.op {
            ast::UnaryOp::Not => ExprKind::Not(operand),
            ast::UnaryOp::USub => ExprKind::Unary(UnaryOp::Minus, operand),
            ast::UnaryOp::UAdd => ExprKind::Unary(UnaryOp::Plus, operand),
            ast::UnaryOp::Invert => ExprKind::Unary(UnaryOp::Invert, operand),
        }
    }

    fn compare(&mut self, e: &ast::ExprCompare) -> ExprKind {
        let left = self.boxed(&e.left);
        let rest = e.ops.iter().zip(&*e.comparators).map(|(op, right)| (compare_op(*op), self.expr(right))).collect();
        ExprKind::Compare(left, rest)
    }

    fn comp(&mut self, kind: CompKind, elements: &[&ast::Expr], clauses: &[ast::Comprehension]) -> ExprKind {
        let clauses = clauses
            .iter()
            .map(|c| CompClause {
                target: self.expr(&c.target),
                iter: self.expr(&c.iter),
                conditions: self.exprs(&c.ifs),
                is_async: c.is_async,
            })
            .collect();
        let elements = elements.iter().map(|e| self.expr(e)).collect();
        ExprKind::Comp(Box::new(Comp { kind, elements, clauses }))
    }

    fn fstring(&mut self, e: &ast::ExprFString) -> ExprKind {
        let mut parts = Vec::new();
        let mut texts = Some(vec![String::new()]);
        for part in e.value.iter() {
            match part {
                ast::FStringPart::Literal(literal) => push_text(&mut texts, &literal.value),
                ast::FStringPart::FString(f) => {
                    f.elements.iter().for_each(|element| next_text(element, &mut texts));
                    self.interpolations(&f.elements, false, &mut parts);
                }
            }
        }
        ExprKind::Format(Format { parts, texts })
    }

    fn interpolations(
        &mut self,
        elements: &ast::InterpolatedStringElements,
        in_spec: bool,
        into: &mut Vec<Interpolation>,
    ) {
        for element in elements.iter() {
            let ast::InterpolatedStringElement::Interpolation(part) = element else { continue };
            into.push(Interpolation { value: self.expr(&part.expression), debug: part.debug_text.is_some(), in_spec });
            if let Some(spec) = &part.format_spec {
                self.interpolations(&spec.elements, true, into);
            }
        }
    }
}

fn push_text(texts: &mut Option<Vec<String>>, text: &str) {
    if let Some(last) = texts.as_mut().and_then(|texts| texts.last_mut()) {
        last.push_str(text);
    }
}

/// The literal texts of an f-string, as long as all its parts are plain.
fn next_text(element: &ast::InterpolatedStringElement, texts: &mut Option<Vec<String>>) {
    match element {
        ast::InterpolatedStringElement::Literal(literal) => push_text(texts, &literal.value),
        ast::InterpolatedStringElement::Interpolation(part) => {
            let plain = part.debug_text.is_none()
                && part.format_spec.is_none()
                && matches!(part.conversion, ast::ConversionFlag::None);
            match texts.as_mut().filter(|_| plain) {
                Some(texts) => texts.push(String::new()),
                None => *texts = None,
            }
        }
    }
}

fn ident(from: &ast::Identifier) -> Ident {
    Ident { name: from.id.to_string(), span: span(from.range) }
}

fn alias(from: &ast::Alias) -> Alias {
    Alias { name: ident(&from.name), asname: from.asname.as_ref().map(ident) }
}

fn binary_op(op: ast::Operator) -> BinaryOp {
    match op {
        ast::Operator::Add => BinaryOp::Add,
        ast::Operator::Mult => BinaryOp::Mult,
        ast::Operator::BitOr => BinaryOp::BitOr,
        ast::Operator::Mod => BinaryOp::Mod,
        ast::Operator::Sub
        | ast::Operator::MatMult
        | ast::Operator::Div
        | ast::Operator::Pow
        | ast::Operator::LShift
        | ast::Operator::RShift
        | ast::Operator::BitXor
        | ast::Operator::BitAnd
        | ast::Operator::FloorDiv => BinaryOp::Other,
    }
}

fn compare_op(op: ast::CmpOp) -> CompareOp {
    match op {
        ast::CmpOp::In | ast::CmpOp::NotIn => CompareOp::In,
        ast::CmpOp::Is | ast::CmpOp::IsNot => CompareOp::Is,
        ast::CmpOp::Eq | ast::CmpOp::NotEq | ast::CmpOp::Lt | ast::CmpOp::LtE | ast::CmpOp::Gt | ast::CmpOp::GtE => {
            CompareOp::Other
        }
    }
}
