//! What may not leave before a position is durable: answers and output, in the order of their positions.

use std::collections::BTreeMap;

use protocol::Position;

/// Lets something out.
pub(crate) type Release = Box<dyn FnOnce() + Send>;

/// Waits for the watermark. Bounded by admission: each entry belongs to a request or to an unfinished invocation.
#[derive(Default)]
pub(crate) struct Held {
    entries: BTreeMap<(Position, u64), Release>,
    /// Keeps the order of entries with one position.
    counter: u64,
}

impl Held {
    /// Keeps `release` until `after` is durable; at once if it is.
    pub(crate) fn until(&mut self, after: Position, durable: Position, release: Release) {
        if after <= durable {
            release();
            return;
        }
        self.counter += 1;
        self.entries.insert((after, self.counter), release);
    }

    /// Lets out what rests on nothing beyond `durable`.
    pub(crate) fn release(&mut self, durable: Position) {
        let rest = self.entries.split_off(&(Position(durable.0 + 1), 0));
        for release in std::mem::replace(&mut self.entries, rest).into_values() {
            release();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn nothing_leaves_early_and_order_is_kept() {
        let out = Arc::new(Mutex::new(Vec::new()));
        let push = |name: &'static str| -> Release {
            let out = Arc::clone(&out);
            Box::new(move || out.lock().unwrap().push(name))
        };
        let mut held = Held::default();
        held.until(Position(3), Position(1), push("c"));
        held.until(Position(2), Position(1), push("a"));
        held.until(Position(2), Position(1), push("b"));
        held.until(Position(1), Position(1), push("at once"));
        held.release(Position(1));
        assert_eq!(*out.lock().unwrap(), ["at once"]);
        held.release(Position(2));
        assert_eq!(*out.lock().unwrap(), ["at once", "a", "b"]);
        held.release(Position(9));
        assert_eq!(*out.lock().unwrap(), ["at once", "a", "b", "c"]);
        assert_eq!(held.len(), 0);
    }
}
