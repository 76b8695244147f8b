//! `cargo xtask test [STEP…] [-- FILTER]`: the checks in order, each run whatever became of the one before.

mod hidden;
mod report;
mod steps;

use std::{
    io::{BufRead, BufReader, Write, pipe},
    process::{Command, ExitStatus},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use moorage_harness::build::target_dir;

use report::{Report, Tests};
use steps::{Step, steps};

#[derive(Args)]
pub struct Arguments {
    /// The steps to run, by the names in the table; all when none is named
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// Leave out what needs a cluster, and try a fraction of the random cases and faults
    #[arg(long)]
    fast: bool,
    /// Try every fault at every request, and ten times the random cases, others at each run
    #[arg(long)]
    thorough: bool,
    /// Given to the test binaries of these steps: a part of a test's name, or a flag of theirs
    #[arg(last = true, value_name = "FILTER")]
    filter: Vec<String>,
}

/// Runs the checks, prints a table of what they came to, and fails if anything failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    let seed = arguments.thorough.then(seed).transpose()?;
    let effort = match (arguments.fast, arguments.thorough) {
        (_, true) => "thorough",
        (true, false) => "quick",
        (false, false) => "usual",
    };
    let steps = chosen(steps(effort, seed)?, arguments)?;
    let (begin, count) = (Instant::now(), steps.len());
    let mut report = Report::default();
    for (index, mut step) in steps.into_iter().enumerate() {
        if step.needs_rig && report.failed("build-rig") {
            step.skip = Some("the rig did not build".to_owned());
        }
        if let Some(why) = step.skip {
            report.skipped(step.name, why);
            continue;
        }
        let elapsed = begin.elapsed().as_secs();
        eprintln!("\n=== {} of {count}: {} (after {elapsed} s)", index + 1, step.name);
        if step.takes_filter {
            step.command.args(&arguments.filter);
        }
        let started = Instant::now();
        let (status, tests) = observed(&mut step.command, &step.name)?;
        report.ran(step.name, started.elapsed(), status.success(), tests, !step.takes_filter);
    }
    eprint!("\n{report}");
    println!("{}", report.total());
    if report.has_failed() {
        bail!("not everything passed");
    }
    ensure!(report.ran_any(), "no test has that name");
    Ok(())
}

/// A seed for random cases that is another one each time, and told.
fn seed() -> Result<u64> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    eprintln!("the seed of the random cases is {seed}");
    Ok(seed)
}

/// The steps that are asked for.
fn chosen(mut steps: Vec<Step>, arguments: &Arguments) -> Result<Vec<Step>> {
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    if let Some(unknown) = arguments.steps.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no step {unknown}; there are {}", names.join(", "));
    }
    if !arguments.steps.is_empty() {
        steps.retain(|step| arguments.steps.contains(&step.name));
    }
    if !arguments.filter.is_empty() {
        steps.retain(|step| step.takes_filter);
        ensure!(!steps.is_empty(), "none of these steps takes a filter");
    }
    for step in steps.iter_mut().filter(|step| arguments.fast && step.needs_rig) {
        step.skip = Some("--fast".to_owned());
    }
    Ok(steps)
}

/// Runs a command to its end. What it prints on stdout, where test binaries tell their results, goes to the screen, to a
/// file, and into the tally.
fn observed(command: &mut Command, name: &str) -> Result<(ExitStatus, Tests)> {
    let folder = target_dir().join("tests");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.log"));
    let mut log = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
    let (output, input) = pipe()?;
    let mut child = command.stdout(input).spawn().with_context(|| format!("starting {command:?}"))?;
    // The command holds the pipe's end for another start, and the output would never end.
    command.stdout(std::process::Stdio::null());
    let mut tests = Tests::new(&path);
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        log.write_all(&line)?;
        tests.take(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok((child.wait()?, tests))
}
