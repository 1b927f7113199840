//! Clocks and draws: references to them are replaced by the runtime's, which a replay answers alike. What cannot be
//! replaced is refused or pointed at.

use super::rope::Edit;
use crate::colour::{Colours, RUNTIME};
use crate::diagnostic::Report;
use crate::hir::*;
use crate::model::{Binding, Entity, FileId, FunctionId, Model};
use crate::place::is_main_guard;
use crate::walk::statements;

/// The runtime's name for what `path` names.
fn replacement(path: &str) -> Option<String> {
    let name = match path {
        "uuid.uuid4" | "uuid.uuid1" => &path["uuid.".len()..],
        "os.urandom" => "urandom",
        "time.time" | "time.time_ns" => path,
        "datetime.datetime.now" => "datetime_now",
        "datetime.datetime.utcnow" => "datetime_utcnow",
        "datetime.datetime.today" => "datetime_today",
        "datetime.date.today" => "date_today",
        "random.Random" | "random.SystemRandom" | "secrets.compare_digest" | "secrets.SystemRandom" => return None,
        _ if path.starts_with("random.") || path.starts_with("secrets.") => path,
        _ => return None,
    };
    Some(format!("{RUNTIME}.{name}"))
}

/// Edits and reports for a function's body, defaults included.
pub(super) fn function(model: &Model<'_>, colours: &Colours, id: FunctionId) -> (Vec<Edit>, Vec<Report>) {
    let info = &model.functions[id];
    let mut finder =
        Finder { model, file: info.file, import: false, reached: colours.reached[id], out: Default::default() };
    finder.block(&info.hir.body);
    finder.out
}

/// Edits and reports for module and class bodies, and for defaults of functions.
pub(super) fn module(model: &Model<'_>, file: FileId) -> (Vec<Edit>, Vec<Report>) {
    let mut finder = Finder { model, file, import: true, reached: false, out: Default::default() };
    finder.outside(&model.files[file].tree.body);
    for function in model.functions_of(file) {
        finder.import = function.parent.is_none();
        let defaults = function.hir.params.iter().filter_map(|p| p.default.as_ref());
        function.hir.decorators.iter().chain(defaults).for_each(|e| finder.expr(e, false));
    }
    finder.out
}

struct Finder<'m, 'a> {
    model: &'m Model<'a>,
    file: FileId,
    /// Runs when the module is loaded.
    import: bool,
    /// A service may get here.
    reached: bool,
    out: (Vec<Edit>, Vec<Report>),
}

