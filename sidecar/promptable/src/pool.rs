//! The least or greatest value round each voxel; at a window's rim, of those that lie in it.

use crate::block::Block;

/// Every value replaced by the one that `keep` prefers among those at most `radius` away along each axis.
pub(crate) fn pooled<T: Copy + Default + PartialEq>(
    block: &Block<T>,
    radius: usize,
    keep: impl Fn(T, T) -> T,
) -> Block<T> {
    let mut pooled = block.clone();
    let size = block.window.size();
    let mut line = Vec::new();
    for (axis, length) in size.into_iter().enumerate() {
        let stride: usize = size[axis + 1..].iter().product();
        let outer = pooled.values.len() / (stride * length).max(1);
        for first in (0..outer).flat_map(|n| (0..stride).map(move |m| n * stride * length + m)) {
            line.clear();
            line.extend((0..length).map(|n| pooled.values[first + n * stride]));
            for n in 0..length {
                let around = &line[n.saturating_sub(radius)..(n + radius + 1).min(length)];
                let kept = around.iter().copied().reduce(&keep).unwrap_or_default();
                pooled.values[first + n * stride] = kept;
            }
        }
    }
    pooled
}

/// A mask without what is thinner than 5 voxels, as erosion and dilation by a cube leave it.
pub(crate) fn opened(mask: &Block<u8>) -> Block<u8> {
    let mut opened = Block::new(mask.window);
    // Beyond two voxels round all that is set, nothing can come of it.
    let Some(part) = mask.hull().and_then(|hull| hull.grown(3).and(&mask.window)) else { return opened };
    let eroded = pooled(&mask.cropped(part), 2, u8::min);
    opened.paste(&pooled(&eroded, 2, u8::max), part);
    opened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Window;

    fn block(size: [isize; 3], value: impl Fn([isize; 3]) -> u8) -> Block<u8> {
        let mut block = Block::new(Window { start: [0; 3], end: size });
        for [k, j] in block.window.rows() {
            for i in block.window.columns() {
                let place = block.place([k, j, i]);
                block.values[place] = value([k, j, i]);
            }
        }
        block
    }

    #[test]
    fn the_greatest_of_a_cube_cut_at_the_rim() {
        let found = pooled(&block([4, 3, 5], |at| u8::from(at == [3, 0, 1])), 1, u8::max);
        assert_eq!(found, block([4, 3, 5], |[k, j, i]| u8::from(k >= 2 && j <= 1 && i <= 2)));
    }

    #[test]
    fn opening_keeps_what_is_five_voxels_thick_or_lies_at_the_rim() {
        let cube = |[k, j, i]: [isize; 3]| (4..9).contains(&k) && (4..9).contains(&j) && (4..9).contains(&i);
        let line = |[k, j, _]: [isize; 3]| (k, j) == (11, 11);
        let rim = |[k, j, i]: [isize; 3]| k < 3 && j < 3 && i > 12;
        let mask = block([14, 14, 16], |at| u8::from(cube(at) || line(at) || rim(at)));
        assert_eq!(opened(&mask), block([14, 14, 16], |at| u8::from(cube(at) || rim(at))));
    }
}
