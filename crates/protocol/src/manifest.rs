//! What the compiler tells the rest of the system about an application. Written by `compiler`, read by the engine
//! (routes, lock modes, foreseen cells), the gateway (routes, parameters) and the worker (which class, which fields).

use minicbor::{Decode, Encode};

use crate::ids::DeploymentId;
use crate::schema::Type;
use crate::value::Value;
use crate::{json, msgpack};

/// One compiled application.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Manifest {
    /// Services and entities, sorted by name.
    #[n(0)]
    pub services: Vec<Service>,
    /// Modules in an order in which they can be loaded (imported before importing).
    #[n(1)]
    pub modules: Vec<Module>,
    /// Digest of everything above.
    #[n(2)]
    pub deployment: DeploymentId,
    /// Dataclasses and enums that values may contain, by registered (qualified) name: used to check JSON arguments.
    #[n(3)]
    pub records: Vec<RecordType>,
    /// Services that are written elsewhere, as the application's `@client` classes state them; those are in
    /// [`Service::module`]. Sorted by name.
    #[cbor(n(4), default)]
    pub expected: Vec<Service>,
}

/// A Python module of the application, as the worker loads it.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Module {
    /// Dotted import name (`app`, `shop.models`).
    #[n(0)]
    pub name: String,
    /// Path shown in tracebacks, as the user gave it.
    #[n(1)]
    pub path: String,
    /// The user's source.
    #[n(2)]
    pub source: String,
    /// Lowered Python text.
    #[n(3)]
    pub lowered: String,
    /// Source map: maps byte ranges of `lowered` to byte ranges of `source`, ascending, covering all of `lowered`.
    #[n(4)]
    pub map: Vec<MapPiece>,
    /// True for a package's `__init__`.
    #[n(5)]
    pub package: bool,
}

/// One piece of a source map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct MapPiece {
    /// Where the piece starts in the lowered text (it ends where the next one starts).
    #[n(0)]
    pub lowered: u32,
    /// Start of the user's range.
    #[n(1)]
    pub start: u32,
    /// End of the user's range. A verbatim piece maps byte by byte from `start`; a generated one stands for the range.
    #[n(2)]
    pub end: u32,
    /// True if the piece's text is the user's, byte for byte.
    #[n(3)]
    pub verbatim: bool,
}

/// A service or entity class.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Service {
    /// Public name: the class name.
    #[n(0)]
    pub name: String,
    /// Index in [`Manifest::modules`] of the module that defines it.
    #[n(1)]
    pub module: u32,
    /// `None` for a service; for an entity, the type of its key.
    #[n(2)]
    pub entity_key: Option<Type>,
    /// Persistent fields.
    #[n(3)]
    pub fields: Vec<Field>,
    /// Methods that can be invoked (public ones; in the mu2sls dialect all).
    #[n(4)]
    pub methods: Vec<Method>,
    /// Clients: attribute name and the service it calls.
    #[n(5)]
    pub clients: Vec<(String, String)>,
    /// The mu2sls dialect.
    #[n(6)]
    pub mu2sls: bool,
    /// What it is written in, so who runs it.
    #[cbor(n(7), default)]
    pub language: Language,
}

/// Languages of services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Language {
    /// Run by worker processes.
    #[default]
    #[n(0)]
    Python,
    /// Run inside the server. Belongs to no module: [`Service::module`] has no meaning.
    #[n(1)]
    Rust,
}

/// Shape of a persistent field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FieldKind {
    /// One cell holding any value (also a set).
    #[default]
    #[n(0)]
    Scalar,
    /// One cell per dict key.
    #[n(1)]
    Dict,
    /// A list in chunks of [`crate::list::CHUNK_LEN`] elements, all in one slot.
    #[n(2)]
    List,
}

