//! Progress that a person can follow: one line that updates on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write, stderr};

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

    /// Shows a passing state, such as elapsed seconds. Only a terminal shows these.
    pub fn update(self, line: &str) {
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
