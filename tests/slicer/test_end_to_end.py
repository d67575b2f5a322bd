"""Volume node in, segmentation node out: the labels of the command line, voxel by voxel, in every geometry and type."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from engine import EXAMPLE, run
from VesaliusLib.vesalius import Image, Steps
from volumes import GEOMETRIES, add_volume, as_type, rotation, small_ct

TASK = {"task": "total", "speed": "fastest"}


def segment(client, volume, node=None, **request):
    """What the panel does, in one call: gives the node and what became of the result."""
    from VesaliusLib import scene as volumes
    from VesaliusLib import segments

    # Nothing is to be kept on the engine that all tests share.
    read = volumes.read_image(volume)
    image = Image(read.header, read.voxels)
    node = node or segments.new_segmentation(volume)
    labels = {}

    def room(table):
        labels["image"], view = segments.label_image(volume)
        return view

    work = client.segment(image, {**TASK, **request}, room)
    result = Steps(work).finish(timeout=120)
    put = segments.put(volume, node, labels["image"], result.table, request.get("region"))
    return node, Steps(put).finish(), result.table


def labels_of(node, volume, table):
    """The labels of a segmentation node on the grid of a volume, put together segment by segment."""
    import slicer.util

    labels = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    values = {row["id"]: row["value"] for row in table["segments"]}
    for each in node.GetSegmentation().GetSegmentIDs():
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, each, volume)
        labels[mask != 0] = values[each]
    return labels


def by_command_line(home, voxels, matrix, *flags):
    """The labels that `vesalius segment` gives for the same voxels in a NRRD file, which holds every geometry."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    k, j, i = voxels.shape
    vectors = " ".join("({},{},{})".format(*map(repr, map(float, lps[:3, axis]))) for axis in range(3))
    kind = {"int16": "int16", "uint8": "uint8", "float32": "float"}[voxels.dtype.name]
    head = (
        f"NRRD0005\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: {i} {j} {k}\n"
        f"space directions: {vectors}\nspace origin: ({','.join(repr(float(v)) for v in lps[:3, 3])})\n"
        "endian: little\nencoding: raw\n\n"
    )
    path, output = home / "image.nrrd", home / "labels.seg.nrrd"
    path.write_bytes(head.encode() + voxels.tobytes())
    output.unlink(missing_ok=True)
    run(home, "segment", "-q", "-i", str(path), "-o", str(output), "--ml", "--device", "cpu", *flags)
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(output)))


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_labels_are_those_of_the_command_line(scene, client, engine, name, dtype):
    voxels, matrix = as_type(small_ct(), dtype), GEOMETRIES[name]
    volume = add_volume(scene, voxels, matrix)
    if name == "transformed":
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        move = np.eye(4)
        move[:3, :3], move[:3, 3] = rotation(0.4, 0.1, -0.7), [40.0, -15.0, 8.0]
        import slicer.util

        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(move))
        volume.SetAndObserveTransformNodeID(transform.GetID())
    node, done, table = segment(client, volume)
    expected = by_command_line(engine.home, voxels, matrix, "--task", "total", "--fastest")
    labels = labels_of(node, volume, table)
    assert len(done.added) > 10 and labels.any()
    np.testing.assert_array_equal(labels, expected)
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()


def test_the_built_in_model_on_a_part_of_the_example(scene, client, engine):
    import nibabel

    whole = nibabel.load(EXAMPLE)
    box = (slice(36, 92), slice(36, 100), slice(62, 110))
    # nibabel's arrays are [i, j, k].
    voxels = np.ascontiguousarray(np.asarray(whole.dataobj)[box].T.astype(np.int16))
    matrix = whole.slicer[box].affine
    volume = add_volume(scene, voxels, matrix, "head")
    node, done, table = segment(client, volume, task="headneck", speed="default")
    assert len(done.added) == 5 and not done.empty
    expected = by_command_line(engine.home, voxels, matrix, "--task", "headneck")
    np.testing.assert_array_equal(labels_of(node, volume, table), expected)
