//! A software renderer: orthographic, with a depth buffer, translucent layers and four samples per pixel.

use imaging::{Cancelled, Progress};
use rayon::prelude::*;

use crate::canvas::Picture;
use crate::contact;
use crate::names::Material;
use crate::scene::{Scene, Vertex};
use crate::shading::{self, Light};

/// Samples per pixel along each axis.
const FINE: usize = 2;
/// Rows of pixels rendered together.
const BAND: usize = 24;
/// Translucent surfaces kept per sample, the nearest ones.
const LAYERS: usize = 4;

/// Where the scene is seen from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    /// Right, up and towards the eye, as unit vectors in the frame (left, back, head).
    axes: [[f32; 3]; 3],
}

impl Camera {
    /// From the front, turned by `azimuth` degrees towards the patient's left and raised by `elevation` degrees.
    pub(crate) fn new(azimuth: f64, elevation: f64) -> Camera {
        let ((s, c), (se, ce)) = (azimuth.to_radians().sin_cos(), elevation.to_radians().sin_cos());
        let axes = [[c, s, 0.0], [-s * se, c * se, ce], [s * ce, -c * ce, se]];
        Camera { axes: axes.map(|axis| axis.map(|x| x as f32)) }
    }

    /// Millimetres right, up and towards the eye.
    fn turn(&self, v: [f32; 3]) -> [f32; 3] {
        self.axes.map(|axis| axis[0] * v[0] + axis[1] * v[1] + axis[2] * v[2])
    }

    /// Lowest and highest right, up and towards of all surfaces, in millimetres.
    pub(crate) fn bounds(&self, scene: &Scene) -> [[f32; 2]; 3] {
        let solid = scene.bodies.iter().any(|body| body.material != Material::Envelope);
        let counted = |material| !solid || material != Material::Envelope;
        let bodies: Vec<_> = scene.bodies.iter().filter(|body| counted(body.material)).collect();
        let empty = [[f32::INFINITY, f32::NEG_INFINITY]; 3];
        let join = |mut a: [[f32; 2]; 3], b: [[f32; 2]; 3]| {
            (0..3).for_each(|n| a[n] = [a[n][0].min(b[n][0]), a[n][1].max(b[n][1])]);
            a
        };
        let bounds = |vertex: &Vertex| self.turn(vertex.position).map(|x| [x, x]);
        bodies.iter().flat_map(|body| body.vertices.iter().map(bounds)).fold(empty, join)
    }
}

/// The nearest surface at one sample.
#[derive(Debug, Clone, Copy)]
struct Hit {
    depth: f32,
    body: u16,
    triangle: u32,
}

const NOTHING: Hit = Hit { depth: f32::NEG_INFINITY, body: u16::MAX, triangle: 0 };

/// Vertices on the screen: samples right and down, millimetres towards the eye.
type Screen = Vec<Vec<[f32; 3]>>;

/// A pixel of the finished view.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pixel {
    pub(crate) light: Light,
    /// Millimetres towards the eye of the solid surfaces here, summed over the samples that have one.
    pub(crate) depth: f32,
    /// The share of the samples that have one.
    pub(crate) solid: f32,
}

/// A picture being taken.
struct Shot<'a> {
    scene: &'a Scene,
    camera: &'a Camera,
    screen: Screen,
    width: usize,
    /// Furthest and nearest.
    depth: [f32; 2],
}

/// What is to be drawn: size in pixels, millimetres per pixel, and the point in the middle (right, up).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixel_mm: f32,
    pub(crate) middle: [f32; 2],
}

/// Takes a picture of the scene over a dark ground.
///
/// # Errors
///
/// [`Cancelled`] when asked to stop.
pub(crate) fn render(
    scene: &Scene,
    camera: &Camera,
    shape: Shape,
    progress: &Progress,
) -> Result<Picture, Cancelled> {
    let bounds = camera.bounds(scene);
    let project = |vertex: &Vertex| {
        let [right, up, towards] = camera.turn(vertex.position);
        let scale = FINE as f32 / shape.pixel_mm;
        let x = (right - shape.middle[0]) * scale + (shape.width * FINE) as f32 / 2.0;
        let y = (shape.middle[1] - up) * scale + (shape.height * FINE) as f32 / 2.0;
        [x, y, towards]
    };
    let screen: Screen =
        scene.bodies.par_iter().map(|body| body.vertices.iter().map(project).collect()).collect();
    let shot = Shot { scene, camera, screen, width: shape.width, depth: bounds[2] };
    let bins = shot.bins(shape.height.div_ceil(BAND));
    let mut pixels = vec![Pixel::default(); shape.width * shape.height];
    let total = bins.len() as u64;
    pixels.par_chunks_mut(shape.width * BAND).zip(&bins).enumerate().try_for_each(|(n, (rows, bin))| {
        progress.step("preview: rendering", n as u64, total)?;
        shot.band(n, bin, rows, shape.height);
        Ok(())
    })?;
    let shadows = contact::shadows(&pixels, [shape.width, shape.height], shape.pixel_mm);
    let colors = pixels
        .iter()
        .zip(shadows)
        .flat_map(|(pixel, shadow)| shading::encode(pixel.light.map(|part| part * (1.0 - shadow))));
    Ok(Picture { width: shape.width, height: shape.height, rgb: colors.collect() })
}

