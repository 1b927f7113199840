//! What a manifest says, as one line per service or method, for specifications to compare with.

use compiler::compile;
use protocol::json::{Form, type_name, write_msgpack};
use protocol::list::HEADER_KEY;
use protocol::manifest::{FieldKind, Foreseen, ForeseenCells, KeyExpr, Manifest, Method, Mode, Service};

/// The line about `name`: `Hotel`, `Hotel.reserve`, `modules`, `records`.
pub(crate) fn line(manifest: &Manifest, name: &str) -> String {
    let text = match (name, name.split_once('.')) {
        ("modules", _) => manifest.modules.iter().map(|m| m.name.clone()).collect::<Vec<_>>().join(" "),
        ("records", _) => format!("{:?}", manifest.records.iter().map(|r| &r.name).collect::<Vec<_>>()),
        (_, None) => manifest.service(name).map_or("no such service".to_owned(), service),
        (_, Some((owner, member))) => {
            let method = manifest.service(owner).and_then(|s| s.method(member));
            method.map_or("no such method".to_owned(), self::method)
        }
    };
    format!("{name}: {text}")
}

fn service(service: &Service) -> String {
    let mut words = Vec::new();
    words.push(match &service.entity_key {
        Some(key) => format!("entity[{}]", type_name(key)),
        None => "service".to_owned(),
    });
    words.extend(service.mu2sls.then(|| "mu2sls".to_owned()));
    for field in &service.fields {
        let initial = write_msgpack(&field.initial, Form::Natural).unwrap();
        words.push(match field.kind {
            FieldKind::Scalar => format!("{}:{}={initial}", field.name, type_name(&field.value_type)),
            FieldKind::List => format!("{}:[{}]={initial}", field.name, type_name(&field.value_type)),
            FieldKind::Dict => {
                let (key, value) = (type_name(&field.key_type), type_name(&field.value_type));
                format!("{}:{{{key}:{value}}}={initial}", field.name)
            }
        });
        words.extend(field.held.then(|| "held".to_owned()));
    }
    words.extend(service.clients.iter().map(|(name, target)| format!("{name}->{target}")));
    words.join(" ")
}

fn method(method: &Method) -> String {
    let mut words = Vec::new();
    words.extend(method.coloured.then(|| "coloured".to_owned()));
    words.extend(method.read_only.then(|| "read_only".to_owned()));
    words.extend((!method.public).then(|| "private".to_owned()));
    words.extend(method.route.as_ref().map(|key| format!("route={}", key.text(method))));
    words.extend(method.modes.iter().map(|(field, mode)| match mode {
        Mode::Shared => format!("{field}=shared"),
        Mode::Exclusive => format!("{field}=exclusive"),
    }));
    let foreseen: Vec<String> = method.foreseen.iter().map(|f| cells(method, f)).collect();
    words.extend((!foreseen.is_empty()).then(|| format!("foreseen={}", foreseen.join(","))));
    words.extend(method.example.as_ref().map(|example| format!("example={example}")));
    words.join(" ")
}

fn cells(method: &Method, foreseen: &Foreseen) -> String {
    match &foreseen.what {
        ForeseenCells::Scalar => foreseen.field.clone(),
        // A list's header, and with it all of a short list.
        ForeseenCells::Entry(KeyExpr::Constant(key)) if *key == HEADER_KEY => foreseen.field.clone(),
        ForeseenCells::Entry(key) => format!("{}[{}]", foreseen.field, key.text(method)),
        ForeseenCells::Whole => format!("{}[*]", foreseen.field),
    }
}

#[test]
fn a_comment_does_not_change_a_digest() {
    let digest = |comment: &str| {
        let source = format!(
            "from sostenuto import service\n{comment}\n@service\nclass A:\n    def f(self, x):{comment}\n        return x\n"
        );
        let file = compiler::SourceFile { path: "a.py".into(), module: "a".into(), source, package: false };
        let manifest = compile(&compiler::App { files: vec![file], classes: None }).manifest.unwrap();
        (manifest.services[0].methods[0].digest, manifest.deployment)
    };
    assert_eq!(digest("").0, digest("  # a comment").0);
    assert_ne!(digest("").1, digest("  # a comment").1);
}
