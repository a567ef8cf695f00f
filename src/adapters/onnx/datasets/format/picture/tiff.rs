//! TIFF: whole numbers of 8 or 16 bits, on one page or several of one size.

use std::io::{Read, Seek};

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::{BYTES, Head, Pixels, early, unusual};
use crate::failure::Failure;

/// Most pages of a file.
const PAGES: usize = 4096;

pub(super) fn head(file: &mut (impl Read + Seek), length: u64) -> Result<Head, Failure> {
    let mut decoder = Decoder::new(file).map_err(damaged)?;
    let mut all: Option<Head> = None;
    loop {
        if !is_preview(&mut decoder)? {
            let page = page(&mut decoder, length)?;
            let first = all.get_or_insert(Head { pages: 0, ..page });
            if (Head { pages: 0, ..page }) != (Head { pages: 0, ..*first }) {
                return Err(Failure::corrupt(
                    "its pages are of different sizes or colours; save one page a file",
                ));
            }
            first.pages += 1;
            if first.pages > PAGES {
                return Err(Failure::corrupt(format!(
                    "it has more than {PAGES} pages; save fewer a file"
                )));
            }
        }
        if !decoder.more_images() {
            return all.ok_or_else(|| Failure::corrupt("it has no picture"));
        }
        decoder.next_image().map_err(damaged)?;
    }
}

/// Gives each page's pixels, in the order of the file.
pub(super) fn pages(
    file: impl Read + Seek,
    head: &Head,
    mut each: impl FnMut(Pixels<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(BYTES).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new(file).map_err(damaged)?.with_limits(limits);
    let mut left = head.pages;
    loop {
        if !is_preview(&mut decoder)? {
            left = left.saturating_sub(1);
            match decoder.read_image().map_err(damaged)? {
                DecodingResult::U8(pixels) => each(Pixels::Narrow(&pixels, head.channels)),
                DecodingResult::U16(pixels) => each(Pixels::Wide(&pixels, head.channels)),
                _ => Err(unusual("numbers that are not whole")),
            }?;
        }
        if left == 0 {
            return Ok(());
        }
        decoder.next_image().map_err(damaged)?;
    }
}

/// Whether a page only shows another one in a smaller size.
fn is_preview(decoder: &mut Decoder<impl Read + Seek>) -> Result<bool, Failure> {
    let kind: Option<u32> = decoder
        .find_tag_unsigned(Tag::NewSubfileType)
        .map_err(damaged)?;
    Ok(kind.is_some_and(|kind| kind & 1 == 1))
}

fn page(decoder: &mut Decoder<impl Read + Seek>, length: u64) -> Result<Head, Failure> {
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let (channels, bits) = match decoder.colortype().map_err(damaged)? {
        ColorType::Gray(bits) => (1, bits),
        ColorType::GrayA(bits) => (2, bits),
        ColorType::RGB(bits) => (3, bits),
        ColorType::RGBA(bits) => (4, bits),
        ColorType::Palette(_) => return Err(unusual("a palette in a TIFF")),
        other => return Err(unusual(&format!("the colours {other:?}"))),
    };
    if !matches!(bits, 8 | 16) {
        return Err(unusual(&format!("{bits} bits a number in a TIFF")));
    }
    let order: Option<u16> = decoder.find_tag_unsigned(Tag::FillOrder).map_err(damaged)?;
    if order.is_some_and(|order| order != 1) {
        return Err(unusual("its bits in another order"));
    }
    let formats: Option<Vec<u16>> = decoder
        .find_tag_unsigned_vec(Tag::SampleFormat)
        .map_err(damaged)?;
    if formats.is_some_and(|formats| formats.iter().any(|f| *f != 1)) {
        return Err(unusual("numbers with a sign or a fraction"));
    }
    let planar: Option<u16> = decoder
        .find_tag_unsigned(Tag::PlanarConfiguration)
        .map_err(damaged)?;
    if channels > 1 && planar == Some(2) {
        return Err(unusual("its channels stored apart"));
    }
    for (places, lengths) in [
        (Tag::StripOffsets, Tag::StripByteCounts),
        (Tag::TileOffsets, Tag::TileByteCounts),
    ] {
        let mut of = |tag| decoder.find_tag_unsigned_vec::<u64>(tag).map_err(damaged);
        let (places, lengths) = (of(places)?, of(lengths)?);
        let ends = places
            .into_iter()
            .flatten()
            .zip(lengths.into_iter().flatten());
        if { ends }.any(|(place, len)| place.saturating_add(len) > length) {
            return Err(early());
        }
    }
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(Head {
        width: size(width),
        height: size(height),
        channels,
        wide: bits == 16,
        pages: 1,
    })
}

fn damaged(error: tiff::TiffError) -> Failure {
    match error {
        tiff::TiffError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => early(),
        error => Failure::corrupt(format!("it is no TIFF that can be read: {error}")),
    }
}
