#!/usr/bin/env bash
# Trains the head-and-neck model that ships with Vesalius: `train.sh DATA WORK`, about two hours on two cores.
# DATA: the OpenKBP cases as NIfTI (train/, validation/). WORK: an empty folder. Needs `pip install nnunetv2==2.8.1`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export nnUNet_raw=$2/raw nnUNet_preprocessed=$2/preprocessed nnUNet_results=$2/results
export nnUNet_extTrainer=$here nnUNet_n_proc_DA=${AUGMENTATION_PROCESSES:-1} OMP_WAIT_POLICY=passive
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"
[ -e "$nnUNet_preprocessed/Dataset501_HeadNeck/nnUNetPlans_3d_fullres" ] || python "$here/prepare.py" "$1"
nnUNetv2_train 501 3d_fullres all -tr HeadNeckTrainer -device cpu
