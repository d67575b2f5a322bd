"""Segments as one label map and back: in place, over cropped and separate labelmaps, beside the user's own brush."""

from __future__ import annotations

import numpy as np
import pytest
from test_segments import SHAPE, put
from VesaliusLib.vesalius import Steps, delta
from volumes import GEOMETRIES, add_volume

FIRST = np.zeros(SHAPE, np.uint8)
FIRST[2:8, 2:8, 2:8] = 5
FIRST[2:8, 8:10, 2:8] = 7


@pytest.fixture
def volume(scene):
    return add_volume(scene, np.zeros(SHAPE, np.int16), GEOMETRIES["oblique"])


@pytest.fixture
def node(volume):
    from VesaliusLib import segments

    made = segments.new_segmentation(volume)
    put(volume, made, FIRST)
    return made


@pytest.fixture
def layers(volume, node):
    from VesaliusLib.layers import Layers

    return Layers(volume, node)


def done(work):
    return Steps(work).finish()


def paint(node, volume, each, box, adds=True):
    """A stroke of the Segment Editor, with its own logic: it takes voxels from others, and crops labelmaps."""
    import slicer

    scene = slicer.mrmlScene
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    kind = "vtkMRMLSegmentEditorNode"
    logic.SetSegmentEditorNode(scene.GetFirstNodeByClass(kind) or scene.AddNewNodeByClass(kind))
    logic.SetSegmentationNode(node)
    logic.SetSourceVolumeNode(volume)
    logic.SetCurrentSegmentID(each)
    logic.UpdateReferenceGeometryImage()
    from VesaliusLib import segments

    image, memory = segments.label_image(volume, 0)
    np.frombuffer(memory, np.uint8).reshape(volume.GetImageData().GetDimensions()[::-1])[box] = 1
    mode = logic.ModificationModeAdd if adds else logic.ModificationModeRemove
    logic.UpdateMaskLabelmap()
    logic.ModifySegmentByLabelmap(node, each, image, mode, list(image.GetExtent()), False)


def spy(segmentation):
    import vtk

    told = []

    @vtk.calldata_type(vtk.VTK_STRING)
    def modified(_caller, _event, each):
        told.append(each)

    segmentation.AddObserver(segmentation.SegmentModified, modified)
    segmentation.AddObserver(segmentation.SourceRepresentationModified, lambda *_: told.append("all"))
    return told


def test_a_change_is_written_in_place_and_only_its_segments_are_told(node, layers):
    segmentation = node.GetSegmentation()
    node.CreateClosedSurfaceRepresentation()
    mirror = done(layers.compose())
    np.testing.assert_array_equal(mirror, FIRST)
    assert layers.values == {"total.liver": 5, "total.aorta": 7}
    image = segmentation.GetSegment("total.liver").GetRepresentation("Binary labelmap")
    told, wanted = spy(segmentation), FIRST.copy()
    wanted[1, 2:4, 2:4] = 5
    assert done(layers.write(delta.between(mirror, wanted), mirror)) == {5}
    assert told == ["total.liver"]
    assert segmentation.GetSegment("total.aorta").GetRepresentation("Closed surface") is not None
    assert segmentation.GetSegment("total.liver").GetRepresentation("Binary labelmap") is image
    np.testing.assert_array_equal(mirror, wanted)
    np.testing.assert_array_equal(done(layers.compose()), wanted)
    assert done(layers.changes(mirror)).is_empty


def test_strokes_of_the_segment_editor_are_found(volume, node, layers):
    mirror = done(layers.compose())
    paint(node, volume, "total.liver", np.s_[4:6, 7:9, 3:6])
    found = done(layers.changes(mirror))
    assert found.changes() == {(7, 5): 6}
    found.apply(mirror)
    assert done(layers.changes(mirror)).is_empty
    paint(node, volume, "total.aorta", np.s_[:, :, :], adds=False)
    found = done(layers.changes(mirror))
    assert set(found.changes()) == {(7, 0)}
    # Slicer has cropped the labelmap; it reaches over all again, and corrections fit.
    wanted = mirror.copy()
    found.apply(wanted)
    np.testing.assert_array_equal(done(layers.compose()), wanted)


def test_what_the_user_painted_meanwhile_stays(volume, node, layers):
    mirror = done(layers.compose())
    wanted = mirror.copy()
    wanted[0, :2, :3] = 5
    change = delta.between(mirror, wanted)
    paint(node, volume, "total.aorta", np.s_[0, 0, 0:2])
    done(layers.write(change, mirror))
    np.testing.assert_array_equal(mirror, wanted)
    found = done(layers.changes(mirror))
    assert found.changes() == {(5, 7): 2}


def test_segments_that_overlap_have_labelmaps_of_their_own(volume, node, layers):
    import slicer

    mirror = done(layers.compose())
    scene = slicer.mrmlScene
    editor = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.SetOverwriteMode(editor.OverwriteNone)
    paint(node, volume, "total.aorta", np.s_[2:4, 6:8, 2:4])
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    # The first segment counts where they overlap: nothing is different.
    assert done(layers.changes(mirror)).is_empty
    wanted = mirror.copy()
    wanted[2:4, 6:8, 2:4] = 0
    done(layers.write(delta.between(mirror, wanted), mirror))
    # Without the liver there, the aorta shows.
    assert done(layers.changes(mirror)).changes() == {(0, 7): 8}
    wanted[9, 9, 9] = 7
    done(layers.write(delta.between(mirror, wanted), mirror))
    assert done(layers.compose())[9, 9, 9] == 7


def test_a_new_segment_without_voxels_can_be_corrected(volume, node, layers):
    mirror = done(layers.compose())
    each = node.GetSegmentation().AddEmptySegment("mine", "My lesion")
    assert done(layers.changes(mirror)).is_empty
    value = layers.values[each]
    assert value not in (0, 5, 7) and layers.name(value) == "My lesion"
    wanted = mirror.copy()
    wanted[0, 0, 0] = value
    done(layers.write(delta.between(mirror, wanted), mirror))
    import slicer.util

    assert slicer.util.arrayFromSegmentBinaryLabelmap(node, each, volume).sum() == 1
    np.testing.assert_array_equal(done(layers.compose()), wanted)


def test_values_stay_when_the_scene_is_saved_and_opened(volume, node, layers):
    from VesaliusLib.layers import Layers

    node.GetSegmentation().GetSegment("total.liver").SetLabelValue(5)
    again = Layers(volume, node)
    assert again.values == layers.values
    node.GetSegmentation().RemoveSegment("total.liver")
    assert done(again.compose()).max() == 7 and again.values == {"total.aorta": 7}


def test_what_is_on_another_grid_is_refused(scene, node):
    from VesaliusLib.layers import Layers
    from VesaliusLib.vesalius import VesaliusError

    other = add_volume(scene, np.zeros(SHAPE, np.int16), GEOMETRIES["straight"])
    with pytest.raises(VesaliusError, match="another grid"):
        Layers(other, node)
