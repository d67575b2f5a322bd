"""Lets highdicom, pydicom, dcmqi, dciodvfy and Orthanc judge what `formats::dicom::seg` writes.

Every voxel, position, code and colour of a segmentation of each phantom is compared with the phantom itself. Run
`./check`, which finds the tools or says how to get them.
"""

import hashlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk

import phantoms

WRITER = sys.argv[1]
NAMES = {1: "spleen", 2: "kidney_right", 3: "kidney_left", 4: "kidney_cyst_left", 7: "own_structure"}
COLORS = {1: (157, 108, 162), 2: (212, 126, 151), 3: (212, 126, 151), 4: (205, 205, 100), 7: (0, 255, 0)}
TYPES = {1: "78961009", 2: "64033007", 3: "64033007", 4: "367643001"}
MODIFIERS = {2: "24028007", 3: "7771000"}
CHECKS = 0


def check(condition, *what):
    global CHECKS
    CHECKS += 1
    if not condition:
        sys.exit("FAILED: " + " ".join(map(str, what)))


def write(series, out):
    done = subprocess.run([WRITER, "write", series, out], capture_output=True, text=True, check=False)
    check(done.returncode == 0, series, done.stdout, done.stderr)
    return json.loads(done.stdout)


def read_back(path, *choices):
    done = subprocess.run([WRITER, "read", path, *choices], capture_output=True, text=True, check=False)
    check(done.returncode == 0, path, done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    grid = answer["grid"]
    size = grid["size"]
    answer["array"] = np.frombuffer(bytes.fromhex(answer["labels"]), np.uint8).reshape(size[::-1])
    answer["matrix"] = np.eye(4)
    answer["matrix"][:3, :3] = np.array(grid["axes"]).T
    answer["matrix"][:3, 3] = grid["origin"]
    return answer


def sources(folder):
    """(SOP instance UID, frame) -> (position, stored values), and the orientation."""
    found = {}
    for path in sorted(folder.rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        array = dataset.pixel_array
        if "PerFrameFunctionalGroupsSequence" not in dataset:
            found[dataset.SOPInstanceUID, None] = (dataset.ImagePositionPatient, array)
            continue
        for place, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            position = frame.PlanePositionSequence[0].ImagePositionPatient
            found[dataset.SOPInstanceUID, place + 1] = (position, array[place])
    return found


def with_pydicom(path, series):
    """Each frame against the very slice it names."""
    dataset = pydicom.dcmread(path)
    slices, masks = sources(series), dataset.pixel_array
    check(dataset.SegmentsOverlap == "NO" and dataset.Modality == "SEG", path)
    numbers = [segment.SegmentNumber for segment in dataset.SegmentSequence]
    check(numbers == list(range(1, len(NAMES) + 1)), numbers)
    seen = {}
    for frame, mask in zip(dataset.PerFrameFunctionalGroupsSequence, masks):
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        check(source.SpatialLocationsPreserved == "YES", path)
        key = (source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber"))
        position, values = slices[key]
        label = list(NAMES)[number - 1]
        check(np.array_equal(mask == 1, values == label), path, "mask of", label, "on", key)
        check(mask.any(), path, "an empty frame")
        check(frame.PlanePositionSequence[0].ImagePositionPatient == position, path, "position of", key)
        index = frame.FrameContentSequence[0].DimensionIndexValues
        check(index[0] == number and index[1] >= 1, path, index)
        seen.setdefault(label, set()).add(tuple(map(float, position)))
    for label in NAMES:
        there = {tuple(map(float, position)) for position, values in slices.values() if (values == label).any()}
        check(seen[label] == there, path, "slices of", label)
    first = pydicom.dcmread(next(iter(sorted(series.rglob("*.dcm")))))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDescription", "StudyDate", "AccessionNumber"):
        check(dataset.get(keyword, "") == first.get(keyword, ""), path, keyword)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    check(np.allclose(shared.PixelMeasuresSequence[0].PixelSpacing, phantoms.SPACING, atol=1e-9), path)


def with_highdicom(path, series, even):
    segmentation = hd.seg.segread(path)
    for number in segmentation.segment_numbers:
        label = list(NAMES)[number - 1]
        description = segmentation.get_segment_description(number)
        check(description.segment_label == NAMES[label], path, description.segment_label)
        check(description.algorithm_type == hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC, path)
        if label in TYPES:
            check(description.segmented_property_type.value == TYPES[label], path, label)
        else:
            check(description.segmented_property_type.scheme_designator == "99VESALIUS", path)
        item = description.SegmentedPropertyTypeCodeSequence[0]
        modifier = item.get("SegmentedPropertyTypeModifierCodeSequence")
        check((modifier[0].CodeValue if modifier else None) == MODIFIERS.get(label), path, label)
        regions = description.get("AnatomicRegionSequence")
        check(bool(regions) == (label == 4), path, label)
        if regions:
            check(regions[0].CodeValue == "64033007", path)
            check(regions[0].AnatomicRegionModifierSequence[0].CodeValue == "7771000", path)
        color = hd.color.CIELabColor.from_dicom_value(description.RecommendedDisplayCIELabValue)
        check(tuple(color.to_rgb()) == COLORS[label], path, label)
        algorithm = description.SegmentationAlgorithmIdentificationSequence[0]
        check(algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110", path)
    uids = {key[0] for key in sources(series)}
    referenced = {uid for _, _, uid in segmentation.get_source_image_uids()}
    check(referenced <= uids and referenced, path)
    if even:
        volume = segmentation.get_volume(combine_segments=True, relabel=True, allow_missing_positions=True)
        found, affine = volume.array, volume.affine
        slices = sources(series)
        for position, values in slices.values():
            index = np.linalg.solve(affine, [*map(float, position), 1])[:3]
            check(np.abs(index - index.round()).max() < 1e-3, path, index)
            k, j, i = index.round().astype(int)
            check((j, i) == (0, 0), path, index)
            relabelled = np.searchsorted([0, *NAMES], values)
            if 0 <= k < len(found):
                check(np.array_equal(found[k], relabelled), path, "volume at", k)
            else:
                check(not values.any(), path, "a slice is not in the volume")


def with_dcmqi(path, series):
    """dcmqi's own tool, whose images ITK reads."""
    with tempfile.TemporaryDirectory() as folder:
        tool = shutil.which("segimage2itkimage", path=str(Path(sys.executable).parent))
        done = subprocess.run(
            [tool, "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd"],
            capture_output=True,
            text=True,
            check=False,
        )
        check(done.returncode == 0, path, done.stdout, done.stderr)
        table = json.loads((Path(folder) / "meta.json").read_text())
        listed = {}
        for segment in (segment for group in table["segmentAttributes"] for segment in group):
            listed[segment["labelID"]] = segment
        for number, label in enumerate(NAMES, 1):
            segment = listed[number]
            check(segment["SegmentLabel"] == NAMES[label], path, segment)
            near = max(abs(a - b) for a, b in zip(segment["recommendedDisplayRGBValue"], COLORS[label]))
            check(near <= 1, path, segment["recommendedDisplayRGBValue"], COLORS[label])
            modifier = segment.get("SegmentedPropertyTypeModifierCodeSequence", {}).get("CodeValue")
            check(modifier == MODIFIERS.get(label), path, segment)
            image = sitk.ReadImage(str(Path(folder) / f"{number}.nrrd"))
            found = sitk.GetArrayFromImage(image)
            for position, values in sources(series).values():
                index = image.TransformPhysicalPointToContinuousIndex([float(value) for value in position])
                check(max(abs(value - round(value)) for value in index) < 1e-2, path, index)
                i, j, k = map(round, index)
                check((i, j) == (0, 0), path, index)
                if 0 <= k < len(found):
                    check(np.array_equal(found[k] != 0, values == label), path, NAMES[label], "at", k)
                else:
                    check(not (values == label).any(), path, NAMES[label], "is cut off")


def with_dciodvfy(path, remarks):
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        check(not line.startswith("Error"), path, line)
        if line.startswith("Warning"):
            remarks.setdefault(re.sub(r"<[^>]*>", "<>", line), set()).add(Path(path).stem)


def own_reader(path, series, even):
    """What is written comes back, where a grid can hold it."""
    if not even:
        return
    back = read_back(path)
    check([segment["name"] for segment in back["segments"]] == list(NAMES.values()), path)
    check([tuple(segment["color"]) for segment in back["segments"]] == list(COLORS.values()), path)
    for position, values in sources(series).values():
        index = np.linalg.solve(back["matrix"], [*map(float, position), 1])[:3]
        check(np.abs(index - index.round()).max() < 1e-3, path, index)
        k = round(index[2])
        expected = np.searchsorted([0, *NAMES], values)
        if 0 <= k < len(back["array"]):
            check(np.array_equal(back["array"][k], expected), path, k)
        else:
            check(not values.any(), path, k)


def with_orthanc(paths, folder):
    """Over DICOMweb into an Orthanc of our own, and back, without a changed byte of the data set."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dicom_port = free.getsockname()[1]
    plugins = [path for path in Path("/usr").rglob("libOrthancDicomWeb.so*") if path.is_file()][:1]
    check(plugins, "Orthanc has no DICOMweb plug-in: apt-get install orthanc-dicomweb")
    settings = {
        "Name": "check",
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "HttpPort": port,
        "DicomPort": dicom_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(plugins[0])],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "orthanc.log").open("w")
    server = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                ask(port, "GET", "/system")
                break
            except OSError:
                time.sleep(0.1)
        for path in paths:
            sent = path.read_bytes()
            kind = 'multipart/related; type="application/dicom"; boundary=frontier'
            body = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + sent + b"\r\n--frontier--\r\n"
            status, _ = ask(port, "POST", "/dicom-web/studies", body, kind)
            check(status == 200, path, "STOW-RS answered", status)
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            url = f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
            status, answer = ask(port, "GET", url + f"/instances/{dataset.SOPInstanceUID}")
            check(status == 200, path, "WADO-RS answered", status)
            # Orthanc may write another file meta group; the data set begins with the character set or image type.
            begin = (
                sent.index(b"\x08\x00\x08\x00CS")
                if b"\x08\x00\x05\x00CS" not in sent
                else sent.index(b"\x08\x00\x05\x00CS")
            )
            check(sent[begin:] in answer, path, "came back changed")
            status, answer = ask(port, "GET", url + "/metadata")
            check(status == 200 and len(json.loads(answer)) == 1, path, "metadata answered", status)
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def ask(port, method, path, body=None, kind=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, {"Content-Type": kind} if kind else {})
    response = connection.getresponse()
    return response.status, response.read()


def main():
    began = time.time()
    remarks, paths = {}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for series in phantoms.write_all(folder / "series"):
            source, path = folder / "series" / series, folder / f"{series}.dcm"
            write(source, path)
            first = hashlib.sha256(path.read_bytes()).hexdigest()
            write(source, path)
            check(hashlib.sha256(path.read_bytes()).hexdigest() == first, series, "other bytes the second time")
            uneven = series == "uneven"
            with_pydicom(path, source)
            with_highdicom(path, source, even=series not in ("uneven", "tilted"))
            own_reader(path, source, even=not uneven)
            if series not in ("uneven", "tilted"):
                with_dcmqi(path, source)
            with_dciodvfy(path, remarks)
            paths.append(path)
        with_orthanc(paths, folder)
    for remark, series in sorted(remarks.items()):
        print(f"dciodvfy: {remark} ({', '.join(sorted(series))})")
    print(f"{len(paths)} segmentations, {CHECKS} comparisons, {time.time() - began:.0f} s: all agree")


if __name__ == "__main__":
    main()
