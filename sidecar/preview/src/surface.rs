//! The smooth surface of one structure: surface nets (Gibson 1998), relaxed inside their cells, so that neither
//! small voxels nor thick slices show as steps, and nothing thin is lost.

use crate::survey::{Field, Found};

/// No vertex.
const NONE: u32 = u32::MAX;
/// Rounds of smoothing; in each a vertex goes so far towards its neighbours, then a little further back, which
/// keeps thin parts from shrinking (Taubin 1995).
const ROUNDS: usize = 16;
const STEPS: [f32; 2] = [0.66, -0.65];
/// How far a vertex may stray from the middle of its cell, in cells.
const LEASH: f32 = 0.9;

/// Vertices in continuous indices `[i, j, k]` of the label map, and triangles that are counter-clockwise seen from
/// outside in index space.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surface {
    pub(crate) vertices: Vec<[f32; 3]>,
    /// Each vertex's neighbours along -i, +i, -j, +j, -k, +k; `u32::MAX` where there is none.
    pub(crate) links: Vec<[u32; 6]>,
    pub(crate) triangles: Vec<[u32; 3]>,
}

/// Counts of a structure's voxels in cells of `factor` voxels, with an empty cell all round.
struct Cells {
    size: [usize; 3],
    /// Index of the first voxel of the first cell inside the empty rim.
    low: [usize; 3],
    factor: [usize; 3],
    inside: Vec<u8>,
    share: Vec<u16>,
    /// The count from which a cell is inside.
    enough: u16,
}

/// The surface of a structure, from cells of `factor` voxels along i, j, k.
pub(crate) fn surface(labels: &Field<'_, u8>, found: &Found, factor: [usize; 3]) -> Surface {
    let cells = gather(labels, found, factor);
    let (mut surface, homes) = net(&cells);
    relax(&mut surface, &homes);
    for vertex in &mut surface.vertices {
        *vertex = std::array::from_fn(|axis| {
            let step = cells.factor[axis] as f32;
            cells.low[axis] as f32 + (vertex[axis] - 1.0) * step + (step - 1.0) / 2.0
        });
    }
    surface
}

/// Counts the structure's voxels in each cell.
fn gather(labels: &Field<'_, u8>, found: &Found, factor: [usize; 3]) -> Cells {
    let low: [usize; 3] = std::array::from_fn(|a| found.bounds[a][0] / factor[a] * factor[a]);
    let size: [usize; 3] = std::array::from_fn(|a| (found.bounds[a][1] - low[a]).div_ceil(factor[a]) + 2);
    let mut share = vec![0u16; size.iter().product()];
    let [i0, i1] = found.bounds[0];
    for k in found.bounds[2][0]..found.bounds[2][1] {
        for j in found.bounds[1][0]..found.bounds[1][1] {
            let start = ((k - low[2]) / factor[2] + 1) * size[1] + (j - low[1]) / factor[1] + 1;
            let line = &mut share[start * size[0]..(start + 1) * size[0]];
            for (i, &label) in (i0..i1).zip(&labels.row(j, k)[i0..i1]) {
                if label == found.value {
                    let count = &mut line[(i - low[0]) / factor[0] + 1];
                    *count = count.saturating_add(1);
                }
            }
        }
    }
    // A little under half, so that thin walls outlive the reduction.
    let enough = (0.4 * factor.iter().product::<usize>() as f64).ceil().min(60_000.0) as u16;
    let inside = share.iter().map(|&count| u8::from(count >= enough)).collect();
    Cells { size, low, factor, inside, share, enough }
}

/// One vertex in every cube of eight cells that are not all in or all out, at the mean of the crossings on the
/// cube's edges; two triangles round every edge that crosses. Also the cube of each vertex.
fn net(cells: &Cells) -> (Surface, Vec<[f32; 3]>) {
    let [nx, ny, nz] = cells.size;
    let corner = [0, 1, nx, nx + 1, nx * ny, nx * ny + 1, nx * ny + nx, nx * ny + nx + 1];
    let mut ids = vec![NONE; cells.inside.len()];
    let mut surface = Surface::default();
    let (mut homes, mut cubes) = (Vec::new(), Vec::new());
    for z in 0..nz - 1 {
        for y in 0..ny - 1 {
            for x in 0..nx - 1 {
                let at = (z * ny + y) * nx + x;
                let mask =
                    corner.iter().enumerate().fold(0u8, |mask, (n, o)| mask | cells.inside[at + o] << n);
                if mask == 0 || mask == 255 {
                    continue;
                }
                ids[at] = surface.vertices.len() as u32;
                let home = [x, y, z].map(|c| c as f32);
                let crossing = crossing(cells, at, &corner, mask);
                surface.vertices.push(std::array::from_fn(|a| home[a] + crossing[a]));
                homes.push(home.map(|c| c + 0.5));
                cubes.push((at, mask));
            }
        }
    }
    let stride = [1, nx, nx * ny];
    surface.links = cubes.iter().map(|&(at, mask)| links(&ids, at, mask, stride)).collect();
    for &(at, mask) in &cubes {
        for axis in 0..3 {
            let (inner, outer) = (mask & 1, mask >> (1 << axis) & 1);
            if inner != outer {
                let (u, v) = (stride[(axis + 1) % 3], stride[(axis + 2) % 3]);
                let mut quad = [at - u - v, at - v, at, at - u].map(|cube| ids[cube]);
                if inner == 0 {
                    quad.reverse();
                }
                surface.triangles.extend([[quad[0], quad[1], quad[2]], [quad[0], quad[2], quad[3]]]);
            }
        }
    }
    (surface, homes)
}

