//! Writes frames: every message as the tuple that the header of [`super`] specifies.

use super::frame::{begin, end};
use super::resident::Sent;
use super::*;
use crate::json::type_name;
use crate::manifest::{Field, FieldKind, Language, Manifest, Method, Module, Parameter, ParameterKind, Service};
use crate::marshal::{self, write};
use crate::msgpack::Unencodable;
use crate::value::Value;

type Done = Result<(), FrameError>;

/// What INIT tells a worker beside the manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InitOptions {
    /// Option and value (like `strike_file` and a path).
    pub values: Vec<(String, Value)>,
}

/// The frame with INIT, with its length.
///
/// INIT is `(0, modules, services, records, options)`:
/// - modules: `(name, path, source, lowered, [(lowered, start, end, verbatim), …], package)`;
/// - services: `(name, module name, entity, mu2sls, fields, methods, clients)` with
///   - fields: `(name, kind, initial, held)`, kind 0 scalar, 1 dict, 2 list, `initial` marshal bytes,
///   - methods: `(name, coloured, read only, [(parameter, kind, type, default), …])`, kind 0 normal, 1 positional only,
///     2 keyword only, 3 `*args`, 4 `**kwargs`; type in Python's spelling,
///   - clients: `(attribute, service)`;
/// - records: `(name, is enum)`;
/// - options: a dict.
pub fn encode_init(manifest: &Manifest, options: &InitOptions) -> Result<Vec<u8>, FrameError> {
    let mut out = begin();
    write::list(&mut out, 1)?;
    write::tuple(&mut out, 5)?;
    write::int(&mut out, tag::INIT);
    list(&mut out, &manifest.modules, put_module)?;
    let own = manifest.services.iter().filter(|service| service.language == Language::Python);
    // Of the others a worker makes clients, where a class of the application stands for them.
    let services: Vec<_> = own.chain(&manifest.expected).collect();
    list(&mut out, &services, |out, service| put_service(out, manifest, service))?;
    list(&mut out, &manifest.records, |out, record| {
        write::tuple(out, 2)?;
        write::str(out, &record.name)?;
        write::boolean(out, record.is_enum);
        Ok(())
    })?;
    put_options(&mut out, options)?;
    end(out)
}

/// The frame that lets the template fork a worker.
pub fn encode_fork(worker: u64, options: &InitOptions) -> Result<Vec<u8>, FrameError> {
    let mut out = begin();
    write::list(&mut out, 1)?;
    write::tuple(&mut out, 3)?;
    write::int(&mut out, tag::FORK);
    write::uint(&mut out, worker);
    put_options(&mut out, options)?;
    end(out)
}

/// The frame that lets the template end a worker at once.
pub fn encode_kill(worker: u64) -> Result<Vec<u8>, FrameError> {
    let mut out = begin();
    write::list(&mut out, 1)?;
    write::tuple(&mut out, 2)?;
    write::int(&mut out, tag::KILL);
    write::uint(&mut out, worker);
    end(out)
}

fn put_options(out: &mut Vec<u8>, options: &InitOptions) -> Done {
    write::begin_dict(out);
    for (name, value) in &options.values {
        write::str(out, name)?;
        out.extend_from_slice(&marshal::encode(value)?);
    }
    write::end_dict(out);
    Ok(())
}

/// The frame with these messages, with its length, to a worker that keeps what `resident` says.
pub fn encode_to_worker(messages: &[ToWorker], resident: &mut Resident) -> Result<Vec<u8>, FrameError> {
    let frame = frame_to_worker(messages, resident);
    match &frame {
        Ok(_) => resident.frame_ends(),
        Err(_) => resident.frame_fails(),
    }
    frame
}

