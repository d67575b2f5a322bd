//! The lesion brought onto the normal's grid: every voxel sampled finely, each sample looked up in the donor.

use imaging::Grid;
use ndarray::Array3;

use crate::affine::dot;
use crate::compose::{Normal, Placement, Warped};
use crate::{Affine, Donor, Variation, sample};

/// Finest sampling of a voxel along an axis.
const MOST_SAMPLES: usize = 6;

/// Samples a placement finely; where two meet, the one that fills more of the voxel stays.
pub(crate) fn warp(normal: &Normal, placement: &Placement<'_>, whole: &mut Warped) {
    let Placement { donor, variation, .. } = placement;
    let to_donor = placement.to_donor();
    whole.expected_mm3 += placement.expected_mm3();
    let Some(from_donor) = to_donor.inverse() else { return };
    let way = Way::new(&normal.dwi.grid, &donor.index.after(&to_donor), donor.spacing, variation);
    let lesion = Lesion::of(&donor.lesion);
    let (mut sines, samples) = (vec![(0.0, 0.0); way.waves.len()], way.samples.len() as f64);
    let [low, high] = reach(normal, donor, &from_donor, variation.reach_mm());
    for k in low[2]..high[2] {
        for j in low[1]..high[1] {
            for i in low[0]..high[0] {
                let voxel = [i as f64, j as f64, k as f64];
                let middle = way.map.apply(voxel);
                if !lesion.touches(middle, way.extent) {
                    continue;
                }
                way.sines(voxel, &mut sines);
                let (mut share, mut hit, mut increase, mut adc) = (0.0, 0.0, 0.0, 0.0);
                for one in &way.samples {
                    let index = way.index(middle, &sines, one);
                    let Some(filled) = sample::value(donor.lesion.view(), index).filter(|&x| x > 0.0) else {
                        continue;
                    };
                    share += filled;
                    let nearest = index.map(f64::round);
                    hit += sample::value(donor.lesion.view(), nearest).unwrap_or(0.0);
                    increase += sample::value(donor.increase.view(), index).unwrap_or(0.0);
                    if let (Some(of_donor), true) = (&donor.adc_increase, whole.adc_increase.is_some()) {
                        adc += sample::value(of_donor.view(), index).unwrap_or(0.0);
                    }
                }
                let filled = (share / samples) as f32;
                if filled > whole.share[[k, j, i]] {
                    // The donor's voxels are averages already: interpolating their edges would dilute them once more.
                    let by = hit / samples / share;
                    whole.share[[k, j, i]] = filled;
                    whole.increase[[k, j, i]] = (variation.amplitude * increase * by) as f32;
                    if let Some(whole) = &mut whole.adc_increase {
                        whole[[k, j, i]] = (adc * by) as f32;
                    }
                }
            }
        }
    }
}

/// From the normal's voxels to the donor's, the bend included.
struct Way {
    /// Without the bend.
    map: Affine,
    waves: Vec<Wave>,
    samples: Vec<Sample>,
    /// No sample of a voxel comes further from its middle than this, along i, j, k of the donor.
    extent: [f64; 3],
}

/// A wave of the bend.
struct Wave {
    /// The crest in the donor's voxels.
    amount: [f64; 3],
    /// Radians per voxel of the normal, along i, j, k.
    per_voxel: [f64; 3],
    /// Radians at the normal's first voxel.
    phase: f64,
}

/// A sample of a voxel.
struct Sample {
    /// From the voxel's middle, in the donor's voxels.
    step: [f64; 3],
    /// Sine and cosine of what each wave goes on by from the voxel's middle. By the addition theorem they give its sine
    /// at the sample without computing another: there are hundreds of samples in a voxel.
    turns: Vec<(f64, f64)>,
}