impl Shot<'_> {
    /// The triangles that face the eye, by the band of rows they reach into, in the order of the bodies.
    fn bins(&self, bands: usize) -> Vec<Vec<(u16, u32)>> {
        let mut bins = vec![Vec::new(); bands];
        for (b, body) in self.scene.bodies.iter().enumerate() {
            for (t, triangle) in body.triangles.iter().enumerate() {
                let [p, q, r] = triangle.map(|v| self.screen[b][v as usize]);
                // Counter-clockwise from outside is clockwise on a screen whose rows run downwards.
                if area(p, q, r) >= 0.0 {
                    continue;
                }
                let low = p[1].min(q[1]).min(r[1]) / (BAND * FINE) as f32;
                let high = p[1].max(q[1]).max(r[1]) / (BAND * FINE) as f32;
                if high < 0.0 || low >= bands as f32 {
                    continue;
                }
                let range = low.max(0.0) as usize..=(high as usize).min(bands - 1);
                bins[range].iter_mut().for_each(|bin| bin.push((b as u16, t as u32)));
            }
        }
        bins
    }

    /// Renders one band of rows into `rows`.
    fn band(&self, n: usize, bin: &[(u16, u32)], rows: &mut [Pixel], height: usize) {
        let (columns, lines) = (self.width * FINE, rows.len() / self.width * FINE);
        let mut solid = vec![NOTHING; columns * lines];
        let mut glass = vec![[NOTHING; LAYERS]; columns * lines];
        let top = (n * BAND * FINE) as f32;
        for &(body, triangle) in bin {
            let corners = self.corners(body, triangle);
            let translucent = self.scene.bodies[usize::from(body)].material != Material::Solid;
            cover(corners, top, [columns, lines], |at, depth| {
                let hit = Hit { depth, body, triangle };
                if translucent {
                    insert(&mut glass[at], hit);
                } else if depth > solid[at].depth {
                    solid[at] = hit;
                }
            });
        }
        for (p, pixel) in rows.iter_mut().enumerate() {
            let (x, y) = (p % self.width, p / self.width);
            let ground = ground([x, n * BAND + y], [self.width, height]);
            for s in 0..FINE * FINE {
                let (sx, sy) = (x * FINE + s % FINE, y * FINE + s / FINE);
                let at = sy * columns + sx;
                let point = [sx as f32 + 0.5, top + sy as f32 + 0.5];
                let light = self.sample(point, solid[at], &glass[at], ground);
                let share = 1.0 / (FINE * FINE) as f32;
                (0..3).for_each(|c| pixel.light[c] += light[c] * share);
                if solid[at].body != u16::MAX {
                    pixel.depth += solid[at].depth * share;
                    pixel.solid += share;
                }
            }
        }
    }

    fn corners(&self, body: u16, triangle: u32) -> [[f32; 3]; 3] {
        let screen = &self.screen[usize::from(body)];
        self.scene.bodies[usize::from(body)].triangles[triangle as usize].map(|v| screen[v as usize])
    }

    /// The light at one sample: the solid surface, seen through the translucent ones before it.
    fn sample(&self, point: [f32; 2], solid: Hit, glass: &[Hit; LAYERS], ground: Light) -> Light {
        let mut light = ground;
        if solid.body != u16::MAX {
            light = self.surface(point, solid).0;
        }
        for &hit in glass.iter().rev().filter(|hit| hit.body != u16::MAX && hit.depth > solid.depth) {
            let (over, normal) = self.surface(point, hit);
            let (face, edge) = match self.scene.bodies[usize::from(hit.body)].material {
                Material::Envelope => (0.03, 0.30),
                _ => (0.16, 0.62),
            };
            light = shading::over(light, over, shading::veil(normal, face, edge));
        }
        light
    }

    /// The light of a surface at a sample, and its normal towards the camera.
    fn surface(&self, [x, y]: [f32; 2], hit: Hit) -> (Light, [f32; 3]) {
        let body = &self.scene.bodies[usize::from(hit.body)];
        let [p, q, r] = self.corners(hit.body, hit.triangle);
        let whole = area(p, q, r);
        let point = [x, y, 0.0];
        let (u, v) = (area(point, q, r) / whole, area(p, point, r) / whole);
        let weights = [u, v, 1.0 - u - v];
        let vertices = body.triangles[hit.triangle as usize].map(|v| body.vertices[v as usize]);
        let blend =
            |part: &dyn Fn(&Vertex) -> f32| (0..3).map(|n| weights[n] * part(&vertices[n])).sum::<f32>();
        let normal = self.camera.turn(std::array::from_fn(|a| blend(&|vertex| vertex.normal[a])));
        let length = normal.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
        let normal = normal.map(|x| x / length);
        let [far, near] = self.depth;
        let nearness = ((hit.depth - far) / (near - far).max(1e-6)).clamp(0.0, 1.0);
        (shading::lit(body.albedo, normal, blend(&|vertex| vertex.sky).clamp(0.0, 1.0), nearness), normal)
    }
}

