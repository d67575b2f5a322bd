//! The picture as a whole, on phantoms whose answer is known: sides, sizes, scale, names, and odd input.

use imaging::{Cancelled, Grid, LabelMap, Progress, Segment, Segmentation, Volume};
use ndarray::Array3;
use proptest::prelude::*;

use crate::legend::Legend;
use crate::page::{self, Cell, Layout};
use crate::render::{self, Camera, Shape};
use crate::scene::Scene;
use crate::slice::{self, Plane, View};
use crate::study::Study;
use crate::{PreviewOptions, cuts};

const RED: [u8; 3] = [230, 40, 30];
const BLUE: [u8; 3] = [40, 60, 235];

fn segment(value: u8, name: &str, color: [u8; 3]) -> Segment {
    Segment { value, name: name.to_owned(), color, terminology: None }
}

/// Water in air with two structures, given by functions of the LPS position.
fn phantom(
    grid: &Grid,
    label: impl Fn([f64; 3]) -> u8,
    water: impl Fn([f64; 3]) -> bool,
) -> (Volume, Segmentation) {
    let at = |(k, j, i): (usize, usize, usize)| grid.world([i as f64, j as f64, k as f64]);
    let (k, j, i) = (grid.size[2], grid.size[1], grid.size[0]);
    let voxels = Array3::from_shape_fn((k, j, i), |n| if water(at(n)) { 40.0 } else { -1000.0 });
    let labels = Array3::from_shape_fn((k, j, i), |n| label(at(n)));
    let segments = vec![
        segment(1, "kidney_left", RED),
        segment(2, "kidney_right", BLUE),
        segment(3, "gallbladder", [9, 200, 9]),
    ];
    (
        Volume { grid: grid.clone(), voxels },
        Segmentation { labels: LabelMap { grid: grid.clone(), labels }, segments },
    )
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|n| (a[n] - b[n]).powi(2)).sum::<f64>().sqrt()
}

/// A ball of 12 mm on the left, further back and higher than one of 8 mm on the right, in a block of water.
fn kidneys(grid: &Grid) -> (Volume, Segmentation) {
    let label = |p| match p {
        p if distance(p, [22.0, 8.0, 12.0]) < 12.0 => 1,
        p if distance(p, [-22.0, -6.0, -10.0]) < 8.0 => 2,
        _ => 0,
    };
    phantom(grid, label, |p| p[0].abs() < 40.0 && p[1].abs() < 30.0)
}

/// The 48 grids of 2 mm voxels over the same cube of 96 mm round the origin: every order and sign of the axes.
fn orientations() -> Vec<Grid> {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let grid = |order: [usize; 3], signs: usize| {
        let sign = |a: usize| if signs >> a & 1 == 1 { -2.0 } else { 2.0 };
        let axes: [[f64; 3]; 3] =
            std::array::from_fn(|a| std::array::from_fn(|r| if r == order[a] { sign(a) } else { 0.0 }));
        let origin = std::array::from_fn(|r| -23.5 * axes.iter().map(|axis| axis[r]).sum::<f64>());
        Grid::new([48; 3], axes, origin).unwrap()
    };
    orders.into_iter().flat_map(|order| (0..8).map(move |signs| grid(order, signs))).collect()
}

fn study<'a>(volume: &'a Volume, segmentation: &'a Segmentation) -> Study<'a> {
    Study::of(volume, segmentation, None, &Progress::silent()).unwrap().unwrap()
}

/// The mean place, in pixels, and the number of the pixels that are much more of one colour than of another.
fn spot(rgb: &[u8], width: usize, part: usize, against: usize) -> ([f64; 2], f64) {
    let mut sum = [0.0; 2];
    let mut count = 0.0;
    for (n, pixel) in rgb.chunks_exact(3).enumerate() {
        if i32::from(pixel[part]) > i32::from(pixel[against]) + 25 {
            sum = [sum[0] + (n % width) as f64 + 0.5, sum[1] + (n / width) as f64 + 0.5];
            count += 1.0;
        }
    }
    (sum.map(|sum| sum / count), count)
}

#[test]
fn cuts_show_the_patients_left_on_the_right_whatever_the_orientation() {
    for grid in orientations() {
        let (volume, segmentation) = kidneys(&grid);
        let study = study(&volume, &segmentation);
        // A cut through the red ball and one through the blue, with the ball's place across and down.
        let cases = [
            (Plane::Axial, 12.0, (0, 2), [22.0, 8.0], 12.0),
            (Plane::Axial, -10.0, (2, 0), [-22.0, -6.0], 8.0),
            (Plane::Coronal, 8.0, (0, 2), [22.0, -12.0], 12.0),
            (Plane::Coronal, -6.0, (2, 0), [-22.0, 10.0], 8.0),
            (Plane::Sagittal, 22.0, (0, 2), [8.0, -12.0], 12.0),
        ];
        for (plane, at, (part, against), wanted, radius) in cases {
            let view = View { plane, at, width: 200, height: 160, pixel_mm: 0.5 };
            let middle = view.position(study.focus, [100.0, 80.0]);
            let picture = slice::paint(&study, &view, 1.0, &Progress::silent()).unwrap();
            let ([x, y], count) = spot(&picture.rgb, 200, part, against);
            let ([across, down, _], grows) = plane.axes();
            let sign = |n: usize| if grows[n] { 1.0 } else { -1.0 };
            let found =
                [(x - 100.0) * 0.5 + sign(0) * middle[across], (y - 80.0) * 0.5 + sign(1) * middle[down]];
            let off = (found[0] - wanted[0]).hypot(found[1] - wanted[1]);
            assert!(off < 0.4, "{plane:?} of {:?}: {found:?}, not {wanted:?}", grid.axes);
            let area = count * 0.25 / (std::f64::consts::PI * radius * radius);
            assert!((area - 1.0).abs() < 0.06, "{plane:?} of {:?}: area {area}", grid.axes);
        }
    }
}