impl Way {
    /// `to_index` goes from the normal's millimetres to the donor's voxels, which are `spacing` apart.
    fn new(grid: &Grid, to_index: &Affine, spacing: [f64; 3], variation: &Variation) -> Way {
        let map = to_index.after(&Affine::world_of(grid));
        let linear = |map: &Affine, step: [f64; 3]| map.matrix.map(|row| dot(row, step));
        let wave = |wave: &crate::Wave| Wave {
            amount: linear(to_index, wave.amount_mm),
            per_voxel: grid.axes.map(|axis| dot(axis, wave.per_mm)),
            phase: dot(wave.per_mm, grid.origin) + wave.phase,
        };
        let waves: Vec<Wave> = variation.bend.iter().map(wave).collect();
        let sample = |offset: [f64; 3]| Sample {
            step: linear(&map, offset),
            turns: waves.iter().map(|wave| dot(wave.per_voxel, offset).sin_cos()).collect(),
        };
        let samples = offsets(grid, spacing).into_iter().map(sample).collect();
        let bend = |axis: usize| waves.iter().map(|wave| wave.amount[axis].abs()).sum::<f64>();
        let half = |axis: usize| map.matrix[axis].iter().map(|step| step.abs() / 2.0).sum::<f64>();
        let extent = std::array::from_fn(|axis| half(axis) + bend(axis));
        Way { map, waves, samples, extent }
    }

    /// Sine and cosine of every wave in the middle of a voxel.
    fn sines(&self, voxel: [f64; 3], sines: &mut [(f64, f64)]) {
        for (wave, found) in self.waves.iter().zip(sines) {
            *found = (dot(wave.per_voxel, voxel) + wave.phase).sin_cos();
        }
    }

    /// Where a sample lies in the donor.
    fn index(&self, middle: [f64; 3], sines: &[(f64, f64)], sample: &Sample) -> [f64; 3] {
        let mut index: [f64; 3] = std::array::from_fn(|a| middle[a] + sample.step[a]);
        for ((wave, (sine, cosine)), (turn, still)) in self.waves.iter().zip(sines).zip(&sample.turns) {
            let sine = sine * still + cosine * turn;
            index = std::array::from_fn(|a| index[a] + wave.amount[a] * sine);
        }
        index
    }
}

/// Places within a voxel, from its middle, in voxels: as fine as the donor's own.
fn offsets(grid: &Grid, spacing: [f64; 3]) -> Vec<[f64; 3]> {
    let fine = 0.75 * spacing.iter().copied().fold(f64::INFINITY, f64::min);
    let counts = grid.spacing().map(|mm| ((mm / fine).ceil() as usize).clamp(1, MOST_SAMPLES));
    let at = |n: usize, count: usize| (n as f64 + 0.5) / count as f64 - 0.5;
    let mut offsets = Vec::new();
    for c in 0..counts[2] {
        for b in 0..counts[1] {
            offsets.extend((0..counts[0]).map(|a| [at(a, counts[0]), at(b, counts[1]), at(c, counts[2])]));
        }
    }
    offsets
}

/// How many voxels of the lesion lie below each corner of its grid: any box is counted by eight look-ups.
struct Lesion {
    below: Array3<u32>,
}

impl Lesion {
    fn of(lesion: &Array3<f32>) -> Lesion {
        let (nk, nj, ni) = lesion.dim();
        let mut below = Array3::zeros((nk + 1, nj + 1, ni + 1));
        for ((k, j, i), &value) in lesion.indexed_iter() {
            below[[k + 1, j + 1, i + 1]] = u32::from(value > 0.0);
        }
        for axis in 0..3 {
            below.accumulate_axis_inplace(ndarray::Axis(axis), |before, here| *here += *before);
        }
        Lesion { below }
    }

    /// Whether interpolation within `extent` of an index `[i, j, k]` can meet the lesion.
    fn touches(&self, index: [f64; 3], extent: [f64; 3]) -> bool {
        let (nk, nj, ni) = self.below.dim();
        let last = [ni - 1, nj - 1, nk - 1];
        // Interpolation reads the voxels next to a place.
        let low = [0, 1, 2].map(|a| (index[a] - extent[a] - 1.0).clamp(0.0, last[a] as f64) as usize);
        let high = [0, 1, 2].map(|a| (index[a] + extent[a] + 2.0).ceil().clamp(0.0, last[a] as f64) as usize);
        let count = |k: usize, j: usize, i: usize| i64::from(self.below[[k, j, i]]);
        let plane = |k: usize| {
            count(k, high[1], high[0]) - count(k, low[1], high[0]) - count(k, high[1], low[0])
                + count(k, low[1], low[0])
        };
        plane(high[2]) > plane(low[2])
    }
}

