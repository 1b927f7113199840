//! Carries out what a partition wants.

use std::sync::Arc;

use engine::{Effect, Input, Query, Turn};
use protocol::record::encode;
use protocol::{PartitionId, Position};
use store::LogRecord;

use super::Driver;
use crate::api::Answer;
use crate::planted::{self, Bug};
use crate::rows::Row;
use crate::rows::query::{self, Rows};

impl Driver {
    /// Takes in one turn of a partition, and leaves it empty: records to be appended, rows for the overlay, effects.
    pub(super) fn carry_out(&mut self, partition: PartitionId, turn: &mut Turn) {
        assert_eq!(turn.next.0, self.next.0 + turn.records.len() as u64, "a position for each record");
        for record in turn.records.drain(..) {
            let bytes = encode(&record);
            self.batch_bytes += bytes.len();
            self.batch.push(LogRecord { partition: partition.0, bytes });
        }
        self.next = turn.next;
        for (position, key, change) in turn.writes.drain(..) {
            self.overlay.put(Row::new(position, partition, key, change));
        }
        let mut loads = Vec::new();
        for effect in turn.effects.drain(..) {
            self.effect(partition, effect, &mut loads);
        }
        // Before anything else reaches the partition, so that what was read is still what is there.
        for (ticket, query) in loads.into_iter().rev() {
            self.load(partition, ticket, &query);
        }
    }

    fn effect(&mut self, partition: PartitionId, effect: Effect, loads: &mut Vec<(u64, Query)>) {
        match effect {
            Effect::Start(start) => {
                let mut owed = Vec::new();
                self.parts.pool.start(partition, *start, &mut owed);
                self.inputs.extend(owed);
            }
            Effect::Resume(resume) => {
                let mut owed = Vec::new();
                self.parts.pool.resume(partition, resume, &mut owed);
                self.inputs.extend(owed);
            }
            Effect::Evict(invocation) => self.parts.pool.evict(invocation),
            Effect::Fetched { run, slice } => self.parts.pool.fetched(partition, run, slice),
            Effect::Reply { token, after, invocation, reply } => {
                self.answer(token, after, Answer { invocation: Some(invocation), reply });
            }
            // One log is one durability domain: the message may run ahead of the disk.
            Effect::Send { to, after: _, message } if self.index_of(to).is_some() => {
                self.inputs.push_back((to, Input::Message { from: partition, message }));
            }
            Effect::Send { to, after, message } => {
                let network = Arc::clone(&self.parts.network);
                let after = if planted::is(Bug::MessageBeforeDurable) { Position(0) } else { after };
                self.hold(after, move || network.send(partition, to, message));
            }
            Effect::Load { ticket, query } => loads.push((ticket, query)),
            Effect::Print { after, invocation, method, lines } => {
                let sink = Arc::clone(&self.parts.sink);
                self.hold(after, move || sink.output(invocation, &method, &lines));
            }
            Effect::Notice(text) => self.parts.sink.notice(&text),
            Effect::RunsAgain(invocation) => self.parts.sink.runs_again(invocation),
            Effect::StartTask(mut start) => {
                if planted::is(Bug::TaskBeforeDurable) {
                    start.after = Position(0);
                }
                self.parts.tasks.start(partition, *start);
            }
            Effect::StopTask(run) => self.parts.tasks.stop(partition, run, self.parts.clock.steady()),
        }
    }

    /// Keeps something until what it rests on is durable.
    pub(super) fn hold(&self, after: Position, release: impl FnOnce() + Send + 'static) {
        self.parts.shared.held.until(after, Box::new(release));
    }

    /// Answers the next to be handled input of `partition`.
    fn load(&mut self, partition: PartitionId, ticket: u64, query: &Query) {
        let slots = query::slots_of(partition, self.parts.shared.partitions);
        let mut view = self.view(partition);
        match query::answer(&mut view, slots, query) {
            Ok(Rows { rows, cut }) => self.inputs.push_front((partition, Input::Loaded { ticket, rows, cut })),
            Err(error) => self.failure = Some(error.into()),
        }
    }
}
