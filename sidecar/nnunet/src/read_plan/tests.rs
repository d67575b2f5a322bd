//! Plans against what nnU-Net's own classes make of the same files, and what is refused.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::architecture::Kind;
use crate::testing::{self, reference, regions_folder, residual_folder};

fn files(folder: &Path) -> (Value, Value) {
    let read = |name| serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    (read("plans.json"), read("dataset.json"))
}

fn plan_of(plans: &Value, dataset: &Value, configuration: &str) -> Result<Plan> {
    read_plan(plans.to_string().as_bytes(), dataset.to_string().as_bytes(), configuration, "Trainer")
}

#[test]
fn plans_are_what_nnunet_makes_of_them() {
    let truth = testing::json("nnunet/plans.json");
    for (folder, expected) in truth.as_object().unwrap() {
        let (plans, dataset) = files(&reference().join(folder));
        let plan = plan_of(&plans, &dataset, folder.rsplit("__").next().unwrap()).unwrap();
        let architecture = &plan.architecture;
        let regions = match &plan.outputs {
            Outputs::Regions { values } => json!(values),
            Outputs::Classes { .. } => Value::Null,
        };
        let found = json!({
            "patch_size": plan.patch_size, "spacing": plan.spacing, "channels": plan.channels.len(),
            "transpose_forward": plan.transpose_forward, "transpose_backward": plan.transpose_backward,
            "heads": plan.outputs.channels(), "regions": regions,
            "labels": plan.labels.iter().map(|label| label.value).collect::<Vec<_>>(),
            "features": architecture.features, "kernels": architecture.kernels, "strides": architecture.strides,
            "encoder": architecture.encoder, "decoder": architecture.decoder, "epsilon": architecture.epsilon,
            "convolution_bias": architecture.convolution_bias,
            "orders": [plan.resampling.order, plan.resampling_of_scores.order],
        });
        assert_eq!(found, *expected, "{folder}");
    }
    assert_eq!(truth.as_object().unwrap().len(), 13);
}

#[test]
fn regions_channels_and_inheritance_are_read() {
    // The bytes as they are: the order of the regions counts, and is not that of the alphabet.
    let file = |name: &str| std::fs::read(regions_folder().join(name)).unwrap();
    let plan = read_plan(&file("plans.json"), &file("dataset.json"), "3d_fullres_bs4", "Trainer").unwrap();
    assert_eq!(plan.channels, ["CT", "PET"]);
    assert_eq!(plan.spacing, [2.0, 1.0, 1.5]);
    assert_eq!(plan.reader, "SimpleITKIO");
    let ct = Normalization::Ct { lower: -100.0, upper: 200.0, mean: 40.5, std: 12.25 };
    assert_eq!(plan.normalization, [ct, Normalization::ZScore { use_mask: true }]);
    let names: Vec<(&str, u8)> = plan.labels.iter().map(|label| (label.name.as_str(), label.value)).collect();
    assert_eq!(names, [("whole", 1), ("core", 2), ("enhancing", 3)]);
    assert_eq!(plan.resampling, Resampling { order: 3, order_z: 0, force_separate_z: None });
}

#[test]
fn a_rectifier_is_a_leaky_one_of_slope_0() {
    let (plans, dataset) = files(&residual_folder());
    let architecture = plan_of(&plans, &dataset, "3d_fullres").unwrap().architecture;
    assert_eq!(
        (architecture.kind, architecture.negative_slope, architecture.epsilon),
        (Kind::ResidualEncoder, 0.0, 1e-3)
    );
}

/// Sets the value at a JSON pointer; the pointer's parent must be there.
fn set(value: &mut Value, pointer: &str, new: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = new,
        parent => parent[name] = new,
    }
}

#[track_caller]
fn check_refused(folder: &Path, configuration: &str, file: &str, changes: &[(&str, Value)], message: &str) {
    let (mut plans, mut dataset) = files(folder);
    for (pointer, new) in changes {
        set(if file == "plans" { &mut plans } else { &mut dataset }, pointer, new.clone());
    }
    let error = plan_of(&plans, &dataset, configuration).unwrap_err();
    assert!(error.to_string().contains(message), "{changes:?}: {error}");
}