fn frame_to_worker(messages: &[ToWorker], resident: &mut Resident) -> Result<Vec<u8>, FrameError> {
    let mut out = begin();
    let start = out.len();
    list(&mut out, messages, |out, message| put_to_worker(out, message, resident))?;
    if let Some(forgotten) = resident.news() {
        write::tuple(&mut out, 2)?;
        write::int(&mut out, tag::RESIDENT);
        list(&mut out, forgotten, |out, name| {
            write::uint(out, *name);
            Ok(())
        })?;
        // There is one more than was said.
        let mut head = Vec::new();
        write::list(&mut head, messages.len() + 1)?;
        out[start..start + head.len()].copy_from_slice(&head);
    }
    end(out)
}

/// The frame with these messages, with its length. (For tests and the simulator, which stand in for a worker.)
pub fn encode_from_worker(messages: &[FromWorker]) -> Result<Vec<u8>, FrameError> {
    let mut out = begin();
    list(&mut out, messages, put_from_worker)?;
    end(out)
}

fn put_module(out: &mut Vec<u8>, module: &Module) -> Done {
    write::tuple(out, 6)?;
    write::str(out, &module.name)?;
    write::str(out, &module.path)?;
    write::str(out, &module.source)?;
    write::str(out, &module.lowered)?;
    list(out, &module.map, |out, piece| {
        write::tuple(out, 4)?;
        [piece.lowered, piece.start, piece.end].into_iter().for_each(|part| write::int(out, i64::from(part)));
        write::boolean(out, piece.verbatim);
        Ok(())
    })?;
    write::boolean(out, module.package);
    Ok(())
}

fn put_service(out: &mut Vec<u8>, manifest: &Manifest, service: &Service) -> Done {
    let module = manifest.modules.get(service.module as usize).ok_or(FrameError::Module { index: service.module })?;
    write::tuple(out, 7)?;
    write::str(out, &service.name)?;
    write::str(out, &module.name)?;
    write::boolean(out, service.entity_key.is_some());
    write::boolean(out, service.mu2sls);
    list(out, &service.fields, put_field)?;
    list(out, &service.methods, put_method)?;
    list(out, &service.clients, |out, (attribute, service)| {
        write::tuple(out, 2)?;
        write::str(out, attribute)?;
        Ok(write::str(out, service)?)
    })
}

fn put_field(out: &mut Vec<u8>, field: &Field) -> Done {
    write::tuple(out, 4)?;
    write::str(out, &field.name)?;
    let kind = match field.kind {
        FieldKind::Scalar => 0,
        FieldKind::Dict => 1,
        FieldKind::List => 2,
    };
    write::int(out, kind);
    value(out, &field.initial)?;
    write::boolean(out, field.held);
    Ok(())
}

fn put_method(out: &mut Vec<u8>, method: &Method) -> Done {
    write::tuple(out, 4)?;
    write::str(out, &method.name)?;
    write::boolean(out, method.coloured);
    write::boolean(out, method.read_only);
    list(out, &method.parameters, put_parameter)
}

fn put_parameter(out: &mut Vec<u8>, parameter: &Parameter) -> Done {
    write::tuple(out, 4)?;
    write::str(out, &parameter.name)?;
    let kind = match parameter.kind {
        ParameterKind::Normal => 0,
        ParameterKind::PositionalOnly => 1,
        ParameterKind::KeywordOnly => 2,
        ParameterKind::VarPositional => 3,
        ParameterKind::VarKeyword => 4,
    };
    write::int(out, kind);
    write::str(out, &type_name(&parameter.ty))?;
    write::boolean(out, parameter.default);
    Ok(())
}

