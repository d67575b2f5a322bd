"""Makes cases.json: awkward NIfTI and NRRD files, what we promise for each, and what nibabel and ITK make of it.

Run with nibabel and SimpleITK installed: `python make.py`. Geometry is written as the rows of the matrix from index
to LPS+ millimetres; `numpy` order of voxels is i fastest.
"""

import gzip
import json
import struct
import tempfile
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

warnings.filterwarnings("ignore")
sitk.ProcessObject.GlobalWarningDisplayOff()
SHAPE = (8, 6, 4)
COUNT = 192
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
NAN, INF = float("nan"), float("inf")


def header(dim=(3, 8, 6, 4, 1, 1, 1, 1), dt=4, bitpix=16, pixdim=(1, 2, 3, 4, 0, 0, 0, 0), vox=352.0, slope=1.0, inter=0.0,
           qcode=0, scode=1, quat=(0, 0, 0), qoff=(0, 0, 0), sx=(2, 0, 0, -10), sy=(0, 3, 0, -20), sz=(0, 0, 4, -30),
           magic=b"n+1\0", sizeof=348, order="<", units=2, intent=0):
    out = bytearray(348)
    put = lambda at, fmt, *values: struct.pack_into(order + fmt, out, at, *values)
    put(0, "i", sizeof)
    out[38:39] = b"r"
    put(40, "8h", *dim)
    put(68, "h", intent)
    put(70, "hh", dt, bitpix)
    put(76, "8f", *pixdim)
    put(108, "fff", vox, slope, inter)
    out[123] = units
    put(252, "hh", qcode, scode)
    put(256, "6f", *quat, *qoff)
    put(280, "12f", *sx, *sy, *sz)
    out[344:348] = magic
    return bytes(out)


def header2(order="<", dim=(3, 8, 6, 4, 1, 1, 1, 1), dt=4, bitpix=16, pixdim=(1, 2, 3, 4, 0, 0, 0, 0), vox=544,
            qcode=0, scode=1, quat=(0, 0, 0), qoff=(0, 0, 0), srow=(2, 0, 0, -10, 0, 3, 0, -20, 0, 0, 4, -30)):
    out = struct.pack(order + "i", 540) + b"n+2\0\r\n\x1a\n" + struct.pack(order + "hh8q3d8dq6dqq", dt, bitpix, *dim, 0, 0, 0,
                                                                      *pixdim, vox, 1.0, 0.0, 0, 0, 0, 0, 0, 0)
    out += bytes(104) + struct.pack(order + "ii6d12diii", qcode, scode, *quat, *qoff, *srow, 0, 2, 0) + bytes(32)
    assert len(out) == 540
    return out


NONE = b"\0\0\0\0"
VOXELS = np.arange(COUNT, dtype="<i2").tobytes()
CASES = []


def case(row, name, expect, data, choices=(), codes=(), modality=None):
    """`choices` are (key, value); each must read and place the voxels as the truth computed below says."""
    CASES.append(dict(row=row, name=name, expect=expect, data=data, choices=choices, warnings=list(codes), modality=modality))


def nii(row, name, expect, body=VOXELS, ext=NONE, choices=(), codes=(), modality=None, **fields):
    case(row, name, expect, header(**fields) + ext + body, choices, codes, modality)


