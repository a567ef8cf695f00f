//! Whether other nodes find this one at its url: who answers there as seen from here, and what others saw when they last looked.

use std::time::Duration;

use super::finding::Finding;
use crate::bootstrap::{Dial, connect, documents, documents_anywhere, entropy, node_key};
use crate::cli::health;
use crate::config::Config;
use delta_domain::identity::same_address;
use delta_domain::ids::Address;
use delta_ports::connector::NodeRecord;
use delta_ports::identity::IdentitySource;
use delta_ports::report;

/// How long one other node may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many other nodes are asked.
const ASKED: usize = 3;
/// How many nodes of the record are looked at.
const LISTED: u32 = 64;

/// One finding, of a node that runs; of one that does not there is nothing to see.
pub(crate) async fn reach(config: &Config) -> Finding {
    const NAME: &str = "url";
    let url = &config.node.url;
    let asked = config.clone();
    let runs = tokio::task::spawn_blocking(move || health::ask_own(&asked).is_ok());
    if !runs.await.unwrap_or(false) {
        return Finding::ok(
            NAME,
            format!(
                "{url}; while the node runs, `check` asks other nodes whether they find it there"
            ),
        );
    }
    let own = match node_key(config, entropy().as_ref()).await {
        Ok(key) => key,
        Err(e) => return Finding::fail(NAME, format!("{e:#}")),
    };
    // The one url is the operator's own word, the others are strangers'.
    let ways = documents_anywhere(&config.tls)
        .and_then(|here| Ok((here, documents(&config.policy, &config.tls)?)));
    let (here, peers) = match ways {
        Ok(ways) => ways,
        Err(e) => return Finding::fail(NAME, report(&e)),
    };
    if let Ok(Ok(document)) = tokio::time::timeout(PATIENCE, here.document_of(url)).await
        && document.card.key() != own.public()
    {
        return Finding::fail(
            NAME,
            format!(
                "{url} leads to another node, whose fingerprint is {}: two nodes have one url, or it is wrong in one of them",
                document.card.fingerprint()
            ),
        );
    }
    let nodes = match nodes(config).await {
        Ok(nodes) => nodes,
        Err(why) => return Finding::ok(NAME, format!("{url}; no other node was asked: {why}")),
    };
    let me = own_row(&nodes, url, &own.fingerprint().address());
    let Some(me) = me else {
        return Finding::warn(
            NAME,
            format!("{url}: this node is not among the living nodes on the connector's record"),
        );
    };
    told(url, &words(peers.as_ref(), &nodes, &me).await)
}

/// The living nodes of the record; in words why they are not known.
async fn nodes(config: &Config) -> Result<Vec<NodeRecord>, String> {
    if config.chain_connector.is_embedded() {
        return Err("the connector is embedded in this one".to_owned());
    }
    let (host, port) = (&config.chain_connector.host, config.chain_connector.port);
    let dial = Dial {
        call_timeout: Some(PATIENCE),
    };
    let tls = config.chain_connector.tls.as_ref();
    let connector = connect(host, port, dial, None, tls).map_err(|e| format!("{e:#}"))?;
    let page = connector.nodes(1, LISTED).await;
    page.map(|page| page.nodes).map_err(|e| report(&e))
}

/// This node's address on record: its key's, or where the connector makes addresses of urls, its url's.
fn own_row(nodes: &[NodeRecord], url: &str, key: &Address) -> Option<Address> {
    let by_key = nodes.iter().find(|n| same_address(&n.address, key));
    let by_url = || nodes.iter().find(|n| n.url == url);
    by_key.or_else(by_url).map(|n| n.address.clone())
}

/// What some other nodes say of their way to this one.
async fn words(
    peers: &dyn IdentitySource,
    nodes: &[NodeRecord],
    me: &Address,
) -> Vec<(String, Option<bool>)> {
    let mut words = Vec::new();
    let others = nodes.iter().filter(|n| !same_address(&n.address, me));
    for node in others.take(ASKED) {
        let asked = tokio::time::timeout(PATIENCE, peers.seen_by(&node.url, me)).await;
        // Who does not answer has nothing to say; older nodes have no word for it.
        if let Ok(Ok(seen)) = asked {
            words.push((node.url.clone(), seen));
        }
    }
    words
}

fn told(url: &str, words: &[(String, Option<bool>)]) -> Finding {
    const NAME: &str = "url";
    let of = |wanted: Option<bool>| {
        let found = words.iter().filter(|(_, seen)| *seen == wanted);
        Vec::from_iter(found.map(|(node, _)| node.as_str())).join(", ")
    };
    match (of(Some(true)), of(Some(false))) {
        (found, lost) if !lost.is_empty() => {
            let others = if found.is_empty() {
                String::new()
            } else {
                format!("; {found} did")
            };
            Finding::warn(
                NAME,
                format!(
                    "{lost} did not find this node at {url} when it last looked{others}: node.url must be what other nodes can call"
                ),
            )
        }
        (found, _) if !found.is_empty() => {
            Finding::ok(NAME, format!("{url}; found there by {found}"))
        }
        _ => Finding::ok(
            NAME,
            format!("{url}; no other node has looked lately, which they do every few minutes"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::told;
    use crate::cli::check::finding::Level;

    #[test]
    fn one_that_does_not_find_this_node_is_named_with_those_that_do() {
        let word = |url: &str, seen| (url.to_owned(), seen);
        let finding = told(
            "http://me",
            &[word("http://a", Some(true)), word("http://b", Some(false))],
        );
        assert_eq!(finding.level, Level::Warn);
        assert!(
            finding
                .detail
                .starts_with("http://b did not find this node at http://me")
        );
        assert!(finding.detail.contains("http://a did"));
        let fine = told("http://me", &[word("http://a", Some(true))]);
        assert_eq!(fine.level, Level::Ok);
        let nothing = told("http://me", &[word("http://a", None)]);
        assert!(nothing.detail.contains("no other node has looked"));
    }
}
