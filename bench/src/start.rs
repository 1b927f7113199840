//! How long a worker takes to load an application of 1,000 lines: the first time, when it compiles it, and then from the
//! code that it kept; beside it what CPython takes to import the same plain application from its source.
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::compile;

const MODULES: usize = 23;
/// Runs of each kind, taking turns.
const RUNS: usize = 15;
const SCRIPT: &str = include_str!("start.py");

/// Measures and prints a line for each kind of start.
pub(crate) fn measure(binary: &Path, data: &Path, library: &Path) -> Result<()> {
    let folder = data.join(format!("sostenuto-bench-start-{}", std::process::id()));
    let measured = Place::make(binary, &folder, library).and_then(|place| place.run());
    fs::remove_dir_all(&folder)?;
    measured
}

struct Place {
    folder: PathBuf,
    library: PathBuf,
    names: Vec<String>,
}

impl Place {
    fn make(binary: &Path, folder: &Path, library: &Path) -> Result<Self> {
        let app = folder.join("app");
        fs::create_dir_all(&app).with_context(|| format!("making {}", app.display()))?;
        let names: Vec<String> = (0..MODULES).map(|n| format!("mod{n}")).collect();
        for (number, name) in names.iter().enumerate() {
            let text = compile::module(number, (number + 1).min(MODULES - 1));
            fs::write(app.join(format!("{name}.py")), text)?;
        }
        fs::write(folder.join("start.py"), SCRIPT)?;
        let ended = Command::new(binary).arg("check").arg(&app).arg("--emit").arg(folder.join("lowered")).output()?;
        ensure!(ended.status.success(), "check failed:\n{}", String::from_utf8_lossy(&ended.stderr));
        Ok(Self { folder: folder.to_owned(), library: library.canonicalize()?, names })
    }

    fn run(&self) -> Result<()> {
        let (mut plain, mut first, mut cached) = (Vec::new(), Vec::new(), Vec::new());
        let app = self.folder.join("app").display().to_string();
        let frame = self.folder.join("lowered/init.frame").display().to_string();
        let mut import = vec!["plain", &app];
        import.extend(self.names.iter().map(String::as_str));
        for run in 0..RUNS {
            let code = self.folder.join(format!("code{run}"));
            fs::create_dir(&code)?;
            let code = code.display().to_string();
            plain.push(self.milliseconds(&import)?);
            first.push(self.milliseconds(&["worker", &frame, &code])?);
            cached.push(self.milliseconds(&["worker", &frame, &code])?);
        }
        println!("\n| loading 1,000 lines in {MODULES} modules | wall ms, best | CPU ms, best | CPU ms, median |");
        println!("|---|---|---|---|");
        for (name, times) in
            [("plain import, from source", plain), ("worker, first", first), ("worker, cached", cached)]
        {
            let (mut wall, mut cpu): (Vec<f64>, Vec<f64>) = times.into_iter().unzip();
            wall.sort_by(f64::total_cmp);
            cpu.sort_by(f64::total_cmp);
            println!("| {name} | {:.2} | {:.2} | {:.2} |", wall[0], cpu[0], cpu[cpu.len() / 2]);
        }
        Ok(())
    }

    /// Wall and CPU time of one load.
    fn milliseconds(&self, arguments: &[&str]) -> Result<(f64, f64)> {
        let mut command = Command::new("python3");
        command.arg(self.folder.join("start.py")).args(arguments).env("PYTHONPATH", &self.library);
        let ended = command.stdin(Stdio::null()).output().context("starting python3")?;
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        let seconds = |text: &str| text.parse::<f64>().ok().map(|seconds| seconds * 1e3);
        let both = text.trim().split_once(' ').and_then(|(wall, cpu)| seconds(wall).zip(seconds(cpu)));
        both.with_context(|| String::from_utf8_lossy(&ended.stderr).into_owned())
    }
}
