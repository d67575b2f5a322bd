//! Errors as networks make them, put into a segmentation that was right.

use imaging::{IndexBox, LabelMap, Volume, dilate, erode};
use ndarray::Array3;

use crate::random::{Random, Waves};
use crate::spread::{Cost, spread};

/// A kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A quarter to two fifths are missing behind a plane.
    Cut,
    /// The same part has the label of the neighbour that touches most.
    Swap,
    /// A ragged blob is missing at the surface.
    Hole,
    /// A ragged blob is too much at the surface.
    Leak,
    /// The label runs out along similar intensities.
    IntensityLeak,
    /// All of it lies 6 to 10 mm away.
    Shift,
    /// A ball of it lies somewhere else.
    Island,
    /// All of it is missing.
    Missed,
}

/// The six kinds that the method was found on.
pub const COMMON: [Fault; 6] =
    [Fault::Cut, Fault::Swap, Fault::Hole, Fault::Leak, Fault::IntensityLeak, Fault::Shift];

impl Fault {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Cut => "cut",
            Fault::Swap => "swap",
            Fault::Hole => "hole",
            Fault::Leak => "leak",
            Fault::IntensityLeak => "intensity_leak",
            Fault::Shift => "shift",
            Fault::Island => "island",
            Fault::Missed => "missed",
        }
    }
}

/// The structure that is spoiled, in a box with room around it.
struct Subject<'a> {
    volume: &'a Volume,
    part: IndexBox,
    labels: LabelMap,
    label: u8,
    mask: Array3<bool>,
}

/// The labels with a fault in the structure `label`; `None` where the fault is not possible.
#[must_use]
pub fn spoiled(volume: &Volume, truth: &LabelMap, label: u8, fault: Fault, seed: u64) -> Option<LabelMap> {
    let part = truth.box_of(label)?.grown_mm(60.0, &truth.grid);
    let labels = truth.cropped(&part);
    let mask = labels.mask(&[label]);
    let mut subject = Subject { volume, part, labels, label, mask };
    let mut random = Random::new(&[seed, u64::from(label), fault as u64]);
    subject.spoil(fault, &mut random)?;
    let mut spoiled = truth.clone();
    part.view_mut(spoiled.labels.view_mut()).assign(&subject.labels.labels);
    Some(spoiled)
}

