"""One training as a job: plan, preprocess, train, and predict one case so that another program can be held to it.

    python train.py JOB.json

`vesalius train` writes the job and reads what is printed: nnU-Net's own log, and lines that begin with `@`, which are
JSON. Every stage that is done is left alone when the same job is started again; training goes on from its last
checkpoint.
"""

import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

JOB = Path(sys.argv[1]).resolve()
job = json.loads(JOB.read_text())
os.environ.update(
    nnUNet_raw=job["raw"],
    nnUNet_preprocessed=job["preprocessed"],
    nnUNet_results=job["results"],
    nnUNet_extTrainer=str(Path(__file__).resolve().parent),
    nnUNet_n_proc_DA=str(job["workers"]),
    VESALIUS_JOB=str(JOB),
)
CONFIGURATION = "3d_fullres"
PLANS = "nnUNetPlans"


def die_with_parent():
    """Ends this process and its workers when Vesalius is gone: nothing goes on unseen."""

    def watch():
        # Not `sys.stdin`: its lock would be held here for ever, and workers that are forked would wait for it.
        while os.read(0, 4096):
            pass
        if hasattr(os, "killpg"):
            os.killpg(os.getpgid(0), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def tell(**event):
    print("@" + json.dumps(event), flush=True)


def write(path, value):
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(value, indent=2))
    os.replace(aside, path)


def reduced(plans, settings):
    """The plan with the sizes that the settings name: patch, features, batch and spacing of the network's axes."""
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

    configuration = plans["configurations"][CONFIGURATION]
    if settings.get("spacing"):
        forward = plans["transpose_forward"]
        configuration["spacing"] = [settings["spacing"][axis] for axis in forward]
    if settings.get("batch_size"):
        configuration["batch_size"] = settings["batch_size"]
    if settings.get("patch_size") or settings.get("features"):
        patch = settings.get("patch_size") or configuration["patch_size"]
        network = configuration["architecture"]["arch_kwargs"]
        features = settings.get("features") or network["features_per_stage"]
        _, strides, kernels, patch, _ = get_pool_and_conv_props(configuration["spacing"], patch, 4, len(features) - 1)
        stages = min(len(features), len(strides))
        network.update(
            n_stages=stages,
            features_per_stage=features[:stages],
            kernel_sizes=[list(kernel) for kernel in kernels[:stages]],
            strides=[list(stride) for stride in strides[:stages]],
            n_conv_per_stage=[2] * stages,
            n_conv_per_stage_decoder=[2] * (stages - 1),
        )
        configuration["patch_size"] = [int(size) for size in patch]
    plans["configurations"] = {CONFIGURATION: configuration}
    return plans


def plan(dataset, settings):
    """nnU-Net's own plan of a data set, then reduced."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, plan_experiment_dataset

    folder = Path(job["preprocessed"]) / dataset
    path = folder / f"{PLANS}.json"
    if not (folder / "planned").exists():
        tell(stage="planning")
        number = int(dataset[7:10])
        extract_fingerprint_dataset(number, num_processes=job["processes"], check_dataset_integrity=True, verbose=False, show_progress_bar=False)
        # The planner takes this number for that of PyTorch's threads, which cannot be 0.
        os.environ["nnUNet_n_proc_DA"] = str(max(1, job["workers"]))
        plan_experiment_dataset(number)
        os.environ["nnUNet_n_proc_DA"] = str(job["workers"])
        write(path, reduced(json.loads(path.read_text()), settings))
        (folder / "planned").touch()
    return json.loads(path.read_text())


def prepare():
    """Plan and preprocessed cases; the plan may be another data set's or an installed model's."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset

    dataset, raw = job["dataset"], Path(job["raw"]) / job["dataset"]
    folder = Path(job["preprocessed"]) / dataset
    if (folder / "prepared").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if job.get("plans"):
        plans = json.loads(Path(job["plans"]).read_text())
    elif job.get("plans_of") and job["plans_of"] != dataset:
        plans = plan(job["plans_of"], job["settings"])
    else:
        plans = plan(dataset, job["settings"])
    if plans["dataset_name"] != dataset or job.get("plans"):
        tell(stage="planning")
        plans["dataset_name"] = dataset
        extract_fingerprint_dataset(int(dataset[7:10]), num_processes=job["processes"], check_dataset_integrity=True, verbose=False, show_progress_bar=False)
        write(folder / f"{PLANS}.json", plans)
    shutil.copyfile(raw / "dataset.json", folder / "dataset.json")
    tell(stage="preprocessing")
    preprocess_dataset(int(dataset[7:10]), PLANS, (CONFIGURATION,), [job["processes"]], show_progress_bar=False)
    if job.get("splits"):
        write(folder / "splits_final.json", job["splits"])
    elif (raw / "splits_final.json").exists():
        shutil.copyfile(raw / "splits_final.json", folder / "splits_final.json")
    (folder / "prepared").touch()


def trained():
    """nnU-Net's folder of this training."""
    return Path(job["results"]) / job["dataset"] / f"VesaliusTrainer__{PLANS}__{CONFIGURATION}"


def train():
    """Trains; what a training that was broken off left of its cases on the fly is removed first."""
    from on_the_fly import scratch

    shutil.rmtree(scratch(job), ignore_errors=True)
    try:
        run()
    finally:
        shutil.rmtree(scratch(job), ignore_errors=True)


def run():
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint, run_training

    fold = job["fold"]
    folder = trained() / f"fold_{fold}"
    if (folder / "checkpoint_final.pth").exists():
        return
    # A best checkpoint alone would begin in the middle: only the latest is gone on from.
    go_on = (folder / "checkpoint_latest.pth").exists()
    tell(stage="training", epochs=job["settings"].get("epochs", 1000), goes_on=go_on)
    if job["gpus"] > 1:
        run_training(
            job["dataset"], CONFIGURATION, str(fold), "VesaliusTrainer", PLANS, num_gpus=job["gpus"], continue_training=go_on, device=device()
        )
        return
    trainer = get_trainer_from_args(job["dataset"], CONFIGURATION, fold, "VesaliusTrainer", PLANS, go_on, device())
    maybe_load_checkpoint(trainer, go_on, False)
    trainer.run_training()


def device():
    import torch

    if job["device"] == "cpu":
        torch.set_num_threads(job["threads"])
    return torch.device(job["device"])


def predict():
    """nnU-Net's own prediction of one case, without mirroring, as the importer's parity asks."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    case, output = job.get("parity_case"), Path(job["results"]) / "parity"
    if not case or (output / "done").exists():
        return
    tell(stage="predicting one case with nnU-Net")
    output.mkdir(exist_ok=True)
    predictor = nnUNetPredictor(tile_step_size=0.5, use_gaussian=True, use_mirroring=False, device=device(), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(trained()), use_folds=(job["fold"],))
    predictor.predict_from_files_sequential([case], [str(output / "nnunet")], save_probabilities=False, overwrite=True)
    (output / "done").touch()


def versions():
    from importlib.metadata import version

    names = ["nnunetv2", "torch", "numpy", "batchgeneratorsv2", "dynamic-network-architectures"]
    return {"python": sys.version.split()[0]} | {name: version(name) for name in names}


if __name__ == "__main__":
    if "--unwatched" not in sys.argv:
        die_with_parent()
    tell(stage="starting nnU-Net", versions=versions())
    prepare()
    if not job.get("only_prepare"):
        train()
        predict()
    tell(stage="done", folder=str(trained()))
