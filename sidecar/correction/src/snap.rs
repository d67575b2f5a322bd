//! Moves a structure's boundary to where the image has edges: a cheapest cut within a band round it, which may run
//! anywhere between what lies deep inside and what lies far outside.

use imaging::{IndexBox, LabelMap, Progress, distance_mm};
use ndarray::Array3;

use crate::appearance::{Appearance, Histogram};
use crate::image::Image;
use crate::maxflow::{Graph, NOBODY};
use crate::region::alike;
use crate::{Error, Result};

/// The widest band, in millimetres to each side, and the most voxels in it.
const WIDEST_MM: f64 = 10.0;
const MOST_VOXELS: usize = 16_000_000;
/// What a smooth boundary on an edge is worth against brightness, as in the cut round a click.
const SMOOTHNESS: f32 = 8.0;
/// Whole units of capacity for a cost of 1.
const UNITS: f32 = 4096.0;

/// A structure's surroundings, and how far each voxel lies from its boundary.
struct Band<'a> {
    image: &'a Image,
    part: IndexBox,
    /// On the window's scale, each the mean of a voxel and its six neighbours.
    smooth: Array3<f32>,
    /// Millimetres to the boundary, negative inside.
    distance: Array3<f32>,
    /// Whether a voxel is of the structure or background.
    free: Array3<bool>,
    /// Whether it may change.
    allowed: Array3<bool>,
    within: f32,
}

/// The structure with its boundary moved by at most `within_mm`, in a box round it; only voxels that are `allowed`
/// change.
pub(crate) fn snapped(
    image: &Image,
    labels: &LabelMap,
    (label, object): (u8, IndexBox),
    within_mm: f64,
    allowed: &dyn Fn([usize; 3]) -> bool,
    progress: &Progress,
) -> Result<(IndexBox, Array3<bool>)> {
    if !(0.1..=WIDEST_MM).contains(&within_mm) {
        return Err(Error::Prompt { reason: "a boundary moves by 0.1 to 10 mm" });
    }
    let part = object.grown_mm(2.0 * within_mm, &labels.grid);
    let found = part.view(labels.labels.view());
    let inside = found.mapv(|found| found == label);
    let grid = labels.grid.cropped(&part);
    progress.step("snapping", 0, 3)?;
    let distance = distance_mm(&inside, &grid) - distance_mm(&inside.mapv(|inside| !inside), &grid);
    let free = found.mapv(|found| found == label || found == 0);
    let allowed = Array3::from_shape_fn(free.dim(), |(k, j, i)| {
        allowed([part.start[0] + i, part.start[1] + j, part.start[2] + k])
    });
    let smooth = smoothed(image, part);
    let band = Band { image, part, smooth, distance, free, allowed, within: within_mm as f32 };
    progress.step("snapping", 1, 3)?;
    let (graph, numbers) = band.graph(grid.spacing().map(|n| n as f32))?;
    progress.step("snapping", 2, 3)?;
    let source = graph.cut().source;
    let deep = |place| inside[place];
    let inside = Array3::from_shape_fn(inside.dim(), |place| match numbers[place] {
        NOBODY => deep(place),
        number => source[number as usize],
    });
    Ok((part, inside))
}

/// The windowed intensities of a part, each the mean of a voxel and its neighbours through faces.
fn smoothed(image: &Image, part: IndexBox) -> Array3<f32> {
    let volume = image.volume();
    let size = volume.grid.size;
    let at = |[i, j, k]: [usize; 3]| image.windowed(volume.voxels[[k, j, i]]);
    let [ni, nj, nk] = part.size();
    Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| {
        let voxel = [part.start[0] + i, part.start[1] + j, part.start[2] + k];
        let (mut sum, mut count) = (at(voxel), 1.0);
        for a in 0..3 {
            let before = voxel[a].checked_sub(1);
            let after = Some(voxel[a] + 1).filter(|&n| n < size[a]);
            for n in [before, after].into_iter().flatten() {
                let mut next = voxel;
                next[a] = n;
                sum += at(next);
                count += 1.0;
            }
        }
        sum / count
    })
}

