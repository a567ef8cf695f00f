//! The signature of a call in its metadata, at both ends (docs/protocol/identity.md, Signed calls).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use prost::Message;
use rand_core::Rng as _;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Status};

use delta_domain::identity::{NodeKey, SignedCall};
use delta_domain::ids::{Digest, decode_hex, encode_hex};
use delta_domain::secagg::keys::PublicKey;
use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;
use delta_ports::entropy::Entropy;

const KEY: &str = "delta-key";
/// Also in a refusal: the connector's own time.
pub(crate) const TIME: &str = "delta-time";
const NONCE: &str = "delta-nonce";
const SIGNATURE: &str = "delta-signature";

/// How far a connector's clock is followed. Whoever is on a plain-text way can pretend to be it, and keep a call that is signed for
/// a later time: no later than this.
const MOST_APART_MS: i64 = 24 * 3600 * 1000;

/// The longest value of these, in bytes: a signature.
const MAX_VALUE: usize = 2 + 2 * 64;

/// Signs a node's calls.
#[derive(Clone)]
pub struct CallSigner {
    key: Arc<NodeKey>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// How far the connector's clock is ahead of this one, in ms, as it said when it refused a call for its time.
    ahead: Arc<AtomicI64>,
}

impl fmt::Debug for CallSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallSigner").finish_non_exhaustive()
    }
}

impl CallSigner {
    /// Signs under `key`.
    #[must_use]
    pub fn new(key: Arc<NodeKey>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            key,
            clock,
            entropy,
            ahead: Arc::default(),
        }
    }

    /// `message` as a request of `method`, signed.
    pub(crate) fn sign<T: Message>(&self, method: &str, message: T) -> Result<Request<T>, Status> {
        let mut nonce = [0; 16];
        let mut rng = self
            .entropy
            .rng()
            .map_err(|e| Status::internal(e.message().to_owned()))?;
        rng.fill_bytes(&mut nonce);
        let ahead = self.ahead.load(Ordering::Relaxed);
        let time = Timestamp(self.clock.now().0.saturating_add_signed(ahead));
        let call = SignedCall::new(&self.key, method, &body_of(&message), time, nonce);
        let mut request = Request::new(message);
        write(request.metadata_mut(), &call)?;
        Ok(request)
    }

    /// Whether a refusal says that this clock is wrong; then the next signature follows the connector's, within a day.
    pub(crate) fn learns(&self, status: &Status) -> bool {
        let Some(theirs) = status.metadata().get(TIME).and_then(number) else {
            return false;
        };
        let ahead = theirs.checked_signed_diff(self.clock.now().0);
        let Some(ahead) = ahead.filter(|ms| ms.abs() <= MOST_APART_MS) else {
            tracing::error!(
                "the connector's clock and this node's are more than a day apart: set them right"
            );
            return false;
        };
        let before = self.ahead.swap(ahead, Ordering::Relaxed);
        if (ahead - before).abs() > 1000 {
            let seconds = ahead / 1000;
            tracing::warn!(
                seconds,
                "the connector's clock is ahead of this node's by so much; signatures follow it"
            );
        }
        true
    }
}

/// SHA-256 of a message as protobuf writes it: fields in ascending order, values that are defaults and fields that are unknown left out.
pub(crate) fn body_of(message: &impl Message) -> Digest {
    Digest::of(&message.encode_to_vec())
}

fn write(metadata: &mut MetadataMap, call: &SignedCall) -> Result<(), Status> {
    let values = [
        (KEY, call.key.to_wire()),
        (TIME, call.time.0.to_string()),
        (NONCE, encode_hex(&call.nonce)),
        (SIGNATURE, encode_hex(&call.signature)),
    ];
    for (name, value) in values {
        let value = value
            .parse()
            .map_err(|_| Status::internal("the signature cannot be written"))?;
        metadata.insert(name, value);
    }
    Ok(())
}

/// The signature of a call; `None` when there is none.
///
/// # Errors
/// UNAUTHENTICATED when it is not one in full, each part once.
pub(crate) fn read(metadata: &MetadataMap) -> Result<Option<SignedCall>, Status> {
    let names = [KEY, TIME, NONCE, SIGNATURE];
    if names.iter().all(|name| metadata.get(*name).is_none()) {
        return Ok(None);
    }
    let once = |name| {
        let mut all = metadata.get_all(name).iter();
        let value = all.next().filter(|v| v.len() <= MAX_VALUE)?;
        all.next().is_none().then_some(value)
    };
    let text = |name| once(name).and_then(|v| v.to_str().ok());
    let call = || {
        Some(SignedCall {
            key: PublicKey::parse(NodeKey::CURVE, text(KEY)?).ok()?,
            time: Timestamp(once(TIME).and_then(number)?),
            nonce: decode_hex(text(NONCE)?).ok()?.try_into().ok()?,
            signature: decode_hex(text(SIGNATURE)?).ok()?,
        })
    };
    match call() {
        Some(call) => Ok(Some(call)),
        None => Err(Status::unauthenticated(
            "the call's signature is incomplete or not in its form",
        )),
    }
}

fn number(value: &MetadataValue<Ascii>) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests;
