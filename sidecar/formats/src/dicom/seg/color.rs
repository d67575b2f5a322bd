//! The colours of segments as DICOM stores them: CIELab, 16 bits a channel (PS3.3 C.10.7.1.1).
//!
//! The standard asks for the profile connection space of ICC, whose white is D50. highdicom, dcmqi, 3D Slicer and
//! OHIF all write and read D65, the white of sRGB, and so do we: with D50 every one of them would show other colours
//! than were meant.

/// XYZ of D65, the white of sRGB.
const WHITE: [f64; 3] = [0.950_47, 1.0, 1.088_83];
/// Linear sRGB to XYZ (IEC 61966-2-1).
const TO_XYZ: [[f64; 3]; 3] = [
    [0.412_456_4, 0.357_576_1, 0.180_437_5],
    [0.212_672_9, 0.715_152_2, 0.072_175_0],
    [0.019_333_9, 0.119_192_0, 0.950_304_1],
];
/// XYZ to linear sRGB.
const FROM_XYZ: [[f64; 3]; 3] = [
    [3.240_454_2, -1.537_138_5, -0.498_531_4],
    [-0.969_266_0, 1.876_010_8, 0.041_556_0],
    [0.055_643_4, -0.204_025_9, 1.057_225_2],
];
/// Below this, the cube root of CIELab is a straight line.
const STRAIGHT: f64 = 6.0 / 29.0;

/// An sRGB colour as stored: L* of 0 to 100, a* and b* of -128 to 127, each on 0 to 65535.
pub(crate) fn to_lab(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|channel| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    });
    let xyz = times(&TO_XYZ, linear);
    let [x, y, z] = std::array::from_fn(|axis| {
        let share = xyz[axis] / WHITE[axis];
        if share > STRAIGHT.powi(3) { share.cbrt() } else { share / (3.0 * STRAIGHT * STRAIGHT) + 4.0 / 29.0 }
    });
    let [lightness, a, b] = [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)];
    let stored = |share: f64| (share * 65535.0).round().clamp(0.0, 65535.0) as u16;
    [stored(lightness / 100.0), stored((a + 128.0) / 255.0), stored((b + 128.0) / 255.0)]
}

/// The nearest sRGB colour to a stored one.
pub(crate) fn to_rgb(stored: [u16; 3]) -> [u8; 3] {
    let share = stored.map(|value| f64::from(value) / 65535.0);
    let (lightness, a, b) = (share[0] * 100.0, share[1] * 255.0 - 128.0, share[2] * 255.0 - 128.0);
    let y = (lightness + 16.0) / 116.0;
    let curved = [y + a / 500.0, y, y - b / 200.0];
    let xyz = std::array::from_fn(|axis| {
        let root = curved[axis];
        let share =
            if root > STRAIGHT { root.powi(3) } else { 3.0 * STRAIGHT * STRAIGHT * (root - 4.0 / 29.0) };
        share * WHITE[axis]
    });
    times(&FROM_XYZ, xyz).map(|linear| {
        let share =
            if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
        (share * 255.0).round().clamp(0.0, 255.0) as u8
    })
}

fn times(matrix: &[[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of highdicom 0.28.2, `CIELabColor.from_rgb(...).value`; two of its steps are allowed, out of 65536.
    #[test]
    fn colours_are_those_of_highdicom() {
        for (rgb, expected) in [
            ([0, 0, 0], [0, 32896, 32896]),
            ([255, 255, 255], [65535, 32896, 32896]),
            ([0, 255, 0], [57498, 10747, 54273]),
            ([255, 165, 0], [49107, 39048, 53188]),
        ] {
            let found = to_lab(rgb);
            assert!((0..3).all(|axis| found[axis].abs_diff(expected[axis]) <= 2), "{rgb:?}: {found:?}");
        }
    }

    #[test]
    fn every_colour_comes_back() {
        for red in (0..=255).step_by(5) {
            for green in (0..=255).step_by(3) {
                for blue in (0..=255).step_by(5) {
                    let rgb = [red, green, blue];
                    assert_eq!(to_rgb(to_lab(rgb)), rgb);
                }
            }
        }
    }
}
