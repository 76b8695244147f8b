//! Pages of the documentation, for who does what stands in them.

use std::fs;

use anyhow::{Context, Result};

use crate::build::workspace;

/// What a reader of a page does.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Writes a file: a block whose language is followed by a name.
    Write {
        /// Its path, from where commands are run.
        name: String,
        /// What is in it.
        text: String,
    },
    /// Runs a line of a block of commands.
    Run(String),
}

/// A page of the documentation, or any other file of the repository.
pub fn page(path: &str) -> Result<String> {
    fs::read_to_string(workspace().join(path)).with_context(|| path.to_owned())
}

/// A section of a page.
pub fn section(path: &str, title: &str) -> Result<String> {
    let page = page(path)?;
    let (_, text) = page.split_once(&format!("\n## {title}\n")).with_context(|| format!("{path} has no {title}"))?;
    Ok(text.split("\n## ").next().unwrap_or_default().to_owned())
}

/// The code blocks in that language.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

/// What its reader does, in order; other code blocks are to be looked at.
pub fn steps(text: &str) -> Vec<Step> {
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let steps = blocks.flat_map(|(language, body)| match language.split_once(' ') {
        Some((_, name)) => vec![Step::Write { name: name.to_owned(), text: body.to_owned() }],
        None if language == "sh" => {
            let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(|line| Step::Run(line.to_owned())).collect()
        }
        None => Vec::new(),
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::{Step, steps};

    #[test]
    fn files_and_commands_are_done_and_the_rest_is_looked_at() {
        let text = "Say:\n\n```yaml shop/a.yaml\nkind: A\n```\n\n1. First\n\n   ```sh\n   kubectl get a  # all\n\n   kubectl get b\n   \
                    ```\n\n```yaml\nkind: B\n```\n";
        let run = |line: &str| Step::Run(line.to_owned());
        let write = Step::Write { name: "shop/a.yaml".to_owned(), text: "kind: A\n".to_owned() };
        assert_eq!(steps(text), [write, run("kubectl get a  # all"), run("kubectl get b")]);
    }
}
