//! The same prompts through nnInteractive and through this crate: `tests/reference/promptable/sessions.py`.
//!
//! They need what `requirements.txt` lists, in a `.venv` at the root of the checkout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Image, Model, Prompt, Session, Shape};
use engine::{Device, Runtime, RuntimeOptions};
use imaging::{Grid, IndexBox, Progress, Volume};
use ndarray::Array3;
use serde::Deserialize;

/// Of the object's voxels, so many may differ: two floating-point engines do not break ties alike.
const DIFFERING: f64 = 0.001;

/// Places are along the array's axes.
#[derive(Deserialize)]
struct Case {
    size: [usize; 3],
    ellipsoids: Vec<Ellipsoid>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Ellipsoid {
    center: [i32; 3],
    radii: [i32; 3],
    value: i32,
}

#[derive(Deserialize)]
struct Step {
    kind: String,
    #[serde(default)]
    inside: bool,
    #[serde(default)]
    at: [f64; 3],
    #[serde(default, rename = "box")]
    part: [[usize; 2]; 3],
    #[serde(default)]
    ellipsoid: usize,
    changed: [[usize; 2]; 3],
    zoom: f64,
    refined: usize,
    forwards: usize,
    mask: String,
}

impl Ellipsoid {
    fn holds(&self, place: [usize; 3]) -> bool {
        let square =
            |a: usize| ((place[a] as f64 - f64::from(self.center[a])) / f64::from(self.radii[a])).powi(2);
        square(0) + square(1) + square(2) < 1.0
    }
}

impl Case {
    fn volume(&self) -> Volume {
        let [nk, nj, ni] = self.size;
        let grid = Grid::aligned([ni, nj, nk], [1.0, 2.0, 3.0]);
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
            if k < 5 || i + 3 >= ni {
                return 0.0;
            }
            let last = self.ellipsoids.iter().rev().find(|part| part.holds([k, j, i]));
            (last.map_or(0, |part| part.value) + noise((k * nj + j) * ni + i)) as f32
        });
        Volume { grid, voxels }
    }
}

/// As in `sessions.py`.
fn noise(n: usize) -> i32 {
    let mut hash = (n as u32).wrapping_mul(2_654_435_761);
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(2_246_822_519);
    hash ^= hash >> 13;
    hash.to_le_bytes().map(i32::from).iter().sum::<i32>() * 96 / 1020 - 48
}

fn boxed([k, j, i]: [[usize; 2]; 3]) -> IndexBox {
    IndexBox { start: [i[0], j[0], k[0]], end: [i[1], j[1], k[1]] }
}

/// A filled diamond, as in `sessions.py`.
fn drawn(part: &IndexBox) -> Array3<bool> {
    let [ni, nj, nk] = part.size();
    let far = |n: usize, length: usize| (2 * n + 1).abs_diff(length) * 24 / length;
    Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| far(k, nk) + far(j, nj) + far(i, ni) <= 24)
}

fn mask(digits: &str, shape: [usize; 3]) -> Array3<bool> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let (mut values, mut length, mut shift) = (Vec::new(), 0usize, 0);
    let mut inside = false;
    for byte in digits.as_bytes().chunks(2).map(byte) {
        length |= usize::from(byte & 127) << shift;
        shift += 7;
        if byte < 128 {
            values.resize(values.len() + length, inside);
            (length, shift, inside) = (0, 0, !inside);
        }
    }
    values.resize(shape.iter().product(), false);
    Array3::from_shape_vec(shape, values).unwrap()
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/promptable")
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(reference().join("sessions.json")).unwrap()).unwrap()
}

fn model(threads: usize) -> Model {
    let options = RuntimeOptions { device: Device::Cpu, threads, ..RuntimeOptions::default() };
    let runtime = Runtime::open(&options);
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}; {}", error.hint().unwrap_or_default()));
    let options = nnunet::ImportOptions { licence_accepted: true, ..nnunet::ImportOptions::default() };
    let model = nnunet::import(&reference().join("model"), &options, &Progress::silent()).unwrap();
    let network = runtime.network("test", &model.plan, &model.folds[0].weights, &Progress::silent()).unwrap();
    Model::new(&model.plan, network).unwrap()
}

fn image(case: &Case) -> Image {
    Image::new(Arc::new(case.volume())).unwrap()
}

fn prompt(step: &Step) -> Prompt {
    let part = boxed(step.part);
    let [k, j, i] = step.at;
    let shape = match step.kind.as_str() {
        "point" => Shape::Point([i, j, k]),
        "box" => Shape::Box(part),
        "scribble" => Shape::Scribble(part, drawn(&part)),
        "lasso" => Shape::Lasso(part, drawn(&part)),
        other => panic!("{other}"),
    };
    Prompt { shape, inside: step.inside }
}

