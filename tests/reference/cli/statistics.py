"""Volume, mean, median, deviation, lowest and highest intensity of one structure, as TotalSegmentator computes them.

Run with NumPy: `python statistics.py > statistics.in`; the image is that of `imaging::statistics`'s test.
"""

import numpy as np

k, j, i = np.mgrid[0:8, 0:9, 0:10]
intensity = (((37 * i + 101 * j + 53 * k) % 211) - 100.25).astype(np.float32)
inside = (i >= 3) & (i <= 6) & (j >= 3) & (j <= 5) & (k >= 3) & (k <= 4)
ct = intensity.astype(np.float64).astype(np.int16)
zooms = np.array([0.7, 0.9, 2.5], np.float32)
voxel = zooms[0] * zooms[1] * zooms[2]
values = ct[inside]
numbers = [
    inside.sum() * voxel,
    np.average(ct, weights=inside.astype(np.uint8)),
    np.median(values),
    np.std(values),
    float(values.min()),
    float(values.max()),
]
print([float(number) for number in numbers])
