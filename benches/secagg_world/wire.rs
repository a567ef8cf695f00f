//! Bytes on the wire: what goes by HTTP as JSON, what goes through the connector as protobuf.

use delta_node::domain::ids::Address;

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