/// Twice the area of a triangle on the screen; negative when it faces the eye.
fn area(p: [f32; 3], q: [f32; 3], r: [f32; 3]) -> f32 {
    (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])
}

/// Calls `visit(sample, depth)` for every sample of the band whose centre lies in the triangle.
fn cover(
    [p, q, r]: [[f32; 3]; 3],
    top: f32,
    [columns, lines]: [usize; 2],
    mut visit: impl FnMut(usize, f32),
) {
    let whole = area(p, q, r);
    let first = |a: f32, b: f32, c: f32| (a.min(b).min(c) - 0.5).ceil().max(0.0) as usize;
    let last = |a: f32, b: f32, c: f32, length: usize| {
        ((a.max(b).max(c) - 0.5).floor() + 1.0).clamp(0.0, length as f32) as usize
    };
    for y in first(p[1] - top, q[1] - top, r[1] - top)..last(p[1] - top, q[1] - top, r[1] - top, lines) {
        for x in first(p[0], q[0], r[0])..last(p[0], q[0], r[0], columns) {
            let point = [x as f32 + 0.5, top + y as f32 + 0.5, 0.0];
            let (u, v) = (area(point, q, r) / whole, area(p, point, r) / whole);
            let w = 1.0 - u - v;
            // A hair of overlap closes the seams that rounding would leave between neighbours.
            if u >= -1e-4 && v >= -1e-4 && w >= -1e-4 {
                visit(y * columns + x, u * p[2] + v * q[2] + w * r[2]);
            }
        }
    }
}

/// Keeps the nearest surface of each translucent body, and of those the nearest few, nearest first.
fn insert(layers: &mut [Hit; LAYERS], hit: Hit) {
    if let Some(same) = layers.iter().position(|layer| layer.body == hit.body) {
        if hit.depth <= layers[same].depth {
            return;
        }
        layers[same] = hit;
        layers[..=same].sort_by(|a, b| b.depth.total_cmp(&a.depth));
    } else if hit.depth > layers[LAYERS - 1].depth {
        layers[LAYERS - 1] = hit;
        layers.sort_by(|a, b| b.depth.total_cmp(&a.depth));
    }
}

/// The dark ground, a little lighter in the middle.
fn ground([x, y]: [usize; 2], [width, height]: [usize; 2]) -> Light {
    let from_middle = |at: usize, length: usize| (at as f32 + 0.5) / length as f32 - 0.5;
    let distance = from_middle(x, width).hypot(from_middle(y, height)) / 0.7;
    let glow = (1.0 - distance).clamp(0.0, 1.0);
    [0.0022, 0.0030, 0.0042].map(|edge: f32| edge * (1.0 + 2.6 * glow * glow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_camera_sees_the_patient_from_the_front() {
        let camera = Camera::new(0.0, 0.0);
        let turned = camera.turn([1.0, 2.0, 3.0]);
        assert_eq!(turned, [1.0, 3.0, -2.0], "left is right, the head is up, the back is far");
        let oblique = Camera::new(40.0, 12.0).axes;
        for a in 0..3 {
            for b in 0..3 {
                let product: f32 = (0..3).map(|n| oblique[a][n] * oblique[b][n]).sum();
                assert!((product - if a == b { 1.0 } else { 0.0 }).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_nearest_layers_of_different_bodies_are_kept_in_order() {
        let mut layers = [NOTHING; LAYERS];
        for (body, depth) in [(0, 1.0), (1, 5.0), (0, 3.0), (2, 2.0), (3, 4.0), (4, 6.0), (1, 0.0)] {
            insert(&mut layers, Hit { depth, body, triangle: 0 });
        }
        assert_eq!(layers.map(|layer| (layer.body, layer.depth)), [(4, 6.0), (1, 5.0), (3, 4.0), (0, 3.0)]);
    }
}
