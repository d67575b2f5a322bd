"""Trains the small promptable network in `model/`: nnInteractive's folder layout, weights of our own, data made here.

    pip install nnInteractive   # brings nnU-Net and PyTorch
    python train.py 540         # seconds; writes model/, going on from the weights that lie there

The network learns to segment the ellipsoid that a prompt points at, among others of other brightness, in patches of
32 x 32 x 32 voxels. It is good for nothing else.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from nnInteractive.interaction.point import build_point
from nnInteractive.trainer.nnInteractiveTrainer import nnInteractiveTrainer_stub
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

PATCH = 32
CONFIGURATION = "3d_fullres_ps32"
MODEL = Path(__file__).parent / "model"
INTERACTIONS = {
    "inference_class": "nnInteractiveInferenceSession",
    "point_radius": 4,
    "preferred_scribble_thickness": [2, 2, 2],
    "interaction_decay": 0.9,
    "pad_mode_image": "constant",
    "supported_interactions": {"scribble": True, "lasso": True, "points": True, "bbox2d": True, "bbox3d": True},
    "interaction_channels": 6,
    "channel_mapping": {"prev_seg": 0, "bbox2d": [1, 2], "bbox3d": [1, 2], "lasso": [1, 2], "points": [3, 4],
                        "scribble": [-2, -1]},
}
ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
    "arch_kwargs": {
        "n_stages": 3, "features_per_stage": [8, 16, 24], "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3]] * 3, "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "n_blocks_per_stage": [1, 1, 2], "n_conv_per_stage_decoder": [1, 1], "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None, "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
PLANS = {
    "dataset_name": "Dataset999_Ellipsoids", "plans_name": "nnUNetResEncUNetLPlans",
    "original_median_spacing_after_transp": [1, 1, 1], "original_median_shape_after_transp": [64, 64, 64],
    "image_reader_writer": "SimpleITKIO", "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
    "experiment_planner_used": "none", "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {"0": {
        "max": 1, "mean": 0, "median": 0, "min": 0, "percentile_00_5": 0, "percentile_99_5": 1, "std": 1}},
    "configurations": {CONFIGURATION: {
        "data_identifier": "none", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": [PATCH] * 3, "median_image_size_in_voxels": [64, 64, 64], "spacing": [1, 1, 1],
        "normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_data_kwargs": {},
        "resampling_fn_seg": "resample_data_or_seg_to_shape", "resampling_fn_seg_kwargs": {},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape", "resampling_fn_probabilities_kwargs": {},
        "architecture": ARCHITECTURE, "batch_dice": False}},
}
DATASET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "object": 1}, "numTraining": 1,
           "file_ending": ".nii.gz"}
BALL = build_point((4, 4, 4), True, False).float().numpy()
GRID = np.stack(np.meshgrid(*[np.arange(PATCH)] * 3, indexing="ij"), -1).astype(np.float32)


def scene(random):
    """An image of ellipsoids and the mask of each, as seen without the ones before it."""
    image, masks = np.zeros((PATCH,) * 3, np.float32), []
    for _ in range(random.integers(2, 6)):
        center, radii = random.uniform(-6, PATCH + 6, 3), random.uniform(3, 22, 3)
        mask = (((GRID - center) / radii) ** 2).sum(-1) < 1
        image[mask] = random.uniform(-2, 2)
        masks = [before & ~mask for before in masks] + [mask]
    image += random.normal(0, 0.1, image.shape)
    return (image - image.mean()) / (image.std() + 1e-6), [mask for mask in masks if mask.sum() > 60]


def put_point(channel, center, strength):
    """The largest of what is there and a point, as the package places one."""
    low, high = [max(0, c - 4) for c in center], [min(PATCH, c + 5) for c in center]
    part = tuple(slice(a, b) for a, b in zip(low, high))
    ball = BALL[tuple(slice(a - (c - 4), 9 - (c + 5 - b)) for a, b, c in zip(low, high, center))]
    np.maximum(channel[part], ball * strength, out=channel[part])


def plane_of(mask, center, axis):
    """The mask in one plane through a voxel of it."""
    plane = np.zeros_like(mask)
    part = [slice(None)] * 3
    part[axis] = center[axis]
    plane[tuple(part)] = mask[tuple(part)]
    return plane


def sample(random):
    """The network's input and the object that its prompts mean."""
    image, masks = scene(random)
    if not masks:
        return sample(random)
    mask = masks[random.integers(len(masks))]
    x = np.zeros((8, PATCH, PATCH, PATCH), np.float32)
    x[0] = image
    inside, outside = np.argwhere(mask), np.argwhere(~mask)
    center = inside[random.integers(len(inside))]
    kind, axis = random.integers(5), random.integers(3)
    if kind < 2:
        put_point(x[4], center, 1)
    elif kind == 2:
        x[6][plane_of(mask, center, axis) & (GRID[..., (axis + 1) % 3] == center[(axis + 1) % 3])] = 1
    else:
        plane = plane_of(mask, center, axis)
        if kind == 3:
            found = np.argwhere(plane)
            part = tuple(slice(a, b + 1) for a, b in zip(found.min(0), found.max(0)))
            plane = np.zeros_like(plane)
            plane[part] = True
        x[2][plane] = 1
    if random.random() < 0.4 and len(outside):
        put_point(x[5], outside[random.integers(len(outside))], random.uniform(0.5, 1))
    if random.random() < 0.5:
        x[1] = mask & (GRID[..., random.integers(3)] < random.integers(4, PATCH))
    return x, mask


def main(seconds):
    """Trains for so many seconds and writes the folder."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    random = np.random.default_rng()
    plans = PlansManager(PLANS)
    network = nnInteractiveTrainer_stub.build_network_architecture(
        plans, plans.get_configuration(CONFIGURATION), 8, 2, enable_deep_supervision=False)
    weights = MODEL / "fold_0/checkpoint_final.pth"
    if weights.exists():
        network.load_state_dict(torch.load(weights)["network_weights"])
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    begun = time.time()
    step = 0
    while (spent := time.time() - begun) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - spent / seconds) ** 0.9
        x, y = zip(*[sample(random) for _ in range(2)])
        x, y = torch.tensor(np.stack(x)), torch.tensor(np.stack(y)).long()
        scores = network(x)
        entropy = torch.nn.functional.cross_entropy(scores, y)
        share = scores.softmax(1)[:, 1]
        dice = (2 * (share * y).sum() + 1) / (share.sum() + y.sum() + 1)
        optimizer.zero_grad()
        (entropy + 1 - dice).backward()
        optimizer.step()
        step += 1
        if step % 50 == 0:
            sys.stderr.write(f"{step} {spent:.0f} s: cross entropy {float(entropy):.3f}, Dice {float(dice):.3f}\n")
    weights.parent.mkdir(parents=True, exist_ok=True)
    for name, content in [("plans", PLANS), ("dataset", DATASET), ("inference_info", INTERACTIONS)]:
        (MODEL / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    (MODEL / "LICENSE").write_text("Apache-2.0\n\nTrained by train.py on images that it made.\n")
    torch.save({"trainer_name": "nnInteractiveTrainer_stub", "init_args": {"configuration": CONFIGURATION},
                "network_weights": network.eval().state_dict()}, weights)


if __name__ == "__main__":
    main(float(sys.argv[1]))
