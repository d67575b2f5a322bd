"""Makes segmentation objects with highdicom and dcmqi, and what these read in them, for the tests of the reader.

`python make.py` with highdicom 0.28.2, dcmqi 1.5.7 and SimpleITK installed; writes *.dcm and expected.json here.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

import phantoms

HERE = Path(__file__).parent
ROOT = phantoms.ROOT + ".8"


def descriptions(labels):
    algorithm = hd.AlgorithmIdentificationSequence("make.py", codes.DCM.ArtificialIntelligence, "1")
    found = []
    for number in labels:
        description = hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"structure {number}",
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=hd.sr.CodedConcept("64033007", "SCT", "Kidney"),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            anatomic_regions=[hd.sr.CodedConcept("113345001", "SCT", "Abdomen")] if number == 2 else None,
            display_color=hd.color.CIELabColor.from_rgb(10 * number, 200 - 10 * number, 40 + number),
        )
        if number == 1:
            description.SegmentLabel = "Niere längs"
            left = hd.sr.CodedConcept("7771000", "SCT", "Left")
            description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [left]
        found.append(description)
    return found


def with_highdicom(name, source, pixels, kind, labels, **extra):
    extra.setdefault("transfer_syntax_uid", ExplicitVRLittleEndian)
    segmentation = hd.seg.Segmentation(
        source_images=source,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=descriptions(labels),
        series_instance_uid=f"{ROOT}.1",
        series_number=1,
        sop_instance_uid=f"{ROOT}.2",
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="make.py",
        software_versions="1",
        device_serial_number="1",
        **extra,
    )
    segmentation.SpecificCharacterSet = "ISO_IR 100"
    segmentation.save_as(HERE / f"{name}.dcm")


def with_dcmqi(source, pixels, geometry):
    """Two structures, from an ITK image, as 3D Slicer writes them."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        image = sitk.GetImageFromArray(pixels)
        affine = geometry.affine
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        image.SetSpacing([*spacing[::-1]])
        image.SetDirection((affine[:3, :3] / spacing)[:, ::-1].ravel())
        image.SetOrigin(affine[:3, 3])
        sitk.WriteImage(image, folder / "labels.nrrd")
        for path, dataset in enumerate(source):
            dataset.save_as(folder / f"{path}.dcm")
        code = lambda value, meaning: {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}
        segment = lambda number: {
            "labelID": number,
            "SegmentLabel": f"dcmqi {number}",
            "SegmentAlgorithmType": "MANUAL",
            "SegmentedPropertyCategoryCodeSequence": code("123037004", "Anatomical Structure"),
            "SegmentedPropertyTypeCodeSequence": code("64033007", "Kidney"),
            "SegmentedPropertyTypeModifierCodeSequence": code("7771000", "Left"),
            "recommendedDisplayRGBValue": [10 * number, 100, 50],
        }
        table = {
            "ContentCreatorName": "make.py",
            "ClinicalTrialSeriesID": "1",
            "ClinicalTrialTimePointID": "1",
            "SeriesDescription": "dcmqi",
            "SeriesNumber": "1",
            "InstanceNumber": "1",
            "segmentAttributes": [[segment(number) for number in (1, 2)]],
        }
        (folder / "meta.json").write_text(json.dumps(table))
        tool = shutil.which("itkimage2segimage", path=str(Path(sys.executable).parent))
        files = ",".join(str(folder / f"{path}.dcm") for path in range(len(source)))
        arguments = ["--inputImageList", folder / "labels.nrrd", "--inputMetadata", folder / "meta.json"]
        subprocess.run([tool, *arguments, "--outputDICOM", HERE / "dcmqi.dcm", "--inputDICOMList", files], check=True)


def truth(name):
    """Grid and labels as highdicom reads them; columns of the matrix are i, j, k."""
    segmentation = hd.seg.segread(HERE / f"{name}.dcm")
    options = (
        {}
        if segmentation.segmentation_type != hd.seg.SegmentationTypeValues.FRACTIONAL
        else {"rescale_fractional": False}
    )
    fractional = bool(options)
    if segmentation.segmentation_type == hd.seg.SegmentationTypeValues.LABELMAP:
        volume = segmentation.get_volume(combine_segments=True, allow_missing_positions=True)
        labels = volume.array
    else:
        volume = segmentation.get_volume(allow_missing_positions=True, **options)
        labels = np.zeros(volume.array.shape[:3], np.uint8)
        for place, number in enumerate(segmentation.segment_numbers):
            share = volume.array[..., place].astype(int)
            labels[share * 2 >= (segmentation.MaximumFractionalValue if fractional else 1)] = number
    affine = volume.affine
    if np.linalg.det(affine[:3, [2, 1, 0]]) < 0:
        # Ours rises along row x column.
        labels = labels[::-1]
        affine = affine @ np.array([[-1, 0, 0, len(labels) - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    segments = []
    for number in segmentation.segment_numbers:
        item = segmentation.get_segment_description(number)
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        modifier = kind.get("SegmentedPropertyTypeModifierCodeSequence")
        color = hd.color.CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb()
        segments.append(
            {
                "value": number,
                "name": str(item.SegmentLabel),
                "type": kind.CodeValue,
                "modifier": modifier[0].CodeValue if modifier else None,
                "region": item.AnatomicRegionSequence[0].CodeValue if "AnatomicRegionSequence" in item else None,
                "color": list(map(int, color)),
            }
        )
    return {
        "size": list(labels.shape[::-1]),
        "matrix": affine[:, [2, 1, 0, 3]].tolist(),
        "labels": np.ascontiguousarray(labels).astype(np.uint8).tobytes().hex(),
        "segments": segments,
    }


def main():
    with tempfile.TemporaryDirectory() as folder:
        phantoms.write_all(Path(folder))
        read = lambda series: [pydicom.dcmread(path) for path in sorted((Path(folder) / series).glob("*.dcm"))]
        oblique, axial = read("oblique"), read("axial")
        geometry = hd.get_volume_from_series(oblique)
        values = np.stack([dataset.pixel_array for dataset in oblique])
        kinds = hd.seg.SegmentationTypeValues
        masks = np.stack([values == label for label in phantoms.LABELS], -1).astype(np.uint8)
        numbers = np.searchsorted([0, *phantoms.LABELS], values).astype(np.uint8)
        five = [1, 2, 3, 4, 5]
        with_highdicom("binary", oblique, masks, kinds.BINARY, five)
        with_highdicom("labelmap", oblique, numbers, kinds.LABELMAP, five)
        shares = (masks[..., :2] * np.linspace(0.1, 1, phantoms.COLUMNS)[:, None]).astype(np.float32)
        with_highdicom("fractional", oblique, shares, kinds.FRACTIONAL, [1, 2], max_fractional_value=200)
        with_highdicom("rle", oblique, shares, kinds.FRACTIONAL, [1, 2], transfer_syntax_uid=RLELossless)
        axial_values = np.stack([dataset.pixel_array for dataset in axial])
        wide = np.stack([axial_values == 1, (axial_values == 1) | (axial_values == 2)], -1).astype(np.uint8)
        with_highdicom("overlap", axial, wide, kinds.BINARY, [1, 2])
        with_dcmqi(oblique, np.where(numbers <= 2, numbers, 0).astype(np.uint8), geometry)
    names = ["binary", "labelmap", "fractional", "rle", "overlap", "dcmqi"]
    expected = {name: truth(name) for name in names}
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
