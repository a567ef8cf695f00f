//! `audit ...`: the owner's journal. `export` reads the node's file, whether the node runs or not; `verify` needs no node at all.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};

use super::task::say;
use crate::cli::args::AuditCommand;
use crate::config::Config;
use delta_domain::identity::{Fingerprint, NodeKey};
use delta_domain::policy::audit::{Head, MAX_LINE_BYTES, follow};
use delta_domain::secagg::keys::PublicKey;

/// Carries out a command.
///
/// # Errors
/// The journal cannot be read, or is not what it should be: then with the line.
pub(in crate::cli) async fn audit(config: &Config, command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Export => export(&config.journal_file()),
        AuditCommand::Verify { file, key, head } => {
            let key = match key {
                Some(text) => PublicKey::parse(NodeKey::CURVE, &text).context("--key")?,
                None => {
                    let entropy = crate::bootstrap::entropy();
                    let own = crate::bootstrap::node_key(config, entropy.as_ref()).await?;
                    own.public().clone()
                }
            };
            let file = file.unwrap_or_else(|| config.journal_file());
            let found = verify(&file, &key)?;
            if let Some(kept) = head {
                compare(&file, &key, &kept)?;
            }
            say(&format!(
                "{} lines, written by {} and unchanged; the head is {}:{}",
                found.lines,
                Fingerprint::of(&key),
                found.lines,
                found.last
            ))
        }
    }
}

/// Whole lines only: one that a running node is just writing is not there yet.
fn each_line(file: &Path, mut take: impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            bail!(
                "there is no journal at {}; the node has not run yet",
                file.display()
            )
        }
        Err(e) => return Err(e).with_context(|| format!("{} cannot be read", file.display())),
    };
    let mut reader = BufReader::new(opened);
    loop {
        let mut line = String::new();
        let most = MAX_LINE_BYTES as u64 + 2;
        (&mut reader)
            .take(most)
            .read_line(&mut line)
            .with_context(|| format!("{} cannot be read", file.display()))?;
        match line.strip_suffix('\n') {
            Some(line) => take(line)?,
            None if line.len() > MAX_LINE_BYTES => {
                bail!("{} has a line that is too long", file.display())
            }
            None => return Ok(()),
        }
    }
}

fn export(file: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    each_line(file, |line| {
        writeln!(out, "{line}").context("the output is closed")
    })
}

pub(super) fn verify(file: &Path, key: &PublicKey) -> anyhow::Result<Head> {
    let mut head = Head::EMPTY;
    each_line(file, |line| {
        head = follow(head, line, key)
            .with_context(|| format!("{}", file.display()))?
            .1;
        Ok(())
    })?;
    Ok(head)
}

/// Whether what somebody kept, `LINES:DIGEST`, is still in the journal.
fn compare(file: &Path, key: &PublicKey, kept: &str) -> anyhow::Result<()> {
    let wrong = || format!("--head {kept:?}: expected LINES:DIGEST as `audit verify` prints it");
    let (lines, last) = kept.split_once(':').with_context(wrong)?;
    let kept = Head {
        lines: lines.parse().with_context(wrong)?,
        last: last.parse().with_context(wrong)?,
    };
    let (mut head, mut found) = (Head::EMPTY, kept == Head::EMPTY);
    each_line(file, |line| {
        head = follow(head, line, key)?.1;
        found |= head == kept;
        Ok(())
    })?;
    if !found {
        bail!(
            "the journal does not have line {} with digest {}: lines are missing at its end, or it is another journal",
            kept.lines,
            kept.last
        );
    }
    Ok(())
}
