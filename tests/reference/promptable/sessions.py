"""What nnInteractive does with random prompts: `sessions.json`, which `sidecar/promptable/src/tests.rs` compares.

    pip install nnInteractive==2.6.0   # brings nnU-Net and PyTorch
    python sessions.py

Two things of the package are set otherwise, as Vesalius has them: places that it would draw at random are the first
ones left, and the margin of refinement patches, made for patches of 192 voxels, is 4 for these of 32.
"""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import torch
from nnInteractive.inference import inference_session as package
from nnInteractive.utils import bboxes

HERE = Path(__file__).parent
SIZES = [(64, 56, 48), (40, 90, 60), (30, 44, 120)]
PROMPTS = 11
KINDS = ["point", "point", "point", "box", "scribble", "lasso", "start"]
MARGIN = (4, 4, 4)


def first_left(mask, bbox_size=(192, 192, 192), margin=(10, 10, 10), n_samples=25):
    """Covers what is left of a mask, always from its first voxel."""
    half = [size // 2 for size in bbox_size]
    found = []
    while mask.any():
        center = torch.nonzero(mask)[0].tolist()
        box = [[c - h, c - h + size] for c, h, size in zip(center, half, bbox_size)]
        mask[tuple(slice(max(0, low + edge), high - edge) for (low, high), edge in zip(box, margin))] = 0
        found.append(box)
    return found


def ellipsoid(size, part):
    """The mask of `[center, radii]` along the array's axes; the same sums as in the test."""
    center, radii = part
    axes = np.meshgrid(*[np.arange(n, dtype=np.float64) for n in size], indexing="ij")
    squares = [((axis - c) / r) ** 2 for axis, c, r in zip(axes, center, radii)]
    return squares[0] + squares[1] + squares[2] < 1


def noise(count):
    """Whole numbers from -48 to 48, mostly small: the sum of four bytes of a hash."""
    n = np.arange(count, dtype=np.uint32) * np.uint32(2654435761)
    n ^= n >> np.uint32(15)
    n *= np.uint32(2246822519)
    n ^= n >> np.uint32(13)
    return sum(((n >> np.uint32(8 * byte)) & np.uint32(255)).astype(np.int64) for byte in range(4)) * 96 // 1020 - 48


def scene(random, size):
    """Ellipsoids, later ones over earlier ones, with noise; 0 at two rims."""
    image, parts = np.zeros(size, np.int64), []
    for _ in range(7):
        center = [int(random.integers(0, n)) for n in size]
        radii = [int(random.integers(5, 30)) for _ in size]
        value = int(random.integers(-500, 800))
        image[ellipsoid(size, (center, radii))] = value
        parts.append({"center": center, "radii": radii, "value": value})
    image += noise(image.size).reshape(size)
    image[:5] = 0
    image[:, :, -3:] = 0
    return image.astype(np.float32), parts


def step(random, size, parts):
    """A random prompt as the test reads it."""
    kind, inside = str(random.choice(KINDS)), bool(random.random() < 0.7)
    center = [int(random.integers(0, n)) for n in size]
    if kind == "start":
        return {"kind": kind, "ellipsoid": int(random.integers(len(parts)))}
    if kind == "point":
        return {"kind": kind, "inside": inside, "at": center}
    half = [int(random.integers(3, 16)) for _ in size]
    box = [[max(0, c - h), min(n, c + h)] for c, h, n in zip(center, half, size)]
    # One box in three is as thick as it is wide.
    if kind != "box" or random.random() < 0.67:
        axis = int(random.integers(3))
        box[axis] = [center[axis], center[axis] + 1]
    return {"kind": kind, "inside": inside, "box": box}


def drawn(box):
    """A filled diamond in a box of one slice."""
    size = [high - low for low, high in box]
    axes = np.meshgrid(*[np.arange(n) for n in size], indexing="ij")
    far = sum(np.abs(2 * axis + 1 - n) * 24 // n for axis, n in zip(axes, size))
    return (far <= 24).astype(np.uint8)


def apply(session, prompt, size, parts):
    """Gives a prompt to the package; the box that changed."""
    kind = prompt["kind"]
    if kind == "start":
        part = parts[prompt["ellipsoid"]]
        mask = ellipsoid(size, (part["center"], part["radii"])).astype(np.uint8)
        return session.add_initial_seg_interaction(mask, run_prediction=True)
    if kind == "point":
        return session.add_point_interaction(prompt["at"], prompt["inside"])
    if kind == "box":
        return session.add_bbox_interaction(prompt["box"], prompt["inside"])
    add = session.add_scribble_interaction if kind == "scribble" else session.add_lasso_interaction
    return add(drawn(prompt["box"]), prompt["inside"], interaction_bbox=prompt["box"])


def runs(mask):
    """Lengths of the runs outside, inside, outside, ... as LEB128 in hexadecimal digits."""
    flat = np.concatenate([[0], mask.ravel() != 0, [0]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat)).tolist()
    lengths = np.diff([0] + edges).tolist()
    data = bytearray()
    for length in lengths:
        while length >= 128:
            data.append(length & 127 | 128)
            length >>= 7
        data.append(length)
    return data.hex()


def watched(session):
    """Counts what the package does for one prompt."""
    seen = {"zoom": 1.0, "refined": 0, "forwards": 0}
    build, generate = session._build_network_input, bboxes.generate_bounding_boxes

    def noting_zoom(center, zoom):
        seen["zoom"] = float(zoom)
        return build(center, zoom)

    def noting_patches(mask, size, stride, margin, max_depth):
        found = generate(mask, size, stride=stride, margin=MARGIN, max_depth=max_depth)
        seen["refined"] = len(found)
        return found

    def noting_forward(*_):
        seen["forwards"] += 1

    session._build_network_input = noting_zoom
    package.generate_bounding_boxes = noting_patches
    session.network.register_forward_hook(noting_forward)
    return seen


def main():
    """Writes sessions.json."""
    bboxes.random_sampling_fallback = first_left
    images = []
    for n, size in enumerate(SIZES):
        random = np.random.default_rng(n)
        image, parts = scene(random, size)
        mask = np.zeros(size, np.uint8)
        with contextlib.redirect_stdout(io.StringIO()):
            session = package.nnInteractiveInferenceSession(device=torch.device("cpu"), torch_n_threads=1)
            session.initialize_from_trained_model_folder(str(HERE / "model"))
            session.set_image(image[None])
            session.set_target_buffer(mask)
        seen = watched(session)
        steps = []
        while len(steps) < PROMPTS:
            prompt = step(random, size, parts)
            seen.update(zoom=1.0, refined=0, forwards=0)
            with contextlib.redirect_stdout(io.StringIO()):
                changed = apply(session, prompt, size, parts)
            steps.append({**prompt, "changed": changed, **seen, "voxels": int(mask.sum()), "mask": runs(mask)})
        images.append({"size": size, "ellipsoids": parts, "steps": steps})
    lines = ",\n".join(json.dumps(image).replace('{"kind"', '\n{"kind"') for image in images)
    (HERE / "sessions.json").write_text(f"[{lines}]\n")


if __name__ == "__main__":
    main()
