//! The head of a JPEG, and its end: segments with their lengths in front, and between them the coded pixels.
//!
//! Source: ITU-T T.81, annex B.

use std::io::{BufRead, Read, Seek, SeekFrom};

use super::{Head, bytes, early, go, unreadable, unusual};
use crate::failure::Failure;

/// Longer files are not read through where they end as they should.
const READ: u64 = 256 << 10;
/// Most segments in front of the pixels.
const SEGMENTS: usize = 10_000;

pub(super) fn head(file: &mut (impl BufRead + Seek), length: u64) -> Result<Head, Failure> {
    let mut head = None;
    go(file, 2, length)?;
    for _ in 0..SEGMENTS {
        match marker(file)? {
            0x01 | 0xd0..=0xd8 => {}
            0xd9 => return Err(Failure::corrupt("it is damaged: it has no pixels")),
            0xda => {
                skip(file, length)?;
                ends(file, length)?;
                return head.ok_or_else(|| {
                    Failure::corrupt("it is damaged: it does not say how large it is")
                });
            }
            0xc0..=0xc2 => {
                let place = file.stream_position().map_err(|e| unreadable(&e))?;
                head = Some(frame(bytes(file)?)?);
                go(file, place, length)?;
                skip(file, length)?;
            }
            // Huffman tables, extensions and arithmetic tables stand among the frames.
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err(unusual("a rare form of JPEG (lossless or arithmetic)"));
            }
            _ => skip(file, length)?,
        }
    }
    Err(unusual("more segments than pictures have"))
}

/// What a frame's segment says: its length, bits, height, width and components.
fn frame(segment: [u8; 8]) -> Result<Head, Failure> {
    let [_, _, bits, h1, h0, w1, w0, components] = segment;
    if bits != 8 {
        return Err(unusual("more than 8 bits a number in a JPEG"));
    }
    Ok(Head {
        width: usize::from(u16::from_be_bytes([w1, w0])),
        height: usize::from(u16::from_be_bytes([h1, h0])),
        channels: match components {
            1 => 1,
            3 => 3,
            _ => return Err(unusual("colours for print (CMYK)")),
        },
        wide: false,
        pages: 1,
    })
}

/// The next marker; bytes of 255 may stand in front.
fn marker(file: &mut impl Read) -> Result<u8, Failure> {
    let [mut byte] = bytes(file)?;
    if byte != 0xff {
        return Err(Failure::corrupt(
            "it is damaged: a segment is longer than it says",
        ));
    }
    while byte == 0xff {
        [byte] = bytes(file)?;
    }
    Ok(byte)
}

/// Goes behind a segment, from its length on.
fn skip(file: &mut (impl Read + Seek), length: u64) -> Result<(), Failure> {
    let more = u64::from(u16::from_be_bytes(bytes(file)?)).saturating_sub(2);
    let place = file.stream_position().map_err(|e| unreadable(&e))?;
    go(file, place.saturating_add(more), length)
}

/// Looks for the end, from the first coded pixels on. In them 255 is followed by 0: the end cannot be a pixel.
fn ends(file: &mut (impl BufRead + Seek), length: u64) -> Result<(), Failure> {
    let from = file.stream_position().map_err(|e| unreadable(&e))?;
    if length > READ && length - 2 >= from {
        file.seek(SeekFrom::End(-2)).map_err(|e| unreadable(&e))?;
        if bytes::<2>(file)? == [0xff, 0xd9] {
            return Ok(());
        }
        go(file, from, length)?;
    }
    loop {
        let held = file.fill_buf().map_err(|e| unreadable(&e))?;
        if held.is_empty() {
            return Err(early());
        }
        let Some(at) = held.iter().position(|b| *b == 0xff) else {
            let all = held.len();
            file.consume(all);
            continue;
        };
        file.consume(at);
        match marker(file)? {
            0xd9 => return Ok(()),
            0 | 0x01 | 0xd0..=0xd8 => {}
            _ => skip(file, length)?,
        }
    }
}