impl Band<'_> {
    fn is_open(&self, place: (usize, usize, usize)) -> bool {
        self.free[place] && self.allowed[place] && self.distance[place].abs() <= self.within
    }

    /// How likely brightness makes the structure: deep inside against what lies about as far outside.
    fn appearance(&self) -> Appearance {
        let [mut deep, mut all, mut outside] = [Histogram::new(), Histogram::new(), Histogram::new()];
        for (place, value) in self.smooth.indexed_iter().filter(|(place, _)| self.free[*place]) {
            let distance = self.distance[place];
            if distance < 0.0 {
                all.add(*value);
            }
            if distance < -self.within / 2.0 {
                deep.add(*value);
            } else if distance > self.within / 2.0 && distance <= 2.0 * self.within {
                outside.add(*value);
            }
        }
        // Thin structures have no inside to speak of.
        let inside = if deep.total > 30 { deep } else { all };
        Appearance::new(&inside, None, &outside)
    }

    /// The voxels of the band as a graph, and the number of each.
    fn graph(&self, spacing: [f32; 3]) -> Result<(Graph, Array3<u32>)> {
        let mut numbers = Array3::from_elem(self.free.dim(), NOBODY);
        let mut nodes = Vec::new();
        for (place, number) in numbers.indexed_iter_mut().filter(|(place, _)| self.is_open(*place)) {
            *number = nodes.len() as u32;
            nodes.push(place);
        }
        if nodes.len() > MOST_VOXELS {
            return Err(Error::Prompt { reason: "the structure is too large to be snapped as a whole" });
        }
        let appearance = self.appearance();
        let mean = spacing.iter().sum::<f32>() / 3.0;
        // Along k, j, i, as places run.
        let weights = [2, 1, 0].map(|a| SMOOTHNESS * UNITS * mean / spacing[a]);
        let mut graph = Graph::with_capacity(nodes.len());
        for &place in &nodes {
            let mut terminal = (appearance.of(self.smooth[place]) * UNITS).round() as i32;
            let (mut neighbors, mut capacities) = ([NOBODY; 6], [0; 6]);
            for (direction, next) in around(place, self.free.dim()).into_iter().enumerate() {
                let Some(next) = next else { continue };
                let difference = self.value(place) - self.value(next);
                let weight = (weights[direction / 2] * alike(difference, self.image.noise())).round() as i32;
                match numbers[next] {
                    NOBODY if self.free[next] && self.distance[next] < 0.0 => terminal += weight,
                    NOBODY => terminal -= weight,
                    number => (neighbors[direction], capacities[direction]) = (number, weight),
                }
            }
            graph.push(terminal, neighbors, capacities);
        }
        Ok((graph, numbers))
    }

    /// The windowed intensity of a place.
    fn value(&self, (k, j, i): (usize, usize, usize)) -> f32 {
        let start = self.part.start;
        self.image.windowed(self.image.volume().voxels[[start[2] + k, start[1] + j, start[0] + i]])
    }
}

/// The neighbours of a place along -k, +k, -j, +j, -i, +i, within the part.
fn around(
    (k, j, i): (usize, usize, usize),
    (nk, nj, ni): (usize, usize, usize),
) -> [Option<(usize, usize, usize)>; 6] {
    [
        k.checked_sub(1).map(|k| (k, j, i)),
        Some((k + 1, j, i)).filter(|_| k + 1 < nk),
        j.checked_sub(1).map(|j| (k, j, i)),
        Some((k, j + 1, i)).filter(|_| j + 1 < nj),
        i.checked_sub(1).map(|i| (k, j, i)),
        Some((k, j, i + 1)).filter(|_| i + 1 < ni),
    ]
}
