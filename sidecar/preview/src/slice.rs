//! Cuts through the image in patient space, with the structures laid over it.

use imaging::{Cancelled, Grid, Progress};
use rayon::prelude::*;

use crate::canvas::{Color, Picture, mix};
use crate::names::Material;
use crate::study::Study;
use crate::survey::Field;

/// What lies outside the image.
pub(crate) const VOID: Color = [6, 8, 11];
/// How much of a structure's colour lies over the image inside its contour.
const FILL: f32 = 0.36;
/// Half of the width of a contour, on the raster of quarter pixels.
const LINE: f64 = 2.4;

/// A family of parallel cuts, seen as a radiologist sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plane {
    /// From the feet: the patient's right on the left of the picture, the front on top.
    Axial,
    /// From the front: the patient's right on the left of the picture, the head on top.
    Coronal,
    /// From the left: the front on the left of the picture, the head on top.
    Sagittal,
}

impl Plane {
    /// Its name.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Plane::Axial => "Axial",
            Plane::Coronal => "Coronal",
            Plane::Sagittal => "Sagittal",
        }
    }

    /// The frame's axes across, down and through, and whether they grow that way.
    pub(crate) fn axes(self) -> ([usize; 3], [bool; 2]) {
        match self {
            Plane::Axial => ([0, 1, 2], [true, true]),
            Plane::Coronal => ([0, 2, 1], [true, false]),
            Plane::Sagittal => ([1, 2, 0], [true, false]),
        }
    }

    /// Millimetres across and down of the part of space to show.
    pub(crate) fn extent(self, focus: [[f64; 2]; 3]) -> [f64; 2] {
        let ([across, down, _], _) = self.axes();
        [across, down].map(|axis| focus[axis][1] - focus[axis][0])
    }
}

/// One cut: where, and how large it is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) plane: Plane,
    /// Position along the normal, in millimetres of the frame.
    pub(crate) at: f64,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Size of a pixel.
    pub(crate) pixel_mm: f64,
}

impl View {
    /// The cut at `at` that shows all of `focus` in `width` by `height` pixels.
    pub(crate) fn fitted(plane: Plane, at: f64, focus: [[f64; 2]; 3], [width, height]: [usize; 2]) -> View {
        let [across, down] = plane.extent(focus);
        let pixel_mm = (across / width as f64).max(down / height as f64);
        View { plane, at, width, height, pixel_mm }
    }

    /// The position in the frame of a point of the picture, in pixels from the top left corner.
    pub(crate) fn position(&self, focus: [[f64; 2]; 3], [x, y]: [f64; 2]) -> [f64; 3] {
        let ([across, down, through], grows) = self.plane.axes();
        let offset = [x - self.width as f64 / 2.0, y - self.height as f64 / 2.0];
        let mut position = [0.0; 3];
        for (n, axis) in [across, down].into_iter().enumerate() {
            let middle = (focus[axis][0] + focus[axis][1]) / 2.0;
            position[axis] = middle + offset[n] * self.pixel_mm * if grows[n] { 1.0 } else { -1.0 };
        }
        position[through] = self.at;
        position
    }
}

/// The affine from pixels to continuous indices of one grid.
struct Raster {
    start: [f64; 3],
    across: [f64; 3],
    down: [f64; 3],
}

impl Raster {
    fn of(study: &Study<'_>, view: &View, grid: &Grid) -> Raster {
        let index = |point: [f64; 2]| grid.index(study.frame.to_world(view.position(study.focus, point)));
        let [start, right, below] = [index([0.0, 0.0]), index([1.0, 0.0]), index([0.0, 1.0])];
        let step = |to: [f64; 3]| std::array::from_fn(|a| to[a] - start[a]);
        Raster { start, across: step(right), down: step(below) }
    }

    fn index(&self, x: f64, y: f64) -> [f64; 3] {
        std::array::from_fn(|a| self.start[a] + self.across[a] * x + self.down[a] * y)
    }
}

