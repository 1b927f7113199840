//! Reads frames. A worker runs user code and is not trusted: whatever it sends ends in messages or in an error.

use super::*;
use crate::marshal;
use crate::marshal::read::{Reader, Token, text};

/// The messages of a frame (without its length) that a worker sent. `resident` hears what the worker keeps.
pub fn decode_from_worker(frame: &[u8], resident: &mut Resident) -> Result<Vec<FromWorker>, FrameError> {
    messages(frame, Some(resident), |input, tag, len| match (tag, len) {
        (tag::END, 12) => Ok(FromWorker::End(Box::new(step_end(input)?))),
        (tag::FETCH, 4) => {
            Ok(FromWorker::Fetch { run: input.run()?, field: input.string()?, what: input.fetch_what()? })
        }
        (tag::DROPPED, 2) => Ok(FromWorker::Dropped { run: input.run()? }),
        (tag::DEPARTED, 6) => Ok(FromWorker::Departed {
            run: input.run()?,
            invocation: input.invocation()?,
            step: input.uint()?,
            expected: input.lossy()?,
            actual: input.lossy()?,
        }),
        (tag::READY, 4) => Ok(FromWorker::Ready {
            pid: u32::try_from(input.uint()?).map_err(|_| input.wrong("a process id"))?,
            python: input.lossy()?,
            problem: input.optional_value()?,
        }),
        (tag::BUSY, 2) => Ok(FromWorker::Busy(input.uint()?)),
        (tag::TASK_END, 5) => {
            let run = input.run()?;
            Ok(FromWorker::TaskEnd { run, outcome: input.outcome()?, is_final: input.boolean()? })
        }
        (tag::TASK_OUTPUT, 4) => {
            let run = input.run()?;
            let stream = u8::try_from(input.int()?).map_err(|_| input.wrong("a stream's number"))?;
            Ok(FromWorker::TaskOutput { run, stream, text: input.lossy()? })
        }
        _ => Err(FrameError::Message { tag, len }),
    })
}

/// The messages of a frame (without its length) that a server sent, except INIT. (For tests and the simulator, which
/// stand in for a worker.)
pub fn decode_to_worker(frame: &[u8]) -> Result<Vec<ToWorker>, FrameError> {
    messages(frame, None, |input, tag, len| match (tag, len) {
        (tag::START, 14) => Ok(ToWorker::Start(Box::new(start(input)?))),
        (tag::RESUME, 6) => Ok(ToWorker::Resume(Resume {
            run: input.run()?,
            invocation: input.invocation()?,
            clock: input.uint()?,
            slice: input.slice()?,
            delivered: input.list(delivered)?,
        })),
        (tag::EVICT, 2) => Ok(ToWorker::Evict(input.invocation()?)),
        (tag::FETCHED, 3) => {
            let run = input.run()?;
            let slice = if input.take_none()? { None } else { Some(input.slice()?) };
            Ok(ToWorker::Fetched { run, slice })
        }
        (tag::TASK, 6) => Ok(ToWorker::Task(Box::new(TaskRun {
            run: input.run()?,
            function: input.string()?,
            args: input.value()?,
            timeout: input.timeout()?,
            is_async: input.int()? & tag::FLAG_ASYNC != 0,
            awaited_by: None,
        }))),
        (tag::STOP, 2) => Ok(ToWorker::StopTask(input.run()?)),
        _ => Err(FrameError::Message { tag, len }),
    })
}

/// Reads a frame of the template (without its length).
pub fn decode_from_template(frame: &[u8]) -> Result<Vec<FromTemplate>, FrameError> {
    messages(frame, None, |input, tag, len| match (tag, len) {
        (tag::FORKED, 3) => Ok(FromTemplate::Forked {
            worker: input.uint()?,
            pid: u32::try_from(input.uint()?).map_err(|_| input.wrong("a process id"))?,
        }),
        (tag::ENDED, 3) => Ok(FromTemplate::Ended {
            worker: input.uint()?,
            status: i32::try_from(input.int()?).map_err(|_| input.wrong("a status"))?,
        }),
        _ => Err(FrameError::Message { tag, len }),
    })
}

