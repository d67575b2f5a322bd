//! The ONNX bytes against PyTorch: decoded again and computed by a small interpreter of the ten operators they use.

use std::collections::{BTreeMap, HashSet};

use prost::Message;

use super::interpreter::{Decoded, run};
use super::*;
use crate::testing::{json, model as read_model, reference, residual_folder};

/// The noise of `tests/reference/nnunet/make.py`.
fn patch(count: usize) -> Vec<f32> {
    let value = |index: usize| {
        let mut hash = (index as u32).wrapping_mul(2_654_435_761);
        hash ^= hash >> 15;
        hash = hash.wrapping_mul(2_246_822_519);
        hash ^= hash >> 13;
        (hash >> 8) as f32 / 16_777_216.0 * 3.0 - 1.5
    };
    (0..count).map(value).collect()
}

#[track_caller]
fn check_scores(name: &str, normalization: InstanceNormalization) {
    let truth = &json("nnunet/scores.json")[name];
    let model = read_model(&reference().join(truth["folder"].as_str().unwrap()));
    let onnx = to_onnx(
        &model.plan,
        &model.folds[0].weights,
        GraphOptions { normalization, ..GraphOptions::default() },
    )
    .unwrap();
    let [z, y, x] = model.plan.patch_size;
    let scores = run(&onnx, &patch(model.plan.channels.len() * z * y * x), OUTPUT);
    let bytes = std::fs::read(reference().join(format!("nnunet/scores/{name}.f32"))).unwrap();
    let mut expected = bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk));
    for class in 0..model.plan.outputs.channels() {
        for k in (5..z).step_by(12) {
            for j in (5..y).step_by(12) {
                for i in (5..x).step_by(12) {
                    let found = scores[((class * z + k) * y + j) * x + i];
                    let expected = expected.next().unwrap();
                    assert!(
                        (found - expected).abs() < 5e-5,
                        "{name} {class} {k} {j} {i}: {found} {expected}"
                    );
                }
            }
        }
    }
    assert_eq!(expected.next(), None);
}

#[test]
fn scores_are_pytorchs() {
    check_scores("Dataset901", InstanceNormalization::TwoLevel);
    check_scores("Dataset902", InstanceNormalization::TwoLevel);
    check_scores("Dataset902", InstanceNormalization::Native);
    check_scores("Dataset298", InstanceNormalization::TwoLevel);
}

#[test]
fn trunk_and_head_make_the_whole() {
    let model = read_model(&residual_folder());
    let weights = &model.folds[0].weights;
    let [z, y, x] = model.plan.patch_size;
    let patch = patch(z * y * x);
    let whole = run(&to_onnx(&model.plan, weights, GraphOptions::default()).unwrap(), &patch, OUTPUT);
    let options = GraphOptions { part: Part::Trunk, ..GraphOptions::default() };
    let features = run(&to_onnx(&model.plan, weights, options).unwrap(), &patch, FEATURES);
    let head = crate::head(&model.plan, weights).unwrap();
    let voxels = z * y * x;
    for (index, score) in whole.iter().enumerate() {
        let (class, voxel) = (index / voxels, index % voxels);
        let own = &head.weights[class * head.features..][..head.features];
        let sum: f32 =
            own.iter().enumerate().map(|(feature, weight)| weight * features[feature * voxels + voxel]).sum();
        assert!((sum + head.bias[class] - score).abs() < 1e-5);
    }
}

#[test]
fn the_graph_is_in_order_and_uses_every_constant() {
    for folder in std::fs::read_dir(reference().join("golden/weights")).unwrap() {
        let model = read_model(&folder.unwrap().path());
        for normalization in [InstanceNormalization::Native, InstanceNormalization::TwoLevel] {
            let onnx = to_onnx(
                &model.plan,
                &model.folds[0].weights,
                GraphOptions { normalization, ..GraphOptions::default() },
            )
            .unwrap();
            let graph = Decoded::decode(&onnx[..]).unwrap().graph.unwrap();
            let constants: HashSet<&str> =
                graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
            let mut known = constants.clone();
            known.insert(INPUT);
            let mut used = HashSet::new();
            for node in &graph.node {
                assert!(node.input.iter().all(|input| known.contains(input.as_str())), "{}", node.name);
                used.extend(node.input.iter().map(String::as_str));
                assert!(
                    node.output.iter().all(|output| known.insert(output)),
                    "{} is there twice",
                    node.name
                );
            }
            assert!(known.contains(OUTPUT));
            assert!(constants.is_subset(&used));
            assert_eq!(constants.len(), graph.initializer.len());
        }
    }
}

#[test]
fn operators_are_counted() {
    let model = read_model(&residual_folder());
    let count = |normalization| {
        let onnx = to_onnx(
            &model.plan,
            &model.folds[0].weights,
            GraphOptions { normalization, ..GraphOptions::default() },
        )
        .unwrap();
        let mut counts = BTreeMap::new();
        for node in Decoded::decode(&onnx[..]).unwrap().graph.unwrap().node {
            *counts.entry(node.op_type).or_insert(0) += 1;
        }
        counts
    };
    let native = count(InstanceNormalization::Native);
    // Stem; five blocks of two, one projection (skip.0: features alone change); three in the decoder; the head.
    let expected = [
        ("Add", 5),
        ("AveragePool", 1),
        ("Concat", 2),
        ("Conv", 16),
        ("ConvTranspose", 2),
        ("InstanceNormalization", 15),
        ("LeakyRelu", 14),
    ];
    assert_eq!(native, expected.map(|(name, count)| (name.to_owned(), count)).into());
    let two_level = count(InstanceNormalization::TwoLevel);
    assert_eq!((two_level["ReduceMean"], two_level.get("InstanceNormalization")), (60, None));
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let bytes = || {
        let model = read_model(&residual_folder());
        to_onnx(&model.plan, &model.folds[0].weights, GraphOptions::default()).unwrap()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn weights_of_another_network_are_refused() {
    let model = read_model(&residual_folder());
    let name = "encoder.stem.convs.0.conv.weight";
    let convert = |weights: &Weights| to_onnx(&model.plan, weights, GraphOptions::default()).unwrap_err();
    let mut weights = model.folds[0].weights.clone();
    weights.get_mut(name).unwrap().values.pop();
    assert!(matches!(convert(&weights), Error::Shape { .. }));
    weights.remove(name);
    assert!(matches!(convert(&weights), Error::MissingWeight { .. }));
    let mut plan = model.plan.clone();
    plan.patch_size = [7, 8, 16];
    assert!(matches!(
        to_onnx(&plan, &model.folds[0].weights, GraphOptions::default()),
        Err(Error::Field { .. })
    ));
}
