//! What services are: their members, methods, and what each method does with fields. Macros state it; the manifest is
//! made from it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::list::HEADER_KEY;
use protocol::manifest::{Field, FieldKind, Foreseen, ForeseenCells, KeyExpr, Language, Method, Mode, Service};
use protocol::schema::Type;
use protocol::{Value, msgpack};

use crate::cells::FieldIndex;
use crate::client::{Stated, parameter};

/// A service as its macros describe it.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// Public name.
    pub name: &'static str,
    /// Type of the key, of an entity.
    pub entity_key: Option<Type>,
    /// Members of the struct, in order.
    pub members: Vec<(&'static str, Member)>,
    /// Methods of the `impl` block, helpers included.
    pub methods: Vec<MethodFacts>,
}

/// A member of a service's struct.
#[derive(Clone, Debug, PartialEq)]
pub enum Member {
    /// A persistent field.
    Field {
        /// Its shape.
        kind: FieldKind,
        /// Initial value's bytes.
        initial: Vec<u8>,
        /// Methods of the field's type that only read one cell.
        reads: &'static [&'static str],
        /// Methods that take the field as a whole, whether they read or write.
        wholes: &'static [&'static str],
        /// Those of `wholes` that only read.
        scans: &'static [&'static str],
    },
    /// A client of another service, or of entities.
    Client {
        /// The service.
        service: &'static str,
        /// What its `#[client]` trait states.
        stated: Option<Stated>,
    },
}

/// A method as it is written.
#[derive(Clone, Debug, Default)]
pub struct MethodFacts {
    /// Name.
    pub name: &'static str,
    /// It can be invoked: `pub`.
    pub public: bool,
    /// It is an `async fn`.
    pub is_async: bool,
    /// It takes `&mut self`.
    pub mutable: bool,
    /// Parameters: name, type, may be left out.
    pub parameters: Vec<(&'static str, Type, bool)>,
    /// Result.
    pub returns: Type,
    /// First line of its documentation.
    pub doc: &'static str,
    /// Line in its file.
    pub line: u32,
    /// What it does with members, in order.
    pub uses: &'static [Use],
    /// Other methods of `self` that it calls.
    pub helpers: &'static [&'static str],
    /// `self` goes where the macro cannot follow it.
    pub opaque: bool,
    /// Something is sent one way.
    pub sends: bool,
    /// Digest of its text.
    pub digest: u64,
}

/// `self.member.method(key, …)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The member.
    pub member: &'static str,
    /// The method of it; empty if the member is used in another way.
    pub method: &'static str,
    /// First argument.
    pub key: KeyFact,
    /// Nothing was waited for before it.
    pub first_step: bool,
}

