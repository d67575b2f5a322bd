"""Synthetic cases that are made while the network trains.

The program that made the others on disk makes these from the data set's `synthetic.json`, and nnU-Net's own
preprocessing follows: the network sees what it would have seen from the disk. Each process that loads cases has a
coprocess of its own, started with its first case.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy

# Numbers that are tried in place of a case that could not be made.
SPARE = 10


class Coprocess:
    """`vesalius synth --recipe`: a number in, the files of a case out."""

    def __init__(self, program, recipe, folder):
        command = [program, "synth", "--recipe", str(recipe), "--output", str(folder), "--threads", "1", "--quiet"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def make(self, number):
        try:
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
        except OSError:
            pass  # It is gone; that its answer is missing tells so.
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            code = self.process.wait()
            raise RuntimeError(f"`vesalius synth` ended with code {code} at case {number}: what it said stands above")
        return json.loads(line)


# By the process that started it: after a fork the child starts its own.
coprocesses = {}


class OnTheFly:
    """A data set of nnU-Net's, some of whose cases are not on disk."""

    def __init__(self, dataset, on_disk, trainer):
        self.dataset = dataset
        self.identifiers = dataset.identifiers
        self.missing = frozenset(dataset.identifiers).difference(on_disk)
        job = trainer.job
        self.program = job["program"]
        self.recipe = Path(job["raw"]) / job["dataset"] / "synthetic.json"
        self.folder = scratch(job)
        self.count = json.loads(self.recipe.read_text())["count"]
        self.plans = trainer.plans_manager
        self.configuration = trainer.configuration_manager
        self.about = trainer.dataset_json

    def load_case(self, identifier):
        if identifier not in self.missing:
            return self.dataset.load_case(identifier)
        case = self.make(int(identifier.removeprefix("synth_")))
        images = case["images"][: len(self.about["channel_names"])]
        try:
            preprocessor = self.configuration.preprocessor_class(verbose=False)
            data, labels, properties = preprocessor.run_case(images, case["label"], self.plans, self.configuration, self.about)
        finally:
            for path in [*case["images"], case["label"]]:
                os.unlink(path)
        # The types that nnU-Net keeps on disk.
        return data.astype(numpy.float32, copy=False), labels.astype(numpy.int16, copy=False), None, properties

    def make(self, number):
        """The case, or one beyond the last where it cannot be made; the same one each time."""
        for instead in [number, *range(self.count + SPARE * number, self.count + SPARE * (number + 1))]:
            case = self.coprocess().make(instead)
            if case["images"]:
                return case
            print(f"synthetic case {instead} cannot be made: {case['rejected'][-1]}; another is taken", flush=True)
        raise RuntimeError(f"neither synthetic case {number} nor {SPARE} others in its place could be made")

    def coprocess(self):
        process = os.getpid()
        if process not in coprocesses:
            coprocesses.clear()
            coprocesses[process] = Coprocess(self.program, self.recipe, self.folder / str(process))
        return coprocesses[process]


def scratch(job):
    """Where cases lie between their making and their preprocessing."""
    return Path(job["results"]).parent / "on_the_fly"
