"""highdicom against `dicom_seg speed`: 117 structures on 512 x 512 x 300 voxels, to one BINARY object.

`python speed.py OUT.dcm [SLICES]` prints seconds and peak memory; the voxels are those of the example's `speed`.
"""

import resource
import sys
import time

import highdicom as hd
import numpy as np
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage

import phantoms

OUT = sys.argv[1]
SLICES = int(sys.argv[2]) if len(sys.argv) > 2 else 300


def blobs():
    j, i = np.ogrid[:512, :512]
    u, v = i // 60, j // 60
    away = (i % 60 - 30) ** 2 + (j % 60 - 30) ** 2
    inside = (u < 8) & (v < 8) & (away < 700)
    planes = [np.where(inside, (u + 8 * v + 29 * (k * 5 // SLICES)) % 117 + 1, 0) for k in range(SLICES)]
    return np.stack(planes).astype(np.uint8)


def source():
    for k in range(SLICES):
        dataset = phantoms.header(Rows=512, Columns=512)
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"{phantoms.ROOT}.9.{k + 1}"
        dataset.ImagePositionPatient = [0.0, 0.0, 1.5 * k]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [0.8, 0.8]
        yield dataset


def description(number):
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=f"structure_{number}",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Kidney,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence("x", codes.DCM.ArtificialIntelligence, "1"),
    )


def main():
    labels, images = blobs(), list(source())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.time()
    segmentation = hd.seg.Segmentation(
        source_images=images,
        pixel_array=labels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[description(number) for number in range(1, 118)],
        series_instance_uid=phantoms.ROOT + ".10",
        series_number=1,
        sop_instance_uid=phantoms.ROOT + ".11",
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="speed.py",
        software_versions="1",
        device_serial_number="1",
    )
    segmentation.save_as(OUT)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    print(f"{time.time() - began:.1f} s, processor {cpu:.1f} s, peak {peak / 1024:.0f} MiB, {before / 1024:.0f} before")


if __name__ == "__main__":
    main()
