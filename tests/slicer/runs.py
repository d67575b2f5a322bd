"""A segmentation of a small CT through the client, and whether it left anything behind."""

from __future__ import annotations

import time

import numpy as np
from VesaliusLib.vesalius import Image, Steps
from volumes import GEOMETRIES, small_ct

TASK = {"task": "total", "speed": "fastest"}


def header(shape, dtype="int16", matrix=GEOMETRIES["straight"]):
    k, j, i = shape
    return {"dims": [i, j, k], "dtype": dtype, "space": "RAS", "ijk_to_world": list(map(float, np.ravel(matrix)))}


class Run:
    """A segmentation of a small CT, and what came of it."""

    def __init__(self, client, voxels=None, **more):
        voxels = small_ct() if voxels is None else voxels
        self.room = bytearray(voxels.size)
        self.told = []
        request = more.pop("request", TASK)
        image = Image(header(voxels.shape), memoryview(voxels), **more)
        work = client.segment(image, request, self._labels)
        self.steps = Steps(work)

    def _labels(self, table):
        return memoryview(self.room)

    def finish(self):
        self.steps.finish(self.told.append, timeout=120)
        return bytes(self.room)

    @property
    def states(self):
        return {progress.state for progress in self.told}


def unfinished(client):
    return [job for job in Steps(client.jobs()).finish() if job["state"] in ("queued", "running")]


def is_clean(engine, client, within=10.0):
    """Whether neither job nor voxels are left behind."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if not engine.spooled() and not unfinished(client):
            return True
        time.sleep(0.02)
    return False
