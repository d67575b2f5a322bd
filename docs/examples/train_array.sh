#!/usr/bin/env bash
# One training of an experiment on one machine of a cluster: Slurm gives each job its number, the line of that number
# says what to train. All machines need the same folders and the same `vesalius`.
#
#   vesalius experiment four-databases study.csv -o out --dry-run -- --preset default -d cuda > lines
#   grep -v '^vesalius train ' lines | head -3 | bash           # split, synthesise, build: once
#   sbatch --array=1-12%4 train_array.sh lines                  # at most four at a time
#   vesalius experiment four-databases study.csv -o out -- --preset default -d cuda     # what is left: the report
#
# Several cards for one training: add `--gpus 4` behind `--`, and ask for them below (nnU-Net's DDP).
# Machines without network: `vesalius train setup` once, on a machine that has it, with VESALIUS_HOME on a shared disk.
#SBATCH --job-name=vesalius
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=12
#SBATCH --mem=64G
#SBATCH --time=3-00:00:00
#SBATCH --signal=TERM@120
set -euo pipefail

lines=${1:?the file of lines that --dry-run wrote}
number=${SLURM_ARRAY_TASK_ID:?run this as a Slurm array, or set the number of the training}
line=$(grep '^vesalius train ' "$lines" | sed -n "${number}p")
if [ -z "$line" ]; then
  echo "there is no training number $number in $lines" >&2
  exit 2
fi
# A job that was stopped before its time was up goes on from its last checkpoint when it is given again.
eval "exec $line"
