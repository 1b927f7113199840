//! `check`, `explain`, `version` and usage errors: all that needs no server.

use serde_json::Value;

use crate::tool::{COUNTER, Place};

#[test]
fn a_good_application_is_ok() {
    let place = Place::with(&[("app.py", COUNTER), ("shop/__init__.py", ""), ("shop/util.py", "RATE = 2\n")]);
    let ended = place.run(&["check", "."]).ok();
    assert!(ended.err.contains("ok: 3 files"), "{ended:?}");
    let ended = place.run(&["check", "app.py", "--json"]).ok();
    assert_eq!(ended.out, "[]\n");
}

#[test]
fn diagnostics_name_file_line_and_column() {
    let place = Place::with(&[("app.py", "x = 1\nclass A(:\n    pass\n")]);
    place.run(&["check", "app.py"]).failed(1, &["app.py:2:", "error"]);
    place.run(&["run", "app.py"]).failed(1, &["app.py:2:", "1 file"]);
    let ended = place.run(&["--json", "check", "app.py"]);
    assert_eq!(ended.code, Some(1));
    let list: Value = serde_json::from_str(&ended.out).unwrap();
    let first = &list[0];
    assert_eq!((&first["severity"], &first["file"], &first["line"]), (&"error".into(), &"app.py".into(), &2.into()));
    let code = first["code"].as_str().unwrap();
    assert_eq!(first["span"]["line"], 2);
    let explained = place.run(&["explain", code]).ok();
    assert!(!explained.out.is_empty());
}

#[test]
fn lowered_files_are_written() {
    let place = Place::with(&[("app.py", COUNTER), ("shop/__init__.py", ""), ("shop/util.py", "RATE = 2\n")]);
    place.run(&["check", ".", "--emit", "out"]).ok();
    for file in ["out/app.py", "out/shop/__init__.py", "out/shop/util.py", "out/init.frame"] {
        assert!(place.path(file).exists(), "{file}");
    }
}

#[test]
fn problems_are_explained() {
    let place = Place::with(&[]);
    let page = place.run(&["explain", "bad_arguments"]).ok();
    assert!(page.out.contains("What to do"), "{page:?}");
    place.run(&["explain", "E9999x"]).failed(2, &["there is no code"]);
    place.run(&["explain", "sos0109x"]).failed(2, &["SOS0109"]);
    place.run(&["explain", "bad_argument"]).failed(2, &["bad_arguments"]);
    let list = place.run(&["explain", "--list"]).ok().out;
    assert!(list.contains("SOS0001") && list.contains("bad_arguments"), "{list}");
}

#[test]
fn the_version_is_printed() {
    let place = Place::with(&[]);
    assert!(place.run(&["version"]).ok().out.starts_with("sostenuto "));
    assert!(place.run(&["--version"]).ok().out.starts_with("sostenuto "));
    assert!(place.run(&["--help"]).ok().out.contains("invocations"));
}

#[test]
fn bad_command_lines_are_usage_errors() {
    let place = Place::with(&[("x.txt", "")]);
    place.run(&[]).failed(2, &["Usage"]);
    place.run(&["fly"]).failed(2, &["fly"]);
    place.run(&["run"]).failed(2, &["APP"]);
    place.run(&["run", "nowhere"]).failed(2, &["nowhere: there is no such file or folder"]);
    place.run(&["check", "x.txt"]).failed(2, &["x.txt"]);
    place.run(&["call", "Counter"]).failed(2, &["Service/method"]);
    place.run(&["call", "A/b", "--server", "https://x"]).failed(2, &["http://host:port"]);
    place.run(&["state", "get"]).failed(2, &["SERVICE/FIELD"]);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let place = Place::with(&[]);
    let mut command = place.command(&["explain", "bad_arguments"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = command.stdout(writer).output().unwrap();
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"));
}

#[test]
fn a_suggested_edit_is_shown_and_is_data() {
    let place = Place::with(&[("app.py", &COUNTER.replace("@entity", "@entity()"))]);
    place.run(&["check", "app.py"]).failed(1, &["help: write it without parentheses", "- @entity()", "+ @entity"]);
    let ended = place.run(&["check", "app.py", "--json"]);
    let list: Value = serde_json::from_str(&ended.out).unwrap();
    let edit = &list[0]["suggestion"]["edits"][0];
    assert_eq!((&edit["replacement"], &edit["span"]["column"]), (&"".into(), &8.into()), "{list}");
}

const SHOP: &str = "\
from sostenuto import Persistent, entity, service, transaction

@entity
class Account:
    balance: Persistent[int] = 0

    def add(self, amount: int) -> int:
        self.balance += amount
        return self.balance

@service
class Shop:
    stock: Persistent[dict[str, int]] = {}

    def sell(self, item: str, buyer: str) -> bool:
        if self.stock.get(item, 0) == 0:
            return False
        Account(buyer).add(-1)
        self.stock[item] -= 1
        return True

    def safe(self, item: str, buyer: str) -> bool:
        with transaction():
            if self.stock.get(item, 0) == 0:
                return False
            Account(buyer).add(-1)
            self.stock[item] -= 1
        return True

    def total(self) -> int:
        return sum(self.stock.values())
";

#[test]
fn methods_are_explained() {
    let place = Place::with(&[("app.py", SHOP)]);
    let ended = place.run(&["check", "app.py", "--explain"]).ok();
    for text in [
        "Shop.sell (app.py:15)",
        "several: it waits for Account.add (line 18)",
        "runs where `item` lives",
        "stock exclusive",
        "lines 15-18, 18-20",
        "line 31 reads all of `stock`",
        "Account.add",
    ] {
        assert!(ended.out.contains(text), "no {text:?} in {}", ended.out);
    }
    assert_eq!(ended.err.matches("SOS0405").count(), 1, "{}", ended.err);
    assert!(ended.err.contains("app.py:19:9"), "{}", ended.err);
    let ended = place.run(&["check", "app.py", "--explain", "--json"]).ok();
    let document: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(document["diagnostics"][0]["code"], "SOS0405");
    let total = document["methods"].as_array().unwrap().iter().find(|m| m["name"] == "Shop.total").unwrap();
    assert_eq!((&total["read_only"], &total["one_step"]), (&true.into(), &true.into()));
    let plain = place.run(&["check", "app.py", "--json"]).ok();
    assert_eq!(plain.out, "[]\n");
}
