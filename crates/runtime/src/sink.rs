//! Where the node shows what people should see: output of user code and its own notices. The node writes to no stream
//! itself; the binary passes a sink that does.

use protocol::InvocationId;

/// Takes what people should see.
pub trait Sink: Send + Sync {
    /// Output of user code, once, after the step that made it is durable. `method` is `Service.method`; each line is
    /// a stream (0 stdout, 1 stderr, 2 logging) and a text.
    fn output(&self, invocation: InvocationId, method: &str, lines: &[(u8, String)]);

    /// Something that an operator should see.
    fn notice(&self, text: &str);

    /// What a step did is dropped, as it wrote cells that were not foreseen; it runs again, unless its attempt dies first.
    /// Nobody needs to see it, but those who watch what runs.
    fn runs_again(&self, _: InvocationId) {}
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn output(&self, _: InvocationId, _: &str, _: &[(u8, String)]) {}

    fn notice(&self, _: &str) {}
}

/// Writes output to two writers, each line with its method before it, and notices to the second.
pub struct WriteSink<O, E> {
    out: std::sync::Mutex<O>,
    err: std::sync::Mutex<E>,
}

impl<O: std::io::Write + Send, E: std::io::Write + Send> WriteSink<O, E> {
    /// A sink on the server's standard streams, or on buffers.
    pub fn new(out: O, err: E) -> Self {
        Self { out: std::sync::Mutex::new(out), err: std::sync::Mutex::new(err) }
    }
}

impl<O: std::io::Write + Send, E: std::io::Write + Send> Sink for WriteSink<O, E> {
    fn output(&self, _: InvocationId, method: &str, lines: &[(u8, String)]) {
        for (stream, text) in lines {
            match stream {
                0 => write_lines(&self.out, method, text),
                _ => write_lines(&self.err, method, text),
            }
        }
    }

    fn notice(&self, text: &str) {
        write_lines(&self.err, "sostenuto", text);
    }
}

/// A stream that is gone (a closed pipe) must not end the node: its errors are dropped.
fn write_lines<W: std::io::Write>(writer: &std::sync::Mutex<W>, prefix: &str, text: &str) {
    let mut writer = writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for line in text.lines() {
        let _ = writeln!(writer, "{prefix}: {line}");
    }
    let _ = writer.flush();
}
