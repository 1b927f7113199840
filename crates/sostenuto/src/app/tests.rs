//! Applications as people lay them out: folders, files, packages, CSVs, and what cannot be read.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A folder with these files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn modules(sources: &Sources) -> Vec<(&str, bool)> {
    sources.app.files.iter().map(|file| (file.module.as_str(), file.package)).collect()
}

/// What is told of an application that cannot be read as a whole: `CODE file:line:column message`, one for each line.
fn told(path: &Path) -> String {
    let told = read(&[path.to_owned()]).unwrap().unread.diagnostics;
    let line = |d: &Diagnostic| format!("{} {}:{}:{} {}\n", d.code, d.file, d.line, d.column, d.message);
    told.iter().map(line).collect()
}

fn usage(path: &Path) -> String {
    read(&[path.to_owned()]).unwrap_err().downcast::<Usage>().unwrap().to_string()
}

#[test]
fn a_folder_gives_dotted_modules() {
    let root = tree(&[
        ("app.py", "a"),
        ("__init__.py", ""),
        ("shop/__init__.py", ""),
        ("shop/models/room.py", ""),
        ("plain/x.py", ""),
        ("notes.txt", ""),
        (".hidden/h.py", ""),
        ("__pycache__/app.py", ""),
        ("env/pyvenv.cfg", ""),
        ("env/lib/e.py", ""),
    ]);
    let sources = read(&[root.path().to_owned()]).unwrap();
    let expected =
        [("__init__", false), ("app", false), ("plain.x", false), ("shop", true), ("shop.models.room", false)];
    assert_eq!(modules(&sources), expected);
    assert_eq!(sources.folder, root.path().canonicalize().unwrap());
    assert_eq!(sources.app.files[1].path, root.path().join("app.py").display().to_string());
}

#[test]
#[cfg(unix)]
fn links_in_a_circle_end() {
    let root = tree(&[("a/x.py", "")]);
    std::os::unix::fs::symlink(root.path(), root.path().join("a/loop")).unwrap();
    assert_eq!(modules(&read(&[root.path().to_owned()]).unwrap()), [("a.x", false)]);
}

#[test]
fn files_are_modules_of_their_name() {
    let root = tree(&[("a/app.py", "\u{feff}x = 1"), ("b/other.py", ""), ("b/app.py", "")]);
    let path = |name: &str| root.path().join(name);
    let sources = read(&[path("a/app.py"), path("b/other.py")]).unwrap();
    assert_eq!(modules(&sources), [("app", false), ("other", false)]);
    assert_eq!(sources.name, "app");
    assert_eq!(sources.app.files[0].source, "x = 1");
    let twice = compiler::compile(&read(&[path("a/app.py"), path("b/app.py")]).unwrap().app);
    assert!(
        twice.diagnostics.iter().any(|d| d.code == "SOS0004" && d.message.contains("a/app.py` is the module `app`"))
    );
}

#[test]
fn a_csv_names_classes_and_files() {
    let root = tree(&[
        ("app/services.csv", "Front,front.py\n\n# more\nBack, sub/back.py\nBack2,sub/back.py\n"),
        ("app/front.py", ""),
        ("app/sub/back.py", ""),
    ]);
    let sources = read(&[root.path().join("app/services.csv")]).unwrap();
    assert_eq!(modules(&sources), [("front", false), ("back", false)]);
    assert_eq!(sources.name, "services");
    let classes = sources.app.classes.unwrap();
    let back = root.path().join("app/sub/back.py").display().to_string();
    assert_eq!(classes[1], ListedClass { class: "Back".into(), path: back.clone() });
    assert_eq!(classes[2], ListedClass { class: "Back2".into(), path: back });
}

#[test]
fn a_bad_csv_is_told_with_its_line() {
    let check = |text: &[u8], expected: &str| {
        let root = tree(&[("a.py", "")]);
        fs::write(root.path().join("s.csv"), text).unwrap();
        let told = told(&root.path().join("s.csv"));
        assert!(told.contains(expected), "{told}");
    };
    check(b"A,a.py\nB", "s.csv:2:1 this line does not name a class and a file");
    check(b"A,nowhere.py", "s.csv:1:1 there is no file `nowhere.py`");
    check(b"A,a.py\n \tA,a.py", "s.csv:2:3 the class `A` is named twice");
    check(b"\n", "s.csv:1:1 no line of this list names a class");
    check(b"A,a.py\nB,\0a.py", "SOS0008");
    check(b"A,a.py\nB\xe9,a.py", "s.csv:2:2 the byte 0xe9");
}