fn messages<T>(
    frame: &[u8],
    resident: Option<&mut Resident>,
    message: impl Fn(&mut Input<'_>, i64, usize) -> Result<T, FrameError>,
) -> Result<Vec<T>, FrameError> {
    let mut input = Input { reader: Reader::new(frame), resident };
    let messages = input.list(|input| {
        let len = input.sequence("a message")?;
        if len == 0 {
            return Err(input.wrong("a message's tag"));
        }
        let tag = input.int()?;
        message(input, tag, len)
    })?;
    input.reader.finish()?;
    Ok(messages)
}

fn start(input: &mut Input<'_>) -> Result<Start, FrameError> {
    Ok(Start {
        run: input.run()?,
        invocation: input.invocation()?,
        service: input.string()?,
        method: input.string()?,
        key: input.optional_value()?,
        args: input.value()?,
        seed: input.array()?,
        in_transaction: input.int()? & tag::FLAG_IN_TRANSACTION != 0,
        clock: input.uint()?,
        slice: input.slice()?,
        journal: input.list(journal_step)?,
        delivered: input.list(delivered)?,
        follows: if input.take_none()? { None } else { Some(input.run()?) },
    })
}

fn journal_step(input: &mut Input<'_>) -> Result<JournalStep, FrameError> {
    input.tuple(4)?;
    Ok(JournalStep {
        clock: input.uint()?,
        reads: input.slice()?,
        delivered: input.list(delivered)?,
        ops: input.list(|input| {
            input.tuple(2)?;
            Ok((input.string()?, input.string()?))
        })?,
    })
}

fn delivered(input: &mut Input<'_>) -> Result<Delivered, FrameError> {
    input.tuple(3)?;
    Ok(Delivered { position: input.string()?, result: input.outcome()? })
}

fn step_end(input: &mut Input<'_>) -> Result<StepEnd, FrameError> {
    let (run, invocation) = (input.run()?, input.invocation()?);
    let status = status(input)?;
    input.tuple(2)?;
    let reads = input.list(|input| {
        input.tuple(2)?;
        Ok((input.string()?, input.optional_value()?))
    })?;
    let whole_reads = input.list(Input::string)?;
    let writes = input.list(write)?;
    let ops = input.list(op)?;
    input.tuple(2)?;
    let wait_all = match input.int()? {
        0 => false,
        1 => true,
        _ => return Err(input.wrong("the mode of waiting")),
    };
    Ok(StepEnd {
        run,
        invocation,
        status,
        reads,
        whole_reads,
        writes,
        ops,
        wait_all,
        waits: input.list(Input::string)?,
        logs: input.list(log)?,
        doom: input.optional_value()?,
        held: held(input)?,
    })
}

fn held(input: &mut Input<'_>) -> Result<Held, FrameError> {
    input.tuple(2)?;
    let cells = input.list(|input| {
        input.tuple(2)?;
        Ok(HeldCell { field: input.string()?, key: input.optional_value()? })
    })?;
    Ok(Held { cells, wholes: input.list(Input::string)? })
}

fn status(input: &mut Input<'_>) -> Result<StepStatus, FrameError> {
    Ok(match input.int()? {
        0 => StepStatus::Returned(input.value()?),
        1 => StepStatus::Raised(input.value()?),
        2 if input.take_none()? => StepStatus::Suspended,
        3 => StepStatus::NotStorable(input.value()?),
        _ => return Err(input.wrong("a status with its payload")),
    })
}

fn write(input: &mut Input<'_>) -> Result<StepWrite, FrameError> {
    let len = input.sequence("a write")?;
    let write = StepWrite {
        field: input.string()?,
        key: input.optional_value()?,
        value: input.optional_value()?,
        fresh: input.boolean()?,
        incarnation: if input.take_none()? { None } else { Some(input.uint()?) },
    };
    match (len, &write.value) {
        (5, _) => {}
        (6, Some(value)) => {
            let name = input.uint()?;
            input.resident.iter_mut().for_each(|resident| resident.written(value, name));
        }
        _ => return Err(input.wrong("a write of 5 items, or of 6 with a value")),
    }
    Ok(write)
}

fn log(input: &mut Input<'_>) -> Result<(u8, String), FrameError> {
    input.tuple(2)?;
    let stream = u8::try_from(input.int()?).map_err(|_| input.wrong("a stream's number"))?;
    Ok((stream, input.lossy()?))
}

fn op(input: &mut Input<'_>) -> Result<Op, FrameError> {
    let len = input.sequence("an operation")?;
    if len < 2 {
        return Err(input.wrong("an operation's position and kind"));
    }
    let position = input.string()?;
    let kind = match (input.int()?, len) {
        (0, 6) => OpKind::Call(target(input)?),
        (1, 6) => OpKind::Send(target(input)?),
        (2, 3) => OpKind::Sleep(input.uint()?),
        (3, 2) => OpKind::Begin,
        (4, 2) => OpKind::Commit,
        (5, 3) => OpKind::Rollback(input.value()?),
        (6, 9) => OpKind::Task(task_call(input)?),
        (7, 3) => OpKind::Cancel(input.string()?),
        _ => return Err(input.wrong("an operation's kind with its items")),
    };
    Ok(Op { position, kind })
}

fn target(input: &mut Input<'_>) -> Result<Target, FrameError> {
    Ok(Target { service: input.string()?, key: input.optional_value()?, method: input.string()?, args: input.value()? })
}

fn task_call(input: &mut Input<'_>) -> Result<TaskCall, FrameError> {
    let (function, args) = (input.string()?, input.value()?);
    let retries = u32::try_from(input.uint()?).map_err(|_| input.wrong("a number of retries"))?;
    let (timeout, backoff, backoff_max) = (input.timeout()?, input.uint()?, input.uint()?);
    let flags = input.int()?;
    let (is_pure, is_async) = (flags & tag::FLAG_PURE != 0, flags & tag::FLAG_ASYNC != 0);
    Ok(TaskCall { function, args, retries, timeout, backoff, backoff_max, is_pure, is_async })
}

/// A position in a frame.
struct Input<'a> {
    reader: Reader<'a>,
    resident: Option<&'a mut Resident>,
}

