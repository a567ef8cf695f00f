//! Pictures: PNG, JPEG, BMP and TIFF, one sample each, known by their content.
//!
//! Numbers are those of the file, channels first: 0 to 255, or to 65535 where it has 16 bits; never scaled. What a conversion would lose is
//! refused. How a picture is turned (EXIF) is not looked at, as in most programs.
//!
//! Size, colours and end of a picture are found without decoding it, so that all of them can be looked at before a task is run.

mod bmp;
mod jpeg;
mod png;
mod tiff;

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use image::{DynamicImage, ImageReader};

use super::Scale;
use crate::failure::Failure;

/// Longest side of an image.
const SIDE: usize = 16_384;
/// Most bytes of a picture, as a file and decoded.
const BYTES: u64 = 512 << 20;

/// Files up to this length are read at once.
const SMALL: u64 = 64 << 10;

/// What a picture says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    width: usize,
    height: usize,
    /// 1 grey, 2 grey with transparency, 3 colours, 4 colours with transparency.
    channels: usize,
    /// Whether a number has 16 bits, and not 8 or fewer.
    wide: bool,
    /// Pictures in the file.
    pages: usize,
}

/// How a sample's shape is made of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    /// Channels of each page.
    channels: usize,
    pages: usize,
}

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Png,
    Jpeg,
    Bmp,
    Tiff,
}

impl Kind {
    fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            // Two letters are little; four bytes that are always zero stand behind the length.
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Self::Bmp),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            _ => None,
        }
    }
}

/// Whether a file that begins so is a picture.
pub(super) fn begins(start: &[u8]) -> bool {
    Kind::of(start).is_some()
}

/// Whether the picture is one sample of `shape`, and whole; and its largest possible number.
///
/// # Errors
/// What differs, and what to do.
pub(super) fn fits(path: &Path, shape: &[usize]) -> Result<Scale, Failure> {
    let (_, head, _) = open(path)?;
    wanted(&head, shape)?;
    Ok(if head.wide { u16::MAX } else { 255 })
}

/// Appends the picture as one sample of `shape`.
///
/// # Errors
/// As [`fits`], and what cannot be decoded.
pub(super) fn append(path: &Path, shape: &[usize], out: &mut Vec<f32>) -> Result<(), Failure> {
    let (kind, head, mut file) = open(path)?;
    let wanted = wanted(&head, shape)?;
    file.rewind().map_err(|e| unreadable(&e))?;
    if kind == Kind::Tiff {
        return tiff::pages(file, &head, |pixels| planes(pixels, &head, wanted, out));
    }
    let format = match kind {
        Kind::Png => image::ImageFormat::Png,
        Kind::Jpeg => image::ImageFormat::Jpeg,
        Kind::Bmp | Kind::Tiff => image::ImageFormat::Bmp,
    };
    let mut reader = ImageReader::with_format(file, format);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(BYTES);
    reader.limits(limits);
    let image = reader
        .decode()
        .map_err(|e| Failure::corrupt(format!("it is damaged and cannot be decoded: {e}")))?;
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    if (size(image.width()), size(image.height())) != (head.width, head.height) {
        return Err(Failure::corrupt(
            "it is damaged: it has another size than it says",
        ));
    }
    match image {
        DynamicImage::ImageLuma8(i) => planes(Pixels::Narrow(i.as_raw(), 1), &head, wanted, out),
        DynamicImage::ImageLumaA8(i) => planes(Pixels::Narrow(i.as_raw(), 2), &head, wanted, out),
        DynamicImage::ImageRgb8(i) => planes(Pixels::Narrow(i.as_raw(), 3), &head, wanted, out),
        DynamicImage::ImageRgba8(i) => planes(Pixels::Narrow(i.as_raw(), 4), &head, wanted, out),
        DynamicImage::ImageLuma16(i) => planes(Pixels::Wide(i.as_raw(), 1), &head, wanted, out),
        DynamicImage::ImageLumaA16(i) => planes(Pixels::Wide(i.as_raw(), 2), &head, wanted, out),
        DynamicImage::ImageRgb16(i) => planes(Pixels::Wide(i.as_raw(), 3), &head, wanted, out),
        DynamicImage::ImageRgba16(i) => planes(Pixels::Wide(i.as_raw(), 4), &head, wanted, out),
        _ => Err(unusual("numbers that are not whole")),
    }
}

/// Opens a picture and reads its head.
fn open(path: &Path) -> Result<(Kind, Head, BufReader<File>), Failure> {
    let file = File::open(path).map_err(|e| unreadable(&e))?;
    let length = file.metadata().map_err(|e| unreadable(&e))?.len();
    if length > BYTES {
        return Err(Failure::exhausted(format!(
            "it has {length} bytes, more than the {BYTES} of a picture"
        )));
    }
    let mut file = BufReader::new(file);
    let mut start = [0; 16];
    match file.read_exact(&mut start) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err(early()),
        read => read.map_err(|e| unreadable(&e))?,
    }
    let kind = Kind::of(&start).ok_or_else(|| {
        Failure::corrupt("it is no picture that is read here; save it as PNG, JPEG, BMP or TIFF")
    })?;
    file.rewind().map_err(|e| unreadable(&e))?;
    let head = match length <= SMALL {
        // Read at once: looking here and there in a hundred thousand files takes its time.
        true => {
            let mut all = Vec::new();
            let read = (&mut file).take(SMALL).read_to_end(&mut all);
            read.map_err(|e| unreadable(&e))?;
            head(kind, &mut Cursor::new(all), length)?
        }
        false => head(kind, &mut file, length)?,
    };
    Ok((kind, head, file))
}

