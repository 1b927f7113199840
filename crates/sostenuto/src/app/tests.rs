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

fn failure(paths: &[&Path]) -> String {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    format!("{:#}", read(&paths).unwrap_err())
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
    assert!(failure(&[&path("a/app.py"), &path("b/app.py")]).contains("both the module `app`"));
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
    let check = |text: &str, expected: &str| {
        let root = tree(&[("s.csv", text), ("a.py", "")]);
        let told = failure(&[&root.path().join("s.csv")]);
        assert!(told.contains(expected), "{told}");
    };
    check("A,a.py\nB", "s.csv:2: a line is `Class,path`");
    check("A,nowhere.py", "s.csv:1: there is no file `nowhere.py`");
    check("A,a.py\nA,a.py", "s.csv:2: the class `A` is named twice");
    check("\n", "no line names a class");
}

#[test]
fn what_is_no_application_is_told() {
    let root = tree(&[("empty/x.txt", ""), ("latin.py", ""), ("x.txt", "")]);
    fs::write(root.path().join("latin.py"), b"# ok\nname = 'caf\xe9'\n").unwrap();
    let check = |name: &str, expected: &str| {
        let told = failure(&[&root.path().join(name)]);
        assert!(told.contains(expected), "{told}");
    };
    check("nowhere", "there is no such file or folder");
    check("empty", "no .py files");
    check("latin.py", "latin.py:2: the file is not UTF-8 text (byte 0xe9)");
    check("x.txt", "an application is one folder");
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
