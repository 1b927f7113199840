//! Parameters after `?`.

use std::time::Duration;

use axum::http::Uri;
use percent_encoding::percent_decode_str;
use protocol::json::Form;
use protocol::problem::Code;

use crate::problem::Problem;

/// The parameters of a request. One that is given twice counts as given last; unknown ones are ignored.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        let text = uri.query().unwrap_or_default();
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, Problem>>()?))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Is the switch `name` on? (`?name`, `?name=1`, `?name=true`)
    pub(crate) fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("0" | "false") => Ok(false),
            Some("" | "1" | "true") => Ok(true),
            Some(other) => Err(bad(name, other, "1 or 0")),
        }
    }

    /// How values are written: `?tagged=1`.
    pub(crate) fn form(&self) -> Result<Form, Problem> {
        Ok(if self.switch("tagged")? { Form::Tagged } else { Form::Natural })
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, Problem> {
        self.get(name).map(|text| text.parse().map_err(|_| bad(name, text, "a whole number"))).transpose()
    }

    /// A time: `30s`, `500ms`, `5m`, or seconds.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        self.get(name)
            .map(|text| duration(text).ok_or_else(|| bad(name, text, "a time such as `30s`, `500ms` or `5m`")))
            .transpose()
    }
}

/// The problem that parameter `name` is `found` instead of `expected`.
pub(crate) fn bad(name: &str, found: &str, expected: &str) -> Problem {
    Problem::new(Code::BadRequest, format!("The parameter `{name}` is `{found}`; it can be {expected}."))
}

fn decoded(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| Problem::new(Code::BadRequest, format!("`{text}` in the address is not UTF-8 text.")))
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/x?{text}").parse().unwrap()).unwrap()
    }

    #[test]
    fn durations_have_units() {
        let wait = |text: &str| query(&format!("wait={text}")).duration("wait").map(|d| d.map(|d| d.as_millis()));
        assert_eq!(wait("30s").unwrap(), Some(30_000));
        assert_eq!(wait("500ms").unwrap(), Some(500));
        assert_eq!(wait("1.5").unwrap(), Some(1500));
        assert_eq!(wait("2m").unwrap(), Some(120_000));
        for bad in ["", "s", "-1s", "1d", "nan", "inf", "1e999s", "%F0%9F%A6%80"] {
            assert!(wait(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn switches_and_repetition() {
        assert!(!query("").switch("kill").unwrap());
        assert!(query("kill").switch("kill").unwrap());
        assert!(query("kill=0&kill=1").switch("kill").unwrap());
        assert!(query("kill=maybe").switch("kill").is_err());
        assert_eq!(query("a=x+y%2B").get("a"), Some("x y+"));
    }
}
