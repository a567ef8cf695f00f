//! Sealed shares and confirmations in as few bytes as they have: what nodes send each other where the original's JSON doubles them.
//!
//! ```text
//! number of shares               4 bytes, little-endian
//! each: the other member         25 bytes
//!       both shares, sealed      2 bytes of length, little-endian, and the bytes
//! number of confirmations        4 bytes, little-endian
//! each: whose                    25 bytes
//!       tag                      2 bytes of length, little-endian, and the bytes
//! ```
//!
//! A member is the 20 bytes of its address, and 5 bytes that say which of the 40 digits, from the first, are capital letters: bit 0 of a byte first.
//! "The other member" is the receiver in a post and the sender in a delivery. Exactly one byte string stands for each value.

use delta_domain::ids::{Address, decode_hex};
use delta_domain::round::message::{Confirmation, SealedShares};

/// Media type of this form, in `Content-Type` and `Accept`.
pub(crate) const TYPE: &str = "application/vnd.delta.shares";

const ADDRESS_BYTES: usize = 25;
const LENGTH_BYTES: usize = 2;

/// What one body holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Compact {
    /// The other member, and what is sealed.
    pub(crate) shares: Vec<(Address, Vec<u8>)>,
    /// Whose word, and the tag.
    pub(crate) confirmations: Vec<Confirmation>,
}

/// Writes shares, each beside the member that `other` names, and confirmations.
///
/// Nothing that is sent is longer than 64 KiB; what were is cut off, and so refused.
pub(crate) fn encode<'a>(
    shares: &'a [SealedShares],
    other: fn(&'a SealedShares) -> &'a Address,
    confirmations: &[Confirmation],
) -> Vec<u8> {
    let mut out = Vec::new();
    count(&mut out, shares.len());
    for entry in shares {
        address(&mut out, other(entry));
        bytes(&mut out, &entry.sealed);
    }
    count(&mut out, confirmations.len());
    for entry in confirmations {
        address(&mut out, &entry.member);
        bytes(&mut out, &entry.tag);
    }
    out
}

fn address(out: &mut Vec<u8>, address: &Address) {
    // Invariant: an address is 0x and 40 hex digits.
    out.extend(decode_hex(address.as_str()).unwrap_or_default());
    let digits = &address.as_str().as_bytes()[2..];
    let capital = |digits: &[u8]| {
        let bits = digits.iter().enumerate();
        bits.fold(0, |all, (i, d)| all | u8::from(d.is_ascii_uppercase()) << i)
    };
    out.extend(digits.chunks(8).map(capital));
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
    let shares = rest.list(ADDRESS_BYTES + LENGTH_BYTES, |rest| {
        Some((rest.address()?, rest.bytes()?))
    })?;
    let confirmations = rest.list(ADDRESS_BYTES + LENGTH_BYTES, |rest| {
        Some(Confirmation {
            member: rest.address()?,
            tag: rest.bytes()?,
        })
    })?;
    rest.0.is_empty().then_some(Compact {
        shares,
        confirmations,
    })
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
        let (value, capitals) = self.take(ADDRESS_BYTES)?.split_at(ADDRESS_BYTES - 5);
        let mut text = String::from("0x");
        for (place, digit) in value.iter().flat_map(|b| [b >> 4, b & 15]).enumerate() {
            let digit = char::from_digit(u32::from(digit), 16)?;
            let capital = capitals[place / 8] >> (place % 8) & 1 == 1;
            if capital && digit.is_ascii_digit() {
                return None;
            }
            text.push(if capital {
                digit.to_ascii_uppercase()
            } else {
                digit
            });
        }
        text.parse().ok()
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
            sealed: vec![i; usize::from(i)],
        };
        (0..n).map(share).collect()
    }

    fn confirmations(n: u8) -> Vec<Confirmation> {
        let one = |i| Confirmation {
            member: address(i),
            tag: vec![i; 16],
        };
        (0..n).map(one).collect()
    }

    fn written(n: u8) -> Vec<u8> {
        encode(&shares(n), |s| &s.receiver, &confirmations(n))
    }

    #[test]
    fn what_is_written_is_read() {
        for n in [0, 1, 5] {
            let read = decode(&written(n)).unwrap();
            let expected = shares(n).into_iter().map(|s| (s.receiver, s.sealed));
            assert_eq!(read.shares, expected.collect::<Vec<_>>());
            assert_eq!(read.confirmations, confirmations(n));
        }
    }

    #[test]
    fn capital_letters_of_addresses_are_kept() {
        for text in [
            "0xAbCdEf0123456789aBcDeF0123456789ABCDEFab",
            "0xffffffffffffffffffffffffffffffffffffffff",
            "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
        ] {
            let word = Confirmation {
                member: text.parse().unwrap(),
                tag: vec![1],
            };
            let read = decode(&encode(&[], |s| &s.sender, std::slice::from_ref(&word))).unwrap();
            assert_eq!(read.confirmations, [word]);
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
        stranger[4 + 20] |= 1;
        assert_eq!(decode(&stranger), None, "a digit is no capital letter");
        // Numbers that nobody has the bytes for.
        for (at, length) in [(0, 8), (4, 8)] {
            let mut huge = vec![0; length];
            huge[at..at + 4].fill(0xff);
            assert_eq!(decode(&huge), None);
        }
    }
}
