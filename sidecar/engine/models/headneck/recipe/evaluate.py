"""Dice of the trained model on the 16 cases that it never saw, by nnU-Net and by Vesalius, and of one against the other.

    python evaluate.py DATA WORK VESALIUS    # VESALIUS: the program; its built-in model must be the one of WORK

Prints one table; nnU-Net's predictions are kept in WORK/validation and not made again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy

from prepare import DATASET, LABELS

DATA, WORK = Path(sys.argv[1]), Path(sys.argv[2])
NAMES = [name for name, _ in LABELS.values()]


def cases():
    return sorted(path.name.removesuffix("_ct.nii.gz") for path in (DATA / "validation").glob("*_ct.nii.gz"))


def labels(path):
    return numpy.asarray(nibabel.load(path).dataobj).astype(numpy.uint8)


def truth(case):
    contours = labels(DATA / "validation" / f"{case}_oar.nii.gz")
    values = numpy.zeros_like(contours)
    for source, (_, value) in LABELS.items():
        values[contours == source] = value
    return values


def dice(a, b, value):
    a, b = a == value, b == value
    return 2.0 * (a & b).sum() / max(1, a.sum() + b.sum())


def predict_with_nnunet(output):
    """Predicts every case that is not there yet."""
    os.environ.setdefault("nnUNet_extTrainer", str(Path(__file__).parent))
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    inputs = [[str(DATA / "validation" / f"{case}_ct.nii.gz")] for case in cases()]
    outputs = [str(output / case) for case in cases()]  # nnU-Net adds the ending
    missing = [(i, o) for i, o in zip(inputs, outputs) if not Path(f"{o}.nii.gz").exists()]
    if not missing:
        return
    predictor = nnUNetPredictor(tile_step_size=0.5, use_gaussian=True, use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    folder = WORK / "results" / DATASET / "HeadNeckTrainer__nnUNetPlans__3d_fullres"
    predictor.initialize_from_trained_model_folder(str(folder), use_folds=("all",))
    predictor.predict_from_files_sequential([i for i, _ in missing], [o for _, o in missing], save_probabilities=False, overwrite=True)


def predict_with_vesalius(program, output):
    for case in cases():
        subprocess.run(
            [program, "segment", "-i", DATA / "validation" / f"{case}_ct.nii.gz", "-o", output / f"{case}.nii.gz", "--ml",
             "--task", "headneck", "--precision", "fp32", "--quiet"],
            check=True, stdout=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    nnunet, vesalius = WORK / "validation" / "nnunet", WORK / "validation" / "vesalius"
    nnunet.mkdir(parents=True, exist_ok=True)
    vesalius.mkdir(parents=True, exist_ok=True)
    predict_with_nnunet(nnunet)
    if len(sys.argv) > 3:
        predict_with_vesalius(sys.argv[3], vesalius)
    rows = {"nnU-Net against the contours": [], "Vesalius against the contours": [], "Vesalius against nnU-Net": []}
    for case in cases():
        drawn, theirs = truth(case), labels(nnunet / f"{case}.nii.gz")
        rows["nnU-Net against the contours"].append([dice(drawn, theirs, v) for v in range(1, 6)])
        if (vesalius / f"{case}.nii.gz").exists():
            ours = labels(vesalius / f"{case}.nii.gz")
            rows["Vesalius against the contours"].append([dice(drawn, ours, v) for v in range(1, 6)])
            rows["Vesalius against nnU-Net"].append([dice(theirs, ours, v) for v in range(1, 6)])
    print(f"{'mean Dice, ' + str(len(cases())) + ' cases':32s}" + "".join(f"{name:>21s}" for name in NAMES) + f"{'mean':>9s}")
    for title, values in rows.items():
        if values:
            mean = numpy.mean(values, axis=0)
            print(f"{title:32s}" + "".join(f"{value:21.4f}" for value in mean) + f"{mean.mean():9.4f}")
    same = rows["Vesalius against nnU-Net"]
    if same:
        print(f"lowest Dice of one case and organ, Vesalius against nnU-Net: {numpy.min(same):.5f}")
    print(json.dumps({title: numpy.mean(values, axis=0).round(4).tolist() for title, values in rows.items() if values}))
