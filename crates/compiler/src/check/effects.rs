//! Outside effects in service code: they happen again when a step runs again.

use crate::diagnostic::{Report, Sink};
use crate::hir::{Expr, ExprKind};
use crate::model::{Binding, Entity, FileId, FunctionId, Model};
use crate::walk::expressions;

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    expressions(&info.hir.body, &mut |expr| {
        let ExprKind::Call(call) = &expr.kind else { return };
        let path = match model.resolve(info.file, &call.func) {
            Entity::Path(path) => path,
            _ => match of_path(model, info.file, &call.func) {
                Some(path) => path,
                None => return,
            },
        };
        let Some(what) = effect(&path) else { return };
        let shown = path.trim_start_matches("builtins.");
        let report = Report::warning("SOS0602", info.file, call.func.span, format!("`{shown}` {what}"));
        let report = report.note("a step may run more than once, so this may happen more than once");
        sink.add(report.help("do it in a function of the module with `@task`: its result is recorded once"));
    });
}

/// `Path(…).write_text`, also through a name that holds nothing but paths.
fn of_path<'a>(model: &Model<'a>, file: FileId, func: &'a Expr) -> Option<String> {
    let ExprKind::Attribute(base, name) = &func.kind else { return None };
    is_path(model, file, base, PATHS_MAX).then(|| format!("pathlib.Path.{}", name.name))
}

/// Following names and joined paths deeper than this gives up.
const PATHS_MAX: u32 = 8;

fn is_path<'a>(model: &Model<'a>, file: FileId, expr: &'a Expr, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let is_class = |e: &'a Expr| model.resolve(file, e) == Entity::Path("pathlib.Path".to_owned());
    match &expr.kind {
        ExprKind::Call(call) => is_class(&call.func),
        ExprKind::Binary(left, ..) => is_path(model, file, left, depth),
        ExprKind::Attribute(base, name) if name.name == "parent" => is_path(model, file, base, depth),
        ExprKind::Name(name) => {
            let bound = model.binding_scope(model.scope_at(file, expr), name);
            let bindings = bound.map(|b| model.scopes[b].bindings[name.as_str()].as_slice()).unwrap_or_default();
            !bindings.is_empty()
                && bindings.iter().all(|binding| match binding {
                    Binding::Value(value) => is_path(model, file, value, depth),
                    Binding::Param { annotation: Some(annotation), .. } | Binding::Annotated { annotation, .. } => {
                        is_class(annotation)
                    }
                    _ => false,
                })
        }
        _ => false,
    }
}

/// What a function does to the world, or how it waits for it.
fn effect(path: &str) -> Option<&'static str> {
    const NETWORK: [&str; 14] = [
        "requests",
        "httpx",
        "aiohttp",
        "urllib.request",
        "urllib3",
        "http.client",
        "socket",
        "smtplib",
        "ftplib",
        "imaplib",
        "poplib",
        "telnetlib",
        "websockets",
        "xmlrpc",
    ];
    const STORES: [&str; 9] =
        ["sqlite3", "psycopg", "psycopg2", "pymysql", "redis", "pymongo", "boto3", "sqlalchemy", "shelve"];
    const PROCESSES: [&str; 5] = ["subprocess", "multiprocessing", "threading", "concurrent", "signal"];
    let of = |modules: &[&str]| {
        modules.iter().any(|m| path.strip_prefix(m).is_some_and(|rest| rest.starts_with('.') || rest.is_empty()))
    };
    match path {
        "builtins.open" | "io.open" => Some("reads or writes a file"),
        "builtins.input" => Some("waits for a person"),
        "os.system" | "os.popen" | "os.fork" | "os.kill" | "os._exit" => Some("starts or ends processes"),
        "os.remove" | "os.unlink" | "os.rename" | "os.mkdir" | "os.makedirs" | "os.rmdir" | "os.replace"
        | "os.putenv" | "os.chdir" | "os.chmod" | "os.symlink" | "os.link" | "os.truncate" | "os.utime"
        | "os.unsetenv" | "os.umask" => Some("changes files or the process"),
        "os.listdir" | "os.scandir" | "os.walk" | "os.stat" | "os.getcwd" | "os.path.exists" | "os.path.isfile"
        | "os.path.isdir" | "os.path.getsize" | "os.path.getmtime" | "glob.glob" | "glob.iglob" => {
            Some("looks at the files of one machine")
        }
        "os.getpid" | "os.getppid" | "os.uname" | "os.cpu_count" | "os.getloadavg" | "socket.gethostname"
        | "platform.node" => Some("looks at one machine or process"),
        _ if path.starts_with("pathlib.Path.") => on_path(&path["pathlib.Path.".len()..]),
        _ if path.starts_with("shutil.") || path.starts_with("tempfile.") => Some("changes files"),
        _ if of(&NETWORK) => Some("uses the network"),
        _ if of(&STORES) => Some("uses another store"),
        _ if of(&PROCESSES) && !path.ends_with("Error") => Some("starts threads or processes"),
        _ => None,
    }
}

/// What a method of `pathlib.Path` does.
fn on_path(method: &str) -> Option<&'static str> {
    match method {
        "open" | "read_text" | "read_bytes" | "write_text" | "write_bytes" => Some("reads or writes a file"),
        "unlink" | "mkdir" | "rmdir" | "rename" | "replace" | "touch" | "chmod" | "symlink_to" | "hardlink_to" => {
            Some("changes files or the process")
        }
        "exists" | "is_file" | "is_dir" | "iterdir" | "glob" | "rglob" | "stat" | "lstat" | "cwd" | "home"
        | "resolve" | "absolute" => Some("looks at the files of one machine"),
        _ => None,
    }
}
