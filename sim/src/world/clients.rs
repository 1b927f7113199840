//! Clients: each makes its requests one after the other, asks again with the same key when it hears nothing, and may
//! lose a request or an answer on the way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use engine::Reply;
use protocol::Value;
use protocol::api::State;
use protocol::ids::InvocationId;
use protocol::msgpack;
use protocol::problem::Code;
use protocol::worker::Outcome;
use runtime::{Answer, Call};

use super::{Event, World};
use crate::coroutine::{Produced, decode_result, recorded_args};
use crate::happenings::Happening;
use crate::program::encode_int;
use crate::recorder::Unit;

/// What a client wants.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub service: &'static str,
    pub key: Option<i64>,
    pub method: &'static str,
    pub args: Vec<i64>,
    /// With an `Idempotency-Key`.
    pub keyed: bool,
    pub send: bool,
    /// An operator cancels it so long after it was made: microseconds, and whether no more code may run.
    pub cancel: Option<(u64, bool)>,
}

pub fn call(service: &'static str, method: &'static str, args: &[i64]) -> Wish {
    Wish { service, method, args: args.to_vec(), ..Wish::default() }
}

pub fn ask(service: &'static str, key: i64, method: &'static str, args: &[i64]) -> Wish {
    Wish { key: Some(key), ..call(service, method, args) }
}

impl Wish {
    pub fn keyed(self) -> Self {
        Self { keyed: true, ..self }
    }

    pub fn sent(self) -> Self {
        Self { send: true, ..self }
    }
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    New,
    Waiting,
    /// A `send` was accepted; its result is awaited.
    Accepted,
    /// A crash took it, and nobody may ask again.
    Lost,
    Done(Reply),
}

/// A client's request, and all answers to it.
#[derive(Clone, Debug)]
pub struct Request {
    pub wish: Wish,
    pub stage: Stage,
    pub id: Option<InvocationId>,
    /// When it was first made, and when its answer came: in events, so that their order is exact.
    pub asked: u64,
    pub answered: Option<u64>,
    /// Everything that left the system for it, also what got lost on the way.
    pub answers: Vec<Reply>,
    /// Its acceptance was told.
    pub accepted: bool,
    pub tries: u32,
}

impl Request {
    pub fn new(wish: Wish) -> Self {
        Self {
            wish,
            stage: Stage::New,
            id: None,
            asked: 0,
            answered: None,
            answers: Vec::new(),
            accepted: false,
            tries: 0,
        }
    }

    /// What it returned.
    pub fn value(&self) -> Option<Produced> {
        match &self.stage {
            Stage::Done(Reply::Done { outcome: Outcome::Value(bytes), .. }) => Some(decode_result(bytes)),
            _ => None,
        }
    }

    /// The class of the exception that it ended with, or the code of a problem.
    pub fn failure(&self) -> Option<String> {
        match &self.stage {
            Stage::Done(Reply::Done { outcome: Outcome::Exception(bytes), .. }) => {
                Some(protocol::message::Exception::from_value(bytes).class)
            }
            Stage::Done(Reply::Problem { code, .. }) => Some(code.as_str().to_owned()),
            _ => None,
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Done(_) | Stage::Lost)
    }
}

type Waiting = Pin<Box<dyn Future<Output = Answer>>>;

/// A request that is under way.
pub struct Call_ {
    pub request: usize,
    pub node: usize,
    pub life: u32,
    pub answer: Waiting,
    /// Nobody will hear the answer.
    pub lost: bool,
    /// It is the operator's, not the client's.
    pub operator: bool,
}

impl World {
    /// The next requests of a client.
    pub(super) fn client_turn(&mut self, client: usize) {
        let Some(&request) = self.clients[client].front() else { return };
        match self.requests[request].stage {
            Stage::New => self.ask(request),
            Stage::Accepted => self.ask_result(request),
            Stage::Waiting => {}
            Stage::Lost | Stage::Done(_) => {
                self.clients[client].pop_front();
                let pause = self.rng.below(self.plan.think * 2) + 1;
                self.later(pause, Event::Client(client));
            }
        }
    }

