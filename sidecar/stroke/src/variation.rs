//! How one stroke becomes many: mirrored, weaker or stronger, moved, turned, stretched and bent a little.

use imaging::Random;
use serde::Serialize;

use crate::Affine;

/// Waves of a bend.
const WAVES: usize = 4;

/// A change of a donor's stroke, in the donor's own world.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variation {
    /// Whether left and right are exchanged.
    pub flip: bool,
    /// Factor of the relative signal increase.
    pub amplitude: f64,
    /// Factors of the lesion's size along x, y, z.
    pub scale: [f64; 3],
    /// Rotation of the lesion about its centre, in degrees about x, y, z.
    pub rotation_degrees: [f64; 3],
    /// By how much the lesion moves, in millimetres.
    pub shift_mm: [f64; 3],
    /// How it bends.
    pub bend: Vec<Wave>,
}

/// A wave of displacement: `amount * sin(direction . x / length + phase)`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wave {
    /// Displacement at the crest in millimetres.
    pub amount_mm: [f64; 3],
    /// Radians per millimetre along x, y, z.
    pub per_mm: [f64; 3],
    /// Radians.
    pub phase: f64,
}

impl Variation {
    /// The stroke as it was.
    #[must_use]
    pub fn none() -> Variation {
        Variation {
            flip: false,
            amplitude: 1.0,
            scale: [1.0; 3],
            rotation_degrees: [0.0; 3],
            shift_mm: [0.0; 3],
            bend: Vec::new(),
        }
    }

    /// One at random: mirrored in half of the cases, amplitude 0.6 to 1.4, sizes by about 10 %, turned by about 5
    /// degrees, moved by about 3 mm, bent by about 1 mm over 40 to 80 mm.
    #[must_use]
    pub fn drawn(random: &mut Random) -> Variation {
        let flip = random.unit() < 0.5;
        let amplitude = random.between(0.6, 1.4);
        let mut three =
            |deviation: f64| std::array::from_fn(|_| deviation * random.normal().clamp(-2.5, 2.5));
        let scale = three(0.1).map(f64::exp);
        let (rotation_degrees, shift_mm) = (three(5.0), three(3.0));
        let wave = |random: &mut Random| {
            let length = random.between(40.0, 80.0);
            let toward: [f64; 3] = std::array::from_fn(|_| random.normal());
            let norm = toward.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-6);
            Wave {
                amount_mm: std::array::from_fn(|_| random.normal().clamp(-2.0, 2.0) * 0.7),
                per_mm: toward.map(|x| x / norm * std::f64::consts::TAU / length),
                phase: random.between(0.0, std::f64::consts::TAU),
            }
        };
        let bend = (0..WAVES).map(|_| wave(random)).collect();
        Variation { flip, amplitude, scale, rotation_degrees, shift_mm, bend }
    }

    /// From a place of the changed lesion to where it is in the donor, the bend left out. Left and right are exchanged
    /// at the brain's centre, the rest happens about the lesion's.
    pub(crate) fn back(&self, lesion: [f64; 3], brain: [f64; 3]) -> Affine {
        let turn = Affine::rotation(self.rotation_degrees.map(f64::to_radians));
        let matrix = std::array::from_fn(|r| std::array::from_fn(|c| turn[r][c] * self.scale[c]));
        let moved = Affine::about(lesion, matrix, self.shift_mm);
        let mut across = Affine::IDENTITY.matrix;
        if self.flip {
            across[0][0] = -1.0;
        }
        // Sizes are positive, so that there is a way back.
        let back = moved.inverse().unwrap_or(Affine::IDENTITY);
        back.after(&Affine::about(brain, across, [0.0; 3]))
    }

    /// No bend goes further than this.
    pub(crate) fn reach_mm(&self) -> f64 {
        self.bend.iter().map(|wave| wave.amount_mm.iter().map(|x| x * x).sum::<f64>().sqrt()).sum()
    }
}
