//! The format against files as NumPy writes them, against damage, and against itself.

use proptest::prelude::*;

use super::*;
use crate::tensor::DType;

/// An `.npy` file of version 1.0 with this dictionary, unpadded.
fn file(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(dictionary.len()).unwrap();
    [
        b"\x93NUMPY\x01\x00".as_slice(),
        &length.to_le_bytes(),
        dictionary.as_bytes(),
        data,
    ]
    .concat()
}

fn described(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    file(
        &format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n"),
        data,
    )
}

fn values(bytes: &[u8]) -> TensorData {
    decode(bytes).unwrap().into_data()
}

#[test]
fn files_are_byte_for_byte_those_of_numpy() {
    // numpy.save(f, numpy.array([[1, 2, 3]], dtype="float32")) of NumPy 2.4.
    let mut expected =
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }"
            .to_vec();
    expected.resize(127, b' ');
    expected.push(b'\n');
    for x in [1.0_f32, 2.0, 3.0] {
        expected.extend(x.to_le_bytes());
    }
    let tensor = Tensor::new(vec![1, 3], TensorData::F32(vec![1.0, 2.0, 3.0])).unwrap();
    assert_eq!(encode(&tensor), expected);
    assert_eq!(decode(&expected).unwrap(), tensor);
}

#[test]
fn big_endian_and_small_integers_are_converted() {
    assert_eq!(
        values(&described(">f8", "False", "(1,)", &1.5_f64.to_be_bytes())),
        TensorData::F64(vec![1.5])
    );
    assert_eq!(
        values(&described(">i2", "False", "(2,)", &[0xff, 0xfe, 0, 7])),
        TensorData::I32(vec![-2, 7])
    );
    assert_eq!(
        values(&described("<u2", "False", "(1,)", &[0xff, 0xff])),
        TensorData::I32(vec![65535])
    );
    assert_eq!(
        values(&described("|i1", "False", "(1,)", &[0xff])),
        TensorData::I32(vec![-1])
    );
    assert_eq!(
        values(&described("<u4", "False", "(1,)", &[0xff; 4])),
        TensorData::I64(vec![4_294_967_295])
    );
    assert_eq!(
        values(&described("|b1", "False", "(3,)", &[0, 1, 2])),
        TensorData::Bool(vec![false, true, true])
    );
}

#[test]
fn unsigned_numbers_that_do_not_fit_are_errors() {
    assert_eq!(
        values(&described("<u8", "False", "()", &5_u64.to_le_bytes())),
        TensorData::I64(vec![5])
    );
    assert_eq!(
        decode(&described("<u8", "False", "()", &[0xff; 8])),
        Err(NpyError::TooLarge(u64::MAX))
    );
}

#[test]
fn fortran_order_becomes_row_major() {
    // Element (i, j, k) is 100 i + 10 j + k; the file runs through i first.
    let mut stored = Vec::new();
    let mut rows = Vec::new();
    for k in 0..4_u8 {
        for j in 0..3 {
            for i in 0..2 {
                stored.push(100 * i + 10 * j + k);
            }
        }
    }
    for i in 0..2_u8 {
        for j in 0..3 {
            for k in 0..4 {
                rows.push(100 * i + 10 * j + k);
            }
        }
    }
    assert_eq!(
        values(&described("|u1", "True", "(2, 3, 4)", &stored)),
        TensorData::U8(rows)
    );
    assert_eq!(
        decode(&described("|u1", "True", "(0, 3)", &[]))
            .unwrap()
            .shape(),
        [0, 3]
    );
}

#[test]
fn versions_two_and_three_and_python_2_are_read() {
    let text = b"{\"shape\": (2L,), \"fortran_order\": False, \"descr\": \"|u1\"}  \n";
    for version in [2, 3] {
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        let bytes = [
            b"\x93NUMPY".as_slice(),
            &[version, 0],
            &length,
            text,
            &[8, 9],
        ]
        .concat();
        assert_eq!(values(&bytes), TensorData::U8(vec![8, 9]));
    }
}

#[test]
fn headers_in_json_are_read() {
    let text = r#"{"descr": "|u1", "fortran_order": true, "shape": [2, 2]}"#;
    assert_eq!(
        values(&file(text, &[1, 2, 3, 4])),
        TensorData::U8(vec![1, 3, 2, 4])
    );
    let elements = Elements::parse(">f2").unwrap();
    assert_eq!((elements.name(), elements.size()), ("float16", 2));
    assert_eq!(
        elements.decode(&[0x3c, 0, 0xc0, 0]).unwrap(),
        TensorData::F32(vec![1.0, -2.0])
    );
}