impl Subject<'_> {
    fn spoil(&mut self, fault: Fault, random: &mut Random) -> Option<()> {
        match fault {
            Fault::Cut => self.cut(0, random),
            Fault::Swap => self.cut(self.neighbor()?, random),
            Fault::Hole => {
                let near = self.ragged(random);
                self.nearest(random, &near, true, 0)?;
            }
            Fault::Leak => {
                let near = self.ragged(random);
                self.nearest(random, &near, false, self.label)?;
            }
            Fault::IntensityLeak => {
                let near = self.along_intensity(random);
                self.nearest(random, &near, false, self.label)?;
            }
            Fault::Shift => self.shift(random),
            Fault::Island => self.island(random)?,
            Fault::Missed => self.paint(|subject, voxel| subject.inside(voxel), 0),
        }
        Some(())
    }

    fn voxels(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [ni, nj, nk] = self.part.size();
        (0..ni * nj * nk).map(move |n| [n % ni, n / ni % nj, n / (ni * nj)])
    }

    fn inside(&self, [i, j, k]: [usize; 3]) -> bool {
        self.mask[[k, j, i]]
    }

    fn paint(&mut self, chosen: impl Fn(&Self, [usize; 3]) -> bool, label: u8) {
        let painted: Vec<_> = self.voxels().filter(|&voxel| chosen(self, voxel)).collect();
        painted.into_iter().for_each(|[i, j, k]| self.labels.labels[[k, j, i]] = label);
    }

    fn cut(&mut self, label: u8, random: &mut Random) {
        let normal = random.direction();
        let height = |voxel: [usize; 3]| (0..3).map(|a| normal[a] * voxel[a] as f64).sum::<f64>();
        let mut heights: Vec<f64> = self.voxels().filter(|&voxel| self.inside(voxel)).map(height).collect();
        heights.sort_by(f64::total_cmp);
        let share = 1.0 - random.between(0.25, 0.4);
        let plane = heights[((heights.len() - 1) as f64 * share) as usize];
        self.paint(|subject, voxel| subject.inside(voxel) && height(voxel) > plane, label);
    }

    /// The label that touches this one most.
    fn neighbor(&self) -> Option<u8> {
        let shell = dilate(&self.mask, 2);
        let mut counts = [0u32; 256];
        for ([i, j, k], _) in self.voxels().filter(|&voxel| !self.inside(voxel)).zip(0..) {
            if shell[[k, j, i]] {
                counts[usize::from(self.labels.labels[[k, j, i]])] += 1;
            }
        }
        counts[0] = 0;
        let most = counts.iter().copied().max().filter(|&most| most > 0)?;
        counts.iter().position(|&count| count == most).map(|label| label as u8)
    }

    /// A chance voxel of the surface.
    fn surface(&self, random: &mut Random) -> [usize; 3] {
        let inner = erode(&self.mask, 1);
        let surface: Vec<_> =
            self.voxels().filter(|&[i, j, k]| self.mask[[k, j, i]] && !inner[[k, j, i]]).collect();
        surface[random.below(surface.len())]
    }

    /// Distance from a chance voxel of the surface, made ragged.
    fn ragged(&self, random: &mut Random) -> Vec<f32> {
        let center = self.surface(random);
        let spacing = self.labels.grid.spacing();
        let waves = Waves::new(random);
        let distance = |voxel: [usize; 3]| {
            let square = |a: usize| ((voxel[a] as f64 - center[a] as f64) * spacing[a]).powi(2);
            let distance = (square(0) + square(1) + square(2)).sqrt();
            (distance / (1.0 + 0.25 * waves.at(voxel).clamp(-2.0, 2.0))) as f32
        };
        self.voxels().map(distance).collect()
    }

    /// Distance from a chance voxel of the surface, longer where the intensity changes.
    fn along_intensity(&self, random: &mut Random) -> Vec<f32> {
        let [i, j, k] = self.surface(random);
        let image = self.part.view(self.volume.voxels.view());
        let values: Vec<f32> = image.iter().map(|value| value.clamp(-200.0, 400.0)).collect();
        let size = self.part.size();
        let mut seeds = vec![0; values.len()];
        seeds[(k * size[1] + j) * size[0] + i] = 1;
        let open: Vec<bool> = self.mask.iter().map(|inside| !inside).collect();
        let cost = Cost { per_mm: 0.5, per_unit: 0.05 };
        spread(&values, size, self.labels.grid.spacing(), &seeds, &open, cost).0
    }

    /// Gives `label` to the nearest voxels inside or outside the structure, 15 to 35 % of its size.
    fn nearest(&mut self, random: &mut Random, near: &[f32], inside: bool, label: u8) -> Option<()> {
        let size = self.mask.iter().filter(|inside| **inside).count();
        let wanted = (random.between(0.15, 0.35) * size as f64) as usize;
        let candidates = self.voxels().zip(near).filter(|(voxel, _)| self.inside(*voxel) == inside);
        let mut candidates: Vec<_> = candidates.map(|(voxel, &distance)| (distance, voxel)).collect();
        if wanted == 0 || candidates.len() <= wanted {
            return None;
        }
        candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
        for &(_, [i, j, k]) in &candidates[..=wanted] {
            self.labels.labels[[k, j, i]] = label;
        }
        Some(())
    }

    fn shift(&mut self, random: &mut Random) {
        let (direction, length) = (random.direction(), random.between(6.0, 10.0));
        let spacing = self.labels.grid.spacing();
        let offset: [isize; 3] =
            std::array::from_fn(|a| (direction[a] * length / spacing[a]).round() as isize);
        let moved: Vec<[usize; 3]> = self.voxels().filter(|&voxel| self.inside(voxel)).collect();
        self.paint(|subject, voxel| subject.inside(voxel), 0);
        for voxel in moved {
            let to: [usize; 3] = std::array::from_fn(|a| voxel[a].wrapping_add_signed(offset[a]));
            let place = self.labels.labels.get_mut([to[2], to[1], to[0]]);
            if let Some(label) = place.filter(|label| **label == 0) {
                *label = self.label;
            }
        }
    }

    /// A ball of 8 to 12 mm of background, at least 15 mm from the structure, becomes part of it.
    fn island(&mut self, random: &mut Random) -> Option<()> {
        let far = imaging::distance_mm(&self.mask, &self.labels.grid);
        let places: Vec<_> = self
            .voxels()
            .filter(|&[i, j, k]| self.labels.labels[[k, j, i]] == 0 && far[[k, j, i]] > 25.0)
            .collect();
        if places.is_empty() {
            return None;
        }
        let (center, radius) = (places[random.below(places.len())], random.between(8.0, 12.0));
        let spacing = self.labels.grid.spacing();
        let within = |voxel: [usize; 3]| {
            let square = |a: usize| ((voxel[a] as f64 - center[a] as f64) * spacing[a]).powi(2);
            square(0) + square(1) + square(2) <= radius * radius
        };
        let label = self.label;
        self.paint(|subject, [i, j, k]| within([i, j, k]) && subject.labels.labels[[k, j, i]] == 0, label);
        Some(())
    }
}
