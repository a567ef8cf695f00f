//! Files as `torch.save` writes them: the pickles are those of torch 2.15, byte for byte.

use super::*;
use crate::convert::Numbers;
use crate::datasets::format::zip_of;

/// `torch.arange(6.).reshape(2, 3)`.
const ONE: &[u8] = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((X\x07\x00\x00\x00storageq\x01ctorch\nFloatStorage\nq\x02X\x01\x00\x00\x000q\x03X\x03\x00\x00\x00cpuq\x04K\x06tq\x05QK\x00K\x02K\x03\x86q\x06K\x03K\x01\x86q\x07\x89ccollections\nOrderedDict\nq\x08)Rq\ttq\nRq\x0b.";
/// `OrderedDict(x=torch.zeros(2, 3, dtype=torch.bfloat16), y=torch.zeros(2, dtype=torch.int64))`.
const ORDERED: &[u8] = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00xq\x02ctorch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04ctorch\nBFloat16Storage\nq\x05X\x01\x00\x00\x000q\x06X\x03\x00\x00\x00cpuq\x07K\x06tq\x08QK\x00K\x02K\x03\x86q\tK\x03K\x01\x86q\n\x89h\x00)Rq\x0btq\x0cRq\rX\x01\x00\x00\x00yq\x0eh\x03((h\x04ctorch\nLongStorage\nq\x0fX\x01\x00\x00\x001q\x10h\x07K\x02tq\x11QK\x00K\x02\x85q\x12K\x01\x85q\x13\x89h\x00)Rq\x14tq\x15Rq\x16u.";
/// `{"x": torch.zeros(2, 3, dtype=torch.uint8).t(), "y": torch.zeros(2, dtype=torch.bool), "n": 3, "f": 1.5, "d": torch.float32, "l": [1, None]}`
/// with protocol 4.
const PLAIN: &[u8] = b"\x80\x04\x95\x07\x01\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01x\x94\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94((\x8c\x07storage\x94\x8c\x05torch\x94\x8c\x0bByteStorage\x94\x93\x94\x8c\x010\x94\x8c\x03cpu\x94K\x06t\x94QK\x00K\x03K\x02\x86\x94K\x01K\x03\x86\x94\x89\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94t\x94R\x94\x8c\x01y\x94h\x04((h\x05h\x06\x8c\x0bBoolStorage\x94\x93\x94\x8c\x011\x94h\nK\x02t\x94QK\x00K\x02\x85\x94K\x01\x85\x94\x89h\x10)R\x94t\x94R\x94\x8c\x01n\x94K\x03\x8c\x01f\x94G?\xf8\x00\x00\x00\x00\x00\x00\x8c\x01d\x94\x8c\x05torch\x94\x8c\x07float32\x94\x93\x94\x8c\x01l\x94]\x94(K\x01Neu.";
/// `torch.nn.Parameter(torch.zeros(2))`.
const PARAMETER: &[u8] = b"\x80\x02ctorch._utils\n_rebuild_parameter\nq\x00ctorch._utils\n_rebuild_tensor_v2\nq\x01((X\x07\x00\x00\x00storageq\x02ctorch\nFloatStorage\nq\x03X\x01\x00\x00\x000q\x04X\x03\x00\x00\x00cpuq\x05K\x02tq\x06QK\x00K\x02\x85q\x07K\x01\x85q\x08\x89ccollections\nOrderedDict\nq\t)Rq\ntq\x0bRq\x0c\x88h\t)Rq\r\x87q\x0eRq\x0f.";

fn saved(pickle: &[u8], storages: &[&[u8]]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let names: Vec<String> = (0..storages.len()).map(|n| format!("a/data/{n}")).collect();
    let mut entries = vec![("a/data.pkl", pickle), ("a/byteorder", b"little")];
    entries.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(storages.iter().copied()),
    );
    zip_of(file.path(), &entries, false);
    file
}

fn rows(file: &tempfile::NamedTempFile, name: &str, rows: &[usize]) -> Result<Numbers, Failure> {
    match find(File::open(file.path()).unwrap(), &[name])? {
        Found::Array(mut array) => array.rows(rows),
        Found::Others(others) => Err(Failure::corrupt(others.join(" "))),
    }
}

fn replaced(pickle: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = pickle.windows(from.len()).position(|w| w == from).unwrap();
    [&pickle[..at], to, &pickle[at + from.len()..]].concat()
}

fn refused(pickle: &[u8]) -> String {
    let file = saved(pickle, &[&[0; 64], &[0; 64]]);
    describe(file.path()).unwrap_err().message
}

