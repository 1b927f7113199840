//! What a method's body does with the members of `self`: read from its text, in the order of evaluation as far as that
//! can be told. Nothing rests on it but speed: what is missed is locked when it is touched.

use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Item, Lit, Macro, Member, PatIdent, Token};

/// What was found.
#[derive(Default)]
pub(crate) struct Uses {
    /// Expressions of `macros::Use`.
    pub(crate) uses: Vec<TokenStream>,
    pub(crate) helpers: Vec<String>,
    pub(crate) opaque: bool,
    pub(crate) sends: bool,
}

/// Reads a body.
pub(crate) fn read(block: &Block, parameters: &[String]) -> Uses {
    let mut bound = Bound::default();
    bound.visit_block(block);
    let parameters = parameters.iter().map(|name| (!bound.names.contains(name)).then(|| name.clone())).collect();
    let mut reader = Reader { parameters, found: Uses::default(), waited: false };
    reader.visit_block(block);
    reader.found
}

/// Where a body waits itself, not in a block or closure that is a future of its own.
pub(crate) fn first_wait(block: &Block) -> Option<Token![await]> {
    let mut waits = Waits::default();
    waits.visit_block(block);
    waits.first
}

#[derive(Default)]
struct Waits {
    first: Option<Token![await]>,
}

impl<'ast> Visit<'ast> for Waits {
    fn visit_expr_await(&mut self, expr: &'ast syn::ExprAwait) {
        visit::visit_expr_await(self, expr);
        self.first.get_or_insert(expr.await_token);
    }

    fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}

    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}

    fn visit_item(&mut self, _: &'ast Item) {}
}

/// Names that the body binds: they are not the parameters any more.
#[derive(Default)]
struct Bound {
    names: HashSet<String>,
}

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        self.names.insert(pattern.ident.to_string());
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        if let Expr::Path(path) = &*assign.left
            && let Some(name) = path.path.get_ident()
        {
            self.names.insert(name.to_string());
        }
        visit::visit_expr_assign(self, assign);
    }
}

struct Reader {
    /// By place; `None` if the name may mean something else.
    parameters: Vec<Option<String>>,
    found: Uses,
    /// Something was waited for: later uses are not of the first step.
    waited: bool,
}

fn is_self(expr: &Expr) -> bool {
    matches!(expr, Expr::Path(path) if path.path.is_ident("self"))
}

/// `self.member`.
fn member(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Field(field) if is_self(&field.base) => match &field.member {
            Member::Named(name) => Some(name.to_string()),
            Member::Unnamed(_) => None,
        },
        Expr::Paren(paren) => member(&paren.expr),
        _ => None,
    }
}

impl Reader {
    fn used(&mut self, member: &str, method: &str, key: Option<&Expr>) {
        let key = key.map_or_else(|| quote!(Unknown), |key| self.key(key));
        let first_step = !self.waited;
        self.found.uses.push(quote! {
            ::sostenuto::macros::Use {
                member: #member,
                method: #method,
                key: ::sostenuto::macros::KeyFact::#key,
                first_step: #first_step,
            }
        });
    }

    fn parameter(&self, expr: &Expr) -> Option<u32> {
        let Expr::Path(path) = expr else { return None };
        let name = path.path.get_ident()?.to_string();
        let place = self.parameters.iter().position(|parameter| parameter.as_ref() == Some(&name))?;
        u32::try_from(place).ok()
    }

    /// A variant of `macros::KeyFact`.
    fn key(&self, expr: &Expr) -> TokenStream {
        let unknown = quote!(Unknown);
        match expr {
            Expr::Reference(reference) => self.key(&reference.expr),
            Expr::Paren(paren) => self.key(&paren.expr),
            Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => self.key(&unary.expr),
            Expr::Path(_) => self.parameter(expr).map_or(unknown, |index| quote!(Parameter(#index))),
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => quote!(Constant(#text)),
                _ => unknown,
            },
            Expr::Field(field) => match (self.parameter(&field.base), &field.member) {
                (Some(index), Member::Named(name)) => {
                    let name = name.to_string();
                    quote!(Item(#index, #name))
                }
                _ => unknown,
            },
            Expr::MethodCall(call) if call.args.is_empty() => match call.method.to_string().as_str() {
                "clone" | "as_str" | "to_owned" | "into" | "as_ref" => self.key(&call.receiver),
                "to_string" => match self.parameter(&call.receiver) {
                    Some(index) => quote!(Text(#index)),
                    None => unknown,
                },
                _ => unknown,
            },
            _ => unknown,
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let method = call.method.to_string();
        let receiver = member(&call.receiver);
        if receiver.is_none() && !is_self(&call.receiver) {
            self.visit_expr(&call.receiver);
        }
        call.args.iter().for_each(|argument| self.visit_expr(argument));
        if let Some(member) = receiver {
            self.used(&member, &method, call.args.first());
        } else if is_self(&call.receiver) && method != "key" {
            self.found.helpers.push(method);
        } else if method == "send" && call.args.is_empty() {
            self.found.sends = true;
        }
    }

    fn visit_expr_field(&mut self, field: &'ast syn::ExprField) {
        if is_self(&field.base)
            && let Member::Named(name) = &field.member
        {
            self.used(&name.to_string(), "", None);
        } else {
            visit::visit_expr_field(self, field);
        }
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        self.found.opaque |= path.path.is_ident("self");
    }

    fn visit_expr_await(&mut self, expr: &'ast syn::ExprAwait) {
        visit::visit_expr_await(self, expr);
        self.waited = true;
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        match parser.parse2(invoked.tokens.clone()) {
            // The expressions live as long as this visit.
            Ok(expressions) => expressions.iter().for_each(|expr| Reader::visit_owned(self, expr)),
            Err(_) => self.found.opaque |= mentions_self(invoked.tokens.clone()),
        }
    }

    /// Items within a body have a `self` of their own.
    fn visit_item(&mut self, _: &'ast Item) {}
}

impl Reader {
    fn visit_owned(&mut self, expr: &Expr) {
        Visit::visit_expr(self, expr);
    }
}

/// Also in the text of a format string, where `{self.x}` is no expression that Rust allows.
fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "self",
        TokenTree::Group(group) => mentions_self(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