/// Draws a cut: the image in its window, translucent structures, a crisp line just inside each one's border.
///
/// # Errors
///
/// [`Cancelled`] when asked to stop.
pub(crate) fn paint(
    study: &Study<'_>,
    view: &View,
    unit: f64,
    progress: &Progress,
) -> Result<Picture, Cancelled> {
    progress.step("preview: slices", 0, 0)?;
    let (width, height) = (view.width, view.height);
    let labels = label_raster(study, view);
    let raster = Raster::of(study, view, &study.grid);
    let colors = study.colors().map(vivid);
    let envelope = study.made_of(|material| material == Material::Envelope);
    let line = offsets((LINE * unit).max(1.5));
    // Where pixels are coarser than voxels one sample would flicker between them: take the mean of four.
    let finest = study.grid.spacing().into_iter().fold(f64::INFINITY, f64::min);
    let samples = if view.pixel_mm > 0.75 * finest { 2 } else { 1 };
    let mut picture = Picture::filled(width, height, VOID);
    picture.rgb.par_chunks_mut((3 * width).max(1)).enumerate().for_each(|(y, row)| {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let grey = shade(study, &raster, [x, y], samples);
            let mut sum = [0u32; 3];
            for n in 0..4 {
                let at = [2 * x + n % 2, 2 * y + n / 2];
                let label = usize::from(labels[at[1] * 2 * width + at[0]]);
                let border = label > 0 && on_border(&labels, [2 * width, 2 * height], at, &line);
                let cover = match (label, border, envelope[label]) {
                    (0, ..) | (_, false, true) => 0.0,
                    (_, true, true) => 0.6,
                    (_, true, false) => 0.95,
                    (_, false, false) => FILL,
                };
                for (sum, (under, over)) in sum.iter_mut().zip(grey.into_iter().zip(colors[label])) {
                    *sum += u32::from(mix(under, over, cover));
                }
            }
            pixel.copy_from_slice(&sum.map(|sum| ((sum + 2) / 4) as u8));
        }
    });
    Ok(picture)
}

/// The image under one pixel.
fn shade(study: &Study<'_>, raster: &Raster, [x, y]: [usize; 2], samples: usize) -> Color {
    let mut sum = 0.0;
    let mut hits = 0.0;
    for n in 0..samples * samples {
        let inner = |n: usize| (n as f64 + 0.5) / samples as f64;
        let index = raster.index(x as f64 + inner(n % samples), y as f64 + inner(n / samples));
        if let Some(value) = cubic(&study.voxels, index) {
            sum += study.tone.grey(value);
            hits += 1.0;
        }
    }
    if hits == 0.0 { VOID } else { [(255.0 * sum / hits).round() as u8; 3].map(|grey: u8| grey.max(4)) }
}

/// The same hue, as bright as it gets and a little purer: it has to hold its own against bone and fat.
fn vivid(color: Color) -> Color {
    let [low, high] = color.iter().fold([255, 0], |[low, high], &part| [part.min(low), part.max(high)]);
    let scale = 255.0 / f32::from(high.max(1));
    let grey = 0.35 * f32::from(low) * scale;
    let purer = |part: u8| (f32::from(part) * scale - grey) * 255.0 / (255.0 - grey).max(1.0);
    color.map(|part| purer(part).clamp(0.0, 255.0).round() as u8)
}

/// The label under each quarter of a pixel.
fn label_raster(study: &Study<'_>, view: &View) -> Vec<u8> {
    let raster = Raster::of(study, view, &study.label_grid);
    let ([.., through], _) = view.plane.axes();
    let normal = crate::frame::Frame::of(&study.label_grid).grid_axis[through];
    let mut labels = vec![0u8; 4 * view.width * view.height];
    labels.par_chunks_mut((2 * view.width).max(1)).enumerate().for_each(|(y, row)| {
        for (x, label) in row.iter_mut().enumerate() {
            let index = raster.index((x as f64 + 0.5) / 2.0, (y as f64 + 0.5) / 2.0);
            *label = vote(&study.labels, index, normal);
        }
    });
    labels
}

/// The neighbours within `radius` quarters of a pixel, on the label raster.
fn offsets(radius: f64) -> Vec<[i64; 2]> {
    let reach = radius.ceil() as i64;
    (-reach..=reach)
        .flat_map(|y| (-reach..=reach).map(move |x| [x, y]))
        .filter(|[x, y]| (x * x + y * y) as f64 <= radius * radius && [*x, *y] != [0, 0])
        .collect()
}