#[test]
fn a_tensor_is_read_where_it_lies() {
    let numbers: Vec<u8> = (0..6_u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    let file = saved(ONE, &[&numbers]);
    assert_eq!(
        rows(&file, UNNAMED, &[1]).unwrap(),
        Numbers::Single(vec![3.0, 4.0, 5.0])
    );
    assert_eq!(
        describe(file.path()).unwrap(),
        "array, shape [2, 3], float32"
    );
    let mut sample = Vec::new();
    append(file.path(), &[2, 3], &mut sample).unwrap();
    assert_eq!(sample, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(fits(file.path(), &[3, 2]).is_err());
    // A tensor that says it is larger than its numbers does not reach into what follows them.
    let short = saved(ONE, &[&numbers[..20]]);
    let message = rows(&short, UNNAMED, &[0]).unwrap_err().message;
    assert!(message.contains("larger than its numbers"), "{message}");
    assert!(is_torch(file.path()));
}

#[test]
fn dicts_are_read_by_the_names_of_their_tensors() {
    let x = [0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0];
    let file = saved(
        ORDERED,
        &[&x, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]],
    );
    assert_eq!(
        rows(&file, "x", &[0]).unwrap(),
        Numbers::Single(vec![1.0, 0.0, -2.0])
    );
    assert_eq!(
        rows(&file, "y", &[1, 0]).unwrap(),
        Numbers::Whole(vec![2, 1])
    );
    assert_eq!(
        describe(file.path()).unwrap(),
        "arrays: x, shape [2, 3], bfloat16; y, shape [2], int64"
    );
    assert_eq!(rows(&file, "z", &[0]).unwrap_err().message, "x y");
    let file = saved(PLAIN, &[&[1, 2, 3, 4, 5, 6], &[0, 1]]);
    assert_eq!(
        rows(&file, "x", &[0, 2]).unwrap(),
        Numbers::Whole(vec![1, 4, 3, 6]),
        "transposed"
    );
    assert_eq!(
        rows(&file, "y", &[0, 1]).unwrap(),
        Numbers::Whole(vec![0, 1])
    );
}

#[test]
fn what_would_run_code_is_named_and_refused() {
    let message = refused(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.");
    assert!(
        message.contains("class posix.system, which would run code"),
        "{message}"
    );
    let message = refused(b"\x80\x04\x8c\x03foo\x8c\x03Bar\x93)\x81.");
    assert!(
        message.contains("class foo.Bar, which would run code"),
        "{message}"
    );
    assert!(refused(PARAMETER).contains("x.detach()"));
    let message = refused(&replaced(ONE, b"FloatS", b"ComplexFloatS"));
    assert!(message.contains("type ComplexFloat"), "{message}");
    assert!(refused(b"\x80\x02K\x01.").contains("neither a tensor nor a dict"));
    let message = refused(&replaced(ORDERED, b"\0xq", b"\0aq"));
    assert!(
        message.contains("it holds a, y; tasks read x or arr_0"),
        "{message}"
    );
}

#[test]
fn damage_and_bombs_end_in_errors() {
    for end in 0..ONE.len() {
        assert!(pickle::read(&ONE[..end]).is_err(), "{end}");
    }
    for at in 0..ORDERED.len() {
        for bit in [1, 0x40, 0x80] {
            let mut damaged = ORDERED.to_vec();
            damaged[at] ^= bit;
            // Whatever comes of it, it comes to an end.
            drop(pickle::read(&damaged));
        }
    }
    // A tuple of two of the one before, a thousand times: two to the thousandth in Python's repr, a thousand nodes here.
    let mut bomb = b"\x80\x02)q\x00".to_vec();
    for _ in 0..1000 {
        bomb.extend(b"h\x00h\x00\x86q\x00");
    }
    bomb.push(b'.');
    assert!(pickle::read(&bomb).is_err());
}

#[test]
fn old_files_and_other_archives_say_the_cure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let said = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).unwrap();
        describe(file.path()).unwrap_err().message
    };
    assert!(
        said(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.").contains("old form")
    );
    assert!(said(b"\x80\x02K\x01.").contains("no file that torch.save wrote"));
    zip_of(file.path(), &[("x.npy", b"")], false);
    let message = describe(file.path()).unwrap_err().message;
    assert!(message.contains("name it .npz"), "{message}");
    zip_of(
        file.path(),
        &[("a/data.pkl", ONE), ("a/constants.pkl", b"")],
        false,
    );
    let message = describe(file.path()).unwrap_err().message;
    assert!(message.contains("TorchScript"), "{message}");
}
