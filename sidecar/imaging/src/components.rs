//! Connected components: which voxels of a mask hang together, through faces (6), edges (18) or corners (26).
//!
//! Works on runs of voxels along i, so that memory grows with the surface of the mask and not with the image.

use ndarray::{Array3, ArrayView3, Axis};

use crate::{Grid, LabelMap};

/// Which of its 26 neighbours a voxel touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connectivity {
    /// The 6 that share a face: SciPy's and TotalSegmentator's default.
    Faces,
    /// The 18 that share a face or an edge.
    Edges,
    /// All 26.
    Corners,
}

impl Connectivity {
    /// Rows already seen that a row touches, `[dk, dj]` backwards, and whether diagonally along i as well.
    fn rows(self) -> &'static [(usize, isize, bool)] {
        match self {
            Connectivity::Faces => &[(0, -1, false), (1, 0, false)],
            Connectivity::Edges => &[(0, -1, true), (1, 0, true), (1, -1, false), (1, 1, false)],
            Connectivity::Corners => &[(0, -1, true), (1, 0, true), (1, -1, true), (1, 1, true)],
        }
    }
}

/// Voxels `start..end` of a row, and the component they belong to.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
    component: u32,
}

/// The components of a mask, numbered from 0 in the order in which their first voxels lie in memory.
#[derive(Debug, Clone)]
pub struct Components {
    /// The array's shape `[k, j, i]`.
    shape: [usize; 3],
    /// Runs row by row; row `n` has `runs[rows[n]..rows[n + 1]]`.
    runs: Vec<Run>,
    rows: Vec<usize>,
    sizes: Vec<u64>,
}

impl Components {
    /// Finds the components of the voxels of `[[k, j, i]]` for which `inside` holds.
    ///
    /// ```
    /// # use imaging::{Components, Connectivity};
    /// let mask = ndarray::array![[[1u8, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 1]]];
    /// let found = |connectivity| Components::of(mask.view(), |&value| value > 0, connectivity).sizes().to_vec();
    /// assert_eq!(found(Connectivity::Faces), [1, 1, 1]);
    /// assert_eq!(found(Connectivity::Edges), [3]);
    /// ```
    #[must_use]
    pub fn of<T>(
        array: ArrayView3<'_, T>,
        inside: impl Fn(&T) -> bool,
        connectivity: Connectivity,
    ) -> Components {
        let (nk, nj, ni) = array.dim();
        let mut runs: Vec<Run> = Vec::new();
        let mut rows = vec![0];
        let mut parents: Vec<u32> = Vec::new();
        for (k, plane) in array.outer_iter().enumerate() {
            for (j, row) in plane.outer_iter().enumerate() {
                let first = runs.len();
                append_runs(row.iter().map(&inside), &mut runs, &mut parents);
                for &(dk, dj, diagonal) in connectivity.rows() {
                    let Some(j) = j.checked_add_signed(dj).filter(|&j| j < nj) else { continue };
                    let Some(k) = k.checked_sub(dk) else { continue };
                    let n = k * nj + j;
                    join_rows(&runs[rows[n]..rows[n + 1]], &runs[first..], diagonal, &mut parents);
                }
                rows.push(runs.len());
            }
        }
        let mut components = Components { shape: [nk, nj, ni], runs, rows, sizes: Vec::new() };
        components.number(&mut parents);
        components
    }

