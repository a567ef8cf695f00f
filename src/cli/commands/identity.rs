//! `identity`: who this node is, who others are, and what its owner says about both.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::bootstrap::{self, Dial};
use crate::cli::args::IdentityCommand;
use crate::config::{ChainConnector, Config};
use delta_app::IdentitySettings;
use delta_domain::identity::{
    Card, DATA_NAME, Document, Expected, Fingerprint, Known, NodeKey, Proof, Trust, TrustAnchors,
    day_of,
};
use delta_domain::ids::{Address, Digest};
use delta_domain::time::Timestamp;
use delta_ports::connector::Connector;
use delta_ports::storage::Storage;

/// The most nodes that are listed.
const MOST: u32 = 10_000;

/// `init`'s part: makes the key if there is none.
///
/// # Errors
/// The file cannot be used.
pub(in crate::cli) async fn made(config: Config) -> anyhow::Result<String> {
    let file = config.identity_key_file();
    let there = file.exists();
    let key = key(&config).await?;
    let verb = if there {
        "this node is known by"
    } else {
        "made"
    };
    let print = key.fingerprint();
    Ok(format!("{verb} {} (fingerprint {print})", file.display()))
}

/// Carries out a command, and says what came of it.
///
/// # Errors
/// What stood in the way.
pub(in crate::cli) async fn identity(
    config: Config,
    command: IdentityCommand,
) -> anyhow::Result<String> {
    match command {
        IdentityCommand::Show => show(&config).await,
        IdentityCommand::Verify { url } => verify(&config, url).await,
        IdentityCommand::Known => known(&config).await,
        IdentityCommand::Accept { address } => accept(&config, &address).await,
        IdentityCommand::SignRoster { file } => sign_roster(&config, &file).await,
        IdentityCommand::AcceptRoster => accept_roster(&config).await,
    }
}

async fn key(config: &Config) -> anyhow::Result<NodeKey> {
    bootstrap::node_key(config, bootstrap::entropy().as_ref()).await
}

async fn storage(config: &Config) -> anyhow::Result<Arc<dyn Storage>> {
    bootstrap::open_storage(&config.db)
        .await
        .context("the database cannot be opened")
}

/// What the running node shows, made here from the same key and configuration.
fn own_card(config: &Config, key: &NodeKey) -> anyhow::Result<Card> {
    let IdentitySettings {
        organisation, name, ..
    } = bootstrap::identity_settings(config, None);
    let now = bootstrap::clock().now();
    let (url, public) = (&config.node.url, key.public());
    Card::new(&organisation, &name, url, public, None, now).context("this node has no card")
}

async fn show(config: &Config) -> anyhow::Result<String> {
    let key = key(config).await?;
    let card = own_card(config, &key)?;
    let until = day_of(card.not_after());
    let mut text = String::new();
    writeln!(text, "organisation  {}", card.organisation())?;
    writeln!(text, "node          {}", card.name())?;
    writeln!(text, "url           {}", card.url())?;
    writeln!(text, "fingerprint   {}", card.fingerprint())?;
    writeln!(text, "key           {}", card.key().to_wire())?;
    writeln!(
        text,
        "address       {} (on embedded connectors)",
        card.fingerprint().address()
    )?;
    writeln!(text, "card          {}, until {until}", card.digest())?;
    writeln!(text, "vouched for   {}", own_standing(config, &card)?)?;
    writeln!(text, "\nentry for a roster:")?;
    writeln!(text, "  - organisation: {:?}", card.organisation())?;
    writeln!(text, "    key: \"{}\"", card.key().to_wire())?;
    writeln!(text, "    url: {:?}", card.url())?;
    writeln!(text, "    until: \"{until}\"")?;
    Ok(text)
}

fn own_standing(config: &Config, card: &Card) -> anyhow::Result<String> {
    // A roster that is still to be written must not keep its owner from the entry that belongs in it.
    if let Some(file) = config.roster.file.as_deref().filter(|file| !file.exists()) {
        return Ok(format!("by nobody yet: there is no {}", file.display()));
    }
    let now = bootstrap::clock().now();
    let Some((roster, _)) = bootstrap::checked_roster(config, now)? else {
        return Ok("by nobody: no roster is configured".to_owned());
    };
    let anchors = anchors(config, Some(roster));
    Ok(match anchors.judge(card.key(), card.url(), None, now) {
        Trust::Rostered { organisation } => format!("by the roster, as {organisation}"),
        _ => "by nobody: the roster does not have this key at this url".to_owned(),
    })
}

