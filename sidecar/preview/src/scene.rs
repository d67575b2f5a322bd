//! All structures as shaded surfaces: built once, seen from several sides.

use std::sync::atomic::{AtomicU64, Ordering};

use imaging::{Cancelled, Grid, Progress};
use rayon::prelude::*;

use crate::names::Material;
use crate::shading::{Light, linear};
use crate::study::Study;
use crate::surface::{self, Surface};
use crate::survey::{Field, Found};

/// A structure ready for the renderer.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) albedo: Light,
    pub(crate) material: Material,
    pub(crate) vertices: Vec<Vertex>,
    /// Counter-clockwise seen from outside.
    pub(crate) triangles: Vec<[u32; 3]>,
}

/// A point of a surface.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Vertex {
    /// Millimetres to the left, back and head of the scene's middle.
    pub(crate) position: [f32; 3],
    /// Unit vector outwards.
    pub(crate) normal: [f32; 3],
    /// The share of the sky seen from here, from 0 in a crevice to 1 in the open.
    pub(crate) sky: f32,
}

/// All bodies, and the radius of the scene in millimetres.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) bodies: Vec<Body>,
}

/// Cells along the longest side of the scene: about a quarter of the picture's pixels, since normals are smooth.
const CELLS: f64 = 250.0;
/// Structures smaller than this keep every voxel.
const SMALL_VOXELS: u64 = 40_000;
/// More cells than this in one structure's box are merged further.
const MOST_CELLS: usize = 20_000_000;

impl Scene {
    /// Builds every structure's surface; `None` when there are no structures.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when asked to stop.
    pub(crate) fn of(study: &Study<'_>, progress: &Progress) -> Result<Option<Scene>, Cancelled> {
        let Some(extent) = crate::survey::extent(&study.found) else { return Ok(None) };
        let bounds =
            study.frame.bounds(&study.label_grid, extent.map(|[a, b]| [a as f64 - 0.5, b as f64 - 0.5]));
        let middle = bounds.map(|[low, high]| (low + high) / 2.0);
        let longest = bounds.iter().map(|[low, high]| high - low).fold(0.0, f64::max);
        let crowd = Crowd::of(study, longest);
        let done = AtomicU64::new(0);
        let build = |found: &Found| {
            progress.step(
                "preview: surfaces",
                done.fetch_add(1, Ordering::Relaxed),
                study.found.len() as u64,
            )?;
            let factor = factor(&study.label_grid, found, longest / CELLS);
            let surface = surface::surface(&study.labels, found, factor);
            Ok(body(study, found, surface, middle, &crowd))
        };
        let bodies = study.found.par_iter().map(build).collect::<Result<_, _>>()?;
        Ok(Some(Scene { bodies }))
    }
}

/// How many voxels make a cell along i, j, k, for cells of about `target_mm`.
fn factor(grid: &Grid, found: &Found, target_mm: f64) -> [usize; 3] {
    let coarser = match found.material {
        Material::Envelope => 2.0,
        Material::Glass => 1.3,
        Material::Solid if found.voxels < SMALL_VOXELS => 0.0,
        Material::Solid => 1.0,
    };
    let mut factor = grid.spacing().map(|step| ((coarser * target_mm / step).round() as usize).clamp(1, 32));
    let cells = |factor: [usize; 3]| -> usize {
        (0..3).map(|a| (found.bounds[a][1] - found.bounds[a][0]) / factor[a] + 3).product()
    };
    while cells(factor) > MOST_CELLS {
        factor = factor.map(|n| n + 1);
    }
    factor
}

/// Places a surface in the scene and gives each vertex its normal and its share of the sky.
fn body(study: &Study<'_>, found: &Found, surface: Surface, middle: [f64; 3], crowd: &Crowd) -> Body {
    let place = |vertex: &[f32; 3]| {
        let at = study.frame.of_world(study.label_grid.world(vertex.map(f64::from)));
        std::array::from_fn(|a| (at[a] - middle[a]) as f32)
    };
    let positions: Vec<[f32; 3]> = surface.vertices.iter().map(place).collect();
    let mut triangles = surface.triangles;
    if study.label_grid.determinant() < 0.0 {
        triangles.iter_mut().for_each(|triangle| triangle.swap(1, 2));
    }
    let normals = normals(&positions, &triangles, &surface.links);
    let sky = |n: usize| {
        if found.material == Material::Envelope {
            1.0
        } else {
            crowd.sky(study, positions[n], normals[n], middle)
        }
    };
    let vertices = (0..positions.len())
        .map(|n| Vertex { position: positions[n], normal: normals[n], sky: sky(n) })
        .collect();
    Body { albedo: linear(found.color), material: found.material, vertices, triangles }
}

/// Normals weighted by area, smoothed twice over the neighbours.
fn normals(positions: &[[f32; 3]], triangles: &[[u32; 3]], links: &[[u32; 6]]) -> Vec<[f32; 3]> {
    let mut normals = vec![[0.0f32; 3]; positions.len()];
    for triangle in triangles {
        let [a, b, c] = triangle.map(|v| positions[v as usize]);
        let edge = |to: [f32; 3]| -> [f32; 3] { std::array::from_fn(|n| to[n] - a[n]) };
        let (u, v) = (edge(b), edge(c));
        let area = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
        for &vertex in triangle {
            (0..3).for_each(|n| normals[vertex as usize][n] += area[n]);
        }
    }
    normals.iter_mut().for_each(|normal| *normal = unit(*normal));
    for _ in 0..2 {
        let smoothed = (0..normals.len()).map(|n| {
            let mut sum = normals[n].map(|x| 1.5 * x);
            for &link in links[n].iter().filter(|&&link| link != u32::MAX) {
                (0..3).for_each(|a| sum[a] += normals[link as usize][a]);
            }
            unit(sum)
        });
        normals = smoothed.collect();
    }
    normals
}