fn head(kind: Kind, file: &mut (impl BufRead + Seek), length: u64) -> Result<Head, Failure> {
    match kind {
        Kind::Png => png::head(file, length),
        Kind::Jpeg => jpeg::head(file, length),
        Kind::Bmp => bmp::head(file, length),
        Kind::Tiff => tiff::head(file, length),
    }
}

/// How the picture becomes a sample of `shape`.
fn wanted(head: &Head, shape: &[usize]) -> Result<Wanted, Failure> {
    let (first, height, width) = match shape {
        [height, width] => (1, *height, *width),
        [first, height, width] => (*first, *height, *width),
        _ => {
            return Err(Failure::rejected(format!(
                "images have the shape [channels, height, width], not {shape:?}"
            )));
        }
    };
    if (head.width, head.height) != (width, height) {
        return Err(Failure::corrupt(format!(
            "it is {} by {} pixels, the task expects {width} by {height}; resize the images first",
            head.width, head.height
        )));
    }
    if width.max(height) > SIDE {
        return Err(Failure::exhausted(format!(
            "pictures of more than {SIDE} pixels on a side are not read"
        )));
    }
    if head.pages > 1 {
        if first != head.pages || head.channels != 1 {
            return Err(Failure::corrupt(format!(
                "it has {} pages of {} channels, the task expects the shape {shape:?}; save one page a file, or grey pages for the shape [pages, height, width]",
                head.pages, head.channels
            )));
        }
        return Ok(Wanted {
            channels: 1,
            pages: first,
        });
    }
    if !matches!(first, 1 | 3 | 4) {
        return Err(Failure::corrupt(format!(
            "it is one picture, the task expects {first} channels or pages: pictures have 1, 3 or 4 channels, and only TIFF has pages"
        )));
    }
    match (head.channels, first) {
        (1, _) | (2, 4) | (3, 3 | 4) | (4, 4) => Ok(Wanted {
            channels: first,
            pages: 1,
        }),
        (3, _) => Err(Failure::corrupt(
            "it has colours, and the task expects one channel; save it in grey, as Pillow's Image.convert(\"L\") does",
        )),
        (channels, _) => Err(Failure::corrupt(format!(
            "it has transparency, which the {first} {} that the task expects would lose; save it without, as Pillow's Image.convert({:?}) does",
            if first == 1 { "channel" } else { "channels" },
            if first == 1 || channels == 2 {
                "L"
            } else {
                "RGB"
            }
        ))),
    }
}

/// The numbers of a picture, pixel after pixel, and how many a pixel has.
enum Pixels<'p> {
    Narrow(&'p [u8], usize),
    Wide(&'p [u16], usize),
}

/// Appends the wanted channels, one after the other. Grey is the same in all colours, and what has no transparency is opaque.
fn planes(
    pixels: Pixels<'_>,
    head: &Head,
    wanted: Wanted,
    out: &mut Vec<f32>,
) -> Result<(), Failure> {
    fn each<T: Copy>(pixels: &[T], stored: usize, wanted: usize, opaque: f32, out: &mut Vec<f32>)
    where
        f32: From<T>,
    {
        let one = |channel: usize, out: &mut Vec<f32>| {
            let plane = pixels.iter().skip(channel).step_by(stored);
            out.extend(plane.map(|p| f32::from(*p)));
        };
        for channel in 0..wanted {
            match (channel, stored) {
                (3, 2) => one(1, out),
                (3, 1 | 3) => out.extend(std::iter::repeat_n(opaque, pixels.len() / stored)),
                (0..=2, 1 | 2) => one(0, out),
                (channel, _) => one(channel, out),
            }
        }
    }
    let (len, stored, wide) = match pixels {
        Pixels::Narrow(p, stored) => (p.len(), stored, false),
        Pixels::Wide(p, stored) => (p.len(), stored, true),
    };
    let area = head.width.checked_mul(head.height);
    if area.and_then(|n| n.checked_mul(stored)) != Some(len) || wide != head.wide || stored == 0 {
        return Err(Failure::corrupt(
            "it is damaged: it decodes to something else than it says",
        ));
    }
    match pixels {
        Pixels::Narrow(p, stored) => each(p, stored, wanted.channels, 255.0, out),
        Pixels::Wide(p, stored) => each(p, stored, wanted.channels, 65_535.0, out),
    }
    Ok(())
}

fn early() -> Failure {
    Failure::corrupt("it ends too early: the end of the picture is missing; copy it again")
}

fn unusual(what: &str) -> Failure {
    Failure::corrupt(format!(
        "it has {what}, which is not read here; save it as PNG with 8 or 16 bits"
    ))
}

fn unreadable(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::UnexpectedEof => early(),
        _ => Failure::unreadable("it", error),
    }
}

/// The next bytes of a picture.
fn bytes<const N: usize>(file: &mut impl Read) -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|e| unreadable(&e))?;
    Ok(bytes)
}

/// Goes to a place, which must be in the file.
fn go(file: &mut (impl Read + Seek), place: u64, length: u64) -> Result<(), Failure> {
    if place > length {
        return Err(early());
    }
    file.seek(SeekFrom::Start(place))
        .map(drop)
        .map_err(|e| unreadable(&e))
}

#[cfg(test)]
mod tests;
