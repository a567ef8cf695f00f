//! The identity contract: who is on the network. A node that left and joins again gets a second row, and is listed twice.

use std::collections::BTreeMap;

use super::{Block, Done, No, mixed_case, require};
use delta_domain::connector_record::{Answer, NodeEntry};

/// Seconds of a registration.
const ALIVE: u64 = 120;
/// What is said of a node that is not there, or not any more.
pub(super) const NOT_JOINED: &str = "node has not joined in";

/// The contract's storage.
#[derive(Debug)]
pub(super) struct Identity {
    /// Rows from 1 on, by address the number of the one that counts; 0 for a node that left.
    rows: Vec<Row>,
    current: BTreeMap<String, usize>,
    /// Whether it is the older contract, which takes back a second registration.
    older: bool,
}

#[derive(Debug)]
struct Row {
    address: String,
    url: String,
    name: String,
    timeout: u64,
}

impl Identity {
    pub(super) fn new(older: bool) -> Self {
        Self {
            rows: Vec::new(),
            current: BTreeMap::new(),
            older,
        }
    }

    pub(super) fn join(
        &mut self,
        block: Block,
        sender: &str,
        url: &str,
        name: &str,
    ) -> Result<Done, No> {
        let row = Row {
            address: sender.to_owned(),
            url: url.to_owned(),
            name: name.to_owned(),
            timeout: block.time + ALIVE,
        };
        match self.current.get(sender).copied().unwrap_or(0) {
            0 => {
                self.rows.push(row);
                self.current.insert(sender.to_owned(), self.rows.len());
            }
            // It takes a node again only when its registration has lapsed.
            number if self.older && self.rows[number - 1].timeout >= block.time => {
                return Err(No::Reverted("node has already joined in"));
            }
            number => self.rows[number - 1] = row,
        }
        Ok(Done {
            answer: Answer::Joined(mixed_case(sender)),
            event: None,
        })
    }

    pub(super) fn update(
        &mut self,
        block: Block,
        sender: &str,
        url: Option<&str>,
        name: Option<&str>,
    ) -> Result<Done, No> {
        let number = self.alive(block, sender)?;
        let row = &mut self.rows[number - 1];
        if let Some(url) = url {
            url.clone_into(&mut row.url);
        }
        if let Some(name) = name {
            name.clone_into(&mut row.name);
        }
        Ok(Done::quietly())
    }

    pub(super) fn leave(&mut self, sender: &str) -> Result<Done, No> {
        let known = self.current.get(sender).is_some_and(|number| *number > 0);
        require(known, "node does not exist")?;
        self.current.insert(sender.to_owned(), 0);
        Ok(Done::quietly())
    }

    /// The url of a living node.
    pub(super) fn url(&self, block: Block, address: &str) -> Result<&str, No> {
        let number = self.alive(block, address)?;
        Ok(&self.rows[number - 1].url)
    }

    /// A living node, under the address as it was asked for: the connector repeats it.
    pub(super) fn node(&self, block: Block, asked: &str, address: &str) -> Result<NodeEntry, No> {
        let number = self.alive(block, address)?;
        let row = &self.rows[number - 1];
        Ok(NodeEntry {
            url: row.url.clone(),
            name: row.name.clone(),
            address: asked.to_owned(),
        })
    }

    /// A page of living rows, each of which shows what counts for its address now. Page 0 is an underflow, size 0 is nobody.
    pub(super) fn nodes(
        &self,
        block: Block,
        page: u32,
        size: u32,
    ) -> Result<(Vec<NodeEntry>, i32), No> {
        let before = page.checked_sub(1).ok_or(No::Reverted(""))?;
        let (before, size) = (before as usize * size as usize, size as usize);
        let current = |row: &Row| self.current.get(&row.address).copied().unwrap_or(0);
        let living: Vec<usize> = self
            .rows
            .iter()
            .filter(|row| row.timeout >= block.time && current(row) > 0)
            .map(current)
            .collect();
        let shown = living.iter().skip(before).take(size).map(|number| {
            let row = &self.rows[number - 1];
            NodeEntry {
                url: row.url.clone(),
                name: row.name.clone(),
                address: mixed_case(&row.address),
            }
        });
        let total = i32::try_from(living.len()).unwrap_or(i32::MAX);
        Ok((shown.collect(), total))
    }

    fn alive(&self, block: Block, address: &str) -> Result<usize, No> {
        let number = self.current.get(address).copied().unwrap_or(0);
        let alive = number > 0 && self.rows[number - 1].timeout >= block.time;
        require(alive, NOT_JOINED).map(|()| number)
    }
}