impl<'a> Finder<'_, 'a> {
    fn outside(&mut self, body: &'a [Stmt]) {
        for stmt in body.iter().filter(|s| !is_main_guard(s)) {
            match &stmt.kind {
                StmtKind::Function(_) => {}
                StmtKind::Class(class) => {
                    class.decorators.iter().chain(&class.bases).for_each(|e| self.expr(e, false));
                    self.outside(&class.body);
                }
                StmtKind::Annotated { value, .. } => value.iter().for_each(|v| self.expr(v, false)),
                _ => stmt.exprs(&mut |expr| self.expr(expr, false)),
            }
            stmt.blocks(&mut |block| self.outside(block));
        }
    }

    fn block(&mut self, body: &'a [Stmt]) {
        statements(body, &mut |stmt| match &stmt.kind {
            StmtKind::Function(_) => {}
            StmtKind::Class(class) => self.outside(&class.body),
            StmtKind::Annotated { target, value, .. } => {
                value.iter().for_each(|v| self.expr(v, false));
                self.expr(target, false);
            }
            _ => stmt.exprs(&mut |expr| self.expr(expr, false)),
        });
    }

    fn expr(&mut self, expr: &'a Expr, called: bool) {
        match &expr.kind {
            ExprKind::Name(_) | ExprKind::Attribute(..) if self.reference(expr, called) => return,
            ExprKind::Call(call) => {
                self.call(expr, call);
                self.expr(&call.func, true);
                call.args.iter().for_each(|a| self.expr(a, false));
                return call.keywords.iter().for_each(|k| self.expr(&k.value, false));
            }
            ExprKind::Lambda(lambda) => {
                lambda.params.iter().filter_map(|p| p.default.as_ref()).for_each(|d| self.expr(d, false));
                let import = std::mem::replace(&mut self.import, false);
                self.expr(&lambda.body, false);
                self.import = import;
                return;
            }
            ExprKind::Format(format) => return format.parts.iter().for_each(|part| self.interpolation(part)),
            _ => {}
        }
        expr.children(&mut |child| self.expr(child, false));
    }

    fn interpolation(&mut self, part: &'a Interpolation) {
        let before = self.out.0.len();
        self.expr(&part.value, false);
        if part.debug && self.out.0.len() > before {
            let message = "a clock or a draw inside `{…=}` cannot be compiled: its text is part of the result";
            let report = Report::error("SOS0310", self.file, part.value.span, message);
            self.out.1.push(report.help("assign it to a name first"));
        }
    }

    /// Replaces a reference; true if there is nothing left below it.
    fn reference(&mut self, expr: &'a Expr, called: bool) -> bool {
        if let ExprKind::Name(name) = &expr.kind
            && !self.imported_name(expr, name)
        {
            return true;
        }
        let Entity::Path(path) = self.model.resolve(self.file, expr) else { return false };
        self.local_clock(expr, &path);
        let Some(text) = replacement(&path) else { return false };
        if self.import && called {
            let message = format!("`{path}` runs when the module is loaded: each worker process has its own value");
            let report = Report::warning("SOS0604", self.file, expr.span, message);
            self.out.1.push(report.help("call it in a method, and keep the value in a persistent field"));
            return true;
        }
        self.out.0.push(Edit::Replace { span: expr.span, text });
        true
    }

    /// True if every binding of the name is an import. A name that is bound otherwise too is refused if one of its
    /// bindings is a clock or draw.
    fn imported_name(&mut self, expr: &'a Expr, name: &str) -> bool {
        let scope = self.model.scope_at(self.file, expr);
        let Some(bound) = self.model.binding_scope(scope, name) else { return false };
        let bindings = &self.model.scopes[bound].bindings[name];
        let path = |b: &Binding<'_>| match b {
            Binding::From { module, name } => Some(format!("{module}.{name}")),
            Binding::Import(path) => Some(path.clone()),
            _ => None,
        };
        let paths: Vec<_> = bindings.iter().map(path).collect();
        let agreed = paths.windows(2).all(|pair| pair[0] == pair[1]);
        if !agreed && paths.iter().flatten().any(|p| replacement(p).is_some() || CLOCK_MODULES.contains(&p.as_str())) {
            let message = format!("`{name}` is sometimes a clock or random generator, and sometimes something else");
            let report = Report::error("SOS0608", self.file, expr.span, message);
            self.out.1.push(report.help("import it under a name of its own"));
        }
        agreed && paths.iter().all(Option::is_some)
    }

    fn local_clock(&mut self, expr: &'a Expr, path: &str) {
        let local = ["perf_counter", "monotonic", "process_time", "thread_time"];
        let name = path.strip_prefix("time.").map(|n| n.trim_end_matches("_ns"));
        if self.reached && name.is_some_and(|n| local.contains(&n)) {
            let message = format!("`{path}` is the local clock of one process: a replay sees other values");
            let report = Report::warning("SOS0603", self.file, expr.span, message);
            self.out.1.push(report.help("use it for measurements only; `time.time()` is recorded"));
        }
    }

    fn call(&mut self, expr: &'a Expr, call: &'a Call) {
        let Entity::Path(path) = self.model.resolve(self.file, &call.func) else { return };
        let bare = call.args.is_empty() && call.keywords.is_empty();
        let (code, message, help) = match path.as_str() {
            "time.sleep" if self.reached => (
                "SOS0601",
                "`time.sleep` stops the whole worker",
                "use `sleep` (from sostenuto import sleep): it survives restarts and holds no thread",
            ),
            "random.Random" if bare && !self.import => {
                ("SOS0605", "a random generator without a seed draws from the system", "use the functions of `random`")
            }
            "random.SystemRandom" | "secrets.SystemRandom" if !self.import => {
                ("SOS0605", "the system's random generator cannot be replayed", "use `secrets` or `random`")
            }
            "time.localtime" | "time.gmtime" | "time.ctime" | "time.asctime" if bare && self.reached => {
                ("SOS0606", "this reads the clock of the process", "pass it `time.time()`")
            }
            "time.strftime" if call.args.len() == 1 && self.reached => {
                ("SOS0606", "this reads the clock of the process", "pass it a time, or use `datetime.now()`")
            }
            _ => return,
        };
        self.out.1.push(Report::error(code, self.file, expr.span, message).help(help));
    }
}

/// Modules whose functions are clocks or draws.
const CLOCK_MODULES: [&str; 6] = ["time", "random", "uuid", "secrets", "datetime", "datetime.datetime"];
