//! `doctor`: what is wrong at home, beyond what `check` looks at: databases, the journal, private files, tokens, room, and what the running
//! node and its log say.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::bootstrap::{self, RESTORED};
use crate::cli::check::Finding;
use crate::cli::client;
use crate::config::Config;
use delta_domain::time::Timestamp;
use delta_ports::{PortErrorKind, report};

/// Before this much time is left of a token it should be renewed.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// The end of the log that is looked at.
const TAIL: u64 = 1 << 20;
/// Less room than this is soon none.
const LITTLE_ROOM: u64 = 2_000_000_000;

/// What is found at home.
pub(in crate::cli) async fn at_home(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(file) = config.db.file() {
        findings.push(database("database file", file).await);
    }
    if config.chain_connector.is_embedded() || config.connector.db_file.is_file() {
        findings.push(database("connector's file", &config.connector.db_file).await);
    }
    findings.extend(restored(config).await);
    findings.push(journal(config).await);
    findings.extend(private_files(config));
    findings.push(tokens(config).await);
    findings.extend(room(config));
    findings.extend(running(config).await);
    findings.push(log(&config.log.dir));
    findings
}

async fn database(name: &'static str, file: &Path) -> Finding {
    if !file.is_file() {
        return Finding::ok(name, format!("{} is not there yet", file.display()));
    }
    match bootstrap::examine_database(file).await {
        Ok(faults) if faults.is_empty() => {
            let size = fs::metadata(file).map_or(0, |m| m.len()) >> 20;
            Finding::ok(name, format!("{} is sound, {size} MiB", file.display()))
        }
        Ok(faults) => Finding::fail(
            name,
            format!(
                "{} is damaged ({}): stop the node, keep the file, and restore a backup (docs/operating.md)",
                file.display(),
                faults.join("; ")
            ),
        ),
        // Nobody else looks into the file of an embedded connector.
        Err(e) if e.kind() == PortErrorKind::Unavailable => Finding::ok(
            name,
            format!("{} is held by a process that runs", file.display()),
        ),
        Err(e) => Finding::fail(name, report(&e)),
    }
}

async fn restored(config: &Config) -> Option<Finding> {
    let name = "restored";
    config.db.file().filter(|file| file.is_file())?;
    let storage = bootstrap::open_storage(&config.db).await.ok()?;
    let setting = storage.setting(RESTORED).await;
    storage.close().await;
    let since = setting.ok()??;
    (!since.is_empty()).then(|| {
        Finding::warn(
            name,
            "the node was restored and takes part in no task; once budgets allow for what was spent since the backup: `delta-node restore --resume`",
        )
    })
}

async fn journal(config: &Config) -> Finding {
    let name = "journal";
    let file = config.journal_file();
    if !file.is_file() {
        return Finding::ok(name, "the owner's journal has no line yet");
    }
    let entropy = bootstrap::entropy();
    let key = match bootstrap::node_key(config, entropy.as_ref()).await {
        Ok(key) => key,
        Err(e) => return Finding::fail("identity", format!("{e:#}")),
    };
    match super::audit::verify(&file, key.public()) {
        Ok(head) => Finding::ok(
            name,
            format!(
                "{} lines hang together and are signed by this node",
                head.lines
            ),
        ),
        Err(e) => Finding::fail(
            name,
            format!("{e:#}: the node does not start with it; docs/operating.md says what to do"),
        ),
    }
}

/// Files that nobody but the node's user should be able to read.
fn private_files(config: &Config) -> Vec<Finding> {
    let name = "private files";
    let mut files: Vec<PathBuf> = vec![
        config.key_file(),
        config.identity_key_file(),
        config.own_token_file(),
        config.token_file(),
    ];
    files.extend(config.db.file().map(Path::to_owned));
    files.extend(config.api.tls.as_ref().map(|tls| tls.key.clone()));
    let mut open: Vec<String> = Vec::new();
    let mut owners = std::collections::BTreeSet::new();
    for file in files {
        let Ok(about) = fs::metadata(&file) else {
            continue;
        };
        owners.insert(about.uid());
        if about.permissions().mode() & 0o077 != 0 {
            open.push(file.display().to_string());
        }
    }
    let mut findings = Vec::new();
    findings.push(match open.is_empty() {
        true => Finding::ok(
            name,
            "keys, tokens and database can be read by their owner only",
        ),
        false => Finding::warn(
            name,
            format!("others can read {}: chmod 600", open.join(", ")),
        ),
    });
    if owners.len() > 1 {
        let text = "keys, tokens and database belong to different users: was a command run as root? chown them to the node's";
        findings.push(Finding::fail(name, text));
    }
    findings
}

