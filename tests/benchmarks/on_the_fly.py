"""What a synthetic case costs a loader of nnU-Net's from the disk and on the fly, and that both are the same.

    python on_the_fly.py VESALIUS ON_DISK RECIPE PLANS [--cases N]

ON_DISK is a folder of `vesalius synth`, RECIPE one of `vesalius synth --on-the-fly` with the same seed, PLANS a
`nnUNetPlans.json` of a training with two channels (its patch and spacing become those of the first case, 128 x 128 x 40
at most). One process, one thread, as one of `--workers`.
"""

import argparse
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy
import SimpleITK
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sidecar" / "training" / "python"))
import on_the_fly

ABOUT = {"channel_names": {"0": "DWI", "1": "ADC"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".nii.gz"}


def plan(path, first):
    image = SimpleITK.ReadImage(str(first))
    plans = json.loads(path.read_text())
    configuration = plans["configurations"]["3d_fullres"]
    configuration["spacing"] = list(image.GetSpacing()[::-1])
    configuration["patch_size"] = [min(size, most) for size, most in zip(image.GetSize()[::-1], (40, 128, 128))]
    manager = PlansManager(plans)
    return manager, manager.get_configuration("3d_fullres")


def of_coprocess(process):
    """Processor seconds of another process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds(dataset, names, patch):
    """Processor seconds of this process for a case and its patch."""
    began, total = time.process_time(), 0.0
    for name in names:
        data, labels, _, _ = dataset.load_case(name)
        box = [[(size - length) // 2, (size - length) // 2 + length] for size, length in zip(data.shape[1:], patch)]
        total += float(crop_and_pad_nd(data, box, 0).sum()) + float(crop_and_pad_nd(labels, box, -1).sum())
    assert numpy.isfinite(total)
    return (time.process_time() - began) / len(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("vesalius", "on_disk", "recipe", "plans"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--cases", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = sorted(path.name[:-7] for path in (options.on_disk / "labels").iterdir())
    images = {name: [str(options.on_disk / "images" / f"{name}_{n:04d}.nii.gz") for n in (0, 1)] for name in names}
    plans, configuration = plan(options.plans, images[names[0]][0])
    work = Path(tempfile.mkdtemp())
    try:
        (work / "raw" / "Dataset").mkdir(parents=True)
        shutil.copy(options.recipe / "synth.json", work / "raw" / "Dataset" / "synthetic.json")
        (work / "preprocessed").mkdir()
        preprocessor = configuration.preprocessor_class(verbose=False)
        for name in names:
            label = str(options.on_disk / "labels" / f"{name}.nii.gz")
            preprocessor.run_case_save(str(work / "preprocessed" / name), images[name], label, plans, configuration, ABOUT)
        disk = nnUNetDatasetBlosc2(str(work / "preprocessed"), list(names))
        job = {"program": str(options.vesalius.resolve()), "raw": str(work / "raw"), "dataset": "Dataset", "results": str(work / "results")}
        trainer = SimpleNamespace(job=job, plans_manager=plans, configuration_manager=configuration, dataset_json=ABOUT)
        fly = on_the_fly.OnTheFly(disk, [], trainer)
        for name in names:
            ours, theirs = fly.load_case(name), disk.load_case(name)
            assert all(numpy.array_equal(ours[n], theirs[n][:]) and ours[n].dtype == theirs[n].dtype for n in (0, 1)), name
            places = [one[3]["class_locations"] for one in (ours, theirs)]
            assert places[0].keys() == places[1].keys()
            assert all(numpy.array_equal(places[0][key], places[1][key]) for key in places[0]), name
        print(f"{len(names)} cases: the same on the fly as from the disk, voxels and places")
        random.seed(1)
        drawn = random.choices(names, k=options.cases)
        print(f"from the disk: {seconds(disk, drawn, configuration.patch_size):.4f} processor s a case")
        asked = fly.coprocess()
        before = of_coprocess(asked.process.pid)
        loader = seconds(fly, drawn, configuration.patch_size)
        making = (of_coprocess(asked.process.pid) - before) / len(drawn)
        print(f"on the fly: {making:.4f} processor s to make a case, {loader:.4f} to preprocess and load it")
        peak = next(line for line in Path(f"/proc/{asked.process.pid}/status").read_text().splitlines() if "VmHWM" in line)
        print(f"coprocess: {peak}; this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB at most")
        asked.process.stdin.close()
        assert asked.process.wait() == 0
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
