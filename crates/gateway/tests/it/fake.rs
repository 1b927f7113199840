//! A node that pretends: the method's name says what becomes of a call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::backend::{Backend, Cancel};
use protocol::api::{Description, Invocation, Invocations, State};
use protocol::manifest::{Field, FieldKind, Manifest, Method, Parameter, ParameterKind, Service};
use protocol::problem::Code;
use protocol::schema::Type;
use protocol::worker::{Outcome, ValueBytes};
use protocol::{InvocationId, Slot, Value, msgpack};
use runtime::{Answer, Call, Health, Page, Place, Refusal, Reply};

/// Microseconds of 1994-11-06T08:49:37Z.
const KEPT_UNTIL: u64 = 784_111_777_000_000;

pub(crate) struct Fake {
    manifest: Arc<Manifest>,
    pub(crate) calls: Mutex<Vec<Call>>,
    pub(crate) pages: Mutex<Vec<Page>>,
    pub(crate) places: Mutex<Vec<Place>>,
    pub(crate) cancels: Mutex<Vec<Cancel>>,
    pub(crate) waits: Mutex<Vec<Duration>>,
    /// Calls of `hang` that wait.
    pub(crate) hanging: AtomicUsize,
}

/// The id that all invocations have here.
pub(crate) fn id() -> InvocationId {
    InvocationId::new(Slot(7), [9; 16])
}

/// An id that is unknown here.
pub(crate) fn other_id() -> InvocationId {
    InvocationId::new(Slot(7), [1; 16])
}

struct Hanging<'a>(&'a AtomicUsize);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            manifest: Arc::new(manifest()),
            calls: Mutex::default(),
            pages: Mutex::default(),
            places: Mutex::default(),
            cancels: Mutex::default(),
            waits: Mutex::default(),
            hanging: AtomicUsize::new(0),
        }
    }

    /// The last call, with its key and arguments decoded.
    pub(crate) fn last_call(&self) -> (Call, Option<Value>, Value) {
        let call = self.calls.lock().unwrap().last().unwrap().clone();
        let key = call.key.as_deref().map(|bytes| msgpack::decode(bytes).unwrap());
        let args = msgpack::decode(&call.args).unwrap();
        (call, key, args)
    }
}

fn done(value: &Value, keep_until: Option<u64>) -> Reply {
    Reply::Done { outcome: Outcome::Value(msgpack::encode(value).unwrap()), cancelled: false, keep_until }
}

fn raised(class: &str, message: &str, cancelled: bool) -> Reply {
    let exception = protocol::message::Exception::encode(class, message);
    Reply::Done { outcome: Outcome::Exception(exception), cancelled, keep_until: None }
}

fn problem(code: Code) -> Reply {
    Reply::Problem { code, detail: format!("because of {}", code.as_str()) }
}

fn answer(reply: Reply) -> Answer {
    Answer { invocation: Some(id()), reply }
}

impl Backend for Fake {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    async fn submit(&self, call: Call) -> Answer {
        self.calls.lock().unwrap().push(call.clone());
        if call.send {
            return answer(Reply::Accepted);
        }
        let keep = call.idempotency_key.is_some().then_some(KEPT_UNTIL);
        let reply = match call.method.as_str() {
            "exact" => {
                done(&Value::Tuple(vec![Value::Decimal("1.10".into()), Value::Int(i64::MAX), Value::Set(vec![])]), keep)
            }
            "fail" => raised("builtins.ValueError", "no money", false),
            "cancelled" => raised("asyncio.exceptions.CancelledError", "", true),
            "unstorable" => raised("sostenuto.NotStorable", "a lambda", false),
            "panic" => panic!("as the test wants"),
            "garbage" => Reply::Done { outcome: Outcome::Value(vec![0xc1]), cancelled: false, keep_until: None },
            "hang" => {
                self.hanging.fetch_add(1, Ordering::SeqCst);
                let _hanging = Hanging(&self.hanging);
                std::future::pending().await
            }
            "refused" => {
                let args = msgpack::decode_args(&call.args).unwrap();
                let wanted = |code: &&Code| args.0.first() == Some(&Value::Str(code.as_str().into()));
                Code::ALL.iter().find(wanted).map_or_else(|| done(&Value::None, keep), |code| problem(*code))
            }
            _ => done(&Value::Str("done".into()), keep),
        };
        answer(reply)
    }

