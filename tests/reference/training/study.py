"""A small stroke study to train on: phantom heads with and without strokes, and real cases where you have them.

    python study.py OUT                                                # phantoms only
    python study.py OUT --strokes FOLDER --normals FOLDER              # and real cases, which are linked, not copied
    python study.py OUT --strokes FOLDER --test 0001                   # this real donor is tested on, the other trains
    python study.py OUT --normals FOLDER --grid 128 128 40 --rate      # real cases on one grid, to measure the rate

OUT/study.csv is the manifest that `vesalius dataset`, `synth` and `experiment` read. FOLDER of strokes: one folder per
case with `*_dwi.nii.gz`, `*_adc.nii.gz` and `*_msk.nii.gz`, as ISLES'22 has them; of normals: `NAME_dwi.nii.gz` and
`NAME_adc.nii.gz`. Phantoms are ellipsoids with ventricles, texture and noise; their strokes are unions of balls with
a raised signal and a lowered ADC, and a bright rim without a lowered ADC that must not be taken for one. The same OUT
always holds the same bytes.
"""

import argparse
import csv
from pathlib import Path

import nibabel
import numpy
from scipy import ndimage

SIZE, SPACING = (56, 64, 40), 3.0


def smooth(random, sigma):
    field = ndimage.gaussian_filter(random.standard_normal(SIZE), sigma)
    return field / field.std()


def head(seed):
    """A head without a stroke: trace image, ADC in 1e-6 mm2/s, brain."""
    random = numpy.random.default_rng(seed)
    grid = numpy.stack(numpy.meshgrid(*[numpy.arange(n) - n / 2 + 0.5 for n in SIZE], indexing="ij"))
    radii = numpy.array([23.0, 28.0, 17.0]) * random.uniform(0.9, 1.05, 3)
    middle = random.uniform(-1.5, 1.5, 3)
    shift = (grid - middle[:, None, None, None]) / radii[:, None, None, None]
    radius = numpy.sqrt((shift**2).sum(0)) + 0.03 * smooth(random, 5)
    brain = radius < 1
    ventricle = brain & (((numpy.abs(shift[0]) - 0.17) / 0.1) ** 2 + (shift[1] / 0.45) ** 2 + (shift[2] / 0.35) ** 2 < 1)
    dwi = numpy.where(brain, 260 + 30 * smooth(random, 2) + 15 * smooth(random, 6), 0)
    adc = numpy.where(brain, 850 + 70 * smooth(random, 2), 0)
    dwi[ventricle], adc[ventricle] = 70, 2900
    # Shine-through near the base: bright, and ADC as in healthy brain.
    for side in (-1, 1):
        spot = ((shift[0] - 0.45 * side) ** 2 + (shift[1] - 0.1) ** 2 + (shift[2] + 0.72) ** 2) < 0.012
        dwi[spot & brain] *= random.uniform(1.3, 1.8)
    return random, dwi, adc, brain & ~ventricle, radius


def stroke(random, dwi, adc, brain, radius):
    """Puts a stroke in; returns its mask."""
    inside = numpy.argwhere(brain & (radius < 0.85))
    centre = inside[random.integers(len(inside))]
    size = random.uniform(2.0, 5.5)
    share = numpy.zeros(SIZE)
    axes = numpy.stack(numpy.meshgrid(*[numpy.arange(n) for n in SIZE], indexing="ij"))
    for _ in range(random.integers(1, 6)):
        at = centre + random.normal(0, size * 0.7, 3)
        distance = numpy.sqrt(((axes - at[:, None, None, None]) ** 2).sum(0))
        share = numpy.maximum(share, numpy.clip(size * random.uniform(0.5, 1.0) - distance + 0.5, 0, 1))
    share *= brain
    dwi *= 1 + share * random.uniform(0.4, 1.2) * (1 + 0.15 * smooth(random, 1.5))
    adc *= 1 - share * random.uniform(0.3, 0.5)
    return share >= 0.5


def noisy(random, dwi, sigma=12):
    """Rician noise."""
    return numpy.hypot(dwi + random.normal(0, sigma, SIZE), random.normal(0, sigma, SIZE))


def save(path, voxels, kind=numpy.int16):
    affine = numpy.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = -numpy.array(SIZE) * SPACING / 2
    nibabel.save(nibabel.Nifti1Image(numpy.rint(voxels).astype(kind), affine), path)


