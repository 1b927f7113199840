//! `run`: a server from the command line, with real workers.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::tool::{COUNTER, Ended, Place};

/// A server that runs; killed at the end of its test.
struct Running {
    child: Child,
    greeting: Value,
}

impl Running {
    /// Starts `app.py` of the place and waits for the greeting.
    fn start(place: &Place, more: &[&str]) -> Self {
        let args = [&["run", "app.py", "--json", "--listen", "127.0.0.1:0", "--workers", "1"], more].concat();
        let mut child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let greeting = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut told = String::new();
            child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            panic!("no greeting: {line:?} {told}")
        });
        Self { child, greeting }
    }

    fn call(&self, place: &Place, args: &[&str]) -> Ended {
        place.run(&[args, &["--server", self.greeting["url"].as_str().unwrap()]].concat())
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn calls_state_and_failures_of_a_running_application() {
    let place = Place::with(&[("app.py", COUNTER)]);
    let running = Running::start(&place, &[]);
    let greeting = &running.greeting;
    let url = greeting["url"].as_str().unwrap();
    assert_eq!(greeting["dashboard"], format!("{url}/_/"));
    assert_eq!(greeting["curl"], format!("curl -X POST {url}/Counter/add -d '[\"door\",2]'"));
    assert!(place.path(".sostenuto/app/log").is_dir() && place.path(".sostenuto/.gitignore").is_file());

    assert_eq!(running.call(&place, &["call", "Counter/add", "door", "2"]).ok().out, "2\n");
    assert_eq!(running.call(&place, &["call", "Box/a/b/put", "pen"]).ok().out, "[\"pen\"]\n");
    assert_eq!(running.call(&place, &["state", "get", "Counter/counts/door"]).ok().out, "2\n");
    running.call(&place, &["call", "Counter/fail"]).failed(1, &["error[exception]: ValueError", "app.py\", line 18"]);
    running.call(&place, &["call", "Counter/add"]).failed(1, &["error[bad_arguments]", "name: missing"]);
    running.call(&place, &["call", "Cuonter/add"]).failed(1, &["did you mean `Counter`?"]);
    running.call(&place, &["invocations", "list"]).ok();
}

#[test]
fn the_same_command_after_a_kill_finds_the_same_data() {
    let place = Place::with(&[("app.py", COUNTER)]);
    let mut first = Running::start(&place, &[]);
    first.call(&place, &["call", "Counter/add", "door"]).ok();
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = Running::start(&place, &[]);
    assert_eq!(second.call(&place, &["call", "Counter/add", "door"]).ok().out, "2\n");
}

#[test]
fn a_signal_ends_it_in_order() {
    let place = Place::with(&[("app.py", COUNTER)]);
    for signal in ["-INT", "-TERM"] {
        let mut running = Running::start(&place, &[]);
        running.call(&place, &["call", "Counter/add", "door"]).ok();
        running.signal(signal);
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal}");
    }
    let running = Running::start(&place, &[]);
    assert_eq!(running.call(&place, &["call", "Counter/add", "door"]).ok().out, "3\n");
}

#[test]
fn what_stands_in_the_way_is_told() {
    let place = Place::with(&[("app.py", COUNTER), ("file", "")]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.run(&["run", "app.py", "--listen", &address]).failed(1, &[&address, "--listen"]);
    let free = ["run", "app.py", "--listen", "127.0.0.1:0"];
    let run = |more: &[&str]| place.run(&[&free, more].concat());
    run(&["--python", "no-such-python"]).failed(1, &["no-such-python"]);
    run(&["--data", "file"]).failed(1, &["file"]);
    let running = Running::start(&place, &["--data", "d"]);
    run(&["--data", "d"]).failed(1, &["in use"]);
    drop(running);
    run(&["--data", "d", "--partitions", "7"]).failed(1, &["4 partitions", "--partitions 7"]);
}

#[test]
fn an_application_that_does_not_load_is_told_with_its_traceback() {
    let place = Place::with(&[("app.py", &format!("{COUNTER}\n\nimport no_such_module\n"))]);
    place.run(&["run", "app.py", "--listen", "127.0.0.1:0"]).failed(1, &["no_such_module", "app.py"]);
}
