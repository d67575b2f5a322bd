"""Volume nodes as the engine takes them: no copy, exact matrices, refusals in words, boxes under transforms."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from VesaliusLib import scene as images
from VesaliusLib.vesalius import VesaliusError, geometry
from volumes import GEOMETRIES, add_volume, rotation, small_ct

DTYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64"]


def small(dtype="int16"):
    """Voxels that are all unlike."""
    return np.arange(60).reshape(5, 4, 3).astype(dtype)


def add_transform(scene, matrix):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


@pytest.mark.parametrize("dtype", DTYPES)
def test_voxels_are_those_of_the_node_without_a_copy(scene, dtype):
    volume = add_volume(scene, small(dtype), np.eye(4))
    image = images.read_image(volume)
    assert image.header["dtype"] == dtype and image.header["dims"] == [3, 4, 5]
    array = slicer.util.arrayFromVolume(volume)
    assert np.shares_memory(np.frombuffer(image.voxels, np.uint8), array)
    assert bytes(image.voxels) == small(dtype).tobytes()
    # The memory stays while somebody looks at it.
    voxels, expected = image.voxels, small(dtype).tobytes()
    del image, array
    scene.RemoveNode(volume)
    del volume
    assert bytes(voxels) == expected


@pytest.mark.parametrize("name", GEOMETRIES)
def test_matrices_are_sent_to_the_last_bit(scene, name):
    volume, matrix = add_volume(scene, small(), GEOMETRIES[name]), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    header = images.read_image(volume).header
    assert header["space"] == "RAS"
    assert header["ijk_to_world"] == [matrix.GetElement(at // 4, at % 4) for at in range(16)]
    np.testing.assert_allclose(header["ijk_to_world"], GEOMETRIES[name].ravel(), atol=1e-12)


def test_transforms_do_not_reach_the_voxels(scene):
    volume = add_volume(scene, small(), GEOMETRIES["oblique"])
    before = images.read_image(volume).header
    volume.SetAndObserveTransformNodeID(add_transform(scene, GEOMETRIES["permuted"]).GetID())
    assert images.read_image(volume).header == before


def test_an_extent_that_does_not_begin_at_zero_moves_the_first_voxel(scene):
    volume = add_volume(scene, small(), GEOMETRIES["oblique"])
    data = vtk.vtkImageData()
    data.SetExtent(2, 4, 1, 4, 7, 11)
    data.AllocateScalars(vtk.VTK_SHORT, 1)
    volume.SetAndObserveImageData(data)
    matrix = np.reshape(images.read_image(volume).header["ijk_to_world"], (4, 4))
    expected = GEOMETRIES["oblique"] @ [2, 1, 7, 1]
    np.testing.assert_allclose(matrix[:, 3], expected, atol=1e-12)


def test_what_cannot_be_segmented_is_refused_in_words(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    color = slicer.util.addVolumeFromArray(
        np.zeros((3, 4, 5, 3), np.uint8), name="photo", nodeClassName="vtkMRMLVectorVolumeNode"
    )
    labels = slicer.util.addVolumeFromArray(
        np.zeros((3, 4, 5), np.uint8), name="labels", nodeClassName="vtkMRMLLabelMapVolumeNode"
    )
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", "bone")
    flat = add_volume(scene, small(), np.eye(4), "flat")
    parallel = np.array([[0.7, 1.3, 0, 0], [0.7, 1.3, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    flat.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(parallel))
    for node, words in (
        (None, "no image"),
        (empty, "no voxels"),
        (color, "3 values per voxel"),
        (labels, "no image of grey values"),
        (model, "no image of grey values"),
        (flat, "flat"),
    ):
        with pytest.raises(VesaliusError, match=words) as caught:
            images.read_image(node)
        assert caught.value.hint


def test_changes_of_a_node_are_seen(scene):
    volume = add_volume(scene, small(), np.eye(4))
    image = images.read_image(volume)
    assert image.is_current() and images.read_image(volume).key == image.key
    slicer.util.arrayFromVolume(volume)[0, 0, 0] = 7
    slicer.util.arrayFromVolumeModified(volume)
    assert not image.is_current()
    image = images.read_image(volume)
    volume.SetSpacing(1, 1, 2)
    assert not image.is_current()
    image = images.read_image(volume)
    scene.RemoveNode(volume)
    assert not image.is_current()


def test_dicom_tells_the_modality(scene):
    volume = add_volume(scene, small(), np.eye(4))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    hierarchy.SetItemAttribute(item, constants.GetDICOMSeriesModalityAttributeName(), "MR")
    assert images.read_image(volume).header["modality"] == "MR"
    guess = images.guess(volume)
    assert (guess.modality, guess.is_told) == ("MR", True)
    assert guess.doubt("MR") == "" and guess.doubt("CT") == "this task is for CT, and this image is MR"


def test_values_tell_what_dicom_does_not(scene):
    ct = images.guess(add_volume(scene, small_ct(), np.eye(4)))
    assert (ct.modality, ct.is_told, ct.doubt("CT")) == ("CT", False, "")
    mr = images.guess(add_volume(scene, small("uint16") * 20, np.eye(4)))
    assert mr.modality == "MR" and "air is -1000" in mr.doubt("CT")
    odd = images.guess(add_volume(scene, small() - 30, np.eye(4)))
    assert odd.modality == "" and odd.doubt("CT") == ""
    # What is only guessed is not sent as if it were known.
    assert "modality" not in images.read_image(add_volume(scene, small_ct(), np.eye(4))).header
    empty = images.guess(add_volume(scene, np.full((3, 3, 3), np.nan, np.float32), np.eye(4)))
    assert empty.modality == "MR" or empty.modality == ""


SCALED = np.array([[1.5, 0, 0, 9], [0, 0.0, -0.8, 4], [0, 1.2, 0, -6], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("under", ["nothing", "roi", "volume", "both"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_roi_gives_the_voxels_that_slicer_sees_in_it(scene, name, under):
    volume = add_volume(scene, np.zeros((12, 14, 16), np.int16), GEOMETRIES[name])
    turn = np.eye(4)
    turn[:3, :3], turn[:3, 3] = rotation(0.5, -0.3, 0.2), [5, -8, 3]
    if under in ("volume", "both"):
        volume.SetAndObserveTransformNodeID(add_transform(scene, turn).GetID())
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenter([0, 0, 0])
    roi.SetSize([17.0, 21.0, 14.0])
    if under in ("roi", "both"):
        roi.SetAndObserveTransformNodeID(add_transform(scene, SCALED).GetID())
    # Into the middle of the volume, wherever that is.
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volume.GetParentTransformNode(), None, to_world)
    indices = np.stack(np.meshgrid(range(16), range(14), range(12), indexing="ij"), axis=-1).reshape(-1, 3)
    places = geometry.to_world(GEOMETRIES[name], indices)
    places = np.array([to_world.TransformPoint(place) for place in places])
    roi.SetCenterWorld(places.mean(axis=0))

    box = images.region_of(roi, volume)
    inside = indices[[roi.IsPointInROIWorld(place) for place in places]]
    assert len(inside) > 20
    least, most = inside.min(axis=0), inside.max(axis=0)
    for axis, (begin, end) in enumerate(box):
        assert begin <= least[axis] and most[axis] < end
    # The box of the box's corners is not wider than the corners are.
    corners = np.array([to_world.GetInverse().TransformPoint(p) for p in _corners(roi)])
    bounds = geometry.to_ijk(GEOMETRIES[name], corners)
    for axis, (begin, end) in enumerate(box):
        assert begin >= bounds[:, axis].min() - 1e-3 or begin == 0
        assert end - 1 <= bounds[:, axis].max() + 1e-3 or end == (16, 14, 12)[axis]


def _corners(roi):
    """The corners of a box of the markups module, from the surface that Slicer draws."""
    surface = roi.CreateROIBoxPolyDataWorld()
    return [surface.GetPoint(at) for at in range(surface.GetNumberOfPoints())]


def test_looking_at_a_transform_is_no_change(scene):
    volume = add_volume(scene, small(), np.eye(4))
    volume.SetAndObserveTransformNodeID(scene.AddNewNodeByClass("vtkMRMLLinearTransformNode").GetID())
    image = images.read_image(volume)
    volume.GetTransformNodeID()
    volume.GetParentTransformNode()
    assert image.is_current()
    volume.SetAndObserveTransformNodeID(None)
    assert not image.is_current()
