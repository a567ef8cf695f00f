//! What is fuzzed: one function for each thing that reads a stranger's bytes, with the laws that must hold whatever comes.
//!
//! `fuzz_targets/` runs them under libFuzzer, `tests/fuzz_smoke.rs` on stable Rust over the seeds and mutations of them.

#![allow(
    clippy::unwrap_used,
    reason = "a law that does not hold must stop the run"
)]

use std::sync::LazyLock;

use bytes::Bytes;
use delta_node::adapters::{http, onnx, prover};
use delta_node::domain::bundle::{Bundle, BundleLimits};
use delta_node::domain::connector_record::RecordEvent;
use delta_node::domain::manifest::Manifest;
use delta_node::domain::npy;
use delta_node::domain::round::message::{RoundView, ShareDelivery};
use delta_node::domain::secagg::keys::{Curve, PublicKey};
use delta_node::domain::secagg::mask::Sign;
use delta_node::domain::secagg::masked_input::{MaskedInputHeader, StreamAdder};
use delta_node::domain::secagg::shamir::Share;
use delta_node::ports::certifier::Certifier as _;
use tokio::runtime::{Builder, Runtime};

/// One thing that is fuzzed.
pub(crate) type Target = fn(&[u8]);

/// All of them, by the name of their seeds' folder.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("bundle", bundle),
    ("manifest", manifest),
    ("npy", npy),
    ("npz", npz),
    ("masked_result", masked_result),
    ("share", share),
    ("public_key", public_key),
    ("messages", messages),
    ("multipart", multipart),
    ("json_body", json_body),
    ("query", query),
    ("certificate", certificate),
    ("onnx", graph),
    ("csv", csv),
    ("parquet", parquet),
    ("arrow", arrow),
    ("xlsx", xlsx),
    ("xls", xls),
    ("ods", ods),
    ("sqlite", sqlite),
    ("text", text),
    ("array_npy", array_npy),
    ("array_npz", array_npz),
    ("pt", pt),
    ("picture", picture),
];

const SMALL: usize = 1 << 20;

/// A certificate: what holds has rows of two members, and a norm that is a number.
pub(crate) fn certificate(data: &[u8]) {
    static CERTIFIER: LazyLock<prover::RistrettoCertifier> = LazyLock::new(Default::default);
    if let Ok(verdict) = CERTIFIER.judge(data) {
        assert!(verdict.rows > 0 && verdict.members.len() >= 2);
        assert!(verdict.norm.is_finite());
    }
}

/// A zip with a task in it. What opens has a commitment to these very bytes, and packs again.
pub(crate) fn bundle(data: &[u8]) {
    let limits = BundleLimits {
        bytes: SMALL,
        expanded_bytes: 16 * SMALL,
        ..BundleLimits::default()
    };
    if let Ok(bundle) = Bundle::open(data, &limits) {
        assert_eq!(
            bundle.commitment(),
            delta_node::domain::ids::Digest::of(data)
        );
        assert!(bundle.manifest().errors().is_empty());
    }
}

/// `task.json`. What has no problem can be explained and written again.
pub(crate) fn manifest(data: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(data) else {
        return;
    };
    if manifest.errors().is_empty() {
        assert!(!manifest.disclosure().is_empty());
        let again = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(
            serde_json::from_slice::<Manifest>(&again).unwrap(),
            manifest
        );
    }
}

/// One array. What is read is written and read back the same, NaNs included: the bytes are compared.
pub(crate) fn npy(data: &[u8]) {
    if let Ok(tensor) = npy::decode(data) {
        let written = npy::encode(&tensor);
        let again = npy::decode(&written).unwrap();
        assert_eq!(npy::encode(&again), written);
    }
}

/// Several arrays in a zip.
pub(crate) fn npz(data: &[u8]) {
    let limits = npy::NpzLimits::default();
    if let Ok(arrays) = npy::decode_npz(data, &limits) {
        let list: Vec<_> = arrays.iter().map(|(name, t)| (name.as_str(), t)).collect();
        let written = npy::encode_npz(&list).unwrap();
        assert_eq!(
            npy::decode_npz(&written, &limits).unwrap().len(),
            arrays.len()
        );
    }
}

/// A header and words. One byte string for one header; words come in any pieces and never leave the sum's bounds.
pub(crate) fn masked_result(data: &[u8]) {
    if let Ok(header) = MaskedInputHeader::decode(data) {
        assert_eq!(&header.encode()[..], &data[..header.encode().len()]);
        if let Some(bytes) = header.total_bytes() {
            assert!(bytes >= 128);
        }
    }
    let mut sum = [0_u64; 8];
    let mut adder = StreamAdder::new(Sign::Plus);
    let pieces = data
        .chunks(7)
        .try_for_each(|piece| adder.push(&mut sum, piece));
    assert_eq!(
        pieces.is_ok() && adder.finish(&sum).is_ok(),
        data.len() == 64
    );
}

/// A share: exactly one byte string for each.
pub(crate) fn share(data: &[u8]) {
    if let Ok(share) = Share::decode(data) {
        assert_eq!(share.encode().as_slice(), data);
    }
}

/// x of secp256k1's generator (SEC 2, section 2.4.1).
const GENERATOR_X: [u8; 32] = [
    0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07,
    0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98,
];

