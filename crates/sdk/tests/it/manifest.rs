//! What the macros tell the server of methods.

use protocol::manifest::{Foreseen, ForeseenCells, KeyExpr, Language, Method, Mode};
use protocol::schema::Type;
use sostenuto::Service;
use sostenuto::prelude::*;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Guest {
    name: String,
}

/// Not made with this crate; only its client is here.
#[client]
pub(crate) trait Mailer {
    fn mail(&self, to: String, text: String) -> bool;
}

/// Not made with this crate, either; an entity.
#[client(key = i64)]
pub(crate) trait Tab {
    fn add(&self, what: String, count: Option<u32>) -> Vec<String>;
    async fn pay(&self);
}

#[service]
pub(crate) struct Bar {
    tabs: Entities<TabClient>,
    inn: InnClient,
}

#[methods]
impl Bar {
    pub async fn close(&self, tab: i64) -> Result<()> {
        self.tabs.at(tab).pay().await?;
        self.inn.count().await.map(drop)
    }
}

#[test]
fn clients_of_entities_are_members_and_traits_state_what_they_call() {
    let application = Application::new().service::<Bar>().service::<Inn>();
    let bar = application.services().into_iter().find(|service| service.name == "Bar").unwrap();
    let members = [("tabs", "Tab"), ("inn", "Inn")].map(|(member, service)| (member.to_owned(), service.to_owned()));
    assert_eq!(bar.clients, members);
    let [tab, mailer] = application.stated() else { panic!("{:?}", application.stated()) };
    assert_eq!((tab.service.name.as_str(), tab.service.entity_key.clone()), ("Tab", Some(Type::Int)));
    assert!(tab.file.ends_with("it/manifest.rs"));
    let add = &tab.service.methods[0];
    let kinds: Vec<_> = add.parameters.iter().map(|one| (one.name.as_str(), one.ty.clone(), one.default)).collect();
    let count = Type::Union(vec![Type::Int, Type::None]);
    assert_eq!(kinds, [("what", Type::Str, false), ("count", count, false)], "a client leaves nothing out");
    assert_eq!((add.name.as_str(), &add.returns), ("add", &Type::List(Box::new(Type::Str))));
    assert_eq!(tab.service.methods[1].returns, Type::None);
    assert!(add.line > 0 && add.line < tab.service.methods[1].line);
    assert_eq!((mailer.service.name.as_str(), mailer.service.entity_key.clone()), ("Mailer", None));
}

#[test]
fn a_client_that_is_no_member_can_be_stated_and_is_stated_once() {
    let application = Application::new().client::<TabClient>().service::<Bar>().client::<TabClient>();
    assert_eq!(application.stated().len(), 1);
    assert_eq!(Application::new().client::<InnClient>().stated(), [], "the compiler compares what is Rust");
}

#[service]
pub(crate) struct Inn {
    rooms: Map<String, u32>,
    nights: Counter,
    mailer: MailerClient,
}

#[methods]
impl Inn {
    /// Looks at one room.
    ///
    /// And nothing else.
    pub fn look(&self, room: String, _night: Option<u8>) -> Option<u32> {
        self.rooms.get(&room)
    }

    pub fn check_in(&mut self, guest: Guest) {
        self.rooms.insert(guest.name.clone(), 1);
        self.nights.add(1);
    }

    pub fn count(&mut self) -> usize {
        let len = self.rooms.len();
        self.nights.add(1);
        len
    }

    pub fn shadowed(&self, room: String) -> u32 {
        let room = format!("the {room}");
        self.rooms.get(&room).unwrap_or_default()
    }

    pub fn numbered(&self, number: u32) -> bool {
        self.rooms.contains_key(&number.to_string()) || self.rooms.contains_key("annex")
    }

    pub fn by_helper(&mut self, room: String) {
        self.bump();
        sostenuto::println!("{}", self.rooms.get(&room).unwrap_or_default());
    }