/// The voxels of the normal image that the donor's cut can reach: first and one past the last, `[i, j, k]`.
fn reach(normal: &Normal, donor: &Donor, from_donor: &Affine, bend_mm: f64) -> [[usize; 3]; 2] {
    let to_index = normal.brain.index.after(from_donor).after(&donor.world);
    let (nk, nj, ni) = donor.lesion.dim();
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for corner in 0..8 {
        let end = |axis: usize, n: usize| if corner >> axis & 1 == 1 { n as f64 } else { -1.0 };
        let at = to_index.apply([end(0, ni), end(1, nj), end(2, nk)]);
        low = std::array::from_fn(|a| low[a].min(at[a]));
        high = std::array::from_fn(|a| high[a].max(at[a]));
    }
    let spacing = normal.dwi.grid.spacing();
    let margin: [f64; 3] = std::array::from_fn(|a| bend_mm / spacing[a] + 1.0);
    let size = normal.dwi.grid.size;
    [
        std::array::from_fn(|a| (low[a] - margin[a]).floor().clamp(0.0, size[a] as f64) as usize),
        std::array::from_fn(|a| (high[a] + margin[a]).ceil().clamp(0.0, size[a] as f64) as usize),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::Random;

    /// What the waves mean: each moves a point by its amount times its sine there.
    fn bent(variation: &Variation, point: [f64; 3]) -> [f64; 3] {
        let mut at = point;
        for wave in &variation.bend {
            let sine = (dot(wave.per_mm, point) + wave.phase).sin();
            at = std::array::from_fn(|r| at[r] + wave.amount_mm[r] * sine);
        }
        at
    }

    #[test]
    fn samples_lie_where_the_bend_puts_them_and_no_lesion_is_passed_over() {
        let mut random = Random::of(&[5]);
        let spacing = [2.0, 2.5, 3.0];
        let donor = Grid::aligned([9, 8, 7], spacing);
        let mut lesion = Array3::zeros(donor.shape());
        lesion[[3, 4, 5]] = 1.0;
        let touched = Lesion::of(&lesion);
        let grid = Grid { origin: [-3.0, 4.0, -5.0], ..Grid::aligned([6, 7, 5], [2.2, 1.9, 4.0]) };
        let world = Affine::world_of(&grid);
        let turn = Affine { matrix: Affine::rotation([0.1, -0.2, 0.3]), offset: [5.0, 0.0, 6.0] };
        let to_index = Affine::index_of(&donor).after(&turn);
        let mut met = 0;
        for variation in (0..20).map(|_| Variation::drawn(&mut random)) {
            let way = Way::new(&grid, &to_index, spacing, &variation);
            let mut sines = vec![(0.0, 0.0); way.waves.len()];
            for n in 0..grid.len() {
                let voxel = [n % 6, n / 6 % 7, n / 42].map(|at| at as f64);
                let middle = way.map.apply(voxel);
                way.sines(voxel, &mut sines);
                for (offset, one) in offsets(&grid, spacing).iter().zip(&way.samples) {
                    let place = std::array::from_fn(|a| voxel[a] + offset[a]);
                    let wanted = to_index.apply(bent(&variation, world.apply(place)));
                    let found = way.index(middle, &sines, one);
                    assert!((0..3).all(|a| (found[a] - wanted[a]).abs() < 1e-9), "{found:?} {wanted:?}");
                    if sample::value(lesion.view(), wanted).is_some_and(|value| value > 0.0) {
                        assert!(touched.touches(middle, way.extent));
                        met += 1;
                    }
                }
            }
        }
        assert!(met > 100, "{met}");
        assert!(!touched.touches([0.5, 0.5, 0.5], [1.0; 3]));
    }
}
