"""Makes the numbers that the tests of `sidecar/nnunet` compare with: nnU-Net's own networks, run by PyTorch.

    OMP_NUM_THREADS=1 python tests/reference/nnunet/make.py

Needs nnunetv2 2.8.1 and torch. Writes beside itself:

* `variants/*`: small model folders with what the golden ones lack (channels, regions, inheritance, transposition,
  half precision, other strides and activations), laid out as nnU-Net lays them out, with random weights;
* `weights.json`: for each model and fold, the SHA-256 over all weights that inference needs, sorted by name: the
  name, the shape in decimal, the values as little-endian f32;
* `plans.json`: what nnU-Net's own classes make of each model's `plans.json` and `dataset.json`;
* `scores/*.f32`: logits of the patch below at every 12th voxel from 5, `[class, z, y, x]`, little-endian f32;
* `scores.json`: the shape of each, and SHA-256 of the argmax over classes of the whole patch, as uint8.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(name, str(HERE))

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: E402
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels  # noqa: E402
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: E402

GOLDEN = HERE.parent / "golden" / "weights"
SCORED = ["Dataset298", "Dataset836", "Dataset315", "Dataset297"]


def patch(shape):
    """Noise from the index alone, so that any language can make it: a 32-bit mix, scaled to [-1.5, 1.5)."""
    h = np.arange(np.prod(shape), dtype=np.uint64)
    h = h * 2654435761 % 2**32
    h ^= h >> np.uint64(15)
    h = h * 2246822519 % 2**32
    h ^= h >> np.uint64(13)
    return ((h >> np.uint64(8)).astype(np.float32) / np.float32(2**24) * 3 - np.float32(1.5)).reshape(shape)


def network(plans, dataset, configuration, deep_supervision=False):
    manager = PlansManager(json.loads(json.dumps(plans)))
    found = manager.get_configuration(configuration)
    labels = manager.get_label_manager(dataset)
    channels = determine_num_input_channels(manager, found, dataset)
    net = get_network_from_plans(
        found.network_arch_class_name,
        found.network_arch_init_kwargs,
        found.network_arch_init_kwargs_req_import,
        channels,
        labels.num_segmentation_heads,
        allow_init=True,
        deep_supervision=deep_supervision,
    )
    return net, [channels, *found.patch_size]


def base_plans(name, patch_size, **configuration):
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    return {
        "dataset_name": name,
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager",
        "configurations": {
            "3d_fullres": {
                "preprocessor_name": "DefaultPreprocessor",
                "patch_size": patch_size,
                "spacing": [1.0, 1.0, 1.0],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
                **configuration,
            }
        },
    }


def regions():
    """Old form, two channels, regions, an ignored label, inheritance, transposition; saved in half precision."""
    plans = base_plans(
        "Dataset901_Regions",
        [16, 16, 24],
        normalization_schemes=["CTNormalization", "ZScoreNormalization"],
        use_mask_for_norm=[False, True],
        UNet_class_name="PlainConvUNet",
        UNet_base_num_features=4,
        unet_max_num_features=12,
        n_conv_per_stage_encoder=[2, 1, 3],
        n_conv_per_stage_decoder=[1, 2],
        num_pool_per_axis=[1, 2, 2],
        pool_op_kernel_sizes=[[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        conv_kernel_sizes=[[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    )
    plans["transpose_forward"] = plans["transpose_backward"] = [1, 0, 2]
    plans["configurations"]["3d_fullres_bs4"] = {"inherits_from": "3d_fullres", "batch_size": 4, "spacing": [2.0, 1.0, 1.5]}
    numbers = {"mean": 40.5, "std": 12.25, "percentile_00_5": -100.0, "percentile_99_5": 200.0}
    plans["foreground_intensity_properties_by_modality"] = {"0": numbers, "1": numbers}
    dataset = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4},
        "regions_class_order": [1, 2, 3],
        "file_ending": ".nii.gz",
    }
    return plans, dataset, "3d_fullres_bs4", "nnUNetTrainer", torch.float16, "module.", 2


def residual():
    """New form, no convolution bias, a plain rectifier, a stage that only changes its features; pickle protocol 4."""
    plans = base_plans(
        "Dataset902_Residual",
        [16, 8, 16],
        normalization_schemes=["NoNormalization"],
        use_mask_for_norm=[False],
        architecture={
            "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
            "arch_kwargs": {
                "n_stages": 3,
                "features_per_stage": [4, 6, 6],
                "conv_op": "torch.nn.modules.conv.Conv3d",
                "kernel_sizes": [[3, 3, 3], [3, 1, 3], [5, 3, 3]],
                "strides": [[1, 1, 1], [1, 1, 1], [2, 1, 4]],
                "n_blocks_per_stage": [1, 2, 2],
                "n_conv_per_stage_decoder": [2, 1],
                "conv_bias": False,
                "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                "norm_op_kwargs": {"eps": 1e-03, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.ReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    )
    dataset = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "tumour": 1}, "file_ending": ".nii.gz"}
    return plans, dataset, "3d_fullres", "MyTrainer", torch.bfloat16, "", 4


def write_variant(seed, plans, dataset, configuration, trainer, dtype, prefix, protocol):
    folder = HERE / "variants" / plans["dataset_name"] / f"{trainer}__nnUNetPlans__{configuration}"
    (folder / "fold_all").mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans, indent=1))
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1))
    torch.manual_seed(seed)
    net, _ = network(plans, dataset, configuration, deep_supervision=True)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias") or "norm" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
            parameter.copy_(parameter.to(dtype).float())
    checkpoint = {
        "network_weights": {prefix + name: tensor for name, tensor in net.to(dtype).state_dict().items()},
        "logging": {"mean_fg_dice": [np.float64(0.25), np.float32(0.5)], "path": Path("/tmp")},
        "_best_ema": np.float64(0.9),
        "init_args": {"configuration": configuration, "device": torch.device("cpu")},
        "trainer_name": trainer,
    }
    torch.save(checkpoint, folder / "fold_all" / "checkpoint_final.pth", pickle_protocol=protocol)


def digest(net):
    sha = hashlib.sha256()
    aliases = ("all_modules", "decoder.encoder")
    heads = [name for name in net.state_dict() if "seg_layers" in name]
    last = sorted(heads, key=lambda name: int(name.split(".")[2]))[-1].rsplit(".", 1)[0]
    count = 0
    for name, tensor in sorted(net.state_dict().items()):
        if any(alias in name for alias in aliases) or ("seg_layers" in name and not name.startswith(last + ".")):
            continue
        count += 1
        sha.update(f"{name} {list(tensor.shape)}\n".encode())
        sha.update(tensor.float().numpy().astype("<f4").tobytes())
    return {"count": count, "sha256": sha.hexdigest()}


def facts(plans, dataset, configuration):
    manager = PlansManager(json.loads(json.dumps(plans)))
    found = manager.get_configuration(configuration)
    labels = manager.get_label_manager(dataset)
    network = found.network_arch_init_kwargs
    return {
        "patch_size": list(found.patch_size),
        "spacing": list(found.spacing),
        "transpose_forward": manager.transpose_forward,
        "transpose_backward": manager.transpose_backward,
        "channels": determine_num_input_channels(manager, found, dataset),
        "heads": labels.num_segmentation_heads,
        "regions": labels.regions_class_order if labels.has_regions else None,
        "labels": [int(label) for label in labels.all_labels if label],
        "features": network["features_per_stage"],
        "kernels": network["kernel_sizes"],
        "strides": network["strides"],
        "encoder": network.get("n_conv_per_stage") or network["n_blocks_per_stage"],
        "decoder": network["n_conv_per_stage_decoder"],
        "epsilon": network["norm_op_kwargs"]["eps"],
        "convolution_bias": network["conv_bias"],
        "orders": [found.resampling_fn_data.keywords["order"], found.resampling_fn_probabilities.keywords["order"]],
    }


def main():
    torch.set_num_threads(1)
    write_variant(1, *regions())
    write_variant(2, *residual())
    (HERE / "scores").mkdir(exist_ok=True)
    weights, scores, read = {}, {}, {}
    for root in (GOLDEN, HERE / "variants"):
        for folder in sorted(root.glob("*/*")):
            plans = json.loads((folder / "plans.json").read_text())
            dataset = json.loads((folder / "dataset.json").read_text())
            read[str(folder.relative_to(HERE.parent))] = facts(plans, dataset, folder.name.split("__")[-1])
            for fold in sorted(folder.glob("fold_*"), reverse=True):
                net, shape = network(plans, dataset, folder.name.split("__")[-1])
                stored = torch.load(fold / "checkpoint_final.pth", weights_only=False, map_location="cpu")
                stored = {name.removeprefix("module."): t.float() for name, t in stored["network_weights"].items()}
                net.load_state_dict(stored)
                weights[f"{folder.parent.name}/{fold.name}"] = digest(net)
            # `net` and `fold` are now those of the first fold.
            short = folder.parent.name.split("_")[0]
            if root == GOLDEN and short not in SCORED:
                continue
            with torch.inference_mode():
                logits = net.eval()(torch.from_numpy(patch(shape))[None])[0].numpy()
            sampled = np.ascontiguousarray(logits[:, 5::12, 5::12, 5::12], "<f4")
            (HERE / "scores" / f"{short}.f32").write_bytes(sampled.tobytes())
            labels = hashlib.sha256(logits.argmax(0).astype(np.uint8).tobytes()).hexdigest()
            scores[short] = {
                "folder": str(folder.relative_to(HERE.parent)),
                "fold": fold.name,
                "shape": list(sampled.shape),
                "largest": float(np.abs(logits).max()),
                "argmax_sha256": labels,
            }
    (HERE / "weights.json").write_text(json.dumps(weights, indent=1) + "\n")
    (HERE / "plans.json").write_text(json.dumps(read) + "\n")
    (HERE / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