fn put_to_worker(out: &mut Vec<u8>, message: &ToWorker, resident: &mut Resident) -> Done {
    match message {
        ToWorker::Start(start) => put_start(out, start, resident),
        ToWorker::Resume(resume) => {
            write::tuple(out, 6)?;
            write::int(out, tag::RESUME);
            write::uint(out, resume.run.0);
            write::bytes(out, &resume.invocation.0)?;
            write::uint(out, resume.clock);
            put_slice(out, &resume.slice, Some(resident))?;
            list(out, &resume.delivered, put_delivered)
        }
        ToWorker::Evict(invocation) => {
            write::tuple(out, 2)?;
            write::int(out, tag::EVICT);
            Ok(write::bytes(out, &invocation.0)?)
        }
        ToWorker::Fetched { run, slice } => {
            write::tuple(out, 3)?;
            write::int(out, tag::FETCHED);
            write::uint(out, run.0);
            optional(out, slice.as_ref(), |out, slice| put_slice(out, slice, Some(resident)))
        }
        ToWorker::Task(task) => {
            write::tuple(out, 6)?;
            write::int(out, tag::TASK);
            write::uint(out, task.run.0);
            write::str(out, &task.function)?;
            value(out, &task.args)?;
            put_timeout(out, task.timeout);
            write::int(out, if task.is_async { tag::FLAG_ASYNC } else { 0 });
            Ok(())
        }
        ToWorker::StopTask(run) => {
            write::tuple(out, 2)?;
            write::int(out, tag::STOP);
            write::uint(out, run.0);
            Ok(())
        }
    }
}

fn put_timeout(out: &mut Vec<u8>, timeout: Option<Micros>) {
    match timeout {
        Some(micros) => write::uint(out, micros),
        None => write::none(out),
    }
}

fn put_start(out: &mut Vec<u8>, start: &Start, resident: &mut Resident) -> Done {
    write::tuple(out, 14)?;
    write::int(out, tag::START);
    write::uint(out, start.run.0);
    write::bytes(out, &start.invocation.0)?;
    write::str(out, &start.service)?;
    write::str(out, &start.method)?;
    optional_value(out, start.key.as_ref())?;
    value(out, &start.args)?;
    write::bytes(out, &start.seed)?;
    write::int(out, if start.in_transaction { tag::FLAG_IN_TRANSACTION } else { 0 });
    write::uint(out, start.clock);
    put_slice(out, &start.slice, Some(resident))?;
    list(out, &start.journal, put_journal_step)?;
    list(out, &start.delivered, put_delivered)?;
    match start.follows {
        Some(run) => write::uint(out, run.0),
        None => write::none(out),
    }
    Ok(())
}

/// Without `resident` all values are sent as they are.
fn put_slice(out: &mut Vec<u8>, slice: &Slice, mut resident: Option<&mut Resident>) -> Done {
    write::tuple(out, 2)?;
    list(out, &slice.cells, |out, cell| {
        write::tuple(out, 4)?;
        write::str(out, &cell.field)?;
        optional_value(out, cell.key.as_ref())?;
        let sent = |content: &ValueBytes| resident.as_mut().map_or(Sent::Plain, |resident| resident.send(content));
        match cell.value.as_ref().map(sent) {
            None | Some(Sent::Plain) => optional_value(out, cell.value.as_ref())?,
            Some(Sent::Named(name)) => write::uint(out, name),
            Some(Sent::New(name)) => {
                write::tuple(out, 2)?;
                write::uint(out, name);
                optional_value(out, cell.value.as_ref())?;
            }
        }
        write::uint(out, cell.incarnation);
        Ok(())
    })?;
    list(out, &slice.wholes, |out, (field, entries)| {
        write::tuple(out, 2)?;
        write::str(out, field)?;
        list(out, entries, |out, (key, content, incarnation)| {
            write::tuple(out, 3)?;
            value(out, key)?;
            value(out, content)?;
            write::uint(out, *incarnation);
            Ok(())
        })
    })
}

fn put_journal_step(out: &mut Vec<u8>, step: &JournalStep) -> Done {
    write::tuple(out, 4)?;
    write::uint(out, step.clock);
    put_slice(out, &step.reads, None)?;
    list(out, &step.delivered, put_delivered)?;
    list(out, &step.ops, |out, (position, text)| {
        write::tuple(out, 2)?;
        write::str(out, position)?;
        Ok(write::str(out, text)?)
    })
}

