"""TotalSegmentator in Python and Vesalius on the same CT with the same full-size weights, in one table.

    python side_by_side.py CT WORK VESALIUS [--shape 512 512 275] [--runs TotalSegmentator cpu-fp32 auto]

CT is any CT as NIfTI; it is resampled to the shape asked for (linear), so that its content stays a real body.
WORK keeps the weights (random, real size: see make_full_size_model.py), the CT and the results.
Run it with a Python that has TotalSegmentator and nnU-Net; VESALIUS is the release build.
Wall and processor seconds and the peak memory are of the whole process tree, start to written file.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import nibabel
import numpy
import scipy.ndimage

HERE = Path(__file__).parent


def make_ct(source: Path, output: Path, shape: tuple[int, ...]) -> None:
    image = nibabel.load(source)
    values = numpy.asarray(image.dataobj).astype(numpy.float32)
    zoom = [new / old for new, old in zip(shape, values.shape)]
    values = scipy.ndimage.zoom(values, zoom, order=1).astype(numpy.int16)
    affine = image.affine @ numpy.diag([1 / z for z in zoom] + [1.0])
    nibabel.save(nibabel.Nifti1Image(values, affine), output)


def tree_rss(pid: int) -> int:
    """Resident bytes of a process and its children; shared pages count once per process, as for any user of `top`."""
    total = 0
    try:
        total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += tree_rss(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total


def measure(command: list[str], environment: dict[str, str], log: Path) -> dict:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, peak, done = time.time(), 0, threading.Event()
    with log.open("w") as stream:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=stream, stderr=subprocess.STDOUT)

        def watch():
            nonlocal peak
            while not done.wait(0.05):
                peak = max(peak, tree_rss(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
    wall = time.time() - start
    done.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status != 0:
        sys.exit(f"{command[0]} failed with {status}:\n{log.read_text()[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "peak_gib": peak / 2**30}


def weights(work: Path) -> Path:
    folder = work / "weights"
    if not folder.exists():
        subprocess.run([sys.executable, HERE / "make_full_size_model.py", folder, "--dataset", "297"], check=True)
    return folder


def command_of(run: str, arguments, ct: Path, work: Path) -> tuple[list[str], dict[str, str], Path]:
    output = work / f"{run}.nii.gz"
    if run == "TotalSegmentator":
        home = work / "totalsegmentator"
        home.mkdir(exist_ok=True)
        quiet = {"totalseg_id": "benchmark", "send_usage_stats": False, "prediction_counter": 0, "statistics_disclaimer_shown": True}
        (home / "config.json").write_text(json.dumps(quiet))
        environment = {"TOTALSEG_HOME_DIR": str(home), "TOTALSEG_WEIGHTS_PATH": str(weights(work))}
        program = str(Path(sys.executable).parent / "TotalSegmentator")
        return [program, "-i", str(ct), "-o", str(output), "--ml", "--fast", "--device", "cpu"], environment, output
    device, _, precision = run.partition("-")
    command = [arguments.vesalius, "segment", "-i", str(ct), "-o", str(output), "--ml", "--fast", "--task", "total", "--device", device]
    if precision:
        command += ["--precision", precision]
    return command, {"VESALIUS_HOME": str(work / "vesalius")}, output


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ct", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("vesalius")
    parser.add_argument("--shape", type=int, nargs=3, default=[512, 512, 275])
    parser.add_argument("--runs", nargs="+", default=["TotalSegmentator", "cpu-fp32", "openvino-fp32", "openvino-bf16"])
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    ct = arguments.work / ("ct_" + "x".join(map(str, arguments.shape)) + ".nii.gz")
    if not ct.exists():
        make_ct(arguments.ct, ct, tuple(arguments.shape))
    model = next(weights(arguments.work).glob("Dataset297*"))
    home = {"VESALIUS_HOME": str(arguments.work / "vesalius")}
    if not (arguments.work / "vesalius" / "models").exists():
        subprocess.run([arguments.vesalius, "models", "import", model], env=os.environ | home, check=True)

    rows, reference = [], None
    for run in arguments.runs:
        command, environment, output = command_of(run, arguments, ct, arguments.work)
        row = measure(command, environment, arguments.work / f"{run}.log")
        labels = numpy.asarray(nibabel.load(output).dataobj).astype(numpy.uint8)
        reference = labels if reference is None else reference
        row["equal"] = float((labels == reference).mean())
        rows.append((run, row))
        first = rows[0][1]
        print(
            f"{run:18s} wall {row['wall_s']:7.1f} s ({first['wall_s'] / row['wall_s']:5.2f}x)   cpu {row['cpu_s']:7.1f} s"
            f"   peak {row['peak_gib']:5.2f} GiB (1/{first['peak_gib'] / row['peak_gib']:.1f})   voxels equal {row['equal']:.5f}",
            flush=True,
        )
    (arguments.work / "side_by_side.json").write_text(json.dumps(dict(rows), indent=2))


if __name__ == "__main__":
    main()