#[test]
fn pickles_inside_arrays_are_refused() {
    let error = decode(&described("|O", "False", "(1,)", b"\x80\x04K\x01.")).unwrap_err();
    assert!(error.to_string().contains("pickled Python"), "{error}");
}

#[test]
fn a_shape_larger_than_the_file_is_an_error_before_anything_is_allocated() {
    let huge = described("<f8", "False", "(1000000000, 1000000)", &[0; 8]);
    assert!(matches!(
        decode(&huge),
        Err(NpyError::Size { found: 8, .. })
    ));
    let overflow = described(
        "<f8",
        "False",
        "(4294967296, 4294967296, 4294967296)",
        &[0; 8],
    );
    assert!(matches!(decode(&overflow), Err(NpyError::Header(_))));
    let with_zero = described("<f8", "False", "(18446744073709551615, 0)", &[]);
    assert_eq!(decode(&with_zero).unwrap().len(), 0);
}

#[test]
fn missing_and_spare_bytes_are_errors() {
    let good = described("<f4", "False", "(2,)", &[0; 8]);
    assert!(decode(&good).is_ok());
    assert!(matches!(
        decode(&good[..good.len() - 1]),
        Err(NpyError::Size { .. })
    ));
    assert!(matches!(
        decode(&[&good[..], &[0]].concat()),
        Err(NpyError::Size { .. })
    ));
}

#[test]
fn headers_that_only_python_would_accept_are_errors() {
    for text in [
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} ; import os",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1+1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '=f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '|f4', 'fortran_order': False, 'shape': (2,)}",
    ] {
        assert!(decode(&file(text, &[0; 8])).is_err(), "{text}");
    }
    let deep = format!(
        "{{'descr': '|u1', 'fortran_order': False, 'shape': ({})}}",
        "1,".repeat(33)
    );
    assert!(decode(&file(&deep, &[0])).is_err());
}

#[test]
fn a_header_of_a_hundred_megabytes_is_an_error_by_its_length() {
    let bytes = [
        b"\x93NUMPY\x02\x00".as_slice(),
        &100_000_000_u32.to_le_bytes(),
        b"{'descr'",
    ]
    .concat();
    assert!(decode(&bytes).unwrap_err().to_string().contains("64 KiB"));
}

#[test]
fn a_part_of_a_large_file_can_be_read() {
    let tensor = Tensor::new(vec![3, 2], TensorData::I64(vec![1, 2, 3, 4, 5, 6])).unwrap();
    let bytes = encode(&tensor);
    let header = Header::parse(&bytes[..128]).unwrap();
    let row = 2 * header.stored_size();
    let second = &bytes[header.data_start() + row..header.data_start() + 2 * row];
    assert_eq!(
        header.elements(second).unwrap(),
        TensorData::I64(vec![3, 4])
    );
}

#[test]
fn a_large_array_is_refused_by_its_header() {
    let promise = described("<f8", "False", "(1000000000, 1000000)", &[]);
    let mut reader = Reader::new(1 << 20);
    assert!(
        reader
            .push(&promise)
            .unwrap_err()
            .to_string()
            .contains("allowed")
    );
    assert!(Reader::new(1 << 20).finish().is_err());
    let garbage = Reader::new(1 << 20).push(&[7; MAX_PREFIX]);
    assert!(matches!(garbage, Err(NpyError::Header(_))));
}

#[test]
fn paths_and_bombs_and_other_things_are_no_npz() {
    let zeros = Tensor::zeros(DType::F64, vec![1000]).unwrap();
    for name in ["", "a/b", "..", "a\\b", "a\nb"] {
        assert!(encode_npz(&[(name, &zeros)]).is_err(), "{name:?}");
    }
    assert!(encode_npz(&[("x", &zeros), ("x", &zeros)]).is_err());
    let bytes = encode_npz(&[("x", &zeros), ("y", &zeros)]).unwrap();
    let limits = |arrays, expanded_bytes| NpzLimits {
        arrays,
        expanded_bytes,
    };
    assert!(decode_npz(&bytes, &limits(2, 2 * 8128)).is_ok());
    assert!(decode_npz(&bytes, &limits(2, 2 * 8128 - 1)).is_err());
    assert!(decode_npz(&bytes, &limits(1, 1 << 20)).is_err());
    assert!(decode_npz(b"\x80\x04K\x01.", &NpzLimits::default()).is_err());
}

