//! The tutorials are run as they are written: their files are written, their commands run by a shell, and what a command
//! prints must be what stands below it.
//!
//! ````text
//! ```yaml database.yaml        a file; with >> before its name, lines at its end
//! ```console                   `$ ` before a command, then what it prints; a line `...` stands for any lines
//! ````
//!
//! What differs from run to run (ages, addresses, generated names) is compared by kind. With `TUTORIAL=update` the outputs
//! are written into the tutorial, where they differ.

use anyhow::{Context, Result, bail, ensure};
use moorage_harness::build::workspace;
use moorage_harness::node::NodeCluster;
use regex::Regex;
use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// How long a command that only reads may take to print what is expected.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same when outputs are recorded: what is not as before by then is new.
const PATIENCE_FOR_UPDATE: Duration = Duration::from_secs(8);

/// Commands that change nothing, and so may be tried until they print what is expected.
const READS: [&str; 6] =
    ["kubectl get", "kubectl describe", "kubectl logs", "kubectl events", "kubectl top", "kubectl rollout history"];

pub async fn the_lab(cluster: Arc<NodeCluster>) -> Result<()> {
    tokio::task::spawn_blocking(move || run(&cluster, "docs/tutorials/lab.md")).await?
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
    let mut failure = None;
    for piece in &mut pieces {
        match piece {
            Piece::Prose(_) => {}
            Piece::File { name, append, text } => shell.write(name, *append, text)?,
            Piece::Command { line, output } => {
                let printed = shell.command(line, output, if update { PATIENCE_FOR_UPDATE } else { PATIENCE })?;
                if !agrees(output, &printed) {
                    if !update {
                        failure = Some(format!("$ {line}\nmust print\n{output}\nbut prints\n{printed}"));
                        break;
                    }
                    *output = printed;
                }
            }
        }
    }
    if update {
        fs::write(&path, render(&pieces))?;
    }
    failure.map_or(Ok(()), |failure| bail!("{}: {failure}", path.display()))
}

/// Where the reader of a tutorial is: a folder, a kubeconfig, and the programs that she has.
struct Shell {
    folder: PathBuf,
    programs: String,
}

impl Shell {
    fn new(cluster: &NodeCluster) -> Result<Self> {
        let folder = cluster.work_dir().join("tutorial");
        fs::create_dir_all(&folder)?;
        // A copy, as the reader chooses her namespace in it.
        fs::copy(cluster.kubeconfig_path(), folder.join("kubeconfig"))?;
        let mut folders = Vec::new();
        for program in ["kubectl", "crane"] {
            folders.extend(cluster.bin(program)?.parent().map(Path::to_owned));
        }
        folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
        let programs = std::env::join_paths(folders)?.into_string().ok().context("PATH is no text")?;
        Ok(Self { folder, programs })
    }

    fn write(&self, name: &str, append: bool, text: &str) -> Result<()> {
        let mut options = fs::File::options();
        options.create(true).write(true).append(append).truncate(!append);
        Ok(options.open(self.folder.join(name))?.write_all(text.as_bytes())?)
    }

    /// What the command prints, tried again for that long if it only reads and does not yet print what is expected.
    fn command(&self, line: &str, expected: &str, patience: Duration) -> Result<String> {
        let end = Instant::now() + patience;
        let reads = READS.iter().any(|command| line.starts_with(command));
        loop {
            let printed = self.once(line)?;
            if !reads || agrees(expected, &printed) || Instant::now() > end {
                return Ok(printed);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn once(&self, line: &str) -> Result<String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1\n{line}")]).current_dir(&self.folder).stdin(Stdio::null());
        shell.env("PATH", &self.programs).env("KUBECONFIG", self.folder.join("kubeconfig"));
        shell.env("CERTS_D", self.folder.with_file_name("mirrors"));
        let output = shell.output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(printed.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n"))
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

/// Whether what is printed is what is expected, up to what differs from run to run.
fn agrees(expected: &str, printed: &str) -> bool {
    let (expected, printed) = (normal(expected), normal(printed));
    let (expected, printed): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), printed.lines().collect());
    matches(&expected, &printed)
}

fn matches(expected: &[&str], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((&"...", rest)) => (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..])),
        Some((first, rest)) => printed.first() == Some(first) && matches(rest, &printed[1..]),
    }
}

/// What differs from run to run, and what is written in its place.
static VARIABLE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"\bpvc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "pvc-UID"),
        (r"\bsha256:[0-9a-f]{64}\b", "DIGEST"),
        (r"-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-POD"),
        (r"\b\d+\.\d+\.\d+\.\d+\b", "ADDRESS"),
        (r"\b(\d+[dhms]){1,2}\b", "AGE"),
        (r"\b\d+(Mi|%)", "AMOUNT"),
        (r"[ \t]+", " "),
        (r" \n", "\n"),
    ];
    patterns.into_iter().filter_map(|(pattern, name)| Some((Regex::new(pattern).ok()?, name))).collect()
});

fn normal(text: &str) -> String {
    VARIABLE.iter().fold(text.to_owned(), |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned())
}
