//! Outside effects in service code: they happen again when a step runs again.

use crate::diagnostic::{Report, Sink};
use crate::hir::ExprKind;
use crate::model::{Entity, FunctionId, Model};
use crate::walk::expressions;

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    expressions(&info.hir.body, &mut |expr| {
        let ExprKind::Call(call) = &expr.kind else { return };
        let Entity::Path(path) = model.resolve(info.file, &call.func) else { return };
        let Some(what) = effect(&path) else { return };
        let shown = path.trim_start_matches("builtins.");
        let report = Report::warning("SOS0602", info.file, call.func.span, format!("`{shown}` {what}"));
        let report = report.note("a step may run more than once, so this may happen more than once");
        sink.add(report.help("tasks, which record such effects, come later"));
    });
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
        | "os.putenv" => Some("changes files or the process"),
        _ if path.starts_with("shutil.") || path.starts_with("tempfile.") => Some("changes files"),
        _ if of(&NETWORK) => Some("uses the network"),
        _ if of(&STORES) => Some("uses another store"),
        _ if of(&PROCESSES) && !path.ends_with("Error") => Some("starts threads or processes"),
        _ => None,
    }
}
