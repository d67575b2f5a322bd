"""The real engine for tests: one process with a folder of its own, and what can be done to it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "head_neck_ct.nii.gz"
# A CT and small networks of random weights: `total` at 6 mm in a second, with more structures than a body has.
GOLDEN = ROOT / "tests" / "reference" / "golden"
SMALL_CT = GOLDEN / "input" / "example_ct_sm.nii.gz"
TWO_CHANNELS = ROOT / "tests" / "reference" / "nnunet" / "variants" / "Dataset901_Regions"
NETWORK = ROOT / "tests" / "reference" / "promptable" / "model"
WEIGHTS = GOLDEN / "weights" / "Dataset298_TotalSegmentator_total_6mm_1559subj"


def binary() -> str:
    """The program: `VESALIUS`, else what was built in this checkout."""
    name = "vesalius.exe" if sys.platform == "win32" else "vesalius"
    path = os.environ.get("VESALIUS") or str(ROOT / "target" / "release" / name)
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"`{path}` is missing: run `cargo build --release --package vesalius`, or set VESALIUS")
    return path


def environment(home: Path) -> Dict[str, str]:
    """Nothing of this machine but ONNX Runtime: no settings, no weights, and a proxy that nobody answers."""
    own = ("VESALIUS_", "TOTALSEG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    runtime = os.environ.get("VESALIUS_ONNXRUNTIME", sys.prefix)
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    return {
        **kept,
        **nowhere,
        "VESALIUS_HOME": str(home),
        "TOTALSEG_HOME_DIR": str(home / "none"),
        "VESALIUS_ONNXRUNTIME": runtime,
    }


def run(home: Path, *arguments: str) -> str:
    """Runs the program and gives what it printed."""
    ran = subprocess.run([binary(), *arguments], env=environment(home), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def import_small_networks(home: Path) -> None:
    """Makes `total` at 6 mm run."""
    run(home, "models", "import", str(WEIGHTS), "--licence", "CC0-1.0")


def import_network(home: Path) -> None:
    """Adds a small network that takes prompts, `clicks`."""
    run(home, "models", "import", str(NETWORK), "--name", "clicks", "--accept-licence")


def import_stroke(home: Path, work: Path) -> None:
    """Adds the task `stroke`: a small network of two channels, DWI and ADC, with random weights."""
    folder = work / "Dataset501_Stroke"
    shutil.copytree(TWO_CHANNELS, folder)
    for path in folder.rglob("*.json"):
        text = path.read_text().replace('"CT"', '"DWI"').replace('"PET"', '"ADC"')
        text = text.replace("CTNormalization", "ZScoreNormalization").replace("Dataset901_Regions", folder.name)
        path.write_text(text)
    run(home, "models", "import", str(folder), "--licence", "CC0-1.0", "--name", "stroke")


def write_card(home: Path, name: str, card: Dict[str, Any]) -> None:
    """Gives an imported model the card that training would have written."""
    path = next(home.rglob(f"{name}.vesalius"))
    kept = path.read_bytes()
    length = int.from_bytes(kept[8:16], "little")
    header = json.loads(kept[48 : 48 + length])
    header["source"]["card"] = card
    text = json.dumps(header, ensure_ascii=False).encode()
    head = kept[:8] + len(text).to_bytes(8, "little") + hashlib.sha256(text).digest() + text
    # The tensors begin at a multiple of 64 bytes.
    path.write_bytes(head + bytes(-len(head) % 64) + kept[-(-(48 + length) // 64) * 64 :])


class Engine:
    """A server; ends with the test."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        command = [binary(), "serve", "--quiet", "--device", "cpu", *arguments]
        self.process = subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, f"`{' '.join(command)}` ended with {self.process.wait()}"
        self.port = json.loads(line)["port"]

    def kill(self) -> None:
        """Ends it as a power failure does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        self.process.stdout.close()

    def spooled(self) -> List[Path]:
        """Voxels that lie on the disk."""
        return list((self.home / "run" / "spool" / "volumes").iterdir())
