//! How far every cell is from the click along the easiest way: millimetres, and more for every change of intensity.

use crate::block::{Block, Role};

/// Millimetres of a bucket of cells that wait at about the same distance.
const BUCKET_MM: f32 = 0.5;
/// What it costs, in millimetres, to pass between background and the label under the click.
pub(crate) const BARRIER_MM: f32 = 10.0;

/// Geodesic distance in millimetres from `seeds` over free cells, through faces, edges and corners; infinity where
/// nothing within `reach` millimetres leads.
///
/// A step costs its length, plus `per_unit` millimetres for each unit of intensity that it changes. Dijkstra's
/// algorithm with buckets (Dial 1969): exact, for a cell that becomes nearer within its bucket is looked at again.
pub(crate) fn geodesic(block: &Block, seeds: &[usize], per_unit: f32, reach: f32) -> Vec<f32> {
    let steps = steps(block);
    let mut distance = vec![f32::INFINITY; block.values.len()];
    let mut buckets: Vec<Vec<u32>> = vec![Vec::new(); (reach / BUCKET_MM) as usize + 1];
    let bucket = |distance: f32| (distance / BUCKET_MM) as usize;
    for &seed in seeds {
        distance[seed] = 0.0;
        buckets[0].push(seed as u32);
    }
    for current in 0..buckets.len() {
        let mut waiting = std::mem::take(&mut buckets[current]);
        while let Some(cell) = waiting.pop() {
            let cell = cell as usize;
            let (so_far, value, label) = (distance[cell], block.values[cell], block.labels[cell]);
            if bucket(so_far) != current {
                continue;
            }
            for &(offset, length) in &steps {
                let next = cell.wrapping_add_signed(offset);
                if block.roles[next] != Role::Free {
                    continue;
                }
                let mut found = so_far + length + per_unit * (value - block.values[next]).abs();
                if label != block.labels[next] {
                    found += BARRIER_MM;
                }
                if found < distance[next] && found <= reach {
                    distance[next] = found;
                    match bucket(found) {
                        near if near == current => waiting.push(next as u32),
                        far => buckets[far].push(next as u32),
                    }
                }
            }
        }
    }
    distance
}

/// Offsets in the lists to the 26 neighbours, and how many millimetres away they are.
fn steps(block: &Block) -> Vec<(isize, f32)> {
    let strides = block.strides().map(|stride| stride as isize);
    let mut steps = Vec::with_capacity(26);
    for k in -1..=1isize {
        for j in -1..=1isize {
            for i in -1..=1isize {
                let step = [i, j, k];
                if step != [0; 3] {
                    let square = |a: usize| (step[a] as f32 * block.spacing[a]).powi(2);
                    let length = (square(0) + square(1) + square(2)).sqrt();
                    steps.push(((0..3).map(|a| step[a] * strides[a]).sum(), length));
                }
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use imaging::IndexBox;

    use super::*;
    use crate::block::Scene;
    use crate::prompt::Sign;
    use crate::truth::{image, labels, truth};

    #[test]
    fn distances_are_scipys() {
        for case in truth().geodesics {
            let image = image(case.shape, case.spacing, &case.values);
            // What is not free belongs to a third structure.
            let names = case.labels.iter().zip(&case.free);
            let labels =
                labels(&image, names.map(|(&label, &free)| if free == 1 { label } else { 9 }).collect());
            let scene = Scene {
                image: &image,
                labels: &labels,
                sign: Sign::Add,
                target: 5,
                under: 1,
                editable: None,
                opposite: &[],
                bounds: None,
            };
            let block = Block::new(&scene, &IndexBox::whole(&labels.grid), [1; 3]);
            let seeds: Vec<usize> =
                case.seeds.iter().filter_map(|&[k, j, i]| block.cell([i, j, k])).collect();
            assert_eq!(seeds.len(), 2);
            let found = geodesic(&block, &seeds, case.per_unit, case.reach);
            let found: Vec<f32> = block.inner().map(|cell| found[cell]).collect();
            assert_eq!(found.len(), case.distances.len());
            assert!(case.distances.iter().any(Option::is_none) && found.iter().any(|d| *d > 5.0));
            for (found, expected) in found.iter().zip(&case.distances) {
                let near = expected.map_or(found.is_infinite(), |expected| (found - expected).abs() < 1e-3);
                assert!(near, "{found} instead of {expected:?}");
            }
        }
    }

    #[test]
    fn means_of_neighbors_are_scipys() {
        let case = truth().smooth;
        let image = image(case.shape, [1.0; 3], &case.values);
        let labels = labels(&image, vec![0; case.values.len()]);
        let scene = Scene {
            image: &image,
            labels: &labels,
            sign: Sign::Add,
            target: 1,
            under: 0,
            editable: None,
            opposite: &[],
            bounds: None,
        };
        let block = Block::new(&scene, &IndexBox::whole(&labels.grid), [1; 3]);
        let smooth = block.smooth();
        for (cell, expected) in block.inner().zip(&case.mean) {
            assert!((smooth[cell] - expected).abs() < 1e-2, "{} instead of {expected}", smooth[cell]);
        }
    }
}
