//! List fields: they hold what a `Vec` would, and touch the cells that they need only.

use protocol::Value as Stored;
use protocol::list::{CHUNK_LEN, HEADER_KEY};
use protocol::manifest::{Foreseen, ForeseenCells, KeyExpr, Mode};
use protocol::worker::FromWorker;
use sostenuto::Service;
use sostenuto::prelude::*;

use crate::server::{Server, text_value};

#[service]
pub(crate) struct Queue {
    jobs: List<i64>,
    names: List<String>,
    #[initial(vec![3, 2, 1])]
    countdown: List<u8>,
}

#[methods]
impl Queue {
    pub fn push(&mut self, job: i64) -> usize {
        self.jobs.push(job);
        self.jobs.len()
    }

    pub fn extend(&mut self, first: i64, count: i64) {
        self.jobs.extend(first..first + count);
    }

    pub fn pop(&mut self) -> Option<i64> {
        self.jobs.pop()
    }

    pub fn get(&self, index: usize) -> Option<i64> {
        self.jobs.get(index)
    }

    pub fn ends(&self) -> (Option<i64>, Option<i64>, bool) {
        (self.jobs.first(), self.jobs.last(), self.jobs.is_empty())
    }

    pub fn set(&mut self, index: usize, job: i64) {
        self.jobs.set(index, job);
    }

    pub fn add(&mut self, index: usize, more: i64) -> Option<i64> {
        let mut job = self.jobs.get_mut(index)?;
        *job += more;
        Some(*job)
    }

    pub fn insert(&mut self, index: usize, job: i64) {
        self.jobs.insert(index, job);
    }

    pub fn remove(&mut self, index: usize) -> i64 {
        self.jobs.remove(index)
    }

    pub fn truncate(&mut self, len: usize) {
        self.jobs.truncate(len);
    }

    pub fn clear(&mut self) {
        self.jobs.clear();
    }

    pub fn all(&self) -> Vec<i64> {
        self.jobs.iter().collect()
    }

    pub fn name(&mut self, name: String) -> Vec<String> {
        self.names.push(name);
        self.names.iter().collect()
    }

    pub fn count_down(&mut self) -> Vec<u8> {
        self.countdown.pop();
        self.countdown.push(0);
        self.countdown.iter().collect()
    }

    /// Steps of a random walk, in one step; what the list holds then.
    pub fn walk(&mut self, seed: i64, steps: i64) -> Vec<i64> {
        let mut chance = Chance(seed.unsigned_abs());
        for step in 0..steps {
            change(&mut chance, self.jobs.len(), step, &mut self.jobs);
        }
        self.jobs.iter().collect()
    }
}

/// What is done to lists.
trait Changed {
    fn push(&mut self, value: i64);
    fn extend(&mut self, values: std::ops::Range<i64>);
    fn pop(&mut self) -> Option<i64>;
    fn set(&mut self, index: usize, value: i64);
    fn insert(&mut self, index: usize, value: i64);
    fn remove(&mut self, index: usize) -> i64;
    fn truncate(&mut self, len: usize);
}

impl Changed for List<i64> {
    fn push(&mut self, value: i64) {
        self.push(value);
    }
    fn extend(&mut self, values: std::ops::Range<i64>) {
        self.extend(values);
    }
    fn pop(&mut self) -> Option<i64> {
        self.pop()
    }
    fn set(&mut self, index: usize, value: i64) {
        self.set(index, value);
    }
    fn insert(&mut self, index: usize, value: i64) {
        self.insert(index, value);
    }
    fn remove(&mut self, index: usize) -> i64 {
        self.remove(index)
    }
    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }
}

impl Changed for Vec<i64> {
    fn push(&mut self, value: i64) {
        self.push(value);
    }
    fn extend(&mut self, values: std::ops::Range<i64>) {
        Extend::extend(self, values);
    }
    fn pop(&mut self) -> Option<i64> {
        self.pop()
    }
    fn set(&mut self, index: usize, value: i64) {
        self[index] = value;
    }
    fn insert(&mut self, index: usize, value: i64) {
        self.insert(index, value);
    }
    fn remove(&mut self, index: usize) -> i64 {
        self.remove(index)
    }
    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % bound
    }
}

fn change(chance: &mut Chance, len: usize, value: i64, list: &mut dyn Changed) {
    match chance.below(12) {
        0..=2 => list.push(value),
        3 => list.extend(value..value + chance.below(150) as i64),
        4 => _ = list.pop(),
        5 if len > 0 => list.set(chance.below(len), value),
        6 => list.insert(0, value),
        7 => list.insert(chance.below(len + 1), value),
        8 if len > 0 => _ = list.remove(0),
        9 if len > 0 => _ = list.remove(chance.below(len)),
        10 if chance.below(4) == 0 => list.truncate(chance.below(len + 1)),
        _ => (0..chance.below(9)).for_each(|_| list.insert(0, value)),
    }
}

