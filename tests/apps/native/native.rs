//! What the end-to-end tests of tasks and lists run of Rust: the services of `errands` and `lists`, which are Python, with
//! the same methods. Tasks leave marks in a folder, so that a test can count how often they ran.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sostenuto::prelude::*;

/// An exception of the application.
#[derive(Debug)]
pub struct OutOfStock(String);

impl std::fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OutOfStock {}

/// Leave a mark; how many there are now.
fn mark(folder: &str, name: &str) -> std::io::Result<u64> {
    let mut file = OpenOptions::new().append(true).create(true).open(Path::new(folder).join(name))?;
    file.write_all(b"x")?;
    Ok(file.metadata()?.len())
}

/// Waits until the test says so.
fn wait_for_file(path: &Path) {
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[task]
pub fn effect(folder: String, name: String) -> std::io::Result<u64> {
    mark(&folder, &name)
}

/// Leaves a mark, then waits for the gate.
#[task(timeout = None)]
pub fn gated(folder: String, name: String) -> Result<String> {
    mark(&folder, &name)?;
    wait_for_file(&Path::new(&folder).join(format!("{name}.go")));
    Ok(format!("{name} went"))
}

#[task(retries = 3, backoff = 0.05)]
pub fn flaky(folder: String, failures: u64) -> Result<u64> {
    let tries = mark(&folder, "flaky")?;
    if tries <= failures {
        return Err(OutOfStock(format!("try {tries}")).into());
    }
    Ok(tries)
}

#[task(retries = 3, backoff = 3600, backoff_max = 3600)]
pub fn hopeless(folder: String) -> Result<u64> {
    mark(&folder, "hopeless")?;
    Err(Error::new("builtins.ConnectionError", "nobody there"))
}

#[task(timeout = 0.3)]
pub fn hangs(folder: String) -> Result<()> {
    mark(&folder, "hangs")?;
    loop {
        std::thread::park();
    }
}

#[task(timeout = Duration::from_millis(200), retries = 1, backoff = 0)]
pub async fn hangs_async(folder: String) -> Result<()> {
    mark(&folder, "hangs_async")?;
    std::future::pending().await
}

/// Leaves a mark when it is dropped.
struct Leaving(String);

impl Drop for Leaving {
    fn drop(&mut self) {
        // A test that waits for it sees that it is not there.
        let _ = mark(&self.0, "endless.ended");
    }
}

#[task(timeout = None)]
pub async fn endless(folder: String) -> Result<()> {
    mark(&folder, "endless")?;
    let _leaving = Leaving(folder);
    std::future::pending().await
}

#[task(pure)]
pub async fn double(number: i64) -> i64 {
    number * 2
}

#[task]
pub fn talks() {
    sostenuto::println!("on it");
    sostenuto::eprintln!("nearly done");
}

#[task(retries = 1, backoff = 0)]
pub fn panics(folder: String) -> u64 {
    let tries = mark(&folder, "panics").expect("the folder is there");
    panic!("try {tries}")
}

#[task]
pub fn huge(size: usize) -> String {
    "x".repeat(size)
}

/// Runs tasks.
#[service]
pub struct Desk {
    done: Value<Vec<String>>,
    hits: Counter,
}

#[methods]
impl Desk {
    pub fn hit(&mut self) -> i64 {
        self.hits.add(1)
    }

    pub async fn effect(&mut self, folder: String, name: String) -> Result<u64> {
        self.hits.add(1);
        let count = effect(folder, &*name).await?;
        self.done.get_mut().push(name);
        Ok(count)
    }

    pub async fn gated(&mut self, folder: String, name: String) -> Result<String> {
        let result = gated(folder, name).await?;
        self.done.get_mut().push(result.clone());
        Ok(result)
    }

    /// The first result is there long before the second.
    pub async fn two(&mut self, folder: String) -> Result<(String, String)> {
        let (first, second) = join((gated(&*folder, "first"), gated(&*folder, "second"))).await;
        Ok((first?, second?))
    }

    pub async fn flaky(&mut self, folder: String, failures: u64) -> Result<i64> {
        match flaky(folder, failures).await {
            Ok(tries) => Ok(i64::try_from(tries)?),
            Err(error) if error.kind() == "OutOfStock" => {
                Ok(-error.message().trim_start_matches("try ").parse::<i64>()?)
            }
            Err(error) => Err(error),
        }
    }

    pub async fn uncaught(&mut self, folder: String) -> Result<u64> {
        flaky(folder, 99).await
    }

    pub async fn hopeless(&mut self, folder: String) -> Result<u64> {
        hopeless(folder).await
    }

    pub async fn hangs(&mut self, folder: String, is_async: bool) -> String {
        let hung = if is_async { hangs_async(folder).await } else { hangs(folder).await };
        match hung {
            Err(error) if error.is_timeout() => error.message().to_owned(),
            other => format!("{other:?}"),
        }
    }

    pub async fn endless(&mut self, folder: String) -> Result<()> {
        let ended = endless(folder).await;
        if matches!(&ended, Err(error) if error.is_cancelled()) {
            self.done.get_mut().push("cancelled".into());
        }
        ended
    }

    pub async fn mixed(&mut self, folder: String) -> Result<(u64, i64, i64, (), i64)> {
        let pause = Duration::from_millis(10);
        let parts = (effect(folder, "mixed"), double(21), Till::at("a").count(), sleep(pause), self.own());
        let (effect, double, count, pause, own) = join(parts).await;
        pause?;
        Ok((effect?, double?, count?, (), own?))
    }

    async fn own(&self) -> Result<i64> {
        double(4).await
    }

    pub async fn talks(&mut self) -> Result<()> {
        talks().await
    }

    pub async fn panics(&mut self, folder: String) -> Result<u64> {
        panics(folder).await
    }

    pub async fn huge(&mut self, size: usize) -> Result<usize> {
        Ok(huge(size).await?.len())
    }

    pub async fn fan_out(&mut self, count: i64) -> Result<i64> {
        join_all((0..count).map(double)).await.into_iter().sum()
    }

    pub async fn sneaks(&mut self, folder: String) -> Result<u64> {
        transaction(async {
            self.hits.add(100);
            Sneaky::at("x").run(folder).await
        })
        .await
    }

    pub fn all_done(&self) -> Vec<String> {
        self.done.get()
    }
}

#[entity(key = String)]
pub struct Sneaky {}

#[methods]
impl Sneaky {
    pub async fn run(&mut self, folder: String) -> Result<u64> {
        effect(folder, "sneaky").await
    }
}

/// Is waited for, but not for ever.
#[entity(key = String)]
pub struct Till {
    counted: Counter,
    cancelled: Counter,
}

#[methods]
impl Till {
    pub fn count(&mut self) -> i64 {
        self.counted.add(1)
    }

    pub async fn slow(&mut self, seconds: f64) -> Result<String> {
        let slept = sleep(Duration::from_secs_f64(seconds)).await;
        if matches!(&slept, Err(error) if error.is_cancelled()) {
            self.cancelled.add(1);
        }
        slept?;
        self.counted.add(1);
        Ok("slow".into())
    }

    pub fn seen(&self) -> (i64, i64) {
        (self.counted.get(), self.cancelled.get())
    }
}

/// Races calls and tasks against time.
#[service]
pub struct Race {}

fn late(raced: Result<Result<String>>) -> Result<String> {
    match raced {
        Ok(result) => result,
        Err(error) if error.is_timeout() => Ok("late".into()),
        Err(error) => Err(error),
    }
}

#[methods]
impl Race {
    pub async fn call(&mut self, key: String, seconds: f64, limit: f64) -> Result<String> {
        late(timeout(Duration::from_secs_f64(limit), Till::at(key).slow(seconds)).await)
    }

    pub async fn task(&mut self, folder: String, limit: f64) -> Result<String> {
        late(timeout(Duration::from_secs_f64(limit), gated(folder, "raced")).await)
    }

    /// The race is over long before the method is.
    pub async fn then(&mut self, folder: String, key: String, seconds: f64, limit: f64) -> Result<Vec<String>> {
        let first = self.call(key, seconds, limit).await?;
        Ok(vec![first, gated(folder, "then").await?])
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Document {
    text: String,
    read: u32,
}

/// Lists, with Python's indices and exceptions.
#[service]
pub struct Work {
    items: List<String>,
    #[initial(vec![7, 8, 9])]
    numbers: List<usize>,
    documents: List<Document>,
}

fn out_of_range(text: &str) -> Error {
    Error::new("builtins.IndexError", text)
}

#[methods]
impl Work {
    fn place(&self, index: i64) -> Result<usize> {
        let len = self.items.len();
        let from_end = if index < 0 { i64::try_from(len)? } else { 0 };
        let place = usize::try_from(index + from_end).ok().filter(|place| *place < len);
        place.ok_or_else(|| out_of_range("list index out of range"))
    }

    pub fn push(&mut self, item: String) -> usize {
        self.items.push(item);
        self.items.len()
    }

    pub fn pop(&mut self) -> Result<String> {
        self.items.pop().ok_or_else(|| out_of_range("pop from empty list"))
    }

    pub fn shift(&mut self) -> Result<String> {
        if self.items.is_empty() {
            return Err(out_of_range("pop from empty list"));
        }
        Ok(self.items.remove(0))
    }

    pub fn push_first(&mut self, item: String) -> usize {
        self.items.insert(0, item);
        self.items.len()
    }

    pub fn item(&self, index: i64) -> Result<String> {
        let place = self.place(index)?;
        self.items.get(place).ok_or_else(|| out_of_range("list index out of range"))
    }

    pub fn replace(&mut self, index: i64, item: String) -> Result<()> {
        let place = self.place(index)?;
        self.items.set(place, item);
        Ok(())
    }

    pub fn length(&self) -> usize {
        self.items.len()
    }

    pub fn all(&self) -> Vec<String> {
        self.items.iter().collect()
    }

    pub fn fill(&mut self, count: usize) -> usize {
        self.items.extend((0..count).map(|n| n.to_string()));
        self.items.len()
    }

    pub fn insert(&mut self, index: i64, item: String) -> Result<()> {
        let place = self.place(index)?;
        self.items.insert(place, item);
        Ok(())
    }

    pub fn clear(&mut self) {
        self.items.clear();
    }

    pub fn assign(&mut self, items: Vec<String>) -> bool {
        self.items.clear();
        self.items.extend(items);
        true
    }

    pub fn sort(&mut self) {
        let mut items: Vec<String> = self.items.iter().collect();
        items.sort_by(|one, other| other.cmp(one));
        self.items.clear();
        self.items.extend(items);
    }

    pub fn cut(&mut self, len: usize) -> usize {
        self.items.truncate(len);
        self.items.len()
    }

    pub async fn twice(&mut self, index: i64) -> Result<Vec<String>> {
        let before = self.item(index)?;
        sleep(Duration::from_millis(10)).await?;
        self.items.push("after".into());
        Ok(vec![before, self.item(index)?])
    }

    pub fn document(&mut self, size: usize) -> usize {
        self.documents.push(Document { text: "x".repeat(size), read: 0 });
        self.documents.len()
    }

    pub fn read(&mut self, index: usize) -> Result<u32> {
        let mut document = self.documents.get_mut(index).ok_or_else(|| out_of_range("list index out of range"))?;
        document.read += 1;
        Ok(document.read)
    }

    pub fn more_numbers(&mut self) -> Vec<usize> {
        let len = self.numbers.len();
        self.numbers.push(len);
        self.numbers.iter().collect()
    }
}

#[entity(key = String)]
pub struct Feed {
    posts: List<String>,
}

#[methods]
impl Feed {
    pub fn post(&mut self, text: String) -> usize {
        self.posts.push(text);
        self.posts.len()
    }

    pub fn latest(&self, count: usize) -> Vec<String> {
        let first = self.posts.len().saturating_sub(count);
        (first..self.posts.len()).filter_map(|index| self.posts.get(index)).collect()
    }
}

fn main() -> ExitCode {
    let application = Application::new().service::<Desk>().service::<Sneaky>().service::<Till>().service::<Race>();
    let application = application.task::<effect>().task::<flaky>().task::<hopeless>().task::<hangs>();
    let application = application.task::<hangs_async>().task::<endless>().task::<double>().task::<talks>();
    let application = application.task::<panics>().task::<huge>();
    // A test leaves this one out, as if a new version had forgotten it.
    let application = match std::env::var_os("WITHOUT_GATED") {
        None => application.task::<gated>(),
        Some(_) => application,
    };
    sostenuto::main(application.service::<Work>().service::<Feed>())
}