GEOM = [("geometry", "sform"), ("geometry", "qform")]
nii("N01", "sform", "ok")
nii("N01", "both_agree", "ok", scode=1, qcode=1, qoff=(-10, -20, -30))
nii("N01", "qform", "ok", scode=0, qcode=1, quat=(0.1, 0.2, 0.3), qoff=(-10, -20, -30))
nii("N01", "oblique", "ok", sx=(1.732, -1.5, 0, -10), sy=(1, 2.598, 0, -20))
nii("N02", "contradict", "E_GEOM_AMBIGUOUS", scode=1, qcode=1, quat=(0, 0, 1), qoff=(99, 98, 97), choices=GEOM)
nii("N03", "flipped", "E_GEOM_AMBIGUOUS", scode=2, qcode=1, sx=(-2, 0, 0, 10), qoff=(-10, -20, -30), choices=GEOM)
nii("N04", "no_forms", "E_GEOM_MISSING", scode=0, qcode=0, choices=[("geometry", "nibabel"), ("geometry", "slicer")])
nii("N05", "singular", "E_GEOM_INVALID", sx=(2, 0, 0, 0), sy=(2, 0, 0, 0), sz=(0, 0, 4, 0))
nii("N05", "zero", "E_GEOM_INVALID", sx=(0,) * 4, sy=(0,) * 4, sz=(0,) * 4)
nii("N06", "nan", "E_GEOM_INVALID", sx=(NAN, 0, 0, 0))
nii("N07", "shear", "ok", sx=(2, 0, 1.5, -10), pixdim=(1, 2, 3, float(np.hypot(1.5, 4)), 0, 0, 0, 0), codes=["W_SHEAR"])
nii("N07", "shear_45", "E_GEOM_SHEAR", sx=(2, 0, 4, -10), pixdim=(1, 2, 3, float(np.hypot(4, 4)), 0, 0, 0, 0))
nii("N08", "shear_and_spacing", "E_GEOM_AMBIGUOUS", sx=(2, 0, 1.5, -10), choices=[("geometry", "sform")])
nii("N08", "spacing", "E_GEOM_AMBIGUOUS", pixdim=(1, 1, 1, 1, 0, 0, 0, 0), choices=[("geometry", "sform"), ("geometry", "slicer")])
nii("N09", "pixdim_zero", "E_GEOM_INVALID", pixdim=(1, 0, 0, 0, 0, 0, 0, 0), scode=0, qcode=1)
nii("N10", "pixdim_negative", "E_GEOM_INVALID", pixdim=(1, -2, 3, 4, 0, 0, 0, 0), scode=0, qcode=1)
nii("N11", "pixdim_nan", "E_GEOM_INVALID", pixdim=(1, NAN, 3, 4, 0, 0, 0, 0), scode=0, qcode=1)
nii("N11", "pixdim_nan_sform", "E_GEOM_AMBIGUOUS", pixdim=(1, NAN, 3, 4, 0, 0, 0, 0), choices=[("geometry", "sform")])
nii("N12", "qfac_zero", "ok", pixdim=(0, 2, 3, 4, 0, 0, 0, 0), scode=0, qcode=1, codes=["W_QFAC"])
nii("N12", "qfac_negative", "ok", pixdim=(-1, 2, 3, 4, 0, 0, 0, 0), scode=0, qcode=1, quat=(0, 0.6, 0), qoff=(5, 6, 7))
nii("N13", "quaternion_long", "E_GEOM_INVALID", scode=0, qcode=1, quat=(1, 1, 1))
nii("N13", "quaternion_nan", "E_GEOM_INVALID", scode=0, qcode=1, quat=(NAN, 0, 0))
nii("N13", "quaternion_half_turn", "ok", scode=0, qcode=1, quat=(0, 0.6, 0.8))
MILLI = dict(sx=(0.002, 0, 0, -0.01), sy=(0, 0.003, 0, -0.02), sz=(0, 0, 0.004, -0.03))
nii("N14", "metres", "ok", units=1, pixdim=(1, 0.002, 0.003, 0.004, 0, 0, 0, 0), codes=["W_UNITS"], **MILLI)
nii("N14", "metres_undeclared", "E_GEOM_INVALID", units=2, pixdim=(1, 0.002, 0.003, 0.004, 0, 0, 0, 0), **MILLI)
MICRO = dict(sx=(2000, 0, 0, 0), sy=(0, 3000, 0, 0), sz=(0, 0, 4000, 0))
nii("N14", "micrometres", "ok", units=3, pixdim=(1, 2000, 3000, 4000, 0, 0, 0, 0), codes=["W_UNITS"], **MICRO)
nii("N14", "unit_unknown", "ok", units=0, codes=["W_UNITS"])
nii("N15", "one_volume", "ok", dim=(4, 8, 6, 4, 1, 1, 1, 1))
SERIES = np.concatenate([np.arange(COUNT) + 1000 * n for n in range(3)]).astype("<i2").tobytes()
VOLUMES = [("volume", "0"), ("volume", "2")]
nii("N15", "three_volumes", "E_NOT_3D", dim=(4, 8, 6, 4, 3, 1, 1, 1), body=SERIES, choices=VOLUMES)
nii("N15", "vectors", "E_NOT_3D", dim=(5, 8, 6, 4, 1, 3, 1, 1), intent=1007, body=SERIES, choices=[("volume", "1")])
for name, dim in dict(dim0_zero=(0, 8, 6, 4), dim0_eight=(8, 8, 6, 4), dim0_negative=(-1, 8, 6, 4),
                      axis_negative=(3, -8, 6, 4), axis_zero=(3, 8, 0, 4)).items():
    nii("N16", name, "E_PARSE", dim=dim + (1,) * 4)