fn queue() -> Server {
    Server::new(Application::new().service::<Queue>())
}

fn call(server: &mut Server, method: &str, args: &[i64]) -> Result<Stored, String> {
    let args: Vec<_> = args.iter().copied().map(Stored::Int).collect();
    server.call("Queue", method, &args)
}

fn list(items: &[i64]) -> Stored {
    Stored::List(items.iter().copied().map(Stored::Int).collect())
}

#[test]
fn it_holds_what_a_vec_would_whatever_is_done() {
    for seed in 0..40_i64 {
        let (mut server, mut plain) = (queue(), Vec::new());
        for round in 0..12_i64 {
            let (seed, steps) = (seed * 100 + round, 1 + round * 4);
            let mut chance = Chance(seed.unsigned_abs());
            for step in 0..steps {
                let len = plain.len();
                change(&mut chance, len, step, &mut plain);
            }
            assert_eq!(call(&mut server, "walk", &[seed, steps]), Ok(list(&plain)), "seed {seed}, round {round}");
        }
        // And nothing lies around that is not part of it.
        call(&mut server, "clear", &[]).unwrap();
        assert_eq!(server.store.borrow().cells.len(), 1, "seed {seed}");
        assert_eq!(call(&mut server, "all", &[]), Ok(list(&[])));
    }
}

#[test]
fn single_operations_agree_with_a_vec_step_by_step() {
    let mut server = queue();
    call(&mut server, "extend", &[0, 200]).unwrap();
    let mut plain: Vec<i64> = (0..200).collect();
    assert_eq!(call(&mut server, "push", &[7]), Ok(Stored::Int(201)));
    plain.push(7);
    call(&mut server, "set", &[64, -1]).unwrap();
    plain[64] = -1;
    assert_eq!(call(&mut server, "add", &[130, 1000]), Ok(Stored::Int(1130)));
    plain[130] = 1130;
    call(&mut server, "insert", &[70, 5]).unwrap();
    plain.insert(70, 5);
    assert_eq!(call(&mut server, "remove", &[0]), Ok(Stored::Int(plain.remove(0))));
    assert_eq!(call(&mut server, "remove", &[100]), Ok(Stored::Int(plain.remove(100))));
    assert_eq!(call(&mut server, "all", &[]), Ok(list(&plain)));
    assert_eq!(call(&mut server, "get", &[130]), Ok(Stored::Int(plain[130])));
    assert_eq!(call(&mut server, "get", &[200]), Ok(Stored::None));
    let ends = [Stored::Int(plain[0]), Stored::Int(plain[plain.len() - 1]), Stored::Bool(false)];
    assert_eq!(call(&mut server, "ends", &[]), Ok(Stored::Tuple(ends.to_vec())));
    call(&mut server, "truncate", &[64]).unwrap();
    plain.truncate(64);
    assert_eq!(call(&mut server, "all", &[]), Ok(list(&plain)));
    assert_eq!(call(&mut server, "pop", &[]), Ok(Stored::Int(plain.pop().unwrap())));
    assert_eq!(call(&mut server, "all", &[]), Ok(list(&plain)));
}

#[test]
fn what_is_beyond_the_end_is_a_panic_that_says_so() {
    let mut server = queue();
    call(&mut server, "extend", &[0, 3]).unwrap();
    assert_eq!(call(&mut server, "pop", &[]), Ok(Stored::Int(2)));
    let told = |server: &mut Server, method, args: &[i64]| call(server, method, args).unwrap_err();
    assert!(told(&mut server, "set", &[2, 0]).contains("set at 2 in a list of 2 elements"));
    assert!(told(&mut server, "insert", &[3, 0]).contains("insert at 3 into a list of 2 elements"));
    assert!(told(&mut server, "remove", &[2]).contains("remove at 2 from a list of 2 elements"));
    call(&mut server, "clear", &[]).unwrap();
    assert_eq!(call(&mut server, "pop", &[]), Ok(Stored::None));
}

