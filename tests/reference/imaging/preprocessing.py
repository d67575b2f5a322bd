"""A piece of a real CT before and after nnU-Net's own preprocessing, from recorded runs of it.

Run: python preprocessing.py FOLDER-OF-RECORDED-RUNS FOLDER-OF-MODELS
Writes preprocessing.json and preprocessing.i16 (24 x 32 x 35 voxels z, y, x, little-endian).
Each recorded run (`nn_*.npz`) holds the raw piece, its spacing, and what nnU-Net 2.8.1's preprocessor made of it.
"""

import json
import pathlib
import sys

import numpy as np

from bits import fingerprint

runs, models = map(pathlib.Path, sys.argv[1:])
CASES = [("nn_aniso_2folds", "Dataset315"), ("nn_iso", "Dataset260"), ("nn_iso_anisoinput", "Dataset260")]
results = []
for name, dataset in CASES:
    run = np.load(runs / f"{name}.npz")
    plans = json.loads(next(models.glob(f"{dataset}_*/*/plans.json")).read_text())
    intensities = plans["foreground_intensity_properties_per_channel"]["0"]
    raw, after = run["raw"][0], run["pre"][0]
    if name == "nn_iso":
        raw.astype("<i2").tofile("preprocessing.i16")
    results.append({
        "name": name, "shape": raw.shape, "after": after.shape, "spacing": run["spacing"].tolist(),
        "plan_spacing": plans["configurations"]["3d_fullres"]["spacing"],
        "lower": intensities["percentile_00_5"], "upper": intensities["percentile_99_5"],
        "mean": intensities["mean"], "deviation": intensities["std"], "fingerprint": fingerprint(after),
    })
pathlib.Path("preprocessing.json").write_text(json.dumps(results, separators=(",", ":")).replace("},{", "},\n{") + "\n")
