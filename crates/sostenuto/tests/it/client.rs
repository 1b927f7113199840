//! Commands that talk to a server: what they ask for, and how they tell the answer. The server only pretends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use crate::tool::{Ended, Place};

/// Serves these answers, one per connection, and gives the requests.
fn pretend(answers: Vec<(u16, &'static str)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        answers.into_iter().map(|(status, body)| answer(listener.accept().unwrap().0, status, body)).collect()
    });
    (url, serving)
}

/// Reads a request, answers it, and gives its first line, its idempotency key and its body.
fn answer(stream: TcpStream, status: u16, body: &str) -> String {
    let mut reader = BufReader::new(&stream);
    let mut told = String::new();
    reader.read_line(&mut told).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if let Some(key) = line.strip_prefix("idempotency-key: ") {
            told = format!("{} key={key}", told.trim());
        }
    }
    let mut sent = vec![0; length];
    reader.read_exact(&mut sent).unwrap();
    let head = format!("HTTP/1.1 {status} X\r\nx-sostenuto-invocation: inv_1\r\nconnection: close\r\n");
    (&stream).write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
    format!("{} {}", told.trim(), String::from_utf8(sent).unwrap()).trim().to_owned()
}

/// Runs a command against a server that gives these answers; gives its end and the requests.
fn ask(args: &[&str], answers: Vec<(u16, &'static str)>) -> (Ended, Vec<String>) {
    let (url, serving) = pretend(answers);
    let place = Place::with(&[]);
    let ended = place.command(args).env("SOSTENUTO_SERVER", url).output().unwrap().into();
    (ended, serving.join().unwrap())
}

#[test]
fn call_sends_arguments_and_prints_the_result() {
    let line = ["call", "Account/a b/deposit", "5", "x y", "-1.50", "--idempotency-key", "k1"];
    let (ended, asked) = ask(&line, vec![(200, r#"{"sum":1.10}"#)]);
    assert_eq!(asked, [r#"POST /Account/a%20b/deposit HTTP/1.1 key=k1 [5,"x y",-1.50]"#]);
    assert_eq!(ended.ok().out, "{\"sum\":1.10}\n");
    let (ended, asked) = ask(&["call", "Hotel/book", "--detach"], vec![(202, r#"{"id":"inv_1"}"#)]);
    assert_eq!(asked, ["POST /Hotel/book/send HTTP/1.1 []"]);
    assert_eq!(ended.ok().out, "inv_1\n");
}

#[test]
fn a_problem_is_told_with_its_parts() {
    let problem = r#"{"code":"exception","detail":"ValueError: no","exception":{"traceback":"Traceback:\n  line 3"}}"#;
    let (ended, _) = ask(&["call", "A/b"], vec![(500, problem)]);
    ended.failed(1, &["error[exception]: ValueError: no", "line 3", "inv_1", "sostenuto explain exception"]);
    assert_eq!(ended.out, "");
    let problem = r#"{"code":"bad_arguments","detail":"no","arguments":[{"name":"by","problem":"missing"}]}"#;
    ask(&["call", "A/b"], vec![(422, problem)]).0.failed(1, &["by: missing"]);
    let (ended, _) = ask(&["call", "A/b", "--json"], vec![(422, problem)]);
    assert_eq!((ended.code, ended.err.trim()), (Some(1), problem));
    ask(&["call", "A/b"], vec![(502, "<html>")]).0.failed(1, &["answered 502", "<html>"]);
}

#[test]
fn no_server_is_unreachable() {
    let place = Place::with(&[]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    place.run(&["call", "A/b", "--server", &url]).failed(3, &[&url, "sostenuto run"]);
    place.run(&["invocations", "list", "--server", &url]).failed(3, &[&url]);
    place.run(&["state", "list", "--server", &url]).failed(3, &[&url]);
}

#[test]
fn a_connection_that_ends_early_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
    });
    Place::with(&[]).run(&["call", "A/b", "--server", &url]).failed(3, &["--idempotency-key"]);
    serving.join().unwrap();
}

const WAITING: &str = r#"{"id":"inv_1","service":"Account","key":"alice","method":"withdraw","state":"waiting",
    "age_ms":61000,"waiting":{"reason":"turn","for":"Account(alice)","age_ms":5000,"action":"cancel inv_2"}"#;

#[test]
fn invocations_are_listed_over_all_pages() {
    let first =
        r#"{"invocations":[{"id":"inv_1","service":"A","method":"m","state":"running","age_ms":5}],"next":"c/1"}"#;
    let second =
        r#"{"invocations":[{"id":"inv_2","service":"A","method":"m","state":"parked","age_ms":5}],"next":null}"#;
    let pages = || vec![(200, first), (200, second)];
    let (ended, asked) = ask(&["invocations", "list", "--state", "parked"], pages());
    assert_eq!(asked[1], "GET /_/invocations?limit=50&state=parked&cursor=c%2F1 HTTP/1.1");
    let out = ended.ok().out;
    assert!(out.starts_with("ID") && out.contains("inv_1") && out.contains("inv_2  A/m     parked"), "{out}");
    let (ended, _) = ask(&["invocations", "list", "--json"], pages());
    let document: serde_json::Value = serde_json::from_str(&ended.ok().out).unwrap();
    assert_eq!(document["invocations"].as_array().unwrap().len(), 2);
}

#[test]
fn an_invocation_is_described_with_reason_age_and_action() {
    let body = format!(
        "{WAITING},\"partition\":1,\"attempts\":2,\"note\":\"worker died\",\"journal\":[{{\"step\":0,\"clock\":1,\
         \"delivered\":[\"p1\"],\"operations\":[\"p1: call Hotel.reserve\"],\"reads\":3}}]}}"
    );
    let (ended, _) = ask(&["invocations", "describe", "inv_1"], vec![(200, body.leak())]);
    let out = ended.ok().out;
    for text in
        ["Account/alice/withdraw", "waiting", "1m 1s", "turn Account(alice), for 5s", "cancel inv_2", "worker died"]
    {
        assert!(out.contains(text), "no {text:?} in {out}");
    }
    assert!(out.contains("step 0: read 3 cells") && out.contains("call Hotel.reserve"), "{out}");
}

#[test]
fn operators_cancel_and_resume() {
    let (ended, asked) = ask(&["invocations", "cancel", "inv_1", "--kill"], vec![(202, r#"{"id":"inv_1"}"#)]);
    assert_eq!(asked, ["POST /_/invocations/inv_1/cancel?kill=1 HTTP/1.1"]);
    assert_eq!(ended.ok().out, "inv_1: killed\n");
    let (ended, asked) = ask(&["invocations", "resume", "inv_1"], vec![(200, r#"{"id":"inv_1","ended":true}"#)]);
    assert_eq!(asked, ["POST /_/invocations/inv_1/resume HTTP/1.1"]);
    assert_eq!(ended.ok().out, "inv_1: had ended already\n");
}

#[test]
fn state_is_listed_and_read() {
    let catalogue = r#"{"services":[{"name":"Account","entity":true,"key":"str","fields":[
        {"name":"funds","kind":"scalar","type":"int"},{"name":"notes","kind":"dict","key":"str","type":"str"}]}]}"#;
    let (ended, _) = ask(&["state", "list"], vec![(200, catalogue)]);
    let out = ended.ok().out;
    assert!(out.contains("Account/{key}/funds") && out.contains("dict[str, str]"), "{out}");
    for (place, path) in [
        ("Account/a/b/funds", "/_/state/Account/a%2Fb/funds"),
        ("Account/alice/notes/n 1", "/_/state/Account/alice/notes/n%201"),
    ] {
        let (ended, asked) = ask(&["state", "get", place], vec![(200, catalogue), (200, r#"{"value":[5]}"#)]);
        assert_eq!(asked[1], format!("GET {path} HTTP/1.1"));
        assert_eq!(ended.ok().out, "[5]\n");
    }
}
