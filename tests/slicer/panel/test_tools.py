"""Tools for a structure as a whole, and a network's opinion: Slicer's segments and the session's labels stay equal."""

from __future__ import annotations

import loop
import numpy as np
import phantom
import pytest
from phantom import KIDNEY, LEAKED, LIVER, MISSING
from test_correct_panel import at, fixing, opened, point_at, wait  # noqa: F401
from test_correction import begun, click, correction, node, same, settled, volume  # noqa: F401
from test_layers import paint
from test_slice_views import send, view  # noqa: F401
from VesaliusLib.vesalius import Steps, sessions

NETWORK = "clicks"


def undone(begun, client, labels):  # noqa: F811
    """One step back leads to these labels, and one forth to those that are there now."""
    now = same(begun, client)
    begun.undo()
    np.testing.assert_array_equal(same(begun, client), labels)
    begun.redo()
    np.testing.assert_array_equal(same(begun, client), now)


@pytest.fixture
def editor(scene, begun):  # noqa: F811
    """The Segment Editor about this segmentation."""
    made = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    made.SetAndObserveSegmentationNode(begun.node)
    return made


def with_labels(correction, volume, labels):  # noqa: F811
    correction.open(volume, phantom.segmentation(volume, labels))
    return settled(correction)


def test_a_piece_is_kept_and_another_dropped(volume, correction, client):  # noqa: F811
    labels = phantom.truth()
    labels[2:5, 2:5, 2:5] = labels[34:37, 40:43, 2:5] = LIVER
    begun = with_labels(correction, volume, labels)  # noqa: F811
    start = same(begun, client)
    begun.drop(phantom.world(volume, (3, 3, 3)))
    found = same(settled(begun), client)
    assert not found[2:5, 2:5, 2:5].any() and (found != start).sum() == 27
    assert begun.message == "a piece of liver is gone: 0.42 mL taken away"
    undone(begun, client, start)
    # Beside the structure: the nearest place of it is meant.
    begun.keep(phantom.world(volume, (16, 20, 33)), LIVER)
    found = same(settled(begun), client)
    np.testing.assert_array_equal(found, phantom.truth())
    assert begun.message == "of liver one piece is left: 0.42 mL taken away" and begun.steps == (2, 0)
    begun.keep(phantom.world(volume, (16, 20, 20)))
    assert settled(begun).message == "liver is all one piece" and begun.steps == (2, 0)
    begun.drop(phantom.world(volume, (3, 45, 3)))
    assert begun.error is not None and begun.error.message == "there is no structure near"


def test_slices_between_drawn_ones_are_filled(volume, correction, client):  # noqa: F811
    labels = phantom.truth()
    kept = labels == LIVER
    kept[10:31:4] = False
    labels[kept] = 0
    begun = with_labels(correction, volume, labels)  # noqa: F811
    start = same(begun, client)
    begun.fill(LIVER)
    found = same(settled(begun), client)
    assert phantom.dice(start, LIVER) < 0.5 and phantom.dice(found, LIVER) > 0.95
    assert begun.message.startswith("the slices of liver are filled: ") and begun.message.endswith(" added")
    undone(begun, client, start)
    begun.fill(KIDNEY)
    assert settled(begun).message == "kidney left has no empty slices between others"


def test_a_boundary_snaps_to_edges(volume, correction, client):  # noqa: F811
    labels = np.zeros(phantom.SHAPE, np.uint8)
    labels[phantom.ball((20, 20, 16), 11)] = LIVER
    begun = with_labels(correction, volume, labels)  # noqa: F811
    start = same(begun, client)
    begun.snap(LIVER)
    found = same(settled(begun), client)
    assert phantom.dice(start, LIVER) < 0.9 and phantom.dice(found, LIVER) > 0.97
    assert begun.message.startswith("the boundary of liver lies on edges now: ")
    undone(begun, client, start)


