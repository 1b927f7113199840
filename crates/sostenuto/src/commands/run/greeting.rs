//! What `run` prints once it serves: where everything is, and a first call to paste.

use std::net::SocketAddr;
use std::path::Path;

use protocol::manifest::{Manifest, Method, Service};
use serde_json::{Value, json};

use crate::out;
use crate::table::table;

/// Prints it to stdout.
pub(super) fn greet(address: SocketAddr, data: &Path, manifest: &Manifest, json: bool) {
    let url = format!("http://{}", reachable(address));
    out::line(&if json { document(&url, data, manifest) } else { text(&url, data, manifest) });
}

/// An address that a client can use: not the "all interfaces" one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let local = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(local);
    }
    address
}

fn text(url: &str, data: &Path, manifest: &Manifest) -> String {
    let mut text = format!("sostenuto serves at {url}\n  data       {}\n  dashboard  {url}/_/\n", data.display());
    for service in &manifest.services {
        let rows: Vec<Vec<String>> = public(service)
            .map(|method| vec![format!("  POST {}", gateway::route(service, method)), gateway::signature(method)])
            .collect();
        if !rows.is_empty() {
            let kind = if service.entity_key.is_some() { "entity" } else { "service" };
            text.push_str(&format!("\n{}\n", table(&[&format!("{kind} {}", service.name), ""], &rows)));
        }
    }
    if let Some(line) = curl(url, manifest) {
        text.push_str(&format!("\nTry it:\n  {line}\n"));
    }
    text
}

fn public(service: &Service) -> impl Iterator<Item = &Method> {
    service.methods.iter().filter(|method| method.public)
}

fn curl(url: &str, manifest: &Manifest) -> Option<String> {
    let (service, method) = first_call(manifest)?;
    let path = gateway::example_path(service, method);
    let body = gateway::example_body(manifest, method).replace('\'', r"'\''");
    Some(format!("curl -X POST {url}{path} -d '{body}'"))
}

/// The method to try first: one with an example, of a service that calls others if there is one.
fn first_call(manifest: &Manifest) -> Option<(&Service, &Method)> {
    let all = || manifest.services.iter().flat_map(|service| public(service).map(move |method| (service, method)));
    let rank = |(service, method): &(&Service, &Method)| (method.example.is_none(), service.clients.is_empty());
    all().min_by_key(rank)
}

fn document(url: &str, data: &Path, manifest: &Manifest) -> String {
    let routes: Value = manifest
        .services
        .iter()
        .flat_map(|service| {
            public(service).map(move |method| {
                json!({"route": gateway::route(service, method), "signature": gateway::signature(method)})
            })
        })
        .collect();
    let document = json!({
        "url": url,
        "data": data.display().to_string(),
        "dashboard": format!("{url}/_/"),
        "routes": routes,
        "curl": curl(url, manifest),
    });
    document.to_string()
}
