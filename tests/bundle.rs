//! Bundles from outside: the fixtures open, and every known way to smuggle something in is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    missing_docs
)]

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use delta_node::domain::bundle::{Bundle, BundleError, BundleLimits, write_bundle};
use delta_node::domain::ids::Digest;
use delta_node::domain::npy;
use delta_node::domain::tensor::{DType, Tensor, TensorData};
use proptest::prelude::*;

const WAGES: &[u8] = include_bytes!("fixtures/wages-means.delta");
const IRIS: &[u8] = include_bytes!("fixtures/iris-logistic.delta");
const DIGITS: &[u8] = include_bytes!("../assets/digits-cnn.delta");

fn open(bytes: &[u8]) -> Result<Bundle, BundleError> {
    Bundle::open(bytes, &BundleLimits::default())
}

/// Expects a refusal of this kind whose text contains `expected`.
#[track_caller]
fn refused(bytes: &[u8], code: &str, expected: &str) {
    let error = open(bytes).expect_err("must be refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(
        error.to_string().contains(expected),
        "{error} does not contain {expected:?}"
    );
}

// ------------------------------------------------------------ good ones

#[test]
fn the_fixtures_open() {
    for (bytes, name, rounds, graphs) in [
        (WAGES, "wages-means", 1, 2),
        (IRIS, "iris-logistic", 100, 2),
        (DIGITS, "digits-cnn", 9, 5),
    ] {
        let bundle = open(bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(bundle.manifest().name, name);
        assert_eq!(bundle.manifest().total_rounds(), rounds);
        assert_eq!(bundle.graphs().count(), graphs);
        assert_eq!(bundle.commitment(), Digest::of(bytes));
        for (path, file) in bundle.manifest().graph_files() {
            assert!(bundle.graph(file).is_some_and(|g| !g.is_empty()), "{path}");
        }
    }
}

#[test]
fn initial_values_are_read_and_zeros_are_made() {
    let bundle = open(DIGITS).unwrap();
    let initial = |name: &str| bundle.initial(&name.parse().unwrap());
    let weight = initial("fc.weight").unwrap();
    assert_eq!(
        (weight.dtype(), weight.shape()),
        (DType::F32, &[10, 128][..])
    );
    let TensorData::F32(values) = weight.data() else {
        panic!("f32")
    };
    assert!(
        values.iter().all(|v| v.abs() <= 1.0 / 128_f32.sqrt()) && values.iter().any(|v| *v != 0.0)
    );
    assert_eq!(
        initial("m.conv.bias"),
        Tensor::zeros(DType::F32, vec![8]).as_ref()
    );
    assert_eq!(initial("accuracy"), Some(&Tensor::scalar(0.0)));
    assert_eq!(initial("nothing"), None);
}

#[test]
fn what_is_packed_is_opened_and_always_the_same_bytes() {
    let bundle = open(DIGITS).unwrap();
    let graphs: BTreeMap<String, Vec<u8>> = bundle
        .graphs()
        .map(|(n, g)| (n.to_owned(), g.to_vec()))
        .collect();
    let arrays: BTreeMap<String, Tensor> = ["conv.weight", "fc.weight"]
        .map(|n| {
            (
                format!("arrays/{n}.npy"),
                bundle.initial(&n.parse().unwrap()).unwrap().clone(),
            )
        })
        .into();
    let packed = write_bundle(bundle.manifest(), &graphs, &arrays).unwrap();
    assert_eq!(
        packed,
        write_bundle(bundle.manifest(), &graphs, &arrays).unwrap()
    );
    let again = open(&packed).unwrap();
    assert_eq!(again.manifest(), bundle.manifest());
    assert!(again.graphs().eq(bundle.graphs()));
    assert_eq!(
        again.initial(&"fc.weight".parse().unwrap()),
        bundle.initial(&"fc.weight".parse().unwrap())
    );
}

#[test]
fn files_that_numpy_made_are_read() {
    let bytes = include_bytes!("../assets/digits.npz");
    let arrays = npy::decode_npz(bytes, &npy::NpzLimits::default()).unwrap();
    assert_eq!(
        (arrays["x"].dtype(), arrays["x"].shape()),
        (DType::U8, &[1797, 1, 8, 8][..])
    );
    let TensorData::U8(labels) = arrays["y"].data() else {
        panic!("u8")
    };
    assert_eq!(labels[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
}

// ------------------------------------------------------------ hostile ones

/// One file of a hand-made zip. Every field can lie.
#[derive(Clone)]
struct File {
    name: Vec<u8>,
    content: Vec<u8>,
    method: u16,
    flags: u16,
    attributes: u32,
    expanded: u32,
    local_name: Vec<u8>,
    extra: Vec<u8>,
}

fn file(name: &str, content: &[u8]) -> File {
    File {
        name: name.into(),
        content: content.into(),
        method: 0,
        flags: 0,
        attributes: 0o100_644 << 16,
        expanded: content.len() as u32,
        local_name: name.into(),
        extra: Vec::new(),
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| {
            if c & 1 == 1 {
                (c >> 1) ^ 0xedb8_8320
            } else {
                c >> 1
            }
        })
    })
}

fn zip(files: &[File]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for f in files {
        let at = out.len() as u32;
        let mut common = Vec::new();
        for field in [20, f.flags, f.method, 0, 33] {
            common.extend(u16::to_le_bytes(field));
        }
        for field in [crc32(&f.content), f.content.len() as u32, f.expanded] {
            common.extend(field.to_le_bytes());
        }
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend((f.local_name.len() as u16).to_le_bytes());
        out.extend((f.extra.len() as u16).to_le_bytes());
        out.extend([&f.local_name[..], &f.extra, &f.content].concat());
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend((f.name.len() as u16).to_le_bytes());
        directory.extend((f.extra.len() as u16).to_le_bytes());
        directory.extend([0; 6]);
        directory.extend(f.attributes.to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend([&f.name[..], &f.extra].concat());
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(
        [
            (files.len() as u16).to_le_bytes(),
            (files.len() as u16).to_le_bytes(),
        ]
        .concat(),
    );
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// The files of the wages fixture, stored.
fn wages() -> Vec<File> {
    let bundle = open(WAGES).unwrap();
    let json = serde_json::to_vec(bundle.manifest()).unwrap();
    std::iter::once(file("task.json", &json))
        .chain(bundle.graphs().map(|(n, g)| file(n, g)))
        .collect()
}

/// The wages fixture with one more file.
fn wages_and(extra: File) -> Vec<u8> {
    zip(&[wages(), vec![extra]].concat())
}

fn deflated(name: &str, content: &[u8]) -> Vec<u8> {
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, options).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn the_hand_made_zip_is_itself_fine() {
    assert_eq!(
        open(&zip(&wages())).unwrap().manifest(),
        open(WAGES).unwrap().manifest()
    );
}

#[test]
fn a_file_that_climbs_out_of_its_folder_is_refused() {
    refused(
        &wages_and(file("../../etc/cron.d/task", b"x")),
        "bad_entry",
        "climbs out of its folder",
    );
    refused(
        &wages_and(file("graphs/../../x.onnx", b"x")),
        "bad_entry",
        "climbs out of its folder",
    );
    refused(
        &wages_and(file("graphs/..onnx/x.onnx", b"x")),
        "bad_entry",
        "has no place in a bundle",
    );
}

#[test]
fn absolute_and_foreign_paths_are_refused() {
    for name in [
        "/etc/passwd",
        "\\\\host\\share",
        "graphs\\x.onnx",
        "C:/x.onnx",
    ] {
        refused(&wages_and(file(name, b"x")), "bad_entry", "absolute path");
    }
}

#[test]
fn other_files_and_folders_are_refused() {
    for name in [
        "README.md",
        "graphs/",
        "graphs/.onnx",
        "graphs/a/b.onnx",
        "arrays/x.onnx",
        "graphs/x.onnx ",
        "Task.json",
        "graphs/\u{e9}.onnx",
        "",
        "graphs/x\0.onnx",
    ] {
        refused(&wages_and(file(name, b"")), "bad_entry", "");
    }
    refused(
        &wages_and(File {
            name: b"graphs/\xff.onnx".into(),
            ..file("", b"")
        }),
        "bad_entry",
        "UTF-8",
    );
}

#[test]
fn symlinks_and_special_files_are_refused() {
    for mode in [
        0o120_777, 0o040_755, 0o020_644, 0o060_644, 0o010_644, 0o140_644, 0o104_755,
    ] {
        let link = File {
            attributes: mode << 16,
            ..file("arrays/link.npy", b"/etc/passwd")
        };
        refused(&wages_and(link), "bad_entry", "not a plain file");
    }
    let folder = File {
        attributes: 0x10,
        ..file("arrays/x.npy", b"")
    };
    refused(&wages_and(folder), "bad_entry", "not a plain file");
}

#[test]
fn duplicate_names_are_refused_also_in_another_case() {
    let files = wages();
    let second = files[1].clone();
    let shouted = String::from_utf8(second.name.clone())
        .unwrap()
        .replace("mean", "MEAN");
    refused(&wages_and(second), "bad_entry", "stands twice");
    refused(
        &wages_and(file(&shouted, b"x")),
        "bad_entry",
        "stands twice",
    );
}

#[test]
fn encryption_streams_and_other_compressions_are_refused() {
    let with = |change: fn(&mut File)| {
        let mut files = wages();
        change(&mut files[1]);
        zip(&files)
    };
    refused(&with(|f| f.flags = 1), "bad_entry", "encrypted");
    refused(&with(|f| f.flags = 1 << 6), "bad_entry", "unusual way");
    refused(
        &with(|f| f.flags = 1 << 3),
        "bad_entry",
        "packed as a stream",
    );
    refused(
        &with(|f| f.method = 12),
        "bad_entry",
        "another way than deflate",
    );
    refused(
        &with(|f| f.extra = vec![1, 0, 0, 0]),
        "bad_entry",
        "extra fields",
    );
    refused(&with(|f| f.expanded = u32::MAX), "bad_entry", "");
}

#[test]
fn a_bundle_that_expands_a_thousandfold_is_refused_before_it_expands() {
    let bomb = deflated("arrays/zeros.npy", &vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    refused(
        &bomb,
        "expands",
        "arrays/zeros.npy would expand beyond 16777216 bytes",
    );
}

#[test]
fn a_bomb_that_lies_about_its_size_is_cut_off() {
    let mut bomb = deflated("arrays/zeros.npy", &vec![0; 64 << 20]);
    let end = bomb.len() - 22;
    let directory = u32::from_le_bytes(bomb[end + 16..end + 20].try_into().unwrap()) as usize;
    for at in [22, directory + 24] {
        bomb[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    refused(&bomb, "bad_entry", "cannot be expanded");
}

#[test]
fn many_files_that_together_expand_too_far_are_refused() {
    let limits = BundleLimits {
        expanded_bytes: 3000,
        ..BundleLimits::default()
    };
    let error = Bundle::open(
        &zip(&[wages(), vec![file("arrays/a.npy", &[0; 2000])]].concat()),
        &limits,
    )
    .unwrap_err();
    assert_eq!(error.code(), "expands");
    let few = BundleLimits {
        files: 2,
        ..BundleLimits::default()
    };
    assert!(
        Bundle::open(WAGES, &few)
            .unwrap_err()
            .to_string()
            .contains("3 files, more than the 2 allowed")
    );
    let small = BundleLimits {
        bytes: WAGES.len() - 1,
        ..BundleLimits::default()
    };
    assert_eq!(Bundle::open(WAGES, &small).unwrap_err().code(), "too_large");
    let short = BundleLimits {
        task_json_bytes: 100,
        ..BundleLimits::default()
    };
    assert_eq!(Bundle::open(WAGES, &short).unwrap_err().code(), "expands");
}

#[test]
fn variables_of_zeros_count_as_expansion() {
    let mut manifest = open(WAGES).unwrap().manifest().clone();
    manifest
        .variables
        .get_mut(&"mean".parse().unwrap())
        .unwrap()
        .shape = vec![1 << 20];
    let bundle = open(WAGES).unwrap();
    let graphs = bundle
        .graphs()
        .map(|(n, g)| (n.to_owned(), g.to_vec()))
        .collect();
    let bytes = write_bundle(&manifest, &graphs, &BTreeMap::new()).unwrap();
    let limits = BundleLimits {
        expanded_bytes: 1 << 20,
        ..BundleLimits::default()
    };
    assert_eq!(Bundle::open(&bytes, &limits).unwrap_err().code(), "expands");
    assert!(open(&bytes).is_ok());
}

#[test]
fn bytes_before_after_and_between_the_files_are_refused() {
    refused(
        &[b"#!/bin/sh\n", WAGES].concat(),
        "not_a_bundle",
        "does not start as a zip does",
    );
    refused(
        &[WAGES, b"x"].concat(),
        "not_a_bundle",
        "something follows the zip",
    );
    refused(
        &[WAGES, WAGES].concat(),
        "not_a_bundle",
        "something follows the zip",
    );
    let files = wages();
    let hidden = zip(&[files.clone(), vec![file("graphs/hidden.onnx", b"hidden")]].concat());
    // The last file's entry is cut out of the directory: its bytes stay, named by nothing.
    let entry = 46 + "graphs/hidden.onnx".len();
    let mut bytes = hidden[..hidden.len() - 22 - entry].to_vec();
    let mut end = hidden[hidden.len() - 22..].to_vec();
    let count = (files.len() as u16).to_le_bytes();
    end[8..10].copy_from_slice(&count);
    end[10..12].copy_from_slice(&count);
    let size = u32::from_le_bytes(end[12..16].try_into().unwrap()) - entry as u32;
    end[12..16].copy_from_slice(&size.to_le_bytes());
    bytes.extend(end);
    refused(&bytes, "not_a_bundle", "bytes that belong to no file");
}

#[test]
fn headers_that_contradict_each_other_are_refused() {
    let mut files = wages();
    files[1].local_name = files[1]
        .name
        .iter()
        .map(|b| if *b == b'm' { b'n' } else { *b })
        .collect();
    refused(&zip(&files), "bad_entry", "contradict each other");
    let good = zip(&wages());
    let mut other_size = good.clone();
    other_size[22] ^= 1;
    refused(&other_size, "bad_entry", "contradict each other");
}

#[test]
fn damaged_content_is_refused() {
    let mut bytes = zip(&wages());
    let at = 30 + "task.json".len() + 5;
    bytes[at] ^= 0x20;
    refused(&bytes, "bad_entry", "cannot be expanded");
}

#[test]
fn pickles_where_bundles_belong_are_refused() {
    refused(
        b"\x80\x04\x95\x1e\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
        "not_a_bundle",
        "Python pickle",
    );
    refused(
        &zip(&[
            file("archive/data.pkl", b"\x80\x02."),
            file("archive/version", b"3"),
        ]),
        "bad_entry",
        "Python pickle",
    );
    let object = npy::encode(&Tensor::scalar(1.0));
    let object = String::from_utf8_lossy(&object).replace("'<f8'", "'|O' ");
    assert!(npy::decode(object.as_bytes()).is_err());
    for other in [
        &b""[..],
        b"PK",
        b"PK\x05\x06",
        b"\x1f\x8b\x08",
        b"{\"format\": \"delta-task/1\"}",
    ] {
        refused(other, "not_a_bundle", "");
    }
}

#[test]
fn a_bundle_other_than_the_committed_one_has_another_commitment() {
    let committed = open(WAGES).unwrap().commitment();
    // The same files in another form are another bundle.
    assert_ne!(open(&zip(&wages())).unwrap().commitment(), committed);
    assert_ne!(open(IRIS).unwrap().commitment(), committed);
}

// ------------------------------------------------------------ files that do not fit the manifest

#[test]
fn a_missing_file_is_named_with_the_place_that_needs_it() {
    let without = |name: &str| {
        zip(&wages()
            .into_iter()
            .filter(|f| f.name != name.as_bytes())
            .collect::<Vec<_>>())
    };
    refused(
        &without("graphs/sums.onnx"),
        "missing_file",
        "graphs/sums.onnx is missing: rounds[0].map.steps[0].graph needs it",
    );
    refused(
        &without("task.json"),
        "missing_file",
        "task.json is missing",
    );
}

#[test]
fn a_file_that_nothing_names_is_refused() {
    refused(
        &wages_and(file("graphs/more.onnx", b"x")),
        "unused_file",
        "graphs/more.onnx",
    );
    refused(
        &wages_and(file("arrays/more.npy", b"x")),
        "unused_file",
        "arrays/more.npy",
    );
}

fn wages_with_json(change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut files = wages();
    let json = change(std::str::from_utf8(&files[0].content).unwrap());
    files[0] = file("task.json", json.as_bytes());
    zip(&files)
}

#[test]
fn unknown_keys_and_wrong_types_are_reported_with_their_place() {
    let bytes = wages_with_json(|json| {
        json.replacen("{\"format\"", "{\n \"run\": \"os.system\",\n \"format\"", 1)
    });
    refused(&bytes, "task_json", "line 2, column 6: unknown field `run`");
    let bytes =
        wages_with_json(|json| json.replacen("\"min_clients\":2", "\"min_clients\":\"two\"", 1));
    refused(
        &bytes,
        "task_json",
        "invalid type: string \"two\", expected u32",
    );
    let bytes = wages_with_json(|json| json.replacen("\"from\":\"data\"", "\"from\":\"file\"", 1));
    refused(&bytes, "task_json", "unknown variant `file`");
    let bytes = wages_with_json(|json| json.replacen("\"name\":\"sum\"", "\"name\":\"../sum\"", 1));
    refused(&bytes, "task_json", "name \"../sum\" is not valid");
    let deep = format!("{{\"options\":{{\"a\":{},\"format\"", "[".repeat(100_000));
    let bytes = wages_with_json(|json| json.replacen("{\"format\"", &deep, 1));
    refused(&bytes, "task_json", "recursion limit");
}

#[test]
fn problems_of_the_manifest_come_all_at_once() {
    let bytes = wages_with_json(|json| {
        json.replace("\"clients\":2", "\"clients\":0")
            .replace("delta-task/1", "delta-task/9")
            .replace("\"min_clients\":2", "\"min_clients\":0")
    });
    let error = open(&bytes).unwrap_err();
    let BundleError::Manifest(problems) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(),
        ["format", "strategy.min_clients"]
    );
}

#[test]
fn an_initial_value_must_be_what_its_variable_declares() {
    let mut manifest = open(WAGES).unwrap().manifest().clone();
    let bundle = open(WAGES).unwrap();
    manifest
        .variables
        .get_mut(&"mean".parse().unwrap())
        .unwrap()
        .init = Some("arrays/mean.npy".to_owned());
    let graphs: BTreeMap<String, Vec<u8>> = bundle
        .graphs()
        .map(|(n, g)| (n.to_owned(), g.to_vec()))
        .collect();
    let with = |tensor| {
        write_bundle(
            &manifest,
            &graphs,
            &BTreeMap::from([("arrays/mean.npy".to_owned(), tensor)]),
        )
        .unwrap()
    };
    assert!(open(&with(Tensor::zeros(DType::F64, vec![1]).unwrap())).is_ok());
    refused(
        &with(Tensor::zeros(DType::F32, vec![1]).unwrap()),
        "wrong_array",
        "must be f64 of shape [1]",
    );
    refused(
        &with(Tensor::zeros(DType::F64, vec![2]).unwrap()),
        "wrong_array",
        "must be f64 of shape [1]",
    );
    let mut files = wages();
    files[0].content = serde_json::to_vec(&manifest).unwrap();
    files[0].expanded = files[0].content.len() as u32;
    files.push(file("arrays/mean.npy", b"\x80\x04."));
    refused(&zip(&files), "bad_array", "arrays/mean.npy");
}

proptest! {
    #[test]
    fn a_damaged_bundle_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>(), stored in any::<bool>()) {
        let mut bytes = if stored { zip(&wages()) } else { WAGES.to_vec() };
        let i = at.index(bytes.len());
        bytes[i] = to;
        drop(open(&bytes));
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(open(&bytes).is_err());
    }
}

/// `docs/task.schema.json` is what the types say. To renew it: `WRITE_SCHEMA=1 cargo test --features testing --test bundle schema`.
#[cfg(feature = "testing")]
#[test]
fn the_published_schema_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/task.schema.json");
    let generated = delta_node::domain::manifest::schema_json();
    if std::env::var_os("WRITE_SCHEMA").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let published = std::fs::read_to_string(path).expect("docs/task.schema.json");
    // Compared as values: the order of keys depends on features that other crates turn on.
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert!(
        value(&published) == value(&generated),
        "docs/task.schema.json is stale; renew it as the comment above says"
    );
}
