"""Runs exported ONNX models on the patch of `make.py` in ONNX Runtime and compares with PyTorch's scores.

    cargo build -p nnunet --example export
    python tests/reference/nnunet/compare.py target/debug/examples/export [native]

Needs onnxruntime and onnx. Prints, for each model of `scores.json`, the largest difference of a score and whether
the argmax over classes is the same in every voxel.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent


def patch(shape):
    h = np.arange(np.prod(shape), dtype=np.uint64)
    h = h * 2654435761 % 2**32
    h ^= h >> np.uint64(15)
    h = h * 2246822519 % 2**32
    h ^= h >> np.uint64(13)
    return ((h >> np.uint64(8)).astype(np.float32) / np.float32(2**24) * 3 - np.float32(1.5)).reshape(shape)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main():
    export, words = sys.argv[1], sys.argv[2:]
    for name, truth in json.loads((HERE / "scores.json").read_text()).items():
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/model.onnx"
            subprocess.run([export, HERE.parent / truth["folder"], path, *words], check=True, stdout=subprocess.DEVNULL)
            try:
                import onnx

                onnx.checker.check_model(path, full_check=True)
            except ImportError:
                print("(onnx is not installed: structure not checked)")
            run = session(path)
        shape = run.get_inputs()[0].shape
        scores = run.run(["scores"], {"patch": patch(shape)})[0][0]
        sampled = scores[:, 5::12, 5::12, 5::12]
        expected = np.fromfile(HERE / "scores" / f"{name}.f32", "<f4").reshape(truth["shape"])
        labels = hashlib.sha256(scores.argmax(0).astype(np.uint8).tobytes()).hexdigest()
        same = "same argmax everywhere" if labels == truth["argmax_sha256"] else "argmax differs somewhere"
        print(f"{name}: largest difference {np.abs(sampled - expected).max():.2e} of {truth['largest']:.1f}, {same}")


if __name__ == "__main__":
    main()