    pub async fn tell(&mut self, room: String) -> Result<bool> {
        let there = self.rooms.contains_key(&room);
        let told = self.mailer.mail("host", room).await?;
        self.nights.add(1);
        Ok(there && told)
    }

    pub fn lost(&mut self) -> u32 {
        let this = self;
        this.rooms.get("x").unwrap_or_default()
    }

    pub fn sends(&self) -> Result<()> {
        self.mailer.mail("a", "b").send()
    }

    fn bump(&mut self) {
        self.nights.add(1);
    }
}

fn method(name: &str) -> Method {
    Inn::manifest().method(name).cloned().unwrap_or_else(|| panic!("no method {name}"))
}

fn modes(name: &str) -> Vec<(String, Mode)> {
    method(name).modes
}

fn entry(key: KeyExpr) -> Foreseen {
    Foreseen { field: "rooms".into(), what: ForeseenCells::Entry(key) }
}

fn scalar(field: &str) -> Foreseen {
    Foreseen { field: field.into(), what: ForeseenCells::Scalar }
}

fn mode(field: &str, mode: Mode) -> (String, Mode) {
    (field.to_owned(), mode)
}

#[test]
fn a_service_says_what_it_is() {
    let service = Inn::manifest();
    assert_eq!((service.name.as_str(), service.language), ("Inn", Language::Rust));
    assert_eq!(service.clients, [("mailer".to_owned(), "Mailer".to_owned())]);
    assert_eq!(service.fields.len(), 2);
    assert!(service.method("bump").is_none(), "a helper is no method that can be called");
}

#[test]
fn a_reader_is_read_only_and_routed_by_its_key() {
    let look = method("look");
    assert!(look.read_only && !look.coloured);
    assert_eq!(look.route, Some(KeyExpr::Parameter(0)));
    assert_eq!(look.foreseen, [entry(KeyExpr::Parameter(0))]);
    assert_eq!(look.doc, "Looks at one room.");
    assert_eq!(look.parameters[0].ty, Type::Str);
    assert_eq!(look.parameters[1].ty, Type::Union(vec![Type::Int, Type::None]));
    assert!(look.parameters[1].default && !look.parameters[0].default);
    assert_eq!(look.returns, Type::Union(vec![Type::Int, Type::None]));
    assert!(look.line > 0);
}

#[test]
fn fields_that_are_written_are_asked_for_exclusively() {
    let check_in = method("check_in");
    assert!(!check_in.read_only);
    assert_eq!(check_in.foreseen, [entry(KeyExpr::Item(0, "name".into())), scalar("nights")]);
    assert_eq!(check_in.modes, [mode("nights", Mode::Exclusive), mode("rooms", Mode::Exclusive)]);
    assert_eq!(modes("count"), [mode("nights", Mode::Exclusive), mode("rooms", Mode::Shared)]);
    let whole = Foreseen { field: "rooms".into(), what: ForeseenCells::Whole };
    assert_eq!(method("count").foreseen, [whole, scalar("nights")]);
    assert_eq!(modes("by_helper"), [mode("nights", Mode::Exclusive), mode("rooms", Mode::Shared)]);
}

#[test]
fn keys_are_followed_only_where_they_are_sure() {
    assert!(method("shadowed").foreseen.is_empty());
    let annex = protocol::msgpack::encode(&protocol::Value::Str("annex".into())).unwrap();
    assert_eq!(method("numbered").foreseen, [entry(KeyExpr::Str(0)), entry(KeyExpr::Constant(annex))]);
}

#[test]
fn what_comes_after_a_wait_is_not_of_the_first_step() {
    let tell = method("tell");
    assert!(tell.coloured && !tell.read_only);
    assert_eq!(tell.foreseen, [entry(KeyExpr::Parameter(0))]);
}

#[test]
fn where_self_goes_out_of_sight_everything_may_be_written() {
    assert_eq!(modes("lost"), [mode("nights", Mode::Exclusive), mode("rooms", Mode::Exclusive)]);
    assert!(!method("sends").read_only);
}
