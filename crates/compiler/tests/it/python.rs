//! What is lowered must be Python: one interpreter compiles the lowered texts of all specifications.

use std::io::Write as _;
use std::process::{Command, Stdio};

use compiler::compile;

use crate::spec::cases;

const PROGRAM: &str = "
import sys, json
for name, text in json.load(sys.stdin):
    try:
        compile(text, name, 'exec')
    except SyntaxError as error:
        print(name, error, text, sep='\\n')
";

#[test]
fn lowered_texts_are_python() {
    let mut texts = Vec::new();
    for case in cases() {
        let Some(manifest) = compile(&case.app).manifest else { continue };
        texts.extend(manifest.modules.iter().map(|m| [format!("{} {}", case.name, m.path), m.lowered.clone()]));
    }
    let quoted = |text: &String| format!("{text:?}").replace("\\'", "'").replace("\\u{", "\\u{{");
    let pairs: Vec<String> = texts.iter().map(|[name, text]| format!("[{}, {}]", quoted(name), quoted(text))).collect();
    let mut python = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    python.stdin.take().unwrap().write_all(format!("[{}]", pairs.join(",")).as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.is_empty(), "{text}");
    assert!(texts.len() > 10);
}
