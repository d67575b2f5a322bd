//! Lettering: Inter, embedded, anti-aliased and placed to a quarter of a pixel.

use std::sync::LazyLock;

use fontdue::{Font, FontSettings};

use crate::canvas::{Color, Picture};

/// Finer grid on which letters are placed and covered, per pixel and axis.
const FINE: usize = 4;

static FONTS: LazyLock<Vec<Font>> = LazyLock::new(|| {
    let files: [&[u8]; 2] =
        [include_bytes!("../fonts/inter-regular.ttf"), include_bytes!("../fonts/inter-semibold.ttf")];
    files.into_iter().filter_map(|file| Font::from_bytes(file, FontSettings::default()).ok()).collect()
});

/// How heavy the strokes are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weight {
    Regular,
    Semibold,
}

/// Which end of the text stands at the given x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

/// The looks of a line of text; `size` is pixels per em.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lettering {
    pub(crate) weight: Weight,
    pub(crate) size: f32,
    pub(crate) color: Color,
    pub(crate) anchor: Anchor,
}

impl Lettering {
    /// Regular letters, anchored at the left.
    pub(crate) fn regular(size: f32, color: Color) -> Lettering {
        Lettering { weight: Weight::Regular, size, color, anchor: Anchor::Left }
    }

    /// Heavier letters, anchored at the left.
    pub(crate) fn semibold(size: f32, color: Color) -> Lettering {
        Lettering { weight: Weight::Semibold, ..Lettering::regular(size, color) }
    }

    /// The same, anchored elsewhere.
    pub(crate) fn at(self, anchor: Anchor) -> Lettering {
        Lettering { anchor, ..self }
    }

    /// Pixels from the first letter's origin to the end of the last one's advance.
    pub(crate) fn width(&self, text: &str) -> f32 {
        self.font().map_or(0.0, |font| place(font, text, self.size).1)
    }

    /// `text`, cut and ended with an ellipsis where it is wider than `limit` pixels.
    pub(crate) fn fit(&self, text: &str, limit: f32) -> String {
        let mut kept: Vec<char> = printable(text).collect();
        if self.width(text) <= limit {
            return kept.into_iter().collect();
        }
        while !kept.is_empty() {
            kept.pop();
            let shorter = kept.iter().collect::<String>().trim_end().to_owned() + "…";
            if self.width(&shorter) <= limit {
                return shorter;
            }
        }
        String::new()
    }

    /// Writes one line with its baseline at `y`.
    pub(crate) fn write(&self, picture: &mut Picture, text: &str, x: f32, y: f32) {
        let Some(font) = self.font() else { return };
        let (places, width) = place(font, text, self.size);
        let start = match self.anchor {
            Anchor::Left => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::Right => x - width,
        };
        // A margin of one em holds every overhang; the line is covered on the fine grid, then averaged.
        let margin = self.size.ceil() as usize;
        let left = start.floor() as i64 - margin as i64;
        let (columns, rows) = (width.ceil() as usize + 2 * margin + 1, 2 * margin);
        let mut fine = vec![0u8; columns * FINE * rows * FINE];
        for (letter, pen) in places {
            let (metrics, coverage) = font.rasterize(letter, self.size * FINE as f32);
            let offset = ((start + pen - left as f32) * FINE as f32).round() as i64 + i64::from(metrics.xmin);
            let top = (y.fract() * FINE as f32).round() as i64 + ((margin * 3 / 2) * FINE) as i64
                - i64::from(metrics.ymin)
                - metrics.height as i64;
            cover(&mut fine, columns * FINE, &coverage, metrics.width, [offset, top]);
        }
        let above = y.floor() as i64 - (margin * 3 / 2) as i64;
        for row in 0..rows {
            for column in 0..columns {
                let sum: u32 = (0..FINE * FINE)
                    .map(|n| (row * FINE + n / FINE) * columns * FINE + column * FINE + n % FINE)
                    .map(|at| u32::from(fine[at]))
                    .sum();
                let coverage = sum as f32 / (255 * FINE * FINE) as f32;
                picture.blend(left + column as i64, above + row as i64, self.color, coverage);
            }
        }
    }

    fn font(&self) -> Option<&'static Font> {
        FONTS.get(self.weight as usize)
    }
}

/// Adds a letter's coverage to the fine grid of `columns` columns, its corner at `[x, y]`.
fn cover(fine: &mut [u8], columns: usize, coverage: &[u8], width: usize, [x, y]: [i64; 2]) {
    for (row, line) in coverage.chunks(width.max(1)).enumerate() {
        for (column, &value) in line.iter().enumerate() {
            let (fx, fy) = (x + column as i64, y + row as i64);
            if fx < 0 || fy < 0 || fx >= columns as i64 {
                continue;
            }
            if let Some(under) = fine.get_mut(fy as usize * columns + fx as usize) {
                *under = under.saturating_add(value);
            }
        }
    }
}

/// What the font can write; anything else becomes a question mark, control characters a blank.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|letter| match letter {
        _ if letter.is_control() => ' ',
        '\u{a0}' => ' ',
        _ if FONTS.first().is_some_and(|font| font.has_glyph(letter)) => letter,
        _ => '?',
    })
}

/// Each letter with its pen position in pixels, and the width of the whole.
fn place(font: &Font, text: &str, size: f32) -> (Vec<(char, f32)>, f32) {
    let mut pen = 0.0;
    let mut places = Vec::new();
    let mut before = None;
    for letter in printable(text) {
        pen += before.and_then(|left| font.horizontal_kern(left, letter, size)).unwrap_or(0.0);
        places.push((letter, pen));
        pen += font.metrics(letter, size).advance_width;
        before = Some(letter);
    }
    (places, pen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_weights_are_there_and_a_heavier_line_is_wider() {
        assert_eq!(FONTS.len(), 2);
        let line = "Left kidney 182 mL";
        let [regular, semibold] = [Lettering::regular, Lettering::semibold].map(|of| of(20.0, [255; 3]));
        assert!(regular.width(line) > 100.0 && semibold.width(line) > regular.width(line));
        assert!((regular.width("1111") - regular.width("8888")).abs() < 1e-3, "figures have one width");
    }

    #[test]
    fn ink_lies_where_the_line_was_put() {
        let mut picture = Picture::filled(80, 40, [0; 3]);
        Lettering::regular(20.0, [255; 3]).write(&mut picture, "H", 30.0, 30.0);
        let ink: Vec<usize> = (0..80 * 40).filter(|&p| picture.rgb[3 * p] > 128).collect();
        let (rows, columns): (Vec<_>, Vec<_>) = ink.iter().map(|p| (p / 80, p % 80)).unzip();
        // Inter's capitals stand 0.727 em high on the baseline.
        assert_eq!(rows.iter().max(), Some(&29));
        assert!((15..=16).contains(rows.iter().min().unwrap()), "{rows:?}");
        assert!(*columns.iter().min().unwrap() >= 30 && *columns.iter().max().unwrap() <= 45, "{columns:?}");
    }

    #[test]
    fn a_long_line_is_cut_and_strange_letters_are_replaced() {
        let lettering = Lettering::regular(16.0, [255; 3]);
        let cut = lettering.fit("a very long structure name indeed", 90.0);
        assert!(cut.ends_with('…') && lettering.width(&cut) <= 90.0, "{cut}");
        assert_eq!(lettering.fit("niere\u{7}左", 900.0), "niere ?");
    }
}