/// A persistent field.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Field {
    /// Attribute name.
    #[n(0)]
    pub name: String,
    /// Shape.
    #[n(1)]
    pub kind: FieldKind,
    /// Type of the stored value: of the whole field if scalar, of one entry's value if a dict, of an element if a list.
    #[n(2)]
    pub value_type: Type,
    /// Type of a dict's keys.
    #[n(3)]
    pub key_type: Type,
    /// Initial value, as canonical msgpack ([`crate::msgpack`]): of the whole field, a dict for a dict field, a list for
    /// a list field.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub initial: Vec<u8>,
    /// Methods may hold objects of its cells while they wait: these are brought up to date before a method goes on.
    #[n(5)]
    pub held: bool,
}

/// How a lock is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Mode {
    /// Several readers together.
    #[default]
    #[n(0)]
    Shared,
    /// One attempt alone.
    #[n(1)]
    Exclusive,
}

/// A method that can be invoked.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Method {
    /// Name.
    #[n(0)]
    pub name: String,
    /// Parameters without `self`.
    #[n(1)]
    pub parameters: Vec<Parameter>,
    /// True if the method suspends: it makes calls, sleeps or runs transactions (lowered to a coroutine).
    #[n(2)]
    pub coloured: bool,
    /// Proven to write no field and to make no calls, sends or transactions: shared locks, no record.
    #[n(3)]
    pub read_only: bool,
    /// Where invocations of a service's method are routed (an entity's methods always go to the entity's key).
    #[n(4)]
    pub route: Option<KeyExpr>,
    /// Cells that the method is expected to touch in its first step.
    #[n(5)]
    pub foreseen: Vec<Foreseen>,
    /// For each field that the method (with its helpers) touches, how its cells are locked.
    #[n(6)]
    pub modes: Vec<(String, Mode)>,
    /// Return type, for documentation and JSON.
    #[n(7)]
    pub returns: Type,
    /// First line of the docstring.
    #[n(8)]
    pub doc: String,
    /// Example arguments from a `>>> ….method(args)` line of the docstring, as JSON text of an array.
    #[n(9)]
    pub example: Option<String>,
    /// Digest of the lowered method and everything of the application that it reaches.
    #[n(10)]
    pub digest: u64,
    /// Line of the `def` in the user's file, from 1.
    #[n(11)]
    pub line: u32,
    /// Public HTTP route? (leading underscore: no; mu2sls: always.)
    #[n(12)]
    pub public: bool,
}

/// One parameter of a method.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Parameter {
    /// Name.
    #[n(0)]
    pub name: String,
    /// How it can be passed.
    #[n(1)]
    pub kind: ParameterKind,
    /// Annotated type.
    #[n(2)]
    pub ty: Type,
    /// Has a default (evaluated by the worker).
    #[n(3)]
    pub default: bool,
}

/// How a parameter can be passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ParameterKind {
    /// By position or name.
    #[default]
    #[n(0)]
    Normal,
    /// Before `/`.
    #[n(1)]
    PositionalOnly,
    /// After `*`.
    #[n(2)]
    KeywordOnly,
    /// `*args`.
    #[n(3)]
    VarPositional,
    /// `**kwargs`.
    #[n(4)]
    VarKeyword,
}

