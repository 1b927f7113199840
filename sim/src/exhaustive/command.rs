//! `cargo xtask sim --exhaustive`: walks through configurations, or along one path of one of them.

use std::time::Duration;

use super::{Configuration, Explored, all, explore, replay};

const USAGE: &str = "\
usage: cargo xtask sim --exhaustive [OPTION…]

  --configuration NAME  only this one, or those whose names begin so
  --quick               only those that a test runs always
  --seconds N           leave each after so long; 600 unless told otherwise
  --path A.B.C          walk one path of a configuration, and tell what happens on it
  --planted NAME        with a planted bug, or all of them one by one (only in a build with the feature `planted`)
";

/// What the command line asks for.
#[derive(Default)]
struct Options {
    configuration: Option<String>,
    quick: bool,
    seconds: Option<u64>,
    path: Option<Vec<usize>>,
    planted: Option<String>,
}

/// Runs the command; returns what is to be printed, and whether all went well.
pub fn command(arguments: &[String], say: &mut dyn FnMut(String)) -> bool {
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(problem) => {
            say(format!("sim: {problem}\n\n{USAGE}"));
            return false;
        }
    };
    let wanted = |configuration: &Configuration| {
        let named = options.configuration.as_ref().is_none_or(|name| configuration.name.starts_with(name.as_str()));
        named && (!options.quick || configuration.is_quick)
    };
    let mut chosen: Vec<Configuration> = all().into_iter().filter(wanted).collect();
    if let Some(name) = &options.configuration
        && let Some(exact) = chosen.iter().position(|configuration| configuration.name == name)
    {
        chosen = vec![chosen.swap_remove(exact)];
    }
    if chosen.is_empty() {
        say("sim: there is no such configuration".to_owned());
        return false;
    }
    if let Some(name) = &options.planted
        && (name == "all" || options.path.is_none())
    {
        return planted(name, &chosen, &options, say);
    }
    plant(options.planted.as_deref());
    match &options.path {
        Some(path) => walk(&chosen[0], path, say),
        None => walk_all(&chosen, &options, say),
    }
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        if name == "--quick" {
            options.quick = true;
            continue;
        }
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--configuration" => options.configuration = Some(value.clone()),
            "--seconds" => options.seconds = Some(value.parse().map_err(|_| format!("{value} is not a number"))?),
            "--planted" => options.planted = Some(value.clone()),
            "--path" => {
                let path: Result<Vec<usize>, _> = value.split('.').map(str::parse).collect();
                options.path = Some(path.map_err(|_| format!("{value} is not a path"))?);
            }
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok(options)
}

fn walk(configuration: &Configuration, path: &[usize], say: &mut dyn FnMut(String)) -> bool {
    let (trace, verdict) = replay(configuration, path);
    for line in trace {
        say(line);
    }
    match verdict {
        None => true,
        Some(text) => {
            say(format!("{}: {text}", configuration.name));
            false
        }
    }
}

/// Head of the table that [`row`] continues.
pub(super) const HEAD: &str = "| configuration | what | logs | faults | states | transitions | ends | longest | seconds |\n\
                    |---|---|---|---|---|---|---|---|---|";

/// A row of the table of configurations.
pub fn row(configuration: &Configuration, explored: &Explored) -> String {
    format!(
        "| {} | {} | {} | {} | {}{} | {} | {} | {} | {:.1} |",
        configuration.name,
        configuration.about,
        configuration.shape(),
        configuration.faults(),
        explored.states,
        if explored.is_complete { "" } else { ", not all" },
        explored.transitions,
        explored.ends,
        explored.depth,
        explored.took.as_secs_f64(),
    )
}

fn walk_all(chosen: &[Configuration], options: &Options, say: &mut dyn FnMut(String)) -> bool {
    say(HEAD.to_owned());
    let limit = Duration::from_secs(options.seconds.unwrap_or(600));
    let mut passed = true;
    for configuration in chosen {
        let explored = explore(configuration, limit);
        say(row(configuration, &explored));
        if let Some(violation) = &explored.violation {
            passed = false;
            say(format!("{}: {}", configuration.name, violation.text));
            say(format!("  replay: {}", again(configuration, &violation.path, options.planted.as_deref())));
        }
    }
    passed
}

fn again(configuration: &Configuration, path: &[usize], planted: Option<&str>) -> String {
    let path: Vec<String> = path.iter().map(usize::to_string).collect();
    let planted = planted.map(|name| format!(" --planted {name}")).unwrap_or_default();
    format!("cargo xtask sim --exhaustive --configuration {} --path {}{planted}", configuration.name, path.join("."))
}

#[cfg(feature = "planted")]
fn plant(name: Option<&str>) {
    use engine::planted::plant;
    plant(super::planted::BUGS.iter().map(|(bug, ..)| *bug).find(|bug| Some(format!("{bug:?}").as_str()) == name));
}

#[cfg(not(feature = "planted"))]
fn plant(_: Option<&str>) {}

#[cfg(feature = "planted")]
fn planted(name: &str, chosen: &[Configuration], options: &Options, say: &mut dyn FnMut(String)) -> bool {
    let limit = Duration::from_secs(options.seconds.unwrap_or(60));
    say(super::planted::HEAD.to_owned());
    let others = options.configuration.is_some().then_some(chosen);
    let mut replays = Vec::new();
    let passed = super::planted::find(name, others, limit, &mut |find| {
        say(find.row());
        if let (Some(violation), Some(configuration)) = (&find.violation, &find.configuration) {
            replays.push(again(configuration, &violation.path, Some(&format!("{:?}", find.bug))));
        }
    });
    replays.into_iter().for_each(say);
    passed
}

#[cfg(not(feature = "planted"))]
fn planted(_: &str, _: &[Configuration], _: &Options, say: &mut dyn FnMut(String)) -> bool {
    say("sim: no bugs are planted in this build; cargo xtask sim --exhaustive --planted all makes one".to_owned());
    false
}
