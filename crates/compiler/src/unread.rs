//! What an application has where a file of Python text should be: diagnostics for whoever reads the files, since this
//! crate reads none.

use crate::diagnostic::{Report, Sink};
use crate::span::Span;
use crate::{App, Diagnostic, SourceFile, parse, syntax};

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// What has the name of a file is this: a folder, a pipe.
    NotAFile(&'static str),
    /// It is larger than this many bytes.
    TooLarge(u64),
    /// A byte of it is not UTF-8 text.
    NotUtf8(u8),
    /// It says that it is written in another encoding.
    Encoding(String),
    /// A line of a list of services is wrong.
    List(String),
    /// A folder without Python files.
    Empty,
}

/// Says what is wrong at a place of a file, of which as much text is given as there is.
pub fn unread(file: SourceFile, span: Span, fault: Fault) -> Diagnostic {
    let (code, message, help) = told(fault);
    let app = App { files: vec![file], classes: None };
    let mut sink = Sink::new(&app);
    sink.add(Report::error(code, 0, span, message).help(help));
    sink.finish().remove(0)
}

fn told(fault: Fault) -> (&'static str, String, String) {
    let utf8 = "save it as UTF-8".to_owned();
    match fault {
        Fault::Unreadable(reason) => {
            ("SOS0006", format!("this file cannot be read: {reason}"), "mend it, or take it out of the folder".into())
        }
        Fault::NotAFile(kind) => (
            "SOS0006",
            format!("this is {kind}, where a Python file should be"),
            "give it a name that does not end in `.py`".into(),
        ),
        Fault::TooLarge(max) => (
            "SOS0006",
            format!("this file is larger than {max} bytes, which is too much for a source file"),
            "keep data in a file of another kind".into(),
        ),
        Fault::NotUtf8(byte) => ("SOS0007", format!("the byte 0x{byte:02x} here is not UTF-8 text"), utf8),
        Fault::Encoding(name) => {
            let message = format!("this file says that it is written in `{name}`; only UTF-8 is read");
            ("SOS0007", message, format!("{utf8}, and take out the declaration"))
        }
        Fault::List(what) => ("SOS0008", what, "a line is `Class,path`".into()),
        Fault::Empty => {
            ("SOS0114", "there are no `.py` files in this folder".into(), "name the application's folder".into())
        }
    }
}

/// Only what the texts themselves say, each for itself: for an application of which parts are missing.
pub fn check_syntax(app: &App) -> Vec<Diagnostic> {
    let mut sink = Sink::new(app);
    for (file, source) in app.files.iter().enumerate() {
        let (_, problems) = parse::parse_module(&source.source);
        problems.into_iter().for_each(|problem| sink.add(syntax(file, problem)));
    }
    sink.finish()
}
