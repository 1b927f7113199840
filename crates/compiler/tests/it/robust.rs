//! Any input is answered with diagnostics, never with a panic; source maps cover what they map.

use std::path::PathBuf;

use compiler::{App, SourceFile, compile, render};
use protocol::manifest::Module;

use crate::spec::cases;

#[test]
fn nothing_is_left_unlowered_in_the_examples() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in ["examples/bank", "examples/counter", "examples/hotel", "examples/reviews", "tests/apps/trouble"] {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let module = path.file_stem().unwrap().to_string_lossy().into_owned();
            if path.extension().is_some_and(|e| e == "py") && module != "driver" {
                let source = std::fs::read_to_string(&path).unwrap();
                files.push(SourceFile { path: format!("{module}.py"), module, source, package: false });
            }
        }
        let app = App { files, classes: None };
        let compiled = compile(&app);
        let told: String = compiled.diagnostics.iter().map(|d| render(d, &app, false)).collect();
        assert!(compiled.manifest.is_some(), "{folder}: {told}");
    }
}

#[test]
fn broken_texts_are_answered() {
    for case in cases() {
        let source = &case.app.files[0].source;
        for cut in (0..source.len()).step_by(37).filter(|cut| source.is_char_boundary(*cut)) {
            let file = SourceFile { source: source[..cut].to_owned(), ..case.app.files[0].clone() };
            let app = App { files: vec![file], classes: None };
            for diagnostic in &compile(&app).diagnostics {
                assert_ne!(diagnostic.code, "SOS9001", "{}", render(diagnostic, &app, false));
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for text in [format!("x = {}1{}\n", "(".repeat(5000), ")".repeat(5000)), format!("x = {}1\n", "1 + ".repeat(5000))]
    {
        let file = SourceFile { path: "a.py".into(), module: "a".into(), source: text, package: false };
        let compiled = compile(&App { files: vec![file], classes: None });
        assert!(compiled.manifest.is_none());
    }
}

#[test]
fn source_maps_cover_the_lowered_texts() {
    for case in cases() {
        compile(&case.app).manifest.iter().flat_map(|m| &m.modules).for_each(check_map);
    }
}

/// Checks that a source map covers its lowered text.
pub(crate) fn check_map(module: &Module) {
    let mut next = 0;
    for (index, piece) in module.map.iter().enumerate() {
        assert_eq!(piece.lowered, next);
        next = module.map.get(index + 1).map_or(module.lowered.len() as u32, |p| p.lowered);
        let text = &module.lowered[piece.lowered as usize..next as usize];
        let user = &module.source[piece.start as usize..piece.end as usize];
        assert!(!piece.verbatim || text == user);
    }
    assert_eq!(next as usize, module.lowered.len());
}

#[test]
fn circles_and_towers_end() {
    let loops: String = (0..18).map(|i| format!("{}for x{i} in self.xs:\n", " ".repeat(i + 8))).collect();
    let deep = format!(
        "from sostenuto import service, Persistent\n@service\nclass A:\n    xs: Persistent[list] = []\n    \
         def f(self):\n        y = None\n{loops}{}y = x17; self.xs.append(y)\n",
        " ".repeat(26)
    );
    let texts = [
        [("a", "from b import x\ny = x\nX = X2\nX2 = X\n"), ("b", "from a import x\n")],
        [("a", "import b\nclass C(b.D): pass\n"), ("b", "import a\nclass D(a.C): pass\n")],
        [("a", deep.as_str()), ("b", "T = list[U]\nU = list[T]\n")],
        [("a", "async def f():\n    for a in b: await a\n    for b in a: await b\n"), ("b", "")],
    ];
    for modules in texts {
        let file = |(name, source): (&str, &str)| SourceFile {
            path: format!("{name}.py"),
            module: name.to_owned(),
            source: format!("\u{feff}{source}"),
            package: false,
        };
        compile(&App { files: modules.into_iter().map(file).collect(), classes: None });
    }
}

#[test]
fn long_chains_of_helpers_settle() {
    // What the last one changes is told to the first; what the first is lent is told to the last.
    let chain: String = (0..90).map(|i| format!("def h{i}(x):\n    return h{}(x)\n\n", i + 1)).collect();
    let service = "from sostenuto import Persistent, service\n\n@service\nclass A:\n    xs: Persistent[list] = []\n    \
                   def f(self):\n        return len(h0(self.xs))\n\n";
    let last = "def h90(x):\n    x.append(1)\n    return x\n\n";
    for source in [[service, &chain, last].concat(), [last, &reversed(&chain), service].concat()] {
        let file = SourceFile { path: "a.py".into(), module: "a".into(), source, package: false };
        let app = App { files: vec![file], classes: None };
        let compiled = compile(&app);
        let told: String = compiled.diagnostics.iter().map(|d| render(d, &app, false)).collect();
        let manifest = compiled.manifest.unwrap_or_else(|| panic!("{told}"));
        let [(field, mode)] = &manifest.services[0].methods[0].modes[..] else { panic!("{manifest:?}") };
        assert_eq!((field.as_str(), *mode), ("xs", protocol::manifest::Mode::Exclusive));
    }
}

/// The functions of a text the other way round.
fn reversed(text: &str) -> String {
    let mut functions: Vec<String> = text.split_terminator("\n\n").map(|f| format!("{f}\n\n")).collect();
    functions.reverse();
    functions.concat()
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_fine() {
    let source = "\u{feff}from sostenuto import service\r\n@service\r\nclass A:\r\n    def f(self):\r\n        try:\r\n            \
                  pass\r\n        except: pass\r\n        finally:\r\n            pass\r\n";
    let file = SourceFile { path: "a.py".into(), module: "a".into(), source: source.to_owned(), package: false };
    let manifest = compile(&App { files: vec![file], classes: None }).manifest.unwrap();
    assert!(manifest.modules[0].lowered.starts_with("from sostenuto"));
    manifest.modules.iter().for_each(check_map);
}
