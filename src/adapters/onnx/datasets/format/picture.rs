//! Images: `.png`, `.jpg` and `.bmp`, one sample each, known to the decoder by their content.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::ImageReader;

use crate::failure::Failure;

/// Longest side of an image.
const SIDE: usize = 16_384;

/// Appends the pixels from 0 to 255, channels first. The image has exactly the height and width of `shape`.
pub(super) fn append(path: &Path, shape: &[usize], out: &mut Vec<f32>) -> Result<(), Failure> {
    let (channels, height, width) = match shape {
        [height, width] => (1, *height, *width),
        [channels @ (1 | 3 | 4), height, width] => (*channels, *height, *width),
        _ => {
            return Err(Failure::rejected(format!(
                "images have the shape [channels, height, width], not {shape:?}"
            )));
        }
    };
    let side = |n: usize| u32::try_from(n.min(SIDE)).unwrap_or(u32::MAX);
    let file = File::open(path).map_err(|e| Failure::unreadable("it", &e))?;
    let mut reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|e| Failure::unreadable("it", &e))?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(side(width.max(1)));
    limits.max_image_height = Some(side(height.max(1)));
    limits.max_alloc = Some(512 << 20);
    reader.limits(limits);
    let image = reader.decode().map_err(|e| {
        Failure::corrupt(format!(
            "it cannot be decoded as a {width} by {height} image: {e}"
        ))
    })?;
    if (image.width(), image.height()) != (side(width), side(height)) {
        return Err(Failure::corrupt(format!(
            "it is {} by {} pixels, the task expects {width} by {height}; resize the images first",
            image.width(),
            image.height()
        )));
    }
    let pixels = match channels {
        1 => image.into_luma8().into_raw(),
        3 => image.into_rgb8().into_raw(),
        _ => image.into_rgba8().into_raw(),
    };
    for channel in 0..channels {
        out.extend(
            pixels
                .iter()
                .skip(channel)
                .step_by(channels)
                .map(|p| f32::from(*p)),
        );
    }
    Ok(())
}