#[test]
fn the_side_of_the_patients_left_carries_an_l() {
    let (volume, segmentation) = kidneys(&orientations()[0]);
    let study = study(&volume, &segmentation);
    let layout = Layout { width: 1920, unit: 1.0 };
    let rect = crate::canvas::Rect { x: 0, y: 0, width: 500, height: 400 };
    let cut = cuts::choose(&study, Plane::Axial, 1)[0];
    let cell = Cell { plane: Plane::Axial, cut, mark: None, rect };
    let mut picture = crate::canvas::Picture::filled(500, 400, [0; 3]);
    page::draw_cell(&mut picture, &study, &cell, layout, &Progress::silent()).unwrap();
    // Ink in the upper right and the lower right quarter of a letter: an R has both, an L only the foot.
    let ink = |x0: usize, y0: usize| {
        let inside = (y0..y0 + 6).flat_map(|y| (x0..x0 + 5).map(move |x| 3 * (y * 500 + x)));
        inside.filter(|&at| picture.rgb[at..at + 3].iter().all(|&part| part > 190)).count()
    };
    let (left, right) = (18, 500 - 18);
    assert!(ink(left, 194) > 3 && ink(left, 200) > 3, "the left side of the picture carries an R");
    assert!(ink(right, 193) == 0 && ink(right, 201) > 3, "the right side of the picture carries an L");
}

/// A ball's outline from outside: its area, its place, and where the light falls.
fn check_ball(grid: &Grid, camera: Camera) {
    let center = [10.0, -4.0, 6.0];
    let label = |p| u8::from(distance(p, center) < 20.0);
    let (volume, segmentation) = phantom(grid, label, |_| true);
    let study = study(&volume, &segmentation);
    let scene = Scene::of(&study, &Progress::silent()).unwrap().unwrap();
    let shape = Shape { width: 300, height: 300, pixel_mm: 0.25, middle: [0.0, 0.0] };
    let picture = render::render(&scene, &camera, shape, &Progress::silent()).unwrap();
    let ([x, y], count) = spot(&picture.rgb, 300, 0, 2);
    let area = count * 0.0625 / (std::f64::consts::PI * 400.0);
    assert!((area - 1.0).abs() < 0.04, "area {area} of {:?}", grid.axes);
    // The scene's middle is that of the voxels' box, which slices of 3 mm place to within 2.
    assert!((x - 150.0).hypot(y - 150.0) < 8.0, "at {x} {y}");
    let brightness = |x: usize, y: usize| picture.rgb[3 * (y * 300 + x)];
    assert!(brightness(120, 110) > 60 + brightness(190, 200), "lit from the upper left, outside");
}

#[test]
fn a_ball_has_the_area_of_a_disc_from_everywhere() {
    let oblique = |axes| Grid::new([70, 64, 30], axes, [-30.0, -45.0, -50.0]).unwrap();
    let (s, c) = 0.3f64.sin_cos();
    let thick = oblique([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 3.0]]);
    let mut mirrored = oblique([[1.0, 0.0, 0.0], [0.0, 1.2, 0.3], [0.0, 0.0, 3.0]]);
    check_ball(&thick, Camera::new(0.0, 0.0));
    check_ball(&thick, Camera::new(38.0, 14.0));
    check_ball(&mirrored, Camera::new(0.0, 0.0));
    // The same lattice counted from the other end of i is left-handed.
    mirrored.origin = mirrored.world([69.0, 0.0, 0.0]);
    mirrored.axes[0] = mirrored.axes[0].map(|x| -x);
    check_ball(&mirrored, Camera::new(38.0, 14.0));
}

#[test]
fn the_same_bytes_at_any_number_of_threads() {
    let (volume, segmentation) = kidneys(&orientations()[11]);
    let picture = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = PreviewOptions { title: "kidneys".into(), width: 800, window: None };
        pool.install(|| crate::render(&volume, &segmentation, &options, &Progress::silent()).unwrap())
    };
    let one = picture(1);
    assert_eq!(one.rgb.len(), 3 * one.width * one.height);
    assert!(one == picture(2) && one == picture(7));
}

