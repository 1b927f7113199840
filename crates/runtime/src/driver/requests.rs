//! What handles ask of the driver.

use engine::{Input, Submit, Token};
use protocol::api::{Description, Invocations, State};
use protocol::problem::Code;
use protocol::worker::ValueBytes;
use protocol::{InvocationId, PartitionId, Position};
use tokio::sync::oneshot;

use super::Driver;
use crate::api::{Answer, Place, Refusal};
use crate::error::NodeError;
use crate::planted::{self, Bug};

type Asked<T> = oneshot::Sender<T>;

/// A message of a handle.
pub(crate) enum Request {
    Submit { submit: Box<Submit>, answer: Asked<Answer> },
    Wait { token: Token, id: InvocationId, answer: Asked<Answer> },
    Cancel { token: Token, id: InvocationId, kill: bool, answer: Asked<Answer> },
    Resume { token: Token, id: InvocationId, answer: Asked<Answer> },
    List { states: Vec<State>, after: Option<InvocationId>, limit: usize, answer: Asked<Result<Invocations, Refusal>> },
    Describe { id: InvocationId, answer: Asked<Result<Option<Description>, Refusal>> },
    State { place: Place, answer: Asked<Result<ValueBytes, Refusal>> },
}

impl Driver {
    pub(super) fn request(&mut self, request: Request) -> Result<(), NodeError> {
        match request {
            Request::Submit { submit, answer } => {
                let home = self.home(submit.id);
                let token = submit.token;
                self.expect(home, token, Input::Submit(submit), answer);
            }
            Request::Wait { token, id, answer } => {
                self.expect(self.home(id), token, Input::Await { token, id }, answer);
            }
            Request::Cancel { token, id, kill, answer } => {
                self.expect(self.home(id), token, Input::Cancel { token, id, kill }, answer);
            }
            Request::Resume { token, id, answer } => {
                self.expect(self.home(id), token, Input::Unpark { token, id }, answer);
            }
            Request::List { states, after, limit, answer } => {
                let (newest, page) = self.list(&states, after, limit)?;
                self.hold(newest, move || tell(answer, Ok(page)));
            }
            Request::Describe { id, answer } => {
                let (newest, found) = self.describe(id)?;
                self.hold(newest, move || tell(answer, Ok(found)));
            }
            Request::State { place, answer } => {
                let (newest, found) = self.stored(&place)?;
                self.hold(newest, move || tell(answer, found));
            }
        }
        Ok(())
    }

    /// Answers whoever waits for a token, once what the answer rests on is durable.
    pub(super) fn answer(&mut self, token: Token, after: Position, answer: Answer) {
        let after = if planted::is(Bug::ReplyBeforeDurable) { Position(0) } else { after };
        if let Some((_, asked)) = self.tokens.remove(&token) {
            self.hold(after, move || tell(asked, answer));
        }
    }

    pub(super) fn forget(&mut self, token: Token) {
        // Once it is answered, no partition knows of it any more.
        if let Some((home, _)) = self.tokens.remove(&token) {
            self.inputs.push_back((home, Input::Forget { token }));
        }
    }

    pub(super) fn home(&self, id: InvocationId) -> PartitionId {
        id.slot().partition(self.parts.shared.partitions)
    }

    fn expect(&mut self, home: PartitionId, token: Token, input: Input, answer: Asked<Answer>) {
        if self.closing.is_some() {
            tell(answer, Answer::problem(None, Code::Unavailable, "the node is shutting down"));
            return;
        }
        self.tokens.insert(token, (home, answer));
        self.inputs.push_back((home, input));
    }
}

/// Whoever asked may have gone away.
fn tell<T>(asked: Asked<T>, answer: T) {
    let _ = asked.send(answer);
}
