//! The command line, as clap reads it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Compiles Python services and runs them as durable stateful functions.
#[derive(Debug, Parser)]
#[command(name = "sostenuto", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that may stand anywhere.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Address of the server
    #[arg(long, global = true, value_name = "URL", env = "SOSTENUTO_SERVER", default_value = "http://127.0.0.1:8080")]
    pub(crate) server: String,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile an application and run it
    Run(Run),
    /// Compile an application and say what is wrong with it
    Check(Check),
    /// Call a method and print its result as JSON
    Call(Call),
    /// Look at invocations, and act on them
    #[command(subcommand)]
    Invocations(Invocations),
    /// Look at stored fields
    #[command(subcommand)]
    State(State),
    /// Explain a code of a diagnostic or a problem
    Explain {
        /// For example SOS0114 or bad_arguments; without one, all are listed
        code: Option<String>,
        /// List all codes
        #[arg(long)]
        list: bool,
    },
    /// Print the version
    Version,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// A folder, .py files, or a mu2sls .csv of `Class,path` lines
    #[arg(required = true, value_name = "APP")]
    pub(crate) app: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// The command line of a program that has services of its own.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Native {
    /// Python services to serve beside this program's: a folder, .py files, or a mu2sls .csv of `Class,path` lines
    #[arg(value_name = "APP")]
    pub(crate) app: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) serve: Serve,
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to serve an application.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Data directory [default: .sostenuto/<name> in the folder of the application]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Worker processes [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// Partitions; fixed when the data directory is made
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) partitions: u16,
    /// Memory for state: cells, caches and what is not written yet; unfinished calls take as much again, workers their own
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub(crate) memory: u64,
    /// Suspended calls that workers keep in memory; further ones are rebuilt from their journals when they go on
    #[arg(long, value_name = "N", default_value_t = runtime::limits::COROUTINES_MAX_DEFAULT)]
    pub(crate) coroutines: usize,
    /// Python interpreter of the workers [default: python3]
    #[arg(long, value_name = "PATH")]
    pub(crate) python: Option<PathBuf>,
    /// How long results are kept for clients that ask again
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(crate) retention: Duration,
    /// Time limit of one step of a method
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) step_timeout: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// A folder, .py files, or a mu2sls .csv of `Class,path` lines
    #[arg(required = true, value_name = "APP")]
    pub(crate) app: Vec<PathBuf>,
    /// Tell for each method which cells it touches, where it waits, what it calls, and what looks doubtful
    #[arg(long)]
    pub(crate) explain: bool,
    /// Write the lowered files to this folder, and what a worker is told of them (`init.frame`)
    #[arg(long, value_name = "DIR")]
    pub(crate) emit: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// `Service/method` or `Entity/key/method`
    #[arg(value_name = "SERVICE[/KEY]/METHOD")]
    pub(crate) target: String,
    /// Arguments: JSON if they parse, else text; '"5"' is the text 5
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    pub(crate) args: Vec<String>,
    /// Makes repeated calls with the same key take effect once
    #[arg(long, value_name = "K")]
    pub(crate) idempotency_key: Option<String>,
    /// Print the invocation's id at once instead of waiting for the result
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Invocations {
    /// List invocations, unfinished ones and those whose results are kept
    List {
        /// Only those in this state
        #[arg(long, value_parser = [
            "accepted", "running", "waiting", "parked", "completed", "failed", "cancelled",
        ])]
        state: Option<String>,
    },
    /// Show one with its journal, what it waits for and what can be done
    Describe {
        /// Id of the invocation
        id: String,
    },
    /// Cancel one
    Cancel {
        /// Id of the invocation
        id: String,
        /// Run no more code of it, not even `finally`
        #[arg(long)]
        kill: bool,
    },
    /// Let a parked one go on
    Resume {
        /// Id of the invocation
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// List services and their fields
    List,
    /// Print what a field or an entry of it holds, as JSON
    Get {
        /// `Service/field`, `Service/field/key` or `Entity/key/field`
        #[arg(value_name = "SERVICE/FIELD[/KEY] or ENTITY/KEY/FIELD")]
        place: String,
    },
}

/// `24h`, `10s`, `500ms`, `2d`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err("units are ms, s, m, h and d".into()),
    };
    let number: f64 = digits.parse().map_err(|_| "write it as `24h`, `10s` or `500ms`".to_owned())?;
    match Duration::try_from_secs_f64(number * unit) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("it must be more than nothing".into()),
    }
}

/// `512MiB`, `2GiB`, `64000KiB`, or bytes.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("units are KiB, MiB and GiB".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "write it as `512MiB` or `2GiB`".to_owned())?;
    let bytes = number.checked_mul(unit).ok_or("no machine has that much")?;
    let least = runtime::limits::MEMORY_MIN;
    if bytes < least { Err(format!("it must be at least {}MiB", least >> 20)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("sostenuto").chain(line.split(' ')))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in ["--json call A/b 1", "call --json A/b 1", "call A/b --json 1", "call A/b 1 --json"] {
            assert!(parse(line).unwrap().global.json, "{line}");
        }
        let cli = parse("invocations list --server http://x:1 --state parked").unwrap();
        assert_eq!(cli.global.server, "http://x:1");
    }

    #[test]
    fn arguments_may_be_negative_numbers() {
        let Command::Call(call) = parse("call A/k/deposit -5 -1.5e3 --detach").unwrap().command else { panic!() };
        assert_eq!(call.args, ["-5", "-1.5e3"]);
        assert!(call.detach);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "h", "-1s", "0", "5 s", "1w", "nan", "inf", "1e40d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("65536KiB"), Ok(64 << 20));
        assert_eq!(size("100000000"), Ok(100_000_000));
        for bad in ["", "GiB", "-1GiB", "1.5GiB", "1GB", "64 MiB", "63MiB", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in ["fly", "run", "call", "run a --partitions 0", "run a --listen here", "invocations list --state x"]
        {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
