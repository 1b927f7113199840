//! `sostenuto invocations`: list, describe, cancel, resume.

use std::process::ExitCode;

use anyhow::Result;
use protocol::api::{Description, Invocation, Invocations as Page, State};
use serde_json::{Value, json};

use super::problem;
use crate::cli::{Global, Invocations};
use crate::client::{Client, Reply, segment};
use crate::out;
use crate::table::{age, table};

/// Invocations that `list` prints at most as JSON.
const LISTED_MAX: usize = 10_000;
/// Invocations that `list` prints at most for people.
const SHOWN_MAX: usize = 50;
/// Invocations asked for at one time.
const PAGE: usize = 1000;

pub(super) fn run(command: &Invocations, global: &Global) -> Result<ExitCode> {
    let client = Client::new(&global.server)?;
    match command {
        Invocations::List { state } => list(&client, state.as_deref(), global),
        Invocations::Describe { id } => describe(&client, id, global),
        Invocations::Cancel { id, kill } => {
            let query = if *kill { "?kill=1" } else { "" };
            let reply = client.post(&format!("/_/invocations/{}/cancel{query}", segment(id)), &[], None)?;
            done(&reply, if *kill { "killed" } else { "cancellation is on its way" }, global)
        }
        Invocations::Resume { id } => {
            let reply = client.post(&format!("/_/invocations/{}/resume", segment(id)), &[], None)?;
            done(&reply, "goes on", global)
        }
    }
}

fn list(client: &Client, state: Option<&str>, global: &Global) -> Result<ExitCode> {
    let most = if global.json { LISTED_MAX } else { SHOWN_MAX };
    let page = PAGE.min(most);
    let mut found: Vec<Invocation> = vec![];
    let mut cursor: Option<String> = None;
    loop {
        let state = state.map(|state| format!("&state={state}")).unwrap_or_default();
        let from = cursor.map(|cursor| format!("&cursor={}", segment(&cursor))).unwrap_or_default();
        let reply = client.get(&format!("/_/invocations?limit={page}{state}{from}"))?;
        if !reply.status.is_success() {
            return Ok(problem::failed(&reply, global));
        }
        let page: Page = serde_json::from_value(reply.json()?)?;
        found.extend(page.invocations);
        cursor = page.next;
        if cursor.is_none() || found.len() >= most {
            break;
        }
    }
    if global.json {
        out::line(&json!({"invocations": found, "next": cursor}).to_string());
    } else {
        out::line(&listing(&found, cursor.is_some()));
    }
    Ok(ExitCode::SUCCESS)
}

fn listing(found: &[Invocation], more: bool) -> String {
    if found.is_empty() {
        return "no invocations".into();
    }
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let text = table(&["ID", "METHOD", "STATE", "AGE", "WAITS FOR"], &rows);
    if more { text + "\n… and more; choose with --state, or print all with --json" } else { text }
}

fn row(invocation: &Invocation) -> Vec<String> {
    let waits = invocation
        .waiting
        .as_ref()
        .map_or_else(String::new, |waiting| format!("{} {} for {}", waiting.reason, waiting.what, age(waiting.age_ms)));
    vec![invocation.id.clone(), method(invocation), state(invocation.state), age(invocation.age_ms), waits]
}

fn method(invocation: &Invocation) -> String {
    match &invocation.key {
        None => format!("{}/{}", invocation.service, invocation.method),
        Some(key) => format!("{}/{key}/{}", invocation.service, invocation.method),
    }
}

fn state(state: State) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn describe(client: &Client, id: &str, global: &Global) -> Result<ExitCode> {
    let reply = client.get(&format!("/_/invocations/{}", segment(id)))?;
    if !reply.status.is_success() {
        return Ok(problem::failed(&reply, global));
    }
    if global.json {
        out::line(reply.text.trim_end());
    } else {
        out::line(&description(&serde_json::from_value(reply.json()?)?));
    }
    Ok(ExitCode::SUCCESS)
}

fn description(description: &Description) -> String {
    let invocation = &description.invocation;
    let mut lines = vec![
        format!("{}  {}", invocation.id, method(invocation)),
        format!("  state      {}", state(invocation.state)),
        format!("  age        {}", age(invocation.age_ms)),
        format!("  partition  {}", description.partition),
        format!("  attempts   {}", description.attempts),
    ];
    if let Some(parent) = &description.parent {
        lines.push(format!("  called by  {parent}"));
    }
    if let Some(waiting) = &invocation.waiting {
        lines.push(format!("  waits for  {} {}, for {}", waiting.reason, waiting.what, age(waiting.age_ms)));
        lines.push(format!("  action     {}", waiting.action));
    }
    if !description.tasks.is_empty() {
        lines.push("  tasks".into());
        lines.extend(description.tasks.iter().map(|task| format!("    {task}")));
    }
    if let Some(note) = &description.note {
        lines.push("  note".into());
        lines.extend(note.lines().map(|line| format!("    {line}")));
    }
    let steps = description.journal.len();
    lines.push(format!("  journal    {steps} finished step{}", if steps == 1 { "" } else { "s" }));
    for entry in &description.journal {
        lines.push(format!("    step {}: read {} cells", entry.step, entry.reads));
        lines.extend(entry.delivered.iter().map(|position| format!("      received {position}")));
        lines.extend(entry.operations.iter().map(|operation| format!("      {operation}")));
    }
    lines.join("\n")
}

fn done(reply: &Reply, what: &str, global: &Global) -> Result<ExitCode> {
    if !reply.status.is_success() {
        return Ok(problem::failed(reply, global));
    }
    let document = reply.json()?;
    if global.json {
        out::line(reply.text.trim_end());
    } else {
        let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
        let ended = document.get("ended").and_then(Value::as_bool).unwrap_or_default();
        out::line(&format!("{id}: {}", if ended { "had ended already" } else { what }));
    }
    Ok(ExitCode::SUCCESS)
}
