"""Makes the folders that `vesalius bench correction --data` reads, from a checkout of TotalSegmentator's repository.

    git clone --depth 1 https://github.com/wasserth/TotalSegmentator
    python tests/benchmarks/correction_data.py TotalSegmentator/tests/reference_files OUT
    vesalius bench correction --data OUT/ct3 --structures 1,2,4,5,6,19,20,22,27,52,63,77,80,88

| folder | image | labels |
|---|---|---|
| ct3 | `example_ct.nii.gz`, CT at 3 mm | `example_seg_fast_force_split.nii.gz` |
| mr | `example_mr_sm.nii.gz`, MR at 3 mm | `example_seg_mr.nii.gz` |
| aorta | `ct_cropped.nii.gz` of the aorta report, CT at 1.5 mm | its ten masks, later ones over earlier ones |
| pulmonary | the same of the pulmonary report | the pulmonary artery |

Needs nibabel and NumPy. The files are Apache-2.0.
"""

import pathlib
import shutil
import sys

import nibabel
import numpy

COPIES = {
    "ct3": ("example_ct.nii.gz", "example_seg_fast_force_split.nii.gz"),
    "mr": ("example_mr_sm.nii.gz", "example_seg_mr.nii.gz"),
}
AORTA = (
    "vertebrae_T12 aorta brachiocephalic_trunk celiac_trunk common_carotid_artery_left iliac_artery_left "
    "iliac_artery_right renal_arteries subclavian_artery_left superior_mesenteric_artery"
).split()
MASKS = {
    "aorta": ("aorta_report/test_result/models", AORTA),
    "pulmonary": ("pulmonary_report/models", ["pulmonary_artery"]),
}


def main() -> None:
    """Writes one folder after the other."""
    source, out = map(pathlib.Path, sys.argv[1:3])
    for name, files in COPIES.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(source / file, out / name / file)
    for name, (folder, structures) in MASKS.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        image = nibabel.load(source / folder / "ct_cropped.nii.gz")
        labels = numpy.zeros(image.shape, numpy.uint8)
        for value, structure in enumerate(structures, 1):
            mask = nibabel.load(source / folder / f"{structure}.nii.gz")
            if not numpy.allclose(mask.affine, image.affine, atol=1e-3):
                raise SystemExit(f"{structure} does not lie on the grid of its image")
            labels[numpy.asarray(mask.dataobj) > 0] = value
        nibabel.save(nibabel.Nifti1Image(labels, image.affine), out / name / "labels.nii.gz")
        shutil.copy(source / folder / "ct_cropped.nii.gz", out / name / "ct_cropped.nii.gz")


if __name__ == "__main__":
    main()
