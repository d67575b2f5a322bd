//! Colour pictures as PNG, with text in them.

use std::io;
use std::path::Path;

use crate::atomic;
use crate::error::{Error, Result};

/// A picture of 8-bit sRGB pixels, row by row from the top left, as the bytes of a PNG file. `text` holds keywords
/// (1 to 79 Latin characters, such as `Description`) and what they say.
///
/// # Errors
///
/// [`Error::Encode`] when `rgb` does not hold `3 * width * height` bytes, or a keyword is not allowed.
pub fn encode_rgb(width: usize, height: usize, rgb: &[u8], text: &[(&str, &str)]) -> Result<Vec<u8>> {
    let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
    if expected != Some(rgb.len()) || rgb.is_empty() {
        let detail = format!("{} bytes for a picture of {width} x {height} pixels", rgb.len());
        return Err(Error::Encode { detail });
    }
    let mut bytes = Vec::new();
    encode(&mut bytes, width, height, rgb, text)
        .map_err(|error| Error::Encode { detail: error.to_string() })?;
    Ok(bytes)
}

/// Writes the bytes of [`encode_rgb`] to a file, whole or not at all.
///
/// # Errors
///
/// As [`encode_rgb`], and [`Error::Write`] or [`Error::DiskFull`].
pub fn write_rgb(path: &Path, width: usize, height: usize, rgb: &[u8], text: &[(&str, &str)]) -> Result<()> {
    let bytes = encode_rgb(width, height, rgb, text)?;
    atomic::write(path, |out| Ok(io::Write::write_all(out, &bytes)?))
}

fn encode(
    out: &mut Vec<u8>,
    width: usize,
    height: usize,
    rgb: &[u8],
    text: &[(&str, &str)],
) -> std::result::Result<(), png::EncodingError> {
    let side = |length| u32::try_from(length).map_err(io::Error::other);
    let mut encoder = png::Encoder::new(out, side(width)?, side(height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    for (keyword, text) in text {
        // The plain chunk is Latin-1 and read by everything; the international one is UTF-8.
        if text.is_ascii() {
            encoder.add_text_chunk((*keyword).to_owned(), (*text).to_owned())?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), (*text).to_owned())?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_and_text_come_back() {
        let rgb: Vec<u8> = (0..5 * 4 * 3).map(|value| value * 4).collect();
        let bytes = encode_rgb(5, 4, &rgb, &[("Software", "Vesalius 0.1"), ("Comment", "3 mm³")]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut back = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut back).unwrap();
        assert_eq!((frame.width, frame.height, back), (5, 4, rgb));
        let info = reader.info();
        assert_eq!(info.uncompressed_latin1_text[0].text, "Vesalius 0.1");
        assert_eq!(info.utf8_text[0].get_text().unwrap(), "3 mm³");
    }

    #[test]
    fn a_wrong_length_is_refused() {
        assert_eq!(encode_rgb(5, 4, &[0; 59], &[]).unwrap_err().code(), "E_ENCODE");
        assert_eq!(encode_rgb(0, 4, &[], &[]).unwrap_err().code(), "E_ENCODE");
        assert_eq!(encode_rgb(1, 1, &[0; 3], &[("", "no keyword")]).unwrap_err().code(), "E_ENCODE");
    }
}
