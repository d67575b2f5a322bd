"""What nnU-Net nearly said: second choice and margin from the probabilities that its predictor exports.

Needs what `make.py` needs, whose cases these are. Run: `OMP_NUM_THREADS=1 python runner_up.py`.

For each case `runner_up/NAME.u8` holds three label maps one after the other, C order [k, j, i]: the likeliest class,
the second, and the probability of the first less that of the second in 1/255. Where the next class is as
likely but for one in a thousand, the choice is a toss-up and stands as `TIE`.
"""
import os

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape as export

import make

TIE = 255
# Those without resampling: elsewhere the engine looks at the plan's voxels, and nnU-Net at the image's.
NAMES = ("smaller_than_patch", "small_along_z", "flipped", "z_score_mask_channels", "bytes_and_plain")


def main():
    folder = os.path.join(make.HERE, "runner_up")
    os.makedirs(folder, exist_ok=True)
    for c in make.CASES:
        if c["name"] not in NAMES:
            continue
        predictor, plans, config, reader, data, prepared, properties, _, _ = make.asked(c)
        logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(prepared))
        labels, probabilities = export(logits, plans, config, predictor.label_manager, properties,
                                       return_probabilities=True, num_threads_torch=1)
        order = np.argsort(-probabilities, axis=0, kind="stable")
        first, second, third = np.take_along_axis(probabilities, order[:3], axis=0).astype(np.float64)
        is_tie = second > 0.999 * first
        assert (is_tie | (order[0] == labels)).all(), c["name"]
        choices = [np.where(is_tie, TIE, order[0]), np.where(is_tie | (third > 0.999 * second), TIE, order[1]),
                   np.round(255 * (first - second))]
        # The reader writes as it would the labels, which turns them back onto the image's axes.
        stored = [written(reader, choice, properties) for choice in choices]
        np.stack(stored).tofile(os.path.join(folder, c["name"] + ".u8"))
        print(c["name"], stored[0].shape, "ties", [round(float((each == TIE).mean()), 4) for each in stored[:2]],
              "median margin", np.median(stored[2]))


def written(reader, voxels, properties):
    """Voxels [k, j, i] of the image, from the predictor's."""
    out = os.path.join(make.SCRATCH, "choice.nii.gz")
    reader.write_seg(voxels.astype(np.uint8), out, properties)
    return np.ascontiguousarray(np.asanyarray(make.nib.load(out).dataobj).transpose(2, 1, 0)).astype(np.uint8)


if __name__ == "__main__":
    main()
