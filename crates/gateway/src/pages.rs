//! One page per problem code: cause and remedy. Served at `/_/problems/{code}`, printed by `sostenuto explain`.

use protocol::problem::Code;

/// The page of a code, as Markdown.
pub fn page(code: &str) -> Option<String> {
    let code = Code::ALL.iter().find(|known| known.as_str() == code)?;
    Some(format!(
        "# {}: {}\n\nHTTP status {}, {}.\n\n{}",
        code.as_str(),
        code.title(),
        code.status(),
        if code.retryable() { "worth a retry of the same request" } else { "the same request would fail again" },
        text(*code)
    ))
}

/// All codes that have a page.
pub fn codes() -> impl Iterator<Item = &'static str> {
    Code::ALL.iter().map(|code| code.as_str())
}

fn text(code: Code) -> &'static str {
    match code {
        Code::MalformedJson => include_str!("pages/malformed_json.md"),
        Code::BadRequest => include_str!("pages/bad_request.md"),
        Code::UnknownService => include_str!("pages/unknown_service.md"),
        Code::UnknownMethod => include_str!("pages/unknown_method.md"),
        Code::UnknownAddress => include_str!("pages/unknown_address.md"),
        Code::UnknownInvocation => include_str!("pages/unknown_invocation.md"),
        Code::UnknownState => include_str!("pages/unknown_state.md"),
        Code::MethodNotAllowed => include_str!("pages/method_not_allowed.md"),
        Code::BodyTooLarge => include_str!("pages/body_too_large.md"),
        Code::BadArguments => include_str!("pages/bad_arguments.md"),
        Code::BadKey => include_str!("pages/bad_key.md"),
        Code::KeyReused => include_str!("pages/key_reused.md"),
        Code::TooManyInvocations => include_str!("pages/too_many_invocations.md"),
        Code::Unavailable => include_str!("pages/unavailable.md"),
        Code::DiskFull => include_str!("pages/disk_full.md"),
        Code::UserException => include_str!("pages/exception.md"),
        Code::NotStorable => include_str!("pages/not_storable.md"),
        Code::Parked => include_str!("pages/parked.md"),
        Code::Cancelled => include_str!("pages/cancelled.md"),
        Code::Internal => include_str!("pages/internal.md"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_page_with_cause_and_remedy() {
        for code in Code::ALL {
            let page = page(code.as_str()).unwrap();
            assert!(page.contains("## Cause") && page.contains("## What to do"), "{}", code.as_str());
        }
        assert_eq!(page("nonsense"), None);
    }
}
