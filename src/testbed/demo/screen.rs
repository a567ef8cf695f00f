//! Where the demonstration speaks.

use std::io::Write as _;

/// Standard output, with one line that changes when it is a terminal.
pub(super) struct Screen {
    pub(super) json: bool,
    pub(super) live: bool,
}

impl Screen {
    pub(super) fn line(&self, text: &str) {
        // With --json everything but the last line is for people: it goes to standard error.
        if self.json {
            drop(writeln!(std::io::stderr(), "{text}"));
        } else {
            drop(writeln!(std::io::stdout(), "{text}"));
        }
    }

    pub(super) fn live(&self, text: &str) {
        if self.live {
            drop(write!(std::io::stdout(), "\r\x1b[K{text}"));
            drop(std::io::stdout().flush());
        }
    }

    pub(super) fn clear(&self) {
        self.live("");
    }
}
