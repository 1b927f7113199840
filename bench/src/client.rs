//! One keep-alive HTTP/1.1 connection and the closed loop over many. No general HTTP client: it reads answers that carry
//! a `Content-Length`, as ours do.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

/// No answer takes longer, or the run ends.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Numbers idempotency keys.
static KEYS: AtomicU64 = AtomicU64::new(0);

/// A request: where to, and the arguments as JSON.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) args: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    keys: bool,
}

impl Client {
    /// Connects. With `keys` each request gets an `Idempotency-Key` of its own.
    pub(crate) fn connect(address: SocketAddr, keys: bool) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        Ok(Self { stream, out: Vec::new(), input: Vec::new(), keys })
    }

    /// POSTs a request.
    pub(crate) fn post(&mut self, request: &Request) -> Result<Answer> {
        let Request { path, args } = request;
        self.out.clear();
        write!(self.out, "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n")?;
        if self.keys {
            write!(self.out, "Idempotency-Key: {}\r\n", KEYS.fetch_add(1, Ordering::Relaxed))?;
        }
        write!(self.out, "Content-Length: {}\r\n\r\n{args}", args.len())?;
        self.exchange()
    }

    /// POSTs a request and returns the result of a call that must succeed.
    pub(crate) fn call(&mut self, path: &str, args: String) -> Result<serde_json::Value> {
        let answer = self.post(&Request { path: path.to_owned(), args })?;
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
        let head_len = loop {
            if let Some(at) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            ensure!(self.input.len() < HEAD_BYTES_MAX, "the answer's head is too long");
            self.read_more()?;
        };
        let head = std::str::from_utf8(&self.input[..head_len])?;
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).context("no status line")?;
        let body_len: usize = header(head, "content-length").context("an answer without Content-Length")?.parse()?;
        while self.input.len() < head_len + body_len {
            self.read_more()?;
        }
        let body = String::from_utf8_lossy(&self.input[head_len..head_len + body_len]).into_owned();
        Ok(Answer { status, body })
    }

    fn read_more(&mut self) -> Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).context("waiting for an answer")? {
            0 => bail!("the server closed the connection"),
            len => self.input.extend_from_slice(&buffer[..len]),
        }
        Ok(())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// What a closed loop saw.
pub(crate) struct Seen {
    /// Latencies in microseconds of the requests that ended in the measured time, ascending.
    pub(crate) latencies: Vec<u32>,
    /// Answers, also of the time before, by whether the body was `true` (the rest: any other body).
    pub(crate) answers: u64,
    pub(crate) answers_true: u64,
    /// How long was measured.
    pub(crate) measured: Duration,
}

/// Loads an address from several clients. `next` makes each client's requests from (client, number); `mark` is called
/// when the measured time begins and when it ends.
pub(crate) fn closed_loop(
    address: SocketAddr,
    clients: usize,
    (warm, measured): (Duration, Duration),
    keys: bool,
    next: &(dyn Fn(usize, u64) -> Request + Sync),
    mut mark: impl FnMut() -> Result<()>,
) -> Result<Seen> {
    let begin = Instant::now() + warm;
    let end = begin + measured;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| scope.spawn(move || one_client(address, number, (begin, end), keys, next)))
            .collect();
        std::thread::sleep(begin.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        mark()?;
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        mark()?;
        let mut seen = Seen { latencies: Vec::new(), answers: 0, answers_true: 0, measured: began.elapsed() };
        for thread in threads {
            let part = thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            seen.latencies.extend(part.latencies);
            seen.answers += part.answers;
            seen.answers_true += part.answers_true;
        }
        seen.latencies.sort_unstable();
        Ok(seen)
    })
}

fn one_client(
    address: SocketAddr,
    number: usize,
    (begin, end): (Instant, Instant),
    keys: bool,
    next: &(dyn Fn(usize, u64) -> Request + Sync),
) -> Result<Seen> {
    let mut client = Client::connect(address, keys)?;
    let mut seen = Seen { latencies: Vec::new(), answers: 0, answers_true: 0, measured: end - begin };
    for n in 0.. {
        let request = next(number, n);
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let answer = client.post(&request)?;
        let answered = Instant::now();
        ensure!(answer.status == 200, "{} {}: {} {}", request.path, request.args, answer.status, answer.body);
        seen.answers += 1;
        seen.answers_true += u64::from(answer.body.trim() == "true");
        if answered >= begin && answered < end {
            seen.latencies.push(u32::try_from((answered - sent).as_micros()).unwrap_or(u32::MAX));
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn headers_are_found_in_any_case() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(header(head, "content-length"), Some("12"));
        assert_eq!(header(head, "allow"), None);
    }
}