impl<'a> Input<'a> {
    fn wrong(&self, expected: &'static str) -> FrameError {
        FrameError::Shape { expected, offset: self.reader.offset() }
    }

    /// The length of a list or tuple; its items follow.
    fn sequence(&mut self, expected: &'static str) -> Result<usize, FrameError> {
        match self.reader.token()? {
            Token::Tuple(len) | Token::List(len) => Ok(len),
            _ => Err(self.wrong(expected)),
        }
    }

    fn tuple(&mut self, len: usize) -> Result<(), FrameError> {
        if self.sequence("a tuple")? == len { Ok(()) } else { Err(self.wrong("a tuple of another length")) }
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, FrameError>) -> Result<Vec<T>, FrameError> {
        let len = self.sequence("a list")?;
        let mut items = Vec::with_capacity(len.min(1024));
        for _ in 0..len {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn int(&mut self) -> Result<i64, FrameError> {
        match self.reader.token()? {
            Token::Int(value) => Ok(value),
            Token::Bool(value) => Ok(i64::from(value)),
            _ => Err(self.wrong("an int")),
        }
    }

    fn uint(&mut self) -> Result<u64, FrameError> {
        let value = match self.reader.token()? {
            Token::Int(value) => u64::try_from(value).ok(),
            Token::Long(long) => u64::try_from(long.big()).ok(),
            _ => None,
        };
        value.ok_or_else(|| self.wrong("an int from 0 to 2**64 - 1"))
    }

    fn boolean(&mut self) -> Result<bool, FrameError> {
        Ok(self.int()? != 0)
    }

    fn run(&mut self) -> Result<RunNumber, FrameError> {
        self.uint().map(RunNumber)
    }

    fn invocation(&mut self) -> Result<InvocationId, FrameError> {
        self.array().map(InvocationId)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        match self.reader.token()? {
            Token::Bytes(bytes) => bytes.try_into().map_err(|_| self.wrong("bytes of another length")),
            _ => Err(self.wrong("bytes")),
        }
    }

    fn string(&mut self) -> Result<String, FrameError> {
        match self.reader.token()? {
            Token::Str(bytes) => Ok(text(bytes, &self.reader)?.to_owned()),
            _ => Err(self.wrong("a str")),
        }
    }

    /// A text for people, which may hold lone surrogates.
    fn lossy(&mut self) -> Result<String, FrameError> {
        match self.reader.token()? {
            Token::Str(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            _ => Err(self.wrong("a str")),
        }
    }

    /// Takes `None`, if it is next.
    fn take_none(&mut self) -> Result<bool, FrameError> {
        let mut ahead = self.reader;
        let found = ahead.token()? == Token::None;
        if found {
            self.reader = ahead;
        }
        Ok(found)
    }

    fn timeout(&mut self) -> Result<Option<Micros>, FrameError> {
        if self.take_none()? { Ok(None) } else { self.uint().map(Some) }
    }

    fn outcome(&mut self) -> Result<Outcome, FrameError> {
        match self.int()? {
            0 => Ok(Outcome::Value(self.value()?)),
            1 => Ok(Outcome::Exception(self.value()?)),
            _ => Err(self.wrong("the kind of a result")),
        }
    }

    fn value(&mut self) -> Result<ValueBytes, FrameError> {
        self.optional_value()?.ok_or_else(|| self.wrong("a value's bytes"))
    }

    fn optional_value(&mut self) -> Result<Option<ValueBytes>, FrameError> {
        let token = self.reader.token()?;
        self.optional_value_of(token)
    }

    fn optional_value_of(&mut self, token: Token<'a>) -> Result<Option<ValueBytes>, FrameError> {
        match token {
            Token::None => Ok(None),
            Token::Bytes(content) => {
                let mut packed = Vec::with_capacity(content.len());
                let mut inner = Reader::within(content, &self.reader);
                marshal::read_value(&mut inner, &mut packed)?;
                inner.finish()?;
                Ok(Some(packed))
            }
            _ => Err(self.wrong("a value's bytes or None")),
        }
    }

    fn fetch_what(&mut self) -> Result<FetchWhat, FrameError> {
        let token = self.reader.token()?;
        if token == Token::Ellipsis {
            return Ok(FetchWhat::Whole);
        }
        Ok(self.optional_value_of(token)?.map_or(FetchWhat::Scalar, FetchWhat::Entry))
    }

    fn slice(&mut self) -> Result<Slice, FrameError> {
        self.tuple(2)?;
        let cells = self.list(|input| {
            input.tuple(4)?;
            let (field, key, value) = (input.string()?, input.optional_value()?, input.optional_value()?);
            Ok(SliceCell { field, key, value, incarnation: input.uint()? })
        })?;
        let wholes = self.list(|input| {
            input.tuple(2)?;
            let field = input.string()?;
            let entries = input.list(|input| {
                input.tuple(3)?;
                Ok((input.value()?, input.value()?, input.uint()?))
            })?;
            Ok((field, entries))
        })?;
        Ok(Slice { cells, wholes })
    }
}