fn put_delivered(out: &mut Vec<u8>, delivered: &Delivered) -> Done {
    let (kind, payload) = match &delivered.result {
        Outcome::Value(payload) => (0, payload),
        Outcome::Exception(payload) => (1, payload),
    };
    write::tuple(out, 3)?;
    write::str(out, &delivered.position)?;
    write::int(out, kind);
    value(out, payload)
}

fn put_from_worker(out: &mut Vec<u8>, message: &FromWorker) -> Done {
    match message {
        FromWorker::End(end) => put_end(out, end),
        FromWorker::Fetch { run, field, what } => {
            write::tuple(out, 4)?;
            write::int(out, tag::FETCH);
            write::uint(out, run.0);
            write::str(out, field)?;
            match what {
                FetchWhat::Scalar => write::none(out),
                FetchWhat::Entry(key) => value(out, key)?,
                FetchWhat::Whole => write::ellipsis(out),
            }
            Ok(())
        }
        FromWorker::Dropped { run } => {
            write::tuple(out, 2)?;
            write::int(out, tag::DROPPED);
            write::uint(out, run.0);
            Ok(())
        }
        FromWorker::Departed { run, invocation, step, expected, actual } => {
            write::tuple(out, 6)?;
            write::int(out, tag::DEPARTED);
            write::uint(out, run.0);
            write::bytes(out, &invocation.0)?;
            write::uint(out, *step);
            write::str(out, expected)?;
            Ok(write::str(out, actual)?)
        }
        FromWorker::Ready { pid, python, problem } => {
            write::tuple(out, 4)?;
            write::int(out, tag::READY);
            write::int(out, i64::from(*pid));
            write::str(out, python)?;
            optional_value(out, problem.as_ref())
        }
        FromWorker::TaskEnd { run, outcome, is_final } => {
            let (kind, payload) = match outcome {
                Outcome::Value(payload) => (0, payload),
                Outcome::Exception(payload) => (1, payload),
            };
            write::tuple(out, 5)?;
            write::int(out, tag::TASK_END);
            write::uint(out, run.0);
            write::int(out, kind);
            value(out, payload)?;
            write::boolean(out, *is_final);
            Ok(())
        }
        FromWorker::Busy(micros) => {
            write::tuple(out, 2)?;
            write::int(out, tag::BUSY);
            write::uint(out, *micros);
            Ok(())
        }
        FromWorker::TaskOutput { run, stream, text } => {
            write::tuple(out, 4)?;
            write::int(out, tag::TASK_OUTPUT);
            write::uint(out, run.0);
            write::int(out, i64::from(*stream));
            Ok(write::str(out, text)?)
        }
    }
}

fn put_end(out: &mut Vec<u8>, end: &StepEnd) -> Done {
    write::tuple(out, 12)?;
    write::int(out, tag::END);
    write::uint(out, end.run.0);
    write::bytes(out, &end.invocation.0)?;
    let (status, payload) = match &end.status {
        StepStatus::Returned(payload) => (0, Some(payload)),
        StepStatus::Raised(payload) => (1, Some(payload)),
        StepStatus::Suspended => (2, None),
        StepStatus::NotStorable(payload) => (3, Some(payload)),
    };
    write::int(out, status);
    optional_value(out, payload)?;
    put_reads(out, end)?;
    list(out, &end.writes, put_write)?;
    list(out, &end.ops, put_op)?;
    write::tuple(out, 2)?;
    write::int(out, i64::from(end.wait_all));
    list(out, &end.waits, |out, position| Ok(write::str(out, position)?))?;
    list(out, &end.logs, |out, (stream, text)| {
        write::tuple(out, 2)?;
        write::int(out, i64::from(*stream));
        Ok(write::str(out, text)?)
    })?;
    optional_value(out, end.doom.as_ref())?;
    write::tuple(out, 2)?;
    list(out, &end.held.cells, |out, cell| {
        write::tuple(out, 2)?;
        write::str(out, &cell.field)?;
        optional_value(out, cell.key.as_ref())
    })?;
    list(out, &end.held.wholes, |out, field| Ok(write::str(out, field)?))
}

