//! Datasets that are the answer to a query: what an owner says of the database, the question, and when it is asked again.
//!
//! Values only: who asks databases is the adapter of [`Query`], and when it is time, the app's loop asks [`Refresh::is_due`].

mod server;
mod sql;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::policy::FieldFault;
use crate::time::Timestamp;
pub use server::{Engine, NetworkServer, Server, ServerError};

/// How long a question may take where its owner does not say.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Shortest and longest time between two answers, and for one.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const DAY_MS: u64 = 86_400_000;
/// What a dataset that is a query ends in.
const ENDING: &str = ".parquet";
/// The key of a Parquet file's metadata that makes it an answer, with the digest of its query: a later answer may take its place, and no
/// task reads it once its owner has another query.
pub const MARK: &str = "delta.query";

/// The section `query` of a dataset, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct QueryForm {
    /// Where the database is: `postgresql://USER@HOST:PORT/NAME`, `mysql://...`, `mariadb://...` or `sqlite:///PATH`. Never with a password.
    pub database: String,
    /// A file with the password in it, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
    /// The environment variable of the node that has the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// `verified` (without it, unless the host is this machine), `required` or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// A PEM file of the certificates that vouch for the database, in place of the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// One SELECT, with an ORDER BY.
    pub sql: String,
    /// How often it is asked anew: `30m`, `24h`, `7d`, or `daily 03:00` (UTC). Without it, by `delta-node data refresh` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// How long an answer may take: `10m`, `2h`. An hour without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// How the way to a database is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// By a certificate that names the host.
    Verified,
    /// Against those who only listen.
    Required,
    /// By nothing.
    Off,
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// There is none.
    None,
    /// In this file.
    File(PathBuf),
    /// In this environment variable.
    Variable(String),
}

/// A question to a database that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The database.
    pub server: Server,
    /// Its password.
    pub secret: Secret,
    /// How the way to it is protected.
    pub tls: Tls,
    /// Who vouches for it.
    pub ca: Option<PathBuf>,
    /// The question.
    pub sql: String,
    /// When it is asked anew.
    pub refresh: Refresh,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// When a question is asked anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// When its owner says so.
    ByHand,
    /// So long after the last answer.
    Every(Duration),
    /// Each day so many minutes after midnight (UTC).
    Daily(u32),
}

impl Refresh {
    /// Whether it is time, when the last answer was taken at `last`. An answer from the future, after a clock was set back, does not count.
    #[must_use]
    pub fn is_due(self, last: Option<Timestamp>, now: Timestamp) -> bool {
        let last = last.filter(|last| *last <= now);
        match (self, last) {
            (Self::ByHand, _) => false,
            (_, None) => true,
            (Self::Every(time), Some(last)) => last + time <= now,
            (Self::Daily(minute), Some(last)) => {
                let at = u64::from(minute) * 60_000;
                // The last time of day like this, or its first one ever.
                let since = now.0.saturating_sub(at) / DAY_MS * DAY_MS + at;
                last.0 < since && since <= now.0
            }
        }
    }

    fn of(text: &str) -> Option<Self> {
        if let Some(time) = text.strip_prefix("daily ") {
            let (hour, minute) = time.trim().split_once(':')?;
            let (hour, minute) = (number(hour)?, number(minute)?);
            let minute = u32::try_from(hour * 60 + minute).ok();
            return minute.filter(|_| hour < 24).map(Self::Daily);
        }
        span(text).map(Self::Every)
    }
}

/// Up to two digits.
fn number(digits: &str) -> Option<u64> {
    let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|n| plain && *n < 60)
}

/// `90s`, `30m`, `24h`, `7d`.
fn span(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let n: u64 = digits.parse().ok().filter(|_| plain)?;
    let time = Duration::from_secs(n.checked_mul(seconds)?);
    (SHORTEST..=LONGEST).contains(&time).then_some(time)
}

impl QueryForm {
    /// The query of the dataset `name`, when everything in it can be.
    ///
    /// # Errors
    /// All that cannot, by the keys of the section.
    pub fn check(self, name: &str) -> Result<Query, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let mut bad = |key: &str, fault: &str| faults.push(FieldFault::new(&["query", key], fault));
        if !name.ends_with(ENDING) {
            bad(
                "database",
                "is for a dataset whose name ends in .parquet, since that is what its answers are kept as",
            );
        }
        let server = Server::of(&self.database);
        if let Err(e) = &server {
            bad("database", &e.to_string());
        }
        for fault in sql::faults(&self.sql, server.as_ref().ok()) {
            bad("sql", fault);
        }
        let refresh = self.refresh.as_deref().map(|text| Refresh::of(text.trim()));
        if refresh == Some(None) {
            bad(
                "refresh",
                "must be a time from 1m to 366d such as 30m, 24h or 7d, or daily 03:00",
            );
        }
        let timeout = self.timeout.as_deref().map(|text| span(text.trim()));
        if timeout == Some(None) {
            bad(
                "timeout",
                "must be a time from 1m to 366d such as 10m or 2h",
            );
        }
        let file = match self.password_file {
            Some(path) if !path.starts_with('/') => {
                bad("password_file", "must be a path from / on");
                None
            }
            path => path,
        };
        if self.ca.as_ref().is_some_and(|path| !path.starts_with('/')) {
            bad("ca", "must be a path from / on");
        }
        let secret = match (file, self.password_env) {
            (Some(_), Some(_)) => {
                bad(
                    "password_env",
                    "is one place too many: keep password_file or this",
                );
                Secret::None
            }
            (Some(path), None) => Secret::File(path.into()),
            (None, Some(name)) => Secret::Variable(name),
            (None, None) => Secret::None,
        };
        let here = server.as_ref().is_ok_and(Server::is_here);
        let tls = self
            .tls
            .unwrap_or(if here { Tls::Off } else { Tls::Verified });
        match server {
            Ok(server) if faults.is_empty() => Ok(Query {
                server,
                secret,
                tls,
                ca: self.ca.map(PathBuf::from),
                sql: self.sql.trim().trim_end_matches(';').trim_end().to_owned(),
                refresh: refresh.flatten().unwrap_or(Refresh::ByHand),
                timeout: timeout.flatten().unwrap_or(PATIENCE),
            }),
            _ => Err(faults),
        }
    }
}

impl Query {
    /// What tells its answers from those of other questions: SHA-256 of the database and the question.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(format!("{:?}\n{}", self.server, self.sql).as_bytes())
    }
}

#[cfg(test)]
mod tests;
