//! Affine registration by mutual information (Mattes et al. 2003): coarse to fine, one core, the same on every run.
//!
//! The joint histogram has a box window for the fixed image and a cubic B-spline window for the moving one, which makes
//! the information a smooth function of the map, with an exact slope. The way up is BFGS with steps of bounded length.

use imaging::{Beyond, Volume, gaussian};
use ndarray::Array3;
use serde::Serialize;

use crate::brain::Brain;
use crate::histogram::Histogram;
use crate::sample;
use crate::{Affine, Rejection};

/// Least Dice of the brain masks after registration.
pub const LEAST_DICE: f64 = 0.85;
/// Volumes may change by this factor, or its inverse.
const MOST_STRETCH: f64 = 2.5;

/// From coarse to fine: millimetres between samples, smoothing in millimetres, longest and shortest step in millimetres.
const LEVELS: [Level; 3] = [
    Level { spacing: 9.0, sigma: 5.0, first: 8.0, last: 0.1, steps: 60 },
    Level { spacing: 5.5, sigma: 2.5, first: 4.0, last: 0.05, steps: 40 },
    Level { spacing: 4.0, sigma: 1.2, first: 2.0, last: 0.02, steps: 30 },
];

struct Level {
    spacing: f64,
    sigma: f64,
    first: f64,
    last: f64,
    steps: usize,
}

/// A registered pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Registration {
    /// From the fixed image's world to the moving one's.
    pub map: Affine,
    /// Dice of the brain masks under it.
    pub dice: f64,
}

impl Registration {
    /// Judges a map, whoever made it.
    ///
    /// # Errors
    ///
    /// [`Rejection`] when the brains do not lie on each other, or it changes volumes beyond belief.
    pub fn judged(map: Affine, fixed: &Brain, moving: &Brain) -> Result<Registration, Rejection> {
        let factor = map.determinant().abs();
        if !(1.0 / MOST_STRETCH..=MOST_STRETCH).contains(&factor) {
            return Err(Rejection::Stretched { factor });
        }
        let dice = fixed.dice(moving, &map);
        if dice < LEAST_DICE {
            return Err(Rejection::Registration { dice, least: LEAST_DICE });
        }
        Ok(Registration { map, dice })
    }
}

/// Finds the affine map from `fixed` to `moving`, starting where the brains' centres lie on each other, or at `start`.
///
/// # Errors
///
/// [`Rejection`] when what was found cannot be right.
pub fn register(
    fixed: (&Volume, &Brain),
    moving: (&Volume, &Brain),
    start: Option<Affine>,
) -> Result<Registration, Rejection> {
    let (own, other) = (fixed.1, moving.1);
    let towards = std::array::from_fn(|r| other.centre[r] - own.centre[r]);
    let start = start.unwrap_or_else(|| Affine::about(own.centre, Affine::IDENTITY.matrix, towards));
    let mut map = Parameters::of(&start, own);
    for level in &LEVELS {
        let problem = Problem::new(fixed, moving, level);
        if problem.samples.len() < 100 {
            continue;
        }
        map = problem.climb(map, level);
    }
    Registration::judged(map.affine(own), own, other)
}

/// An affine map as twelve lengths in millimetres: the matrix less the identity, each entry times the brain's radius,
/// and the translation of the brain's centre. A step of one millimetre then moves the brain's rim by about that much,
/// whichever of the twelve it is taken in.
#[derive(Debug, Clone, Copy)]
struct Parameters([f64; 12]);

impl Parameters {
    fn of(map: &Affine, brain: &Brain) -> Parameters {
        let moved = map.apply(brain.centre);
        Parameters(std::array::from_fn(|n| match n {
            0..9 => (map.matrix[n / 3][n % 3] - Affine::IDENTITY.matrix[n / 3][n % 3]) * brain.radius,
            _ => moved[n - 9] - brain.centre[n - 9],
        }))
    }

    fn affine(&self, brain: &Brain) -> Affine {
        let entry = |r: usize, c: usize| Affine::IDENTITY.matrix[r][c] + self.0[3 * r + c] / brain.radius;
        let matrix = std::array::from_fn(|r| std::array::from_fn(|c| entry(r, c)));
        Affine::about(brain.centre, matrix, [self.0[9], self.0[10], self.0[11]])
    }
}

/// A level of the pyramid.
struct Problem<'a> {
    brain: &'a Brain,
    /// World position and bin of each sample of the fixed image.
    samples: Vec<([f64; 3], usize)>,
    moving: Array3<f32>,
    index: Affine,
    histogram: Histogram,
}

