"""Write an nnU-Net results folder of TotalSegmentator's real size with random weights.

Time and memory do not depend on what the weights are, so benchmarks need neither a download nor a licence:

    python make_full_size_model.py OUT [--dataset 297]

needs nnunetv2 and TotalSegmentator (for the names of the classes).
The network has 16.6 M parameters and 118 outputs for 297 (3 mm), 31.2 M and 25 to 27 outputs for 291 to 295 (1.5 mm).
The seed is fixed: the same versions of PyTorch and nnU-Net write the same weights.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch

PARTS = {
    291: "Dataset291_TotalSegmentator_part1_organs_1559subj",
    292: "Dataset292_TotalSegmentator_part2_vertebrae_1532subj",
    293: "Dataset293_TotalSegmentator_part3_cardiac_1559subj",
    294: "Dataset294_TotalSegmentator_part4_muscles_1559subj",
    295: "Dataset295_TotalSegmentator_part5_ribs_1559subj",
    297: "Dataset297_TotalSegmentator_total_3mm_1559subj",
}
# Of the published plans of dataset 297.
INTENSITIES = {
    "max": 17610.0,
    "mean": -50.3869,
    "median": 45.0,
    "min": -4300.0,
    "percentile_00_5": -1004.0,
    "percentile_99_5": 1588.0,
    "std": 503.3923,
}


def class_names(dataset: int) -> list[str]:
    from totalsegmentator import map_to_binary

    if dataset == 297:
        names = map_to_binary.class_map["total"]
    else:
        part = PARTS[dataset].split("_part")[1].rsplit("_", 1)[0][2:]
        names = map_to_binary.class_map_5_parts[f"class_map_part_{part}"]
    return [names[value] for value in sorted(names)]


def plans(dataset: int) -> dict:
    stages, patch, spacing = (5, [112, 112, 128], [3.0] * 3) if dataset == 297 else (6, [128] * 3, [1.5] * 3)
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": patch,
        "median_image_size_in_voxels": [200.0, 200.0, 200.0],
        "spacing": spacing,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 32,
        "unet_max_num_features": 320,
        "n_conv_per_stage_encoder": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
        "num_pool_per_axis": [stages - 1] * 3,
        "pool_op_kernel_sizes": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "conv_kernel_sizes": [[3, 3, 3]] * stages,
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling | {"order": 3},
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": resampling | {"is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
        "batch_dice": True,
    }
    return {
        "dataset_name": PARTS[dataset],
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": spacing,
        "original_median_shape_after_transp": [200, 200, 200],
        "image_reader_writer": "NibabelIOWithReorient",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": INTENSITIES},
    }


def network(plans: dict, outputs: int):
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    configuration = PlansManager(json.loads(json.dumps(plans))).get_configuration("3d_fullres")
    torch.manual_seed(297)
    unet = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        1,
        outputs,
        allow_init=True,
        deep_supervision=True,
    )
    # A trained network's biases are not 0 and its norms not 1: a wrong fold of them would show.
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if name.endswith("bias") or "norm" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return unet


def checkpoint(unet, plans: dict, dataset: dict, trainer: str, mirror) -> dict:
    optimizer = torch.optim.SGD(unet.parameters(), 0.01, momentum=0.99, nesterov=True)
    for parameter in unet.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()  # Momentum buffers exist, as in a real checkpoint; the weights stay.
    epochs = 4000  # Numpy scalars for each class and epoch: most of the pickle of a real checkpoint.
    logging = {
        name: [np.float64(0.5)] * epochs for name in ("mean_fg_dice", "ema_fg_dice", "train_losses", "val_losses")
    }
    logging["dice_per_class_or_region"] = [
        [np.float64(0.5 + 1e-6 * epoch) for _ in dataset["labels"]] for epoch in range(epochs)
    ]
    return {
        "network_weights": unet.state_dict(),
        "optimizer_state": optimizer.state_dict(),
        "grad_scaler_state": {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000},
        "logging": logging,
        "_best_ema": np.float64(0.9),
        "current_epoch": epochs,
        "init_args": {
            "plans": plans,
            "configuration": "3d_fullres",
            "fold": 0,
            "dataset_json": dataset,
            "unpack_dataset": True,
            "device": torch.device("cuda", 0),
        },
        "trainer_name": trainer,
        "inference_allowed_mirroring_axes": mirror,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--dataset", type=int, choices=sorted(PARTS), default=297)
    arguments = parser.parse_args()
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ.setdefault(name, str(arguments.out))
    trainer = "nnUNetTrainer_4000epochs_NoMirroring" if arguments.dataset == 297 else "nnUNetTrainerNoMirroring"
    names = class_names(arguments.dataset)
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0} | {name: value for value, name in enumerate(names, 1)},
        "numTraining": 1559,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
    }
    plan = plans(arguments.dataset)
    folder = arguments.out / PARTS[arguments.dataset] / f"{trainer}__nnUNetPlans__3d_fullres"
    (folder / "fold_0").mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plan, indent=4))
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=4))
    unet = network(plan, len(dataset["labels"]))
    path = folder / "fold_0" / "checkpoint_final.pth"
    torch.save(checkpoint(unet, plan, dataset, trainer, None), path)
    count = sum(parameter.numel() for parameter in unet.parameters())
    print(folder, f"{count} parameters", f"{len(names) + 1} outputs", f"{path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
