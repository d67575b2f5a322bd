"""Corrections against the real engine: after each step Slicer's segments and the session's labels are the same."""

from __future__ import annotations

import time

import loop
import numpy as np
import phantom
import pytest
from phantom import KIDNEY, LEAKED, LIVER, MISSING, SPLEEN
from test_layers import paint
from VesaliusLib.vesalius import Steps, sessions
from volumes import GEOMETRIES, add_volume, rotation


@pytest.fixture
def volume(application, scene):
    """The made-up abdomen, oblique and under a transform."""
    import slicer

    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    made = add_volume(scene, phantom.voxels(), phantom.matrix(rotation(0.2, -0.1, 0.3)))
    transform, move = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), np.eye(4)
    move[:3, :3], move[:3, 3] = rotation(0.4, 0.1, -0.7), [40.0, -15.0, 8.0]
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(move))
    made.SetAndObserveTransformNodeID(transform.GetID())
    return made


@pytest.fixture
def node(volume):
    return phantom.segmentation(volume)


@pytest.fixture
def correction(application, home):
    from VesaliusLib.correction import Correction
    from VesaliusLib.process import Engine

    made = Correction(Engine())
    yield made
    made.end()


@pytest.fixture
def begun(correction, volume, node):
    """A correction that is open."""
    correction.open(volume, node)
    return settled(correction)


def settled(correction):
    loop.until(lambda: not correction.driver.is_busy)
    return correction


def labels_of(node, volume):
    """The labels of the segments by Slicer's own exporter, with the phantom's values."""
    import slicer.util

    labels = np.zeros(phantom.SHAPE, np.uint8)
    for row in phantom.ROWS:
        each = f"total.{row['name']}"
        if node.GetSegmentation().GetSegment(each) is not None:
            labels[slicer.util.arrayFromSegmentBinaryLabelmap(node, each, volume) != 0] = row["value"]
    return labels


def session_of(node):
    return node.GetAttribute("Vesalius.Session")


def in_session(client, node):
    """The session's labels, asked for by somebody else."""
    labels = np.empty(phantom.SHAPE, np.uint8)
    Steps(sessions.labels(client, session_of(node), memoryview(labels.reshape(-1)))).finish()
    return labels


def same(correction, client):
    """Slicer's labels, which must be the session's."""
    settled(correction)
    assert correction.error is None, (correction.error.code, correction.error.message)
    found = labels_of(correction.node, correction.volume)
    np.testing.assert_array_equal(found, in_session(client, correction.node))
    return found


def click(correction, voxel, *more):
    correction.click(phantom.world(correction.volume, voxel), *more)
    return settled(correction)


def test_clicks_the_wheel_and_undo_leave_slicer_and_the_engine_equal(begun, client):
    node, volume = begun.node, begun.volume
    start = same(begun, client)
    np.testing.assert_array_equal(start, phantom.mistaken())
    node.GetSegmentation().GetSegment("total.liver").SetName("My liver")
    click(begun, MISSING)
    first = same(begun, client)
    assert begun.message.startswith("My liver grew by ") and "turn the wheel" in begun.message
    assert phantom.dice(first, LIVER) > phantom.dice(start, LIVER) + 0.05
    assert ((first == KIDNEY) == (start == KIDNEY)).all()
    shown, count = begun.answers
    assert count > 1 and begun.steps == (1, 0)
    step = 1 if shown < count else -1
    assert begun.choose(step)
    second = same(begun, client)
    assert begun.answers == (shown + step, count) and begun.steps == (1, 0) and (second != first).any()
    # A wheel is turned faster than answers come: only where it stops counts.
    for _ in range(2 * count):
        begun.choose(-step)
    last = same(begun, client)
    assert begun.answers[0] == (1 if step > 0 else count) and begun.steps == (1, 0)
    begun.undo()
    np.testing.assert_array_equal(same(begun, client), start)
    begun.redo()
    np.testing.assert_array_equal(same(begun, client), last)
    click(begun, LEAKED, "remove")
    third = same(begun, client)
    assert begun.message.startswith("kidney left shrank by ")
    assert phantom.dice(third, KIDNEY) > phantom.dice(start, KIDNEY)
    line = [phantom.world(volume, (i, 20, 22)) for i in range(21, 27)]
    begun.undo(), begun.undo()
    np.testing.assert_array_equal(same(begun, client), start)
    begun.scribble(line, 0.0)
    fourth = same(begun, client)
    assert (fourth[22, 20, 21:27] == LIVER).all()
    assert node.GetSegmentation().GetSegment("total.liver").GetName() == "My liver"


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_click_lands_where_it_was_meant_in_every_geometry(application, scene, correction, client, name):
    volume = add_volume(scene, phantom.voxels(), GEOMETRIES[name])
    correction.open(volume, phantom.segmentation(volume))
    start = same(settled(correction), client)
    click(correction, MISSING)
    found = same(correction, client)
    i, j, k = MISSING
    assert found[k, j, i] == LIVER and (found == LIVER).sum() > (start == LIVER).sum() + 50
    assert ((found == KIDNEY) == (start == KIDNEY)).all()


