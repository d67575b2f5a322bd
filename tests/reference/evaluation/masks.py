"""Measures of masks by the field's own packages: writes `masks.json` beside this file.

    pip install nibabel numpy scipy scikit-learn surface-distance monai torch panoptica
    python masks.py FOLDER

FOLDER holds `TCGA-CV-5978_oncologist.nii.gz` and `TCGA-CV-5978_radiographer.nii.gz`: contours of two readers from
https://github.com/google-deepmind/tcia-ct-scan-dataset (Nikolov et al., CC BY 4.0), merged into label maps. Crops of
four of their structures are kept here under that licence; the other masks are made from a seed.
"""

import json
import sys
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

# surface-distance 0.1 uses names that NumPy and SciPy have since dropped.
np.Inf = np.inf
ndimage.filters = ndimage.morphology = ndimage

import surface_distance  # noqa: E402
import torch  # noqa: E402
from monai.metrics import compute_dice, compute_iou  # noqa: E402
from panoptica import ConnectedComponentsInstanceApproximator, InputType, NaiveThresholdMatching, Panoptica_Evaluator  # noqa: E402
from panoptica.metrics import Metric  # noqa: E402
from sklearn import metrics  # noqa: E402

STRUCTURES = {6: "lacrimal gland", 3: "cochlea", 13: "optic nerve", 16: "parotid gland"}
TOLERANCES = [1.0, 2.0, 3.0]


def runs(mask):
    """Lengths of runs in C order, the first of them outside."""
    flat = np.concatenate([[False], mask.ravel(), [not mask.ravel()[-1]]])
    return np.diff(np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1])])).tolist()


def lesions_by_overlap(truth, prediction):
    """True, false and missed lesions: one common voxel is enough."""
    corners = np.ones((3, 3, 3))
    of_truth, n_truth = ndimage.label(truth, corners)
    of_prediction, n_prediction = ndimage.label(prediction, corners)
    found = len(np.unique(of_truth[prediction & truth]))
    right = len(np.unique(of_prediction[prediction & truth]))
    return [found, n_prediction - right, n_truth - found]


def lesions_one_to_one(truth, prediction):
    """True, false and missed lesions by panoptica, pairs of IoU of at least 0.25."""
    evaluator = Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(),
        instance_matcher=NaiveThresholdMatching(matching_metric=Metric.IOU, matching_threshold=0.25),
    )
    result = evaluator.evaluate(prediction.astype(np.uint8), truth.astype(np.uint8), verbose=False)["ungrouped"]
    return [int(result.tp), int(result.fp), int(result.fn)]


def case(name, truth, prediction, spacing):
    """`spacing` along k, j, i."""
    flat = truth.ravel(), prediction.ravel()
    tensors = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, truth)]
    dice = metrics.f1_score(*flat)
    assert abs(compute_dice(*tensors).item() - dice) < 1e-6
    assert abs(compute_iou(*tensors).item() - metrics.jaccard_score(*flat)) < 1e-6
    surfaces = surface_distance.compute_surface_distances(truth, prediction, spacing)
    areas = surfaces["surfel_areas_gt"].sum(), surfaces["surfel_areas_pred"].sum()
    averages = surface_distance.compute_average_surface_distance(surfaces)
    return {
        "name": name,
        "shape": list(truth.shape),
        "spacing": list(spacing),
        "truth": runs(truth),
        "prediction": runs(prediction),
        "dice": dice,
        "iou": metrics.jaccard_score(*flat),
        "precision": metrics.precision_score(*flat),
        "recall": metrics.recall_score(*flat),
        "kappa": metrics.cohen_kappa_score(*flat),
        "hd95": surface_distance.compute_robust_hausdorff(surfaces, 95),
        "averages": list(averages),
        "assd": (averages[0] * areas[0] + averages[1] * areas[1]) / sum(areas),
        "surface_dice": [surface_distance.compute_surface_dice_at_tolerance(surfaces, mm) for mm in TOLERANCES],
        "any_overlap": lesions_by_overlap(truth, prediction),
        "one_to_one": lesions_one_to_one(truth, prediction),
    }


def readers(folder):
    images = [nibabel.load(folder / f"TCGA-CV-5978_{who}.nii.gz") for who in ("oncologist", "radiographer")]
    labels = [np.asanyarray(image.dataobj).transpose(2, 1, 0) for image in images]
    spacing = [float(mm) for mm in images[0].header.get_zooms()[:3]][::-1]
    for label, name in STRUCTURES.items():
        masks = [part == label for part in labels]
        box = ndimage.find_objects((masks[0] | masks[1]).astype(int))[0]
        yield case(f"{name}, two readers", masks[0][box], masks[1][box], spacing)


def blobs(seed, shape, share):
    """Lesions of many sizes: smoothed noise above a quantile."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.6)
    return smooth > np.quantile(smooth, 1 - share)


def made():
    shape = (14, 40, 44)
    truth = blobs(1, shape, 0.03)
    spacing = [5.2, 1.71875, 1.71875]
    yield case("moved by a voxel", truth, np.roll(truth, 1, 2), spacing)
    yield case("grown", truth, ndimage.binary_dilation(truth), spacing)
    yield case("shrunk", truth, ndimage.binary_erosion(truth), spacing)
    yield case("others", truth, blobs(2, shape, 0.04) | np.roll(truth, 2, 1), [0.7, 0.9, 3.3])
    noise = np.random.default_rng(3).random((2, 12, 13, 14)) < 0.5
    yield case("every cell there is", noise[0], noise[1], [1.1, 2.3, 0.6])


if __name__ == "__main__":
    cases = [*readers(Path(sys.argv[1])), *made()]
    text = "[\n" + ",\n".join(json.dumps(one) for one in cases) + "\n]\n"
    Path(__file__).with_name("masks.json").write_text(text)
