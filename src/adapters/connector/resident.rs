//! Which rounds keep their members, keys and shares in memory; the others are read from the file when asked for.

use std::collections::BTreeMap;

use delta_domain::connector_record::{Record, RoundId};

/// Which rounds' bodies are in memory, by last use, and how large they are.
#[derive(Debug)]
pub(super) struct Resident {
    limit: usize,
    clock: u64,
    total: usize,
    /// Last use and size.
    bodies: BTreeMap<RoundId, (u64, usize)>,
    touched: Vec<RoundId>,
}

/// What a body costs beside its text.
const BODY: usize = 256;

impl Resident {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            clock: 0,
            total: 0,
            bodies: BTreeMap::new(),
            touched: Vec::new(),
        }
    }

    pub(super) fn touch(&mut self, id: RoundId) {
        self.clock += 1;
        self.bodies.entry(id).or_default().0 = self.clock;
        self.touched.push(id);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Drops the bodies used longest ago until the rest fits. The one used last always stays.
    pub(super) fn shrink(&mut self, record: &mut Record) {
        for id in self.touched.drain(..) {
            let now = record.body_bytes(id) + BODY;
            if let Some((_, size)) = self.bodies.get_mut(&id) {
                self.total = self.total - *size + now;
                *size = now;
            }
        }
        while self.total > self.limit && self.bodies.len() > 1 {
            let Some((&id, _)) = self.bodies.iter().min_by_key(|(_, (used, _))| *used) else {
                break;
            };
            record.drop_body(id);
            self.total -= self.bodies.remove(&id).map_or(0, |(_, size)| size);
        }
    }
}