fn differing(a: &Array3<bool>, b: &Array3<bool>) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

#[test]
fn every_prompt_is_answered_as_the_package_answers_it() {
    let mut model = model(1);
    let silent = Progress::silent();
    let mut steps = 0;
    for case in cases() {
        let mut session = Session::new(image(&case));
        let whole = boxed(case.size.map(|n| [0, n]));
        for step in &case.steps {
            let found = if step.kind == "start" {
                let [nk, nj, ni] = case.size;
                let part = &case.ellipsoids[step.ellipsoid];
                let start = Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| part.holds([k, j, i]));
                session.start(start.view()).unwrap();
                session.mend(&mut model, &silent).unwrap()
            } else {
                session.prompt(&mut model, &prompt(step), &silent).unwrap()
            };
            let expected = mask(&step.mask, case.size);
            let object = session.object(&whole);
            let (differing, voxels) =
                (differing(&object, &expected), expected.iter().filter(|inside| **inside).count());
            println!("{:8} {found:?} {differing} of {voxels} voxels differ", step.kind);
            assert_eq!(found.part, boxed(step.changed));
            assert_eq!((found.zoom, found.forwards), (step.zoom, step.forwards));
            assert_eq!(found.refined, step.refined);
            assert!(differing as f64 <= DIFFERING * voxels as f64, "{differing} of {voxels} differ");
            steps += 1;
        }
    }
    assert_eq!(steps, 33);
}

#[test]
fn any_number_of_prompts_can_be_taken_back() {
    let mut model = model(1);
    let case = &cases()[1];
    let mut session = Session::new(image(case));
    let whole = boxed(case.size.map(|n| [0, n]));
    let mut before = Vec::new();
    for step in case.steps.iter().filter(|step| step.kind != "start").take(4) {
        before.push((session.object(&whole), session.prompts()));
        session.prompt(&mut model, &prompt(step), &Progress::silent()).unwrap();
    }
    let (masks, after) = (before.clone(), session.object(&whole));
    while let Some((object, prompts)) = before.pop() {
        assert!(session.undo());
        assert_eq!((session.object(&whole), session.prompts()), (object, prompts));
    }
    assert!(!session.undo());
    assert!(masks.iter().any(|(object, _)| *object != after));
}

#[test]
fn the_same_prompts_give_the_same_mask_at_any_number_of_threads() {
    let case = &cases()[0];
    let whole = boxed(case.size.map(|n| [0, n]));
    let objects: Vec<Array3<bool>> = [1, 2]
        .map(|threads| {
            let mut model = model(threads);
            let mut session = Session::new(image(case));
            for step in case.steps.iter().filter(|step| step.kind != "start").take(3) {
                session.prompt(&mut model, &prompt(step), &Progress::silent()).unwrap();
            }
            session.object(&whole)
        })
        .into();
    assert_eq!(objects[0], objects[1]);
}

#[test]
fn a_cancelled_or_impossible_prompt_changes_nothing() {
    let mut model = model(1);
    let case = &cases()[2];
    let mut session = Session::new(image(case));
    let progress = Progress::new(|_| ());
    progress.cancel();
    let click = Prompt { shape: Shape::Point([20.0, 20.0, 12.0]), inside: true };
    let cancelled = session.prompt(&mut model, &click, &progress).unwrap_err();
    assert_eq!(cancelled.to_string(), "cancelled");
    for (shape, sentence) in [
        (Shape::Point([20.0, 20.0, 30.0]), "the prompt lies beyond the image"),
        (Shape::Point([f64::NAN; 3]), "the prompt lies beyond the image"),
        (Shape::Box(boxed([[0, 1], [50, 60], [0, 9]])), "the prompt lies beyond the image"),
        (
            Shape::Lasso(boxed([[0, 1], [0, 4], [0, 9]]), Array3::from_elem((1, 4, 9), false)),
            "the prompt has no voxel in the image",
        ),
        (
            Shape::Scribble(boxed([[0, 1], [0, 4], [0, 9]]), Array3::from_elem((9, 4, 1), true)),
            "[1, 4, 9] voxels, where [9, 4, 1] were expected",
        ),
    ] {
        let prompt = Prompt { shape, inside: true };
        assert_eq!(
            session.prompt(&mut model, &prompt, &Progress::silent()).unwrap_err().to_string(),
            sentence
        );
    }
    assert_eq!((session.prompts(), session.voxels()), (0, 0));
    assert!(!session.undo());
}
