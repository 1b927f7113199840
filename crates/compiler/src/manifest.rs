//! Writes down what the rest of the system must know of an application.

use protocol::ids::DeploymentId;
use protocol::manifest::{
    EnumMember, Field, Language, Manifest, Method, Module, Parameter, ParameterKind, RecordType, Service,
};
use protocol::schema::Type;
use protocol::{Value, json, msgpack};

use crate::check::circles;
use crate::colour::Colours;
use crate::digest;
use crate::flow::Flow;
use crate::hir::{self, ExprKind, ParamKind, StmtKind};
use crate::lower::Lowered;
use crate::model::{self, ClassId, FileId, FunctionId, Model, Record, Role, ServiceId, constant, types};
use crate::parse;
use crate::span::line_column;

/// The manifest of a compiled application.
pub(crate) fn build(
    model: &Model<'_>,
    colours: &Colours,
    flow: &Flow,
    lowered: Vec<Lowered>,
    digests: &[[u8; 32]],
) -> Manifest {
    let (order, _) = circles::order(model);
    let digests = digest::with_imports(digests, |file| model.imported(file));
    let mut places = vec![0; order.len()];
    order.iter().zip(0..).for_each(|(file, place)| places[*file] = place);
    let writer = Writer { model, colours, flow, digests, places };
    let (mut expected, mut services): (Vec<Service>, Vec<Service>) =
        (0..model.services.len()).map(|s| writer.service(s)).partition(|service| service.language == Language::Rust);
    services.sort_by(|a, b| a.name.cmp(&b.name));
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    let mut texts: Vec<Option<Lowered>> = lowered.into_iter().map(Some).collect();
    let modules = order.iter().map(|file| module(model, *file, texts[*file].take().unwrap_or_default())).collect();
    let records = (0..model.classes.len()).filter_map(|c| record(model, c)).collect();
    let mut manifest = Manifest { services, modules, deployment: DeploymentId::default(), records, expected };
    let bytes = minicbor::to_vec(&manifest).unwrap_or_default();
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
    manifest.deployment = DeploymentId(id);
    manifest
}