#[test]
fn what_is_no_application_is_told() {
    let root = tree(&[("empty/x.txt", ""), ("x.txt", "")]);
    assert!(usage(&root.path().join("nowhere")).contains("there is no such file or folder"));
    assert!(usage(&root.path().join("x.txt")).contains("an application is one folder"));
    assert!(told(&root.path().join("empty")).contains("SOS0114"));
}

#[test]
fn a_byte_that_is_no_text_is_shown_in_its_line() {
    let root = tree(&[("app.py", "x = 1")]);
    fs::write(root.path().join("latin.py"), b"# ok\nname = 'caf\xe9'\n").unwrap();
    let sources = read(&[root.path().to_owned()]).unwrap();
    assert_eq!(modules(&sources), [("app", false)]);
    let [latin] = &sources.unread.diagnostics[..] else { panic!("{:?}", sources.unread) };
    let shown = compiler::render(latin, &sources.unread.texts, false);
    assert!(shown.contains("latin.py:2:12") && shown.contains("name = 'caf\u{fffd}'"), "{shown}");
}

#[test]
#[cfg(unix)]
fn what_only_looks_like_a_python_file_is_told() {
    let root = tree(&[("app.py", ""), ("folder.py/inner.py", "")]);
    let path = |name: &str| root.path().join(name);
    std::os::unix::fs::symlink("nowhere", path("dangling.py")).unwrap();
    std::os::unix::fs::symlink("round.py", path("round.py")).unwrap();
    fs::File::create(path("large.py")).unwrap().set_len(17 << 20).unwrap();
    // Opening a socket's file fails at once; a pipe would wait for somebody to write.
    let _socket = std::os::unix::net::UnixListener::bind(path("socket.py")).unwrap();
    let found = told(root.path());
    let expected = [
        "dangling.py:1:1 this file cannot be read: it is a link to nothing",
        "folder.py:1:1 this is a folder",
        "large.py:1:1 this file is larger than",
        "round.py:1:1 this file cannot be read: its links lead in a circle",
        "socket.py:1:1 this is a pipe, a socket or a device",
    ];
    for (line, expected) in found.lines().zip(expected) {
        assert!(line.starts_with("SOS0006 ") && line.contains(expected), "{line}");
    }
    assert_eq!(found.lines().count(), expected.len(), "{found}");
    assert!(told(&path("dangling.py")).contains("a link to nothing"));
}

#[test]
fn a_csv_brings_what_its_files_import() {
    let root = tree(&[
        ("app/s.csv", "Front,front.py\nBack,media-service/back.py\n"),
        ("app/front.py", "from compiler import decorators\nimport shared, json\nfrom lib.deep import thing\n"),
        ("app/compiler/decorators.py", "raise SystemExit\n"),
        ("app/shared.py", ""),
        ("app/driver.py", "raise SystemExit\n"),
        ("app/lib/__init__.py", ""),
        ("app/lib/deep/thing.py", ""),
        ("app/media-service/back.py", "def late():\n    import shared\n"),
    ]);
    let sources = read(&[root.path().join("app/s.csv")]).unwrap();
    let expected = [("front", false), ("back", false), ("shared", false), ("lib", true), ("lib.deep.thing", false)];
    assert_eq!(modules(&sources), expected);
}

#[test]
fn relative_imports_make_packages() {
    let root = tree(&[
        ("app/s.csv", "Front,front.py\nBack,media-service/back.py\n"),
        ("app/front.py", "from . import shared\n"),
        ("app/shared.py", ""),
        ("app/media-service/back.py", "from .parts import x\nfrom ..shared import y\n"),
        ("app/media-service/parts.py", ""),
    ]);
    let sources = read(&[root.path().join("app/s.csv")]).unwrap();
    let expected = [
        ("app.front", false),
        ("app.media_service.back", false),
        ("app.shared", false),
        ("app.media_service.parts", false),
    ];
    assert_eq!(modules(&sources), expected);
    let sources = read(&[root.path().join("app/media-service/parts.py")]).unwrap();
    assert_eq!(modules(&sources), [("parts", false)]);
}