fn anchors(
    config: &Config,
    roster: Option<delta_domain::identity::VerifiedRoster>,
) -> TrustAnchors {
    bootstrap::identity_settings(config, roster).anchors
}

/// What a node shows, what the connector says of it, and whether the two agree.
async fn verify(config: &Config, url: Option<String>) -> anyhow::Result<String> {
    let url = url.unwrap_or_else(|| config.node.url.clone());
    let url = url.trim_end_matches('/');
    let document = bootstrap::documents_anywhere(&config.tls)?
        .document_of(url)
        .await
        .with_context(|| format!("{url} shows no identity"))?;
    document.verify_card()?;
    let card = &document.card;
    let mut text = String::new();
    writeln!(text, "organisation  {} (its own word)", card.organisation())?;
    writeln!(text, "node          {}", card.name())?;
    writeln!(text, "url           {}", card.url())?;
    writeln!(text, "fingerprint   {}", card.fingerprint())?;
    writeln!(
        text,
        "card          {}, until {}",
        card.digest(),
        day_of(card.not_after())
    )?;
    writeln!(text, "signature     holds")?;
    let Some(claim) = &document.address else {
        writeln!(
            text,
            "address       none yet: the node has not reached its connector"
        )?;
        return Ok(text);
    };
    writeln!(text, "address       {}", claim.address)?;
    if config.chain_connector.host.is_empty() || config.chain_connector.is_embedded() {
        document.verify_alone(&claim.address, bootstrap::clock().now())?;
        writeln!(
            text,
            "record        not asked: this configuration names no connector of another process"
        )?;
    } else {
        on_record(config, &document, &claim.address).await?;
        writeln!(text, "record        agrees")?;
    }
    let now = bootstrap::clock().now();
    let roster = bootstrap::checked_roster(config, now)?.map(|(roster, _)| roster);
    let trust = anchors(config, roster).judge(card.key(), card.url(), None, now);
    writeln!(text, "vouched for   {}", words(&trust))?;
    Ok(text)
}

async fn on_record(config: &Config, document: &Document, address: &Address) -> anyhow::Result<()> {
    let ChainConnector {
        host, port, tls, ..
    } = &config.chain_connector;
    let connector: Arc<dyn Connector> =
        bootstrap::connect(host, *port, Dial::default(), None, tls.as_ref())?;
    let record = connector.node(address).await.context("the connector")?;
    let record = record.context("no node is registered under this address now")?;
    let published = connector
        .data_commitment(address, DATA_NAME, 0)
        .await
        .context("the connector")?;
    let published: Digest = published
        .context("the connector has no identity card of this address on record")?
        .parse()
        .context("what the connector has in place of the card's digest is none")?;
    let expected = Expected {
        address,
        url: &record.url,
        published: &published,
    };
    document.verify(&expected, bootstrap::clock().now())?;
    Ok(())
}

async fn known(config: &Config) -> anyhow::Result<String> {
    let storage = storage(config).await?;
    let now = bootstrap::clock().now();
    let roster = bootstrap::checked_roster(config, now)?.map(|(roster, _)| roster);
    let anchors = anchors(config, roster);
    let mut text = String::new();
    for row in storage.identities(MOST).await? {
        let proof = Proof::from_bytes(&row.document);
        let proved = proof.and_then(|proof| Some((proof.key(&row.address)?, proof)));
        let Some((key, proof)) = proved else {
            writeln!(text, "{}  unreadable", row.address)?;
            continue;
        };
        let card = proof.document().map(|document| &document.card);
        let known = Known { key: key.clone() };
        let url = card.map_or("", Card::url);
        let trust = match &row.changed {
            Some(_) => Trust::Changed,
            None => anchors.judge(&key, url, Some(&known), now),
        };
        let (print, since) = (Fingerprint::of(&key), day_of(row.first_seen));
        let says = card.map_or_else(
            || "has shown no card".to_owned(),
            |card| format!("says {:?}, {}", card.organisation(), card.url()),
        );
        writeln!(
            text,
            "{}  {print}  {}  {says}, since {since}",
            row.address,
            words(&trust)
        )?;
        if let Some(new) = new_print(&row.address, row.changed.as_deref()) {
            writeln!(
                text,
                "    shows the key {new} now; ask its owner, then `delta-node identity accept {}`",
                row.address
            )?;
        }
    }
    if text.is_empty() {
        text.push_str("no node was seen yet");
    }
    Ok(text)
}

