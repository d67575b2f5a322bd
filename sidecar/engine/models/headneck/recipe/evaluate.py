"""Dice of the trained model on the 16 cases that it never saw, by nnU-Net and by Vesalius, and of one against the other.

    python evaluate.py DATA WORK VESALIUS    # VESALIUS: the program, built with the model of WORK

Prints one table. "Imported" is the checkpoint of WORK as `vesalius models import` reads it, nothing cleaned up: what
nnU-Net predicts. "Built in" is the task `headneck`, which keeps the largest piece of each organ.
nnU-Net's predictions are kept in WORK/validation and not made again.
"""

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


def predict_with_vesalius(program, task, output):
    output.mkdir(parents=True, exist_ok=True)
    for case in cases():
        subprocess.run(
            [program, "segment", "-i", DATA / "validation" / f"{case}_ct.nii.gz", "-o", output / f"{case}.nii.gz", "--ml",
             "--task", task, "--precision", "fp32", "--quiet"],
            check=True, stdout=subprocess.DEVNULL,
        )


def scores(first, second):
    return numpy.array([[dice(first(case), second(case), value) for value in range(1, 6)] for case in cases()])


if __name__ == "__main__":
    folder = WORK / "validation"
    (folder / "nnunet").mkdir(parents=True, exist_ok=True)
    predict_with_nnunet(folder / "nnunet")

    def result(name):
        return lambda case: labels(folder / name / f"{case}.nii.gz")

    rows = {"nnU-Net against the contours": scores(truth, result("nnunet"))}
    if len(sys.argv) > 3:
        program = sys.argv[3]
        model = WORK / "results" / DATASET / "HeadNeckTrainer__nnUNetPlans__3d_fullres"
        subprocess.run([program, "models", "import", model, "--name", "headneck_imported"], check=True, stdout=subprocess.DEVNULL)
        predict_with_vesalius(program, "headneck_imported", folder / "imported")
        predict_with_vesalius(program, "headneck", folder / "built_in")
        rows["imported against the contours"] = scores(truth, result("imported"))
        rows["built in against the contours"] = scores(truth, result("built_in"))
        rows["imported against nnU-Net"] = scores(result("nnunet"), result("imported"))
    print(f"{'mean Dice, ' + str(len(cases())) + ' cases':32s}" + "".join(f"{name:>21s}" for name in NAMES) + f"{'mean':>9s}")
    for title, values in rows.items():
        print(f"{title:32s}" + "".join(f"{value:21.4f}" for value in values.mean(axis=0)) + f"{values.mean():9.4f}")
    if "imported against nnU-Net" in rows:
        print(f"lowest Dice of one case and organ, imported against nnU-Net: {rows['imported against nnU-Net'].min():.5f}")