/// A public key on each curve, and a signature that must not hold.
pub(crate) fn public_key(data: &[u8]) {
    for curve in [Curve::Secp256k1, Curve::Secp256r1, Curve::Secp384r1] {
        if let Ok(key) = PublicKey::from_bytes(curve, data) {
            assert_eq!(PublicKey::parse(curve, &key.to_wire()).unwrap(), key);
            assert!(key.verify(b"nobody signed this", data).is_err());
            assert!(key.verify(b"nor this", data).is_err());
        }
    }
    // A signature needs a key that is one.
    let mut generator = vec![2];
    generator.extend_from_slice(&GENERATOR_X);
    if let Ok(key) = PublicKey::from_bytes(Curve::Secp256k1, &generator) {
        assert!(key.verify(b"nor this", data).is_err());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        drop(PublicKey::parse(Curve::Secp256k1, text));
    }
}

/// What a coordinator answers, and what the connector publishes.
pub(crate) fn messages(data: &[u8]) {
    if let Ok(view) = serde_json::from_slice::<RoundView>(data) {
        let again = serde_json::to_vec(&view).unwrap();
        assert_eq!(serde_json::from_slice::<RoundView>(&again).unwrap(), view);
    }
    drop(serde_json::from_slice::<ShareDelivery>(data));
    if let Ok(text) = std::str::from_utf8(data) {
        let event = RecordEvent::PartnerSelected {
            task: text.to_owned(),
            round: 1,
            addrs: text.split(' ').map(str::to_owned).collect(),
        };
        drop(event.parse());
    }
}

/// A form, in pieces whose size the first byte says.
pub(crate) fn multipart(data: &[u8]) {
    let Some((&size, rest)) = data.split_first() else {
        return;
    };
    let size = usize::from(size).max(1);
    let pieces = rest.chunks(size).map(Bytes::copy_from_slice).collect();
    now(http::probe::multipart("b", pieces));
}

/// A body of sealed shares.
pub(crate) fn json_body(data: &[u8]) {
    now(http::probe::shares(data.to_vec()));
    if let Some((shares, signatures)) = http::probe::compact_shares(data) {
        assert!(46 * shares + 44 * signatures + 8 <= data.len());
    }
}

/// A query string.
pub(crate) fn query(data: &[u8]) {
    let _named = http::probe::query(&String::from_utf8_lossy(data));
}

/// A graph. What passes the check passes it again in our own encoding, and comes out the same.
pub(crate) fn graph(data: &[u8]) {
    if let Some(ours) = onnx::probe::graph(data) {
        assert_eq!(onnx::probe::graph(&ours), Some(ours));
    }
}

/// A table.
pub(crate) fn csv(data: &[u8]) {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::io::Write::write_all(&mut file, data).unwrap();
    let columns = ["a".to_owned(), "b".to_owned()];
    if let Some(rows) = onnx::probe::table(file.path(), &columns) {
        assert!(rows <= data.len());
    }
}

/// A file with this ending and these bytes.
fn file(ending: &str, data: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
    std::io::Write::write_all(&mut file, data).unwrap();
    file
}

/// A table in a format of its own: the same number of rows, however it is read.
fn table(ending: &str, data: &[u8]) {
    let file = file(ending, data);
    let columns = ["a".to_owned(), "b".to_owned()];
    let [plain, noised, told] = onnx::probe::tables(file.path(), &columns);
    if let (Some(plain), Some(noised)) = (plain, noised) {
        assert_eq!(plain, noised);
    }
    if let (Some(plain), Some(told)) = (plain, told) {
        assert_eq!(plain, told);
    }
}

/// Parquet, as a table.
pub(crate) fn parquet(data: &[u8]) {
    table(".parquet", data);
}

/// Arrow's file and stream, as a table.
pub(crate) fn arrow(data: &[u8]) {
    table(".arrow", data);
}

/// A workbook, as a table.
pub(crate) fn xlsx(data: &[u8]) {
    table(".xlsx", data);
}

/// An old workbook, as a table.
pub(crate) fn xls(data: &[u8]) {
    table(".xls", data);
}

/// An OpenDocument spreadsheet, as a table.
pub(crate) fn ods(data: &[u8]) {
    table(".ods", data);
}

/// A SQLite file, as a table.
pub(crate) fn sqlite(data: &[u8]) {
    table(".sqlite", data);
}

/// A text in any dialect, as a table. Under noise it may be read otherwise.
pub(crate) fn text(data: &[u8]) {
    let file = file(".txt", data);
    let columns = ["a".to_owned(), "b".to_owned()];
    let _rows = onnx::probe::tables(file.path(), &columns);
}

/// Rows of an array, where it lies in its file.
pub(crate) fn array_npy(data: &[u8]) {
    onnx::probe::array(file(".npy", data).path());
}

/// The same in an archive.
pub(crate) fn array_npz(data: &[u8]) {
    onnx::probe::array(file(".npz", data).path());
}

/// The same in a file of torch.
pub(crate) fn pt(data: &[u8]) {
    onnx::probe::array(file(".pt", data).path());
}

/// A picture of any format, as one sample.
pub(crate) fn picture(data: &[u8]) {
    let file = file(".png", data);
    for channels in [1, 3] {
        if let Some(values) = onnx::probe::picture(file.path(), &[channels, 2, 2]) {
            assert_eq!(values, channels * 4);
        }
    }
}

/// Runs a future on a runtime of one thread.
fn now<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());
    RUNTIME.block_on(work)
}
