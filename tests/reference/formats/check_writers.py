"""Lets nibabel, ITK, TotalSegmentator, pynrrd and slicerio read what `formats` writes.

`cargo build -p formats --example convert`, then `python check_writers.py path/to/convert`, with these packages
installed: nibabel SimpleITK TotalSegmentator; pynrrd and slicerio where present.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

CONVERT = sys.argv[1]
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
CHECKS = 0


def check(condition, what):
    global CHECKS
    CHECKS += 1
    assert condition, what


def convert(*arguments):
    done = subprocess.run([CONVERT, *map(str, arguments)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def itk_matrix(image):
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def axes(rng, kind):
    """Columns of a RAS affine: all 48 ways to lie, or any rotation, either hand."""
    if kind < 48:
        columns = np.eye(3)[:, list(__import__("itertools").permutations(range(3)))[kind // 8]]
        columns = columns * [1 - 2 * (kind >> n & 1) for n in range(3)]
    else:
        columns = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return columns * rng.uniform(0.5, 4, size=3)


def round_trips(folder):
    rng = np.random.default_rng(7)
    for kind in range(60):
        affine = np.eye(4)
        affine[:3, :3] = axes(rng, kind)
        affine[:3, 3] = rng.uniform(-300, 300, size=3)
        labels = rng.integers(0, 4, size=(9, 8, 7)).astype(np.uint8)
        source = nib.Nifti1Image(labels.astype(np.int16), affine)
        source.set_sform(affine, code=int(rng.integers(1, 5)))
        source.set_qform(affine, code=int(rng.integers(0, 5)))
        nii = folder / "source.nii.gz"
        nib.save(source, nii)
        source = nib.load(nii)
        # NIfTI to NIfTI: the geometry keeps its bits and codes, as TotalSegmentator's own writer does.
        found = convert("--labels", nii, folder / "labels.nii.gz")
        back = nib.load(folder / "labels.nii.gz")
        for field in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d",
                      "qoffset_x", "qoffset_y", "qoffset_z", "pixdim", "xyzt_units"):
            check(source.header[field].tobytes() == back.header[field].tobytes(), field)
        check(back.get_data_dtype() == np.uint8 and np.array_equal(np.asarray(back.dataobj), labels), "voxels")
        check(np.allclose(LPS @ source.affine, found["matrix"], atol=1e-9), "matrix")
        # NIfTI to NRRD to NIfTI: ITK, nibabel's matrix and nibabel's quaternion agree.
        convert("--labels", nii, folder / "labels.seg.nrrd")
        itk = sitk.ReadImage(str(folder / "labels.seg.nrrd"))
        check(np.array_equal(sitk.GetArrayFromImage(itk).T, labels), "voxels in NRRD")
        check(np.allclose(itk_matrix(itk), LPS @ source.affine, atol=1e-4), "ITK and NRRD")
        convert("--labels", folder / "labels.seg.nrrd", folder / "made.nii.gz")
        made = nib.load(folder / "made.nii.gz")
        itk = sitk.ReadImage(str(folder / "made.nii.gz"))
        check((int(made.header["sform_code"]), int(made.header["qform_code"])) == (1, 1), "codes")
        for matrix in (made.affine, made.get_sform(), made.get_qform(), LPS @ itk_matrix(itk)):
            check(np.allclose(matrix, source.affine, atol=1e-4), f"made header {kind}: {matrix} {source.affine}")
        check(np.array_equal(np.asarray(made.dataobj), labels), "voxels in made NIfTI")
        # A volume of floats, through ITK's writer.
        volume = sitk.GetImageFromArray(rng.normal(size=(7, 8, 9)).astype(np.float32))
        matrix = LPS @ source.affine
        volume.SetSpacing(np.linalg.norm(matrix[:3, :3], axis=0).tolist())
        volume.SetDirection((matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)).ravel().tolist())
        volume.SetOrigin(matrix[:3, 3].tolist())
        sitk.WriteImage(volume, str(folder / "itk.nii.gz"))
        convert(folder / "itk.nii.gz", folder / "ours.nrrd")
        back = sitk.ReadImage(str(folder / "ours.nrrd"))
        check(np.allclose(itk_matrix(back), itk_matrix(volume), atol=1e-3), "ITK to ITK")
        check(np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(volume)), "floats")


def label_tables(folder):
    from totalsegmentator.nifti_ext_header import load_multilabel_nifti, save_multilabel_nifti

    labels = np.arange(4 * 4 * 4).reshape(4, 4, 4).astype(np.uint8) % 4
    plain = nib.Nifti1Image(labels, np.diag([2.0, 2, 2, 1]))
    nib.save(plain, folder / "plain.nii.gz")
    convert("--labels", folder / "plain.nii.gz", folder / "ours.nii.gz")
    _, names = load_multilabel_nifti(folder / "ours.nii.gz")
    check(names == {1: "part_1", 2: "part_2", 3: "part_3"}, names)
    # Theirs, through ours, back to theirs.
    save_multilabel_nifti(plain, folder / "theirs.nii.gz", {1: "spleen", 2: "kidney_right", 3: "brain & more"})
    convert("--labels", folder / "theirs.nii.gz", folder / "ours.nii.gz")
    _, names = load_multilabel_nifti(folder / "ours.nii.gz")
    check(names == {1: "spleen", 2: "kidney_right", 3: "brain & more"}, names)
    theirs, ours = (nib.load(folder / name).header.extensions[0] for name in ("theirs.nii.gz", "ours.nii.gz"))
    text = [extension.get_content() for extension in (theirs, ours)]
    text = [(t.decode() if isinstance(t, bytes) else t).rstrip("\0 \n") for t in text]
    check(text[0] == text[1], "the tables are the same text")
    check(theirs.get_code() == ours.get_code() == 0, "extension code")


def slicer(folder):
    labels = np.zeros((9, 8, 7), np.uint8)
    labels[2:5, 3:4, 1:6] = 2
    nib.save(nib.Nifti1Image(labels, np.diag([2.0, 2, 2, 1])), folder / "plain.nii.gz")
    convert("--labels", folder / "plain.nii.gz", folder / "ours.seg.nrrd")
    try:
        import nrrd
        import slicerio
    except ImportError:
        print("pynrrd or slicerio is not installed: not checked")
        return
    voxels, header = nrrd.read(str(folder / "ours.seg.nrrd"))
    check(np.array_equal(voxels, labels), "pynrrd")
    check(header["Segment1_Extent"] == "2 4 3 3 1 5", header["Segment1_Extent"])
    segmentation = slicerio.read_segmentation(str(folder / "ours.seg.nrrd"))
    names = [segment["name"] for segment in segmentation["segments"]]
    check(names == ["part_1", "part_2", "part_3"], names)
    check([segment["labelValue"] for segment in segmentation["segments"]] == [1, 2, 3], "label values")
    check(np.array_equal(segmentation["voxels"], labels), "slicerio")
    terminology = segmentation["segments"][1]["terminology"]
    check(terminology["type"] == ["SCT", "64033007", "Kidney"], terminology)
    check(terminology["typeModifier"] == ["SCT", "24028007", "Right"], terminology)
    # slicerio's own file, read by us and written back.
    slicerio.write_segmentation(str(folder / "theirs.seg.nrrd"), segmentation)
    convert("--labels", folder / "theirs.seg.nrrd", folder / "again.seg.nrrd")
    again = slicerio.read_segmentation(str(folder / "again.seg.nrrd"))
    check([segment["name"] for segment in again["segments"]] == names, "names after slicerio")
    check(again["segments"][1]["terminology"] == terminology, "terminology after slicerio")


with tempfile.TemporaryDirectory() as folder:
    round_trips(Path(folder))
    label_tables(Path(folder))
    slicer(Path(folder))
print(CHECKS, "checks hold")
