//! The head of a BMP, and its length.

use std::io::{BufRead, Seek};

use image::ImageDecoder as _;
use image::codecs::bmp::BmpDecoder;

use super::{Head, bytes, early, go};
use crate::failure::Failure;

pub(super) fn head(file: &mut (impl BufRead + Seek), length: u64) -> Result<Head, Failure> {
    let damaged = |e: image::ImageError| match e {
        image::ImageError::IoError(_) => early(),
        e => Failure::corrupt(format!("it is no BMP that can be read: {e}")),
    };
    let decoder = BmpDecoder::new(&mut *file).map_err(damaged)?;
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let (width, height) = decoder.dimensions();
    let channels = usize::from(decoder.color_type().channel_count());
    go(file, 10, length)?;
    let place = u32::from_le_bytes(bytes(file)?);
    let header = u32::from_le_bytes(bytes(file)?);
    let (bits, plain, entry) = if header == 12 {
        let [_, _, _, _, _, _, bits, _] = bytes::<8>(file)?;
        (bits, true, 3)
    } else {
        let [_, _, _, _, _, _, _, _, _, _, bits, _, compression, ..] = bytes::<16>(file)?;
        (bits, matches!(compression, 0 | 3), 4)
    };
    let grey = bits <= 8 && is_grey(file, (header, place), entry, length)?;
    if plain {
        let row = u64::from(width)
            .saturating_mul(u64::from(bits))
            .div_ceil(32);
        let pixels = row.saturating_mul(4).saturating_mul(u64::from(height));
        if u64::from(place).saturating_add(pixels) > length {
            return Err(early());
        }
    }
    Ok(Head {
        width: size(width),
        height: size(height),
        channels: if grey { 1 } else { channels },
        wide: false,
        pages: 1,
    })
}

/// Whether all colours of the palette, between the header and the pixels, are grey. BMP has no other grey.
fn is_grey(
    file: &mut (impl BufRead + Seek),
    (header, pixels): (u32, u32),
    entry: u32,
    length: u64,
) -> Result<bool, Failure> {
    let start = header.saturating_add(14);
    go(file, u64::from(start), length)?;
    for _ in 0..(pixels.saturating_sub(start) / entry).min(256) {
        let [blue, green, red] = bytes(file)?;
        if red != green || green != blue {
            return Ok(false);
        }
        if entry == 4 {
            bytes::<1>(file)?;
        }
    }
    Ok(true)
}
