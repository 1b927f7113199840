//! What fields begin with.

use protocol::Value as Stored;
use sostenuto::Service;
use sostenuto::prelude::*;

use crate::server::{Server, text_value};

/// A value that is no number.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) enum Mood {
    Calm,
    #[default]
    Wild,
}

#[service]
pub(crate) struct Prices {
    #[initial(20)]
    rate: Value<u32>,
    #[initial("as new".into())]
    motto: Value<String>,
    #[initial(Mood::Calm)]
    mood: Value<Mood>,
    #[initial(100)]
    sold: Counter,
    #[initial([("tea", 3), ("ale", 5)].into())]
    stock: Map<String, i64>,
    plain: Value<u32>,
}

#[methods]
impl Prices {
    pub fn all(&self) -> (u32, String, Mood, i64, u32) {
        (self.rate.get(), self.motto.get(), self.mood.get(), self.sold.get(), self.plain.get())
    }

    pub fn change(&mut self) -> (u32, i64) {
        *self.rate.get_mut() += 1;
        (self.rate.get(), self.sold.add(1))
    }

    pub fn stock(&self, item: String) -> Option<i64> {
        self.stock.get(&item)
    }
}

#[test]
fn the_manifest_says_what_fields_begin_with() {
    let manifest = Prices::manifest();
    let initial = |name: &str| {
        let field = manifest.fields.iter().find(|field| field.name == name).unwrap();
        protocol::msgpack::decode(&field.initial).unwrap()
    };
    assert_eq!(initial("rate"), Stored::Int(20));
    assert_eq!(initial("mood"), text_value("Calm"));
    assert_eq!(initial("sold"), Stored::Int(100));
    let stock = [(text_value("tea"), Stored::Int(3)), (text_value("ale"), Stored::Int(5))];
    assert_eq!(initial("stock"), Stored::Dict(stock.to_vec()));
    assert_eq!(initial("plain"), Stored::Int(0));
}

#[test]
fn a_field_holds_it_until_it_is_changed() {
    let mut server = Server::new(Application::new().service::<Prices>());
    let all = [Stored::Int(20), text_value("as new"), text_value("Calm"), Stored::Int(100), Stored::Int(0)];
    assert_eq!(server.call("Prices", "all", &[]), Ok(Stored::Tuple(all.to_vec())));
    assert!(server.store.borrow().cells.is_empty(), "reading stores nothing");
    let changed = Stored::Tuple(vec![Stored::Int(21), Stored::Int(101)]);
    assert_eq!(server.call("Prices", "change", &[]), Ok(changed));
    let again = Stored::Tuple(vec![Stored::Int(22), Stored::Int(102)]);
    assert_eq!(server.call("Prices", "change", &[]), Ok(again));
}
