//! Headers of our own and those that calls understand.
//!
//! | header | direction | meaning |
//! |---|---|---|
//! | `Idempotency-Key` | request | makes the client's own retries safe |
//! | `Prefer: respond-async` | request | reply when accepted, as with the suffix `/send` |
//! | `X-Sostenuto-Invocation` | reply | id of the invocation |
//! | `X-Sostenuto-Result-Expires` | reply | until when the result is kept, an HTTP date (RFC 9110); absent if it is not |

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use protocol::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use protocol::{InvocationId, Micros};

use crate::problem::{ArgumentProblem, Problem};

/// Id of the invocation that a reply is about.
pub const INVOCATION: HeaderName = HeaderName::from_static("x-sostenuto-invocation");
/// Until when a result is kept.
pub const RESULT_EXPIRES: HeaderName = HeaderName::from_static("x-sostenuto-result-expires");
/// Makes a client's own retries safe.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// 9999-12-31T23:59:59Z, the last second that an HTTP date can express.
const HTTP_DATE_SECONDS_MAX: u64 = 253_402_300_799;

pub(crate) fn put_invocation(headers: &mut HeaderMap, id: InvocationId) {
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        headers.insert(INVOCATION, value);
    }
}

pub(crate) fn put_expiry(headers: &mut HeaderMap, keep_until: Micros) {
    let seconds = (keep_until / 1_000_000).min(HTTP_DATE_SECONDS_MAX);
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    if let Ok(value) = HeaderValue::try_from(date) {
        headers.insert(RESULT_EXPIRES, value);
    }
}

/// The `Idempotency-Key`, if there is one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad_key("is given more than once"));
    }
    let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
        return Err(bad_key("is not UTF-8 text"));
    };
    match text.trim() {
        "" => Err(bad_key("is empty")),
        text if text.len() > IDEMPOTENCY_KEY_BYTES_MAX => {
            Err(bad_key(&format!("has {} bytes; at most {IDEMPOTENCY_KEY_BYTES_MAX} are allowed", text.len())))
        }
        text => Ok(Some(text.to_owned())),
    }
}

fn bad_key(problem: &str) -> Problem {
    let arguments = vec![ArgumentProblem { name: "Idempotency-Key".into(), problem: problem.into() }];
    Problem::arguments(format!("The header `Idempotency-Key` {problem}."), arguments)
}

/// Does `Prefer` (RFC 7240) ask for a reply when the call is accepted?
pub(crate) fn prefers_send(headers: &HeaderMap) -> bool {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .any(|preference| preference.split(';').next().is_some_and(|p| p.trim().eq_ignore_ascii_case("respond-async")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&[u8]]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(&name, HeaderValue::from_bytes(value).unwrap());
        }
        map
    }

    #[test]
    fn idempotency_keys_are_bounded_text() {
        let key = |values: &[&[u8]]| idempotency_key(&headers(IDEMPOTENCY_KEY, values)).map_err(|p| p.to_string());
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&[b" k-1 "]), Ok(Some("k-1".into())));
        assert_eq!(key(&["schlüssel".as_bytes()]), Ok(Some("schlüssel".into())));
        assert!(key(&[b""]).is_err());
        assert!(key(&[b"a", b"b"]).is_err());
        assert!(key(&[b"\xff"]).is_err());
        assert!(key(&[&[b'a'; IDEMPOTENCY_KEY_BYTES_MAX]]).is_ok());
        assert!(key(&[&[b'a'; IDEMPOTENCY_KEY_BYTES_MAX + 1]]).is_err());
    }

    #[test]
    fn preferences_are_a_list() {
        let prefer = |values: &[&[u8]]| prefers_send(&headers(PREFER, values));
        assert!(!prefer(&[]));
        assert!(!prefer(&[b"wait=10"]));
        assert!(prefer(&[b"wait=10, Respond-Async"]));
        assert!(prefer(&[b"wait=10", b"respond-async; x=1"]));
    }

    #[test]
    fn expiry_is_an_http_date() {
        let mut map = HeaderMap::new();
        put_expiry(&mut map, 784_111_777_000_000);
        assert_eq!(map[RESULT_EXPIRES], "Sun, 06 Nov 1994 08:49:37 GMT");
        put_expiry(&mut map, Micros::MAX);
        assert_eq!(map[RESULT_EXPIRES], "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
