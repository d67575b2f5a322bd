"""What corrections must not touch, as Slicer's own masking would have it; and lines along what was painted."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from test_layers import FIRST, done, layers, node  # noqa: F401
from test_segments import SHAPE
from VesaliusLib import limits, segments, strokes
from VesaliusLib.vesalius import delta, sessions
from volumes import GEOMETRIES, add_volume

KINDS = slicer.vtkMRMLSegmentationNode
MODES = {name: getattr(KINDS, name) for name in dir(KINDS) if name.startswith("EditAllowed") and "_" not in name}


@pytest.fixture
def volume(scene):
    values = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    return add_volume(scene, values, GEOMETRIES["oblique"])


@pytest.fixture
def editor(scene, volume, node):  # noqa: F811
    made = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    made.SetAndObserveSegmentationNode(node)
    return made


def by_slicer(node, editor, volume, edited):  # noqa: F811
    """Where Slicer's own masking allows changes, `[k, j, i]`."""
    mask, image = slicer.vtkOrientedImageData(), segments.label_image(volume, 0)[0]
    source = slicer.vtkOrientedImageData()
    source.ShallowCopy(volume.GetImageData())
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    source.SetImageToWorldMatrix(matrix)
    intensity = list(editor.GetSourceVolumeIntensityMaskRange()) if editor.GetSourceVolumeIntensityMask() else None
    more = (source, intensity) if intensity else ()
    assert node.GenerateEditMask(mask, editor.GetMaskMode(), image, edited, editor.GetMaskSegmentID() or "", *more)
    return segments.labels_of(mask) == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("intensity", [None, (2000.0, 6000.0)])
def test_masking_is_that_of_slicer(volume, node, layers, editor, mode, intensity):  # noqa: F811
    editor.SetMaskMode(MODES[mode])
    editor.SetMaskSegmentID("total.aorta")
    node.GetDisplayNode().SetSegmentVisibility("total.aorta", False)
    if intensity:
        editor.SourceVolumeIntensityMaskOn()
        editor.SetSourceVolumeIntensityMaskRange(*intensity)
    before, target = done(layers.compose()), 5
    action = limits.of(layers, target).within(sessions.prompt(sessions.point((0, 0, 0)), sessions.ADD, target))
    editable = action["prompt"].get("editable", {})
    may = np.isin(before, editable.get("labels", np.arange(256)))
    low, high = editable.get("intensity", (-np.inf, np.inf))
    values = slicer.util.arrayFromVolume(volume)
    may &= (values >= low) & (values <= high)
    # The structure itself may always change; Slicer asks only about what it paints.
    others = before != target
    np.testing.assert_array_equal(may[others], by_slicer(node, editor, volume, "total.liver")[others])


def test_other_segments_are_left_when_the_editor_says_so(volume, node, layers, editor):  # noqa: F811
    every = {0, *layers.values.values()}
    assert limits.of(layers, 5).are_none
    editor.SetOverwriteMode(editor.OverwriteNone)
    assert limits.of(layers, 5).labels == (0,)
    editor.SetOverwriteMode(editor.OverwriteVisibleSegments)
    assert limits.of(layers, 5).are_none
    node.GetDisplayNode().SetSegmentVisibility("total.aorta", False)
    assert set(limits.of(layers, 5).labels) == every - {7}
    tool = limits.of(layers, 5).within(sessions.snap(5, 3.0))["tool"]["snap"]
    assert tool == {"label": 5, "within_mm": 3.0, "editable": {"labels": sorted(every - {7})}}
    # Where it is not known yet which structure is meant, background gives nothing that it should not.
    editor.SetMaskMode(KINDS.EditAllowedInsideSingleSegment)
    editor.SetMaskSegmentID("nothing")
    assert limits.of(layers, 0).labels == ()
    # Another segmentation's editor is of no concern.
    editor.SetAndObserveSegmentationNode(None)
    assert limits.of(layers, 5).are_none


def test_locks_are_kept_in_the_scene_and_split_what_was_painted(layers):  # noqa: F811
    assert limits.locked(layers) == set()
    limits.lock(layers.segment(7), True)
    assert limits.locked(layers) == {7}
    painted = FIRST.copy()
    painted[3, 6:10, 3] = 0
    others, concerned = limits.touching(delta.between(FIRST, painted), {7}, layers.dims)
    assert others.changes() == {(5, 0): 2} and concerned.changes() == {(7, 0): 2}
    limits.lock(layers.segment(7), False)
    assert limits.locked(layers) == set()


def disc(center, radius, axis=0):
    """Voxels of a brush in a plane."""
    j, i = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    flat = np.argwhere(j**2 + i**2 <= radius**2) - radius
    return np.insert(flat, axis, 0, axis=1) + center


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stroke_becomes_a_line_inside_it(axis):
    bow = [np.round(20 + 14 * np.array([np.cos(angle), np.sin(angle)])).astype(int) for angle in np.linspace(0, 4, 60)]
    voxels = np.unique(np.concatenate([disc(np.insert(center, axis, 9), 3, axis) for center in bow]), axis=0)
    lines, painted = strokes.lines(voxels), set(map(tuple, voxels))
    assert 1 <= len(lines) <= strokes.MOST
    for line in lines:
        for start, end in zip(line[:-1], line[1:]):
            for part in np.linspace(start, end, 40):
                assert tuple(np.rint(part).astype(int)) in painted
    reached = np.concatenate(lines)
    away = np.linalg.norm(voxels[:, None] - reached[None], axis=2).min(axis=1)
    assert away.max() <= 8, "the lines go all along the stroke"


def test_strokes_are_told_apart_by_structure_and_sign():
    painted = FIRST.copy()
    painted[10, 3:6, 3:9] = 5
    painted[4, 3:5, 3] = 0
    painted[5, 9, 3:5] = 5
    found = strokes.by_label(delta.between(FIRST, painted), SHAPE[::-1])
    assert [(value, adds, len(voxels)) for value, adds, voxels in found] == [(5, True, 20), (5, False, 2)]
    for value, adds, voxels in found:
        i, j, k = voxels.T
        assert (painted[k, j, i] == (value if adds else 0)).all() and (FIRST[k, j, i] != painted[k, j, i]).all()


def test_a_single_voxel_is_a_line_too():
    (line,) = strokes.lines(np.array([[3, 4, 5]]))
    assert line.tolist() == [[3, 4, 5]]
