//! What must hold when nothing is under way any more.

use crate::world::World;

/// Nothing leaks, and the log says what the rows say.
pub fn at_rest(world: &World) {
    for id in world.ids() {
        assert!(world.engine(id).is_quiet(), "partition {id} holds something:\n{}", world.dump());
        assert!(world.engine(id).list(world.now).is_empty());
        assert!(*world.rows(id) == world.replayed(id), "partition {id}: the log gives other rows than the live state");
    }
    assert!(world.held_coroutines() == 0, "workers hold coroutines of invocations that have ended");
    assert!(world.pending_rows().is_empty(), "rows of unfinished things: {:?}", world.pending_rows());
}
