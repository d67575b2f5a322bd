"""Copies real slices in many transfer syntaxes and writes what pydicom makes of them.

    pip install pydicom numpy pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg pyjpegls
    python make.py FOLDER_WITH_SOURCES      # see README.md for where they come from
"""

import json
import shutil
import sys
import zlib
from pathlib import Path

import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless, JPEGLSNearLossless

HERE = Path(__file__).parent
SOURCES = {
    "mr_j2k_lossless.dcm": "d2n_compressed/IM-0001-0001-0001.dcm",
    "mr_jpeg_lossless.dcm": "d2n_compressed_jpeg/IM-0001-0001-0001.dcm",
    "mr_rle.dcm": "d2n_compressed_rle/IM-0001-0001-0001.dcm",
    "ct_jpeg_baseline.dcm": "ct_all_transfer_syntaxes_cornerstone/CTImage.dcm_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm",
    "ct_jpeg_extended.dcm": "ct_all_transfer_syntaxes_cornerstone/CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
    "ct_jpegls_near.dcm": "ct_all_transfer_syntaxes_cornerstone/CTImage.dcm_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm",
    "ct_jpeg_progressive.dcm": "ct_all_transfer_syntaxes_cornerstone/CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
}
# Cosine transforms of more than 8 bits, and progressive ones, cannot be undone here: refused, never guessed.
REFUSED = {"ct_jpeg_extended.dcm", "ct_jpeg_progressive.dcm"}
# Lossy inverse transforms may be rounded differently: then the mean counts, within this.
INEXACT = {"ct_jpeg_baseline.dcm": 0.5}


def intensities(dataset):
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    return dataset.pixel_array.astype("f8") * float(slope) + float(intercept)


def as_jpegls(source, target, near):
    """The same pixels through CharLS."""
    import jpeg_ls

    dataset = pydicom.dcmread(source)
    pixels = dataset.pixel_array * 16  # Beyond 8 bits, or the encoder takes fewer than the header says.
    stream = bytes(jpeg_ls.encode_array(pixels, lossy_error=near))
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLSNearLossless if near else JPEGLSLossless
    dataset.save_as(target)


def main(sources):
    for name, source in SOURCES.items():
        shutil.copyfile(sources / source, HERE / name)
    for name, near in [("mr_jpegls_lossless.dcm", 0), ("mr_jpegls_near.dcm", 3)]:
        as_jpegls(HERE / "mr_rle.dcm", HERE / name, near)
    expected = {}
    for path in sorted(HERE.glob("*.dcm")):
        if path.name in REFUSED:
            expected[path.name] = {"code": "E_UNSUPPORTED_TS"}
            continue
        values = intensities(pydicom.dcmread(path))
        entry = {"mean": float(values.mean()), "within": INEXACT.get(path.name, 1e-3)}
        if path.name not in INEXACT:
            entry["crc32"] = f"{zlib.crc32(values.astype('<f4').tobytes()):08x}"
        expected[path.name] = entry
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
