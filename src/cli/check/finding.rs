//! The form of what `check` finds: how good or bad, what was looked at, what to do about it.

use serde::Serialize;

use crate::config::ConfigError;

/// How good or bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Works, and the operator should know.
    Warn,
    /// The node cannot work like this.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How it is.
    pub(crate) level: Level,
    /// What was looked at, in one or two words.
    pub(crate) name: &'static str,
    /// One sentence: what was found, and what to do about it.
    pub(crate) detail: String,
}

impl Finding {
    /// As it should be.
    #[must_use]
    pub(crate) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Level::Ok, name, detail)
    }

    /// Works, with a doubt.
    #[must_use]
    pub(crate) fn warn(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Level::Warn, name, detail)
    }

    /// Does not work.
    #[must_use]
    pub(crate) fn fail(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Level::Fail, name, detail)
    }

    fn new(level: Level, name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            level,
            name,
            detail: detail.into(),
        }
    }
}

/// The problems of a configuration that cannot be used.
#[must_use]
pub(crate) fn config_problems(error: &ConfigError) -> Vec<Finding> {
    error
        .errors
        .iter()
        .map(|problem| Finding::fail("config", problem.to_string()))
        .collect()
}

/// One line a finding.
#[must_use]
pub(crate) fn lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding {
        level,
        name,
        detail,
    } in findings
    {
        let mark = match level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        text.push_str(&format!("{mark} {name}: {detail}\n"));
    }
    text
}

/// One object: `ok` and the list of findings.
#[must_use]
pub(crate) fn json(findings: &[Finding]) -> String {
    let ok = findings.iter().all(|finding| finding.level != Level::Fail);
    serde_json::json!({ "ok": ok, "findings": findings }).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Finding, json, lines};

    #[test]
    fn findings_are_lines_for_people_and_one_object_for_programs() {
        let findings = [
            Finding::ok("config", "c.yaml is right."),
            Finding::fail("api port", "6700 is taken."),
        ];
        assert_eq!(
            lines(&findings),
            "ok   config: c.yaml is right.\nFAIL api port: 6700 is taken.\n"
        );
        let object: serde_json::Value = serde_json::from_str(&json(&findings)).unwrap();
        assert_eq!(object["ok"], false);
        assert_eq!(object["findings"][1]["level"], "fail");
        assert_eq!(object["findings"][1]["name"], "api port");
    }

    #[test]
    fn warnings_do_not_make_it_fail() {
        let object: serde_json::Value =
            serde_json::from_str(&json(&[Finding::warn("x", "y")])).unwrap();
        assert_eq!(object["ok"], true);
    }
}
