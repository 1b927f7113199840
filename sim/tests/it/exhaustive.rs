//! Small configurations of the lock and commit core, every state of them; `cargo xtask sim --exhaustive` has larger ones.

use std::time::Duration;

use sim::exhaustive::{Configuration, all, explore, replay, row};

const LIMIT: Duration = Duration::from_secs(600);

fn quick(starts: fn(&str) -> bool) -> Vec<Configuration> {
    all().into_iter().filter(|configuration| configuration.is_quick && starts(configuration.name)).collect()
}

fn walk(configurations: Vec<Configuration>) {
    assert!(!configurations.is_empty());
    for configuration in configurations {
        let explored = explore(&configuration, LIMIT);
        let line = row(&configuration, &explored);
        assert!(explored.violation.is_none(), "{line}: {:?}", explored.violation);
        assert!(explored.is_complete && explored.ends > 0, "{line}");
    }
}

#[test]
fn every_state_without_faults() {
    walk(quick(|name| !name.starts_with("crash") && !name.starts_with("death")));
}

#[test]
fn every_state_with_a_fault_anywhere() {
    walk(quick(|name| name.starts_with("crash") || name.starts_with("death")));
}

#[test]
fn the_same_states_each_time_and_a_path_tells_what_happens() {
    let steps = all().into_iter().find(|configuration| configuration.name == "crossing-each").expect("it is there");
    let (one, other) = (explore(&steps, LIMIT), explore(&steps, LIMIT));
    assert_eq!((one.states, one.transitions, one.ends), (other.states, other.transitions, other.ends));
    // The first of the possible actions at each state, to the end.
    let (trace, verdict) = replay(&steps, &[0; 500]);
    assert_eq!(verdict, None);
    assert!(trace.iter().any(|line| line.contains("request 1 is answered")), "{trace:#?}");
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    let mut said = Vec::new();
    let options = ["--planted", "all"].map(str::to_owned);
    assert!(sim::exhaustive::command(&options, &mut |line| said.push(line)), "{said:#?}");
}