/// A key that can be computed from the arguments before the method runs.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum KeyExpr {
    /// The parameter with this index in [`Method::parameters`].
    #[n(0)]
    Parameter(#[n(0)] u32),
    /// An item of the parameter: `p["name"]`, or the field `p.name` of a dataclass.
    #[n(1)]
    Item(#[n(0)] u32, #[n(1)] String),
    /// `str(p)`.
    #[n(2)]
    Str(#[n(0)] u32),
    /// A constant, as canonical msgpack.
    #[n(3)]
    Constant(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// `str(…)` of a `str` or an `int`.
    #[n(4)]
    Text(#[n(0)] Box<KeyExpr>),
    /// An item or field, by its name, of what another gives.
    #[n(5)]
    Part(#[n(0)] Box<KeyExpr>, #[n(1)] String),
    /// An f-string of plain parts, each a `str` or an `int`.
    #[n(6)]
    Join(#[n(0)] Vec<KeyExpr>),
    /// `a + b` of texts.
    #[n(7)]
    Concat(#[n(0)] Vec<KeyExpr>),
    /// A tuple.
    #[n(8)]
    Tuple(#[n(0)] Vec<KeyExpr>),
    /// A key for each element of a collection: the collection, and the key in terms of [`KeyExpr::Element`].
    #[n(9)]
    Each(#[n(0)] Box<KeyExpr>, #[n(1)] Box<KeyExpr>),
    /// The element, in a key of [`KeyExpr::Each`].
    #[n(10)]
    Element,
    /// For a list field: the chunk of the element whose index the parameter is, if the list begins at 0.
    #[n(11)]
    Chunk(#[n(0)] u32),
}

impl KeyExpr {
    /// As the program writes it, for people.
    pub fn text(&self, method: &Method) -> String {
        self.within(method, "")
    }

    fn within(&self, method: &Method, list: &str) -> String {
        let parameter = |index: &u32| method.parameters.get(*index as usize).map_or("?", |p| p.name.as_str());
        let all =
            |keys: &[Self], between| keys.iter().map(|k| k.within(method, list)).collect::<Vec<_>>().join(between);
        match self {
            Self::Parameter(index) => parameter(index).to_owned(),
            Self::Item(index, item) => format!("{}.{item}", parameter(index)),
            Self::Str(index) => format!("str({})", parameter(index)),
            Self::Constant(bytes) => json::write_msgpack(bytes, json::Form::Natural).unwrap_or_default(),
            Self::Text(key) => format!("str({})", key.within(method, list)),
            Self::Part(key, item) => match key.within(method, list).split_once(" of each of ") {
                Some((path, list)) => format!("{path}.{item} of each of {list}"),
                None if **key == Self::Element => format!("{item} of each of {list}"),
                None => format!("{}.{item}", key.within(method, list)),
            },
            Self::Join(keys) => {
                let part = |key: &Self| match key {
                    Self::Constant(bytes) => match msgpack::decode(bytes) {
                        Ok(Value::Str(text)) => text,
                        _ => String::new(),
                    },
                    other => format!("{{{}}}", other.within(method, list)),
                };
                format!("f\"{}\"", keys.iter().map(part).collect::<String>())
            }
            Self::Concat(keys) => all(keys, " + "),
            Self::Tuple(keys) => format!("({})", all(keys, ", ")),
            Self::Each(elements, key) => key.within(method, &elements.within(method, list)),
            Self::Element => format!("each of {list}"),
            Self::Chunk(index) => format!("chunk of {}", parameter(index)),
        }
    }
}

/// Cells that a method is expected to touch.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Foreseen {
    /// Field of the method's own service.
    #[n(0)]
    pub field: String,
    /// Which cells of it.
    #[n(1)]
    pub what: ForeseenCells,
}

/// Which cells of a field are foreseen.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ForeseenCells {
    /// The one cell of a scalar field.
    #[n(0)]
    Scalar,
    /// The entry of a dict field with this key; of a list field, its header (key `None`) or a chunk (its number).
    #[n(1)]
    Entry(#[n(0)] KeyExpr),
    /// The whole field: iteration, `clear`, assignment; of a dict also `len` and truth.
    #[n(2)]
    Whole,
}

/// A dataclass or enum that values may contain.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct RecordType {
    /// Registered name: `module.Class`.
    #[n(0)]
    pub name: String,
    /// Fields of a dataclass: name, type, has a default. Empty for an enum.
    #[n(1)]
    pub fields: Vec<(String, Type, bool)>,
    /// Members of an enum: name and literal value as canonical msgpack. Empty for a dataclass.
    #[n(2)]
    pub members: Vec<EnumMember>,
    /// True for an enum.
    #[n(3)]
    pub is_enum: bool,
}

/// A member of an enum.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct EnumMember {
    /// Name.
    #[n(0)]
    pub name: String,
    /// Value, as canonical msgpack; empty if it is not a literal.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub value: Vec<u8>,
}

impl Manifest {
    /// The service with this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.binary_search_by(|s| s.name.as_str().cmp(name)).ok().map(|i| &self.services[i])
    }
}

impl Service {
    /// The method with this name.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|m| m.name == name)
    }

    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}
