//! What can be wrong with a configuration, and how it is told: every problem at once, each with its place and the fix.

use std::fmt;
use std::path::PathBuf;

use super::locate::Position;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file, with the position when it is known (a key that is not there has none).
    File(PathBuf, Option<Position>),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, Some(at)) => write!(f, "{}:{}:{}", path.display(), at.line, at.column),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "${name}"),
        }
    }
}

/// One thing that is wrong, or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingError {
    /// Where.
    pub place: Place,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A configuration that cannot be used; one line a problem, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.errors))]
pub struct ConfigError {
    /// Everything that is wrong. Never empty.
    pub errors: Vec<SettingError>,
}

fn lines(errors: &[SettingError]) -> String {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    all.join("\n")
}

/// The one of `known` that `given` was most likely meant to be.
pub(super) fn closest<'k>(
    given: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let given = given.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (distance(&given, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two short words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{closest, distance};

    #[test]
    fn a_slip_of_the_hand_is_one_edit() {
        assert_eq!(distance("levle", "level"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn suggestions_are_close_or_absent() {
        let known = ["level", "dir", "format", "api_port"];
        assert_eq!(closest("levle", known), Some("level"));
        assert_eq!(closest("Api-Port", known), Some("api_port"));
        assert_eq!(closest("colour", known), None);
    }
}
