//! The simulator itself: the same seed gives the same run, and the first seeds of each workload pass.

mod exhaustive;

use std::time::Duration;

use sim::check::judge;
use sim::happenings::{Counts, Happening};
use sim::history::History;
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
fn the_first_seeds_pass_and_every_fault_occurs() {
    let mut counts = Counts::default();
    for workload in Workload::ALL {
        let seeds =
            Seeds { first: 0, count: 60, workload: Some(*workload), failures_max: 1, limit: Duration::from_secs(600) };
        let tally = run_many(&seeds);
        let failure = tally.failures.first().map(|failure| (failure.seed, failure.violation.clone()));
        assert!(failure.is_none(), "{}: {failure:?}", workload.name());
        assert_eq!(tally.seeds, 60);
        assert!(tally.restarts > 0, "no node of {} ever crashed", workload.name());
        counts.add(&tally.counts);
    }
    for what in Happening::ALL {
        assert!(counts.of(*what) > 0, "never: {}", what.text());
    }
}

#[test]
fn what_clients_saw_is_judged_from_its_file() {
    let outcome = run(5, Some(Workload::Registers), true);
    let history = History::parse(&outcome.history.text()).expect("it was written so");
    assert_eq!(history, outcome.history);
    assert!(judge::judge(&history).is_ok_and(|requests| requests > 20));
    let mut wrong = history;
    let seen = wrong.ops.iter_mut().flat_map(|op| &mut op.touches).find_map(|touch| touch.before.as_mut());
    *seen.expect("somebody was told a number") += 1_000_000;
    assert!(judge::judge(&wrong).is_err());
}