#[test]
fn what_is_not_supported_is_named() {
    let c = "/configurations/3d_fullres";
    let at = |rest: &str| format!("{c}{rest}");
    let a = |rest: &str| format!("{c}/architecture/arch_kwargs/{rest}");
    for (pointer, new, message) in [
        (at("/patch_size"), json!([512, 512]), "two-dimensional"),
        (at("/previous_stage"), json!("3d_lowres"), "cascade after configuration `3d_lowres`"),
        (at("/preprocessor_name"), json!("MyPreprocessor"), "preprocessor `MyPreprocessor`"),
        (
            at("/resampling_fn_data"),
            json!("resample_torch_fornnunet"),
            "resampling function `resample_torch_fornnunet`",
        ),
        (at("/resampling_fn_data_kwargs/separate_z_anisotropy_threshold"), json!(5), "expected 3"),
        (at("/normalization_schemes/0"), json!("MyNormalization"), "normalisation `MyNormalization`"),
        (at("/normalization_schemes/0"), json!("CTNormalization"), "percentile_00_5` is missing"),
        (at("/normalization_schemes"), json!([]), "as many as"),
        (at("/architecture/network_class_name"), json!("x.y.Primus"), "network `x.y.Primus`"),
        (a("norm_op"), json!("torch.nn.modules.batchnorm.BatchNorm3d"), "BatchNorm3d"),
        (a("norm_op_kwargs/affine"), json!(false), "affine"),
        (a("norm_op_kwargs/track_running_stats"), json!(true), "no running statistics"),
        (a("conv_op"), json!("torch.nn.modules.conv.Conv2d"), "Conv2d"),
        (a("nonlin"), json!("torch.nn.GELU"), "GELU"),
        (a("bottleneck_channels"), json!([1, 2, 3]), "network argument `bottleneck_channels`"),
        (a("nonlin_first"), json!(true), "network argument `nonlin_first`"),
        (a("kernel_sizes/0"), json!([2, 3, 3]), "odd lengths"),
        (a("strides/0"), json!([2, 2, 2]), "`[1, 1, 1]` first"),
        (a("strides/1"), json!([3, 1, 1]), "multiples of the product"),
        (a("n_stages"), json!(4), "as many as `features_per_stage`"),
        (a("features_per_stage"), json!([4, 6, 1_000_000]), "1 to 4096"),
        (a("features_per_stage"), json!([4, 6, -1]), "a whole number"),
        (at("/patch_size"), json!([4096, 4096, 4096]), "at most 512"),
        (at("/patch_size"), json!([0, 8, 16]), "patch_size"),
        (at("/spacing"), json!([1.0, 0.0, 1.0]), "spacing"),
        (at("/inherits_from"), json!("3d_fullres"), "does not inherit from itself"),
        ("/label_manager".into(), json!("MyLabels"), "label manager `MyLabels`"),
        ("/transpose_forward".into(), json!([2, 0, 1]), "inverse"),
        ("/transpose_backward".into(), json!([0, 0, 7]), "inverse"),
    ] {
        check_refused(&residual_folder(), "3d_fullres", "plans", &[(&pointer, new)], message);
    }
    check_refused(&residual_folder(), "2d", "plans", &[], "configurations.2d` is missing");
}

#[test]
fn labels_that_cannot_be_told_apart_are_refused() {
    for (pointer, new, message) in [
        ("/labels", json!({"tumour": 1}), "`background` with the value 0"),
        ("/labels", json!({"background": [0, 1]}), "`background` with the value 0"),
        ("/labels/tumour", json!(2), "without gaps"),
        ("/labels/tumour", json!(300), "0 to 255"),
        ("/labels/tumour", json!("one"), "0 to 255"),
        ("/labels/tumour", json!([1, 2]), "`regions_class_order` is missing"),
        ("/channel_names", json!({"1": "CT"}), "from 0 without gaps"),
        ("/channel_names", json!(["CT"]), "an object"),
        ("/channel_names", json!({"0": "CT", "1": "MR"}), "as many as"),
    ] {
        check_refused(&residual_folder(), "3d_fullres", "dataset", &[(pointer, new)], message);
    }
    check_refused(
        &regions_folder(),
        "3d_fullres",
        "dataset",
        &[("/regions_class_order", json!([1]))],
        "as many values",
    );
    check_refused(
        &regions_folder(),
        "3d_fullres",
        "dataset",
        &[("/regions_class_order", json!([1, 2, 0]))],
        "1 to 255",
    );
}

#[test]
fn absent_arguments_of_resampling_have_nnunets_defaults() {
    let (mut plans, dataset) = files(&residual_folder());
    set(&mut plans, "/configurations/3d_fullres/resampling_fn_data_kwargs", json!({"is_seg": false}));
    let plan = plan_of(&plans, &dataset, "3d_fullres").unwrap();
    assert_eq!(plan.resampling, Resampling { order: 3, order_z: 0, force_separate_z: Some(false) });
}

proptest! {
    #[test]
    fn mutated_plans_never_panic(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), regions in any::<bool>()) {
        let folder = if regions { regions_folder() } else { residual_folder() };
        let mut plans = std::fs::read(folder.join("plans.json")).unwrap();
        let mut dataset = std::fs::read(folder.join("dataset.json")).unwrap();
        for (place, byte) in places {
            let place = place.index(plans.len() + dataset.len());
            match place.checked_sub(plans.len()) {
                Some(place) => dataset[place] = byte,
                None => plans[place] = byte,
            }
        }
        let configuration = if regions { "3d_fullres_bs4" } else { "3d_fullres" };
        let _ = read_plan(&plans, &dataset, configuration, "");
    }
}
