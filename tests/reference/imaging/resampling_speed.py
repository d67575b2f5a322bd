"""SciPy's time for what `cargo run --release -p imaging --example resampling_speed` measures (one thread)."""

import time

import numpy as np
from scipy import ndimage

volume = (np.random.default_rng(1).integers(0, 2048, (512, 512, 275)) - 1024).astype(np.float64)
for spacing in (3.0, 1.5):
    zoom = np.array([0.78, 0.78, 1.0]) / spacing
    for order in (1, 3):
        clock, processor = time.perf_counter(), time.process_time()
        resampled = ndimage.zoom(volume, zoom, mode="nearest", order=order).astype(np.int32)
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        print(f"zoom to {spacing} mm, order {order}   {clock:7.2f} s   processor {processor:7.2f} s", flush=True)
        if order == 1:
            labels = resampled.astype(np.uint8)
            clock, processor = time.perf_counter(), time.process_time()
            ndimage.zoom(labels, np.array(volume.shape) / labels.shape, mode="nearest", order=0)
            clock, processor = time.perf_counter() - clock, time.process_time() - processor
            print(f"labels back            {clock:7.2f} s   processor {processor:7.2f} s", flush=True)
