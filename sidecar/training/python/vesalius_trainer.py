"""nnU-Net's trainer, told by a file of settings what nnU-Net has no flags for: how long, how, and from which weights.

nnU-Net finds this file by its variable `nnUNet_extTrainer`; the settings are the JSON that `VESALIUS_JOB` names. What
differs from nnUNetTrainer:
- epochs, steps per epoch, optimiser, rate and loss are settings; the rate falls as nnU-Net's does
- every epoch begins with a seed made of the run's seed and the epoch's number, so that a run that was broken off and
  goes on computes what it would have computed (exactly so where nothing runs in parallel: a processor without workers)
- a checkpoint is written beside its place and then given its name, so that a machine that dies leaves a whole one
- weights may come from an installed model, the last layer too where the labels are the same
- synthetic cases that are not on disk are made when they are wanted
"""

import json
import os
import random
from pathlib import Path

import numpy
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.helpers import softmax_helper_dim1


def read_weights(folder):
    """Weights that Vesalius wrote: `weights.json` tells names, shapes and places in `weights.f32`."""
    folder = Path(folder)
    values = numpy.fromfile(folder / "weights.f32", dtype="<f4")
    table = json.loads((folder / "weights.json").read_text())
    return {
        entry["name"]: torch.from_numpy(values[entry["first"] :][: entry["count"]].reshape(entry["shape"]).copy())
        for entry in table
    }


def rows(given, own, labels):
    """A last layer for this data set's labels: rows of structures that the other model knows, `own` for the others."""
    if given.shape[1:] != own.shape[1:] or len(labels) != len(own):
        return own
    known = [(row, label) for row, label in enumerate(labels) if label is not None and label < len(given)]
    found = own.clone()
    for row, label in known:
        found[row] = given[label].to(own.device, own.dtype)
    return found


class VesaliusTrainer(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):  # names are nnU-Net's
        super().__init__(plans, configuration, fold, dataset_json, device)
        # A model that only predicts needs no settings.
        path = os.environ.get("VESALIUS_JOB")
        self.job = json.loads(Path(path).read_text()) if path else {"seed": 0, "settings": {}}
        settings = self.settings = self.job["settings"]
        self.num_epochs = settings.get("epochs", self.num_epochs)
        self.num_iterations_per_epoch = settings.get("steps", self.num_iterations_per_epoch)
        self.num_val_iterations_per_epoch = settings.get("validation_steps", self.num_val_iterations_per_epoch)
        self.initial_lr = settings.get("rate", self.initial_lr)
        self.save_every = settings.get("save_every", self.save_every)

        # Vesalius draws the curve from the log; nnU-Net's own picture takes seconds after every epoch.
        self.logger.plot_progress_png = lambda folder: None

    def initialize(self):
        self.seed(-1)
        super().initialize()
        folder = self.job.get("start_from")
        if folder:
            self.start_from(read_weights(folder))

    def start_from(self, given):
        """Takes over every weight of the same name and shape; the rest keeps its random beginning, and is told."""
        network = getattr(self.network, "_orig_mod", self.network)
        network = getattr(network, "module", network)
        own = network.state_dict()
        labels = self.job.get("start_labels", [])
        taken = {}
        for name, value in own.items():
            # PyTorch stores the encoder a second time as a part of the decoder.
            found = given.get(name.replace("decoder.encoder.", "encoder.").replace(".all_modules.0.", ".conv."))
            if found is None and ".all_modules.1." in name:
                found = given.get(name.replace("decoder.encoder.", "encoder.").replace(".all_modules.1.", ".norm."))
            if found is None:
                continue
            if ".seg_layers." in name:
                found = rows(found, value, labels)
            if found.shape == value.shape:
                taken[name] = found.to(value.device, value.dtype)
        own.update(taken)
        network.load_state_dict(own)
        fresh = sorted(name for name in own if name not in taken and ".all_modules." not in name and "decoder.encoder." not in name)
        self.print_to_log_file(f"{len(taken)} of {len(own)} weights taken over; new: {', '.join(fresh) or 'none'}")

    def configure_optimizers(self):
        kind = self.settings.get("optimizer", "sgd")
        if kind == "sgd":
            return super().configure_optimizers()
        if kind == "adam":
            optimizer = torch.optim.Adam(self.network.parameters(), self.initial_lr)
        elif kind == "adamw":
            optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=1e-2)
        else:
            raise ValueError(f"no optimiser {kind}: sgd, adam and adamw are there")
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def _build_loss(self):
        if self.settings.get("loss", "dice_and_cross_entropy") != "dice":
            return super()._build_loss()
        if self.label_manager.has_regions or self.label_manager.has_ignore_label:
            raise ValueError("the Dice loss alone is for plain labels; use the default loss")
        loss = MemoryEfficientSoftDiceLoss(
            apply_nonlin=softmax_helper_dim1, batch_dice=self.configuration_manager.batch_dice, do_bg=False, smooth=1e-5, ddp=self.is_ddp
        )
        scales = self._get_deep_supervision_scales()
        if scales is None:
            return loss
        weights = numpy.array([1 / (2**i) for i in range(len(scales))])
        weights[-1] = 0 if len(weights) > 1 else 1
        return DeepSupervisionWrapper(loss, weights / weights.sum())

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        rotation, dummy, size, axes = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        if not self.settings.get("mirror", True):
            # Left must not become right where labels have sides.
            axes, self.inference_allowed_mirroring_axes = None, None
        return rotation, dummy, size, axes

    def get_tr_and_val_datasets(self):
        training, validation = super().get_tr_and_val_datasets()
        if not (Path(self.job.get("raw", "")) / self.job.get("dataset", "") / "synthetic.json").is_file():
            return training, validation
        # Not above: who only predicts does not need it.
        from on_the_fly import OnTheFly

        on_disk = self.dataset_class.get_identifiers(self.preprocessed_dataset_folder)
        training = OnTheFly(training, on_disk, self)
        self.print_to_log_file(f"{len(training.missing)} of {len(training.identifiers)} training cases are made on the fly")
        return training, validation

    def seed(self, epoch):
        number = (self.job["seed"] * 100_003 + epoch + 1) % 2**32
        random.seed(number)
        numpy.random.seed(number)
        torch.manual_seed(number)

    def on_epoch_start(self):
        super().on_epoch_start()
        self.seed(self.current_epoch)
        self.step = 0

    def train_step(self, batch):
        outcome = super().train_step(batch)
        self.step += 1
        if self.local_rank == 0:
            print(f"step {self.step} of {self.num_iterations_per_epoch}", flush=True)
        return outcome

    def save_checkpoint(self, filename):
        aside = f"{filename}.part"
        super().save_checkpoint(aside)
        if self.local_rank == 0 and os.path.exists(aside):
            os.replace(aside, filename)

    def plot_network_architecture(self):
        """Needs a package that is not part of the environment."""
