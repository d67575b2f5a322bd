//! Which intensities are black and which are white.

use crate::survey::Field;

/// Intensities shown from black, `center - width / 2`, to white, `center + width / 2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Middle grey.
    pub center: f64,
    /// From black to white.
    pub width: f64,
}

/// Air, lung, fat, water and bone in Hounsfield units: what tells a CT and what is worth showing of it.
const SOFT_TISSUE: Window = Window { center: 40.0, width: 400.0 };
const LUNG: Window = Window { center: -600.0, width: 1500.0 };
const BONE: Window = Window { center: 400.0, width: 1800.0 };

/// What the intensities are, and the window for them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tone {
    pub(crate) window: Window,
    /// Hounsfield units.
    pub(crate) ct: bool,
    /// Below this lies air, around the patient.
    pub(crate) air: f32,
}

impl Tone {
    /// Grey from 0 to 1.
    pub(crate) fn grey(&self, intensity: f32) -> f32 {
        let width = self.window.width.max(1e-6);
        let grey = (f64::from(intensity) - self.window.center) / width + 0.5;
        if grey.is_nan() { 0.0 } else { grey.clamp(0.0, 1.0) as f32 }
    }
}

/// Chooses the window: soft tissue for CT, bone or lung where the structures are mostly that, percentiles for MR.
pub(crate) fn choose(voxels: &Field<'_, f32>, labels: &Field<'_, u8>, wanted: Option<Window>) -> Tone {
    let all = sample(voxels, |_| true);
    let inside =
        if labels.size == voxels.size { sample(voxels, |at| labels.values[at] > 0) } else { Vec::new() };
    // Hounsfield units reach far below zero wherever there is air or lung; MR, PET and masks do not.
    let ct = percentile(&all, 0.01) < -150.0 || percentile(&all, 0.01) < -30.0 && percentile(&all, 0.9) > 0.0;
    let top = percentile(&all, 0.995);
    let low = percentile(&all, 0.01).max(0.0_f32.min(top));
    let air = if ct { -300.0 } else { low + 0.08 * (top - low) };
    let window = wanted.unwrap_or_else(|| {
        let typical = percentile(&inside, 0.5);
        match ct {
            true if typical > 250.0 => BONE,
            true if typical < -500.0 => LUNG,
            true => SOFT_TISSUE,
            false => spread(&all, air),
        }
    });
    Tone { window, ct, air }
}

/// From the 1st to the 99.5th percentile of what is not air.
fn spread(sorted: &[f32], air: f32) -> Window {
    let tissue = &sorted[sorted.partition_point(|&value| value <= air)..];
    let (low, high) = (f64::from(percentile(tissue, 0.01)), f64::from(percentile(tissue, 0.995)));
    Window { center: (low + high) / 2.0, width: (high - low).max(1e-6) }
}

/// Up to about a quarter of a million finite intensities at even steps, sorted.
fn sample(voxels: &Field<'_, f32>, keep: impl Fn(usize) -> bool) -> Vec<f32> {
    // An odd stride that shares no factor with usual row lengths.
    let stride = (voxels.values.len() / 250_000).max(1) | 1;
    let mut values: Vec<f32> = (0..voxels.values.len())
        .step_by(stride)
        .filter(|&at| keep(at))
        .map(|at| voxels.values[at])
        .filter(|value| value.is_finite())
        .collect();
    values.sort_by(f32::total_cmp);
    values
}

/// The value below which `fraction` of the sorted values lie; 0 of none.
fn percentile(sorted: &[f32], fraction: f64) -> f32 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * fraction).round() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    fn check(intensity: impl Fn(usize) -> f32, labelled: impl Fn(usize) -> bool, wanted: Window, ct: bool) {
        let shape = (20, 20, 20);
        let voxels = Array3::from_shape_fn(shape, |(k, j, i)| intensity(i + 20 * (j + 20 * k)));
        let labels = Array3::from_shape_fn(shape, |(k, j, i)| u8::from(labelled(i + 20 * (j + 20 * k))));
        let tone = choose(&Field::of(&voxels), &Field::of(&labels), None);
        assert_eq!(tone.ct, ct);
        let close = |a: f64, b: f64| (a - b).abs() <= 0.02 * wanted.width;
        assert!(
            close(tone.window.center, wanted.center) && close(tone.window.width, wanted.width),
            "{tone:?}"
        );
    }

    #[test]
    fn the_window_follows_what_is_shown() {
        let body = |n: usize| if n < 3000 { -1000.0 } else { 40.0 };
        check(body, |n| n >= 3000, SOFT_TISSUE, true);
        check(body, |n| n < 3000, LUNG, true);
        check(|n| if n < 3000 { -1000.0 } else { 700.0 }, |n| n >= 3000, BONE, true);
        // Fat and water without any air is still CT.
        check(|n| if n < 3000 { -100.0 } else { 40.0 }, |_| true, SOFT_TISSUE, true);
        // A ramp of tissue over a dark background is MR.
        let ramp = |n: usize| if n < 3000 { 2.0 } else { 200.0 + 0.1 * (n - 3000) as f32 };
        check(ramp, |_| true, Window { center: 448.75, width: 492.5 }, false);
    }

    #[test]
    fn grey_runs_from_black_to_white() {
        let tone = Tone { window: SOFT_TISSUE, ct: true, air: 0.0 };
        assert_eq!([-160.0, 40.0, 240.0, 9e9, f32::NAN].map(|v| tone.grey(v)), [0.0, 0.5, 1.0, 1.0, 0.0]);
    }
}
