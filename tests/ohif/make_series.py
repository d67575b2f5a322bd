"""Writes DICOM series for the tests of the OHIF plugin, from the example CT, with a description of each.

    make_series.py FOLDER [NAME ...]

The same anatomy lies in the same place of the patient in `hfs`, `ffs`, `prone`, `reversed`; only how slices cut, name and
order it differs. All but `hfs` are a part of it, to save time. Voxels are moved, never interpolated, so that each value can be traced.
`large` has the size of a CT of the trunk, 512 x 512 x 300.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

ROOT = Path(__file__).resolve().parents[2]
CT = ROOT / "docs/examples/head_neck_ct.nii.gz"


class Stack:
    """Voxels `[k, j, i]` with the first voxel's place and the steps of i, j, k in millimetres, LPS+."""

    def __init__(self, voxels: np.ndarray, origin: np.ndarray, steps: np.ndarray) -> None:
        self.voxels, self.origin, self.steps = voxels, origin, steps

    def flipped(self, axis: str) -> Stack:
        """The same anatomy, counted from the other end of an axis."""
        n = "ijk".index(axis)
        length = self.voxels.shape[2 - n]
        steps = self.steps.copy()
        steps[n] *= -1
        return Stack(np.flip(self.voxels, 2 - n), self.origin + (length - 1) * self.steps[n], steps)

    def turned(self, degrees: tuple[float, float, float]) -> Stack:
        """The patient turned about x, y and z."""
        rotation = np.eye(3)
        for axis, angle in enumerate(np.radians(degrees)):
            turn = np.eye(3)
            a, b = (axis + 1) % 3, (axis + 2) % 3
            turn[[a, a, b, b], [a, b, a, b]] = [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)]
            rotation = turn @ rotation
        return Stack(self.voxels, rotation @ self.origin, self.steps @ rotation.T)

    def cut(self, start: int, end: int) -> Stack:
        """Some of the slices."""
        return Stack(self.voxels[start:end], self.origin + start * self.steps[2], self.steps)


def example() -> Stack:
    """The example CT in LPS+, rows from the patient's right to left, columns from front to back, slices upwards."""
    image = nibabel.as_closest_canonical(nibabel.load(CT))
    voxels = np.rint(np.asarray(image.dataobj)).astype(np.int16).transpose(2, 1, 0)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    stack = Stack(voxels, affine[:3, 3], affine[:3, :3].T)
    return stack.flipped("i").flipped("j")


def write(
    folder: Path, name: str, groups: list[dict], modality: str, position: str, backwards: bool = False, of: str = ""
) -> dict:
    """Writes a series, of a study of its own or of that of the series `of`; each group is a stack and further attributes of its images."""
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.dcm"):
        old.unlink()
    seed = f"vesalius ohif test {name}"
    shared = f"vesalius ohif test {of or name}"
    uid = {kind: generate_uid(entropy_srcs=[seed if kind == "series" else shared, kind]) for kind in ("study", "series", "frame")}
    slices, number = [], 0
    planes = [(group, k) for k in range(len(groups[0]["stack"].voxels)) for group in groups]
    for group, k in reversed(planes) if backwards else planes:
        number += 1
        stack: Stack = group["stack"]
        data = base(modality, position, uid, of or name)
        if of:
            data.SeriesNumber, data.SeriesDescription = "3", name.upper()
        data.SOPInstanceUID = generate_uid(entropy_srcs=[seed, str(group.get("b")), str(k)])
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.InstanceNumber = number
        lengths = np.linalg.norm(stack.steps, axis=1)
        cosines = stack.steps[:2] / lengths[:2, None]
        data.ImageOrientationPatient = [f"{value:.10f}" for value in cosines.ravel()]
        data.ImagePositionPatient = [f"{value:.6f}" for value in stack.origin + k * stack.steps[2]]
        data.PixelSpacing = [f"{lengths[1]:.6f}", f"{lengths[0]:.6f}"]
        data.SliceThickness = f"{lengths[2]:.4f}"
        data.Rows, data.Columns = stack.voxels.shape[1:]
        if modality == "CT":
            stored = (stack.voxels[k].astype(np.int32) + 1024).clip(0, 4095).astype(np.uint16)
            data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "-1024", "1", "HU"
        else:
            stored = stack.voxels[k].astype(np.uint16)
            if group["b"] is not None:
                data.DiffusionBValue = float(group["b"])
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
        data.PixelRepresentation, data.SamplesPerPixel = 0, 1
        data.PixelData = stored.tobytes()
        file = target / f"{(number * 7919) % 100003:06d}.dcm"
        data.save_as(file, enforce_file_format=True)
        slices.append({"sop": data.SOPInstanceUID, "file": file.name, "k": k, "b": group.get("b")})
    for group in groups:
        np.save(target / f"voxels{group.get('b', '')}.npy", group["stack"].voxels)
    first = groups[0]["stack"]
    about = {
        "name": name,
        "study": uid["study"],
        "series": uid["series"],
        "modality": modality,
        "dims": list(first.voxels.shape[::-1]),
        "slices": slices,
    }
    (target / "series.json").write_text(json.dumps(about))
    return about


