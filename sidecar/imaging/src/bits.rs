//! Noise and fingerprints for tests, as `tests/reference/imaging/bits.py` makes them.

use ndarray::Array3;

/// Numbers n/8 - offset in C order, n from a linear congruential generator below `scale * 8`.
pub(crate) fn noise(shape: [usize; 3], seed: u64, scale: u64, offset: f64) -> Array3<f64> {
    let mut state = seed;
    Array3::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % (scale * 8)) as f64 / 8.0 - offset
    })
}

/// A hash over the bits of the values, as f64.
pub(crate) fn fingerprint<T: Copy + Into<f64>>(values: impl IntoIterator<Item = T>) -> String {
    let mut state = 0xcbf2_9ce4_8422_2325u64;
    for value in values {
        state = (state ^ value.into().to_bits()).wrapping_mul(0x100_0000_01b3);
        state ^= state >> 32;
    }
    format!("{state:016x}")
}
