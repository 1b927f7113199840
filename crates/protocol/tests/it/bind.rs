//! Binding of JSON bodies to parameters, in tables and against calls in Python.

use protocol::json::{Form, bind_args, parse};
use protocol::manifest::{Parameter, ParameterKind};
use protocol::schema::Type;
use protocol::{Value, json, msgpack};

use crate::python::run;

/// `a, b=…, /, c, *args, d, **kwargs` with types after a colon: the kinds of Python's syntax.
fn parameters(signature: &str) -> Vec<Parameter> {
    let mut found: Vec<Parameter> = vec![];
    let mut kind = ParameterKind::Normal;
    for part in signature.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if part == "/" {
            found.iter_mut().for_each(|parameter| parameter.kind = ParameterKind::PositionalOnly);
            continue;
        }
        if part == "*" {
            kind = ParameterKind::KeywordOnly;
            continue;
        }
        let default = part.contains('=');
        let part = part.split('=').next().unwrap();
        let (name, ty) = part.split_once(':').unwrap_or((part, ""));
        let this = match (name.strip_prefix("**"), name.strip_prefix('*')) {
            (Some(_), _) => ParameterKind::VarKeyword,
            (None, Some(_)) => ParameterKind::VarPositional,
            _ => kind,
        };
        if this == ParameterKind::VarPositional {
            kind = ParameterKind::KeywordOnly;
        }
        let ty = match ty {
            "int" => Type::Int,
            "str" => Type::Str,
            _ => Type::Any,
        };
        found.push(Parameter { name: name.trim_start_matches('*').into(), kind: this, ty, default });
    }
    found
}

fn bind(signature: &str, body: &str) -> Result<String, Vec<String>> {
    bind_as(signature, body, Form::Natural)
}

fn bind_as(signature: &str, body: &str, form: Form) -> Result<String, Vec<String>> {
    let body = parse(body.as_bytes()).unwrap();
    match bind_args(&parameters(signature), &crate::json::records(), &body, form) {
        Ok(bytes) => {
            let (positional, named) = msgpack::decode_args(&bytes).unwrap();
            let named = named.into_iter().map(|(name, value)| (Value::Str(name), value)).collect();
            let show = |value: &Value| json::write(value, Form::Tagged).unwrap();
            Ok(format!("{} {}", show(&Value::List(positional)), show(&Value::Dict(named))))
        }
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn bound() {
    let cases = [
        ("", "[]", "[] {}"),
        ("", "{}", "[] {}"),
        ("a, b", "[1, 2]", "[1,2] {}"),
        ("a, b", "{\"b\": 2, \"a\": 1}", "[1,2] {}"),
        ("a, b=0", "[1]", "[1] {}"),
        ("a=0, b=0", "{\"b\": 2}", "[] {\"b\":2}"),
        ("a, b=0, c=0", "{\"a\": 1, \"c\": 3}", "[1] {\"c\":3}"),
        ("a, /, b", "[1, 2]", "[1,2] {}"),
        ("a, /, **kw", "[1]", "[1] {}"),
        ("a=0, /, **kw", "{\"a\": 1}", "[] {\"a\":1}"),
        ("a, *args", "[1, 2, 3]", "[1,2,3] {}"),
        ("a, *args, d=0", "{\"a\": 1, \"d\": 2}", "[1] {\"d\":2}"),
        ("a, *, d", "{\"d\": 2, \"a\": 1}", "[1] {\"d\":2}"),
        ("a, **kw", "{\"z\": 1, \"a\": 2, \"y\": 3}", "[2] {\"z\":1,\"y\":3}"),
        ("*args, **kw", "{\"args\": 1, \"kw\": 2}", "[] {\"args\":1,\"kw\":2}"),
    ];
    for (signature, body, expected) in cases {
        assert_eq!(bind(signature, body), Ok(expected.into()), "({signature}) with {body}");
    }
}

#[test]
fn problems() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("a, b", "[1]", &["b: missing"]),
        ("a, b", "{}", &["a: missing", "b: missing"]),
        (
            "a",
            "[1, 2, 3]",
            &[
                "[1]: unexpected: the method takes 1 argument by position",
                "[2]: unexpected: the method takes 1 argument by position",
            ],
        ),
        ("", "[1]", &["[0]: unexpected: the method takes no arguments by position"]),
        ("a", "{\"a\": 1, \"x\": 2}", &["x: unexpected: the method has no such parameter"]),
        ("a, *, d", "[1]", &["d: missing, and can only be passed by name (with an object as body)"]),
        ("a, *, d=0", "[1, 2]", &["[1]: unexpected: the method takes 1 argument by position"]),
        ("a, /", "{\"a\": 1}", &["a: missing: it can only be passed by position (with an array as body)"]),
        ("a=0, /", "{\"a\": 1}", &["a: can only be passed by position (with an array as body)"]),
        ("*args", "{\"args\": []}", &["args: unexpected: the method has no such parameter"]),
        (
            "a:int, b:str, c",
            "{\"a\": \"x\", \"b\": 1, \"z\": 1}",
            &[
                "a: expected int, got str \"x\"",
                "b: expected str, got int 1",
                "c: missing",
                "z: unexpected: the method has no such parameter",
            ],
        ),
        ("*args:int", "[1, \"x\"]", &["args[1]: expected int, got str \"x\""]),
        ("**kw:int", "{\"q\": \"x\"}", &["q: expected int, got str \"x\""]),
        ("a", "5", &[": the body is a JSON array (arguments by position) or object (by name), got int 5"]),
    ];
    for (signature, body, expected) in cases {
        assert_eq!(
            bind(signature, body),
            Err(expected.iter().map(|text| (*text).to_owned()).collect()),
            "({signature})"
        );
    }
}

