"""Mean and standard deviation of f32 noise by NumPy, as the bits of the numbers, for `imaging::moments`.

Run: python pairwise.py > pairwise.json
"""

import json

import numpy as np

from bits import noise

CASES = [
    ((6, 7, 9), None),
    ((1, 5, 3), None),
    ((40, 50, 60), None),
    ((30, 40, 50), ((2, 25), (3, 33), (4, 47))),
    ((20, 60, 70), ((1, 19), (3, 57), (4, 70))),
    ((20, 60, 70), ((0, 20), (3, 57), (0, 70))),
    ((20, 60, 70), ((3, 20), (0, 60), (0, 70))),
    ((8, 6, 9000), ((1, 7), (1, 5), (3, 8800))),
    ((50, 10, 12), ((1, 49), (1, 9), (1, 11))),
    ((90, 9, 100), ((0, 90), (0, 9), (7, 93))),
]

bits = lambda number: int(np.float32(number).view(np.uint32))
results = []
for seed, (shape, crop) in enumerate(CASES):
    values = noise(shape, seed, 4096, 100).astype(np.float32) * np.float32(0.37)
    crop = crop or [(0, n) for n in shape]
    part = values[tuple(slice(*c) for c in crop)]
    picked = part[part > 0]
    results.append({
        "seed": seed, "shape": shape, "crop": crop, "mean": bits(part.mean()), "deviation": bits(part.std()),
        "picked_mean": bits(picked.mean()), "picked_deviation": bits(picked.std()),
    })
print(json.dumps(results, separators=(",", ":")).replace("},{", "},\n{"))
