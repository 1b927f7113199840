//! The load: many connections on one thread, over epoll.
//!
//! Closed loop: each connection sends the next request when it has the answer. Open loop: requests are due at a fixed
//! rate whether or not the server keeps up, each is sent by the first free connection, and its latency counts from when
//! it was due, so a stall of the server is seen by all that were due meanwhile (Tene, "coordinated omission").

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    mem::MaybeUninit,
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{Timespec, epoll};

use crate::http::{ANSWER_TIME_MAX, Answer, Request};

/// How many requests may be due and not sent before the run says that the server does not keep up.
const DUE_MAX: usize = 1_000_000;
const EVENTS_MAX: usize = 256;
const READ_BYTES_MAX: usize = 16 * 1024;

/// What the connections say, and what they want to hear.
pub(crate) trait Traffic {
    /// The request with this number of a connection.
    fn request(&self, connection: usize, number: u64) -> Request;
    /// Is this what the server must answer to it?
    fn accepts(&self, connection: usize, number: u64, body: &str) -> bool;
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// When the last answer is there.
    Closed,
    /// This many a second.
    Open(f64),
}

/// A load.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) pace: Pace,
    /// Time before the measured one, and the measured.
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
    /// Each request gets an `Idempotency-Key` of its own.
    pub(crate) keys: bool,
    /// No connection sends more than this; when all have, the measured time ends.
    pub(crate) each_max: Option<u64>,
}

/// What a load saw.
pub(crate) struct Seen {
    /// Latencies in microseconds of the requests that ended in the measured time, ascending.
    pub(crate) latencies: Vec<u32>,
    /// All answers, also those before and after.
    pub(crate) answers: u64,
    /// How long was measured.
    pub(crate) measured: Duration,
}

/// A connection, and the request that it waits for.
struct Connection {
    stream: TcpStream,
    sent: u64,
    /// Latency counts from here.
    since: Option<Instant>,
    input: Vec<u8>,
}

struct Run<'a> {
    load: Load,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    free: VecDeque<usize>,
    /// Connections that have sent all that they may.
    ended: usize,
    /// When requests were due that no connection has sent yet (open loop).
    due: VecDeque<Instant>,
    next_due: Instant,
    traffic: &'a dyn Traffic,
    begin: Instant,
    end: Instant,
    seen: Seen,
    out: Vec<u8>,
    /// Room for what is read at once.
    room: Vec<u8>,
}

impl Load {
    /// A closed loop, without warming up, in which each client sends as many requests as are given; at most until the
    /// time is over.
    pub(crate) fn counted(clients: usize, each: u64, time_max: Duration) -> Self {
        let pace = Pace::Closed;
        Self { clients, pace, warm: Duration::ZERO, measured: time_max, keys: false, each_max: Some(each) }
    }

    /// Its subject in the report.
    pub(crate) fn shown(&self, subject: &str) -> String {
        match self.pace {
            Pace::Closed => subject.to_owned(),
            Pace::Open(per_second) => format!("{subject} at {per_second:.0}/s"),
        }
    }

    /// Loads an address. `mark` is called when the measured time begins and when it ends.
    pub(crate) fn run(
        self,
        address: SocketAddr,
        traffic: &dyn Traffic,
        mut mark: impl FnMut() -> Result<()>,
    ) -> Result<Seen> {
        let mut run = Run::connect(self, address, traffic)?;
        run.until(run.begin)?;
        mark()?;
        let began = Instant::now();
        (run.begin, run.end) = (began, began + self.measured);
        run.until(run.end)?;
        run.end = Instant::now();
        mark()?;
        run.drain()?;
        run.seen.measured = run.end - run.begin;
        run.seen.latencies.sort_unstable();
        Ok(run.seen)
    }
}