nii("N16", "two_axes", "E_NOT_3D", dim=(2, 8, 6, 0, 0, 0, 0, 0))
nii("N17", "huge_no_data", "E_TRUNCATED", dim=(3, 32767, 32767, 32767, 1, 1, 1, 1), dt=16, bitpix=32, body=b"")
nii("N17", "4_gib_no_data", "E_TRUNCATED", dim=(3, 1024, 1024, 1024, 1, 1, 1, 1), dt=16, bitpix=32, body=b"abcd")
nii("N17", "overflow", "E_TRUNCATED", dim=(7,) + (32767,) * 7, dt=64, bitpix=64, body=b"")
nii("N18", "short_data", "E_TRUNCATED", body=VOXELS[:100])
case("N18", "short_header", "E_TRUNCATED", header()[:100])
case("N18", "empty", "E_PARSE", b"")
GOOD = header() + NONE + VOXELS
PACKED = gzip.compress(GOOD, mtime=0)
case("N19", "gz", "ok", PACKED)
for cut in (3, 9, 60, len(PACKED) - 12):
    case("N19", f"gz_cut_by_{cut}", "E_TRUNCATED", PACKED[:-cut])
case("N20", "gz_checksum", "E_CORRUPT", PACKED[:-8] + bytes(8))
case("N20", "gz_length", "E_CORRUPT", PACKED[:-1] + b"\x01")
case("N21", "gz_members", "ok", gzip.compress(GOOD[:400], mtime=0) + gzip.compress(GOOD[400:], mtime=0))
case("N22", "gz_junk", "E_CORRUPT", PACKED + b"junkjunk")
case("N22", "gz_padding", "ok", PACKED + bytes(100))
case("N24", "not_gz", "ok", GOOD)
for name, vox in dict(zero=0, at_348=348, negative=-1, nan=NAN, huge=1e30, fraction=352.5).items():
    nii("N25", f"offset_{name}", "E_CORRUPT", vox=vox)
nii("N25", "offset_353", "ok", vox=353, body=b"\0" + VOXELS)
case("N25", "header_only", "E_CORRUPT", header())
ONE = b"\1\0\0\0"
nii("N26", "extension_beyond", "E_CORRUPT", vox=2**24, ext=ONE, body=struct.pack("<ii", 2**31 - 16, 4) + bytes(64) + VOXELS)
for name, size in dict(huge=2**31 - 16, zero=0, negative=-16, four=4).items():
    nii("N26", f"extension_{name}", "E_CORRUPT", vox=352 + 96, ext=ONE, body=struct.pack("<ii", size, 4) + b"x" * 88 + VOXELS)
nii("N26", "extension", "ok", vox=352 + 96, ext=ONE, body=struct.pack("<ii", 96, 4) + b"x" * 88 + VOXELS)
nii("N27", "slope_zero", "ok", slope=0.0, inter=5.0)
nii("N28", "slope_nan", "ok", slope=NAN, codes=["W_SLOPE"])
nii("N28", "slope_and_inter_nan", "ok", slope=NAN, inter=NAN)
nii("N28", "slope_infinite", "E_INTENSITY", slope=INF)
nii("N28", "inter_nan", "E_INTENSITY", inter=NAN)
nii("N29", "slope_negative", "ok", slope=-1.0, codes=["W_NEGATIVE_SLOPE"])
nii("N29", "slope_2_inter_10", "ok", slope=2.5, inter=10.0)
TYPES = dict(uint8=2, int16=4, int32=8, float32=16, float64=64, int8=256, uint16=512, uint32=768, int64=1024, uint64=1280)
for kind, code in TYPES.items():
    for order in "<>":
        values = (np.arange(COUNT) * (1 if "8" in kind else 300) - (0 if kind.startswith("u") or kind == "int8" else 20000))
        values = (values % 128 if kind == "int8" else values) * (0.37 if kind.startswith("f") else 1)
        body = values.astype(np.dtype(kind).newbyteorder(order)).tobytes()
        nii("N30", f"{kind}{'le' if order == '<' else 'be'}", "ok", dt=code, bitpix=8 * np.dtype(kind).itemsize, body=body, order=order)
