//! Re-entry of entity turns: which operation of a chain uses a turn that the chain's outermost operation holds.
//!
//! The turn itself is a lock ([`crate::locks`]). A call chain carries the turns that it holds and may re-enter them,
//! as a nested call does in plain Python; parallel branches of one chain enter one at a time.

use std::collections::BTreeMap;

use protocol::cell::CellKey;
use protocol::ids::InvocationId;

#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    entered: BTreeMap<CellKey, Entered>,
}

#[derive(Clone, Debug, Default)]
struct Entered {
    /// Operations inside, innermost last.
    inside: Vec<InvocationId>,
    /// Operations of the chain that wait, with the holders that their chains carry.
    waiting: Vec<(InvocationId, Vec<InvocationId>)>,
}

impl Turns {
    /// Enter a turn that the chain holds. False: another branch is inside; [`Turns::leave`] lets it in.
    pub(crate) fn enter(&mut self, turn: &CellKey, operation: InvocationId, chain: Vec<InvocationId>) -> bool {
        let entered = self.entered.entry(turn.clone()).or_default();
        let free = entered.inside.last().is_none_or(|innermost| chain.contains(innermost));
        if free {
            entered.inside.push(operation);
        } else {
            entered.waiting.push((operation, chain));
        }
        free
    }

    /// An operation ended (or gave up waiting). Returns those that may go on.
    pub(crate) fn leave(&mut self, turn: &CellKey, operation: InvocationId) -> Vec<InvocationId> {
        let Some(entered) = self.entered.get_mut(turn) else { return Vec::new() };
        entered.inside.retain(|id| *id != operation);
        entered.waiting.retain(|(id, _)| *id != operation);
        let mut admitted = Vec::new();
        while let Some(index) = entered
            .waiting
            .iter()
            .position(|(_, chain)| entered.inside.last().is_none_or(|innermost| chain.contains(innermost)))
        {
            let (next, _) = entered.waiting.remove(index);
            entered.inside.push(next);
            admitted.push(next);
        }
        if entered.inside.is_empty() && entered.waiting.is_empty() {
            self.entered.remove(turn);
        }
        admitted
    }

    /// The innermost operation inside a turn.
    pub(crate) fn innermost(&self, turn: &CellKey) -> Option<InvocationId> {
        self.entered.get(turn).and_then(|entered| entered.inside.last()).copied()
    }
}