#[test]
fn the_legend_lists_what_is_there_with_its_colour() {
    let (volume, mut segmentation) = kidneys(&orientations()[0]);
    segmentation.labels.labels[[0, 0, 0]] = 200;
    let study = study(&volume, &segmentation);
    assert_eq!(Legend::of(&study, 1832, 1.0).names(), ["Left kidney", "Right kidney", "Label 200"]);
    let picture =
        crate::render(&volume, &segmentation, &PreviewOptions::default(), &Progress::silent()).unwrap();
    let exactly = |color: [u8; 3]| picture.rgb.chunks_exact(3).filter(|pixel| *pixel == color).count();
    assert!(exactly(RED) > 100 && exactly(BLUE) > 100, "swatches have the structures' own colours");
    assert_eq!(exactly([9, 200, 9]), 0, "what is absent is not listed");
}

#[test]
fn without_structures_it_says_so_and_shows_the_image() {
    let (volume, mut segmentation) = kidneys(&orientations()[0]);
    segmentation.labels.labels.fill(0);
    let picture =
        crate::render(&volume, &segmentation, &PreviewOptions::default(), &Progress::silent()).unwrap();
    let bright = |rows: std::ops::Range<usize>| {
        picture.rgb[3 * 1920 * rows.start..3 * 1920 * rows.end].chunks_exact(3).filter(|p| p[0] > 100).count()
    };
    let end = picture.height;
    assert!(bright(end - 120..end - 40) > 300, "a line of text");
    assert!(bright(132..end - 160) > 50_000, "water is grey in the cuts");
}

#[test]
fn many_structures_stay_apart() {
    let grid = Grid::aligned([117, 4, 4], [2.0, 2.0, 2.0]);
    let labels = Array3::from_shape_fn((4, 4, 117), |(_, _, i)| i as u8 + 1);
    let segments = (1..=117).map(|n| segment(n, &format!("rib_left_{n}"), [n, 255 - n, 128])).collect();
    let volume = Volume { grid: grid.clone(), voxels: Array3::from_elem((4, 4, 117), 40.0) };
    let segmentation = Segmentation { labels: LabelMap { grid, labels }, segments };
    let study = study(&volume, &segmentation);
    let legend = Legend::of(&study, 1832, 1.0);
    assert_eq!(legend.names().len(), 117);
    assert_eq!(legend.height, 20 * 25, "six columns of twenty lines");
}

#[test]
fn it_stops_when_asked() {
    let (volume, segmentation) = kidneys(&orientations()[0]);
    let progress = Progress::silent();
    progress.cancel();
    let result = crate::render(&volume, &segmentation, &PreviewOptions::default(), &progress);
    assert_eq!(result, Err(Cancelled));
}

/// Any grid a file could claim, also those that do not span space.
fn grids() -> impl Strategy<Value = Grid> {
    let number = prop_oneof![-3.0..3.0f64, Just(0.0), Just(1e-7), Just(1e12), Just(f64::NAN)];
    let axes = prop_oneof![
        3 => (0..48usize, 0.3..8.0f64, -0.4..0.4f64).prop_map(|(n, step, tilt)| {
            let mut axes = orientations()[n].axes.map(|axis| axis.map(|x| x * step / 2.0));
            axes[0][2] += tilt;
            axes[1][0] += tilt;
            axes
        }),
        1 => prop::array::uniform3(prop::array::uniform3(number)),
    ];
    (prop::array::uniform3(1..9usize), axes, prop::array::uniform3(-500.0..500.0f64))
        .prop_map(|(size, axes, origin)| Grid { size, axes, origin })
}

fn volumes() -> impl Strategy<Value = Volume> {
    let value = prop_oneof![8 => -1000.0..2000.0f32, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY)];
    (grids(), 0..2usize, prop::collection::vec(value, 1..40)).prop_map(|(grid, more, values)| {
        // Now and then the array has another size than its grid says.
        let shape = [grid.size[2] + more, grid.size[1], grid.size[0]];
        let mut cycle = values.into_iter().cycle();
        Volume { voxels: Array3::from_shape_simple_fn(shape, || cycle.next().unwrap_or(0.0)), grid }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn odd_input_is_drawn_all_the_same(
        volume in volumes(),
        grid in grids(),
        same in any::<bool>(),
        names in prop::collection::vec("[a-z_A-Z0-9é左]{0,30}", 0..5),
        values in prop::collection::vec(prop_oneof![Just(0u8), 0..6u8, any::<u8>()], 1..30),
        title in ".{0,80}",
        width in 0..900usize,
    ) {
        let grid = if same { volume.grid.clone() } else { grid };
        let mut cycle = values.into_iter().cycle();
        let labels = Array3::from_shape_simple_fn(grid.shape(), || cycle.next().unwrap_or(0));
        let segments = (1..).zip(names).map(|(value, name)| segment(value, &name, [200, 90, 70])).collect();
        let segmentation = Segmentation { labels: LabelMap { grid, labels }, segments };
        let options = PreviewOptions { title, width, window: None };
        let picture = crate::render(&volume, &segmentation, &options, &Progress::silent()).unwrap();
        prop_assert_eq!(picture.rgb.len(), 3 * picture.width * picture.height);
        prop_assert!(picture.width >= 640 && picture.height < 20 * picture.width);
    }
}
