//! How long `check` takes: for an application of 1,000 lines, and for ones of more and more modules, which shows whether
//! the time grows with the lines. Each run is a process of its own; its start is part of the figures.
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// Modules of the applications that are compared with the first, which has about 1,000 lines.
const MODULES: [usize; 5] = [23, 60, 200, 400, 800];
/// Runs of one application; the fastest wall time counts, as nothing makes a run too short.
const RUNS: u32 = 20;
const LARGE_RUNS: u32 = 3;
/// Linux reports CPU time to user space in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures and prints a line for each application.
pub(crate) fn measure(binary: &Path, data: &Path) -> Result<()> {
    println!("\n| check: modules | lines | wall ms, best | CPU ms, mean | CPU µs per line |");
    println!("|---|---|---|---|---|");
    let one: String = (0..MODULES[0]).map(|n| module(n, n)).collect();
    line(binary, data, "1", &[("whole".to_owned(), one)], RUNS)?;
    for count in MODULES {
        let modules: Vec<_> = (0..count).map(|n| (format!("mod{n}"), module(n, (n + 1).min(count - 1)))).collect();
        line(binary, data, &count.to_string(), &modules, if count > 60 { LARGE_RUNS } else { RUNS })?;
    }
    Ok(())
}

fn line(binary: &Path, data: &Path, name: &str, modules: &[(String, String)], runs: u32) -> Result<()> {
    let folder = data.join(format!("sostenuto-bench-compile-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    for (module, text) in modules {
        fs::write(folder.join(format!("{module}.py")), text)?;
    }
    let lines: usize = modules.iter().map(|(_, text)| text.lines().count()).sum();
    let measured = times(binary, &folder, runs);
    fs::remove_dir_all(&folder)?;
    let (wall, cpu) = measured?;
    let per_line = cpu * 1e6 / lines as f64;
    println!("| {name} | {lines} | {:.1} | {:.1} | {per_line:.1} |", wall.as_secs_f64() * 1e3, cpu * 1e3);
    Ok(())
}

/// Wall time of the fastest run, and CPU seconds of a run.
fn times(binary: &Path, folder: &Path, runs: u32) -> Result<(Duration, f64)> {
    let mut best = Duration::MAX;
    let before = cpu_of_children()?;
    for _ in 0..runs {
        let begun = Instant::now();
        let ended = Command::new(binary).arg("check").arg(folder).stdin(Stdio::null()).output()?;
        best = best.min(begun.elapsed());
        ensure!(ended.status.success(), "check failed:\n{}", String::from_utf8_lossy(&ended.stderr));
    }
    Ok((best, (cpu_of_children()? - before) / f64::from(runs)))
}

/// CPU seconds of all processes that this one has waited for.
pub(crate) fn cpu_of_children() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).context("stat");
    Ok((ticks(13)? + ticks(14)?) / TICKS_PER_SECOND)
}

/// The text of a module with a service that calls the one of another module.
pub(crate) fn module(number: usize, other: usize) -> String {
    let mut text = String::from("import asyncio\nimport time\n");
    text.push_str(
        "from dataclasses import dataclass, field\nfrom sostenuto import Persistent, service, sleep, transaction\n",
    );
    if other != number {
        let _ = writeln!(text, "from mod{other} import Record{other}, Service{other}, limited{other}");
    }
    text + &BODY.replace("{n}", &number.to_string()).replace("{o}", &other.to_string())
}

const BODY: &str = r#"

LIMIT{n} = 100 + {n}


@dataclass
class Record{n}:
    name: str
    amount: int = 0
    tags: list[str] = field(default_factory=list)


def limited{n}(amount: int) -> int:
    return min(amount, LIMIT{n})


@service
class Service{n}:
    records: Persistent[dict[str, Record{n}]] = {}
    names: Persistent[list[str]] = []
    total: Persistent[int] = 0
    other: "Service{o}"

    def add(self, name: str, amount: int) -> int:
        record = self.records.get(name)
        if record is None:
            record = self.records[name] = Record{n}(name)
            self.names.append(name)
        record.amount += limited{o}(amount)
        record.tags.append(f"{name}:{amount}@{time.time():.0f}")
        self.total += amount
        return record.amount

    async def move(self, name: str, amount: int) -> bool:
        async with transaction():
            mine, theirs = await asyncio.gather(self.other.add(name, -amount), self.other.add(name, amount))
            for each in sorted(self.names):
                if each in self.records and self.records[each].amount < 0:
                    self.records[each].amount = mine + theirs
        await sleep(1)
        return self.total > 0
"#;

#[cfg(test)]
mod tests {
    use super::{MODULES, module};

    #[test]
    fn the_first_application_has_a_thousand_lines() {
        let lines: usize = (0..MODULES[0]).map(|n| module(n, n + 1).lines().count()).sum();
        assert!((1000..1100).contains(&lines), "{lines}");
    }
}