impl<'a> Run<'a> {
    fn connect(load: Load, address: SocketAddr, traffic: &'a dyn Traffic) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for number in 0..load.clients {
            let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            connections.push(Connection { stream, sent: 0, since: None, input: Vec::new() });
        }
        let now = Instant::now();
        let begin = now + load.warm;
        let measured = load.measured;
        Ok(Self {
            load,
            epoll,
            free: (0..connections.len()).collect(),
            ended: 0,
            connections,
            due: VecDeque::new(),
            next_due: now,
            traffic,
            begin,
            end: begin + measured,
            seen: Seen { latencies: Vec::new(), answers: 0, measured },
            out: Vec::new(),
            room: vec![0; READ_BYTES_MAX],
        })
    }

    /// Loads until a moment.
    fn until(&mut self, moment: Instant) -> Result<()> {
        loop {
            let now = Instant::now();
            if now >= moment || self.is_spent() {
                return Ok(());
            }
            let wake = match self.load.pace {
                Pace::Closed => moment,
                Pace::Open(per_second) => {
                    self.fall_due(now, per_second)?;
                    moment.min(self.next_due)
                }
            };
            self.send_all(now)?;
            self.receive(wake)?;
        }
    }

    fn fall_due(&mut self, now: Instant, per_second: f64) -> Result<()> {
        while self.next_due <= now {
            self.due.push_back(self.next_due);
            self.next_due += Duration::from_secs_f64(1.0 / per_second);
        }
        ensure!(self.due.len() < DUE_MAX, "the server does not keep up with {per_second:.0} requests/s");
        Ok(())
    }

    fn send_all(&mut self, now: Instant) -> Result<()> {
        while !self.free.is_empty() {
            let since = match self.load.pace {
                Pace::Closed => now,
                Pace::Open(_) => match self.due.pop_front() {
                    Some(due) => due,
                    None => return Ok(()),
                },
            };
            let Some(number) = self.free.pop_front() else { return Ok(()) };
            self.send(number, since)?;
        }
        Ok(())
    }

    /// Has each connection sent all that it may, and got its answers?
    fn is_spent(&self) -> bool {
        self.load.each_max.is_some() && self.free.is_empty() && self.ended == self.connections.len()
    }

    fn send(&mut self, number: usize, since: Instant) -> Result<()> {
        let connection = &mut self.connections[number];
        self.out.clear();
        self.traffic.request(number, connection.sent).write(&mut self.out, self.load.keys)?;
        // There is no other request in the socket's buffer.
        connection.stream.write_all(&self.out).context("sending a request")?;
        connection.sent += 1;
        connection.since = Some(since);
        Ok(())
    }

    /// Waits until something comes or a moment, and takes in what came.
    fn receive(&mut self, wake: Instant) -> Result<()> {
        let left = wake.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) };
        let mut events = [MaybeUninit::uninit(); EVENTS_MAX];
        let (ready, _) = match epoll::wait(&self.epoll, &mut events, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other?,
        };
        for event in ready {
            self.read(usize::try_from(event.data.u64())?)?;
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> Result<()> {
        let connection = &mut self.connections[number];
        match connection.stream.read(&mut self.room) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(len) => connection.input.extend_from_slice(&self.room[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("waiting for an answer"),
        }
        let Some(answer) = Answer::take(&mut connection.input)? else { return Ok(()) };
        let since = connection.since.take().context("an answer without a request")?;
        let (last, body) = (connection.sent - 1, answer.body.trim());
        if answer.status / 100 != 2 || !self.traffic.accepts(number, last, body) {
            let Request { path, body: sent } = self.traffic.request(number, last);
            bail!("{path} {sent}: {} {body}", answer.status);
        }
        match self.load.each_max {
            Some(max) if self.connections[number].sent >= max => self.ended += 1,
            _ => self.free.push_back(number),
        }
        self.seen.answers += 1;
        let now = Instant::now();
        if now >= self.begin && now < self.end {
            self.seen.latencies.push(u32::try_from((now - since).as_micros()).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Waits for the answers that are missing, so that what was answered is all that was done.
    fn drain(&mut self) -> Result<()> {
        let deadline = Instant::now() + ANSWER_TIME_MAX;
        while self.free.len() + self.ended < self.connections.len() {
            ensure!(Instant::now() < deadline, "no answer within {} s", ANSWER_TIME_MAX.as_secs());
            self.receive(deadline)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo;

    fn seen(pace: Pace) -> Seen {
        let address = echo::serve_in_background().expect("listens");
        let (warm, measured) = (Duration::from_millis(10), Duration::from_millis(200));
        let load = Load { clients: 4, pace, warm, measured, keys: true, each_max: None };
        let mut marks = 0;
        let mark = || {
            marks += 1;
            Ok(())
        };
        let seen = load.run(address, &echo::Echoes, mark).expect("all answered");
        assert_eq!(marks, 2);
        assert!(seen.latencies.is_sorted());
        assert!(seen.answers >= seen.latencies.len() as u64);
        seen
    }

    #[test]
    fn a_closed_loop_measures_what_ends_in_its_time() {
        assert!(!seen(Pace::Closed).latencies.is_empty());
    }

    #[test]
    fn a_counted_load_sends_its_number_and_ends() {
        let address = echo::serve_in_background().expect("listens");
        let load = Load::counted(3, 7, Duration::from_secs(30));
        let seen = load.run(address, &echo::Echoes, || Ok(())).expect("all answered");
        assert_eq!((seen.answers, seen.latencies.len()), (21, 21));
        assert!(seen.measured < Duration::from_secs(30));
    }

    #[test]
    fn an_open_loop_sends_what_is_due_and_no_more() {
        let answers = seen(Pace::Open(1000.0)).answers;
        assert!((1..=400).contains(&answers), "{answers} answers");
    }
}