    /// Turns the runs' provisional numbers into final ones, and counts voxels.
    fn number(&mut self, parents: &mut [u32]) {
        let mut numbers = vec![u32::MAX; parents.len()];
        for (n, run) in self.runs.iter_mut().enumerate() {
            let root = root(parents, n as u32) as usize;
            if numbers[root] == u32::MAX {
                numbers[root] = self.sizes.len() as u32;
                self.sizes.push(0);
            }
            run.component = numbers[root];
            self.sizes[numbers[root] as usize] += u64::from(run.end - run.start);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether the mask was empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Voxels of each component.
    #[must_use]
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// The largest component. Of equally large ones the one whose first voxel comes first when i is compared before
    /// j and k, which is the one that NumPy code on `[i, j, k]` arrays (TotalSegmentator) takes.
    #[must_use]
    pub fn largest(&self) -> Option<usize> {
        let most = *self.sizes.iter().max()?;
        let mut firsts: Vec<Option<[usize; 3]>> =
            self.sizes.iter().map(|&size| (size == most).then_some([usize::MAX; 3])).collect();
        self.each_run(|j, k, run| {
            if let Some(first) = &mut firsts[run.component as usize] {
                *first = [run.start as usize, j, k].min(*first);
            }
        });
        let candidates = firsts.into_iter().enumerate().filter_map(|(n, first)| Some((first?, n)));
        candidates.min().map(|(_, n)| n)
    }

    /// Centre of mass of each component, a continuous index `[i, j, k]`.
    #[must_use]
    pub fn centers(&self) -> Vec<[f64; 3]> {
        let mut sums = vec![[0u64; 3]; self.len()];
        self.each_run(|j, k, run| {
            let (start, end) = (u64::from(run.start), u64::from(run.end));
            let sum = &mut sums[run.component as usize];
            sum[0] += (start..end).sum::<u64>();
            sum[1] += (end - start) * j as u64;
            sum[2] += (end - start) * k as u64;
        });
        sums.iter().zip(&self.sizes).map(|(sum, &size)| sum.map(|s| s as f64 / size as f64)).collect()
    }

    /// The component of every voxel, counted from 1, in an array `[[k, j, i]]`; 0 outside.
    #[must_use]
    pub fn labels(&self) -> Array3<u32> {
        let mut labels = Array3::zeros(self.shape);
        self.paint(&mut labels, |component| Some(component as u32 + 1));
        labels
    }

    /// Writes a value of its own over the voxels of each component for which there is one.
    pub fn paint<T: Clone>(&self, array: &mut Array3<T>, value: impl Fn(usize) -> Option<T>) {
        let values: Vec<Option<T>> = (0..self.len()).map(value).collect();
        let [_, nj, _] = self.shape;
        for (k, mut plane) in array.axis_iter_mut(Axis(0)).enumerate() {
            for (j, mut row) in plane.axis_iter_mut(Axis(0)).enumerate() {
                let n = k * nj + j;
                for run in &self.runs[self.rows[n]..self.rows[n + 1]] {
                    if let Some(value) = &values[run.component as usize] {
                        row.slice_axis_mut(Axis(0), (run.start as usize..run.end as usize).into())
                            .fill(value.clone());
                    }
                }
            }
        }
    }

    fn each_run(&self, mut visit: impl FnMut(usize, usize, &Run)) {
        let nj = self.shape[1];
        for (n, bounds) in self.rows.windows(2).enumerate() {
            self.runs[bounds[0]..bounds[1]].iter().for_each(|run| visit(n % nj, n / nj, run));
        }
    }
}

fn append_runs(row: impl Iterator<Item = bool>, runs: &mut Vec<Run>, parents: &mut Vec<u32>) {
    let mut open = false;
    for (i, inside) in row.enumerate() {
        let i = i as u32;
        match (inside, open) {
            (true, false) => {
                let component = parents.len() as u32;
                parents.push(component);
                runs.push(Run { start: i, end: i + 1, component });
            }
            (true, true) => {
                if let Some(run) = runs.last_mut() {
                    run.end = i + 1;
                }
            }
            (false, _) => {}
        }
        open = inside;
    }
}

/// Joins the runs of two rows that touch.
fn join_rows(before: &[Run], now: &[Run], diagonal: bool, parents: &mut [u32]) {
    let reach = u32::from(diagonal);
    let (mut a, mut b) = (0, 0);
    while a < before.len() && b < now.len() {
        if before[a].start < now[b].end + reach && now[b].start < before[a].end + reach {
            let (x, y) = (root(parents, before[a].component), root(parents, now[b].component));
            // The older run leads, so numbers follow the order in memory.
            parents[x.max(y) as usize] = x.min(y);
        }
        if before[a].end < now[b].end { a += 1 } else { b += 1 }
    }
}

fn root(parents: &mut [u32], mut n: u32) -> u32 {
    while parents[n as usize] != n {
        parents[n as usize] = parents[parents[n as usize] as usize];
        n = parents[n as usize];
    }
    n
}

impl LabelMap {
    /// Keeps only the largest component of `label`; the rest becomes background.
    pub fn keep_largest(&mut self, label: u8, connectivity: Connectivity) {
        self.drop_components(label, connectivity, |components| {
            let largest = components.largest();
            (0..components.len()).map(|n| Some(n) != largest).collect()
        });
    }

    /// Makes components of `label` of at most so many voxels background.
    pub fn drop_small(&mut self, label: u8, at_most_voxels: f64, connectivity: Connectivity) {
        self.drop_components(label, connectivity, |components| {
            components.sizes().iter().map(|&size| size as f64 <= at_most_voxels).collect()
        });
    }

    /// As [`LabelMap::drop_small`], the limit in mm³, turned into voxels in f32 as TotalSegmentator does.
    pub fn drop_small_mm3(&mut self, label: u8, at_most_mm3: f64, connectivity: Connectivity) {
        let voxels = at_most_mm3 as f32 / self.grid.nifti_voxel_mm3();
        self.drop_small(label, f64::from(voxels), connectivity);
    }

    fn drop_components(
        &mut self,
        label: u8,
        connectivity: Connectivity,
        choose: impl Fn(&Components) -> Vec<bool>,
    ) {
        let Some(part) = self.box_of(label) else { return };
        let mut cropped = part.view(self.labels.view()).to_owned();
        let components = Components::of(cropped.view(), |&value| value == label, connectivity);
        let drop = choose(&components);
        components.paint(&mut cropped, |n| drop[n].then_some(0));
        part.view_mut(self.labels.view_mut()).assign(&cropped);
    }
}

impl Grid {
    /// Volume of a voxel in mm³ as tools that read NIfTI headers compute it: the f32 product of the f32 spacings.
    #[must_use]
    pub fn nifti_voxel_mm3(&self) -> f32 {
        self.spacing().iter().map(|&s| s as f32).product()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::bits::{fingerprint, noise};

    /// Made by SciPy: `tests/reference/imaging/masks.py`.
    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        shape: [usize; 3],
        share: u64,
        connectivity: usize,
        sizes: Vec<u64>,
        fingerprint: String,
    }

    #[derive(Deserialize)]
    struct Cases {
        components: Vec<Case>,
    }

    #[test]
    fn components_are_scipys() {
        let text = include_str!("../../../tests/reference/imaging/masks.json");
        let Cases { components } = serde_json::from_str(text).unwrap();
        assert!(components.len() > 10);
        for case in components {
            let mask = noise(case.shape, case.seed, 100, 0.0).mapv(|value| value < case.share as f64);
            let connectivity = match case.connectivity {
                1 => Connectivity::Faces,
                2 => Connectivity::Edges,
                _ => Connectivity::Corners,
            };
            let found = Components::of(mask.view(), |&inside| inside, connectivity);
            let tag = format!("{:?}, {} %, {connectivity:?}", case.shape, case.share);
            assert_eq!(found.sizes(), case.sizes, "{tag}");
            assert_eq!(fingerprint(found.labels().iter().copied()), case.fingerprint, "{tag}");
        }
    }

    #[test]
    fn largest_and_small_components() {
        let grid = Grid::aligned([6, 1, 3], [1.0, 2.0, 2.5]);
        let mut labels = LabelMap {
            labels: ndarray::array![[[3u8, 3, 0, 3, 3, 4]], [[0, 0, 0, 0, 0, 4]], [[3, 0, 3, 0, 0, 0]]],
            grid,
        };
        let mut largest = labels.clone();
        largest.keep_largest(3, Connectivity::Faces);
        assert_eq!(largest.labels.iter().filter(|&&l| l == 3).count(), 2);
        assert_eq!((largest.labels[[0, 0, 0]], largest.labels[[0, 0, 5]]), (3, 4), "ties go to the least i");
        labels.drop_small_mm3(3, 5.0, Connectivity::Faces);
        assert_eq!(labels.counts()[3], 4, "a component of exactly 5 mm³ goes");
        labels.drop_small(4, 2.0, Connectivity::Faces);
        labels.keep_largest(9, Connectivity::Corners);
        assert_eq!(labels.counts()[4], 0);
    }

    #[test]
    fn centres_of_mass() {
        let mask = ndarray::array![[[1u8, 1, 0], [1, 1, 0]], [[0, 0, 0], [0, 0, 1]]];
        let components = Components::of(mask.view(), |&value| value > 0, Connectivity::Faces);
        assert_eq!(components.centers(), [[0.5, 0.5, 0.0], [2.0, 1.0, 1.0]]);
    }
}
