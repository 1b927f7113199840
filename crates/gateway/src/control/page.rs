//! `/_/`: a plain page until the dashboard comes, and `/_/openapi.json`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Shared;
use crate::backend::Backend;
use crate::{openapi, reply};

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sostenuto</title>\
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}\
code{font:14px ui-monospace,monospace}</style><h1>Sostenuto</h1>\
<p>The dashboard comes later. Until then: <a href=\"/_/invocations\">invocations</a> \
(<a href=\"/_/invocations?state=parked\">parked</a>, <a href=\"/_/invocations?state=waiting\">waiting</a>), \
<a href=\"/_/state\">state</a>, <a href=\"/_/health\">health</a>, <a href=\"/_/metrics\">metrics</a>, \
<a href=\"/_/openapi.json\">OpenAPI</a>, <a href=\"/_/problems\">problem codes</a>.</p>";

/// `GET /_/`
pub(super) async fn page<B: Backend>(State(gateway): Shared<B>) -> Response {
    let mut page = String::from(HEAD);
    for service in &gateway.backend.manifest().services {
        page.push_str(&format!("<h2>{}</h2><ul>", escaped(&service.name)));
        for method in service.methods.iter().filter(|method| method.public) {
            let route = openapi::route(service, method);
            page.push_str(&format!("<li><code>POST {}</code> {}</li>", escaped(&route), escaped(&method.doc)));
        }
        page.push_str("</ul>");
    }
    page.push_str("</html>");
    reply::text(StatusCode::OK, "text/html; charset=utf-8", page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `GET /_/openapi.json`
pub(super) async fn openapi<B: Backend>(State(gateway): Shared<B>) -> Response {
    reply::json(StatusCode::OK, openapi::document(gateway.backend.manifest()).to_string())
}