impl<'a> Problem<'a> {
    fn new(fixed: (&Volume, &'a Brain), moving: (&Volume, &Brain), level: &Level) -> Problem<'a> {
        let (volume, brain) = fixed;
        let smooth = smoothed(volume, level.sigma);
        let stride = volume.grid.spacing().map(|mm| (level.spacing / mm).round().max(1.0) as usize);
        // A rim round the brain is sampled too: its edge says most.
        let rim = 0.45 * brain.radius;
        let mut places = Vec::new();
        for ((k, j, i), &value) in smooth.indexed_iter() {
            let on_lattice = i % stride[0] == 0 && j % stride[1] == 0 && k % stride[2] == 0;
            if on_lattice {
                let world = brain.world.apply([i as f64, j as f64, k as f64]);
                let away = (0..3).map(|r| (world[r] - brain.centre[r]).powi(2)).sum::<f64>().sqrt();
                let near = brain.holds(world) || away < brain.radius * 1.5 + rim;
                if near {
                    places.push((world, f64::from(value)));
                }
            }
        }
        let other = smoothed(moving.0, level.sigma);
        let bounds = |brain: &Brain, values: &Array3<f32>| {
            let inside = values.iter().zip(&brain.mask).filter(|(_, inside)| **inside);
            let mut inside: Vec<f32> = inside.map(|(&value, _)| value).collect();
            inside.sort_by(f32::total_cmp);
            let top = inside.get(inside.len() * 99 / 100).copied().unwrap_or(1.0);
            [0.0, f64::from(top).max(1e-6)]
        };
        let histogram = Histogram::new(bounds(brain, &smooth), bounds(moving.1, &other));
        let samples = places.into_iter().map(|(world, value)| (world, histogram.fixed_bin(value))).collect();
        Problem { brain, samples, moving: other, index: moving.1.index, histogram }
    }

    /// Mutual information and its slope along the twelve parameters.
    fn information(&self, map: &Parameters) -> Option<(f64, [f64; 12])> {
        let to_index = self.index.after(&map.affine(self.brain));
        let mut met = Vec::with_capacity(self.samples.len());
        for &(world, bin) in &self.samples {
            if let Some((value, slope)) = sample::value_and_slope(self.moving.view(), to_index.apply(world)) {
                let (place, inside) = self.histogram.moving_place(value);
                met.push((world, bin, place, if inside { slope } else { [0.0; 3] }));
            }
        }
        // Where most samples miss the image there is nothing to compare.
        if met.len() * 4 < self.samples.len() {
            return None;
        }
        let joint = self.histogram.joint(met.iter().map(|sample| (sample.1, sample.2)));
        let mut slope = [0.0; 12];
        for (world, bin, place, by_voxel) in met {
            let weight = joint.slope(bin, place);
            if weight == 0.0 {
                continue;
            }
            let by_mm: [f64; 3] = std::array::from_fn(|r| {
                (0..3).map(|a| by_voxel[a] * self.index.matrix[a][r]).sum::<f64>() * weight
            });
            for r in 0..3 {
                for c in 0..3 {
                    slope[3 * r + c] += by_mm[r] * (world[c] - self.brain.centre[c]) / self.brain.radius;
                }
                slope[9 + r] += by_mm[r];
            }
        }
        Some((joint.information(), slope))
    }

    /// Walks up by BFGS until steps are short; no step is longer than the level allows.
    fn climb(&self, start: Parameters, level: &Level) -> Parameters {
        let Some((mut height, mut slope)) = self.information(&start) else { return start };
        let (mut at, mut curvature) = (start, Curvature::new(&slope, level.first));
        for _ in 0..level.steps {
            let mut step = curvature.step(&slope);
            let mut rise = product(&step, &slope);
            if rise <= 0.0 {
                curvature = Curvature::new(&slope, level.first);
                step = curvature.step(&slope);
                rise = product(&step, &slope);
            }
            let length = product(&step, &step).sqrt();
            let mut share = (level.first / length).min(1.0);
            let found = loop {
                if share * length < level.last {
                    break None;
                }
                let next = Parameters(std::array::from_fn(|n| at.0[n] + share * step[n]));
                match self.information(&next) {
                    Some((higher, slope)) if higher >= height + 1e-4 * share * rise => {
                        break Some((next, higher, slope));
                    }
                    _ => share /= 2.0,
                }
            };
            let Some((next, higher, next_slope)) = found else {
                // A stale idea of the curvature may be to blame; once it is new there is no way up.
                if curvature.is_new {
                    break;
                }
                curvature = Curvature::new(&slope, level.first / 2.0);
                continue;
            };
            let moved = std::array::from_fn(|n| share * step[n]);
            curvature.learn(&moved, &std::array::from_fn(|n| slope[n] - next_slope[n]));
            (at, height, slope) = (next, higher, next_slope);
        }
        at
    }
}

fn product(a: &[f64; 12], b: &[f64; 12]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What BFGS knows of the curvature: an estimate of the inverse of minus the Hessian.
struct Curvature {
    inverse: [[f64; 12]; 12],
    is_new: bool,
}

impl Curvature {
    /// Nothing known: the first step along the slope has the given length.
    fn new(slope: &[f64; 12], length: f64) -> Curvature {
        let scale = length / product(slope, slope).sqrt().max(1e-12);
        let inverse = std::array::from_fn(|r| std::array::from_fn(|c| if r == c { scale } else { 0.0 }));
        Curvature { inverse, is_new: true }
    }

    fn step(&self, slope: &[f64; 12]) -> [f64; 12] {
        self.inverse.map(|row| product(&row, slope))
    }

    /// Takes in that the slope fell by `fall` over `moved` (Nocedal and Wright, Numerical Optimization, 6.17).
    fn learn(&mut self, moved: &[f64; 12], fall: &[f64; 12]) {
        let along = product(moved, fall);
        if along <= 1e-10 * (product(moved, moved) * product(fall, fall)).sqrt() {
            return;
        }
        if self.is_new {
            let scale = along / product(fall, fall);
            self.inverse = std::array::from_fn(|r| std::array::from_fn(|c| if r == c { scale } else { 0.0 }));
            self.is_new = false;
        }
        let bent = self.step(fall);
        let factor = (1.0 + product(fall, &bent) / along) / along;
        for r in 0..12 {
            for c in 0..12 {
                self.inverse[r][c] +=
                    factor * moved[r] * moved[c] - (bent[r] * moved[c] + moved[r] * bent[c]) / along;
            }
        }
    }
}

/// The image smoothed by millimetres.
fn smoothed(volume: &Volume, sigma_mm: f64) -> Array3<f32> {
    let [i, j, k] = volume.grid.spacing().map(|mm| sigma_mm / mm);
    gaussian(volume.voxels.view(), [k, j, i], Beyond::Nearest)
}
