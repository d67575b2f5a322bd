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
