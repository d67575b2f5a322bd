//! Marks on a panel: captions, letters, scale bars, legible on bone as on air.

use crate::canvas::{Picture, Rect};
use crate::page::{INK, Layout, QUIET};
use crate::slice::VOID;
use crate::text::Lettering;

/// Darkens the upper and lower edge, where the writing stands.
pub(crate) fn shade_edges(tile: &mut Picture, depth: usize) {
    let depth = depth.min(tile.height / 4);
    for y in 0..depth {
        let shade = 0.72 * (1.0 - y as f32 / depth as f32).powf(1.3);
        for x in 0..tile.width as i64 {
            tile.blend(x, y as i64, VOID, shade);
            tile.blend(x, (tile.height - 1 - y) as i64, VOID, shade);
        }
    }
}

/// Where marks at falling heights `ys` (rising y) are lettered, so that they do not run into each other nor into
/// the letter at `middle`.
pub(crate) fn apart(ys: &[f32], middle: f32, unit: f32) -> Vec<f32> {
    let (clear, line) = (21.0 * unit, 15.0 * unit);
    let mut places = ys.to_vec();
    let upper = ys.partition_point(|&y| y < middle);
    let mut limit = middle - clear;
    for place in places[..upper].iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - line;
    }
    limit = middle + clear;
    for place in &mut places[upper..] {
        *place = place.max(limit);
        limit = *place + line;
    }
    places
}

/// The name of a panel, in its upper left corner.
pub(crate) fn captioned(picture: &mut Picture, rect: Rect, text: &str, layout: Layout) {
    let lettering = Lettering::regular(14.5 * layout.unit, QUIET);
    let at = [rect.x as f32 + 14.0 * layout.unit, rect.y as f32 + 25.0 * layout.unit];
    haloed(picture, lettering, text, at);
}

/// A line of a round length, in the lower left corner.
pub(crate) fn scale(picture: &mut Picture, rect: Rect, pixel_mm: f64, layout: Layout) {
    let length_mm = round_length(0.28 * rect.width as f64 * pixel_mm);
    let text = if length_mm >= 10.0 { format!("{} cm", length_mm / 10.0) } else { format!("{length_mm} mm") };
    let [x, y] = [rect.x as f32 + 14.0 * layout.unit, rect.bottom() as f32 - 16.0 * layout.unit];
    let end = x + (length_mm / pixel_mm) as f32;
    let thick = (1.6 * layout.unit).max(1.0);
    picture.bar([x - 1.0, end + 1.0], [y - 1.0, y + thick + 1.0], [0; 3], 0.5);
    picture.bar([x, end], [y, y + thick], INK, 1.0);
    for tick in [x, end - thick] {
        picture.bar([tick, tick + thick], [y - 5.0 * layout.unit, y], INK, 1.0);
    }
    haloed(picture, Lettering::regular(13.0 * layout.unit, INK), &text, [x, y - 9.0 * layout.unit]);
}

/// The largest of 1, 2, 5 times a power of ten that is not above `limit` millimetres.
fn round_length(limit: f64) -> f64 {
    let power = 10f64.powf(limit.max(1e-9).log10().floor());
    [5.0, 2.0].into_iter().map(|n| n * power).find(|&length| length <= limit).unwrap_or(power)
}

/// Text with a dark rim, legible on bone as on air.
pub(crate) fn haloed(picture: &mut Picture, lettering: Lettering, text: &str, [x, y]: [f32; 2]) {
    let rim = Lettering { color: [0; 3], ..lettering };
    let away = (0.085 * lettering.size).max(0.8);
    for [dx, dy] in [[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]] {
        rim.write(picture, text, x + dx * away, y + dy * away);
    }
    lettering.write(picture, text, x, y);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_bars_have_round_lengths() {
        let cases = [(137.0, 100.0), (99.0, 50.0), (49.0, 20.0), (10.0, 10.0), (0.3, 0.2), (5200.0, 5000.0)];
        for (limit, wanted) in cases {
            assert!((round_length(limit) - wanted).abs() < 1e-9 * wanted, "{limit}");
        }
    }

    #[test]
    fn crowded_marks_are_moved_apart_and_clear_of_the_middle() {
        assert_eq!(apart(&[10.0, 40.0, 160.0], 100.0, 1.0), [10.0, 40.0, 160.0]);
        assert_eq!(apart(&[85.0, 95.0, 102.0, 104.0], 100.0, 1.0), [64.0, 79.0, 121.0, 136.0]);
    }
}
