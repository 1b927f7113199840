//! What methods of one step do with fields.

use protocol::Value as Stored;
use protocol::worker::FromWorker;
use sostenuto::prelude::*;

use crate::server::{Server, text_value};

#[service]
pub(crate) struct Shop {
    stock: Map<String, i64>,
    tags: Map<(u8, String), Vec<String>>,
    sold: Counter,
    motto: Value<String>,
    bad: Map<Key, u8>,
}

/// No key that a cell can have: NaN is equal to nothing.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Key(f64);

#[methods]
impl Shop {
    pub fn put(&mut self, item: String, count: i64) {
        self.stock.insert(item, count);
    }

    pub fn take(&mut self, item: String) -> Result<i64> {
        let Some(mut count) = self.stock.get_mut(&item) else {
            return Err(Error::new("shop.Unknown", item));
        };
        *count -= 1;
        let left = *count;
        drop(count);
        self.sold.add(1);
        Ok(left)
    }

    pub fn left(&self, item: String) -> Option<i64> {
        self.stock.get(&item)
    }

    pub fn items(&self) -> Vec<(String, i64)> {
        self.stock.iter().collect()
    }

    pub fn moved(&mut self, item: String) -> Vec<String> {
        if let Some(count) = self.stock.remove(&item) {
            self.stock.insert(item, count);
        }
        self.stock.insert("last".into(), 1);
        self.stock.keys().collect()
    }

    pub fn replaced(&mut self, item: String) {
        self.stock.insert(item.clone(), 5);
        self.stock.remove(&item);
        self.stock.insert(item, 6);
    }

    pub fn tag(&mut self, number: u8, name: String, tag: String) -> usize {
        let mut tags = self.tags.get_or_insert((number, name), Vec::new());
        tags.push(tag);
        tags.len()
    }

    pub fn rename(&mut self, motto: Option<String>) -> String {
        self.motto.replace(motto.unwrap_or_else(|| "none".into()))
    }

    pub fn empty(&mut self) -> usize {
        self.stock.clear();
        self.stock.len()
    }

    pub fn bad_key(&mut self) -> u8 {
        self.bad.insert(Key(f64::NAN), 1);
        1
    }

    pub fn crash(&mut self) {
        self.sold.add(5);
        panic!("out of {}", "paper");
    }

    pub fn drawn(&mut self) -> (Uuid, f64) {
        (uuid4(), random_f64())
    }
}

fn shop() -> Server {
    Server::new(Application::new().service::<Shop>())
}