/// The mean of the crossings on a cube's edges, in the cube.
fn crossing(cells: &Cells, at: usize, corner: &[usize; 8], mask: u8) -> [f32; 3] {
    let threshold = f32::from(cells.enough) - 0.5;
    let mut sum = [0.0f32; 3];
    let mut crossings = 0.0;
    for axis in 0..3 {
        for a in (0..8).filter(|a| a >> axis & 1 == 0) {
            let b = a | 1 << axis;
            if (mask >> a & 1) == (mask >> b & 1) {
                continue;
            }
            let [low, high] = [a, b].map(|n| f32::from(cells.share[at + corner[n]]));
            let t = ((threshold - low) / (high - low)).clamp(0.0, 1.0);
            for (other, sum) in sum.iter_mut().enumerate() {
                *sum += if other == axis { t } else { (a >> other & 1) as f32 };
            }
            crossings += 1.0;
        }
    }
    sum.map(|sum| sum / crossings)
}

/// The vertices in the six cubes beside a cube, where the face between them is cut by the surface.
fn links(ids: &[u32], at: usize, mask: u8, stride: [usize; 3]) -> [u32; 6] {
    // Corners of a cube on the lower face across i, j, k.
    const LOWER: [u8; 3] = [0b0101_0101, 0b0011_0011, 0b0000_1111];
    std::array::from_fn(|n| {
        let (axis, up) = (n / 2, n % 2 == 1);
        let face = if up { !LOWER[axis] } else { LOWER[axis] };
        match mask & face {
            0 => NONE,
            cut if cut == face => NONE,
            _ if up => ids[at + stride[axis]],
            _ => ids[at - stride[axis]],
        }
    })
}

/// Moves each vertex towards the mean of its neighbours, on a leash: steps between voxels and slices melt into
/// slopes, and no part moves further than its own cell.
fn relax(surface: &mut Surface, homes: &[[f32; 3]]) {
    let mut next = surface.vertices.clone();
    for step in (0..ROUNDS).flat_map(|_| STEPS) {
        for (n, moved) in next.iter_mut().enumerate() {
            let vertex = surface.vertices[n];
            let mut sum = [0.0f32; 3];
            let mut count = 0.0;
            for &link in surface.links[n].iter().filter(|&&link| link != NONE) {
                let other = surface.vertices[link as usize];
                (0..3).for_each(|a| sum[a] += other[a]);
                count += 1.0;
            }
            for a in 0..3 {
                let towards = if count > 0.0 { sum[a] / count } else { vertex[a] };
                let wish = vertex[a] + step * (towards - vertex[a]);
                moved[a] = wish.clamp(homes[n][a] - LEASH, homes[n][a] + LEASH);
            }
        }
        std::mem::swap(&mut surface.vertices, &mut next);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::names::{Group, Material};

    fn found(labels: &Array3<u8>) -> Found {
        let (k, j, i) = labels.dim();
        Found {
            value: 1,
            name: String::new(),
            color: [0; 3],
            group: Group::Other,
            material: Material::Solid,
            voxels: labels.iter().map(|&label| u64::from(label)).sum(),
            bounds: [[0, i], [0, j], [0, k]],
            profile: [const { Vec::new() }; 3],
        }
    }

    /// The volume inside a closed surface, by the divergence theorem; positive when it is seen from outside.
    fn volume(surface: &Surface) -> f64 {
        let corners = |t: &[u32; 3]| t.map(|v| surface.vertices[v as usize].map(f64::from));
        surface
            .triangles
            .iter()
            .map(corners)
            .map(|[a, b, c]| crate::frame::dot(a, crate::frame::cross(b, c)) / 6.0)
            .sum()
    }

    fn check(radius: f64, factor: [usize; 3], tolerance: f64) {
        let middle = 24.0;
        let labels = Array3::from_shape_fn((49, 49, 49), |(k, j, i)| {
            let square = [i, j, k].iter().map(|&x| (x as f64 - middle).powi(2)).sum::<f64>();
            u8::from(square <= radius * radius)
        });
        let surface = surface(&Field::of(&labels), &found(&labels), factor);
        let wanted = 4.0 / 3.0 * std::f64::consts::PI * radius.powi(3);
        let ratio = volume(&surface) / wanted;
        assert!((ratio - 1.0).abs() < tolerance, "radius {radius} factor {factor:?}: {ratio}");
        let furthest = surface.vertices.iter().map(|v| {
            let square: f64 = v.iter().map(|&x| (f64::from(x) - middle).powi(2)).sum();
            (square.sqrt() - radius).abs()
        });
        let step = *factor.iter().max().unwrap() as f64;
        assert!(furthest.fold(0.0, f64::max) < 1.2 * step, "a vertex strayed");
    }

    #[test]
    fn a_ball_keeps_its_volume_and_its_radius() {
        check(20.0, [1, 1, 1], 0.03);
        check(20.0, [2, 2, 2], 0.05);
        check(20.0, [1, 1, 4], 0.06);
        check(4.0, [1, 1, 1], 0.12);
    }

    #[test]
    fn a_single_voxel_has_a_closed_surface() {
        let labels = Array3::from_elem((1, 1, 1), 1u8);
        let surface = surface(&Field::of(&labels), &found(&labels), [1, 1, 1]);
        assert_eq!((surface.vertices.len(), surface.triangles.len()), (8, 12));
        assert!(volume(&surface) > 0.0);
    }
}
