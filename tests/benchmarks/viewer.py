"""How long a volume of 512 x 512 x 600 takes through 3D Slicer's side, and how long one tick of its timer holds it.

    target/slicer-5.12.4.0/bin/python tests/benchmarks/viewer.py

Needs what `tests/slicer/run` installs, and the program (VESALIUS, or target/release). The networks are the small ones
of the tests: only what happens around them is measured.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "slicer"), str(ROOT / "slicer-extension" / "Vesalius")]

import engine as engines  # noqa: E402
import headless  # noqa: E402

SHAPE = (600, 512, 512)
MATRIX = np.diag([-0.8, -0.8, 1.0, 1.0])
STRUCTURES = 41


def drive(name: str, work, pauses: bool = True):
    """Runs work as a timer does, and prints what it took; `pauses`: wait between ticks as the timer would."""
    from VesaliusLib.vesalius import Steps

    steps, ticks = Steps(work), []
    # Of this thread: on a busy computer the clock also counts what others do.
    used_ticks = []
    began, cpu, sent = time.perf_counter(), time.process_time(), 0.0
    while True:
        tick, used = time.perf_counter(), time.thread_time()
        done = steps.advance()
        ticks.append(time.perf_counter() - tick)
        used_ticks.append(time.thread_time() - used)
        if steps.progress and steps.progress.state == "uploading":
            sent = time.perf_counter() - began
        if done:
            break
        if pauses:
            time.sleep(steps.pause)
    ticks.sort()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    upload = f", upload {sent:.2f} s" if sent else ""
    print(
        f"{name}: {seconds:.2f} s, {used:.2f} s of CPU{upload}; {len(ticks)} ticks, "
        f"99 % under {1e3 * ticks[int(0.99 * len(ticks))]:.0f} ms, longest {1e3 * ticks[-1]:.0f} ms, of CPU {1e3 * max(used_ticks):.0f} ms",
        flush=True,
    )
    return steps.result


def body() -> np.ndarray:
    """Labels of as many ellipsoids as a CT of the trunk has structures, a third of the voxels."""
    random, labels = np.random.default_rng(7), np.zeros(SHAPE, np.uint8)
    for value in range(1, STRUCTURES + 1):
        radii = random.integers(20, 90, 3)
        centre = [random.integers(r, n - r) for r, n in zip(radii, SHAPE)]
        box = tuple(slice(c - r, c + r) for c, r in zip(centre, radii))
        grid = np.ogrid[tuple(slice(-r, r) for r in radii)]
        labels[box][sum((g / r) ** 2 for g, r in zip(grid, radii)) <= 1.0] = value
    return labels


def main() -> None:
    """Prints a line for each part."""
    scene = headless.start()
    import slicer.util
    from VesaliusLib import scene as images
    from VesaliusLib import segments, surfaces
    from VesaliusLib.vesalius import Client

    voxels = np.random.default_rng(1).integers(-1000, 1500, SHAPE, dtype=np.int16)
    volume = slicer.util.addVolumeFromArray(voxels, MATRIX, "CT")
    del voxels
    began = time.perf_counter()
    image = images.read_image(volume)
    print(f"taking the volume: {1e3 * (time.perf_counter() - began):.2f} ms, {image.voxels.nbytes >> 20} MiB")
    began = time.perf_counter()
    images.guess(volume)
    print(f"guessing its modality: {1e3 * (time.perf_counter() - began):.1f} ms")

    labels = {}

    def room(table):
        labels["image"], view = segments.label_image(volume)
        return view

    with tempfile.TemporaryDirectory() as folder:
        engines.import_small_networks(Path(folder))
        engine = engines.Engine(Path(folder))
        try:
            client = Client.find(folder)
            request = {"task": "total", "speed": "fastest"}
            result = drive("sending, segmenting, receiving", client.segment(image, request, room))
            table = result.table
            drive("receiving 150 MiB of labels", client.labels(result.job, room(table)))
        finally:
            engine.stop()

    rows = [{**row, "voxels": 1} for row in table["segments"] if row["value"] <= STRUCTURES]
    target, view = segments.label_image(volume)
    view[:] = body().tobytes()
    node = segments.new_segmentation(volume)
    put = segments.put(volume, node, target, {**table, "segments": rows})
    drive(f"{STRUCTURES} structures into the scene", put, pauses=False)
    target, view = segments.label_image(volume)
    view[:] = body().tobytes()
    put = segments.put(volume, node, target, {**table, "segments": rows})
    drive("the same again, looking for edits", put, pauses=False)
    drive("their surfaces", surfaces.show(node), pauses=False)
    whole = slicer.vtkSegmentation()
    whole.DeepCopy(node.GetSegmentation())
    whole.RemoveRepresentation(surfaces.SURFACE)
    began, cpu = time.perf_counter(), time.process_time()
    whole.CreateRepresentation(surfaces.SURFACE)
    print(f"by Slicer itself: {time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s of CPU, in one go")
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
    scene.Clear(False)


if __name__ == "__main__":
    main()
