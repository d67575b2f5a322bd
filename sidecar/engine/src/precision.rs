//! How scores are added up: in half precision as nnU-Net does, or in single precision.
//!
//! Rows are converted in blocks, which runs on the processor's own instructions where it has them. Products and sums
//! are made in f32 and rounded once per step, never fused.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Values converted at a time; they stay in the first-level cache.
const BLOCK: usize = 256;

/// A number that scores are stored in.
pub(crate) trait Score: Copy + Default + Send + Sync + 'static {
    /// Replaces each value by `change` of it and of its partners in `a` and `b`, all three of one length, rounded.
    fn update(values: &mut [Self], a: &[f32], b: &[f32], change: impl Fn(f32, f32, f32) -> f32);

    /// Copies `values` into `wide`, of the same length.
    fn widen(values: &[Self], wide: &mut [f32]);

    /// Whether all are finite.
    fn finite(values: &[Self]) -> bool;
}

impl Score for f32 {
    fn update(values: &mut [f32], a: &[f32], b: &[f32], change: impl Fn(f32, f32, f32) -> f32) {
        for ((value, &a), &b) in values.iter_mut().zip(a).zip(b) {
            *value = change(*value, a, b);
        }
    }

    fn widen(values: &[f32], wide: &mut [f32]) {
        wide.copy_from_slice(values);
    }

    fn finite(values: &[f32]) -> bool {
        values.iter().all(|value| value.is_finite())
    }
}

impl Score for f16 {
    fn update(values: &mut [f16], a: &[f32], b: &[f32], change: impl Fn(f32, f32, f32) -> f32) {
        let mut block = [0.0; BLOCK];
        for ((values, a), b) in values.chunks_mut(BLOCK).zip(a.chunks(BLOCK)).zip(b.chunks(BLOCK)) {
            let block = &mut block[..values.len()];
            values.convert_to_f32_slice(block);
            f32::update(block, a, b, &change);
            values.convert_from_f32_slice(block);
        }
    }

    fn widen(values: &[f16], wide: &mut [f32]) {
        values.convert_to_f32_slice(wide);
    }

    fn finite(values: &[f16]) -> bool {
        values.iter().fold(true, |finite, value| finite & (value.to_bits() & 0x7c00 != 0x7c00))
    }
}

/// Rounds f64 to the nearest f16, once, as NumPy does; as f32.
///
/// `f16::from_f64` goes by way of f32 where the processor has no better, and so rounds twice. Rounding to odd first
/// (towards zero, with the last bit set unless exact) keeps in f32's 13 spare bits on which side of a tie it lay.
pub(crate) fn round_to_half(value: f64) -> f32 {
    let nearest = value as f32;
    let back = f64::from(nearest);
    let over = u32::from(back.abs() > value.abs());
    let inexact = u32::from(back != value);
    f16::from_f32(f32::from_bits((nearest.to_bits() - over) | inexact)).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NumPy 2.4: `np.array([...]).astype(np.float16).view(np.uint16)`.
    #[test]
    fn halves_are_rounded_once() {
        let cases = [
            (1.0, 0x3c00),
            (1.0 + 2f64.powi(-11), 0x3c00),
            (1.0 + 2f64.powi(-11) + 2f64.powi(-40), 0x3c01),
            (1.0 + 3.0 * 2f64.powi(-11), 0x3c02),
            (1.0 + 3.0 * 2f64.powi(-11) - 2f64.powi(-40), 0x3c01),
            (-1.0 - 2f64.powi(-11) - 2f64.powi(-40), 0xbc01),
            (2f64.powi(-25), 0x0000),
            (2f64.powi(-25) + 2f64.powi(-60), 0x0001),
            (-0.0, 0x8000),
            (65_519.999_999_999, 0x7bff),
            (65_520.0, 0x7c00),
            (0.1, 0x2e66),
        ];
        for (value, bits) in cases {
            assert_eq!(f16::from_f32(round_to_half(value)).to_bits(), bits, "{value:e}");
        }
    }

    #[test]
    fn infinities_and_nan_are_not_finite() {
        for value in [f32::NAN, f32::INFINITY, -1e6] {
            assert!(!f16::finite(&[f16::ONE, f16::from_f32(value)]));
        }
        assert!(f16::finite(&[f16::MAX, f16::MIN, f16::ZERO]));
    }
}