    fn ask(&mut self, index: usize) {
        let request = &mut self.requests[index];
        request.tries += 1;
        if request.asked == 0 {
            request.asked = self.events;
        }
        let wish = request.wish.clone();
        let args = recorded_args(&wish.args, index as i64, Unit::default());
        let args: Vec<Value> = args.into_iter().map(Value::Int).collect();
        let call = Call {
            service: wish.service.to_owned(),
            key: wish.key.map(encode_int),
            method: wish.method.to_owned(),
            args: msgpack::encode_args(&args, &[]).expect("numbers can be sent"),
            idempotency_key: wish.keyed.then(|| format!("request {index}")),
            send: wish.send,
        };
        if self.loses() {
            self.trace(|| format!("request {index} is lost on its way"));
            self.counts.note(Happening::RequestLost, 1);
            // It was never made, so anybody may ask again.
            return self.ask_later(index);
        }
        let up: Vec<usize> = (0..self.machines.len()).filter(|node| self.machines[*node].up.is_some()).collect();
        let Some(gateway) = up.get(self.rng.below(up.len() as u64) as usize) else { return self.ask_later(index) };
        let handle = self.machines[*gateway].up.as_ref().expect("chosen so").node.handle();
        let submit = match handle.prepare(call) {
            Ok(submit) => submit,
            Err(refusal) => {
                self.trace(|| format!("request {index} is refused: {refusal:?}"));
                return self.ask_later(index);
            }
        };
        let node = self.plan.node_of(submit.id.slot().partition(self.plan.partitions).0);
        let Some(up) = self.machines[node].up.as_ref() else { return self.ask_later(index) };
        let (handle, id) = (up.node.handle(), submit.id);
        self.trace(|| format!("request {index} {}.{}{:?} is made as {id}", wish.service, wish.method, wish.args));
        let life = self.machines[node].life;
        let answer: Waiting = Box::pin(async move { handle.submit_prepared(submit).await });
        let lost = wish.keyed && self.loses();
        self.counts.note(Happening::RequestRepeated, u64::from(self.requests[index].id.is_some()));
        self.requests[index].stage = Stage::Waiting;
        self.requests[index].id.get_or_insert(id);
        self.calls.push(Call_ { request: index, node, life, answer, lost, operator: false });
        self.poke(node);
        if let Some((after, kill)) = wish.cancel.filter(|_| self.requests[index].tries == 1) {
            self.later(after, Event::Cancel(index, kill));
        }
        if wish.keyed {
            let patience = *self.rng.pick(&[5_000, 200_000, 10_000_000]);
            self.later(patience, Event::Impatient(index, self.requests[index].tries));
        }
        if wish.keyed && self.plan.duplicates && self.rng.once_in(8) {
            self.later(1, Event::Again(index));
        }
    }

    /// The same request once more, while the first is under way.
    pub(super) fn ask_again(&mut self, index: usize) {
        if self.requests[index].stage == Stage::Waiting {
            self.ask(index);
        }
    }

    /// A client that has waited long enough asks again.
    pub(super) fn impatient(&mut self, index: usize, tries: u32) {
        let request = &self.requests[index];
        if request.stage == Stage::Waiting && request.tries == tries {
            self.trace(|| format!("the client of request {index} has waited long enough"));
            if self.rng.once_in(2) {
                self.calls.retain(|call| call.request != index || call.operator);
            }
            self.requests[index].stage = Stage::New;
            self.ask(index);
        }
    }

    fn ask_later(&mut self, index: usize) {
        self.requests[index].stage = if self.requests[index].accepted { Stage::Accepted } else { Stage::New };
        let client = self.client_of(index);
        let pause = self.rng.range(1_000, 100_000);
        self.later(pause, Event::Client(client));
    }

    fn client_of(&self, request: usize) -> usize {
        request % self.clients.len()
    }

    fn ask_result(&mut self, index: usize) {
        let id = self.requests[index].id.expect("it was accepted");
        let node = self.plan.node_of(id.slot().partition(self.plan.partitions).0);
        let Some(up) = self.machines[node].up.as_ref() else { return self.ask_later(index) };
        let handle = up.node.handle();
        let answer: Waiting = Box::pin(async move { handle.result(id).await });
        let life = self.machines[node].life;
        self.requests[index].stage = Stage::Waiting;
        self.calls.push(Call_ { request: index, node, life, answer, lost: false, operator: false });
        self.poke(node);
    }

    pub(super) fn cancel(&mut self, index: usize, kill: bool) {
        let Some(id) = self.requests[index].id.filter(|_| !self.requests[index].is_over()) else { return };
        let node = self.plan.node_of(id.slot().partition(self.plan.partitions).0);
        let life = self.machines[node].life;
        let Some(up) = self.machines[node].up.as_ref() else { return };
        let handle = up.node.handle();
        self.trace(|| format!("request {index} is cancelled, kill {kill}"));
        self.counts.note(Happening::InvocationCancelled, 1);
        let answer: Waiting = Box::pin(async move { handle.cancel(id, kill).await });
        self.calls.push(Call_ { request: index, node, life, answer, lost: false, operator: true });
        self.poke(node);
    }

    /// An operator lets go on what is parked, also if only a call of somebody is.
    pub(super) fn operate(&mut self) {
        let now = self.now();
        let up = self.machines.iter().filter_map(|machine| machine.up.as_ref());
        let listed = up.flat_map(|up| up.node.partitions().flat_map(|(_, partition)| partition.list(now)));
        let parked = |listed: &engine::Listed| listed.invocation.state == State::Parked;
        let mut parked: Vec<InvocationId> = listed.filter(parked).map(|listed| listed.id).collect();
        parked.sort_unstable();
        parked.into_iter().for_each(|id| self.unpark(id));
        self.later(super::OPERATOR_PERIOD, Event::Operator);
    }

