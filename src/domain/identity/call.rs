//! Calls to the connector, signed: what is signed, and how a connector knows that it has not heard a call before.
//!
//! On an embedded connector an address is the hash of a key, and whoever acts for it signs: the method, the body, the time and a
//! random number (docs/protocol/identity.md, Signed calls). A connector that knows nothing of this passes the signature over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::key::{Fingerprint, NodeKey};
use crate::ids::Digest;
use crate::round::message::Encoder;
use crate::secagg::keys::{KeyError, PublicKey};
use crate::time::Timestamp;

/// A signature over a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCall {
    /// Whose.
    pub key: PublicKey,
    /// When, by the caller's clock.
    pub time: Timestamp,
    /// Drawn at random for this call.
    pub nonce: [u8; 16],
    /// r and s.
    pub signature: Vec<u8>,
}

impl SignedCall {
    /// Signs a call of `method` (`/identity.Identity/Join`) with a body of this SHA-256.
    #[must_use]
    pub fn new(
        key: &NodeKey,
        method: &str,
        body: &Digest,
        time: Timestamp,
        nonce: [u8; 16],
    ) -> Self {
        let bytes = signed_bytes(key.public(), method, body, time, &nonce);
        Self {
            key: key.public().clone(),
            time,
            nonce,
            signature: key.sign(&bytes),
        }
    }

    /// Who signed this call.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`] when the key did not sign this method and body.
    pub fn verify(&self, method: &str, body: &Digest) -> Result<Fingerprint, KeyError> {
        let bytes = signed_bytes(&self.key, method, body, self.time, &self.nonce);
        self.key.verify(&bytes, &self.signature)?;
        Ok(Fingerprint::of(&self.key))
    }
}

fn signed_bytes(
    key: &PublicKey,
    method: &str,
    body: &Digest,
    time: Timestamp,
    nonce: &[u8; 16],
) -> Vec<u8> {
    let mut e = Encoder::new("delta connector call 1");
    e.bytes(key.as_bytes());
    e.text(method);
    e.bytes(&body.0);
    e.number(time.0);
    e.bytes(nonce);
    e.finish()
}

/// Why a signed call is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallFault {
    /// Its time is too far from the connector's, or so old that it may have been heard before. With a new time it may be signed again.
    #[error("the time of the signature is not near the connector's")]
    Clock,
    /// It was heard before.
    #[error("this call was made before")]
    Repeated,
}

/// How much a [`ReplayWindow`] remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimits {
    /// How far a signature's time may lie behind the connector's.
    pub behind: Duration,
    /// How far it may lie ahead.
    pub ahead: Duration,
    /// How many calls of one key are remembered: beyond that, the older half is not taken any more.
    pub of_one: usize,
    /// How many calls are remembered: beyond that, nothing older than now is taken any more.
    pub of_all: usize,
}

impl Default for ReplayLimits {
    fn default() -> Self {
        Self {
            behind: Duration::from_secs(60),
            ahead: Duration::from_secs(5),
            of_one: 8192,
            of_all: 1 << 17,
        }
    }
}

/// The calls that were heard lately. What it has forgotten it does not take: memory is bounded, and no call is taken twice.
#[derive(Debug)]
pub struct ReplayWindow {
    limits: ReplayLimits,
    /// Nothing older is taken: what was heard before that is forgotten.
    since: Timestamp,
    seen: BTreeMap<Fingerprint, Seen>,
    count: usize,
}

#[derive(Debug, Default)]
struct Seen {
    /// Nothing up to here is taken but what is remembered, and that is not taken again.
    floor: Timestamp,
    calls: BTreeSet<(Timestamp, [u8; 16])>,
}

impl ReplayWindow {
    /// A window that opens `now`: what was signed before is not taken, for a connector that starts again remembers nothing.
    #[must_use]
    pub fn new(limits: ReplayLimits, now: Timestamp) -> Self {
        Self {
            limits,
            since: now,
            seen: BTreeMap::new(),
            count: 0,
        }
    }

    /// Takes a call whose signature holds, once.
    ///
    /// # Errors
    /// [`CallFault`].
    pub fn admit(
        &mut self,
        who: Fingerprint,
        call: &SignedCall,
        now: Timestamp,
    ) -> Result<(), CallFault> {
        let time = call.time;
        if time < self.since || time + self.limits.behind < now || time > now + self.limits.ahead {
            return Err(CallFault::Clock);
        }
        if self.count >= self.limits.of_all {
            self.forget(now);
            if time < self.since {
                return Err(CallFault::Clock);
            }
        }
        let seen = self.seen.entry(who).or_default();
        if seen.calls.contains(&(time, call.nonce)) {
            return Err(CallFault::Repeated);
        }
        if time <= seen.floor {
            return Err(CallFault::Clock);
        }
        seen.calls.insert((time, call.nonce));
        self.count += 1;
        if seen.calls.len() > self.limits.of_one {
            self.count -= seen.thin();
        }
        Ok(())
    }

    /// How many calls are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no call is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets what is too old to be taken; and, where that is not enough, everything.
    fn forget(&mut self, now: Timestamp) {
        let behind = self.limits.behind;
        for seen in self.seen.values_mut() {
            seen.calls.retain(|(time, _)| *time + behind >= now);
        }
        self.seen
            .retain(|_, seen| !seen.calls.is_empty() || seen.floor + behind >= now);
        self.count = self.seen.values().map(|seen| seen.calls.len()).sum();
        if self.count * 2 > self.limits.of_all {
            // Also of the calls from ahead of now none must be heard a second time.
            let latest = self.seen.values().map(Seen::latest).max();
            self.since = Timestamp(latest.unwrap_or(now).max(now).0 + 1);
            self.seen.clear();
            self.count = 0;
        }
    }
}

impl Seen {
    fn latest(&self) -> Timestamp {
        let last = self.calls.last().map(|(time, _)| *time);
        last.unwrap_or_default().max(self.floor)
    }

    /// Forgets the older half and raises the floor to it; how many were forgotten.
    fn thin(&mut self) -> usize {
        let half = self.calls.len() / 2;
        let Some(floor) = self.calls.iter().nth(half).map(|(time, _)| *time) else {
            return 0;
        };
        let before = self.calls.len();
        self.floor = self.floor.max(floor);
        self.calls.retain(|(time, _)| *time > floor);
        before - self.calls.len()
    }
}

#[cfg(test)]
mod tests;
