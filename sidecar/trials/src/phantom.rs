//! A patient who does not exist: organs, vessels, a spine and lesions of known shape, with partial volume and noise.

use imaging::{Grid, LabelMap, Volume};
use ndarray::Array3;
use rayon::prelude::*;

use crate::random::Random;

/// Size of the phantom in millimetres.
const EXTENT_MM: [f64; 3] = [240.0, 190.0, 160.0];
const NOISE_HU: f64 = 12.0;

/// A solid of one structure: how far a point is from its surface, negative inside.
enum Solid {
    /// Centre and half axes in millimetres.
    Ellipsoid([f64; 3], [f64; 3]),
    /// An upright, swaying tube: where it stands along i and j, its radius and how far it sways.
    Tube([f64; 2], f64, f64),
    /// A pile of rounded blocks along k: where it stands, and half its width.
    Pile([f64; 2], f64),
}

/// The structures, later ones over earlier ones: label, Hounsfield units, shape.
const STRUCTURES: [(u8, f64, Solid); 10] = [
    (1, 105.0, Solid::Ellipsoid([75.0, 85.0, 95.0], [52.0, 48.0, 44.0])),
    (2, 120.0, Solid::Ellipsoid([185.0, 110.0, 100.0], [24.0, 33.0, 30.0])),
    (3, 160.0, Solid::Ellipsoid([80.0, 140.0, 50.0], [21.0, 18.0, 34.0])),
    (4, 160.0, Solid::Ellipsoid([168.0, 140.0, 45.0], [20.0, 18.0, 32.0])),
    (5, 12.0, Solid::Ellipsoid([100.0, 45.0, 70.0], [15.0, 13.0, 20.0])),
    (6, 85.0, Solid::Ellipsoid([150.0, 65.0, 95.0], [30.0, 25.0, 35.0])),
    (7, 210.0, Solid::Tube([125.0, 128.0], 11.0, 5.0)),
    (8, 150.0, Solid::Tube([102.0, 124.0], 10.0, -4.0)),
    (9, 330.0, Solid::Pile([118.0, 158.0], 19.0)),
    (10, 60.0, Solid::Ellipsoid([60.0, 75.0, 110.0], [11.0, 10.0, 10.0])),
];

impl Solid {
    fn distance(&self, [x, y, z]: [f64; 3]) -> f64 {
        match *self {
            Solid::Ellipsoid(center, axes) => {
                let scaled = |a: usize| ([x, y, z][a] - center[a]) / axes[a];
                let radius = (0..3).map(|a| scaled(a).powi(2)).sum::<f64>().sqrt();
                let slope = (0..3).map(|a| (scaled(a) / axes[a]).powi(2)).sum::<f64>().sqrt();
                radius * (radius - 1.0) / slope.max(1e-6)
            }
            Solid::Tube(at, radius, sway) => {
                let shift = sway * (z / 25.0).sin();
                ((x - at[0] - shift).powi(2) + (y - at[1] + shift / 2.0).powi(2)).sqrt() - radius
            }
            Solid::Pile(at, half) => {
                let height = (z.rem_euclid(32.0) - 16.0).abs() - 13.0;
                let side = (x - at[0]).abs().max((y - at[1]).abs()) - half;
                let round = ((x - at[0]).powi(2) + (y - at[1]).powi(2)).sqrt() - 1.25 * half;
                height.max(side).max(round)
            }
        }
    }
}

/// The phantom in voxels of `spacing` millimetres: its image in Hounsfield units, and its labels 1 to 10.
///
/// Noise is drawn anew for every spacing and is the same every time.
#[must_use]
pub fn phantom(spacing: f64) -> (Volume, LabelMap) {
    let grid = Grid::aligned(EXTENT_MM.map(|extent| (extent / spacing) as usize), [spacing; 3]);
    let [nk, nj, ni] = grid.shape();
    let mut voxels = Array3::zeros((nk, nj, ni));
    let mut labels = LabelMap::background(&grid);
    let planes = voxels.outer_iter_mut().into_par_iter().zip(labels.labels.outer_iter_mut()).enumerate();
    planes.for_each(|(k, (mut plane, mut labels))| {
        let mut random = Random::new(&[k as u64, spacing.to_bits()]);
        for ((j, i), value) in plane.indexed_iter_mut() {
            let point = [i, j, k].map(|n| n as f64 * spacing);
            let (intensity, label) = tissue(point, spacing);
            *value = (intensity + NOISE_HU * random.normal()) as f32;
            labels[[j, i]] = label;
        }
    });
    (Volume { grid, voxels }, labels)
}

/// Hounsfield units of a voxel, mixed where it lies on a surface, and the structure its centre lies in.
fn tissue(point: [f64; 3], spacing: f64) -> (f64, u8) {
    let share = |distance: f64| (0.5 - distance / spacing).clamp(0.0, 1.0);
    let body = Solid::Ellipsoid([120.0, 100.0, 80.0], [116.0, 92.0, 400.0]).distance(point);
    let fat = -90.0 + 110.0 * share(body + 9.0);
    let mut intensity = -1000.0 + share(body) * (fat + 1000.0);
    let mut label = 0;
    for (name, units, solid) in &STRUCTURES {
        let distance = solid.distance(point);
        intensity += share(distance) * (units - intensity);
        if distance < 0.0 {
            label = *name;
        }
    }
    (intensity, label)
}