fn module(model: &Model<'_>, file: FileId, lowered: Lowered) -> Module {
    let source = model.files[file].source;
    Module {
        name: source.module.clone(),
        path: source.path.clone(),
        source: source.source.clone(),
        lowered: lowered.text,
        map: lowered.map,
        package: source.package,
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    msgpack::encode(value).unwrap_or_default()
}

struct Writer<'m, 'a> {
    model: &'m Model<'a>,
    colours: &'m Colours,
    flow: &'m Flow,
    digests: Vec<u64>,
    /// Place of each file in the order of loading.
    places: Vec<u32>,
}

impl Writer<'_, '_> {
    fn service(&self, id: ServiceId) -> Service {
        let info = &self.model.services[id];
        let file = self.model.classes[info.class].file;
        let clients = info.clients.iter().map(|(n, s, _)| (n.clone(), self.model.services[*s].name.to_owned()));
        let methods = info.methods.iter().filter(|(name, f)| self.invocable(name, *f));
        Service {
            name: info.name.to_owned(),
            module: self.places[file],
            entity_key: info.entity_key.clone(),
            fields: info.fields.iter().enumerate().map(|(i, f)| field(f, self.flow.held.contains(&(id, i)))).collect(),
            methods: methods.map(|(_, f)| self.method(*f, info.mu2sls)).collect(),
            clients: clients.collect(),
            mu2sls: info.mu2sls,
            language: if info.elsewhere { Language::Rust } else { Language::Python },
        }
    }

    fn invocable(&self, name: &str, function: FunctionId) -> bool {
        let special = name.starts_with("__") && name.ends_with("__");
        !special && self.model.functions[function].role == Role::Plain
    }

    fn method(&self, id: FunctionId, mu2sls: bool) -> Method {
        let info = &self.model.functions[id];
        let source = &self.model.files[info.file].source.source;
        let facts = &self.flow.facts[id];
        let doc = info.hir.docstring().unwrap_or_default();
        let ty = |annotation: Option<&hir::Expr>| {
            annotation.map_or(Type::Any, |a| types::annotated(self.model, info.outer, a))
        };
        let name = &info.hir.name.name;
        Method {
            name: name.clone(),
            parameters: info.hir.params.iter().skip(1).map(|p| parameter(p, ty(p.annotation.as_ref()))).collect(),
            coloured: self.colours.coroutine(self.model, id),
            read_only: facts.read_only,
            route: facts.route.clone(),
            foreseen: facts.foreseen.clone(),
            modes: facts.modes.clone(),
            returns: ty(info.hir.returns.as_ref()),
            doc: doc.trim().lines().next().unwrap_or_default().trim().to_owned(),
            example: example(doc, name),
            digest: self.digests[self.model.origin(info.file)],
            line: line_column(source, info.hir.def).0,
            public: mu2sls || !name.starts_with('_'),
        }
    }
}

fn parameter(from: &hir::Param, ty: Type) -> Parameter {
    let kind = match from.kind {
        ParamKind::Normal => ParameterKind::Normal,
        ParamKind::PositionalOnly => ParameterKind::PositionalOnly,
        ParamKind::KeywordOnly => ParameterKind::KeywordOnly,
        ParamKind::VarPositional => ParameterKind::VarPositional,
        ParamKind::VarKeyword => ParameterKind::VarKeyword,
    };
    Parameter { name: from.name.name.clone(), kind, ty, default: from.default.is_some() }
}

fn field(from: &model::Field, held: bool) -> Field {
    Field {
        name: from.name.clone(),
        kind: from.kind,
        value_type: from.value_type.clone(),
        key_type: from.key_type.clone(),
        initial: encoded(&from.initial),
        held,
    }
}

/// The arguments of the first `>>> ….method(literals)` line of a docstring, as a JSON array.
fn example(doc: &str, method: &str) -> Option<String> {
    doc.lines().filter_map(|line| line.trim().strip_prefix(">>>")).find_map(|line| {
        let text = line.trim();
        let expr = parse::parse_expression(text, crate::span::Span::new(0, text.len() as u32))?;
        let expr = match &expr.kind {
            ExprKind::Await(inner) => inner,
            _ => &expr,
        };
        let call = expr.as_call()?;
        let ExprKind::Attribute(_, name) = &call.func.kind else { return None };
        if name.name != method || !call.keywords.is_empty() {
            return None;
        }
        let values: Option<Vec<Value>> = call.args.iter().map(constant::literal).collect();
        json::write(&Value::List(values?), json::Form::Natural).ok()
    })
}

/// A dataclass or enum, as values may contain it.
fn record(model: &Model<'_>, id: ClassId) -> Option<RecordType> {
    let class = &model.classes[id];
    let name = model.class_name(id);
    match class.record? {
        Record::Dataclass { .. } => {
            let fields = class.hir.body.iter().filter_map(|stmt| match &stmt.kind {
                StmtKind::Annotated { target, annotation, value } => {
                    let ty = types::annotated(model, class.scope, annotation);
                    Some((target.as_name()?.to_owned(), ty, value.is_some()))
                }
                _ => None,
            });
            Some(RecordType { name, fields: fields.collect(), members: Vec::new(), is_enum: false })
        }
        Record::Enum => {
            let members = class.hir.body.iter().filter_map(|stmt| match &stmt.kind {
                StmtKind::Assign(assign) => {
                    let name = assign.targets.first()?.as_name().filter(|n| !n.starts_with('_'))?.to_owned();
                    let value = constant::evaluate(model, class.scope, &assign.value);
                    Some(EnumMember { name, value: value.map(|v| encoded(&v)).unwrap_or_default() })
                }
                _ => None,
            });
            Some(RecordType { name, fields: Vec::new(), members: members.collect(), is_enum: true })
        }
        Record::TypedDict | Record::NamedTuple => None,
    }
}