async fn tokens(config: &Config) -> Finding {
    let name = "tokens";
    let book = match bootstrap::tokens(config).tokens().await {
        Ok(book) => book,
        Err(e) => return Finding::fail(name, report(&e)),
    };
    let now = bootstrap::clock().now();
    let ends = |by: Timestamp| {
        let over = book.tokens().iter().filter(|token| token.has_expired(by));
        over.map(|token| token.name.to_string()).collect::<Vec<_>>()
    };
    let (expired, soon) = (ends(now), ends(now + SOON));
    match soon.is_empty() {
        true => Finding::ok(name, format!("{} tokens", book.tokens().len())),
        false => Finding::warn(
            name,
            format!(
                "{} of {} have expired or will within 14 days: {}; make new ones, then revoke these",
                soon.len(),
                book.tokens().len(),
                soon.iter()
                    .map(|n| match expired.contains(n) {
                        true => format!("{n} (expired)"),
                        false => n.clone(),
                    })
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        ),
    }
}

fn room(config: &Config) -> Vec<Finding> {
    let name = "room";
    let mut folders = vec![
        ("task_dir", config.task_dir.as_path()),
        ("log.dir", &config.log.dir),
    ];
    let database = config.db.file().and_then(Path::parent);
    folders.extend(database.map(|folder| ("db", folder)));
    let mut findings = Vec::new();
    for (setting, folder) in folders {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let Some(free) = bootstrap::free_bytes(folder) else {
            continue;
        };
        let text = format!(
            "{:.1} GB are free for {setting} ({})",
            free as f64 / 1e9,
            folder.display()
        );
        findings.push(match free {
            0..LITTLE_ROOM => {
                Finding::warn(name, format!("{text}: a node without room declines rounds"))
            }
            _ => Finding::ok(name, text),
        });
    }
    findings
}

/// What the node on this machine says of itself, where one runs.
async fn running(config: &Config) -> Vec<Finding> {
    let name = "running node";
    let ready = async {
        let client = client::of_own(config).await?;
        anyhow::Ok(client.ready().await)
    };
    let checks = match ready.await {
        Ok(Ok(checks)) => checks,
        Ok(Err(e)) if e.kind() == PortErrorKind::Unavailable => {
            return vec![Finding::ok(
                name,
                "no node answers at this configuration's address",
            )];
        }
        Ok(Err(e)) => return vec![Finding::warn(name, report(&e))],
        Err(e) => return vec![Finding::warn(name, format!("{e:#}"))],
    };
    let each = checks["checks"].as_array().into_iter().flatten();
    let wrong = each.filter(|check| check["ok"] == Value::Bool(false));
    let wrong: Vec<String> = wrong
        .map(|check| {
            let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", text("name"), text("detail"))
        })
        .collect();
    vec![match wrong.is_empty() {
        true => Finding::ok(name, "says that it can work"),
        false => Finding::fail(name, wrong.join("; ")),
    }]
}

/// The last error in the newest log file.
fn log(folder: &Path) -> Finding {
    let name = "log";
    let newest = fs::read_dir(folder).ok().and_then(|entries| {
        let files = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((about.modified().ok()?, entry.path()))
        });
        files.max()
    });
    let Some((_, file)) = newest else {
        return Finding::ok(name, format!("{} has no file yet", folder.display()));
    };
    let text = match tail(&file) {
        Ok(text) => text,
        Err(e) => return Finding::warn(name, format!("{} cannot be read: {e}", file.display())),
    };
    let is_error = |line: &&str| line.contains(" ERROR ") || line.contains(r#""level":"ERROR""#);
    let errors: Vec<&str> = text.lines().filter(is_error).collect();
    match errors.last() {
        None => Finding::ok(name, format!("no errors at the end of {}", file.display())),
        Some(last) => {
            let shown: String = last.chars().take(400).collect();
            Finding::warn(
                name,
                format!(
                    "{} errors at the end of {}, the last: {shown}",
                    errors.len(),
                    file.display()
                ),
            )
        }
    }
}

fn tail(file: &Path) -> std::io::Result<String> {
    let mut opened = fs::File::open(file)?;
    let length = opened.metadata()?.len();
    opened.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    opened.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::Level;

    fn config(home: &Path) -> Config {
        let mut config = Config::default();
        config.db = crate::config::Database::Sqlite(home.join("db/delta.db"));
        config.log.dir = home.join("logs");
        fs::create_dir_all(home.join("db")).unwrap();
        fs::create_dir_all(home.join("logs")).unwrap();
        config
    }

    #[test]
    fn files_that_others_can_read_are_named() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        let key = config.key_file();
        fs::write(&key, "k").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(private_files(&config)[0].level, Level::Ok);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let found = &private_files(&config)[0];
        assert_eq!(found.level, Level::Warn);
        assert!(found.detail.contains("node.key"), "{found:?}");
    }

    #[test]
    fn the_last_error_of_the_newest_log_is_shown() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        assert_eq!(log(&config.log.dir).level, Level::Ok);
        let text = "2026-11-30T10:00:00Z ERROR x: first\n2026-11-30T10:00:01Z ERROR x: the last one\n2026-11-30T10:00:02Z  INFO x: ERROR-free\n";
        fs::write(config.log.dir.join("delta-node.log"), text).unwrap();
        let found = log(&config.log.dir);
        assert_eq!(found.level, Level::Warn);
        assert!(
            found.detail.starts_with("2 errors") && found.detail.contains("the last one"),
            "{found:?}"
        );
    }

    #[tokio::test]
    async fn a_damaged_database_is_found() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        let file = config.db.file().unwrap();
        assert_eq!(database("d", file).await.level, Level::Ok);
        fs::write(
            file,
            "no database at all, but long enough to be looked at as one",
        )
        .unwrap();
        assert_eq!(database("d", file).await.level, Level::Fail);
    }
}
