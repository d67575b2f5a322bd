"""Small CT series whose stored values are the labels that a segmentation of them must have.

Every way to lie that the reader accepts: tilted gantry, oblique, from head to feet, uneven, with a slice missing or
given twice, one enhanced object, odd sizes, and headers from a thin one to one in Greek.
"""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.543.7"
ROWS, COLUMNS, SLICES = 18, 15, 9
SPACING = (0.75, 1.25)  # between rows, between columns
STEP = 2.5
LABELS = (1, 2, 3, 4, 7)
TURN = np.linalg.qr(np.array([[0.9, 0.2, -0.3], [-0.1, 0.95, 0.2], [0.35, -0.1, 0.9]]))[0]
TURN = TURN * np.sign(np.diag(TURN))


def labels(constant=False):
    """[k, j, i]; a block for each label, of another depth each, or the same on every slice."""
    volume = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    for place, label in enumerate(LABELS):
        j, i = 1 + 3 * place, 2 + 2 * place
        depth = slice(None) if constant else slice(place, place + 3 + place % 3)
        volume[depth, j : j + 3, i : i + 4] = label
    return volume


def header(**extra):
    """What every slice says."""
    dataset = Dataset()
    dataset.PatientName = "Phantom^Cube"
    dataset.PatientID = "PHANTOM"
    dataset.PatientBirthDate = "19500101"
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = ROOT + ".1"
    dataset.SeriesInstanceUID = ROOT + ".2"
    dataset.FrameOfReferenceUID = ROOT + ".3"
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate, dataset.StudyTime = "20240229", "101112"
    dataset.SeriesDate, dataset.SeriesTime = "20240229", "101500.5"
    dataset.ContentDate, dataset.ContentTime = "20240229", "101600"
    dataset.AccessionNumber = "A1"
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber, dataset.Modality = 3, "CT"
    dataset.SeriesDescription = "phantom"
    dataset.Manufacturer = "none"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientPosition = "HFS"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.SliceThickness = STEP
    dataset.KVP = None
    dataset.AcquisitionNumber = 1
    for keyword, value in extra.items():
        if value is None:
            if keyword in dataset:
                del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def save(dataset, path, syntax=ExplicitVRLittleEndian):
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)


def classic(folder, positions, orientation, volume, names=None, syntax=ExplicitVRLittleEndian, uid=".4", **extra):
    """One file a slice."""
    folder.mkdir(parents=True)
    for k, (position, plane) in enumerate(zip(positions, volume)):
        dataset = header(**extra)
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"{ROOT}{uid}.{k + 1}"
        dataset.InstanceNumber = k + 1
        dataset.ImagePositionPatient = [float(f"{value:.6f}") for value in position]
        dataset.ImageOrientationPatient = [float(f"{value:.10f}") for value in orientation]
        dataset.PixelSpacing = list(SPACING)
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "HU"
        dataset.PixelData = plane.astype("<i2").tobytes()
        dataset["PixelData"].VR = "OW"
        save(dataset, folder / (names[k] if names else f"{k:03}.dcm"), syntax)


def enhanced(folder, positions, orientation, volume):
    """All slices in one object, the frames out of order."""
    folder.mkdir(parents=True)
    dataset = header(SliceThickness=None, KVP=None)
    dataset.SOPClassUID, dataset.SOPInstanceUID = EnhancedCTImageStorage, ROOT + ".5"
    dataset.InstanceNumber, dataset.NumberOfFrames = 1, SLICES
    measures, plane, values = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(SPACING), STEP
    plane.ImageOrientationPatient = [float(f"{value:.10f}") for value in orientation]
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, 0, "HU"
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [plane]
    shared.PixelValueTransformationSequence = [values]
    dataset.SharedFunctionalGroupsSequence = [shared]
    order = list(range(0, SLICES, 2)) + list(range(1, SLICES, 2))
    frames = []
    for place, k in enumerate(order):
        content, position, frame = Dataset(), Dataset(), Dataset()
        content.DimensionIndexValues = [k + 1]
        content.TemporalPositionIndex = 1
        position.ImagePositionPatient = [float(f"{value:.6f}") for value in positions[k]]
        frame.FrameContentSequence, frame.PlanePositionSequence = [content], [position]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.PixelData = volume[order].astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    save(dataset, folder / "enhanced.dcm")


def stack(orientation, step, heights=None, start=(-20.5, 31.25, 700.125)):
    """Positions of the slices, `step` or the normal times each height apart."""
    orientation = np.asarray(orientation, float)
    normal = np.cross(orientation[:3], orientation[3:])
    heights = np.arange(SLICES) * STEP if heights is None else np.asarray(heights)
    step = normal if step is None else np.asarray(step)
    return [np.asarray(start) + step * height for height in heights]


AXIAL = [1, 0, 0, 0, 1, 0]
OBLIQUE = [*TURN[:, 0], *TURN[:, 1]]


def write_all(folder: Path):
    """Writes every series below `folder`; returns their names."""
    plain, constant = labels(), labels(constant=True)
    upright = stack(AXIAL, None)
    classic(folder / "axial", upright, AXIAL, plain)
    classic(folder / "tilted", stack(AXIAL, [0, np.tan(np.radians(18)), 1]), AXIAL, plain)
    classic(folder / "oblique", stack(OBLIQUE, None), OBLIQUE, plain)
    sagittal, coronal = [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]
    classic(folder / "sagittal", stack(sagittal, None), sagittal, plain)
    classic(folder / "coronal", stack(coronal, None), coronal, plain)
    prone = [-1, 0, 0, 0, -1, 0]
    classic(folder / "prone", stack(prone, None), prone, plain)
    mirrored = [-1, 0, 0, 0, 1, 0]
    classic(folder / "mirrored", stack(mirrored, None), mirrored, plain)
    classic(folder / "reversed", upright[::-1], AXIAL, plain[::-1], names=[f"{9 - k}.dcm" for k in range(SLICES)])
    heights = [0, 2.5, 5, 8, 10.5, 13, 16, 18.5, 21]
    classic(folder / "uneven", stack(AXIAL, None, heights), AXIAL, constant)
    keep = [k for k in range(SLICES) if k != 4]
    classic(folder / "gap", [upright[k] for k in keep], AXIAL, constant[keep])
    classic(folder / "twice", upright, AXIAL, plain)
    classic(folder / "twice" / "again", upright[2:4], AXIAL, plain[2:4], uid=".6")
    enhanced(folder / "enhanced", stack(OBLIQUE, None), OBLIQUE, plain)
    classic(folder / "implicit", upright, AXIAL, plain, syntax=ImplicitVRLittleEndian)
    classic(
        folder / "greek",
        upright,
        AXIAL,
        plain,
        SpecificCharacterSet="ISO_IR 126",
        PatientName="Διονυσιος^Κύβος",
        StudyDescription="Θώρακας",
    )
    classic(
        folder / "thin",
        upright,
        AXIAL,
        plain,
        FrameOfReferenceUID=None,
        PositionReferenceIndicator=None,
        StudyDate=None,
        StudyTime=None,
        SeriesDate=None,
        SeriesTime=None,
        ContentDate=None,
        ContentTime=None,
        SliceThickness=None,
        PatientBirthDate=None,
        StudyID=None,
        PatientIdentityRemoved="YES",
        ClinicalTrialSponsorName="Sponsor",
        ClinicalTrialSubjectID="7",
        LossyImageCompression="01",
        LossyImageCompressionRatio="12.5",
        LossyImageCompressionMethod="ISO_15444_1",
    )
    return sorted(path.name for path in folder.iterdir())
