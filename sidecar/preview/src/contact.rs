//! Shadows where one structure passes before another: what lies behind its surroundings is darkened, after Luft,
//! Colditz and Deussen 2006 (unsharp masking of the depth buffer).

use rayon::prelude::*;

use crate::render::Pixel;

/// How far shadows reach, and how deep a step must be for the full shadow, in millimetres per pixel of the view.
const REACHES: [f32; 2] = [4.0, 16.0];
/// The darkest a shadow gets.
const DARKEST: f32 = 0.42;

/// How much of its light each pixel loses, 0 to 1; `pixel_mm` is the size of a pixel.
pub(crate) fn shadows(pixels: &[Pixel], [width, height]: [usize; 2], pixel_mm: f32) -> Vec<f32> {
    let mut shadows = vec![0.0f32; pixels.len()];
    let scale = width.max(height) as f32 / 700.0;
    for reach in REACHES {
        let radius = (reach * scale).round().max(1.0) as usize;
        let mut planes: [Vec<f32>; 2] =
            [pixels.iter().map(|p| p.depth).collect(), pixels.iter().map(|p| p.solid).collect()];
        for plane in &mut planes {
            for _ in 0..2 {
                *plane = rows(&transposed(&rows(plane, width, radius), width), height, radius);
                *plane = transposed(plane, height);
            }
        }
        let [depth, solid] = planes;
        let deep = 2.5 * reach * scale * pixel_mm;
        for (n, shadow) in shadows.iter_mut().enumerate() {
            if pixels[n].solid > 0.0 && solid[n] > 1e-4 {
                let behind = depth[n] / solid[n] - pixels[n].depth / pixels[n].solid;
                *shadow += DARKEST / REACHES.len() as f32 * smooth(behind / deep) * pixels[n].solid;
            }
        }
    }
    shadows
}

/// 0 below 0, 1 above 1, with a soft start and end.
fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * (2.0 - t)
}

/// Sums over `2 * radius + 1` values along each row, of what there is. Every row is summed on its own, in order.
fn rows(plane: &[f32], width: usize, radius: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; plane.len()];
    sums.par_chunks_mut(width).zip(plane.par_chunks(width)).for_each(|(sums, row)| {
        // In double precision, so that what was added is taken away again without a trace.
        let mut sum: f64 = row.iter().take(radius).map(|&value| f64::from(value)).sum();
        for (n, out) in sums.iter_mut().enumerate() {
            sum += row.get(n + radius).map_or(0.0, |&value| f64::from(value));
            *out = sum as f32;
            sum -= n.checked_sub(radius).map_or(0.0, |old| f64::from(row[old]));
        }
    });
    sums
}

/// Columns as rows.
fn transposed(plane: &[f32], width: usize) -> Vec<f32> {
    let height = plane.len() / width;
    (0..plane.len()).map(|n| plane[n % height * width + n / height]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_far_side_of_a_step_is_darkened() {
        let pixel = |near: bool| Pixel { light: [1.0; 3], depth: if near { 50.0 } else { 0.0 }, solid: 1.0 };
        let pixels: Vec<Pixel> = (0..100 * 20).map(|n| pixel(n % 100 >= 50)).collect();
        let shadows = shadows(&pixels, [100, 20], 1.0);
        let row = &shadows[10 * 100..11 * 100];
        assert!(row[49] > 0.2 && row[49] > row[46] && row[50] == 0.0, "{row:?}");
        assert!(row[5] < 1e-3 && row[95] < 1e-3);
    }
}
