//! Who is on the network, and the commitments of their data (docs/protocol/connector.md, Identity and Data hub).

use sha2::{Digest as _, Sha256};

use super::change::Change;
use super::decision::{Answer, Decision, NodeEntry};
use super::event::RecordEvent;
use super::limits::{DATA_BLOCKS, PAGE_NODES};
use super::rejection::{Rejection, RejectionReason as Why, refuse};
use super::state::{LIFE_SECONDS, Node, Record};
use crate::ids::encode_hex;

impl Record {
    /// The first row of `address`, if it is alive.
    pub(super) fn alive(&self, now: u64, address: &str) -> Result<(usize, &Node), Rejection> {
        match self.node_by_address(address) {
            None => refuse(
                Why::NoSuchNode,
                format!("node of address {address} doesn't exist"),
            ),
            Some((_, node)) if now >= node.alive_until => refuse(
                Why::NodeNotAlive,
                format!("node of address {address} is not alive"),
            ),
            Some(found) => Ok(found),
        }
    }

    /// Looks up by url alone: the name of a known url is ignored, as at the reference.
    pub(super) fn join(&self, now: u64, url: &str, name: &str) -> Result<Decision, Rejection> {
        let alive_until = now.saturating_add(LIFE_SECONDS);
        let (id, node) = match self.node_by_url(url) {
            Some((id, node)) => (
                id,
                Node {
                    alive_until,
                    ..node.clone()
                },
            ),
            None => {
                self.room_for_node(now)?;
                let address = address_of(url, name);
                (
                    self.next_node(),
                    Node {
                        url: url.to_owned(),
                        name: name.to_owned(),
                        address,
                        alive_until,
                    },
                )
            }
        };
        let answer = Answer::Joined(node.address.clone());
        Ok(Decision {
            answer,
            ..Decision::done(row(id, node))
        })
    }

    /// Looks up by address, which is the hash of a key: whoever signs for it says where the node is, and what it is called.
    pub(super) fn join_as(
        &self,
        now: u64,
        address: &str,
        url: &str,
        name: &str,
    ) -> Result<Decision, Rejection> {
        let id = if let Some((id, _)) = self.node_by_address(address) {
            id
        } else {
            self.room_for_node(now)?;
            self.next_node()
        };
        let node = Node {
            url: url.to_owned(),
            name: name.to_owned(),
            address: address.to_owned(),
            alive_until: now.saturating_add(LIFE_SECONDS),
        };
        let answer = Answer::Joined(address.to_owned());
        Ok(Decision {
            answer,
            ..Decision::done(row(id, node))
        })
    }

    pub(super) fn update(
        &self,
        now: u64,
        address: &str,
        url: Option<&str>,
        name: Option<&str>,
    ) -> Result<Decision, Rejection> {
        let (id, node) = self.alive(now, address)?;
        let mut node = node.clone();
        if let Some(url) = url {
            url.clone_into(&mut node.url);
        }
        if let Some(name) = name {
            name.clone_into(&mut node.name);
        }
        Ok(Decision::done(row(id, node)))
    }

    pub(super) fn leave(&self, now: u64, address: &str) -> Result<Decision, Rejection> {
        let (id, node) = self.alive(now, address)?;
        Ok(Decision::done(row(
            id,
            Node {
                // Not even listed in this second; and from now on its row has not long to stay.
                alive_until: now.saturating_sub(1),
                ..node.clone()
            },
        )))
    }

    pub(super) fn node(&self, now: u64, address: &str) -> Result<Decision, Rejection> {
        let (_, node) = self.alive(now, address)?;
        Ok(Decision::read(Answer::Node(view(node))))
    }

    /// A node is still listed in the second in which it dies.
    pub(super) fn nodes(&self, now: u64, page: i32, page_size: i32) -> Decision {
        let listed = || self.nodes.values().filter(|n| n.alive_until >= now);
        let total = i32::try_from(self.deaths.range((now, 0)..).count()).unwrap_or(i32::MAX);
        // No size means all, whatever the page, as at the reference, as far as an answer may hold them.
        let (size, before) = match usize::try_from(page_size) {
            Ok(size @ 1..) => {
                let size = size.min(PAGE_NODES);
                let before = usize::try_from(page.saturating_sub(1)).unwrap_or(0);
                (size, before.saturating_mul(size))
            }
            Ok(0) | Err(_) => (PAGE_NODES, 0),
        };
        let nodes = listed().skip(before).take(size).map(view).collect();
        Decision::read(Answer::Nodes(nodes, total))
    }

    pub(super) fn register_data(
        &self,
        now: u64,
        address: &str,
        name: &str,
        index: i32,
        commitment: &str,
    ) -> Result<Decision, Rejection> {
        self.alive(now, address)?;
        if self.data(address, name, index).is_none() && self.data_blocks(address) >= DATA_BLOCKS {
            return refuse(
                Why::Other,
                format!(
                    "{address} has registered {DATA_BLOCKS} data blocks, the most that a node may have"
                ),
            );
        }
        let (owner, name, commitment) =
            (address.to_owned(), name.to_owned(), commitment.to_owned());
        let event = RecordEvent::DataRegistered {
            owner: owner.clone(),
            name: name.clone(),
            index,
            commitment: commitment.clone(),
        };
        Ok(Decision::done(Change::Data {
            owner,
            name,
            index,
            commitment,
        })
        .and_publish(event))
    }

    pub(super) fn data_commitment(
        &self,
        address: &str,
        name: &str,
        index: i32,
    ) -> Result<&str, Rejection> {
        self.data(address, name, index).ok_or_else(|| {
            Rejection::ByRule(
                Why::NoSuchData,
                format!("{address} doesn't have dataset {name}"),
            )
        })
    }
}

/// `0x` and the first 40 hex digits of SHA-256(url, name).
fn address_of(url: &str, name: &str) -> String {
    let digest = Sha256::new()
        .chain_update(url)
        .chain_update(name)
        .finalize();
    encode_hex(&digest[..20])
}

fn row(id: usize, node: Node) -> Change {
    let Node {
        url,
        name,
        address,
        alive_until,
    } = node;
    Change::Node {
        id,
        url,
        name,
        address,
        alive_until,
    }
}

fn view(node: &Node) -> NodeEntry {
    NodeEntry {
        url: node.url.clone(),
        name: node.name.clone(),
        address: node.address.clone(),
    }
}