BIG = (np.arange(COUNT) + 2**53 + 1).astype("<i8").tobytes()
nii("N30", "int64_rounds", "ok", dt=1024, bitpix=64, body=BIG)
nii("N30", "int64_ct", "E_INTENSITY", dt=1024, bitpix=64, body=BIG, modality="CT")
nii("N30", "float64_overflows", "E_INTENSITY", dt=64, bitpix=64, body=np.linspace(-1e300, 1e300, COUNT).astype("<f8").tobytes())
nii("N30", "slope_overflows", "E_INTENSITY", slope=1e38)
floats = np.arange(COUNT, dtype="<f4")
floats[5:8] = [NAN, INF, -INF]
nii("N31", "three_no_numbers", "E_INTENSITY", dt=16, bitpix=32, body=floats.tobytes())
floats = np.arange(COUNT, dtype="<f4") + 7
floats[5] = NAN
nii("N31", "one_no_number", "ok", dt=16, bitpix=32, body=floats.tobytes(), codes=["W_NAN"])
nii("N31", "one_no_number_ct", "ok", dt=16, bitpix=32, body=floats.tobytes(), codes=["W_NAN"], modality="CT")
for name, code, bits in [("rgb", 128, 24), ("rgba", 2304, 32)]:
    nii("N32", name, "E_UNSUPPORTED_TYPE", dt=code, bitpix=bits, body=bytes(COUNT * bits // 8))
for name, code, bits in [("unknown", 0, 0), ("binary", 1, 1), ("float128", 1536, 128), ("complex64", 32, 64), ("bogus", 777, 16)]:
    nii("N33", name, "E_UNSUPPORTED_TYPE", dt=code, bitpix=bits, body=bytes(COUNT * max(bits, 8) // 8))
nii("N34", "bitpix", "E_CORRUPT", bitpix=8)
nii("N35", "big_endian", "ok", order=">", body=np.arange(COUNT, dtype=">i2").tobytes(), qcode=1, qoff=(-10, -20, -30))
nii("N35", "sizeof_zero", "E_PARSE", sizeof=0)
nii("N35", "magic", "E_PARSE", magic=b"xyz\0")
nii("N35", "pair", "E_PARSE", magic=b"ni1\0", vox=0)
case("N35", "analyze", "E_PARSE", header(magic=b"\0\0\0\0", vox=0) + VOXELS)
case("N36", "nifti_2", "ok", header2() + NONE + VOXELS)
case("N36", "nifti_2_big_endian", "ok", header2(">", scode=0, qcode=2, quat=(0.1, 0.2, 0.3)) + NONE + np.arange(COUNT, dtype=">i2").tobytes())
case("N36", "nifti_2_truncated", "E_TRUNCATED", header2(dim=(3, 2**40, 2**40, 2**40, 1, 1, 1, 1)) + NONE)
case("N36", "nifti_2_negative", "E_PARSE", header2(dim=(3, 8, -(2**62), 4, 1, 1, 1, 1)) + NONE)
case("N36", "nifti_2_magic", "E_PARSE", header2()[:4] + b"n+1\0\r\n\x1a\n" + header2()[12:] + NONE + VOXELS)

DATA = np.arange(64, dtype="<i2").tobytes()
PLACE = "space: left-posterior-superior\nspace directions: (2,0,0) (0,3,0) (0,0,4)\nspace origin: (1,2,3)\n"


def nrrd(row, name, expect, place=PLACE, sizes="4 4 4", kind="int16", endian="little", encoding="raw", more="", body=DATA,
         dimension=3, choices=(), codes=(), modality=None):
    text = f"NRRD0005\ntype: {kind}\ndimension: {dimension}\nsizes: {sizes}\nendian: {endian}\n{place}encoding: {encoding}\n{more}\n"
    case(row, name, expect, text.encode() + body, choices, codes, modality)


nrrd("Q00", "raw", "ok")
nrrd("Q00", "gzip", "ok", encoding="gzip", body=gzip.compress(DATA, mtime=0))
nrrd("Q00", "big_endian", "ok", endian="big", body=np.arange(64, dtype=">i2").tobytes())
nrrd("Q00", "oblique", "ok", place=PLACE.replace("(2,0,0) (0,3,0)", "(1.6,1.2,0) (-1.8,2.4,0)"))
nrrd("Q01", "data_file", "E_UNSUPPORTED_TYPE", more="data file: /etc/passwd\n", body=b"")
nrrd("Q01", "datafile", "E_UNSUPPORTED_TYPE", more="DATAFILE: ../x\n", body=b"")
nrrd("Q01", "data_file_list", "E_UNSUPPORTED_TYPE", more="data file: LIST\nx\n", body=b"")
nrrd("Q02", "no_directions", "E_GEOM_MISSING", place="")
nrrd("Q02", "spacings_only", "E_GEOM_MISSING", place="spacings: 2 3 4\n", choices=[("geometry", "slicer")])
LIST = "space: left-posterior-superior\nspace directions: none (2,0,0) (0,3,0) (0,0,4)\nspace origin: (1,2,3)\nkinds: list domain domain domain\n"
nrrd("Q03", "list", "E_NOT_3D", place=LIST, sizes="2 4 4 4", dimension=4, body=DATA + DATA[::-1], choices=[("volume", "0"), ("volume", "1")])
nrrd("Q03", "list_of_one", "ok", place=LIST, sizes="1 4 4 4", dimension=4)
nrrd("Q04", "nan", "E_GEOM_INVALID", place=PLACE.replace("(2,0,0)", "(nan,0,0)"))
nrrd("Q04", "zero", "E_GEOM_INVALID", place=PLACE.replace("(2,0,0)", "(0,0,0)"))
nrrd("Q05", "shear", "ok", place=PLACE.replace("(0,0,4)", "(1,0,4)"), codes=["W_SHEAR"])
nrrd("Q06", "left_handed", "ok", place=PLACE.replace("(0,0,4)", "(0,0,-4)"))
nrrd("Q07", "ras", "ok", place=PLACE.replace("left-posterior", "right-anterior"))
nrrd("Q07", "las", "ok", place=PLACE.replace("left-posterior", "left-anterior"))
nrrd("Q07", "unnamed", "E_GEOM_AMBIGUOUS", place=PLACE.replace("space: left-posterior-superior", "space dimension: 3"), choices=[("geometry", "lps")])
nrrd("Q08", "metres", "ok", place=PLACE.replace("2,0,0", ".002,0,0").replace("0,3,0", "0,.003,0").replace("0,0,4", "0,0,.004"),
     more='space units: "m" "m" "m"\n', codes=["W_UNITS"])
nrrd("Q08", "metres_too_large", "E_GEOM_INVALID", more='space units: "m" "m" "m"\n')
nrrd("Q09", "huge", "E_LIMIT", sizes="65535 65535 65535")
nrrd("Q09", "negative", "E_LIMIT", sizes="-4 4 4")
nrrd("Q10", "short", "E_TRUNCATED", body=DATA[:50])
nrrd("Q10", "long", "E_CORRUPT", body=DATA + b"zz" * 40)
PACKED_DATA = gzip.compress(np.random.default_rng(0).bytes(128), mtime=0)
nrrd("Q10", "gz_truncated", "E_TRUNCATED", encoding="gzip", body=PACKED_DATA[:-40])
nrrd("Q10", "gz_checksum", "E_CORRUPT", encoding="gzip", body=PACKED_DATA[:-8] + bytes(8))
nrrd("Q10", "byte_skip_end", "ok", more="byte skip: -1\n", body=b"junkjunk" + DATA)
nrrd("Q10", "byte_skip", "ok", more="byte skip: 8\n", body=b"junkjunk" + DATA)
nrrd("Q10", "byte_skip_end_gz", "E_UNSUPPORTED_TYPE", more="byte skip: -1\n", encoding="gzip", body=PACKED_DATA)
for encoding in ("ascii", "hex", "bzip2"):
    nrrd("Q11", encoding, "E_UNSUPPORTED_TYPE", encoding=encoding)
nrrd("Q12", "twice", "E_CORRUPT", more="space origin: (0,0,0)\n")
nrrd("Q12", "no_colon", "E_PARSE", more="nonsense\n")
nrrd("Q12", "sizes_differ", "E_PARSE", sizes="4 4 4 4")
nrrd("Q12", "block", "E_UNSUPPORTED_TYPE", kind="block")


def itk_image(path):
    image = sitk.ReadImage(path)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return matrix, sitk.GetArrayFromImage(image)


def truth(case, path, choice):
    """Rows of the matrix to LPS and the voxels in file order, by a reader that agrees with what is promised."""
    key, value = choice or (None, None)
    volume = int(value) if key == "volume" else 0
    if case["row"].startswith("Q"):
        matrix, voxels = itk_image(path)
        if case["name"] == "las":  # The header is the truth: only the second axis changes sign.
            by_hand = np.diag([1, -1, 1, 1]) @ [[2, 0, 0, 1], [0, 3, 0, 2], [0, 0, 4, 3], [0, 0, 0, 1]]
            print("las: ITK agrees:", np.allclose(by_hand, matrix))
            matrix = by_hand
        if voxels.ndim == 4:
            voxels = voxels[..., volume]
        if "metres" in case["name"]:
            matrix[:3] *= 1000
            return matrix, voxels
        if case["name"] == "shear":  # ITK bends the axes back; the header is the truth.
            matrix[:3, :3] = np.array([[2, 0, 0], [0, 3, 0], [1, 0, 4]]).T
        return matrix, voxels
    image = nib.load(path)
    voxels = np.asarray(image.dataobj).astype(np.float32) if case["name"] != "int64_rounds" else np.asarray(image.dataobj).astype("f4")
    while voxels.ndim > 3:
        voxels = voxels[..., volume if voxels.shape[-1] > 1 else 0]
    affine = image.affine
    if value == "qform":
        affine = image.header.get_qform()
    if value == "sform":
        affine = image.header.get_sform()
    if value == "slicer":
        return itk_image(path)[0], voxels.T
    factor = {"metres": 1000, "micrometres": 1e-3}.get(case["name"], 1)
    affine = np.diag([factor] * 3 + [1.0]) @ affine
    return LPS @ affine, voxels.T


def check_values(voxels, case):
    flat = np.asarray(voxels, dtype="f4").ravel().astype("f8")
    if case["name"].startswith("one_no_number"):
        lowest = -1024.0 if case["modality"] == "CT" else np.nanmin(flat)
        flat[np.isnan(flat)] = lowest
    # Sums and three voxels catch wrong order, scale and type.
    return [float(flat.sum()), float((flat * np.arange(flat.size)).sum()), float(flat[0]), float(flat[5]), float(flat[-1])]


def main():
    out = []
    for case in CASES:
        gz = case["data"][:2] == b"\x1f\x8b"
        suffix = ".nrrd" if case["row"].startswith("Q") else ".nii.gz" if gz else ".nii"
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / f"case{suffix}")
            # nibabel refuses the padding that gzip itself allows.
            data = PACKED if case["name"] == "gz_padding" else case["data"]
            Path(path).write_bytes(data)
            reads = []
            wanted = [None] if case["expect"] == "ok" else list(case["choices"])
            for choice in wanted:
                matrix, voxels = truth(case, path, choice)
                reads.append(dict(choice=choice, matrix=matrix[:3].tolist(), values=check_values(voxels, case)))
        out.append(dict(row=case["row"], name=case["name"], expect=case["expect"], warnings=case["warnings"],
                        modality=case["modality"], reads=reads, data=case["data"].hex()))
    lines = ",\n".join(json.dumps(entry) for entry in out)
    Path(__file__).with_name("cases.json").write_text(f"[\n{lines}\n]\n")
    print(len(out), "cases,", sum(len(entry["reads"]) for entry in out), "reads with a truth")


main()