fn words(trust: &Trust) -> String {
    match trust {
        Trust::Rostered { organisation } => format!("by the roster, as {organisation}"),
        Trust::Pinned { name } if name.is_empty() => "by a pin".to_owned(),
        Trust::Pinned { name } => format!("by a pin, as {name}"),
        Trust::FirstUse => "by nobody (first use)".to_owned(),
        Trust::Changed => "KEY CHANGED".to_owned(),
        Trust::Unknown => "unknown".to_owned(),
    }
}

fn new_print(address: &Address, changed: Option<&[u8]>) -> Option<Fingerprint> {
    let key = Proof::from_bytes(changed?)?.key(address)?;
    Some(Fingerprint::of(&key))
}

async fn accept(config: &Config, address: &str) -> anyhow::Result<String> {
    let address: Address = address.to_ascii_lowercase().parse()?;
    let storage = storage(config).await?;
    let Some(mut row) = storage.identity(&address).await? else {
        bail!("no node was seen at {address}; `delta-node identity known` lists those that were")
    };
    let print = new_print(&row.address, row.changed.as_deref());
    let (Some(new), Some(print)) = (row.changed.take(), print) else {
        bail!("the key of {address} has not changed")
    };
    row.document = new;
    storage.keep_identity(&row, MOST).await?;
    storage.close().await;
    Ok(format!(
        "{address} is known by the key {print} from now on; a running node follows within a minute"
    ))
}

async fn sign_roster(config: &Config, file: &Path) -> anyhow::Result<String> {
    let key = key(config).await?;
    let (roster, text) = bootstrap::read_roster(file)?;
    let now = bootstrap::clock().now();
    if roster.has_signed(key.public()) {
        return Ok(format!(
            "{} has this node's signature already",
            file.display()
        ));
    }
    let Some(signature) = roster.sign(&key) else {
        bail!(
            "{} does not list this node's key {}; `delta-node identity` prints the entry",
            file.display(),
            key.public().to_wire()
        )
    };
    // Appended, so that the file's comments stay; what comes out is read again before it takes the old one's place.
    let section = match text.lines().any(|line| line.starts_with("signatures:")) {
        true => "",
        false => "signatures:\n",
    };
    let empty = text.replace("\nsignatures: []", "\nsignatures:");
    let signed = format!(
        "{}\n{section}  - key: \"{}\"\n    signature: \"{}\"\n",
        empty.trim_end(),
        signature.key,
        signature.signature
    );
    let mut new = tempfile::NamedTempFile::new_in(folder_of(file))?;
    new.write_all(signed.as_bytes())?;
    let (again, _) = bootstrap::read_roster(new.path())
        .context("the signature cannot be appended: `signatures:` must be the last section")?;
    if !again.has_signed(key.public()) || again.digest() != roster.digest() {
        bail!("the signature cannot be appended to {}", file.display())
    }
    new.as_file()
        .set_permissions(std::fs::metadata(file)?.permissions())?;
    new.persist(file)
        .with_context(|| format!("{} cannot be written", file.display()))?;
    let standing = match again.verify(None, now) {
        Ok(verified) => format!(
            "it counts: signed by {}",
            Vec::from_iter(verified.signed_by()).join(", ")
        ),
        Err(e) => format!("not yet enough: {e}"),
    };
    let mut text = format!("signed {}; {standing}\n", file.display());
    writeln!(
        text,
        "it lists (ask each owner for the fingerprint before you pass it on):"
    )?;
    for entry in roster.entries() {
        let print = Fingerprint::of(&entry.key);
        let url = entry.url.as_deref().unwrap_or("any url");
        let last = day_of(Timestamp(entry.until.0.saturating_sub(1)));
        writeln!(
            text,
            "  {print}  {}, {url}, until {last}",
            entry.organisation
        )?;
    }
    Ok(text)
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

async fn accept_roster(config: &Config) -> anyhow::Result<String> {
    let now = bootstrap::clock().now();
    let Some((roster, text)) = bootstrap::checked_roster(config, now)? else {
        bail!("the configuration names no roster (roster.file)")
    };
    let storage = storage(config).await?;
    bootstrap::accept_roster(&storage, &text).await?;
    storage.close().await;
    let roster = roster.roster();
    Ok(format!(
        "the roster of {} with serial {} is accepted; restart the node",
        roster.network(),
        roster.serial()
    ))
}