/// A key as far as it can be known from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFact {
    /// Not known.
    Unknown,
    /// The parameter with this index.
    Parameter(u32),
    /// A field of it.
    Item(u32, &'static str),
    /// `p.to_string()`.
    Text(u32),
    /// A text.
    Constant(&'static str),
}

/// A service whose members are known by place.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) name: &'static str,
    /// Names, and what fields begin with.
    members: Vec<(&'static str, Vec<u8>)>,
}

impl Described {
    pub(crate) fn new(description: &Description) -> Self {
        let initial = |member: &Member| match member {
            Member::Field { initial, .. } => initial.clone(),
            Member::Client { .. } => Vec::new(),
        };
        let members = description.members.iter().map(|(name, member)| (*name, initial(member)));
        Self { name: description.name, members: members.collect() }
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<FieldIndex> {
        self.members.iter().position(|(member, _)| *member == name).map(|index| index as FieldIndex)
    }

    pub(crate) fn name_of(&self, field: FieldIndex) -> String {
        self.members.get(usize::from(field)).map_or("", |(name, _)| name).to_owned()
    }

    pub(crate) fn initial(&self, field: FieldIndex) -> &[u8] {
        self.members.get(usize::from(field)).map_or(&[], |(_, initial)| initial)
    }
}

impl Description {
    /// The service as the manifest tells the rest of the system.
    pub(crate) fn service(&self) -> Service {
        let fields = self.members.iter().filter_map(|(name, member)| match member {
            Member::Field { kind, initial, .. } => {
                Some(Field { name: (*name).to_owned(), kind: *kind, initial: initial.clone(), ..Field::default() })
            }
            Member::Client { .. } => None,
        });
        let clients = self.members.iter().filter_map(|(name, member)| match member {
            Member::Client { service, .. } => Some(((*name).to_owned(), (*service).to_owned())),
            Member::Field { .. } => None,
        });
        Service {
            name: self.name.to_owned(),
            entity_key: self.entity_key.clone(),
            fields: fields.collect(),
            clients: clients.collect(),
            methods: self.methods.iter().filter(|facts| facts.public).map(|facts| self.method(facts)).collect(),
            language: Language::Rust,
            ..Service::default()
        }
    }

    /// What its clients' traits state.
    pub(crate) fn stated(&self) -> impl Iterator<Item = &Stated> {
        self.members.iter().filter_map(|(_, member)| match member {
            Member::Client { stated, .. } => stated.as_ref(),
            Member::Field { .. } => None,
        })
    }

    fn method(&self, facts: &MethodFacts) -> Method {
        let reached = self.reached(facts);
        let is_opaque = reached.iter().any(|facts| facts.opaque);
        let calls = reached.iter().any(|facts| facts.is_async || facts.sends);
        let foreseen = self.foreseen(facts);
        let route = foreseen.iter().find_map(|foreseen| match &foreseen.what {
            // A list lies in one place, whatever its chunk.
            ForeseenCells::Entry(key) if !self.is_list(&foreseen.field) => Some(key.clone()),
            ForeseenCells::Entry(_) | ForeseenCells::Scalar | ForeseenCells::Whole => None,
        });
        Method {
            name: facts.name.to_owned(),
            parameters: facts
                .parameters
                .iter()
                .map(|(name, ty, default)| parameter(name, ty.clone(), *default))
                .collect(),
            coloured: facts.is_async,
            read_only: !facts.mutable && !calls && !is_opaque,
            route: route.filter(|_| self.entity_key.is_none()),
            modes: self.modes(facts, &reached, is_opaque),
            foreseen,
            returns: facts.returns.clone(),
            doc: facts.doc.to_owned(),
            digest: digest(&reached),
            line: facts.line,
            public: true,
            ..Method::default()
        }
    }

    /// The method and all helpers that it reaches.
    fn reached(&self, facts: &MethodFacts) -> Vec<&MethodFacts> {
        let mut seen = BTreeSet::from([facts.name]);
        let mut queue = vec![facts.name];
        let mut reached = Vec::new();
        while let Some(name) = queue.pop() {
            let Some(facts) = self.methods.iter().find(|facts| facts.name == name) else { continue };
            reached.push(facts);
            queue.extend(facts.helpers.iter().copied().filter(|helper| seen.insert(helper)));
        }
        reached
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|(member, _)| *member == name).map(|(_, member)| member)
    }

    fn modes(&self, facts: &MethodFacts, reached: &[&MethodFacts], is_opaque: bool) -> Vec<(String, Mode)> {
        let mut modes = BTreeMap::new();
        if is_opaque {
            let fields = self.members.iter().filter(|(_, member)| matches!(member, Member::Field { .. }));
            modes.extend(fields.map(|(name, _)| (*name, if facts.mutable { Mode::Exclusive } else { Mode::Shared })));
        }
        for used in reached.iter().flat_map(|facts| facts.uses) {
            let Some(Member::Field { reads, scans, .. }) = self.member(used.member) else { continue };
            let only_reads = reads.contains(&used.method) || scans.contains(&used.method) || !facts.mutable;
            let mode = if only_reads { Mode::Shared } else { Mode::Exclusive };
            let known = modes.entry(used.member).or_insert(mode);
            *known = (*known).max(mode);
        }
        modes.into_iter().map(|(name, mode)| (name.to_owned(), mode)).collect()
    }

    fn is_list(&self, name: &str) -> bool {
        matches!(self.member(name), Some(Member::Field { kind: FieldKind::List, .. }))
    }

    /// Cells that the method touches in its first step, as far as it says so itself.
    fn foreseen(&self, facts: &MethodFacts) -> Vec<Foreseen> {
        let mut foreseen: Vec<Foreseen> = Vec::new();
        for used in facts.uses.iter().filter(|used| used.first_step) {
            let Some(Member::Field { kind, wholes, .. }) = self.member(used.member) else { continue };
            let cells = match kind {
                FieldKind::Scalar => vec![ForeseenCells::Scalar],
                _ if wholes.contains(&used.method) => vec![ForeseenCells::Whole],
                FieldKind::Dict => key(used.key).into_iter().map(ForeseenCells::Entry).collect(),
                FieldKind::List => of_list(used),
            };
            for what in cells {
                let one = Foreseen { field: used.member.to_owned(), what };
                if !foreseen.contains(&one) {
                    foreseen.push(one);
                }
            }
        }
        foreseen
    }
}

/// Methods of a list whose first argument is an index, and which touch its chunk only.
const INDEXED: [&str; 3] = ["get", "get_mut", "set"];

/// The header, and the chunk of an index that is a parameter.
fn of_list(used: &Use) -> Vec<ForeseenCells> {
    let mut cells = vec![ForeseenCells::Entry(KeyExpr::Constant(HEADER_KEY.to_vec()))];
    if let KeyFact::Parameter(index) = used.key
        && INDEXED.contains(&used.method)
    {
        cells.push(ForeseenCells::Entry(KeyExpr::Chunk(index)));
    }
    cells
}

fn key(fact: KeyFact) -> Option<KeyExpr> {
    Some(match fact {
        KeyFact::Unknown => return None,
        KeyFact::Parameter(index) => KeyExpr::Parameter(index),
        KeyFact::Item(index, name) => KeyExpr::Item(index, name.to_owned()),
        KeyFact::Text(index) => KeyExpr::Str(index),
        KeyFact::Constant(text) => KeyExpr::Constant(msgpack::encode(&Value::Str(text.to_owned())).ok()?),
    })
}

fn digest(reached: &[&MethodFacts]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for facts in reached {
        hasher.update(&facts.digest.to_le_bytes());
    }
    u64::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
}
