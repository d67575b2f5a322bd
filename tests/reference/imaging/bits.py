"""Noise and fingerprints that the Rust tests make in the same way, so that fixtures stay small and compare bits.

A fingerprint is FNV-1a over the 64-bit patterns of the values (f32 and integers widened to f64), in C order, with
the high half folded onto the low one at each step, so that every bit counts.
"""

import numpy as np


def noise(shape, seed, scale=4096, offset=1024):
    """C-order numbers n/8 - offset, n from a linear congruential generator: exact in f32; axis order as given."""
    state, values = seed, []
    for _ in range(int(np.prod(shape))):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values.append(((state >> 33) % (scale * 8)) / 8 - offset)
    return np.array(values).reshape(shape)


def fingerprint(values):
    bits = np.ascontiguousarray(values, dtype=np.float64).ravel().view(np.uint64)
    state = 0xCBF29CE484222325
    for word in bits.tolist():
        state = ((state ^ word) * 0x100000001B3) % 2**64
        state ^= state >> 32
    return f"{state:016x}"
