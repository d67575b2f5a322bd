//! Networks through the real library, against scores that PyTorch computed: `tests/reference/nnunet/make.py`.
//!
//! They need what `requirements.txt` lists, in a `.venv` at the root of the checkout.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Truth {
    folder: String,
    shape: [usize; 4],
    largest: f32,
}

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference").join(path)
}

fn truth(name: &str) -> (Truth, Vec<f32>) {
    let text = std::fs::read_to_string(reference("nnunet/scores.json")).unwrap();
    let mut all: BTreeMap<String, Truth> = serde_json::from_str(&text).unwrap();
    let bytes = std::fs::read(reference("nnunet/scores").join(name).with_extension("f32")).unwrap();
    let scores = bytes.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    (all.remove(name).unwrap(), scores)
}

/// The same numbers as `patch` in `make.py`.
fn patch(length: usize) -> Vec<f32> {
    let number = |n: u32| {
        let mut hash = n.wrapping_mul(2_654_435_761);
        hash ^= hash >> 15;
        hash = hash.wrapping_mul(2_246_822_519);
        hash ^= hash >> 13;
        (hash >> 8) as f32 / 16_777_216.0 * 3.0 - 1.5
    };
    (0..u32::try_from(length).unwrap()).map(number).collect()
}

fn model(name: &str) -> nnunet::Model {
    let folder = reference(&truth(name).0.folder);
    nnunet::import(&folder, &nnunet::ImportOptions::default(), &Progress::silent()).unwrap()
}

#[track_caller]
fn open(device: Device, threads: usize) -> Runtime {
    let options = RuntimeOptions { device, threads, ..RuntimeOptions::default() };
    let runtime = Runtime::open(&options);
    runtime.unwrap_or_else(|error| panic!("{error}; {}", error.hint().unwrap_or_default()))
}

/// All scores of the patch, `[class, z, y, x]`.
fn scores(runtime: &Runtime, model: &nnunet::Model) -> Vec<f32> {
    let plan = &model.plan;
    let weights = &model.folds[0].weights;
    let mut network = runtime.network("test", plan, weights, &Progress::silent()).unwrap();
    let voxels: usize = plan.patch_size.iter().product();
    let mut all = Vec::new();
    let mut take = |first: usize, scores: &[f32]| {
        assert_eq!(first * voxels, all.len());
        all.extend_from_slice(scores);
        Ok(())
    };
    network.run(&patch(plan.channels.len() * voxels), &mut take).unwrap();
    assert_eq!(all.len(), plan.outputs.channels() * voxels);
    all
}

/// Compares every twelfth voxel from the fifth on.
#[track_caller]
fn check(name: &str, device: Device, at_most: f32) {
    let (truth, expected) = truth(name);
    let model = model(name);
    let runtime = open(device, 0);
    let found = scores(&runtime, &model);
    assert_eq!(runtime.fallbacks(), []);
    let [depth, height, width] = model.plan.patch_size;
    let [_, nz, ny, nx] = truth.shape;
    let mut largest = 0.0_f32;
    for (n, expected) in expected.iter().enumerate() {
        let (class, z, y, x) = (n / (nz * ny * nx), n / (ny * nx) % nz, n / nx % ny, n % nx);
        let at = ((class * depth + 5 + 12 * z) * height + 5 + 12 * y) * width + 5 + 12 * x;
        largest = largest.max((found[at] - expected).abs());
    }
    assert!(truth.largest > 1.0 && largest < at_most, "{name} on {device}: {largest:e} of {}", truth.largest);
}

const MODELS: [&str; 6] =
    ["Dataset297", "Dataset298", "Dataset315", "Dataset836", "Dataset901", "Dataset902"];

#[test]
fn scores_are_pytorchs_on_the_processor() {
    MODELS.iter().for_each(|name| check(name, Device::Cpu, 1e-4));
}

/// The plug-in exists for these processors only.
#[cfg(target_arch = "x86_64")]
#[test]
fn scores_are_pytorchs_with_openvino_and_beside_it() {
    MODELS.iter().for_each(|name| check(name, Device::OpenVino, 1e-4));
    // Once the plug-in was registered, `ort` chose it for sessions that named no provider, in brain floats.
    check("Dataset297", Device::Cpu, 1e-4);
}

