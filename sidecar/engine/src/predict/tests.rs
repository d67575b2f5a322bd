//! Against the real nnU-Net predictor: `tests/reference/engine/make.py` made the answers and the same images and
//! networks, so that every stage around the network is compared bit by bit.

mod runner_up;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::Array3;
use nnunet::{Normalization, Outputs};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::*;
use crate::TakeScores;
use crate::window::gaussian;

#[derive(Deserialize)]
struct Reference {
    gaussians: Vec<Weights>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Weights {
    patch: [usize; 3],
    sha256: String,
}

#[derive(Clone, Deserialize)]
struct Case {
    name: String,
    size: [usize; 3],
    affine: [[f64; 4]; 4],
    kind: String,
    step: f64,
    higher_order: bool,
    networks: Vec<Arithmetic>,
    plan: Plan,
    prepared: Input,
    logits_sha256: String,
}

#[derive(Clone, Deserialize)]
struct Input {
    shape: Vec<usize>,
    sha256: String,
}

/// The network of `make.py`: per class and channel w x + u roll(x), then + b, one rounding per operation.
#[derive(Clone, Deserialize)]
struct Arithmetic {
    w: Vec<Vec<f32>>,
    u: Vec<Vec<f32>>,
    b: Vec<f32>,
}

impl Arithmetic {
    fn boxed(self, [depth, height, width]: [usize; 3]) -> Box<dyn Network> {
        Box::new(Patches { arithmetic: self, shape: [depth, height, width], runs: None })
    }
}

struct Patches {
    arithmetic: Arithmetic,
    shape: [usize; 3],
    /// Counts runs and cancels at the second.
    runs: Option<(&'static AtomicUsize, Progress)>,
}

impl Network for Patches {
    /// One class at a time.
    fn run(&mut self, patch: &[f32], take: &mut TakeScores<'_>) -> Result<()> {
        if let Some((runs, progress)) = &self.runs
            && runs.fetch_add(1, Ordering::Relaxed) == 1
        {
            progress.cancel();
        }
        let [depth, height, width] = self.shape;
        let voxels = depth * height * width;
        // torch.roll by 1, 2, 3 along z, y, x.
        let rolled: Vec<usize> = (0..voxels)
            .map(|n| {
                let [z, y, x] = [n / width / height, n / width % height, n % width];
                let back = |at: usize, by: usize, length: usize| (at + length * by - by) % length;
                (back(z, 1, depth) * height + back(y, 2, height)) * width + back(x, 3, width)
            })
            .collect();
        let Arithmetic { w, u, b } = &self.arithmetic;
        for class in 0..b.len() {
            let mut scores = vec![0.0; voxels];
            for (channel, patch) in patch.chunks(voxels).enumerate() {
                let (w, u) = (w[class][channel], u[class][channel]);
                for (score, (n, &from)) in scores.iter_mut().zip(rolled.iter().enumerate()) {
                    *score += patch[n] * w;
                    *score += patch[from] * u;
                }
            }
            scores.iter_mut().for_each(|score| *score += b[class]);
            take(class, &scores)?;
        }
        Ok(())
    }
}

static REFERENCE: LazyLock<Reference> =
    LazyLock::new(|| serde_json::from_slice(&read("cases.json")).unwrap());

fn read(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/reference/engine/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn case(name: &str) -> Case {
    REFERENCE.cases.iter().find(|case| case.name == name).unwrap().clone()
}

impl Case {
    /// The image formula of `make.py`.
    fn value(&self, channel: usize, [i, j, k]: [usize; 3]) -> f32 {
        let (a, b, c) = (i / 3, j / 2, k / 2);
        if self.kind == "empty" {
            return 0.0;
        }
        if self.kind == "bytes" {
            return ((a * 31 + b * 17 + c * 7 + a * b * 5) % 256) as f32;
        }
        let [ni, nj, nk] = self.size;
        let inside = i >= 2 && i + 3 < ni && j >= 1 && j + 2 < nj && k >= 3 && k + 1 < nk;
        let cave = i.abs_diff(ni / 2) <= 2 && j.abs_diff(nj / 2) <= 2 && k.abs_diff(nk / 2) <= 1;
        if (self.kind != "full" && !inside) || (self.kind == "hollow" && (cave || (i == 4 && k > 5))) {
            return 0.0;
        }
        let coarse = (a * 31 + b * 17 + c * 7 + channel * 13 + a * b * 5 + b * c * 3) % 101 * 20;
        ((coarse + (i * 7 + j * 3 + k) % 19) as f32 - 900.0) / 7.0
    }

    fn volumes(&self) -> Vec<Volume> {
        // The reference speaks RAS.
        let column = |n: usize| [-self.affine[0][n], -self.affine[1][n], self.affine[2][n]];
        let grid = Grid::new(self.size, [column(0), column(1), column(2)], column(3)).unwrap();
        let volume = |channel| Volume {
            grid: grid.clone(),
            voxels: Array3::from_shape_fn(grid.shape(), |(k, j, i)| self.value(channel, [i, j, k])),
        };
        (0..self.plan.channels.len()).map(volume).collect()
    }

    fn networks(&self) -> Vec<Box<dyn Network>> {
        self.networks.iter().map(|network| network.clone().boxed(self.plan.patch_size)).collect()
    }

    fn options(&self, mode: Mode) -> PredictOptions {
        PredictOptions { step: self.step, mode, higher_order: self.higher_order, threshold: None }
    }

    fn predict(&self, mode: Mode) -> LabelMap {
        let options = self.options(mode);
        predict(&self.volumes(), &self.plan, &mut self.networks(), &options, &Progress::silent()).unwrap()
    }
}

fn sha256<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> String {
    let bytes: Vec<u8> = numbers.flatten().collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The scores of the whole image, `[class, z, y, x]`, gathered from the rows.
fn whole_scores(case: &Case, prepared: &Prepared) -> Vec<f16> {
    let window = Window::new(prepared.shape(), case.plan.patch_size, case.step);
    let classes = case.plan.outputs.channels();
    let [depth, height, width] = prepared.shape();
    let plane = height * width;
    let mut whole = vec![f16::ZERO; classes * depth * plane];
    let mut expected = 0;
    scores::<f16>(
        &prepared.data,
        &window,
        classes,
        &mut case.networks(),
        &Progress::silent(),
        |first, rows| {
            assert_eq!(first, expected, "rows come in order, each once");
            assert!(rows.len() <= window.patch[0], "never more rows than a patch is deep");
            expected += rows.len();
            for (n, row) in rows.iter().enumerate() {
                for (class, values) in row.chunks(plane).enumerate() {
                    whole[(class * depth + first + n) * plane..][..plane].copy_from_slice(values);
                }
            }
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(expected, depth);
    whole
}

/// Prepared image, scores and labels, each equal to the last bit.
fn check(names: &[&str]) {
    names.iter().for_each(|name| check_case(name));
}

fn check_case(name: &str) {
    let case = case(name);
    let volumes = case.volumes();
    let prepared = prepare(&volumes, &case.plan, &Progress::silent()).unwrap();
    assert_eq!(prepared.data.shape(), case.prepared.shape, "{name}: prepared");
    let found = sha256(prepared.data.iter().map(|value| value.to_le_bytes()));
    assert_eq!(found, case.prepared.sha256, "{name}: prepared");
    let scores = whole_scores(&case, &prepared);
    assert_eq!(sha256(scores.iter().map(|value| value.to_le_bytes())), case.logits_sha256, "{name}: scores");
    let labels = case.predict(Mode::Compatible);
    let expected = read(&format!("{name}.u8"));
    let wrong = labels.labels.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert_eq!((wrong, labels.labels.len()), (0, expected.len()), "{name}: labels");
    assert_eq!(labels.grid, volumes[0].grid, "{name}: the result lies on the grid of the question");
}

#[test]
fn windows_overlap_in_every_axis() {
    check(&["windows", "windows_08_3_folds", "smaller_than_patch", "small_along_z"]);
}

#[test]
fn images_are_turned_and_turned_back() {
    check(&[
        "flipped",
        "turned_z_score",
        "turned_z_score_whole",
        "as_stored",
        "as_stored_nibabel",
        "oblique",
    ]);
}

#[test]
fn every_normalisation() {
    check(&["z_score_crop", "z_score_mask_channels", "z_score_of_nothing", "bytes_and_plain"]);
}

#[test]
fn images_are_resampled_and_scores_brought_back() {
    check(&["iso_resampled", "iso_resampled_folds_regions", "regions"]);
}

#[test]
fn thick_slices_are_treated_apart() {
    check(&[
        "thick_slices_image",
        "thick_slices_plan",
        "thick_slices_same_number",
        "thick_middle_axis",
        "thick_forced_off",
    ]);
}

#[test]
fn axes_are_transposed_and_transposed_back() {
    check(&["transposed_102", "transposed_201"]);
}

#[test]
fn classes_are_interpolated_around_where_they_won() {
    check(&["higher_order", "higher_order_regions", "higher_order_coarser"]);
}

#[test]
fn weights_of_a_patch() {
    for Weights { patch, sha256: expected } in &REFERENCE.gaussians {
        let found = sha256(gaussian(*patch).into_iter().map(|weight| f16::from_f32(weight).to_le_bytes()));
        assert_eq!(&found, expected, "{patch:?}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for name in ["iso_resampled_folds_regions", "higher_order", "z_score_mask_channels"] {
        let case = case(name);
        for mode in [Mode::Compatible, Mode::Precise] {
            let [one, three] = [1, 3].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| case.predict(mode))
            });
            assert_eq!(one, three, "{name} {mode:?}");
        }
    }
}

#[test]
fn a_wish_to_stop_is_heard_within_one_patch() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let case = case("windows");
    let progress = Progress::silent();
    let runs = Some((&RUNS, progress.clone()));
    let network = Patches { arithmetic: case.networks[0].clone(), shape: case.plan.patch_size, runs };
    let options = case.options(Mode::Compatible);
    let result = predict(&case.volumes(), &case.plan, &mut [Box::new(network)], &options, &progress);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert_eq!(RUNS.load(Ordering::Relaxed), 2);
}

#[test]
fn progress_counts_every_patch_of_every_fold() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    let progress = Progress::new(move |report| {
        log.lock().unwrap().push((report.stage.to_owned(), report.done, report.total))
    });
    let case = case("windows_08_3_folds");
    let options = case.options(Mode::Compatible);
    predict(&case.volumes(), &case.plan, &mut case.networks(), &options, &progress).unwrap();
    let seen = seen.lock().unwrap();
    let inference: Vec<_> =
        seen.iter().filter(|(stage, ..)| stage == "inference").map(|s| (s.1, s.2)).collect();
    // 3 x 4 x 3 patches, 3 folds.
    assert_eq!(inference, (0..=108).map(|done| (done, 108)).collect::<Vec<_>>());
    let mut stages: Vec<&str> = seen.iter().map(|(stage, ..)| stage.as_str()).collect();
    stages.dedup();
    assert_eq!(stages, ["preparing", "inference", "finishing"]);
}

/// A case whose score of class 1 is a slope through the image, 0 in its middle; class 0 is 0 everywhere.
fn slope(name: &str) -> (Case, Vec<Volume>, f32) {
    let mut case = case(name);
    case.plan.normalization = vec![Normalization::None];
    case.plan.outputs = Outputs::Classes { count: 2 };
    let w = vec![vec![0.0], vec![1.0]];
    let mut volumes = case.volumes();
    let grid = volumes[0].grid.clone();
    let level = height(grid.world(grid.size.map(|n| n as f64 / 2.0)));
    case.networks = vec![Arithmetic { w, u: vec![vec![0.0]; 2], b: vec![0.0, -level] }];
    volumes[0].voxels =
        Array3::from_shape_fn(grid.shape(), |(k, j, i)| height(grid.world([i, j, k].map(|n| n as f64))));
    (case, volumes, level)
}

fn height([x, y, z]: [f64; 3]) -> f32 {
    (0.31 * x - 0.44 * y + 0.27 * z) as f32
}

/// A plane cuts the image; labels on any grid must tell on which side a voxel lies, and 0 where no image is.
fn check_slope(name: &str, target: impl Fn(&Grid) -> Grid) {
    let (case, volumes, level) = slope(name);
    let source = &volumes[0].grid;
    let target = target(source);
    let options = case.options(Mode::Precise);
    let progress = Progress::silent();
    let labels =
        predict_onto(&volumes, &target, &case.plan, &mut case.networks(), &options, &progress).unwrap();
    assert_eq!(labels.grid, target);
    let mut counts = [0; 3];
    for ((k, j, i), &label) in labels.labels.indexed_iter() {
        let world = target.world([i, j, k].map(|n| n as f64));
        let index = source.index(world);
        let outside = (0..3).any(|a| index[a] < -0.51 || index[a] > source.size[a] as f64 - 0.49);
        let within = (0..3).all(|a| index[a] >= 0.0 && index[a] <= source.size[a] as f64 - 1.0);
        let above = height(world) - level;
        if outside {
            assert_eq!(label, 0, "{name} {i} {j} {k}: outside");
            counts[0] += 1;
        } else if within && above.abs() > 1e-3 {
            assert_eq!(label, u8::from(above > 0.0), "{name} {i} {j} {k}: {above}");
            counts[1 + usize::from(label)] += 1;
        }
    }
    assert!(counts[1] > 500 && counts[2] > 500, "{name}: {counts:?}");
}

#[test]
fn scores_are_interpolated_where_the_target_lies() {
    for name in ["windows", "flipped", "regions"] {
        check_slope(name, Grid::clone);
        // Twice as fine, turned a little, and larger than the image.
        check_slope(name, |source| {
            let axes =
                source.axes.map(|[x, y, z]| [x * 0.5 - y * 0.1, y * 0.5 + x * 0.1, z * 0.55 + y * 0.05]);
            let origin = source.world([-3.0, -2.0, -1.5]);
            Grid::new(source.size.map(|n| 2 * n + 5), axes, origin).unwrap()
        });
    }
}

#[test]
fn precise_agrees_with_compatible_but_for_borders() {
    for name in ["windows", "transposed_102", "iso_resampled", "turned_z_score", "as_stored"] {
        let case = case(name);
        let [precise, compatible] = [Mode::Precise, Mode::Compatible].map(|mode| case.predict(mode).labels);
        let differ = precise.iter().zip(&compatible).filter(|(a, b)| a != b).count();
        assert!(differ * 50 < precise.len(), "{name}: {differ} of {}", precise.len());
    }
}

#[test]
fn what_does_not_suit_the_model_is_said() {
    let run = |change: fn(&mut Case, &mut Vec<Volume>)| {
        let mut case = case("thick_slices_image");
        let mut volumes = case.volumes();
        change(&mut case, &mut volumes);
        let options = case.options(Mode::Compatible);
        predict(&volumes, &case.plan, &mut case.networks(), &options, &Progress::silent())
            .unwrap_err()
            .to_string()
    };
    let check = |change, message: &str| assert_eq!(run(change), message);
    check(|_, volumes| volumes.clear(), "0 images were given, the model needs 1");
    check(|_, volumes| volumes.push(volumes[0].clone()), "2 images were given, the model needs 1");
    check(|case, _| case.networks.clear(), "no network was given: at least one fold is needed");
    check(
        |case, _| case.plan.resampling.order = 2,
        "resampling of order 2, 0 across slices, is not supported",
    );
    check(
        |case, _| case.plan.resampling_of_scores.order = 3,
        "resampling of order 3, 0 across slices, is not supported",
    );
    check(
        |case, _| case.plan.normalization = vec![Normalization::RgbTo01],
        "the model expects values from 0 to 255, the image has -128.57143 to 159.71428",
    );
    check(
        |case, _| case.plan.spacing = [1e-6; 3],
        "[9, 22, 26] voxels would become [45000000.0, 22000000.0, 26000000.0] at the model's spacing",
    );
    check(
        |case, _| case.plan.spacing = [1e6; 3],
        "[9, 22, 26] voxels would become [0.0, 0.0, 0.0] at the model's spacing",
    );
    check(
        |_, volumes| volumes[0].voxels[[4, 4, 4]] = f32::NAN,
        "the network gave scores that are not finite; the image may hold values that are not numbers",
    );
    check(
        |case, _| case.networks[0].b[1] = 1e5,
        "the network gave scores that are not finite; the image may hold values that are not numbers",
    );
}
