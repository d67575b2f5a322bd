//! Our plan of an installed model as nnU-Net's `plans.json`, so that nnU-Net can train the same network on.

use nnunet::{Kind, Normalization, Plan, Resampling};
use serde_json::{Value, json};

/// Patches in a step, where nobody says otherwise: nnU-Net's least.
const BATCH_SIZE: u32 = 2;

/// A `plans.json` of one configuration, `3d_fullres`, whose preprocessing and network are `plan`'s.
///
/// Reading it back gives the same plan. What only planning uses (the median shape, the spacing of the data) is not
/// known any more, and is filled with what the plan itself says.
#[must_use]
pub fn plans(plan: &Plan, dataset: &str, batch_size: Option<u32>) -> Value {
    let schemes: Vec<&str> = plan.normalization.iter().map(scheme).collect();
    let masks: Vec<bool> = plan
        .normalization
        .iter()
        .map(|scheme| matches!(scheme, Normalization::ZScore { use_mask: true }))
        .collect();
    let properties: serde_json::Map<String, Value> = plan
        .normalization
        .iter()
        .enumerate()
        .map(|(channel, scheme)| (channel.to_string(), properties(scheme)))
        .collect();
    let configuration = json!({
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": batch_size.unwrap_or(BATCH_SIZE),
        "patch_size": plan.patch_size,
        "median_image_size_in_voxels": plan.patch_size,
        "spacing": plan.spacing,
        "normalization_schemes": schemes,
        "use_mask_for_norm": masks,
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling(&plan.resampling, false),
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": resampling(&Resampling { order: 1, order_z: 0, ..plan.resampling }, true),
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling(&plan.resampling_of_scores, false),
        "architecture": architecture(plan),
        "batch_dice": false,
    });
    json!({
        "dataset_name": dataset,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": plan.spacing,
        "original_median_shape_after_transp": plan.patch_size,
        "image_reader_writer": plan.reader,
        "transpose_forward": plan.transpose_forward,
        "transpose_backward": plan.transpose_backward,
        "experiment_planner_used": "Vesalius",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": properties,
        "configurations": { "3d_fullres": configuration },
    })
}

fn scheme(normalization: &Normalization) -> &'static str {
    match normalization {
        Normalization::Ct { .. } => "CTNormalization",
        Normalization::ZScore { .. } => "ZScoreNormalization",
        Normalization::None => "NoNormalization",
        Normalization::RescaleTo01 => "RescaleTo01Normalization",
        Normalization::RgbTo01 => "RGBTo01Normalization",
    }
}

/// What `CTNormalization` needs to know.
fn properties(normalization: &Normalization) -> Value {
    match normalization {
        Normalization::Ct { lower, upper, mean, std } => json!({
            "percentile_00_5": lower, "percentile_99_5": upper, "mean": mean, "std": std,
            "median": mean, "min": lower, "max": upper,
        }),
        _ => json!({}),
    }
}

fn resampling(resampling: &Resampling, is_seg: bool) -> Value {
    json!({
        "is_seg": is_seg,
        "order": resampling.order,
        "order_z": resampling.order_z,
        "force_separate_z": resampling.force_separate_z,
    })
}

fn architecture(plan: &Plan) -> Value {
    let network = &plan.architecture;
    let (class, steps) = match network.kind {
        Kind::Plain => ("PlainConvUNet", "n_conv_per_stage"),
        Kind::ResidualEncoder => ("ResidualEncoderUNet", "n_blocks_per_stage"),
    };
    json!({
        "network_class_name": format!("dynamic_network_architectures.architectures.unet.{class}"),
        "arch_kwargs": {
            "n_stages": network.features.len(),
            "features_per_stage": network.features,
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": network.kernels,
            "strides": network.strides,
            steps: network.encoder,
            "n_conv_per_stage_decoder": network.decoder,
            "conv_bias": network.convolution_bias,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": { "eps": network.epsilon, "affine": true },
            "dropout_op": null,
            "dropout_op_kwargs": null,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": { "inplace": true, "negative_slope": network.negative_slope },
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head-and-neck model's own files come back as the plan they made.
    #[test]
    fn a_plan_survives_the_way_to_nnunet_and_back() {
        let model = include_bytes!("../../engine/models/headneck/headneck.vesalius");
        let header = nnunet::describe_bytes(model).unwrap();
        let labels: serde_json::Map<String, Value> = std::iter::once(("background".to_owned(), json!(0)))
            .chain(header.plan.labels.iter().map(|label| (label.name.clone(), json!(label.value))))
            .collect();
        let dataset = json!({ "channel_names": { "0": "CT" }, "labels": labels });
        let written = plans(&header.plan, &header.plan.dataset, None);
        let read = nnunet::read_plan(
            written.to_string().as_bytes(),
            dataset.to_string().as_bytes(),
            "3d_fullres",
            &header.plan.trainer,
        )
        .unwrap();
        assert_eq!(read, header.plan);
    }
}
