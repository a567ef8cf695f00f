//! The header against pinned bytes and hostile ones; the words against their definition.

use proptest::prelude::*;

use super::*;
use crate::secagg::vectors;

const FILE: &str = include_str!("../../../../tests/vectors/masked_input/bad_headers.json");

fn good(file: &serde_json::Value) -> MaskedInputHeader {
    let good = &file["good"];
    MaskedInputHeader {
        task: vectors::text(&good["task"]).parse().unwrap(),
        round: RoundNumber(7),
        sender: vectors::text(&good["sender"]).parse().unwrap(),
        ring: Ring::Z64,
        length: 1000,
    }
}

#[test]
fn a_good_header_is_pinned() {
    let file = vectors::load(FILE);
    let header = good(&file);
    let bytes = vectors::bytes(&file["good"]["bytes"]);
    assert_eq!(header.encode()[..], bytes);
    assert_eq!(MaskedInputHeader::decode(&bytes).unwrap(), header);
    MaskedInputHeader::decode_expecting(&[&bytes[..], &[1, 2, 3]].concat(), &header).unwrap();
    assert_eq!(header.total_bytes(), Some(128 + 8000));
    assert_eq!(
        MaskedInputHeader {
            length: u64::MAX / 8,
            ..header
        }
        .total_bytes(),
        None
    );
}

#[test]
fn bad_headers_are_errors_by_name() {
    let file = vectors::load(FILE);
    let expected = good(&file);
    for case in file["cases"].as_array().unwrap() {
        let error = MaskedInputHeader::decode_expecting(&vectors::bytes(&case["bytes"]), &expected)
            .unwrap_err();
        let name = match error {
            HeaderError::Truncated { .. } => "Truncated".to_owned(),
            HeaderError::Version { .. } => "Version".to_owned(),
            HeaderError::Malformed { field } => format!("Malformed {field}"),
            HeaderError::Unexpected { field } => format!("Unexpected {field}"),
        };
        assert_eq!(name, vectors::text(&case["error"]), "{}", case["case"]);
    }
}

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(at in 0..HEADER_BYTES, byte in any::<u8>()) {
        let mut bytes = good(&vectors::load(FILE)).encode();
        bytes[at] = byte;
        if let Ok(header) = MaskedInputHeader::decode(&bytes) {
            prop_assert_eq!(header.encode(), bytes);
        }
    }
}

#[test]
fn words_leave_little_endian_in_bounded_pieces() {
    let words: Vec<u64> = (0..20_000).map(|i| i * 0x0102_0304_0506).collect();
    let mut out = Vec::new();
    let mut longest = 0;
    write_le_words::<_, ()>(&words, |bytes| {
        longest = longest.max(bytes.len());
        out.extend_from_slice(bytes);
        Ok(())
    })
    .unwrap();
    assert!(longest <= 64 * 1024);
    let direct: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    assert!(out == direct);
    let mut sum = vec![1_u64; words.len()];
    add_le_bytes_into(&mut sum, 0, &out).unwrap();
    assert!(sum.iter().zip(&words).all(|(s, w)| *s == w + 1));
}

#[test]
fn a_failing_writer_stops_the_words() {
    let mut calls = 0;
    let result = write_le_words(&[0_u32; 100_000], |_| {
        calls += 1;
        if calls == 2 { Err("full") } else { Ok(()) }
    });
    assert_eq!((result, calls), (Err("full"), 2));
}
