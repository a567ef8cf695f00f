//! Bytes on the wire: what goes by HTTP, as JSON or in the compact form of shares, and through the connector as protobuf.

use delta_node::domain::ids::Address;
use delta_node::domain::round::message::{Confirmation, RequestBody, SealedShares, SignedRequest};

/// Counts what is written to it.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Bytes of a value as JSON.
pub fn json<T: serde::Serialize>(value: &T) -> u64 {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).unwrap();
    counter.0
}

/// Bytes of a field: tag (field numbers are below 16), length, content.
pub fn field(content: u64) -> u64 {
    1 + u64::from(content.max(1).ilog2() / 7 + 1) + content
}

/// Task, round and address, which every message of a round has.
pub fn envelope() -> u64 {
    field(66) + 2 + field(42)
}

/// Bytes of a list of strings.
pub fn texts<'a>(list: impl IntoIterator<Item = &'a str>) -> u64 {
    list.into_iter().map(|text| field(text.len() as u64)).sum()
}

/// Bytes of a list of members.
pub fn members<'a>(list: impl IntoIterator<Item = &'a Address>) -> u64 {
    texts(list.into_iter().map(Address::as_str))
}

/// Two lists of one call: members, and a string for each.
pub fn pairs<'a>(list: impl IntoIterator<Item = (&'a Address, String)>) -> u64 {
    let each = list
        .into_iter()
        .map(|(member, text)| field(member.as_str().len() as u64) + field(text.len() as u64));
    envelope() + each.sum::<u64>()
}

/// Bytes of a request: its shares in the compact form, the rest as JSON, which stands for url, headers and small bodies.
pub fn request(request: &SignedRequest) -> u64 {
    let (shares, confirmations) = match &request.body {
        RequestBody::Shares { shares } => (shares.as_slice(), Vec::new()),
        RequestBody::Confirm { tags, .. } => {
            let own = Confirmation {
                member: request.sender.clone(),
                tag: tags.clone(),
            };
            (&[][..], vec![own])
        }
        _ => return json(request),
    };
    let around = SignedRequest {
        body: RequestBody::FetchShares,
        ..request.clone()
    };
    json(&around) + compact(shares, &confirmations)
}

/// Bytes of shares and confirmations as `src/adapters/http/wire/compact.rs` writes them.
pub fn compact(shares: &[SealedShares], confirmations: &[Confirmation]) -> u64 {
    let of_share = |s: &SealedShares| 25 + 2 + s.sealed.len();
    let of_word = |c: &Confirmation| 25 + 2 + c.tag.len();
    let all = 8
        + shares.iter().map(of_share).sum::<usize>()
        + confirmations.iter().map(of_word).sum::<usize>();
    all as u64
}
