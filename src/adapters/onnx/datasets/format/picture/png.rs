//! The head of a PNG, and its end: chunks, each with its length in front.
//!
//! Source: the specification of PNG, third edition, sections 5 and 11.

use std::io::{Read, Seek, SeekFrom};

use super::{Head, bytes, early, go, unreadable, unusual};
use crate::failure::Failure;

/// The last chunk: nothing, its name and its checksum.
const END: [u8; 12] = *b"\0\0\0\0IEND\xae\x42\x60\x82";
/// Most chunks in front of the pixels.
const CHUNKS: usize = 10_000;

pub(super) fn head(file: &mut (impl Read + Seek), length: u64) -> Result<Head, Failure> {
    let [_, start @ ..]: [u8; 8] = bytes(file)?;
    let size = |b: [u8; 4]| usize::try_from(u32::from_be_bytes(b)).unwrap_or(usize::MAX);
    let first: [u8; 8] = bytes(file)?;
    if start != *b"PNG\r\n\x1a\n" || first != *b"\0\0\0\x0dIHDR" {
        return Err(Failure::corrupt("it is damaged: it begins as no PNG does"));
    }
    let (width, height) = (size(bytes(file)?), size(bytes(file)?));
    let [depth, colours, ..]: [u8; 5] = bytes(file)?;
    let (mut grey_palette, mut transparent) = (false, false);
    let mut place = 33;
    for _ in 0..CHUNKS {
        go(file, place, length)?;
        let (len, name): ([u8; 4], [u8; 4]) = (bytes(file)?, bytes(file)?);
        match &name {
            b"PLTE" => grey_palette = is_grey(file, size(len))?,
            b"tRNS" => transparent = true,
            b"IDAT" => break,
            _ => {}
        }
        place = after(place, len);
    }
    let channels = match (colours, transparent) {
        (0, false) => 1,
        (3, false) if grey_palette => 1,
        (0, true) | (4, _) => 2,
        (2 | 3, false) => 3,
        (2 | 3, true) | (6, _) => 4,
        _ => return Err(unusual("a form of colours")),
    };
    ends(file, place, length)?;
    Ok(Head {
        width,
        height,
        channels,
        wide: depth == 16,
        pages: 1,
    })
}

/// The place of the next chunk.
fn after(place: u64, len: [u8; 4]) -> u64 {
    let len = u64::from(u32::from_be_bytes(len));
    place.saturating_add(len.saturating_add(12))
}

/// Whether all colours of a palette are grey.
fn is_grey(file: &mut impl Read, length: usize) -> Result<bool, Failure> {
    for _ in 0..length.min(3 * 256) / 3 {
        let [red, green, blue] = bytes(file)?;
        if red != green || green != blue {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Looks for the last chunk: at the end of the file, or else from chunk to chunk, where something follows.
fn ends(file: &mut (impl Read + Seek), mut place: u64, length: u64) -> Result<(), Failure> {
    file.seek(SeekFrom::End(-12)).map_err(|e| unreadable(&e))?;
    if bytes::<12>(file)? == END {
        return Ok(());
    }
    while place.saturating_add(12) <= length {
        go(file, place, length)?;
        let (len, name): ([u8; 4], [u8; 4]) = (bytes(file)?, bytes(file)?);
        if name == *b"IEND" {
            return Ok(());
        }
        place = after(place, len);
    }
    Err(early())
}
