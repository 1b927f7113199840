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
        None => {
            Err(Usage(format!("there is no code `{code}`: diagnostics and problems show theirs in brackets")).into())
        }
    }
}