    fn unpark(&mut self, id: InvocationId) {
        self.trace(|| format!("{id} is parked, and resumed"));
        let node = self.plan.node_of(id.slot().partition(self.plan.partitions).0);
        let life = self.machines[node].life;
        let Some(up) = self.machines[node].up.as_ref() else { return };
        let handle = up.node.handle();
        let answer: Waiting = Box::pin(async move { handle.resume(id).await });
        self.calls.push(Call_ { request: usize::MAX, node, life, answer, lost: false, operator: true });
        self.poke(node);
    }

    fn loses(&mut self) -> bool {
        self.plan.lossy > 0 && self.time.now() < crate::plan::FAULTS_END && self.rng.once_in(self.plan.lossy)
    }

    /// Hears what came for clients of a node.
    pub(super) fn listen(&mut self, node: usize) {
        let mut index = 0;
        while index < self.calls.len() {
            if self.calls[index].node != node {
                index += 1;
                continue;
            }
            let polled = self.calls[index].answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Pending => index += 1,
                Poll::Ready(answer) => {
                    let call = self.calls.remove(index);
                    self.answered(&call, answer);
                }
            }
        }
    }

    fn answered(&mut self, call: &Call_, answer: Answer) {
        let index = call.request;
        if call.operator {
            self.trace(|| format!("an operator is answered: {}", brief(&answer.reply)));
            return;
        }
        self.trace(|| format!("request {index} is answered: {}", brief(&answer.reply)));
        let reply = answer.reply;
        if let Reply::Problem { code, .. } = &reply {
            return self.refused(index, *code, &reply);
        }
        let request = &mut self.requests[index];
        if let Some(id) = answer.invocation {
            request.id = Some(id);
        }
        let done = |reply: &Reply| matches!(reply, Reply::Done { .. });
        let again = done(&reply) && request.answers.iter().any(done);
        self.counts.note(Happening::ReplyRepeated, u64::from(again));
        request.answers.push(reply.clone());
        request.accepted |= reply == Reply::Accepted;
        self.judge_reply(index, &reply);
        if call.lost {
            self.trace(|| format!("the answer to request {index} is lost on its way"));
            self.counts.note(Happening::ReplyLost, 1);
            return;
        }
        if self.requests[index].is_over() {
            return;
        }
        let client = self.client_of(index);
        self.requests[index].stage = match reply {
            Reply::Accepted => Stage::Accepted,
            reply => {
                self.requests[index].answered = Some(self.events);
                Stage::Done(reply)
            }
        };
        self.later(1, Event::Client(client));
    }

    /// Nothing was done, or nobody knows what.
    fn refused(&mut self, index: usize, code: Code, reply: &Reply) {
        let request = &self.requests[index];
        if request.is_over() {
            return;
        }
        let client = self.client_of(index);
        match code {
            Code::Parked => {
                if let Some(id) = self.requests[index].id {
                    self.unpark(id);
                }
                self.ask_later(index);
            }
            Code::Unavailable if !request.wish.keyed && !request.accepted => {
                self.requests[index].stage = Stage::Lost;
                self.later(1, Event::Client(client));
            }
            Code::Unavailable | Code::DiskFull | Code::TooManyInvocations => self.ask_later(index),
            _ => {
                self.requests[index].stage = Stage::Done(reply.clone());
                self.later(1, Event::Client(client));
            }
        }
    }

    /// What waited at a node that is gone hears that its connection has ended.
    pub(super) fn disconnect(&mut self, node: usize) {
        let (gone, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.calls).into_iter().partition(|c| c.node == node);
        self.calls = rest;
        self.counts.note(Happening::ConnectionEnded, gone.len() as u64);
        for call in gone {
            let index = call.request;
            if call.operator || self.requests[index].stage != Stage::Waiting {
                continue;
            }
            if self.requests[index].wish.keyed || self.requests[index].accepted {
                self.ask_later(index);
            } else {
                self.requests[index].stage = Stage::Lost;
                let client = self.client_of(index);
                self.later(1, Event::Client(client));
            }
        }
    }
}

fn brief(reply: &Reply) -> String {
    match reply {
        Reply::Done { outcome: Outcome::Value(bytes), cancelled, .. } => {
            format!("{} (cancelled: {cancelled})", decode_result(bytes).number)
        }
        Reply::Done { outcome: Outcome::Exception(bytes), .. } => protocol::message::Exception::from_value(bytes).class,
        other => format!("{other:?}"),
    }
}