    async fn wait(&self, id: InvocationId, at_most: Duration) -> Answer {
        self.waits.lock().unwrap().push(at_most);
        let reply = match () {
            () if id == other_id() => problem(Code::UnknownInvocation),
            () if at_most < Duration::from_secs(1) => Reply::Running,
            () => done(&Value::Int(5), Some(KEPT_UNTIL)),
        };
        Answer { invocation: Some(id), reply }
    }

    async fn cancel(&self, id: InvocationId, how: Cancel) -> Answer {
        self.cancels.lock().unwrap().push(how);
        let reply = if id == other_id() { problem(Code::UnknownInvocation) } else { Reply::Accepted };
        Answer { invocation: Some(id), reply }
    }

    async fn resume(&self, id: InvocationId) -> Answer {
        let reply = if id == other_id() { done(&Value::None, None) } else { Reply::Accepted };
        Answer { invocation: Some(id), reply }
    }

    async fn list(&self, page: Page) -> Result<Invocations, Refusal> {
        self.pages.lock().unwrap().push(page);
        Ok(Invocations { invocations: vec![invocation()], next: Some("more".into()) })
    }

    async fn describe(&self, id: InvocationId) -> Result<Description, Refusal> {
        if id == other_id() {
            return Err(Refusal { code: Code::UnknownInvocation, detail: "forgotten".into() });
        }
        let invocation = invocation();
        Ok(Description {
            invocation,
            parent: None,
            partition: 1,
            journal: vec![],
            attempts: 2,
            tasks: vec![],
            note: None,
        })
    }

    async fn state(&self, place: Place) -> Result<ValueBytes, Refusal> {
        self.places.lock().unwrap().push(place.clone());
        let five = msgpack::encode(&Value::Int(5)).unwrap();
        match (place.field.as_str(), place.entry) {
            ("untyped", entry) if entry.as_ref() != Some(&five) => {
                Err(Refusal { code: Code::UnknownState, detail: "no such entry".into() })
            }
            _ => Ok(five),
        }
    }

    fn health(&self) -> Health {
        Health { ready: true, workers: 1, has_room: true, durable_lag: 0, closing: false }
    }

    fn metrics(&self) -> String {
        "# TYPE fake counter\nfake 1\n".into()
    }
}

fn invocation() -> Invocation {
    Invocation {
        id: id().to_string(),
        service: "Hotel".into(),
        key: None,
        method: "reserve".into(),
        state: State::Parked,
        age_ms: 5,
        waiting: None,
    }
}

fn manifest() -> Manifest {
    let mut services = vec![
        service("Hotel", None),
        service("Account", Some(Type::Str)),
        service("Room", Some(Type::Int)),
        service("Ticket", Some(Type::Uuid)),
    ];
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Manifest { services, ..Manifest::default() }
}

fn service(name: &str, entity_key: Option<Type>) -> Service {
    let reserve = vec![
        parameter("hotel", Type::Str, ParameterKind::Normal, false),
        parameter("nights", Type::Int, ParameterKind::Normal, true),
        parameter("price", Type::Decimal, ParameterKind::KeywordOnly, true),
    ];
    let mut methods = vec![method("reserve", reserve), method("_hidden", vec![])];
    methods.push(method("refused", vec![parameter("code", Type::Any, ParameterKind::Normal, false)]));
    for name in ["exact", "fail", "cancelled", "unstorable", "panic", "garbage", "hang", "nothing"] {
        methods.push(method(name, vec![]));
    }
    let fields = vec![
        field("count", FieldKind::Scalar, Type::Any),
        field("rooms", FieldKind::Dict, Type::Int),
        field("untyped", FieldKind::Dict, Type::Any),
    ];
    Service { name: name.into(), entity_key, fields, methods, ..Service::default() }
}

fn method(name: &str, parameters: Vec<Parameter>) -> Method {
    Method { name: name.into(), parameters, public: !name.starts_with('_'), ..Method::default() }
}

fn parameter(name: &str, ty: Type, kind: ParameterKind, default: bool) -> Parameter {
    Parameter { name: name.into(), kind, ty, default }
}

fn field(name: &str, kind: FieldKind, key_type: Type) -> Field {
    Field { name: name.into(), kind, key_type, value_type: Type::Int, ..Field::default() }
}