#[test]
fn entries_are_fetched_once_and_written_if_they_changed() {
    let mut server = shop();
    assert_eq!(server.call("Shop", "put", &[text_value("tea"), Stored::Int(3)]), Ok(Stored::None));
    assert!(server.store.borrow().fetched.is_empty(), "a blind write asks for nothing");
    assert_eq!(server.call("Shop", "take", &[text_value("tea")]), Ok(Stored::Int(2)));
    assert_eq!(server.store.borrow().fetched, [r#"stock[Str("tea")]"#, "sold"]);
    assert_eq!(server.store.borrow().get("sold", None), Some(Stored::Int(1)));
    assert_eq!(server.call("Shop", "left", &[text_value("tea")]), Ok(Stored::Int(2)));
    assert_eq!(server.call("Shop", "left", &[text_value("ale")]), Ok(Stored::None));
    let FromWorker::End(end) = server.begin("Shop", "left", &[text_value("tea")]) else { panic!("dropped") };
    assert!(end.writes.is_empty());
    assert_eq!(end.reads.len(), 1);
}

#[test]
fn an_error_is_an_exception_of_its_class() {
    let mut server = shop();
    assert_eq!(server.call("Shop", "take", &[text_value("ale")]), Err("shop.Unknown: ale".into()));
}

#[test]
fn a_map_keeps_the_order_of_insertion() {
    let mut server = shop();
    for item in ["tea", "ale", "rum"] {
        server.call("Shop", "put", &[text_value(item), Stored::Int(1)]).unwrap();
    }
    server.call("Shop", "put", &[text_value("tea"), Stored::Int(9)]).unwrap();
    let moved = server.call("Shop", "moved", &[text_value("tea")]).unwrap();
    let names = |items: &[&str]| Stored::List(items.iter().map(|item| text_value(item)).collect());
    assert_eq!(moved, names(&["ale", "rum", "tea", "last"]));
    let again = server.call("Shop", "moved", &[text_value("ale")]).unwrap();
    assert_eq!(again, names(&["rum", "tea", "last", "ale"]));
    // Nobody asks whether it is there.
    server.call("Shop", "replaced", &[text_value("rum")]).unwrap();
    let after = server.call("Shop", "moved", &[text_value("last")]).unwrap();
    assert_eq!(after, names(&["tea", "ale", "rum", "last"]));
    assert_eq!(server.call("Shop", "empty", &[]), Ok(Stored::Int(0)));
    assert!(server.store.borrow().get("stock", Some(&text_value("rum"))).is_none());
}

#[test]
fn lent_values_are_written_back() {
    let mut server = shop();
    let args = [Stored::Int(1), text_value("a"), text_value("red")];
    assert_eq!(server.call("Shop", "tag", &args), Ok(Stored::Int(1)));
    assert_eq!(server.call("Shop", "tag", &args), Ok(Stored::Int(2)));
    assert_eq!(server.call("Shop", "rename", &[text_value("sic")]), Ok(text_value("")));
    assert_eq!(server.call("Shop", "rename", &[]), Ok(text_value("sic")));
}

#[test]
fn a_step_whose_cell_cannot_be_had_is_dropped_without_a_trace() {
    let mut server = shop();
    server.call("Shop", "put", &[text_value("tea"), Stored::Int(3)]).unwrap();
    server.store.borrow_mut().locked = true;
    let said = server.begin("Shop", "take", &[text_value("tea")]);
    assert!(matches!(said, FromWorker::Dropped { .. }), "{said:?}");
    server.store.borrow_mut().locked = false;
    assert_eq!(server.call("Shop", "take", &[text_value("tea")]), Ok(Stored::Int(2)));
}

#[test]
fn a_panic_is_an_exception_that_says_where() {
    let mut server = shop();
    let FromWorker::End(end) = server.begin("Shop", "crash", &[]) else { panic!("dropped") };
    let protocol::worker::StepStatus::Raised(bytes) = &end.status else { panic!("{end:?}") };
    let exception = protocol::message::Exception::from_value(bytes);
    assert_eq!((exception.class.as_str(), exception.message.as_str()), ("rust.Panic", "out of paper"));
    assert!(exception.traceback.contains("fields.rs:"), "{}", exception.traceback);
    assert_eq!(end.writes.len(), 1, "what was written before stays, as with any exception");
}

#[test]
fn arguments_are_checked_by_name_and_type() {
    let mut server = shop();
    let wrong = |server: &mut Server, args: &[Stored]| server.call("Shop", "put", args).unwrap_err();
    assert!(wrong(&mut server, &[]).contains("missing 1 required argument: 'item'"));
    assert!(wrong(&mut server, &[Stored::Int(1), Stored::Int(1)]).contains("argument 'item'"));
    let three = [text_value("a"), Stored::Int(1), Stored::Int(1)];
    assert!(wrong(&mut server, &three).contains("too many arguments"));
    assert!(server.call("Shop", "fly", &[]).unwrap_err().contains("there is no method Shop.fly"));
    assert!(server.call("Zoo", "fly", &[]).unwrap_err().contains("there is no service Zoo"));
}

#[test]
fn what_was_stored_as_another_type_is_an_error_that_names_the_field() {
    let mut server = shop();
    server.store.borrow_mut().put("stock", Some(text_value("tea")), text_value("three"));
    let told = server.call("Shop", "left", &[text_value("tea")]).unwrap_err();
    assert!(told.contains("Shop.stock holds a value of another type"), "{told}");
}

#[test]
fn a_key_that_cannot_be_one_ends_the_invocation_and_leaves_nothing() {
    let mut server = shop();
    let told = server.call("Shop", "bad_key", &[]).unwrap_err();
    assert!(told.starts_with("sostenuto.NotStorable: a key of Shop.bad"), "{told}");
    assert!(server.store.borrow().cells.is_empty());
}

#[test]
fn draws_are_the_same_whenever_the_step_runs() {
    let (mut one, mut other) = (shop(), shop());
    let drawn = one.call("Shop", "drawn", &[]).unwrap();
    assert_eq!(other.call("Shop", "drawn", &[]).unwrap(), drawn);
    let Stored::Tuple(items) = drawn else { panic!("a tuple") };
    let Stored::Uuid(bytes) = items[0] else { panic!("a UUID") };
    assert_eq!((bytes[6] >> 4, bytes[8] >> 6), (4, 2));
}
