//! The tutorials are run as they are written: their files are written, their commands run by a shell, and what a command
//! prints must be what stands below it.
//!
//! ````text
//! ```yaml database.yaml        a file; with >> before its name, lines at its end
//! ```console                   `$ ` before a command, then what it prints
//! ````
//!
//! What differs from run to run (ages, addresses, generated names) is compared by kind, and names and volumes by which of
//! them it is: what was the second pod stays the second pod. With `TUTORIAL=update` the outputs of the run are written into
//! the tutorial if any differs.

use anyhow::{Context, Result, bail, ensure};
use moorage_harness::build::workspace;
use moorage_harness::node::{self, NodeCluster};
use regex::{Captures, Regex};
use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// How long a command that only reads may take to print what is expected.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long any command may take.
const LIMIT: &str = "180";
/// The same when outputs are recorded: what is not as before by then is new.
const PATIENCE_FOR_UPDATE: Duration = Duration::from_secs(8);

/// Commands that change nothing, and so may be tried until they print what is expected.
const READS: [&str; 6] =
    ["kubectl get", "kubectl describe", "kubectl logs", "kubectl events", "kubectl top", "kubectl rollout history"];

/// A line of kubectl's own log, as klog writes it. Once in a while one comes when a `kubectl wait` ends its watch.
static LOG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[IWEF]\d{4} [\d:.]+ +\d+ \S+\.go:\d+\] ").ok());

pub async fn the_lab(cluster: Arc<NodeCluster>) -> Result<()> {
    tokio::task::spawn_blocking(move || run(&cluster, "docs/tutorials/lab.md")).await?
}

pub async fn the_backup(cluster: Arc<NodeCluster>) -> Result<()> {
    tokio::task::spawn_blocking(move || run(&cluster, "docs/recipes/backup.md")).await?
}

/// A piece of a tutorial.
#[derive(Debug, PartialEq)]
enum Piece {
    /// Lines that mean nothing here.
    Prose(String),
    File {
        name: String,
        append: bool,
        text: String,
    },
    Command {
        line: String,
        output: String,
    },
}

fn run(cluster: &NodeCluster, path: &str) -> Result<()> {
    let path = workspace().join(path);
    let update = std::env::var("TUTORIAL").is_ok_and(|value| value == "update");
    let mut pieces = parse(&fs::read_to_string(&path).with_context(|| path.display().to_string())?)?;
    let shell = Shell::new(cluster)?;
    let (mut told, mut seen, mut differs) = (Names::default(), Names::default(), false);
    for piece in &mut pieces {
        match piece {
            Piece::Prose(_) => {}
            Piece::File { name, append, text } => shell.write(name, *append, text)?,
            Piece::Command { line, output } => {
                let expected = told.normal(output);
                let patience = if update { PATIENCE_FOR_UPDATE } else { PATIENCE };
                let (printed, mut names) = shell.command(line, &expected, &seen, patience)?;
                if names.clone().normal(&printed) != expected {
                    let shown = format!("$ {line}\nmust print\n{output}\nbut prints\n{printed}");
                    ensure!(update, "{}: {shown}", path.display());
                    differs = true;
                    // Names that come later have the same numbers in both again.
                    told.pad(names.0.len());
                    names.pad(told.0.len());
                }
                seen = names;
                *output = printed;
            }
        }
    }
    if update && differs {
        fs::write(&path, render(&pieces))?;
    }
    Ok(())
}

/// Where the reader of a tutorial is: in the shell that the demo offers, in a folder of her own.
struct Shell {
    folder: PathBuf,
    environment: PathBuf,
}

impl Shell {
    fn new(cluster: &NodeCluster) -> Result<Self> {
        let folder = cluster.work_dir().join("tutorial");
        fs::create_dir_all(&folder)?;
        // A copy, as the reader chooses her namespace in it.
        fs::copy(cluster.kubeconfig_path(), folder.join("kubeconfig"))?;
        Ok(Self { folder, environment: node::environment(cluster.work_dir()) })
    }

    fn write(&self, name: &str, append: bool, text: &str) -> Result<()> {
        let mut options = fs::File::options();
        options.create(true).write(true).append(append).truncate(!append);
        Ok(options.open(self.folder.join(name))?.write_all(text.as_bytes())?)
    }

