"""Lay the OpenKBP head-and-neck cases out as an nnU-Net raw dataset and write the reduced plan.

    python prepare.py DATA     # DATA holds train/ and validation/ with pt_*_ct.nii.gz and pt_*_oar.nii.gz

Only the 99 training cases enter the dataset; the 16 validation cases are never seen by the training.
`nnUNet_raw` and `nnUNet_preprocessed` must be set, as for nnU-Net itself.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy

DATASET = "Dataset501_HeadNeck"
# OpenKBP's label -> ours. Oesophagus (5) and larynx (6) are missing in most cases, so they stay background.
LABELS = {1: ("brainstem", 1), 2: ("spinal_cord", 2), 3: ("parotid_gland_right", 3), 4: ("parotid_gland_left", 4), 7: ("mandible", 5)}


def write_raw(data: Path) -> None:
    raw = Path(os.environ["nnUNet_raw"]) / DATASET
    (raw / "imagesTr").mkdir(parents=True, exist_ok=True)
    (raw / "labelsTr").mkdir(exist_ok=True)
    cases = sorted(path.name.removesuffix("_ct.nii.gz") for path in (data / "train").glob("*_ct.nii.gz"))
    for case in cases:
        image = nibabel.load(data / "train" / f"{case}_ct.nii.gz")
        nibabel.save(image, raw / "imagesTr" / f"{case}_0000.nii.gz")
        contours = nibabel.load(data / "train" / f"{case}_oar.nii.gz")
        labels = numpy.zeros(contours.shape, numpy.uint8)
        for source, (_, value) in LABELS.items():
            labels[numpy.asarray(contours.dataobj) == source] = value
        nibabel.save(nibabel.Nifti1Image(labels, image.affine), raw / "labelsTr" / f"{case}.nii.gz")
    dataset = {
        "name": "head-and-neck organs at risk",
        "reference": "OpenKBP, ababier/open-kbp, MIT licence",
        "channel_names": {"0": "CT"},
        "labels": {"background": 0} | {name: value for name, value in LABELS.values()},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
    }
    (raw / "dataset.json").write_text(json.dumps(dataset, indent=2))


def reduce_plan() -> None:
    """Shrink nnU-Net's own plan to what two processor cores can train in two hours, and 8 MiB can hold."""
    path = Path(os.environ["nnUNet_preprocessed"]) / DATASET / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    configuration = plans["configurations"]["3d_fullres"]
    configuration["patch_size"] = [64, 64, 64]
    configuration["batch_size"] = 2
    network = configuration["architecture"]["arch_kwargs"]
    network.update(
        n_stages=5,
        features_per_stage=[16, 32, 64, 128, 128],
        kernel_sizes=[[3, 3, 3]] * 5,
        strides=[[1, 1, 1]] + [[2, 2, 2]] * 4,
        n_conv_per_stage=[1, 2, 2, 2, 2],
        n_conv_per_stage_decoder=[2, 2, 2, 1],
    )
    path.write_text(json.dumps(plans, indent=2))


if __name__ == "__main__":
    write_raw(Path(sys.argv[1]))
    subprocess.run(
        ["nnUNetv2_plan_and_preprocess", "-d", "501", "-c", "3d_fullres", "-npfp", "2", "-np", "2", "--clean"], check=True
    )
    reduce_plan()
