//! Progress that a person can follow: one line that updates on a terminal, plain lines elsewhere.

use std::{
    fs,
    io::{IsTerminal, Write, stderr},
    path::Path,
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::process::Process;

/// How often a passing state is redrawn on a terminal.
const REDRAWN: Duration = Duration::from_millis(200);
/// How often it is printed elsewhere, so that a log shows that something goes on.
const PRINTED: Duration = Duration::from_secs(15);

/// Where progress goes. Cheap to copy; all output is on stderr, so stdout stays usable by scripts.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
    live: bool,
}

impl Progress {
    /// Progress on stderr; lines update in place when that is a terminal.
    pub fn stderr() -> Self {
        Self { shown: true, live: stderr().is_terminal() }
    }

    /// No output at all.
    pub fn quiet() -> Self {
        Self { shown: false, live: false }
    }

    /// Runs a build to its end, and shows meanwhile how long it has run and what `state` says of its log so far. That it failed is an
    /// error, with the log's end.
    pub fn build(self, label: &str, command: &Command, log: &Path, state: impl Fn(&str) -> String) -> Result<()> {
        let _ = fs::remove_file(log);
        let process = Process::spawn(label, command, log)?;
        let status = self.follow(label, &process, state)?;
        ensure!(status.success(), "building {label} ended with {status}:\n{}", process.tail(30));
        Ok(())
    }

    fn follow(self, label: &str, process: &Process, state: impl Fn(&str) -> String) -> Result<ExitStatus> {
        let start = Instant::now();
        self.line(&format!("{label}: building"));
        let mut printed = Instant::now();
        loop {
            if let Some(status) = process.exited()? {
                let outcome = if status.success() { "built" } else { "failed" };
                self.line(&format!("{label}: {outcome} after {} s", start.elapsed().as_secs()));
                return Ok(status);
            }
            if self.live || printed.elapsed() >= PRINTED {
                let line = format!("{label}: {} s, {}", start.elapsed().as_secs(), state(&process.logs()));
                if self.live {
                    self.update(&line);
                } else {
                    self.line(&line);
                }
                printed = Instant::now();
            }
            // Not a wait for a state of the cluster: only the rate at which the line is redrawn.
            thread::sleep(REDRAWN);
        }
    }

    /// Shows a passing state. Only a terminal shows these.
    fn update(self, line: &str) {
        if self.live {
            let line: String = line.chars().take(100).collect();
            let _ = write!(stderr(), "\r\x1b[2K{line}");
        }
    }

    /// Prints a line that stays, replacing a passing one.
    pub fn line(self, line: &str) {
        if self.live {
            let _ = writeln!(stderr(), "\r\x1b[2K{line}");
        } else if self.shown {
            let _ = writeln!(stderr(), "{line}");
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::stderr()
    }
}