#[test]
fn paths_begin_with_the_parameter() {
    let rooms = Type::Dict(Box::new(Type::Str), Box::new(Type::List(Box::new(Type::Int))));
    let parameter = Parameter { name: "hotel".into(), ty: rooms, ..Parameter::default() };
    let body = parse(br#"[{"clients": [1, 2, "abc"]}]"#).unwrap();
    let problems = bind_args(&[parameter], &[], &body, Form::Natural).unwrap_err();
    assert_eq!(problems[0].parameter, "hotel");
    assert_eq!(problems[0].problem, "`hotel.clients[2]`: expected int, got str \"abc\"");
}

#[test]
fn tagged_arguments_are_checked() {
    let tagged = |signature, body| bind_as(signature, body, Form::Tagged);
    assert_eq!(tagged("a", r#"[{"$tuple":[1]}]"#), Ok(r#"[{"$tuple":[1]}] {}"#.into()));
    assert_eq!(tagged("a:int", "[1]"), Ok("[1] {}".into()));
    let problem = "a: expected int, got dict of 1 entry, first \"$tuple\"";
    assert_eq!(tagged("a:int", r#"[{"$tuple":[1]}]"#), Err(vec![problem.into()]));
}

#[test]
fn depth_leaves_room_for_the_tuple_of_arguments() {
    let nested = |levels: usize| format!("[{}{}]", "[".repeat(levels), "]".repeat(levels));
    assert!(bind("a", &nested(198)).is_ok());
    assert_eq!(bind("a", &nested(199)).unwrap_err().len(), 1);
}

/// For every signature and every set of arguments, Python binds exactly when we do.
#[test]
fn same_as_python() {
    let signatures = [
        "",
        "a",
        "a, b",
        "a, b=0",
        "a=0, b=0",
        "a, /, b",
        "a, b=0, /",
        "a=0, /, **kw",
        "*args",
        "a, *args",
        "a, *args, d",
        "a, *, d=0",
        "*, d",
        "**kw",
        "a, **kw",
        "a, /, b, *args, d=0, **kw",
    ];
    let bodies: Vec<String> = (0..4)
        .map(|count| format!("{:?}", (0..count).collect::<Vec<_>>()))
        .chain((0..32).map(|mask| {
            let names = ["a", "b", "d", "x", "args"].iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
            format!("{{{}}}", names.map(|(i, name)| format!("\"{name}\": {i}")).collect::<Vec<_>>().join(", "))
        }))
        .collect();
    let lines: Vec<String> =
        signatures.iter().flat_map(|signature| bodies.iter().map(move |body| format!("{signature};{body}"))).collect();
    let script = "
import sys, json
for line in sys.stdin.read().split('\\n'):
    signature, _, body = line.partition(';')
    body = json.loads(body)
    args, kwargs = (body, {}) if isinstance(body, list) else ([], body)
    try:
        print(json.dumps(eval(f'lambda {signature}: locals()')(*args, **kwargs)))
    except TypeError:
        print('refused')
";
    // What the bytes bind to, by Python again.
    let again = "
import sys, json
for line in sys.stdin.read().split('\\n'):
    signature, _, rest = line.partition(';')
    args, _, kwargs = rest.partition(' ')
    print(json.dumps(eval(f'lambda {signature}: locals()')(*json.loads(args), **json.loads(kwargs))))
";
    let theirs = run(script, &lines);
    let (mut ours, mut expected) = (vec![], vec![]);
    for (line, theirs) in lines.iter().zip(theirs) {
        let (signature, body) = line.split_once(';').unwrap();
        match bind(signature, body) {
            Ok(bound) => {
                ours.push(format!("{signature};{bound}"));
                expected.push(theirs);
            }
            Err(problems) => assert_eq!(theirs, "refused", "{line}: {problems:?}"),
        }
    }
    assert!(ours.len() > 100, "{}", ours.len());
    for ((line, bound), expected) in ours.iter().zip(run(again, &ours)).zip(expected) {
        assert_eq!(bound, expected, "{line}");
    }
}