/// The vector of length 1 along `v`; towards the front for none.
fn unit(v: [f32; 3]) -> [f32; 3] {
    let length = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
    if length > 1e-12 { v.map(|x| x / length) } else { [0.0, -1.0, 0.0] }
}

/// How densely space is filled with structures, on coarse cells and blurred: what shades crevices.
struct Crowd {
    size: [usize; 3],
    factor: [usize; 3],
    density: Vec<f32>,
    /// Millimetres over a surface at which the density is asked for.
    reach: f32,
}

impl Crowd {
    fn of(study: &Study<'_>, longest: f64) -> Crowd {
        let cell_mm = longest / 90.0;
        let factor = study.label_grid.spacing().map(|step| ((cell_mm / step).round() as usize).clamp(1, 64));
        let size: [usize; 3] = std::array::from_fn(|a| study.labels.size[a].div_ceil(factor[a]));
        let weight = weights(study);
        let mut density = vec![0.0f32; size.iter().product()];
        let voxels = factor.iter().product::<usize>() as f32;
        density.par_chunks_mut(size[0] * size[1]).enumerate().for_each(|(z, slab)| {
            fill(&study.labels, factor, z, slab, &weight);
            slab.iter_mut().for_each(|cell| *cell /= voxels);
        });
        let mut crowd = Crowd { size, factor, density, reach: 2.0 * cell_mm as f32 };
        for (axis, spacing) in study.label_grid.spacing().into_iter().enumerate() {
            let step = spacing * factor[axis] as f64;
            let radius = (2.0 * cell_mm / step).round() as usize;
            (0..2).for_each(|_| crowd.density = box_blur(&crowd.density, size, axis, radius));
        }
        crowd
    }

    /// The share of the sky seen from a point of a surface.
    fn sky(&self, study: &Study<'_>, position: [f32; 3], normal: [f32; 3], middle: [f64; 3]) -> f32 {
        let over: [f64; 3] =
            std::array::from_fn(|a| middle[a] + f64::from(position[a] + self.reach * normal[a]));
        let index = study.label_grid.index(study.frame.to_world(over));
        let cell: [f32; 3] = std::array::from_fn(|a| ((index[a] + 0.5) / self.factor[a] as f64 - 0.5) as f32);
        let density = self.density_at(cell);
        // A flat wall leaves about a sixth; in the open there is nothing, in a narrow gap nearly all is filled.
        let closed = ((density - 0.10) / 0.75).clamp(0.0, 1.0);
        1.0 - 0.85 * closed.sqrt() * closed.sqrt().sqrt()
    }

    /// Trilinear; empty outside.
    fn density_at(&self, cell: [f32; 3]) -> f32 {
        let base = cell.map(f32::floor);
        let mut sum = 0.0;
        for corner in 0..8 {
            let mut weight = 1.0;
            let mut at = 0;
            for axis in [2, 1, 0] {
                let up = corner >> axis & 1;
                let t = cell[axis] - base[axis];
                weight *= if up == 1 { t } else { 1.0 - t };
                let index = base[axis] + up as f32;
                if !(index >= 0.0 && index < self.size[axis] as f32) {
                    weight = 0.0;
                    continue;
                }
                at = at * self.size[axis] + index as usize;
            }
            if weight > 0.0 {
                sum += weight * self.density[at];
            }
        }
        sum
    }
}

/// How much of the sky a voxel of each label takes: glass half, envelopes nothing.
fn weights(study: &Study<'_>) -> [f32; 256] {
    let mut weights = [0.0; 256];
    for found in &study.found {
        weights[usize::from(found.value)] = match found.material {
            Material::Solid => 1.0,
            Material::Glass => 0.35,
            Material::Envelope => 0.0,
        };
    }
    weights
}

/// Adds up the weights of the labels in one layer of coarse cells.
fn fill(labels: &Field<'_, u8>, factor: [usize; 3], z: usize, slab: &mut [f32], weight: &[f32; 256]) {
    let columns = labels.size[0].div_ceil(factor[0]);
    for k in z * factor[2]..((z + 1) * factor[2]).min(labels.size[2]) {
        for j in 0..labels.size[1] {
            let start = j / factor[1] * columns;
            for (cell, voxels) in slab[start..].iter_mut().zip(labels.row(j, k).chunks(factor[0])) {
                *cell += voxels.iter().map(|&label| weight[usize::from(label)]).sum::<f32>();
            }
        }
    }
}

/// The mean over `2 * radius + 1` cells along one axis, empty beyond the ends.
fn box_blur(density: &[f32], size: [usize; 3], axis: usize, radius: usize) -> Vec<f32> {
    let stride = [1, size[0], size[0] * size[1]][axis];
    let length = size[axis];
    let share = 1.0 / (2 * radius + 1) as f32;
    let mut blurred = vec![0.0f32; density.len()];
    let starts = (0..density.len()).filter(|at| (at / stride).is_multiple_of(length));
    for start in starts {
        for n in 0..length {
            let range = n.saturating_sub(radius)..(n + radius + 1).min(length);
            blurred[start + n * stride] = share * range.map(|m| density[start + m * stride]).sum::<f32>();
        }
    }
    blurred
}
