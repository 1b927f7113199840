//! HTTP/1.1 as far as a load generator needs it: POST and GET on keep-alive connections, answers with a
//! `Content-Length`. No general client.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

/// No answer takes longer, or the run ends.
pub(crate) const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Numbers idempotency keys.
static KEYS: AtomicU64 = AtomicU64::new(0);

/// A request: where to, and its JSON.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn new(path: impl Into<String>, body: impl Into<String>) -> Self {
        Self { path: path.into(), body: body.into() }
    }

    /// Appends it as it is sent; with a key of its own if `with_key`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, with_key: bool) -> Result<()> {
        let Self { path, body } = self;
        write!(out, "POST {path} HTTP/1.1\r\nHost: bench\r\n")?;
        if !body.is_empty() {
            write!(out, "Content-Type: application/json\r\n")?;
        }
        if with_key {
            write!(out, "Idempotency-Key: {}\r\n", KEYS.fetch_add(1, Ordering::Relaxed))?;
        }
        write!(out, "Content-Length: {}\r\n\r\n{body}", body.len())?;
        Ok(())
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// Takes the first answer off the input; `None` if there is not all of it.
    pub(crate) fn take(input: &mut Vec<u8>) -> Result<Option<Self>> {
        let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") else {
            ensure!(input.len() < HEAD_BYTES_MAX, "the answer's head is too long");
            return Ok(None);
        };
        let (head_len, head) = (at + 4, std::str::from_utf8(&input[..at])?);
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).context("no status line")?;
        let body_len: usize = match header(head, "content-length") {
            Some(text) => text.parse()?,
            None if status == 204 => 0,
            None => bail!("an answer without Content-Length:\n{head}"),
        };
        if input.len() < head_len + body_len {
            return Ok(None);
        }
        let body = String::from_utf8_lossy(&input[head_len..head_len + body_len]).into_owned();
        input.drain(..head_len + body_len);
        Ok(Some(Self { status, body }))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// One connection that waits for each answer.
pub(crate) struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        Ok(Self { stream, out: Vec::new(), input: Vec::new() })
    }

    /// Waits for each answer at most this long.
    pub(crate) fn patient(self, time_max: Duration) -> Result<Self> {
        self.stream.set_read_timeout(Some(time_max))?;
        Ok(self)
    }

    /// POSTs a request.
    pub(crate) fn post(&mut self, request: &Request) -> Result<Answer> {
        self.out.clear();
        request.write(&mut self.out, false)?;
        self.exchange()
    }

    /// POSTs a request and returns the result of a call that must succeed.
    pub(crate) fn call(&mut self, path: &str, body: impl Into<String>) -> Result<serde_json::Value> {
        let answer = self.post(&Request::new(path, body))?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// GETs a page.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.out.clear();
        write!(self.out, "GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        self.exchange()
    }

    fn exchange(&mut self) -> Result<Answer> {
        self.stream.write_all(&self.out)?;
        self.input.clear();
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(answer) = Answer::take(&mut self.input)? {
                return Ok(answer);
            }
            match self.stream.read(&mut buffer).context("waiting for an answer")? {
                0 => bail!("the server closed the connection"),
                len => self.input.extend_from_slice(&buffer[..len]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, header};

    #[test]
    fn headers_are_found_in_any_case() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(header(head, "content-length"), Some("12"));
        assert_eq!(header(head, "allow"), None);
    }

    #[test]
    fn answers_are_taken_when_they_are_whole() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\"a\"HTTP";
        for len in 0..whole.len() - 4 {
            assert!(Answer::take(&mut whole[..len].to_vec()).expect("well formed").is_none());
        }
        let mut input = whole.to_vec();
        let answer = Answer::take(&mut input).expect("well formed").expect("whole");
        assert_eq!((answer.status, answer.body.as_str(), input.as_slice()), (200, "\"a\"", &b"HTTP"[..]));
        assert!(Answer::take(&mut b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).is_err());
    }
}