/// ONNX Runtime cuts its sums differently from about four threads on: 1e-6 in a convolution.
#[test]
fn scores_are_the_same_bits_with_the_same_number_of_threads() {
    let model = model("Dataset836");
    let one = scores(&open(Device::Cpu, 1), &model);
    for threads in [1, 2, 5] {
        let first = scores(&open(Device::Cpu, threads), &model);
        assert!(first == scores(&open(Device::Cpu, threads), &model), "{threads} threads");
        let largest = one.iter().zip(&first).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-4, "{threads} threads: {largest:e}");
    }
}

#[test]
fn a_network_stops_when_asked_and_runs_again_after() {
    let model = model("Dataset297");
    let progress = Progress::silent();
    let runtime = open(Device::Cpu, 1);
    let mut network = runtime.network("test", &model.plan, &model.folds[0].weights, &progress).unwrap();
    let patch = patch(model.plan.patch_size.iter().product());
    let run = |network: &mut Box<dyn Network>| network.run(&patch, &mut |_, _| Ok(()));
    run(&mut network).unwrap();
    let canceller = std::thread::spawn({
        let progress = progress.clone();
        move || progress.cancel()
    });
    let stopped = std::iter::repeat_with(|| run(&mut network)).find_map(Result::err);
    assert!(matches!(stopped, Some(Error::Cancelled)), "{stopped:?}");
    canceller.join().unwrap();
    assert!(matches!(run(&mut network), Err(Error::Cancelled)));
    let refused = runtime.network("test", &model.plan, &model.folds[0].weights, &progress);
    assert!(matches!(refused.map(drop), Err(Error::Cancelled)));
    network.watch(&Progress::silent());
    run(&mut network).unwrap();
}

#[test]
fn what_take_says_is_passed_on() {
    let model = model("Dataset298");
    let weights = &model.folds[0].weights;
    let mut network =
        open(Device::Cpu, 1).network("test", &model.plan, weights, &Progress::silent()).unwrap();
    let patch = patch(model.plan.patch_size.iter().product());
    let result = network.run(&patch, &mut |first, _| if first == 0 { Ok(()) } else { Err(Error::Scores) });
    assert!(matches!(result, Err(Error::Scores)), "{result:?}");
    let result = network.run(&patch[1..], &mut |_, _| Ok(()));
    assert!(matches!(result, Err(Error::Network { .. })), "{result:?}");
}

#[test]
fn a_device_that_is_missing_is_said_and_replaced() {
    let runtime = open("cuda:1".parse().unwrap(), 1);
    let expected = Fallback {
        wanted: "cuda:1".into(),
        used: "cpu".into(),
        reason: "this ONNX Runtime has no `CUDAExecutionProvider`; `pip install onnxruntime-gpu` brings it"
            .into(),
    };
    assert_eq!(runtime.fallbacks(), [expected]);
    assert_eq!(runtime.info().providers, [Device::Cpu]);
    scores(&runtime, &model("Dataset298"));
}

#[test]
fn wrong_files_are_refused() {
    open(Device::Cpu, 1);
    let library = lock(&LOADED).as_ref().unwrap().library.clone();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libonnxruntime.so");
    let check = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let found = load_file(&file).map(drop);
        assert!(matches!(found, Err(Found::Unusable { .. })), "{found:?}");
    };
    let bytes = std::fs::read(&library).unwrap();
    check(b"");
    check(b"not a library");
    if cfg!(target_os = "linux") {
        check(&bytes[..bytes.len() / 2]);
        // A library, but another one.
        let found = load_file(&library.with_file_name("libonnxruntime_providers_shared.so")).map(drop);
        assert!(matches!(found, Err(Found::Unusable { .. })), "{found:?}");
    }
    let wanted = folder.path().to_path_buf();
    let options = RuntimeOptions { library: Some(wanted), ..RuntimeOptions::default() };
    assert!(matches!(Runtime::open(&options), Err(Error::RuntimeLoaded { .. })));
}

#[test]
fn the_hint_lists_every_place() {
    let nowhere = Surroundings { program: Some("/nowhere/bin/vesalius".into()), ..Surroundings::default() };
    let tried = candidates(&nowhere, ONNX_RUNTIME).into_iter().take(2);
    let tried = tried.map(|at| Attempt { place: at.place, path: at.path, outcome: Found::Nothing }).collect();
    let hint = Error::RuntimeMissing { tried }.hint().unwrap();
    let expected = "run `pip install onnxruntime`; looked at\n  beside the program: nothing in `/nowhere/bin`\n  \
                    the environment of the program: nothing in `/nowhere`";
    assert_eq!(hint, expected);
}