    /// What the command prints, tried again for that long if it only reads and does not yet print what is expected; and
    /// the names seen by then.
    fn command(&self, line: &str, expected: &str, seen: &Names, patience: Duration) -> Result<(String, Names)> {
        let end = Instant::now() + patience;
        let reads = READS.iter().any(|command| line.starts_with(command));
        loop {
            let (printed, mut names) = (self.once(line)?, seen.clone());
            let normal = names.normal(&printed);
            if !reads || normal == expected || Instant::now() > end {
                return Ok((printed, names));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn once(&self, line: &str) -> Result<String> {
        let begin = format!("exec 2>&1\n. {}\nexport KUBECONFIG=$PWD/kubeconfig\n", self.environment.display());
        let mut shell = Command::new("timeout");
        shell.args([LIMIT, "sh", "-c", &(begin + line)]).current_dir(&self.folder).stdin(Stdio::null());
        let output = shell.output()?;
        ensure!(output.status.code() != Some(124), "not done after {LIMIT} s: {line}");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = printed.lines().filter(|line| !LOG.as_ref().is_some_and(|log| log.is_match(line)));
        Ok(told.fold(String::new(), |text, line| text + line.trim_end() + "\n"))
    }
}

fn parse(text: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else {
            pieces.push(Piece::Prose(format!("{line}\n")));
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match kind.split_once(' ') {
            Some(("yaml", name)) => pieces.push(Piece::File {
                name: name.trim_start_matches(">> ").to_owned(),
                append: name.starts_with(">> "),
                text: body.join("\n") + "\n",
            }),
            None if kind == "console" => pieces.extend(commands(&body)?),
            _ => pieces.push(Piece::Prose(format!("{line}\n{}\n```\n", body.join("\n")))),
        }
    }
    Ok(pieces)
}

/// The commands of one block; the fences around it are prose.
fn commands(body: &[&str]) -> Result<Vec<Piece>> {
    let mut pieces = vec![Piece::Prose("```console\n".to_owned())];
    for line in body {
        if let Some(command) = line.strip_prefix("$ ") {
            pieces.push(Piece::Command { line: command.to_owned(), output: String::new() });
        } else {
            let Some(Piece::Command { output, .. }) = pieces.last_mut() else {
                bail!("a console block begins with {line:?} instead of a command");
            };
            writeln!(output, "{line}")?;
        }
    }
    ensure!(pieces.len() > 1, "a console block without a command");
    pieces.push(Piece::Prose("```\n".to_owned()));
    Ok(pieces)
}

fn render(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Prose(prose) => text.push_str(prose),
            Piece::File { name, append, text: body } => {
                let _ = write!(text, "```yaml {}{name}\n{body}```\n", if *append { ">> " } else { "" });
            }
            Piece::Command { line, output } => {
                let _ = write!(text, "$ {line}\n{output}");
            }
        }
    }
    text
}

/// What differs from run to run, and what is written in its place.
static VARIABLE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"\bsha256:[0-9a-f]{64}\b", "DIGEST"),
        (r"\b\d+\.\d+\.\d+\.\d+\b", "ADDRESS"),
        (r"\b(\d+[dhms]){1,2}\b", "AGE"),
        (r"\b\d+(Mi|%)", "AMOUNT"),
        (r"[ \t]+", " "),
        (r" \n", "\n"),
    ];
    patterns.into_iter().filter_map(|(pattern, name)| Some((Regex::new(pattern).ok()?, name))).collect()
});

/// Generated names: of volumes, and of pods after their workload's.
static GENERATED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let letters = "[bcdfghjklmnpqrstvwxz2456789]";
    Regex::new(&format!(
        r"\bpvc-[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}\b|-{letters}{{6,10}}-{letters}{{5}}\b"
    ))
    .ok()
});

/// Generated names in the order in which they were first seen.
#[derive(Clone, Debug, Default)]
struct Names(Vec<String>);

impl Names {
    /// The text with what differs from run to run replaced: generated names by their numbers, other things by their kind.
    fn normal(&mut self, text: &str) -> String {
        let numbered = GENERATED.as_ref().map_or_else(
            || text.to_owned(),
            |pattern| {
                let number = |captures: &Captures<'_>| format!(" GENERATED {}", self.number(&captures[0]));
                pattern.replace_all(text, number).into_owned()
            },
        );
        VARIABLE.iter().fold(numbered, |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned())
    }

    fn pad(&mut self, count: usize) {
        self.0.resize(self.0.len().max(count), String::new());
    }

    fn number(&mut self, name: &str) -> usize {
        let known = self.0.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }
}
