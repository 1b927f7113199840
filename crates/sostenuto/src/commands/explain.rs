//! `sostenuto explain`: the page of a code, of diagnostics and of problems.

use std::process::ExitCode;

use anyhow::Result;

use crate::{Usage, out};

pub(super) fn explain(code: &str) -> Result<ExitCode> {
    let page = compiler::explain(&code.to_uppercase())
        .map(str::to_owned)
        .or_else(|| gateway::pages::page(&code.to_lowercase()));
    match page {
        Some(page) => {
            out::line(page.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        None => Err(Usage(unknown(code)).into()),
    }
}

/// What to say about a code that does not exist: those that look like it.
fn unknown(code: &str) -> String {
    let wanted = code.to_uppercase();
    let mut near: Vec<&str> = Vec::new();
    if let Some(group) = wanted.strip_prefix("SOS").and_then(|number| number.get(..2)) {
        near.extend(compiler::CODES.iter().map(|(code, _)| *code).filter(|code| code[3..].starts_with(group)));
    }
    near.extend(compiler::similar(gateway::pages::codes(), &code.to_lowercase()));
    let near = match near.is_empty() {
        true => String::new(),
        false => format!("; there are {}", near.join(", ")),
    };
    format!("there is no code `{code}`{near} (`sostenuto explain --list` shows all)")
}

/// Each code with its title.
pub(super) fn list() -> ExitCode {
    for (code, page) in compiler::CODES {
        let title = page.lines().next().unwrap_or_default();
        out::line(&format!("{code}  {}", title.split_once(": ").map_or(title, |(_, title)| title)));
    }
    for code in gateway::pages::codes() {
        out::line(code);
    }
    ExitCode::SUCCESS
}
