"""Statistics of noise by TotalSegmentator's own function, for `imaging::statistics`.

Run: python label_statistics.py > statistics.json
"""

import json

import nibabel
import numpy as np

from bits import noise
from totalsegmentator import statistics as upstream

CASES = [
    ((12, 13, 15), (1.5, 1.5, 1.5), "mean", False),
    ((12, 13, 15), (0.7, 0.9, 2.5), "median", False),
    ((9, 10, 11), (0.703125, 0.703125, 1.0), "mean", True),
    ((20, 8, 9), (3.0, 3.0, 3.3), "median", True),
]
upstream.class_map["test"] = {1: "1", 2: "2", 3: "3", 4: "4", 5: "5"}

results = []
for seed, (shape, spacing, average, include) in enumerate(CASES):
    seed *= 10
    values = noise(shape, seed, 4096, 1024)
    classes = noise(shape, seed + 1, 40, 0)
    edge = np.ones(shape, bool)
    edge[3:-3, 3:-3, 3:-3] = False
    labels = np.where((classes < 5) & ~(edge & (classes < 4)), classes, 0).astype(np.uint8)
    image = nibabel.Nifti1Image(values, np.diag([*spacing, 1.0]))
    result = upstream.get_basic_statistics(
        labels, image, quiet=True, task="test", exclude_masks_at_border=not include, metric=average, extra_metrics=True
    )
    results.append({
        "seed": seed, "shape": shape, "spacing": spacing, "average": average, "include": include, "statistics": result,
    })
print(json.dumps(results, separators=(",", ":")).replace("},{", "},\n{"))