def test_a_box_limits_a_correction(scene, begun, client):
    start = same(begun, client)
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetAndObserveTransformNodeID(begun.volume.GetTransformNodeID())
    from VesaliusLib import scene as volumes
    from VesaliusLib.vesalius import geometry

    center = geometry.to_world(volumes.ijk_to_ras(begun.volume), np.array([MISSING]))[0]
    roi.SetCenter(list(center))
    roi.SetSize([30.0, 30.0, 30.0])
    region = volumes.region_of(roi, begun.volume)
    begun.box(roi)
    found = same(begun, client)
    places = np.argwhere(found != start)[:, ::-1]
    assert len(places) > 20
    for axis, (low, high) in enumerate(region):
        assert places[:, axis].min() >= low and places[:, axis].max() < high


def test_the_users_own_brush_is_a_step_like_others(begun, client):
    start = same(begun, client)
    paint(begun.node, begun.volume, "total.spleen", np.s_[12:14, 14:22, 50:54])
    click(begun, MISSING)
    both = same(begun, client)
    assert (both[12:14, 14:22, 50:54] == SPLEEN).all() and begun.steps == (2, 0)
    begun.undo()
    painted = same(begun, client)
    assert ((painted == LIVER) == (start == LIVER)).all() and (painted[13, 20, 52] == SPLEEN)
    begun.undo()
    np.testing.assert_array_equal(same(begun, client), start)
    begun.redo(), begun.redo()
    np.testing.assert_array_equal(same(begun, client), both)
    # An erasure that crops Slicer's labelmap, and a segment that is deleted.
    paint(begun.node, begun.volume, "total.spleen", np.s_[:, :, :], adds=False)
    begun.next_place()
    assert not (same(begun, client) == SPLEEN).any()
    begun.node.GetSegmentation().RemoveSegment("total.kidney_left")
    begun.next_place()
    assert not (same(begun, client) == KIDNEY).any()
    click(begun, MISSING, "remove")
    assert (same(begun, client) != both).any()


def test_refine_finds_how_far_a_stroke_goes(begun, client):
    start = same(begun, client)
    begun.refine()
    assert "nothing was painted" in settled(begun).message
    paint(begun.node, begun.volume, "total.liver", np.s_[20, 18:23, 22:27])
    begun.refine()
    found = same(begun, client)
    assert "were painted" in begun.message and (found[20, 18:23, 22:27] == LIVER).all()
    assert phantom.dice(found, LIVER) > phantom.dice(start, LIVER) + 0.05
    assert (found != start).sum() > 4 * 25
    while begun.steps[0]:
        begun.undo()
        settled(begun)
    np.testing.assert_array_equal(same(begun, client), start)


def test_locks_hold_against_prompts_and_brushes(begun, client):
    start = same(begun, client)
    begun.lock(KIDNEY)
    settled(begun)
    assert begun.is_locked(KIDNEY) and begun.message == "kidney left is locked"
    click(begun, LEAKED, "remove")
    assert begun.error.code == "locked"
    begun.error = None
    np.testing.assert_array_equal(same(begun, client), start)
    # Half of the stroke lies in the kidney.
    paint(begun.node, begun.volume, "total.spleen", np.s_[20, 34, 28:40])
    begun.next_place()
    found = same(begun, client)
    assert ((found == KIDNEY) == (start == KIDNEY)).all() and (found == SPLEEN).sum() > (start == SPLEEN).sum()
    begun.lock(KIDNEY)
    click(begun, LEAKED, "remove")
    assert (same(begun, client) == KIDNEY).sum() < (start == KIDNEY).sum()


def test_masking_of_the_segment_editor_is_kept_and_undone_in_one(scene, begun, client):
    start = same(begun, client)
    editor = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.SetAndObserveSegmentationNode(begun.node)
    editor.SourceVolumeIntensityMaskOn()
    editor.SetSourceVolumeIntensityMaskRange(60.0, 1000.0)
    click(begun, MISSING)
    found = same(begun, client)
    changed = found != start
    assert changed.any() and (phantom.voxels()[changed] >= 60).all() and "masking" in begun.message
    assert begun.answers[1] > 1
    for _ in range(begun.answers[1]):
        begun.choose(1)
    wide = same(begun, client)
    assert (phantom.voxels()[wide != start] >= 60).all()
    # Neither locks nor accepting come between the two halves of the step.
    begun.lock(SPLEEN)
    begun.accept(KIDNEY)
    begun.undo()
    np.testing.assert_array_equal(same(begun, client), start)
    begun.redo()
    np.testing.assert_array_equal(same(begun, client), wide)