fn put_reads(out: &mut Vec<u8>, end: &StepEnd) -> Done {
    write::tuple(out, 2)?;
    list(out, &end.reads, |out, (field, key)| {
        write::tuple(out, 2)?;
        write::str(out, field)?;
        optional_value(out, key.as_ref())
    })?;
    list(out, &end.whole_reads, |out, field| Ok(write::str(out, field)?))
}

fn put_write(out: &mut Vec<u8>, cell: &StepWrite) -> Done {
    write::tuple(out, 5)?;
    write::str(out, &cell.field)?;
    optional_value(out, cell.key.as_ref())?;
    optional_value(out, cell.value.as_ref())?;
    write::boolean(out, cell.fresh);
    match cell.incarnation {
        Some(incarnation) => write::uint(out, incarnation),
        None => write::none(out),
    }
    Ok(())
}

fn put_op(out: &mut Vec<u8>, op: &Op) -> Done {
    let (kind, rest) = match &op.kind {
        OpKind::Call(_) => (0, 4),
        OpKind::Send(_) => (1, 4),
        OpKind::Sleep(_) => (2, 1),
        OpKind::Begin => (3, 0),
        OpKind::Commit => (4, 0),
        OpKind::Rollback(_) => (5, 1),
        OpKind::Task(_) => (6, 7),
        OpKind::Cancel(_) => (7, 1),
    };
    write::tuple(out, 2 + rest)?;
    write::str(out, &op.position)?;
    write::int(out, kind);
    match &op.kind {
        OpKind::Call(target) | OpKind::Send(target) => {
            write::str(out, &target.service)?;
            optional_value(out, target.key.as_ref())?;
            write::str(out, &target.method)?;
            value(out, &target.args)?;
        }
        OpKind::Sleep(due) => write::uint(out, *due),
        OpKind::Begin | OpKind::Commit => {}
        OpKind::Rollback(exception) => value(out, exception)?,
        OpKind::Task(task) => put_task_call(out, task)?,
        OpKind::Cancel(position) => write::str(out, position)?,
    }
    Ok(())
}

fn put_task_call(out: &mut Vec<u8>, task: &TaskCall) -> Done {
    write::str(out, &task.function)?;
    value(out, &task.args)?;
    write::int(out, i64::from(task.retries));
    put_timeout(out, task.timeout);
    write::uint(out, task.backoff);
    write::uint(out, task.backoff_max);
    let pure = if task.is_pure { tag::FLAG_PURE } else { 0 };
    let asynchronous = if task.is_async { tag::FLAG_ASYNC } else { 0 };
    write::int(out, pure | asynchronous);
    Ok(())
}

/// A value, as a `bytes` object that holds its marshal bytes.
fn value(out: &mut Vec<u8>, packed: &[u8]) -> Done {
    let start = write::begin_bytes(out);
    marshal::from_msgpack(packed, out)?;
    Ok(write::end_bytes(out, start)?)
}

fn optional_value(out: &mut Vec<u8>, packed: Option<&ValueBytes>) -> Done {
    optional(out, packed, |out, packed| value(out, packed))
}

fn optional<T>(out: &mut Vec<u8>, item: Option<&T>, put: impl FnOnce(&mut Vec<u8>, &T) -> Done) -> Done {
    match item {
        Some(item) => put(out, item),
        None => {
            write::none(out);
            Ok(())
        }
    }
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut put: impl FnMut(&mut Vec<u8>, &T) -> Done) -> Done {
    write::list(out, items.len())?;
    items.iter().try_for_each(|item| put(out, item))
}

impl From<Unencodable> for FrameError {
    fn from(error: Unencodable) -> Self {
        Self::Encode(error.into())
    }
}