def test_tools_obey_masking_and_locks(begun, editor, client):  # noqa: F811
    start = same(begun, client)
    editor.SourceVolumeIntensityMaskOn()
    editor.SetSourceVolumeIntensityMaskRange(-1000.0, -40.0)
    begun.snap(LIVER)
    found = same(settled(begun), client)
    changed = found != start
    assert (phantom.voxels()[changed] <= -40).all(), begun.message
    if changed.any():
        undone(begun, client, start)
        begun.undo()
    editor.SetSourceVolumeIntensityMaskRange(5000.0, 6000.0)
    begun.drop(phantom.world(begun.volume, LEAKED), KIDNEY)
    np.testing.assert_array_equal(same(settled(begun), client), start)
    assert begun.message.startswith("the Segment Editor's masking allows none of it")
    editor.SourceVolumeIntensityMaskOff()
    begun.lock(LIVER)
    begun.snap(LIVER)
    assert settled(begun).error.code == "locked"
    begun.error = None
    np.testing.assert_array_equal(same(begun, client), start)


def test_a_click_changes_only_the_segment_that_masking_names(begun, editor, client):  # noqa: F811
    import slicer

    start = same(begun, client)
    editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    editor.SetMaskSegmentID("total.kidney_left")
    # The liver may take the kidney, and nothing else.
    click(begun, MISSING)
    np.testing.assert_array_equal(same(begun, client), start)
    assert "masking allows none of it" in begun.message
    click(begun, LEAKED, "add", LIVER)
    found = same(begun, client)
    assert (start[found != start] == KIDNEY).all() and (found[found != start] == LIVER).all()
    assert (found != start).any()


def test_a_network_gives_a_second_opinion(begun, client):  # noqa: F811
    start = same(begun, client)
    begun.ask(NETWORK)
    assert "click first" in settled(begun).message
    click(begun, MISSING)
    first, (shown, count) = same(begun, client), begun.answers
    begun.ask(NETWORK)
    second = same(settled(begun), client)
    assert begun.answers == (count + 1, count + 1) and begun.message.startswith(f"{NETWORK}: liver ")
    assert (second != first).any() and begun.steps == (1, 0)
    i, j, k = MISSING
    assert second[k, j, i] == LIVER and ((second == KIDNEY) == (start == KIDNEY)).all()
    # The wheel goes back to what the cut said.
    begun.choose(shown - 1 - count)
    np.testing.assert_array_equal(same(settled(begun), client), first)
    begun.choose(count + 1 - shown)
    np.testing.assert_array_equal(same(settled(begun), client), second)
    undone(begun, client, start)


def test_a_networks_opinion_obeys_masking(begun, editor, client):  # noqa: F811
    start = same(begun, client)
    editor.SourceVolumeIntensityMaskOn()
    editor.SetSourceVolumeIntensityMaskRange(60.0, 1000.0)
    click(begun, MISSING)
    begun.ask(NETWORK)
    found = same(settled(begun), client)
    assert begun.message.startswith(f"{NETWORK}: liver ") and "within the Segment Editor's masking" in begun.message
    assert (found != start).any() and (phantom.voxels()[found != start] >= 60).all()
    undone(begun, client, start)


def test_a_question_that_takes_long_is_ended_by_a_click(begun, client, monkeypatch):  # noqa: F811
    from VesaliusLib.vesalius.steps import Wait

    def propose(*_arguments):
        while True:
            yield Wait(seconds=0.01)

    click(begun, MISSING)
    first = same(begun, client)
    monkeypatch.setattr(sessions, "propose", propose)
    for _ in range(2):
        begun.ask(NETWORK)
        loop.until(lambda: begun._editing.is_asking)
        assert begun.state == "working" and "is asked" in begun.message
        assert begun.stop_asking()
        assert settled(begun).message == "stopped" and begun.state == "ready" and not begun.stop_asking()
        np.testing.assert_array_equal(same(begun, client), first)
    begun.ask(NETWORK)
    loop.until(lambda: begun._editing.is_asking)
    begun.click(phantom.world(begun.volume, LEAKED), "remove")
    begun.accept(LIVER)
    second = same(begun, client)
    assert (second != first).any() and begun.message == "liver is accepted" and begun.steps[0] == 2


