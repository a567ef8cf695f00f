//! Sealed shares and signatures in as few bytes as they have: what nodes send each other where the original's JSON doubles them.
//!
//! ```text
//! number of shares               4 bytes, little-endian
//! each: the other member         42 ASCII characters
//!       seed share, key share    2 bytes of length, little-endian, and the bytes, twice
//! number of signatures           4 bytes, little-endian
//! each: signer                   42 ASCII characters
//!       signature                2 bytes of length, little-endian, and the bytes
//! ```
//!
//! "The other member" is the receiver in a post and the sender in a delivery. Exactly one byte string stands for each value.

use delta_domain::ids::Address;
use delta_domain::round::message::{SealedShares, TranscriptSignature};

/// Media type of this form, in `Content-Type` and `Accept`.
pub(crate) const TYPE: &str = "application/vnd.delta.shares";

const ADDRESS_BYTES: usize = 42;
const LENGTH_BYTES: usize = 2;

/// What one body holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Compact {
    /// The other member, its seed share and its key share.
    pub(crate) shares: Vec<(Address, [Vec<u8>; 2])>,
    /// Who signed, and the signature.
    pub(crate) signatures: Vec<TranscriptSignature>,
}

/// Writes shares, each beside the member that `other` names, and signatures.
///
/// Nothing that is sent is longer than 64 KiB; what were is cut off, and so refused.
pub(crate) fn encode<'a>(
    shares: &'a [SealedShares],
    other: fn(&'a SealedShares) -> &'a Address,
    signatures: &[TranscriptSignature],
) -> Vec<u8> {
    let mut out = Vec::new();
    count(&mut out, shares.len());
    for entry in shares {
        out.extend_from_slice(other(entry).as_str().as_bytes());
        bytes(&mut out, &entry.seed_share);
        bytes(&mut out, &entry.sk_share);
    }
    count(&mut out, signatures.len());
    for entry in signatures {
        out.extend_from_slice(entry.signer.as_str().as_bytes());
        bytes(&mut out, &entry.signature);
    }
    out
}

fn count(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&bytes[..usize::from(length)]);
}

/// Reads the form, all of it and nothing more. Never allocates more than a few times its length.
pub(crate) fn decode(body: &[u8]) -> Option<Compact> {
    let mut rest = Rest(body);
    let shares = rest.list(ADDRESS_BYTES + 2 * LENGTH_BYTES, |rest| {
        Some((rest.address()?, [rest.bytes()?, rest.bytes()?]))
    })?;
    let signatures = rest.list(ADDRESS_BYTES + LENGTH_BYTES, |rest| {
        Some(TranscriptSignature {
            signer: rest.address()?,
            signature: rest.bytes()?,
        })
    })?;
    rest.0.is_empty().then_some(Compact { shares, signatures })
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, n: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number, and as many entries of at least `least` bytes, which are there before room is made for them.
    fn list<T>(
        &mut self,
        least: usize,
        mut entry: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let n = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        let n = usize::try_from(n).ok()?;
        if n > self.0.len() / least {
            return None;
        }
        (0..n).map(|_| entry(self)).collect()
    }

    fn address(&mut self) -> Option<Address> {
        std::str::from_utf8(self.take(ADDRESS_BYTES)?)
            .ok()?
            .parse()
            .ok()
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = u16::from_le_bytes(self.take(LENGTH_BYTES)?.try_into().ok()?);
        self.take(usize::from(length)).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> Address {
        format!("0x{}", format!("{n:02x}").repeat(20))
            .parse()
            .unwrap()
    }

    fn shares(n: u8) -> Vec<SealedShares> {
        let share = |i: u8| SealedShares {
            sender: address(200),
            receiver: address(i),
            seed_share: vec![i; usize::from(i)],
            sk_share: vec![1, i],
        };
        (0..n).map(share).collect()
    }

    fn signatures(n: u8) -> Vec<TranscriptSignature> {
        let signature = |i| TranscriptSignature {
            signer: address(i),
            signature: vec![i; 65],
        };
        (0..n).map(signature).collect()
    }

    fn written(n: u8) -> Vec<u8> {
        encode(&shares(n), |s| &s.receiver, &signatures(n))
    }

    #[test]
    fn what_is_written_is_read() {
        for n in [0, 1, 5] {
            let read = decode(&written(n)).unwrap();
            let expected = shares(n)
                .into_iter()
                .map(|s| (s.receiver, [s.seed_share, s.sk_share]));
            assert_eq!(read.shares, expected.collect::<Vec<_>>());
            assert_eq!(read.signatures, signatures(n));
        }
    }

    #[test]
    fn nothing_else_is_read() {
        let good = written(3);
        for cut in 0..good.len() {
            assert_eq!(decode(&good[..cut]), None, "cut at {cut}");
        }
        assert_eq!(decode(&[&good[..], &[0]].concat()), None);
        let mut stranger = good;
        stranger[4] = b'9';
        assert_eq!(decode(&stranger), None, "an address begins with 0x");
        // Numbers that nobody has the bytes for.
        for (at, length) in [(0, 8), (4, 8)] {
            let mut huge = vec![0; length];
            huge[at..at + 4].fill(0xff);
            assert_eq!(decode(&huge), None);
        }
    }
}