fn any_tensor() -> impl Strategy<Value = Tensor> {
    let shape = prop::collection::vec(0_usize..5, 0..4);
    (shape, 0..6, any::<u64>()).prop_map(|(shape, kind, seed)| {
        let n: usize = shape.iter().product();
        // A different bit pattern for every element, without NaNs, which equal nothing.
        let bits = |i: usize| {
            seed.rotate_left(7)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(i as u64)
        };
        let data = match kind {
            0 => TensorData::F32((0..n).map(|i| bits(i) as i32 as f32).collect()),
            1 => TensorData::F64((0..n).map(|i| bits(i) as i64 as f64).collect()),
            2 => TensorData::I32((0..n).map(|i| bits(i) as i32).collect()),
            3 => TensorData::I64((0..n).map(|i| bits(i) as i64).collect()),
            4 => TensorData::U8((0..n).map(|i| bits(i) as u8).collect()),
            _ => TensorData::Bool((0..n).map(|i| bits(i) % 3 == 0).collect()),
        };
        Tensor::new(shape, data).unwrap()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(a in any_tensor(), b in any_tensor()) {
        prop_assert_eq!(&decode(&encode(&a)).unwrap(), &a);
        let bytes = encode_npz(&[("a", &a), ("weights.0", &b)]).unwrap();
        let back = decode_npz(&bytes, &NpzLimits::default()).unwrap();
        prop_assert_eq!(&back["a"], &a);
        prop_assert_eq!(&back["weights.0"], &b);
    }

    #[test]
    fn in_pieces_a_file_is_read_as_in_one(tensor in any_tensor(), order in 0..3, piece in 1_usize..200, damage in any::<prop::sample::Index>(), spare in 0_usize..3) {
        // As NumPy writes it, as it would on another machine, and with a byte too few, too many or changed.
        let mut bytes = encode(&tensor);
        if order > 0 {
            let at = bytes.iter().position(|b| *b == b'<').unwrap_or(0);
            if order == 1 && bytes[at] == b'<' { bytes[at] = b'>'; }
            if order == 2 { let i = damage.index(bytes.len()); bytes[i] ^= 0x40; }
        }
        bytes.truncate(bytes.len() + 1 - spare.min(1));
        bytes.extend(std::iter::repeat_n(0, spare.saturating_sub(1)));
        if spare == 1 { bytes.pop(); }
        let whole = decode(&bytes);
        let mut reader = Reader::new(usize::MAX);
        let pieces = bytes.chunks(piece).try_for_each(|p| reader.push(p));
        let read = pieces.and_then(|()| reader.finish());
        prop_assert_eq!(read.as_ref().ok().map(encode), whole.as_ref().ok().map(encode));
    }

    #[test]
    fn an_npz_is_written_piece_by_piece(a in any_tensor(), b in any_tensor(), piece in 1_usize..100) {
        let mut writer = NpzWriter::default();
        let mut bytes = Vec::new();
        for (name, tensor) in [("a", &a), ("weights.0", &b)] {
            let file = encode(tensor);
            writer.begin(name, file.len() as u64).unwrap();
            for part in file.chunks(piece) {
                writer.write(part).unwrap();
                bytes.extend(writer.take());
            }
        }
        prop_assert!(writer.begin("../a", 1).is_err());
        bytes.extend(writer.finish().unwrap());
        let back = decode_npz(&bytes, &NpzLimits::default()).unwrap();
        prop_assert_eq!(back.len(), 2);
        prop_assert_eq!(&back["a"], &a);
        prop_assert_eq!(&back["weights.0"], &b);
    }

    #[test]
    fn a_digest_needs_no_file(tensor in any_tensor()) {
        prop_assert_eq!(digest(&tensor), Digest::of(&encode(&tensor)));
    }

    #[test]
    fn damage_never_panics(tensor in any_tensor(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        for mut bytes in [encode(&tensor), encode_npz(&[("a", &tensor)]).unwrap()] {
            let i = at.index(bytes.len());
            bytes[i] = to;
            bytes.truncate(cut.index(bytes.len()).max(i + 1));
            drop((decode(&bytes), decode_npz(&bytes, &NpzLimits::default()), Header::parse(&bytes)));
        }
    }

    #[test]
    fn garbage_never_panics(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode(&[b"\x93NUMPY\x01\x00".as_slice(), &garbage].concat()));
        drop(decode(&file(&String::from_utf8_lossy(&garbage), &garbage)));
        drop(decode_npz(&[b"PK\x03\x04".as_slice(), &garbage].concat(), &NpzLimits::default()));
    }
}
