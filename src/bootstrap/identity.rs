//! Who this node is, and whom it believes: the key file, the roster file, and what a configuration says of both.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::adapters::grpc::key_of_certificate;
use crate::adapters::system::load_or_create_identity_key;
use crate::config::Config;
use delta_app::IdentitySettings;
use delta_domain::identity::{
    MAX_ROSTER_BYTES, NodeKey, Roster, RosterFile, TrustAnchors, VerifiedRoster, presentable,
};
use delta_domain::ids::Digest;
use delta_domain::time::Timestamp;
use delta_ports::entropy::Entropy;
use delta_ports::storage::Storage;

/// Name of the setting that keeps the roster that was accepted last.
const ROSTER_SETTING: &str = "roster";

/// The key that this node is known by, made at the first start.
///
/// # Errors
/// The file cannot be used.
pub(crate) async fn node_key(config: &Config, entropy: &dyn Entropy) -> anyhow::Result<NodeKey> {
    load_or_create_identity_key(&config.identity_key_file(), entropy)
        .await
        .context("the identity key cannot be used")
}

/// What the card says, and whom the owner believes. The node's name stands in for what the configuration leaves out.
pub(crate) fn settings(config: &Config, roster: Option<VerifiedRoster>) -> IdentitySettings {
    let word = |set: &str| {
        let name = presentable(&config.node.name);
        let set = (!set.is_empty()).then(|| set.to_owned());
        set.or(name).unwrap_or_else(|| "unnamed".to_owned())
    };
    IdentitySettings {
        organisation: word(&config.identity.organisation),
        name: word(&config.identity.name),
        tls_key: own_tls_key(config),
        anchors: TrustAnchors {
            roster,
            pins: config.pins.clone(),
        },
    }
}

/// The key that this node's API proves over TLS; a certificate that cannot be read is told where it is used.
fn own_tls_key(config: &Config) -> Option<Digest> {
    let certificate = &config.api.tls.as_ref()?.certificate;
    let pem = std::fs::read(certificate).ok()?;
    key_of_certificate(&pem).ok()
}

/// A roster file, read and of the right form; its signatures are not checked.
///
/// # Errors
/// It cannot be read, or is no roster; the place in the file is in the text.
pub(crate) fn read_roster(file: &Path) -> anyhow::Result<(Roster, String)> {
    let text = bounded(file)?;
    let form = yaml_serde::from_str::<RosterFile>(&text)
        .with_context(|| format!("{} is no roster", file.display()))?;
    let roster = Roster::try_from(form).with_context(|| format!("{}", file.display()))?;
    Ok((roster, text))
}

fn bounded(file: &Path) -> anyhow::Result<String> {
    let cannot = || format!("{} cannot be read", file.display());
    let mut text = String::new();
    std::fs::File::open(file)
        .with_context(cannot)?
        .take(MAX_ROSTER_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .with_context(cannot)?;
    if text.len() > MAX_ROSTER_BYTES {
        bail!(
            "{} has more than 1 MiB, which no roster has",
            file.display()
        );
    }
    Ok(text)
}

/// The roster of a configuration with enough signatures; `None` when it names none.
///
/// # Errors
/// As [`read_roster`], or too few organisations signed it.
pub(crate) fn checked_roster(
    config: &Config,
    now: Timestamp,
) -> anyhow::Result<Option<(VerifiedRoster, String)>> {
    let Some(file) = &config.roster.file else {
        return Ok(None);
    };
    let (roster, text) = read_roster(file)?;
    let roster = roster
        .verify(needed(config), now)
        .with_context(|| format!("the roster {} does not count", file.display()))?;
    Ok(Some((roster, text)))
}

fn needed(config: &Config) -> Option<usize> {
    match config.roster.signatures {
        0 => None,
        n => Some(n),
    }
}

/// The roster that this node goes by: the configuration's, if it may follow the one that was accepted before.
///
/// # Errors
/// As [`checked_roster`]; an older roster, or one that those who counted before did not sign.
pub(super) async fn accepted_roster(
    config: &Config,
    storage: &Arc<dyn Storage>,
    now: Timestamp,
) -> anyhow::Result<Option<VerifiedRoster>> {
    let Some((roster, text)) = checked_roster(config, now)? else {
        return Ok(None);
    };
    let before = storage.setting(ROSTER_SETTING).await?;
    let before = before.and_then(|bytes| {
        let form = yaml_serde::from_slice::<RosterFile>(&bytes).ok()?;
        Roster::try_from(form).ok()
    });
    if let Some(before) = &before {
        roster
            .succeeds(before, needed(config), now)
            .context("the roster does not follow the one that was accepted before")?;
    }
    if before.is_none_or(|before| before.digest() != roster.roster().digest()) {
        accept_roster(storage, &text).await?;
        tracing::info!(
            network = roster.roster().network(),
            serial = roster.roster().serial(),
            keys = roster.roster().entries().len(),
            "a roster is accepted"
        );
    }
    Ok(Some(roster))
}

/// Keeps a roster as the one that was accepted last.
///
/// # Errors
/// The database's.
pub(crate) async fn accept_roster(storage: &Arc<dyn Storage>, text: &str) -> anyhow::Result<()> {
    storage
        .set_setting(ROSTER_SETTING, text.as_bytes())
        .await
        .context("the roster cannot be kept")
}
