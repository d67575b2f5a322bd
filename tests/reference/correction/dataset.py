"""Whether nnU-Net takes what `vesalius dataset export` writes: two patients are corrected over HTTP, partly accepted,
exported, and checked by nnU-Net's own `verify_dataset_integrity` and fingerprint extraction.

    python tests/reference/correction/dataset.py target/release/vesalius

Needs nnunetv2 2.8.1 and NumPy.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "correction_server.py"
SPACING = 4.0


def load(path):
    """The benchmark's phantom and client."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def correct(bench, server, accepted, which):
    """A session in which one organ is corrected and some are accepted."""
    image, labels, organs = bench.phantom(SPACING)
    spoiled, clicks = bench.cut(labels, organs, SPACING, which)
    volume, start = server.upload(image + which, SPACING), server.upload(spoiled, SPACING)
    structures = [{"value": n + 1, "name": f"organ_{n}"} for n in range(len(organs))]
    new = {"volume": volume, "labels": start, "structures": structures}
    session = server.post("/v1/sessions", new)[0]["id"]
    label, click = clicks[0]
    prompt = {"prompt": {"shape": {"point": click}, "sign": "add", "label": label}}
    for base, action in enumerate([prompt, *({"accept": value} for value in accepted)]):
        body = {"operation": f"operation-{base}", "base": base, "seconds": 3, "action": action}
        server.post(f"/v1/sessions/{session}/operations", body)


def main():
    binary = sys.argv[1]
    bench = load(BENCHMARK)
    with tempfile.TemporaryDirectory() as home:
        server = bench.Server(binary, home)
        try:
            correct(bench, server, [1, 2, 3], 0)
            correct(bench, server, [1, 3], 1)
        finally:
            server.process.terminate()
            server.process.wait()
        raw = Path(home) / "raw"
        folders = {"nnUNet_raw": raw, "nnUNet_preprocessed": Path(home) / "pre", "nnUNet_results": Path(home) / "out"}
        environment = os.environ | {"VESALIUS_HOME": home} | {name: str(path) for name, path in folders.items()}
        export = [binary, "dataset", "export", "-o", str(raw)]
        folder = Path(subprocess.run(export, env=environment, check=True, capture_output=True, text=True).stdout.strip())
        print(json.dumps(json.loads((folder / "dataset.json").read_text()), indent=1))
        print((folder / "corrections.jsonl").read_text())
        code = (
            "from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints as run;"
            "run([601], num_processes=1, check_dataset_integrity=True)"
        )
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        print("nnU-Net takes it")


if __name__ == "__main__":
    main()
