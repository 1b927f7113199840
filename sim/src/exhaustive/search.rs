//! Walks through all states of a configuration, depth first. A state that was seen is not entered again.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::configurations::Configuration;
use super::judge::judge;
use super::world::{Action, World};

/// Events after which a path counts as one that never ends.
const DEPTH_MAX: usize = 2_000;

/// What came of walking through a configuration.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    pub states: usize,
    pub transitions: usize,
    /// Different ends.
    pub ends: usize,
    /// Length of the longest path.
    pub depth: usize,
    pub took: Duration,
    /// All states were visited.
    pub is_complete: bool,
    pub violation: Option<Violation>,
}

/// A path to something that must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    pub text: String,
    /// Which of the possible actions was taken at each state.
    pub path: Vec<usize>,
}

struct Frame {
    world: World,
    actions: Vec<Action>,
    next: usize,
}

/// Visits all states, or so many as the configuration allows, for at most so long.
pub fn explore(configuration: &Configuration, limit: Duration) -> Explored {
    let began = Instant::now();
    let mut explored = Explored { is_complete: true, ..Explored::default() };
    let mut visited: HashSet<u64> = HashSet::new();
    let mut stack: Vec<Frame> = Vec::new();
    let mut world = World::new(configuration);
    visited.insert(world.digest());
    enter(&mut stack, world, &mut explored);
    while let Some(frame) = stack.last_mut() {
        if explored.violation.is_some() {
            break;
        }
        let enough = configuration.states_max.is_some_and(|most| visited.len() >= most);
        if enough || explored.transitions.is_multiple_of(256) && began.elapsed() > limit {
            explored.is_complete = false;
            break;
        }
        let Some(action) = frame.actions.get(frame.next).cloned() else {
            stack.pop();
            continue;
        };
        frame.next += 1;
        explored.transitions += 1;
        let mut world = frame.world.clone();
        let digest = step(&mut world, &action);
        if world.violation.is_some() || stack.len() > DEPTH_MAX || visited.insert(digest) {
            enter(&mut stack, world, &mut explored);
        }
    }
    explored.states = visited.len();
    explored.took = began.elapsed();
    explored
}

/// Lets an action happen; a panic of the engine is a violation.
fn step(world: &mut World, action: &Action) -> u64 {
    let stepped = catch_unwind(AssertUnwindSafe(|| {
        world.apply(action);
        world.digest()
    }));
    stepped.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.violated(format!("panic: {}", text.unwrap_or_default()));
        0
    })
}

/// A new state: judged if it is an end, then its successors are looked at.
fn enter(stack: &mut Vec<Frame>, world: World, explored: &mut Explored) {
    let violation = world.violation.clone().or_else(|| {
        if stack.len() > DEPTH_MAX {
            return Some(format!("a path of {DEPTH_MAX} events does not end"));
        }
        if !world.is_over() {
            return None;
        }
        explored.ends += 1;
        judge(&world).err()
    });
    if let Some(text) = violation {
        let path = stack.iter().map(|frame| frame.next - 1).collect();
        explored.violation.get_or_insert(Violation { text, path });
    }
    let actions = world.actions();
    stack.push(Frame { world, actions, next: 0 });
    explored.depth = explored.depth.max(stack.len());
}

/// Walks one path, and tells what happens on it.
pub fn replay(configuration: &Configuration, path: &[usize]) -> (Vec<String>, Option<String>) {
    let mut world = World::new(configuration);
    world.trace = Some(Vec::new());
    for index in path {
        let Some(action) = world.actions().get(*index).cloned() else { break };
        step(&mut world, &action);
    }
    let verdict = world.violation.clone().or_else(|| if world.is_over() { judge(&world).err() } else { None });
    (world.trace.take().unwrap_or_default(), verdict)
}