def write_frames(folder: Path, name: str, stack: Stack) -> dict:
    """Writes a series of one Enhanced CT image (PS3.3 A.38), a frame for each slice, stored from the last to the first."""
    about = write(folder, name, [{"stack": stack}], "CT", "HFS", backwards=True)
    target = folder / name
    planes = [pydicom.dcmread(target / each["file"]) for each in about["slices"]]
    data = planes[0].copy()
    data.file_meta = planes[0].file_meta
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    data.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    data.NumberOfFrames, data.InstanceNumber = len(planes), 1
    data.ContentQualification, data.VolumetricProperties, data.BurnedInAnnotation = "RESEARCH", "VOLUME", "NO"
    orientation, measures, transformation = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = data.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = data.PixelSpacing, data.SliceThickness
    transformation.RescaleIntercept, transformation.RescaleSlope, transformation.RescaleType = "-1024", "1", "HU"
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.PixelValueTransformationSequence = [transformation]
    data.SharedFunctionalGroupsSequence = [shared]
    # Frames are counted by their number in the stack (PS3.3 C.7.6.17).
    organization, index = Dataset(), Dataset()
    organization.DimensionOrganizationUID = generate_uid(entropy_srcs=[name, "dimension"])
    index.DimensionOrganizationUID = organization.DimensionOrganizationUID
    index.DimensionIndexPointer, index.FunctionalGroupPointer = 0x00209057, 0x00209111
    data.DimensionOrganizationSequence, data.DimensionIndexSequence = [organization], [index]
    frames = []
    for number, plane in enumerate(planes, 1):
        position, content, frame = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = plane.ImagePositionPatient
        content.FrameAcquisitionNumber, content.StackID, content.InStackPositionNumber = 1, "1", number
        content.DimensionIndexValues = [number]
        frame.PlanePositionSequence, frame.FrameContentSequence = [position], [content]
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = frames
    for moved in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleType",
                  "RescaleIntercept", "RescaleSlope"):
        del data[moved]
    data.PixelData = b"".join(plane.PixelData for plane in planes)
    for each in about["slices"]:
        (target / each["file"]).unlink()
    data.save_as(target / "frames.dcm", enforce_file_format=True)
    about["slices"] = [{"sop": data.SOPInstanceUID, "file": "frames.dcm", "k": each["k"]} for each in about["slices"]]
    (target / "series.json").write_text(json.dumps(about))
    return about