def test_a_network_that_is_gone_is_told(begun, client):  # noqa: F811
    click(begun, MISSING)
    first = same(begun, client)
    begun.ask("another")
    assert settled(begun).error.code == "model_missing" and begun.state == "ready"
    begun.error = None
    np.testing.assert_array_equal(same(begun, client), first)
    assert begun.answers[1] > 1, "the wheel goes on"


def test_the_buttons_and_keys_for_pieces(fixing, view, client):  # noqa: F811
    ui, correction = fixing.ui, fixing.panel.correct.correction  # noqa: F811
    paint(correction.node, correction.volume, "total.liver", np.s_[19:22, 2:5, 40:43])
    start = same_after_flush(fixing, client)
    ui.dropButton.click()
    ui.keepButton.click()
    assert ui.keepButton.checked and not ui.dropButton.checked
    assert ui.correctLabel.text.startswith("Click the piece that stays")
    send(view, "KeyPressEvent", key="Escape")
    assert not ui.keepButton.checked and ui.fixButton.checked
    ui.keepButton.click()
    point_at(fixing, view, (12, 20, 20))
    found = same(correction, client)
    assert not ui.keepButton.checked and (start[found != start] == LIVER).all() and (found != start).sum() == 27
    send(view, "KeyPressEvent", key="z")
    wait(fixing)
    send(view, "MouseMoveEvent", *at(view, correction.volume, (41, 3, 20)))
    assert not send(view, "KeyPressEvent", key="d")
    wait(fixing)
    np.testing.assert_array_equal(same(correction, client), found)
    assert ui.correctLabel.text.startswith("A piece of liver is gone")


def same_after_flush(fixing, client):  # noqa: F811
    fixing.panel.correct.correction.next_place()
    wait(fixing)
    return same(fixing.panel.correct.correction, client)


def test_the_button_of_a_network_shows_its_licence(fixing, view, client):  # noqa: F811
    ui, correction = fixing.ui, fixing.panel.correct.correction  # noqa: F811
    loop.until(lambda: not ui.networkFrame.isHidden())
    (network,) = [model for model in Steps(client.models()).finish() if model["promptable"]]
    assert ui.networkComboBox.currentText == f"{NETWORK}: {network['licence']}" and network["licence"]
    assert not ui.askButton.enabled
    point_at(fixing, view, MISSING)
    assert ui.askButton.enabled and ui.snapButton.enabled and "liver" in ui.snapButton.toolTip
    ui.askButton.click()
    wait(fixing)
    assert ui.correctLabel.text.startswith("Clicks: liver ")
    same(correction, client)


def test_masking_shows_in_what_a_click_would_do(scene, fixing, view):  # noqa: F811
    import slicer.util
    from VesaliusLib import preview

    correction = fixing.panel.correct.correction  # noqa: F811
    editor = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.SetAndObserveSegmentationNode(correction.node)
    editor.SourceVolumeIntensityMaskOn()
    editor.SetSourceVolumeIntensityMaskRange(60.0, 1000.0)
    send(view, "MouseMoveEvent", *at(view, correction.volume, MISSING))

    def ghost():
        node = scene.GetFirstNodeByName(preview.NAME)  # noqa: F811
        return node if node is not None and node.GetSegmentation().GetNumberOfSegments() else None

    loop.until(ghost)
    shown = slicer.util.arrayFromSegmentBinaryLabelmap(ghost(), preview.SEGMENT, correction.volume) != 0
    assert shown.any() and (phantom.voxels()[shown] >= 60).all()
