//! Resampling against SciPy and TotalSegmentator, to the bit.

use ndarray::ShapeBuilder;
use serde::Deserialize;

use super::*;
use crate::bits::{fingerprint, noise};
use crate::{LinearRows, Orientation, resize, resize_slices, thick_axis};

/// Made by SciPy, scikit-image, nnU-Net and TotalSegmentator: `tests/reference/imaging/resample.py`.
#[derive(Deserialize)]
struct Case {
    name: String,
    seed: u64,
    before: [usize; 3],
    shape: [usize; 3],
    order: usize,
    fingerprint: String,
    spacing: Option<[f64; 3]>,
    target: Option<[f64; 3]>,
    axes: Option<[[f64; 3]; 3]>,
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

fn cases(name: &str) -> Vec<Case> {
    let text = include_str!("../../../../tests/reference/imaging/resample.json");
    let Cases { cases } = serde_json::from_str(text).unwrap();
    let cases: Vec<Case> = cases.into_iter().filter(|case| case.name.starts_with(name)).collect();
    assert!(!cases.is_empty());
    cases
}

fn interpolation(order: usize) -> Interpolation {
    [Interpolation::Nearest, Interpolation::Linear, Interpolation::Linear, Interpolation::Cubic][order]
}

/// The same array with axis 0 running fastest in memory.
fn column_major<T: Copy>(array: &Array3<T>) -> Array3<T> {
    let dim = array.dim();
    Array3::from_shape_fn(dim.f(), |index| array[index])
}

fn check<T: Copy + Into<f64>>(case: &Case, result: &Array3<T>) {
    assert_eq!(result.shape(), case.shape);
    let tag = format!("{} {:?} -> {:?}, order {}", case.name, case.before, case.shape, case.order);
    assert_eq!(fingerprint(result.iter().copied()), case.fingerprint, "{tag}");
}

#[test]
fn zoom_is_scipys_to_the_bit_in_both_layouts() {
    for case in cases("zoom") {
        let source = noise(case.before, case.seed, 4096, 1024.0);
        check(&case, &zoom(source.view(), case.shape, interpolation(case.order)));
        check(&case, &zoom(column_major(&source).view(), case.shape, interpolation(case.order)));
        let single = source.mapv(|value| value as f32);
        check(&case, &zoom(single.view(), case.shape, interpolation(case.order)));
    }
}

#[test]
fn resize_is_skimages_to_the_bit_in_both_layouts() {
    for case in cases("resize") {
        let source = noise(case.before, case.seed, 4096, 1024.0).mapv(|value| value as f32);
        check(&case, &resize(source.view(), case.shape, interpolation(case.order)));
        check(&case, &resize(column_major(&source).view(), case.shape, interpolation(case.order)));
        if case.order == 1 {
            check(&case, &by_rows(&source, case.shape, None));
        }
    }
}

#[test]
fn thick_slices_are_resized_as_nnunet_does() {
    for case in cases("separate") {
        let source = noise(case.before, case.seed, 4096, 1024.0).mapv(|value| value as f32);
        let numbers: Vec<usize> = case.name.split(' ').skip(1).map(|n| n.parse().unwrap()).collect();
        let across = interpolation(numbers[1]);
        for source in [source.clone(), column_major(&source)] {
            let resized =
                resize_slices(source.view(), case.shape, numbers[0], interpolation(case.order), across);
            check(&case, &resized);
        }
        if case.order == 1 && numbers[1] == 0 {
            check(&case, &by_rows(&source, case.shape, Some(numbers[0])));
        }
    }
}

/// Row after row, each from a source that holds no more than the rows it needs.
fn by_rows(source: &Array3<f32>, shape: [usize; 3], thick: Option<usize>) -> Array3<f32> {
    let (nk, nj, ni) = source.dim();
    let rows = LinearRows::new([nk, nj, ni], shape, thick);
    let mut resized = Array3::zeros(shape);
    for row in 0..shape[0] {
        let needed = rows.source_rows_needed(row);
        let part = source.slice_axis(ndarray::Axis(0), needed.clone().into());
        let mut output = vec![0.0f32; shape[1] * shape[2]];
        rows.make((part, needed.start), row..row + 1, &mut output, |value, out| *out = value as f32).unwrap();
        resized
            .index_axis_mut(ndarray::Axis(0), row)
            .iter_mut()
            .zip(output)
            .for_each(|(to, from)| *to = from);
        assert!(rows.rows_ready(needed.end) > row && rows.rows_ready(needed.end - 1) <= row);
    }
    resized
}

#[test]
fn rows_that_are_missing_are_named() {
    let rows = LinearRows::new([10, 2, 2], [20, 2, 2], None);
    let source = Array3::<f32>::zeros([3, 2, 2]);
    let error = rows.make((source.view(), 4), 5..9, &mut [0.0; 16], |_, _: &mut f64| ()).unwrap_err();
    assert_eq!((error.needed, error.given), (2..5, 4..7));
}

#[test]
fn spacings_change_as_totalsegmentator_changes_them() {
    let rotation = [[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]];
    for case in cases("spacing") {
        let (spacing, target, axes) = (case.spacing.unwrap(), case.target.unwrap(), case.axes.unwrap());
        // Columns of the RAS affine, in LPS.
        let lps = |a: usize| {
            let [x, y, z] = [0, 1, 2].map(|r| rotation[r][a] * spacing[a]);
            [-x, -y, z]
        };
        let grid = Grid::new(case.before, [lps(0), lps(1), lps(2)], [100.5, -20.25, 7.0]).unwrap();
        let values = noise(case.before, case.seed, 4096, 1024.0).mapv(|value| value as f32);
        // `[i, j, k]` there, `[[k, j, i]]` here.
        let voxels = values.view().reversed_axes().as_standard_layout().into_owned();
        let volume = Volume { grid, voxels };
        assert_eq!(volume.grid.orientation(), Orientation::RAS);
        let resampled = volume.resampled(target, interpolation(case.order)).unwrap();
        check(&case, &resampled.voxels.view().reversed_axes().to_owned());
        assert!(resampled.voxels.is_standard_layout());
        assert_eq!(resampled.grid.size, case.shape);
        for (found, expected) in resampled.grid.axes.iter().flatten().zip(axes.iter().flatten()) {
            assert!((found - expected).abs() < 1e-15, "{found} instead of {expected}");
        }
        let untouched = resampled.voxels == volume.voxels;
        assert_eq!(untouched, spacing == target, "an equal spacing touches nothing");
    }
}

#[test]
fn impossible_spacings_are_refused() {
    let volume = Volume { grid: Grid::aligned([2, 2, 2], [1.0; 3]), voxels: Array3::zeros([2, 2, 2]) };
    for spacing in [[0.0, 1.0, 1.0], [-1.0; 3], [f64::NAN; 3], [f64::INFINITY; 3]] {
        let error = volume.resampled(spacing, Interpolation::Linear).unwrap_err();
        assert!(matches!(error, GridError::Spacing { .. }), "{error}");
    }
    let error = volume.resampled([1e-5; 3], Interpolation::Linear).unwrap_err();
    assert!(matches!(error, GridError::Size { .. }), "{error}");
    assert_eq!(volume.resampled([50.0; 3], Interpolation::Cubic).unwrap().grid.size, [1, 1, 1]);
}

#[test]
fn labels_stretch_as_upstreams_do() {
    for name in ["labels", "one-hot"] {
        for case in cases(name) {
            let cells = noise(case.before.map(|n| (n / 4).max(1)), case.seed, 6, 0.0);
            let cell = |n: usize, axis: usize| (n / 4 < cells.shape()[axis]).then_some(n / 4);
            let source = Array3::from_shape_fn(case.before, |(a, b, c)| {
                let found = (cell(a, 0), cell(b, 1), cell(c, 2));
                let (Some(a), Some(b), Some(c)) = found else { return 0 };
                cells[[a, b, c]].floor() as u8
            });
            let labels = LabelMap {
                grid: Grid::aligned(case.before, [1.0; 3]),
                labels: source.view().reversed_axes().as_standard_layout().into_owned(),
            };
            let grid = Grid::aligned(case.shape, [1.0; 3]);
            let stretched =
                if name == "labels" { labels.stretched(&grid) } else { labels.stretched_smoothly(&grid) };
            check(&case, &stretched.labels.view().reversed_axes().to_owned());
            assert_eq!(stretched.grid, grid);
        }
    }
}

/// Recorded from nnU-Net: `tests/reference/imaging/preprocessing.py`.
#[derive(Deserialize)]
struct Recorded {
    name: String,
    shape: [usize; 3],
    after: [usize; 3],
    spacing: [f64; 3],
    plan_spacing: [f64; 3],
    lower: f32,
    upper: f32,
    mean: f32,
    deviation: f32,
    fingerprint: String,
}

#[test]
fn a_real_ct_is_resized_as_nnunet_recorded_it() {
    let text = include_str!("../../../../tests/reference/imaging/preprocessing.json");
    let bytes = include_bytes!("../../../../tests/reference/imaging/preprocessing.i16");
    let raw: Vec<f32> = bytes.as_chunks::<2>().0.iter().map(|&b| f32::from(i16::from_le_bytes(b))).collect();
    let raw = Array3::from_shape_vec([24, 32, 35], raw).unwrap();
    let cases: Vec<Recorded> = serde_json::from_str(text).unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let piece = raw.slice_axis(ndarray::Axis(0), (0..case.shape[0]).into());
        let normal = piece.mapv(|value| (value.clamp(case.lower, case.upper) - case.mean) / case.deviation);
        let resized = match thick_axis(case.spacing, case.plan_spacing) {
            None => resize(normal.view(), case.after, Interpolation::Cubic),
            Some(axis) => {
                let nearest = Interpolation::Nearest;
                resize_slices(normal.view(), case.after, axis, Interpolation::Cubic, nearest)
            }
        };
        assert_eq!(fingerprint(resized.iter().copied()), case.fingerprint, "{}", case.name);
    }
}

#[test]
fn the_thick_axis_is_nnunets() {
    let check = |present, plan, expected| assert_eq!(thick_axis(present, plan), expected);
    check([3.0; 3], [5.0, 1.0, 1.0], Some(0));
    check([1.0, 1.0, 6.0], [5.0, 1.0, 1.0], Some(2));
    check([3.0, 1.0, 1.0], [1.5; 3], None);
    // Two thick axes are none, and the plan is not asked any more.
    check([0.24, 1.25, 1.25], [5.0, 1.0, 1.0], None);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let source = noise([40, 35, 50], 9, 4096, 1024.0);
    let work = || {
        let zoomed = zoom(source.view(), [61, 20, 70], Interpolation::Cubic);
        fingerprint(zoomed.iter().copied())
    };
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work);
    let many = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap().install(work);
    assert_eq!(alone, many);
}