def test_places_are_gone_through_and_structures_accepted(volume, correction, client):
    import slicer

    labels = phantom.mistaken()
    labels[2:5, 2:5, 2:5] = LIVER
    labels[20, 34, 40] = 0
    correction.open(volume, phantom.segmentation(volume, labels))
    settled(correction)
    correction.next_place()
    settled(correction)
    assert correction.message.startswith("liver, 0.42 mL: apart from the rest")
    first = correction.place
    np.testing.assert_allclose(correction.point_of(first), phantom.world(volume, (3, 3, 3)), atol=1e-3)
    click(correction, (3, 3, 3), "remove")
    assert not (same(correction, client)[2:5, 2:5, 2:5]).any()
    correction.next_place()
    settled(correction)
    assert correction.place is None or correction.place["voxel"] != first["voxel"]
    assert correction.progress() == (0, 3)
    correction.accept(LIVER)
    settled(correction)
    logic, segmentation = slicer.vtkSlicerSegmentationsModuleLogic, correction.node.GetSegmentation()
    assert correction.progress() == (1, 3) and correction.message == "liver is accepted"
    assert logic.GetSegmentStatus(segmentation.GetSegment("total.liver")) == logic.Completed
    click(correction, MISSING)
    assert correction.progress() == (0, 3), "what is changed is not accepted any more"
    correction.accept()
    settled(correction)
    assert correction.progress() == (3, 3)
    view = Steps(sessions.get(client, session_of(correction.node))).finish()
    assert {row["status"] for row in view["structures"]} == {"accepted"}


def test_what_cannot_be_is_refused_in_words_and_changes_nothing(begun, client):
    start = same(begun, client)
    for voxel, sign in (((1, 46, 38), "add"), ((200, 0, 0), "add"), ((20, 2, 2), "remove")):
        click(begun, voxel, sign)
        assert begun.error is not None and begun.error.code == "invalid" and begun.state == "ready"
        begun.error = None
        np.testing.assert_array_equal(same(begun, client), start)
    begun.undo()
    assert settled(begun).error.code == "invalid"


def test_opened_again_it_goes_on_where_it_was(begun, client, volume):
    node, start = begun.node, same(begun, client)
    click(begun, MISSING)
    found, session = same(begun, client), session_of(node)
    begun.close()
    settled(begun)
    paint(node, volume, "total.spleen", np.s_[2, 2, 2:6])
    begun.open(volume, node)
    settled(begun)
    assert session_of(node) == session and begun.steps == (1, 0)
    begun.undo()
    painted = same(begun, client)
    np.testing.assert_array_equal(painted, found)
    begun.undo()
    np.testing.assert_array_equal(same(begun, client), start)


def test_the_window_is_never_held(application, scene, correction):
    """A volume of 15 million voxels; nothing that a user does takes longer than a frame or three."""
    from VesaliusLib import segments

    shape = (150, 330, 330)
    voxels = np.full(shape, -60, np.int16)
    voxels[40:120, 60:260, 60:260] = 60
    volume = add_volume(scene, voxels, phantom.matrix(np.eye(3)) / 3 + np.diag([0, 0, 0, 2 / 3]))
    node = segments.new_segmentation(volume)
    image, room = segments.label_image(volume, 0)
    labels = np.frombuffer(room, np.uint8).reshape(shape)
    labels[40:120, 60:260, 60:252] = LIVER
    rows = [{**row, "id": f"total.{row['name']}"} for row in phantom.ROWS]
    table = {"task": "total", "segments": rows, "provenance": {"version": "0", "models": []}, "warnings": []}
    Steps(segments.put(volume, node, image, table)).finish()
    longest, took = {}, {}

    def measured(name, action):
        action()
        began = time.monotonic()
        turns = loop.until(lambda: not correction.driver.is_busy)
        longest[name], took[name] = turns.longest, time.monotonic() - began
        assert correction.error is None, correction.error.message

    measured("open", lambda: correction.open(volume, node))
    measured("click", lambda: correction.click(phantom.world(volume, (256, 150, 80))))
    paint(node, volume, "total.liver", np.s_[100, 20:50, 205:240])
    measured("brush and click", lambda: correction.click(phantom.world(volume, (248, 220, 80)), "remove"))
    measured("undo", correction.undo)
    said = ", ".join(f"{name} {1000 * longest[name]:.0f} ms of {took[name]:.2f} s" for name in longest)
    print("longest turn, processor time:", said)
    assert max(longest.values()) < 0.05, said
