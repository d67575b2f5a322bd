//! Who reaches each voxel first when seeds spread through an image, and how long it takes: Dijkstra's algorithm with a
//! heap. Grow-cut rests on it, and so do errors that leak along similar intensities.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Cost of a step: so much for a millimetre, and so much for a unit of intensity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) per_mm: f32,
    pub(crate) per_unit: f32,
}

/// The time at which each voxel is reached, and by which seed; 0 by none. Voxels of which `open` is false hold back.
///
/// Lists are in C order, i fastest, of `size` voxels along i, j, k.
pub(crate) fn spread(
    values: &[f32],
    size: [usize; 3],
    spacing: [f64; 3],
    seeds: &[u8],
    open: &[bool],
    cost: Cost,
) -> (Vec<f32>, Vec<u8>) {
    let mut time = vec![f32::INFINITY; values.len()];
    let mut owner = vec![0u8; values.len()];
    let mut waiting = BinaryHeap::new();
    for (n, &seed) in seeds.iter().enumerate().filter(|(_, seed)| **seed != 0) {
        (time[n], owner[n]) = (0.0, seed);
        waiting.push(Reverse((0u32, n)));
    }
    let strides = [1, size[0] as isize, (size[0] * size[1]) as isize];
    let steps: Vec<([isize; 3], f32)> = (0..27)
        .filter(|&n| n != 13)
        .map(|n| {
            let step = [n % 3 - 1, n / 3 % 3 - 1, n / 9 - 1];
            let square = (0..3).map(|a| (step[a] as f64 * spacing[a]).powi(2)).sum::<f64>();
            (step, square.sqrt() as f32 * cost.per_mm)
        })
        .collect();
    while let Some(Reverse((bits, n))) = waiting.pop() {
        // The bits of positive floats are in the order of the floats.
        if f32::from_bits(bits) > time[n] {
            continue;
        }
        let at = [n % size[0], n / size[0] % size[1], n / (size[0] * size[1])];
        for (step, length) in &steps {
            if (0..3).any(|a| at[a].checked_add_signed(step[a]).is_none_or(|n| n >= size[a])) {
                continue;
            }
            let next = n.wrapping_add_signed((0..3).map(|a| step[a] * strides[a]).sum());
            let found = time[n] + length + cost.per_unit * (values[n] - values[next]).abs();
            if open[next] && found < time[next] {
                (time[next], owner[next]) = (found, owner[n]);
                waiting.push(Reverse((found.to_bits(), next)));
            }
        }
    }
    (time, owner)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Truth {
        spreads: Vec<Case>,
    }

    /// Made by SciPy: `tests/reference/correction/kernels.py`.
    #[derive(Deserialize)]
    struct Case {
        shape: [usize; 3],
        spacing: [f64; 3],
        per_mm: f32,
        per_unit: f32,
        values: Vec<f32>,
        free: Vec<u8>,
        seeds: Vec<[usize; 3]>,
        distances: Vec<Option<f32>>,
        /// 1 or 2 by the seed that is nearer, 0 where neither leads, -1 where both are equally near.
        owners: Vec<i8>,
    }

    #[test]
    fn times_and_owners_are_scipys() {
        let text = include_str!("../../../tests/reference/correction/kernels.json");
        let Truth { spreads } = serde_json::from_str(text).unwrap();
        assert!(!spreads.is_empty());
        for case in spreads {
            let [nk, nj, ni] = case.shape;
            let [k, j, i] = case.spacing;
            let mut seeds = vec![0; case.values.len()];
            for (n, &[k, j, i]) in case.seeds.iter().enumerate() {
                seeds[(k * nj + j) * ni + i] = n as u8 + 1;
            }
            let open: Vec<bool> = case.free.iter().map(|&free| free == 1).collect();
            let cost = Cost { per_mm: case.per_mm, per_unit: case.per_unit };
            let (time, owner) = spread(&case.values, [ni, nj, nk], [i, j, k], &seeds, &open, cost);
            for (found, expected) in time.iter().zip(&case.distances) {
                let near = expected.map_or(found.is_infinite(), |expected| (found - expected).abs() < 1e-2);
                assert!(near, "{found} instead of {expected:?}");
            }
            let clear = owner.iter().zip(&case.owners).filter(|(_, expected)| **expected >= 0);
            assert!(clear.clone().count() > 100);
            clear.for_each(|(&found, &expected)| assert_eq!(found as i8, expected));
        }
    }
}