/// Whether another label lies within the line's width.
fn on_border(labels: &[u8], [width, height]: [usize; 2], [x, y]: [usize; 2], line: &[[i64; 2]]) -> bool {
    let label = labels[y * width + x];
    line.iter().any(|[dx, dy]| {
        let (nx, ny) = (x as i64 + dx, y as i64 + dy);
        let inside = nx >= 0 && ny >= 0 && nx < width as i64 && ny < height as i64;
        inside && labels[ny as usize * width + nx as usize] != label
    })
}

/// Whether a continuous index lies in a voxel.
fn within(index: [f64; 3], size: [usize; 3]) -> bool {
    (0..3).all(|a| index[a] >= -0.5 && index[a] <= size[a] as f64 - 0.5)
}

/// The label with the most weight round a continuous index: a quadratic B-spline in the plane, which rounds the
/// voxels' corners and keeps lines one voxel wide, and linear across it, so that a slice shows its own labels.
fn vote(labels: &Field<'_, u8>, index: [f64; 3], normal: usize) -> u8 {
    if !within(index, labels.size) {
        return 0;
    }
    let mut first = [0i64; 3];
    let mut weights = [[0.0f32; 3]; 3];
    for axis in 0..3 {
        if axis == normal {
            let base = (index[axis] + 1e-4).floor();
            let t = (index[axis] - base).max(0.0) as f32;
            let t = if t < 1e-3 { 0.0 } else { t };
            (first[axis], weights[axis]) = (base as i64, [1.0 - t, t, 0.0]);
        } else {
            let base = index[axis].round();
            let t = (index[axis] - base) as f32;
            let side = |d: f32| 0.5 * (0.5 + d) * (0.5 + d);
            (first[axis], weights[axis]) = (base as i64 - 1, [side(-t), 0.75 - t * t, side(t)]);
        }
    }
    let mut votes: [(u8, f32); 27] = [(0, 0.0); 27];
    let mut parties = 0;
    for n in 0..27 {
        let step = [n % 3, n / 3 % 3, n / 9];
        let weight = weights[0][step[0]] * weights[1][step[1]] * weights[2][step[2]];
        if weight == 0.0 {
            continue;
        }
        let label = labels.clamped(std::array::from_fn(|a| first[a] + step[a] as i64));
        match votes[..parties].iter_mut().find(|vote| vote.0 == label) {
            Some(vote) => vote.1 += weight,
            None => {
                votes[parties] = (label, weight);
                parties += 1;
            }
        }
    }
    votes[..parties]
        .iter()
        .fold((0, f32::NEG_INFINITY), |best, vote| if vote.1 > best.1 { *vote } else { best })
        .0
}

/// The image at a continuous index by Catmull-Rom splines; `None` outside.
fn cubic(voxels: &Field<'_, f32>, index: [f64; 3]) -> Option<f32> {
    if !within(index, voxels.size) {
        return None;
    }
    let mut first = [0i64; 3];
    let mut weights = [[0.0f32; 4]; 3];
    for axis in 0..3 {
        let base = (index[axis] + 1e-4).floor();
        let t = (index[axis] - base).max(0.0) as f32;
        first[axis] = base as i64 - 1;
        // On a plane of voxels the others have no say: most cuts need a quarter of the samples.
        weights[axis] = if t < 1e-3 { [0.0, 1.0, 0.0, 0.0] } else { catmull_rom(t) };
    }
    let mut sum = 0.0;
    for k in (0..4).filter(|&k| weights[2][k] != 0.0) {
        for j in (0..4).filter(|&j| weights[1][j] != 0.0) {
            for i in (0..4).filter(|&i| weights[0][i] != 0.0) {
                let step = [i, j, k];
                let value = voxels.clamped(std::array::from_fn(|a| first[a] + step[a] as i64));
                sum += value * weights[0][i] * weights[1][j] * weights[2][k];
            }
        }
    }
    Some(sum)
}

/// Weights of the four samples round `t` in `[0, 1]` between the second and the third (Catmull and Rom 1974).
fn catmull_rom(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [-0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1.0, -1.5 * t3 + 2.0 * t2 + 0.5 * t, 0.5 * t3 - 0.5 * t2]
}
