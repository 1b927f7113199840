//! Runs a test over seeds; one that fails says how to run it alone.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `test` for `count` seeds (times `ENGINE_SEEDS`), or for the one in `ENGINE_SEED`.
pub fn for_seeds(name: &str, count: u64, test: impl Fn(u64)) {
    if let Some(seed) = number("ENGINE_SEED") {
        return test(seed);
    }
    for seed in 0..count * number("ENGINE_SEEDS").unwrap_or(1) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!("seed {seed} failed; run it alone: ENGINE_SEED={seed} cargo test -p engine --test it {name}");
            resume_unwind(panic);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