def phantom(folder, name, seed, with_stroke):
    random, dwi, adc, brain, radius = head(seed)
    mask = stroke(random, dwi, adc, brain, radius) if with_stroke else None
    row = {"dwi": f"{name}_dwi.nii.gz", "adc": f"{name}_adc.nii.gz"}
    save(folder / row["dwi"], noisy(random, dwi))
    save(folder / row["adc"], numpy.clip(adc + random.normal(0, 25, SIZE) * (adc > 0), 0, 3500))
    if with_stroke:
        row["mask"] = f"{name}_mask.nii.gz"
        save(folder / row["mask"], mask, numpy.uint8)
    return row


def on_grid(source, target, size, order=1):
    """The image at `source` on a grid of `size` voxels over the same field of view."""
    image = nibabel.load(source)
    scale = [old / new for old, new in zip(image.shape, size)]
    voxels = ndimage.zoom(image.get_fdata(dtype=numpy.float32), [1 / s for s in scale], order=order, grid_mode=True, mode="nearest")
    affine = image.affine.copy()
    affine[:3, 3] = nibabel.affines.apply_affine(image.affine, [0.5 * s - 0.5 for s in scale])
    affine[:3, :3] = image.affine[:3, :3] * scale
    kind = numpy.uint8 if order == 0 else numpy.float32
    nibabel.save(nibabel.Nifti1Image(voxels.astype(kind), affine), target)


def link(source, folder, name, size=None):
    target = folder / name
    target.unlink(missing_ok=True)
    if size:
        on_grid(source, target, size, 0 if "mask" in name else 1)
    else:
        target.symlink_to(source.resolve())
    return name


def real_strokes(folder, strokes, size):
    for case in sorted(strokes.iterdir()):
        masks = sorted(case.glob("*_msk.nii.gz"))
        if masks and (dwi := sorted(case.glob("*_dwi.nii.gz"))):
            name = case.name.split("_")[-1]
            adc = dwi[0].with_name(dwi[0].name.replace("_dwi", "_adc"))
            yield name, {
                "dwi": link(dwi[0], folder, f"{name}_dwi.nii.gz", size),
                "adc": link(adc, folder, f"{name}_adc.nii.gz", size),
                "mask": link(masks[0], folder, f"{name}_mask.nii.gz", size),
            }


def real_normals(folder, normals, size):
    for dwi in sorted(normals.glob("*_dwi.nii.gz")):
        name = dwi.name.split("_")[0]
        adc = dwi.with_name(dwi.name.replace("_dwi", "_adc"))
        yield name, {"dwi": link(dwi, folder, f"{name}_dwi.nii.gz", size), "adc": link(adc, folder, f"{name}_adc.nii.gz", size)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--strokes", type=Path)
    parser.add_argument("--normals", type=Path)
    parser.add_argument("--test", default="", help="ending of the real donor's name that is tested on")
    parser.add_argument("--phantoms", type=int, nargs=3, default=(4, 2, 6), help="stroke phantoms to train, validate, test")
    parser.add_argument("--phantom-normals", type=int, default=4)
    parser.add_argument("--grid", type=int, nargs=3, help="bring real cases onto so many voxels")
    parser.add_argument("--rate", action="store_true", help="no phantoms")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    if not options.rate:
        parts = [part for part, count in zip(("train", "validation", "test"), options.phantoms) for _ in range(count)]
        for n, part in enumerate(parts):
            rows.append({"case": f"phantom{n:02d}", "kind": "clinical", "split": part, "group": "phantom"} | phantom(out, f"phantom{n:02d}", 100 + n, True))
        for n in range(options.phantom_normals):
            rows.append({"case": f"pnormal{n:02d}", "kind": "normal", "split": "train", "group": "phantom"} | phantom(out, f"pnormal{n:02d}", 900 + n, False))
    if options.strokes:
        for name, files in real_strokes(out, options.strokes, options.grid):
            part = "test" if options.test and name.endswith(options.test) else "train"
            rows.append({"case": name, "kind": "clinical", "split": part, "group": "real"} | files)
    if options.normals:
        for name, files in real_normals(out, options.normals, options.grid):
            rows.append({"case": name, "kind": "normal", "split": "train", "group": "real"} | files)
    with open(out / "study.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["case", "patient", "kind", "dwi", "adc", "mask", "split", "group"])
        writer.writeheader()
        writer.writerows(row | {"patient": row["case"]} for row in rows)


if __name__ == "__main__":
    main()