#[test]
fn the_header_and_the_chunk_of_an_index_are_foreseen() {
    let of = |name: &str| Queue::manifest().method(name).cloned().unwrap();
    let entry = |key| Foreseen { field: "jobs".into(), what: ForeseenCells::Entry(key) };
    let header = entry(KeyExpr::Constant(HEADER_KEY.to_vec()));
    assert_eq!(of("get").foreseen, [header.clone(), entry(KeyExpr::Chunk(0))]);
    assert_eq!(of("add").foreseen, [header.clone(), entry(KeyExpr::Chunk(0))]);
    assert_eq!(of("push").foreseen, [header]);
    assert_eq!(of("all").foreseen, [Foreseen { field: "jobs".into(), what: ForeseenCells::Whole }]);
    assert!(of("get").read_only && of("get").route.is_none(), "a list lies in one place");
    assert_eq!(of("get").modes, [("jobs".to_owned(), Mode::Shared)]);
    assert_eq!(of("push").modes, [("jobs".to_owned(), Mode::Exclusive)]);
}

/// Cells that a step fetched and wrote.
fn cells(server: &mut Server, method: &str, args: &[i64]) -> (usize, usize) {
    server.store.borrow_mut().fetched.clear();
    let args: Vec<_> = args.iter().copied().map(Stored::Int).collect();
    let FromWorker::End(end) = server.begin("Queue", method, &args) else { panic!("dropped") };
    server.accept(&end);
    let fetched = server.store.borrow().fetched.len();
    (fetched, end.writes.len())
}

#[test]
fn what_touches_few_elements_touches_few_cells() {
    let mut server = queue();
    call(&mut server, "extend", &[0, 100 * CHUNK_LEN + 10]).unwrap();
    assert_eq!(cells(&mut server, "push", &[1]), (1, 1), "the header");
    assert_eq!(cells(&mut server, "pop", &[]), (1, 1));
    assert_eq!(cells(&mut server, "get", &[3000]), (2, 0), "the header and a chunk");
    assert_eq!(cells(&mut server, "set", &[3000, 1]), (2, 1));
    assert_eq!(cells(&mut server, "add", &[100 * CHUNK_LEN, 1]), (1, 1), "it is in the header");
    assert_eq!(cells(&mut server, "insert", &[0, 1]), (2, 2), "a new chunk before the first");
    assert_eq!(cells(&mut server, "insert", &[0, 1]), (2, 2));
    assert_eq!(cells(&mut server, "remove", &[0]), (2, 2));
    assert_eq!(cells(&mut server, "remove", &[100 * CHUNK_LEN - 10]), (2, 2), "what follows it");
    assert_eq!(cells(&mut server, "all", &[]).0, 2, "the header, then the whole at once");
    let full = 100 * CHUNK_LEN;
    call(&mut server, "truncate", &[full]).unwrap();
    assert_eq!(cells(&mut server, "extend", &[0, CHUNK_LEN]).0, 2, "a full tail becomes a cell");
}

#[test]
fn it_lies_in_cells_as_python_lists_do() {
    let mut server = queue();
    call(&mut server, "extend", &[0, 70]).unwrap();
    let store = server.store.borrow();
    let header = Stored::List(vec![Stored::Int(0), Stored::Int(1), list(&[64, 65, 66, 67, 68, 69])]);
    assert_eq!(store.get("jobs", Some(&Stored::None)), Some(header));
    assert_eq!(store.get("jobs", Some(&Stored::Int(0))), Some(list(&(0..64).collect::<Vec<_>>())));
}

#[test]
fn elements_are_of_any_type_and_checked() {
    let mut server = queue();
    let name = |server: &mut Server, name: &str| server.call("Queue", "name", &[text_value(name)]);
    assert_eq!(name(&mut server, "ann"), Ok(Stored::List(vec![text_value("ann")])));
    let header = Stored::List(vec![Stored::Int(0), Stored::Int(0), list(&[1])]);
    server.store.borrow_mut().cells.clear();
    server.store.borrow_mut().put("names", Some(Stored::None), header);
    let told = name(&mut server, "bob").unwrap_err();
    assert!(told.contains("Queue.names holds an element of another type"), "{told}");
    server.store.borrow_mut().cells.clear();
    server.store.borrow_mut().put("names", Some(Stored::None), Stored::Int(1));
    assert!(name(&mut server, "bob").unwrap_err().contains("Queue.names holds no list"));
}

#[test]
fn it_begins_with_its_initial_elements() {
    let mut server = queue();
    assert_eq!(call(&mut server, "count_down", &[]), Ok(list(&[3, 2, 0])));
    assert_eq!(call(&mut server, "count_down", &[]), Ok(list(&[3, 2, 0])));
}

#[test]
fn a_step_whose_chunk_cannot_be_had_is_dropped() {
    let mut server = queue();
    call(&mut server, "extend", &[0, 200]).unwrap();
    server.store.borrow_mut().locked = true;
    let args = [Stored::Int(3), Stored::Int(1)];
    for method in ["add", "set", "insert"] {
        assert!(matches!(server.begin("Queue", method, &args), FromWorker::Dropped { .. }), "{method}");
    }
}
