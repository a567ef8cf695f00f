//! Zstandard as `zstd -d` reads it: frame after frame, each compared with its checksum, and nothing behind them.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The text in the frames of a file.
pub(super) struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    /// Whether a frame is open.
    within: bool,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
            within: false,
        }
    }

    /// Opens the next frame with a text; false at the end of the file.
    fn open(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.within = true;
                    return Ok(true);
                }
                // Something for others than us.
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let mut skipped = (&mut self.source).take(length);
                    if io::copy(&mut skipped, &mut io::sink())? < length {
                        return Err(damaged());
                    }
                }
                Err(_) => return Err(damaged()),
            }
        }
    }

    /// At the end of a frame: its content must be what its checksum says, where it has one.
    fn close(&mut self) -> io::Result<()> {
        self.within = false;
        let stored = self.decoder.get_checksum_from_data();
        match stored.is_none() || stored == self.decoder.get_calculated_checksum() {
            true => Ok(()),
            false => Err(damaged()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.within && !self.open()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.source, one);
                decoded.map_err(|_| damaged())?;
            }
            match self.decoder.read(into)? {
                0 if self.decoder.is_finished() => self.close()?,
                read => return Ok(read),
            }
        }
    }
}

fn damaged() -> io::Error {
    let text = "it is compressed, and it ends too early or is damaged; copy or make it again";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_checksum(text: &[u8], sum: [u8; 4]) -> Vec<u8> {
        // One raw block, the last one, and a checksum behind it.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58];
        let header = (u32::try_from(text.len()).unwrap() << 3) | 1;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(text);
        frame.extend(sum);
        frame
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Frames::new(bytes).read_to_end(&mut text)?;
        Ok(text)
    }

    /// The lower half of XXH64 of a text, as the decoder computes it.
    fn sum_of(text: &[u8]) -> [u8; 4] {
        let mut frames = Frames::new(io::Cursor::new(with_checksum(text, [0; 4])));
        let mut out = Vec::new();
        let _mismatch = frames.read_to_end(&mut out);
        frames
            .decoder
            .get_calculated_checksum()
            .unwrap()
            .to_le_bytes()
    }

    #[test]
    fn all_frames_are_read_and_each_is_checked() {
        let text = b"a,b\n1,2\n";
        let good = with_checksum(text, sum_of(text));
        assert_eq!(read(&good).unwrap(), text);
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7][..], &good].concat();
        let twice = [&skipped[..], &good].concat();
        assert_eq!(read(&twice).unwrap(), [&text[..], text].concat());
        assert!(read(&[&good[..], b"garbage"].concat()).is_err());
        for at in 9..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            assert!(read(&flipped).is_err(), "{at}");
        }
        for end in 1..good.len() {
            assert!(read(&good[..end]).is_err(), "{end}");
        }
        assert_eq!(read(b"").unwrap(), b"");
    }
}
