//! Pictures as programs write them, damaged ones, and conversions that would lose something.

use std::io::Write as _;

use image::{ImageBuffer, ImageFormat, Luma, Rgb, Rgba};

use super::*;

/// What becomes of a file of these bytes, which has no ending.
fn read(bytes: &[u8], shape: &[usize]) -> Result<Vec<f32>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(
        begins(&bytes[..bytes.len().min(16)]),
        Kind::of(bytes).is_some()
    );
    let mut out = Vec::new();
    let appended = append(&path, shape, &mut out);
    // What inspection says is what reading says, but for what only decoding shows.
    if let Err(f) = fits(&path, shape) {
        assert_eq!(appended.as_ref().map_err(|f| &f.message), Err(&f.message));
    }
    appended.map(|()| out).map_err(|f| f.message)
}

fn encoded<P, C>(picture: &ImageBuffer<P, C>, format: ImageFormat) -> Vec<u8>
where
    P: image::PixelWithColorType,
    [P::Subpixel]: image::EncodableLayout,
    C: std::ops::Deref<Target = [P::Subpixel]>,
{
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(name);
    sum.update(data);
    let len = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&len, name.as_slice(), data, &sum.sum().to_be_bytes()].concat()
}

/// A PNG of 2 by 1 pixels with a palette of two colours.
fn with_palette(palette: &[u8], transparency: &[u8]) -> Vec<u8> {
    let mut pixels = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    pixels.write_all(&[0, 0, 1]).unwrap();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]));
    out.extend(chunk(b"PLTE", palette));
    if !transparency.is_empty() {
        out.extend(chunk(b"tRNS", transparency));
    }
    out.extend(chunk(b"IDAT", &pixels.finish().unwrap()));
    out.extend(chunk(b"IEND", b""));
    out
}

#[test]
fn numbers_are_those_that_are_stored() {
    let grey = ImageBuffer::<Luma<u16>, _>::from_raw(2, 1, vec![1_u16, 65_535]).unwrap();
    let grey = encoded(&grey, ImageFormat::Png);
    assert_eq!(read(&grey, &[1, 1, 2]).unwrap(), [1.0, 65_535.0]);
    assert_eq!(read(&grey, &[1, 2]).unwrap(), [1.0, 65_535.0]);
    let three = read(&grey, &[3, 1, 2]).unwrap();
    assert_eq!(three, [1.0, 65_535.0, 1.0, 65_535.0, 1.0, 65_535.0]);
    let four = read(&grey, &[4, 1, 2]).unwrap();
    assert_eq!(four[6..], [65_535.0, 65_535.0]);
    let colours = ImageBuffer::<Rgb<u16>, _>::from_raw(1, 1, vec![1_u16, 300, 65_535]).unwrap();
    let colours = encoded(&colours, ImageFormat::Png);
    assert_eq!(read(&colours, &[3, 1, 1]).unwrap(), [1.0, 300.0, 65_535.0]);
    let clear = ImageBuffer::<Rgba<u8>, _>::from_raw(1, 1, vec![1_u8, 2, 3, 4]).unwrap();
    let clear = encoded(&clear, ImageFormat::Png);
    assert_eq!(read(&clear, &[4, 1, 1]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn what_a_conversion_would_lose_is_refused() {
    let colours = ImageBuffer::<Rgb<u8>, _>::from_raw(1, 1, vec![1_u8, 2, 3]).unwrap();
    let colours = encoded(&colours, ImageFormat::Png);
    let message = read(&colours, &[1, 1, 1]).unwrap_err();
    assert!(message.contains("convert(\"L\")"), "{message}");
    assert_eq!(read(&colours, &[4, 1, 1]).unwrap(), [1.0, 2.0, 3.0, 255.0]);
    let clear = ImageBuffer::<Rgba<u8>, _>::from_raw(1, 1, vec![1_u8, 2, 3, 4]).unwrap();
    let message = read(&encoded(&clear, ImageFormat::Png), &[3, 1, 1]).unwrap_err();
    assert!(message.contains("convert(\"RGB\")"), "{message}");
    let message = read(&colours, &[2, 1, 1]).unwrap_err();
    assert!(message.contains("2 channels or pages"), "{message}");
    assert!(read(&colours, &[3]).is_err());
}

#[test]
fn palettes_are_their_colours() {
    let colours = with_palette(&[1, 2, 3, 7, 8, 9], &[]);
    let read_colours = read(&colours, &[3, 1, 2]).unwrap();
    assert_eq!(read_colours, [1.0, 7.0, 2.0, 8.0, 3.0, 9.0]);
    assert!(read(&colours, &[1, 1, 2]).unwrap_err().contains("colours"));
    let grey = with_palette(&[5, 5, 5, 6, 6, 6], &[]);
    assert_eq!(read(&grey, &[1, 1, 2]).unwrap(), [5.0, 6.0]);
    assert_eq!(read(&grey, &[3, 1, 2]).unwrap()[..4], [5.0, 6.0, 5.0, 6.0]);
    let clear = with_palette(&[1, 2, 3, 7, 8, 9], &[0, 255]);
    assert!(
        read(&clear, &[3, 1, 2])
            .unwrap_err()
            .contains("transparency")
    );
    assert_eq!(read(&clear, &[4, 1, 2]).unwrap()[6..], [0.0, 255.0]);
}

#[test]
fn pngs_and_bmps_that_end_early_are_refused() {
    let grey = ImageBuffer::<Luma<u8>, _>::from_raw(3, 2, vec![1_u8, 2, 3, 4, 5, 6]).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Bmp] {
        let whole = encoded(&grey, format);
        let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(read(&whole, &[1, 2, 3]).unwrap(), numbers, "{format:?}");
        let spare = [whole.as_slice(), &[0; 40]].concat();
        assert_eq!(read(&spare, &[1, 2, 3]).unwrap(), numbers, "{format:?}");
        for cut in [1, 8, 13, 20] {
            let short = &whole[..whole.len() - cut];
            let message = read(short, &[1, 2, 3]).unwrap_err();
            assert!(
                message.contains("ends too early"),
                "{format:?} {cut}: {message}"
            );
        }
        for end in 0..whole.len() {
            assert!(read(&whole[..end], &[1, 2, 3]).is_err(), "{format:?} {end}");
        }
    }
}

/// A JPEG, with a segment in front of its pixels that ends like one.
fn jpeg(side: u32) -> Vec<u8> {
    let pixels = (0..side * side).map(|n| u8::try_from(n * 7 % 251).unwrap());
    let grey = ImageBuffer::<Luma<u8>, Vec<u8>>::from_raw(side, side, pixels.collect()).unwrap();
    let mut out = encoded(&grey, ImageFormat::Jpeg);
    out.splice(2..2, *b"\xff\xe1\0\x08Exi\xff\xd9!");
    out
}

#[test]
fn a_jpeg_that_ends_too_early_is_refused() {
    for side in [16_usize, 1000] {
        let whole = jpeg(u32::try_from(side).unwrap());
        let shape = [side, side];
        assert_eq!(read(&whole, &shape).unwrap().len(), side * side);
        // Programs put something behind it, cameras even a second picture.
        let spare = [whole.as_slice(), &[0; 9]].concat();
        assert!(read(&spare, &shape).is_ok());
        for end in [14, whole.len() / 2, whole.len() - 2, whole.len() - 1] {
            let message = read(&whole[..end], &shape).unwrap_err();
            assert!(message.contains("ends too early"), "{end}: {message}");
        }
        // After the segment with the false end.
        assert!(read(&whole[..11], &shape).is_err());
        let message = read(&whole, &[8, 8]).unwrap_err();
        assert!(message.contains("the task expects 8 by 8"), "{message}");
    }
    let large = jpeg(1000);
    assert!(large.len() > 256 << 10, "{} bytes", large.len());
}

fn tiff(pages: &[(u32, u32, Vec<u16>)]) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut out).unwrap();
    for (width, height, pixels) in pages {
        encoder
            .write_image::<::tiff::encoder::colortype::Gray16>(*width, *height, pixels)
            .unwrap();
    }
    out.into_inner()
}

