//! The simulator itself: the same seed gives the same run, and the first seeds of each workload pass.

use std::time::Duration;

use sim::seeds::{Seeds, run, run_many};
use sim::workload::Workload;

#[test]
fn the_same_seed_gives_the_identical_trace() {
    for workload in Workload::ALL {
        for seed in [1, 2, 3] {
            let (one, other) = (run(seed, Some(*workload), true), run(seed, Some(*workload), true));
            assert!(one.trace.is_some() && one.trace == other.trace, "seed {seed} of {}", workload.name());
            assert_eq!(one.digest, other.digest);
        }
    }
}

#[test]
fn a_trace_changes_nothing() {
    let (told, silent) = (run(7, None, true), run(7, None, false));
    assert_eq!((told.digest, told.events, told.records), (silent.digest, silent.events, silent.records));
}

#[test]
fn the_first_seeds_pass() {
    for workload in Workload::ALL {
        let seeds =
            Seeds { first: 0, count: 25, workload: Some(*workload), failures_max: 1, limit: Duration::from_secs(600) };
        let tally = run_many(&seeds);
        assert_eq!(tally.seeds, 25);
        let failure = tally.failures.first().map(|failure| (failure.seed, failure.violation.clone()));
        assert!(failure.is_none(), "{}: {failure:?}", workload.name());
        assert!(tally.restarts > 0, "no node of {} ever crashed", workload.name());
    }
}
