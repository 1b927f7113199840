//! The whole standard library as input: every file is an application's module, answered with diagnostics or lowered, in
//! bounded time and without a panic. `cargo xtask fuzz --stdlib` shows how long all of it takes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use compiler::{App, SourceFile, compile, render};

use crate::robust::check_map;

/// One file takes milliseconds; this much means that it hangs.
const HANG: Duration = Duration::from_secs(20);
/// The stack of a program's main thread.
const STACK: usize = 8 << 20;
/// Diagnostics of a file that are rendered.
const RENDERED_MAX: usize = 20;
const SERVICE: &str = "from sostenuto import service\n@service\nclass A:\n    def f(self):\n        return 1\n";

/// All its Python files, without what was installed beside it.
fn library() -> Vec<PathBuf> {
    let program = "import sysconfig; print(sysconfig.get_paths()['stdlib'])";
    let output = Command::new("python3").args(["-c", program]).output().expect("python3 is installed");
    let mut folders = vec![PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.is_symlink() && !path.ends_with("site-packages") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn answer(path: &Path, source: String) {
    let file = |module: &str, source: String| SourceFile {
        path: format!("{module}.py"),
        module: module.to_owned(),
        source,
        package: false,
    };
    let app = App { files: vec![file("library", source), file("app", SERVICE.to_owned())], classes: None };
    let compiled = compile(&app);
    for diagnostic in &compiled.diagnostics {
        assert_ne!(diagnostic.code, "SOS9001", "{}: {}", path.display(), diagnostic.message);
    }
    for diagnostic in compiled.diagnostics.iter().take(RENDERED_MAX) {
        assert!(render(diagnostic, &app, false).contains(&format!("{}:{}", diagnostic.file, diagnostic.line)));
    }
    compiled.manifest.iter().flat_map(|m| &m.modules).for_each(check_map);
}

/// What is being answered, so that a panic or a hang can be named.
type Busy = Arc<Mutex<BTreeSet<PathBuf>>>;

/// Takes files from the queue until it is empty; sends the lines of each, and how long it took.
fn work(queue: &Mutex<std::vec::IntoIter<PathBuf>>, busy: &Busy, done: &Sender<(usize, Duration, PathBuf)>) {
    loop {
        let next = queue.lock().unwrap().next();
        let Some(path) = next else { return };
        // Some of its tests are files that are not UTF-8, on purpose.
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        busy.lock().unwrap().insert(path.clone());
        let (lines, begun) = (source.lines().count(), Instant::now());
        answer(&path, source);
        busy.lock().unwrap().remove(&path);
        if done.send((lines, begun.elapsed(), path)).is_err() {
            return;
        }
    }
}

#[test]
fn the_standard_library_is_answered() {
    let files = library();
    let expected = files.len();
    assert!(expected > 500, "{expected} files");
    let (queue, busy) = (Arc::new(Mutex::new(files.into_iter())), Busy::default());
    let (outbox, done) = channel();
    let begun = Instant::now();
    for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let (queue, busy, outbox) = (queue.clone(), busy.clone(), outbox.clone());
        let worker = std::thread::Builder::new().stack_size(STACK);
        worker.spawn(move || work(&queue, &busy, &outbox)).unwrap();
    }
    drop(outbox);
    let (mut lines, mut slowest) = (0, (Duration::ZERO, PathBuf::new()));
    for _ in 0..expected {
        let Ok((more, took, path)) = done.recv_timeout(HANG) else {
            panic!("a panic (above) or a hang in {:?}", busy.lock().unwrap());
        };
        lines += more;
        slowest = slowest.max((took, path));
    }
    println!("stdlib: {expected} files, {lines} lines in {:.2} s", begun.elapsed().as_secs_f64());
    println!("stdlib: the slowest took {:.2} s: {}", slowest.0.as_secs_f64(), slowest.1.display());
}
