//! Where to look next: islands, holes and places where the network was unsure, the gravest first.

use imaging::{Components, Connectivity, IndexBox, LabelMap, Progress, fill_holes};
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::runner_up::{RunnerUp, UNSURE};

/// A doubtful place smaller than this is not worth a look, in millilitres.
const LEAST_ML: f64 = 0.02;

/// Why a place deserves a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It does not hang together with the rest of its structure.
    Island,
    /// It is background, enclosed by the structure.
    Hole,
    /// The network nearly said this other label.
    Unsure(u8),
}

/// A place that deserves a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The structure.
    pub label: u8,
    /// What is odd.
    pub reason: Reason,
    /// A voxel of it near its middle, `[i, j, k]`.
    pub voxel: [usize; 3],
    /// That voxel's centre in LPS+ millimetres.
    pub position: [f64; 3],
    /// Its size in millilitres.
    pub ml: f64,
    /// Millilitres that are expected to be wrong: the order of the list.
    pub score: f64,
}

/// All such places, the gravest first. Works without the network's second choice, too.
///
/// # Errors
///
/// [`crate::Error::Cancelled`].
pub fn suspicious(
    labels: &LabelMap,
    runner_up: Option<&RunnerUp>,
    progress: &Progress,
) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    let runner_up = runner_up.filter(|runner_up| runner_up.check(labels).is_ok());
    for (label, part) in labels.boxes().into_iter().enumerate() {
        progress.step("looking for doubtful places", label as u64, 256)?;
        let Some(part) = part else { continue };
        let survey = Survey { labels, label: label as u8, part };
        let mask = part.view(labels.labels.view()).mapv(|found| found == survey.label);
        let components = Components::of(mask.view(), |&inside| inside, Connectivity::Corners);
        let largest = components.largest();
        survey.report(&components, |n| Some(n) != largest, Reason::Island, 1.0, &mut places);
        let filled = fill_holes(&mask);
        let view = part.view(labels.labels.view());
        let hole = Array3::from_shape_fn(mask.dim(), |at| filled[at] && view[at] == 0);
        let holes = Components::of(hole.view(), |&inside| inside, Connectivity::Corners);
        survey.report(&holes, |_| true, Reason::Hole, 1.0, &mut places);
        if let Some(runner_up) = runner_up {
            survey.unsure(&mask, runner_up, &mut places);
        }
    }
    places.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.voxel.cmp(&b.voxel)));
    Ok(places)
}

/// One structure under review.
struct Survey<'a> {
    labels: &'a LabelMap,
    label: u8,
    part: IndexBox,
}

impl Survey<'_> {
    /// Lists components, each worth a share of its size.
    fn report(
        &self,
        components: &Components,
        wanted: impl Fn(usize) -> bool,
        reason: Reason,
        share: f64,
        places: &mut Vec<Place>,
    ) {
        let voxel_ml = self.labels.grid.determinant().abs() / 1000.0;
        let numbers = components.labels();
        let mut middles: Vec<Option<(f64, [usize; 3])>> = vec![None; components.len()];
        let centers = components.centers();
        for ((k, j, i), &number) in numbers.indexed_iter().filter(|(_, number)| **number != 0) {
            let n = number as usize - 1;
            let off = |a: usize, at: usize| (at as f64 - centers[n][a]).powi(2);
            let distance = off(0, i) + off(1, j) + off(2, k);
            if middles[n].is_none_or(|(least, _)| distance < least) {
                middles[n] = Some((distance, [i, j, k]));
            }
        }
        for (n, &size) in components.sizes().iter().enumerate().filter(|(n, _)| wanted(*n)) {
            let ml = size as f64 * voxel_ml;
            let Some((_, at)) = middles[n].filter(|_| ml >= LEAST_ML) else { continue };
            let voxel: [usize; 3] = std::array::from_fn(|a| self.part.start[a] + at[a]);
            let position = self.labels.grid.world(voxel.map(|n| n as f64));
            places.push(Place { label: self.label, reason, voxel, position, ml, score: share * ml });
        }
    }

    /// Lists where the network nearly said something else.
    fn unsure(&self, mask: &Array3<bool>, runner_up: &RunnerUp, places: &mut Vec<Place>) {
        let (second, margin) =
            (self.part.view(runner_up.second.view()), self.part.view(runner_up.margin.view()));
        let doubtful =
            |at: (usize, usize, usize)| mask[at] && margin[at] < UNSURE && second[at] != self.label;
        let mut others = [false; 256];
        let places_in = mask.indexed_iter().map(|(at, _)| at).filter(|&at| doubtful(at));
        places_in.for_each(|at| others[usize::from(second[at])] = true);
        for other in (0..=255u8).filter(|&other| others[usize::from(other)]) {
            let here = Array3::from_shape_fn(mask.dim(), |at| doubtful(at) && second[at] == other);
            let blobs = Components::of(here.view(), |&inside| inside, Connectivity::Corners);
            // A voxel at a margin below 0.4 is wrong about every third time.
            self.report(&blobs, |_| true, Reason::Unsure(other), 1.0 / 3.0, places);
        }
    }
}

#[cfg(test)]
mod tests {
    use imaging::Grid;

    use super::*;

    #[test]
    fn islands_holes_and_doubts_are_found_by_size() {
        let grid = Grid::aligned([20, 20, 20], [2.0, 2.0, 2.0]);
        let mut labels = LabelMap::background(&grid);
        let inside = |at: usize, low, high| (low..high).contains(&at);
        for ((k, j, i), label) in labels.labels.indexed_iter_mut() {
            let hole = [i, j, k].iter().all(|&n| inside(n, 6, 8));
            let body = [i, j, k].iter().all(|&n| inside(n, 3, 11));
            let island = [i, j, k].iter().all(|&n| inside(n, 15, 18));
            *label = if (body && !hole) || island { 4 } else { 0 };
        }
        let margin = Array3::from_shape_fn((20, 20, 20), |(_, _, i)| if i == 3 { 10 } else { 200 });
        let second = Array3::from_elem((20, 20, 20), 7);
        let runner_up = RunnerUp { second, margin };
        let found = suspicious(&labels, Some(&runner_up), &Progress::silent()).unwrap();
        let seen: Vec<_> =
            found.iter().map(|place| (place.reason, place.voxel, (place.ml * 1000.0) as u64)).collect();
        let expected = [
            (Reason::Island, [16, 16, 16], 27 * 8),
            (Reason::Unsure(7), [3, 6, 6], 64 * 8),
            (Reason::Hole, [6, 6, 6], 8 * 8),
        ];
        assert_eq!(seen, expected);
        assert_eq!(found[0].position, [32.0; 3]);
        assert_eq!(suspicious(&labels, None, &Progress::silent()).unwrap().len(), 2);
    }
}