def base(modality: str, position: str, uid: dict, name: str) -> Dataset:
    """What all images of a series share."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.PatientName, data.PatientID = f"Test^{name.capitalize()}", f"TEST-{name.upper()}"
    data.PatientBirthDate, data.PatientSex = "", "O"
    data.StudyInstanceUID, data.SeriesInstanceUID = uid["study"], uid["series"]
    data.FrameOfReferenceUID = uid["frame"]
    data.StudyID, data.SeriesNumber, data.AccessionNumber = "1", "2", ""
    data.StudyDate = data.SeriesDate = data.ContentDate = "20260101"
    data.StudyTime = data.SeriesTime = data.ContentTime = "120000"
    data.StudyDescription, data.SeriesDescription = "Neck", {"CT": "Neck 3 mm", "MR": "DWI"}[modality]
    data.Modality, data.PatientPosition = modality, position
    data.Manufacturer, data.ReferringPhysicianName, data.PositionReferenceIndicator = "", "", ""
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PhotometricInterpretation = "MONOCHROME2"
    if modality == "CT":
        data.KVP, data.AcquisitionNumber = "120", "1"
    else:
        data.ScanningSequence, data.SequenceVariant, data.ScanOptions = "EP", "NONE", ""
        data.MRAcquisitionType, data.EchoTime, data.RepetitionTime, data.EchoTrainLength = "2D", "80", "4000", "1"
    return data


def diffusion() -> list[dict]:
    """A made-up head in two b-values, bright lesion in the second."""
    k, j, i = np.mgrid[:20, :96, :96].astype(float)
    head = ((i - 48) / 36) ** 2 + ((j - 48) / 42) ** 2 < 1
    lesion = ((i - 62) / 6) ** 2 + ((j - 40) / 5) ** 2 + ((k - 11) / 2.5) ** 2 < 1
    steps, origin = np.diag([2.3, 2.3, 6.5]), np.array([-110.0, -110.0, -50.0])
    # No slice is like its neighbours: one that stood in for another would be seen.
    low = ((600 + k) * head + 300 * lesion).astype(np.int16)
    high = ((200 + k) * head + 700 * lesion).astype(np.int16)
    return [{"stack": Stack(values, origin, steps), "b": b} for b, values in ((0, low), (1000, high))]


def adc() -> list[dict]:
    """Of the same head, and coarser: how freely water moves, little in the lesion."""
    low, high = (group["stack"] for group in diffusion())
    values = np.where(low.voxels > 0, 1000.0 * np.log(np.maximum(low.voxels, 1) / np.maximum(high.voxels, 1)), 0)
    steps = low.steps * np.array([[2], [2], [1]])
    origin = low.origin + 0.5 * (low.steps[0] + low.steps[1])
    blocks = values.reshape(20, 48, 2, 48, 2).mean(axis=(2, 4))
    return [{"stack": Stack(blocks.clip(0, 4095).astype(np.int16), origin, steps), "b": None}]


def large(stack: Stack) -> Stack:
    """The same anatomy in four times as many pixels across, 300 slices of a third of a millimetre, and noise as of a scanner."""
    voxels = stack.voxels.repeat(4, 1).repeat(4, 2).repeat(-(-300 // len(stack.voxels)), 0)[:300]
    noise = np.random.default_rng(1).integers(-12, 13, voxels.shape, dtype=np.int16)
    scale = np.array([4.0, 4.0, len(voxels) / len(stack.voxels)])
    return Stack(np.clip(voxels + noise, -1024, 3071), stack.origin, stack.steps / scale[:, None])


def make(folder: Path, names: list[str]) -> None:
    """Writes the series of these names; all without names."""
    ct = example()
    part = ct.cut(32, 96)
    kinds = {
        "hfs": lambda: write(folder, "hfs", [{"stack": ct}], "CT", "HFS"),
        "ffs": lambda: write(folder, "ffs", [{"stack": part.flipped("i").flipped("k")}], "CT", "FFS"),
        "prone": lambda: write(folder, "prone", [{"stack": part.flipped("i").flipped("j")}], "CT", "HFP"),
        "oblique": lambda: write(folder, "oblique", [{"stack": part.turned((9, -7, 5))}], "CT", "HFS"),
        "reversed": lambda: write(folder, "reversed", [{"stack": part}], "CT", "HFS", backwards=True),
        "short": lambda: write(folder, "short", [{"stack": ct.cut(40, 80)}], "CT", "HFS"),
        "large": lambda: write(folder, "large", [{"stack": large(ct)}], "CT", "HFS"),
        "frames": lambda: write_frames(folder, "frames", ct.cut(40, 80)),
        "one": lambda: write(folder, "one", [{"stack": ct.cut(60, 61)}], "CT", "HFS"),
        "dwi": lambda: write(folder, "dwi", diffusion(), "MR", "HFS"),
        "adc": lambda: write(folder, "adc", adc(), "MR", "HFS", of="dwi"),
    }
    for name in names or list(kinds):
        about = kinds[name]()
        print(name, *about["dims"], f"{len(about['slices'])} images")


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:])
