//! The bytes of a text file: expanded where they are compressed, as UTF-8 whatever they were.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::frames::Frames;
use crate::failure::Failure;
use delta_domain::dialect::Dialect;

/// Bytes that are read from the disk at a time.
const PIECE: usize = 256 << 10;

/// How the text of a file is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coded {
    /// The owner has said so.
    Said(&'static Encoding),
    /// The file says so in its first bytes.
    Marked(&'static Encoding),
    /// Nobody says anything: UTF-8, and what is not is an error.
    Assumed,
}

/// The text of a file, and how it was encoded.
///
/// `forgiving`: bytes that are no text of its encoding are replaced, since what they stand in may be a single record's.
pub(super) fn open(
    path: &Path,
    said: &Dialect,
    forgiving: bool,
) -> Result<(Box<dyn BufRead + Send>, Coded), Failure> {
    let file = File::open(path).map_err(|e| unreadable(&e))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(Failure::corrupt(
            "it is a folder, and the task expects a table",
        ));
    }
    let mut bytes = expanded(BufReader::with_capacity(PIECE, file)).map_err(|e| unreadable(&e))?;
    let start = bytes.fill_buf().map_err(|e| unreadable(&e))?;
    let marked = Encoding::for_bom(start);
    let named = said.encoding.as_deref();
    let named = named.and_then(|name| Encoding::for_label(name.as_bytes()));
    let coded = match (named, marked) {
        (Some(encoding), None) => Coded::Said(encoding),
        (Some(encoding), Some((mark, _))) if encoding == mark => Coded::Said(encoding),
        (Some(encoding), Some((mark, _))) => {
            return Err(Failure::corrupt(format!(
                "its first bytes say that it is {}, the setting `encoding` says {}; take the setting out",
                mark.name(),
                encoding.name()
            )));
        }
        (None, Some((mark, _))) => Coded::Marked(mark),
        (None, None) => Coded::Assumed,
    };
    if named.is_none() && marked.is_none() && !forgiving {
        unmarked(start)?;
    }
    if let Some((_, length)) = marked {
        bytes.consume(length);
    }
    let text: Box<dyn BufRead + Send> = match coded {
        Coded::Said(encoding) | Coded::Marked(encoding) if encoding != UTF_8 => {
            let text = Decoding::new(bytes, encoding, forgiving);
            Box::new(BufReader::with_capacity(PIECE, text))
        }
        _ => bytes,
    };
    Ok((text, coded))
}

/// Texts of two bytes a character are full of zeros.
fn unmarked(start: &[u8]) -> Result<(), Failure> {
    let zeros = |at: usize| {
        start
            .iter()
            .skip(at)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let (high, low) = (zeros(0), zeros(1));
    let guess = match (high, low) {
        (0, 0) => return Ok(()),
        (high, low) if low > high => UTF_16LE,
        _ => UTF_16BE,
    };
    Err(Failure::corrupt(format!(
        "it has zero bytes, as a text in UTF-16 has; if it is one, set `encoding: {}`",
        guess.name().to_lowercase()
    )))
}

/// What a compressed file expands to, any other file as it is. First bytes decide, whatever its name.
fn expanded(mut file: BufReader<File>) -> io::Result<Box<dyn BufRead + Send>> {
    let start = file.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        // Several archives one after the other are one text.
        let text = flate2::bufread::MultiGzDecoder::new(file);
        Box::new(BufReader::with_capacity(PIECE, text))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable(start) {
        Box::new(BufReader::with_capacity(PIECE, Frames::new(file)))
    } else {
        Box::new(file)
    })
}

/// A frame of Zstandard that has no text, as some tools write before the others.
fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50)
}

/// Text of another encoding as UTF-8. What is no text of it is an error, or, where that must not decide, a sign of its own.
struct Decoding<R> {
    source: R,
    decoder: Decoder,
    name: &'static str,
    ready: Vec<u8>,
    at: usize,
    ended: bool,
    forgiving: bool,
}

impl<R: BufRead> Decoding<R> {
    fn new(source: R, encoding: &'static Encoding, forgiving: bool) -> Self {
        Self {
            source,
            decoder: encoding.new_decoder_without_bom_handling(),
            name: encoding.name(),
            ready: Vec::new(),
            at: 0,
            ended: false,
            forgiving,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.ready.resize(PIECE, 0);
        self.at = 0;
        let bytes = self.source.fill_buf()?;
        let last = bytes.is_empty();
        let (result, read, written) =
            self.decoder
                .decode_to_utf8_without_replacement(bytes, &mut self.ready, last);
        self.source.consume(read);
        self.ready.truncate(written);
        match result {
            DecoderResult::InputEmpty => self.ended = last,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) if self.forgiving => {
                self.ready.extend_from_slice("\u{fffd}".as_bytes());
            }
            DecoderResult::Malformed(..) => {
                let text = format!("it is no text in {}, which it was said to be", self.name);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decoding<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() && !self.ended {
            self.refill()?;
        }
        let left = self.ready.get(self.at..).unwrap_or_default();
        let length = left.len().min(into.len());
        into[..length].copy_from_slice(&left[..length]);
        self.at += length;
        Ok(length)
    }
}

/// Why a file cannot be read, in words of its owner.
pub(super) fn unreadable(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Failure::corrupt("it ends too early: it is compressed, and its end is missing")
        }
        io::ErrorKind::InvalidData => Failure::corrupt(error.to_string()),
        _ => Failure::unreadable("it", error),
    }
}
