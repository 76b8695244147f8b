//! What the steps came to: the tally of each, read from what test binaries print, the table and its last line.

use std::{fmt, path::Path, time::Duration};

use moorage_harness::STAY_IN;

/// What a step's test binaries told.
pub struct Tests {
    passed: usize,
    ignored: usize,
    failed: Vec<String>,
    /// Their output, and the folders with logs that stayed.
    logs: Vec<String>,
    /// Whether a list of failed tests is being read, and how many names stood before it.
    listing: Option<usize>,
}

impl Tests {
    /// Nothing yet; the output goes to that file.
    pub fn new(log: &Path) -> Self {
        let logs = vec![log.display().to_string()];
        Self { passed: 0, ignored: 0, failed: Vec::new(), logs, listing: None }
    }

    /// Takes in a line, as libtest and libtest-mimic print it: at the end of each binary the names of what failed, indented
    /// by four below `failures:`, and `test result: FAILED. 7 passed; 1 failed; 0 ignored; …`.
    pub fn take(&mut self, line: &str) {
        if let Some((_, folder)) = line.split_once(STAY_IN) {
            self.logs.push(folder.to_owned());
        }
        if line == "failures:" {
            // Output of the tests may look like a list too; the last one counts.
            self.failed.truncate(self.listing.unwrap_or(self.failed.len()));
            self.listing = Some(self.failed.len());
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += number_before(counts, " passed");
            self.ignored += number_before(counts, " ignored");
            self.listing = None;
        } else if let (Some(_), Some(name)) = (self.listing, line.strip_prefix("    "))
            && !name.starts_with(' ')
        {
            self.failed.push(name.to_owned());
        }
    }
}

/// The number that stands before that word.
fn number_before(text: &str, word: &str) -> usize {
    let before = text.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

enum Outcome {
    Ran(Duration, bool, Tests),
    Skipped(String),
}

/// What every step came to.
#[derive(Default)]
pub struct Report(Vec<(String, Outcome)>);

impl Report {
    /// A step ended, well or not. One that runs no tests is one itself.
    pub fn ran(&mut self, name: String, elapsed: Duration, passed: bool, mut tests: Tests, is_one: bool) {
        match (passed, tests.failed.is_empty()) {
            (false, true) => tests.failed.push("the step itself".to_owned()),
            (true, true) if is_one => tests.passed = 1,
            (_, _) => {}
        }
        self.0.push((name, Outcome::Ran(elapsed, passed, tests)));
    }

    /// A step could not run, or was not to.
    pub fn skipped(&mut self, name: String, why: String) {
        self.0.push((name, Outcome::Skipped(why)));
    }

    /// Whether that step ran and failed.
    pub fn failed(&self, step: &str) -> bool {
        self.0.iter().any(|(name, outcome)| name == step && matches!(outcome, Outcome::Ran(_, false, _)))
    }

    /// Whether anything ran at all.
    pub fn ran_any(&self) -> bool {
        self.0.iter().any(|(_, outcome)| match outcome {
            Outcome::Ran(_, _, tests) => tests.passed + tests.ignored + tests.failed.len() > 0,
            Outcome::Skipped(_) => true,
        })
    }

    /// Whether any step failed.
    pub fn has_failed(&self) -> bool {
        self.0.iter().any(|(_, outcome)| matches!(outcome, Outcome::Ran(_, false, _)))
    }

    /// `N passed, N failed, N skipped`: tests, and steps that have none.
    pub fn total(&self) -> String {
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for (_, outcome) in &self.0 {
            match outcome {
                Outcome::Ran(_, _, tests) => {
                    passed += tests.passed;
                    failed += tests.failed.len();
                    skipped += tests.ignored;
                }
                Outcome::Skipped(_) => skipped += 1,
            }
        }
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.0 {
            match outcome {
                Outcome::Skipped(why) => writeln!(out, "{name:<11} skipped  {why}")?,
                Outcome::Ran(elapsed, passed, tests) => {
                    let word = if *passed { "passed" } else { "FAILED" };
                    write!(out, "{name:<11} {word} {:>7.1} s  {} passed", elapsed.as_secs_f64(), tests.passed)?;
                    if tests.ignored > 0 {
                        write!(out, ", {} skipped", tests.ignored)?;
                    }
                    writeln!(out)?;
                    for test in &tests.failed {
                        writeln!(out, "            failed: {test}")?;
                    }
                    if !passed {
                        writeln!(out, "            logs: {}", tests.logs.join(", "))?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::{Report, Tests};

    const OUTPUT: &str = "
running 3 tests
test queue::fair ... FAILED
test queue::slow ... ignored

failures:

---- queue::fair stdout ----
failures:
    not::a::test
the rig's logs stay in /tmp/rig-1

failures:
    queue::fair
    queue::lost

test result: FAILED. 7 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn report(output: &str, passed: bool, is_one: bool) -> Report {
        let mut tests = Tests::new(Path::new("unit.log"));
        output.lines().for_each(|line| tests.take(line));
        let mut report = Report::default();
        report.ran("unit".to_owned(), Duration::from_millis(1500), passed, tests, is_one);
        report
    }

    #[test]
    fn failed_tests_are_named_with_their_logs_and_counted() {
        let mut report = report(OUTPUT, false, false);
        report.skipped("node".to_owned(), "a node needs root".to_owned());
        let table = [
            "unit        FAILED     1.5 s  12 passed, 1 skipped",
            "            failed: queue::fair",
            "            failed: queue::lost",
            "            logs: unit.log, /tmp/rig-1",
            "node        skipped  a node needs root",
        ];
        assert_eq!(report.to_string().lines().collect::<Vec<_>>(), table);
        assert_eq!(report.total(), "12 passed, 2 failed, 2 skipped");
        assert!(report.has_failed() && report.failed("unit") && !report.failed("node"));
    }

    #[test]
    fn a_step_without_tests_is_one() {
        assert_eq!(report("", true, true).total(), "1 passed, 0 failed, 0 skipped");
        let broken = report("", false, false);
        assert_eq!(broken.total(), "0 passed, 1 failed, 0 skipped");
        assert!(broken.to_string().contains("failed: the step itself"), "{broken}");
        let filtered = report("", true, false);
        assert!(!filtered.ran_any() && filtered.total() == "0 passed, 0 failed, 0 skipped");
    }
}