#[test]
fn tiffs_have_pages_of_8_or_16_bits() {
    let one = tiff(&[(2, 1, vec![1, 65_535])]);
    assert_eq!(read(&one, &[1, 1, 2]).unwrap(), [1.0, 65_535.0]);
    assert_eq!(read(&one, &[3, 1, 2]).unwrap().len(), 6);
    let two = tiff(&[(2, 1, vec![1, 2]), (2, 1, vec![3, 4])]);
    assert_eq!(read(&two, &[2, 1, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    let message = read(&two, &[1, 1, 2]).unwrap_err();
    assert!(message.contains("2 pages"), "{message}");
    let message = read(&one, &[2, 1, 2]).unwrap_err();
    assert!(message.contains("it is one picture"), "{message}");
    let mixed = tiff(&[(2, 1, vec![1, 2]), (1, 2, vec![3, 4])]);
    assert!(
        read(&mixed, &[2, 1, 2])
            .unwrap_err()
            .contains("different sizes")
    );
    for end in 0..one.len() {
        assert!(read(&one[..end], &[1, 1, 2]).is_err(), "{end}");
    }
    let mut out = Cursor::new(Vec::new());
    let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut out).unwrap();
    encoder
        .write_image::<::tiff::encoder::colortype::RGB8>(1, 1, &[1, 2, 3])
        .unwrap();
    assert_eq!(read(out.get_ref(), &[3, 1, 1]).unwrap(), [1.0, 2.0, 3.0]);
    let mut out = Cursor::new(Vec::new());
    let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut out).unwrap();
    encoder
        .write_image::<::tiff::encoder::colortype::Gray32Float>(1, 1, &[1.5])
        .unwrap();
    let message = read(out.get_ref(), &[1, 1, 1]).unwrap_err();
    assert!(message.contains("save it as PNG"), "{message}");
}

#[test]
fn damage_never_panics() {
    let whole = [
        with_palette(&[1, 2, 3, 7, 8, 9], &[0, 255]),
        jpeg(8),
        tiff(&[(2, 1, vec![1, 2]), (2, 1, vec![3, 4])]),
    ];
    for bytes in whole {
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            if Kind::of(&damaged).is_some() {
                drop(read(&damaged, &[2, 1, 2]));
            }
        }
    }
}
