"""nnU-Net's trainer with a schedule that fits a processor instead of a graphics card.

What differs from nnUNetTrainer, and why:
- the learning rate falls with the minutes used (`TRAINING_MINUTES`), so the run ends when it was meant to end,
  on whatever machine; AdamW, since SGD with momentum 0.99 needs more steps than two hours give
- bfloat16 autocast (1.4x here) and an exponential average of the weights (what is saved at the end)
- no mirroring: the left parotid must not become the right one
- the averaged weights are rounded to half precision before they are saved, so that the file that ships
  (half precision, 7.5 MB) and nnU-Net's own checkpoint hold the same numbers
"""

import os
from copy import deepcopy
from time import time

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

PEAK_RATE = 1.5e-3
WARM_UP_STEPS = 100
AVERAGE_DECAY = 0.997


class HeadNeckTrainer(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cpu")):  # names are nnU-Net's
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_iterations_per_epoch = 100
        self.num_val_iterations_per_epoch = 6
        self.save_every = 1
        self.budget = 60 * float(os.environ.get("TRAINING_MINUTES", "110"))
        self.started = None
        self.steps = 0
        self.average = None

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        rotation, dummy, initial_patch_size, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        return tuple(angle / 2 for angle in rotation), dummy, initial_patch_size, None

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.network.parameters(), PEAK_RATE, weight_decay=1e-2)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)

    def set_rate(self):
        used = min((time() - self.started) / self.budget, 1.0)
        rate = PEAK_RATE * min(1.0, (self.steps + 1) / WARM_UP_STEPS) * (1.0 - used) ** 0.9
        for group in self.optimizer.param_groups:
            group["lr"] = max(rate, 1e-6)

    def train_step(self, batch):
        self.set_rate()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = self.network(batch["data"])
        loss = self.loss([head.float() for head in output], batch["target"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
        self.optimizer.step()
        self.steps += 1
        with torch.no_grad():
            decay = min(AVERAGE_DECAY, (1 + self.steps) / (10 + self.steps))
            for mean, now in zip(self.average.parameters(), self.network.parameters()):
                mean.lerp_(now, 1 - decay)
        return {"loss": loss.detach().numpy()}

    def save_checkpoint(self, filename):
        """Saves the averaged weights, in numbers that half precision holds exactly."""
        network, self.network = self.network, deepcopy(self.average)
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.copy_(parameter.half().float())
        super().save_checkpoint(filename)
        self.network = network

    def run_training(self):
        self.on_train_start()
        self.average = deepcopy(self.network)
        self.started = time()
        while time() - self.started < self.budget:
            self.on_epoch_start()
            self.network.train()
            self.print_to_log_file(f"\nEpoch {self.current_epoch}, step {self.steps}, rate {self.optimizer.param_groups[0]['lr']:.5f}")
            self.logger.log("lrs", self.optimizer.param_groups[0]["lr"], self.current_epoch)
            losses = []
            while len(losses) < self.num_iterations_per_epoch and time() - self.started < self.budget:
                losses.append(self.train_step(next(self.dataloader_train)))
            self.on_train_epoch_end(losses)
            with torch.no_grad():
                self.on_validation_epoch_start()
                self.on_validation_epoch_end([self.validation_step(next(self.dataloader_val)) for _ in range(self.num_val_iterations_per_epoch)])
            self.on_epoch_end()
        self.on_train_end()

    def perform_actual_validation(self, save_probabilities=False):
        """The 16 cases kept out of the dataset are the validation: see evaluate.py."""
