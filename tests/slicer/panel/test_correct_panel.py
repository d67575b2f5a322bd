"""The section Correct as a user meets it: the button, the mouse over a slice, keys, the list, and the line."""

from __future__ import annotations

import loop
import phantom
import pytest
from phantom import KIDNEY, LEAKED, LIVER, MISSING
from test_correction import node, same, volume  # noqa: F401
from test_slice_views import drag, send, view  # noqa: F401


@pytest.fixture
def opened(scene, volume, node, widget):  # noqa: F811
    """The panel about the made-up abdomen."""
    ui = widget.ui
    ui.volumeSelector.setCurrentNode(volume)
    ui.segmentationSelector.setCurrentNode(node)
    ui.correctCollapsibleButton.collapsed = False
    return widget


@pytest.fixture
def fixing(opened, view):  # noqa: F811
    """Fix is on, and the session open."""
    opened.ui.fixButton.checked = True
    return wait(opened)


def wait(opened):
    loop.until(lambda: not opened.panel.correct.correction.driver.is_busy)
    return opened


def at(view, volume, voxel):  # noqa: F811
    """Shows the slice of a voxel, and gives its pixel."""
    import slicer

    point = phantom.world(volume, voxel)
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *point, slicer.vtkMRMLSliceNode.OffsetJumpSlice)
    import vtk

    to_pixel = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.node.GetXYToRAS(), to_pixel)
    x, y, _, _ = to_pixel.MultiplyPoint((*point, 1.0))
    return round(x), round(y)


def point_at(opened, view, voxel, ctrl=0):  # noqa: F811
    pixel = at(view, opened.ui.volumeSelector.currentNode(), voxel)
    drag(view, [pixel, pixel], ctrl)
    return wait(opened)


def test_nothing_is_sent_before_fix_is_pressed(opened, node):  # noqa: F811
    ui = opened.ui
    assert ui.fixButton.enabled and ui.fixButton.text == "Fix" and not ui.undoButton.enabled
    assert ui.correctLabel.text.startswith("Press Fix, then click") and node.GetAttribute("Vesalius.Session") is None
    ui.segmentationSelector.setCurrentNode(None)
    assert not ui.fixButton.enabled and not ui.refineButton.enabled


def test_a_click_in_a_slice_mends_the_structure_under_it(fixing, view, client):  # noqa: F811
    ui, correction = fixing.ui, fixing.panel.correct.correction
    assert ui.fixButton.text == "Fixing (Esc ends)" and correction.state == "ready"
    start = same(correction, client)
    point_at(fixing, view, MISSING)
    found = same(correction, client)
    assert phantom.dice(found, LIVER) > phantom.dice(start, LIVER) + 0.05
    assert ui.correctLabel.text.startswith("Liver grew by ") and ui.undoButton.enabled
    assert ui.acceptButton.text == "Accept liver"
    # The wheel over the click walks through the answers, Ctrl removes, keys take back.
    x, y = at(view, correction.volume, MISSING)
    shown, count = correction.answers
    event = "MouseWheelForwardEvent" if shown < count else "MouseWheelBackwardEvent"
    assert not send(view, event, x, y)
    wait(fixing)
    assert (same(correction, client) != found).any() and correction.answers[0] != shown
    point_at(fixing, view, LEAKED, ctrl=1)
    assert ui.correctLabel.text.startswith("Kidney left shrank by ")
    assert (same(correction, client) == KIDNEY).sum() < (start == KIDNEY).sum()
    for _ in range(2):
        assert not send(view, "KeyPressEvent", key="z")
        wait(fixing)
    assert (same(correction, client) == start).all() and not ui.undoButton.enabled and ui.redoButton.enabled
    send(view, "KeyPressEvent", key="y", ctrl=1)
    wait(fixing)
    assert (same(correction, client) != start).any()
    send(view, "KeyPressEvent", key="Escape")
    assert not ui.fixButton.checked and send(view, "KeyPressEvent", key="z")


def test_a_scribble_and_the_sign_key(fixing, view, client):  # noqa: F811
    ui, correction = fixing.ui, fixing.panel.correct.correction
    start = same(correction, client)
    begin, end = (at(view, correction.volume, (i, 20, 20)) for i in (21, 26))
    steps = [(begin[0] + n * (end[0] - begin[0]) // 8, begin[1] + n * (end[1] - begin[1]) // 8) for n in range(9)]
    drag(view, steps)
    wait(fixing)
    assert (same(correction, client) == LIVER).sum() > (start == LIVER).sum()
    send(view, "KeyPressEvent", key="t")
    assert ui.signButton.text == "− remove"
    point_at(fixing, view, LEAKED)
    assert (same(correction, client) == KIDNEY).sum() < (start == KIDNEY).sum()
    assert ui.signButton.text == "+ add", "the sign returns after each prompt"


def test_the_line_says_what_is_under_the_cursor(fixing, view):  # noqa: F811
    ui, correction = fixing.ui, fixing.panel.correct.correction
    send(view, "MouseMoveEvent", *at(view, correction.volume, (12, 20, 20)))
    loop.settle(0.2)
    assert ui.correctLabel.text == "Liver: a click adds to it, with Ctrl it removes."
    send(view, "KeyPressEvent", key="k")
    wait(fixing)
    loop.settle(0.2)
    assert "locked" in ui.correctLabel.text and correction.is_locked(LIVER)
    point_at(fixing, view, (12, 20, 20), ctrl=1)
    assert ui.correctLabel.text.startswith("Liver is locked")
    send(view, "KeyPressEvent", key="k")
    wait(fixing)
    assert not correction.is_locked(LIVER)
    send(view, "KeyPressEvent", key="a")
    wait(fixing)
    assert ui.acceptedBar.format == "1 of 3 accepted" and not ui.acceptedBar.isHidden()


def test_doubtful_places_are_listed_and_shown(opened, view, client):  # noqa: F811
    import numpy as np
    from test_layers import paint

    ui, correction = opened.ui, opened.panel.correct.correction
    paint(opened.panel.results.node, ui.volumeSelector.currentNode(), "total.liver", (slice(2, 5),) * 3)
    ui.nextPlaceButton.click()
    wait(opened)
    texts = [ui.placesTree.invisibleRootItem().child(n).text(0) for n in range(len(correction.places))]
    assert "liver, 0.42 mL: apart from the rest" in texts and not ui.placesTree.isHidden()
    item = ui.placesTree.invisibleRootItem().child(texts.index("liver, 0.42 mL: apart from the rest"))
    ui.placesTree.itemClicked.emit(item, 0)
    matrix = view.node.GetSliceToRAS()
    shown = [matrix.GetElement(row, 3) for row in range(3)]
    np.testing.assert_allclose(shown, phantom.world(correction.volume, (3, 3, 3)), atol=0.1)
    ui.acceptAllButton.click()
    wait(opened)
    assert ui.acceptedBar.format == "3 of 3 accepted"


def test_leaving_the_panel_gives_the_views_back(fixing, view):  # noqa: F811
    fixing.exit()
    assert not fixing.ui.fixButton.checked and send(view, "LeftButtonPressEvent", 60, 50)
    assert fixing.panel.correct.correction.is_open, "the session goes on when the panel is opened again"


def test_another_segmentation_ends_the_correction(scene, fixing, node, volume):  # noqa: F811
    fixing.ui.segmentationSelector.setCurrentNode(None)
    loop.settle(0.1)
    correction = fixing.panel.correct.correction
    assert correction.state == "closed" and not fixing.ui.fixButton.checked
    fixing.ui.segmentationSelector.setCurrentNode(node)
    fixing.ui.fixButton.checked = True
    wait(fixing)
    scene.Clear(False)
    loop.settle(0.2)
    assert correction.state == "closed" and not fixing.ui.fixButton.checked and not fixing.ui.fixButton.enabled


def test_a_box_is_made_by_one_press_and_used_by_the_next(scene, fixing, view, client):  # noqa: F811
    ui, correction = fixing.ui, fixing.panel.correct.correction
    start = same(correction, client)
    at(view, correction.volume, MISSING)
    ui.boxButton.click()
    assert ui.boxButton.text == "Use box"
    roi = scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenterWorld(list(phantom.world(correction.volume, MISSING)))
    roi.SetSizeWorld([20.0, 20.0, 20.0])
    ui.boxButton.click()
    wait(fixing)
    assert ui.boxButton.text == "Box" and scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode") is None
    assert (same(correction, client) == LIVER).sum() > (start == LIVER).sum()


def test_what_a_click_would_do_is_outlined_while_the_cursor_rests(scene, fixing, view, client):  # noqa: F811
    import numpy as np
    import slicer.util
    from VesaliusLib import preview
    from VesaliusLib.vesalius import Steps, delta, sessions

    correction = fixing.panel.correct.correction
    start, selector = same(correction, client), fixing.ui.segmentationSelector

    def ghost():
        node = scene.GetFirstNodeByName(preview.NAME)  # noqa: F811
        return node if node is not None and node.GetSegmentation().GetNumberOfSegments() else None

    pixel = at(view, correction.volume, MISSING)
    send(view, "MouseMoveEvent", *pixel)
    loop.until(ghost)
    shown = slicer.util.arrayFromSegmentBinaryLabelmap(ghost(), preview.SEGMENT, correction.volume)
    asked = correction.would(fixing.panel.correct._cursor, "add", LIVER)
    told = Steps(sessions.hover(client, asked[0], asked[2])).finish()
    wanted = start.copy()
    delta.decode(bytes.fromhex(told["delta"])).apply(wanted)
    np.testing.assert_array_equal(shown != 0, wanted != start)
    assert shown.any() and (same(correction, client) == start).all(), "nothing is changed"
    # Nobody sees the helper but in the views.
    assert all(selector.itemText(n) != preview.NAME for n in range(selector.count))
    assert ghost().GetHideFromEditors() and not ghost().GetSaveWithScene()
    send(view, "MouseMoveEvent", *at(view, correction.volume, LEAKED), ctrl=1)
    assert ghost() is None
    loop.until(ghost)
    color = ghost().GetSegmentation().GetSegment(preview.SEGMENT).GetColor()
    np.testing.assert_allclose(color, preview.SHRINKS)
    send(view, "LeaveEvent")
    assert ghost() is None
    send(view, "MouseMoveEvent", *pixel)
    loop.until(ghost)
    point_at(fixing, view, MISSING)
    assert ghost() is None
    fixing.ui.fixButton.checked = False
    assert scene.GetFirstNodeByName(preview.NAME) is None
    fixing.ui.fixButton.checked = True
    send(view, "MouseMoveEvent", *at(view, correction.volume, LEAKED), ctrl=1)
    loop.until(ghost)
    scene.Clear(False)
    loop.settle(0.3)
    assert scene.GetFirstNodeByName(preview.NAME) is None and correction.state == "closed"


def test_what_a_job_made_is_corrected_with_all_that_the_engine_knows(scene, widget, client):
    """Nothing is sent again, and what was painted before Fix was pressed counts as paint."""
    import numpy as np
    import slicer.util
    from test_layers import paint
    from test_panel import apply, choose
    from VesaliusLib.vesalius import Steps, sessions
    from volumes import GEOMETRIES, add_volume, small_ct

    volume = add_volume(scene, small_ct(), GEOMETRIES["oblique"])  # noqa: F811
    widget.ui.volumeSelector.setCurrentNode(volume)
    choose(widget, "total", "fastest")
    apply(widget)
    node = widget.panel.results.node  # noqa: F811
    each = node.GetSegmentation().GetNthSegmentID(0)
    paint(node, volume, each, np.s_[3:5, 4:9, 4:9])
    widget.ui.nextPlaceButton.click()
    wait(widget)
    correction = widget.panel.correct.correction
    assert correction.error is None, correction.error.message
    view = Steps(sessions.get(client, node.GetAttribute("Vesalius.Session"))).finish()  # noqa: F811
    jobs = Steps(client.jobs()).finish()
    assert view["job"] == jobs[-1]["id"] and correction.steps == (1, 0)
    # The small networks have random weights, and are unsure all over.
    assert view["runner_up"] and any("perhaps " in correction.describe(each) for each in correction.places)
    # The segments are those of the session, by the label values of the job.
    labels = np.empty(small_ct().shape, np.uint8)
    Steps(sessions.labels(client, view["id"], memoryview(labels.reshape(-1)))).finish()
    values = {row["name"]: row["value"] for row in view["structures"]}
    for each in node.GetSegmentation().GetSegmentIDs():
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, each, volume) != 0
        np.testing.assert_array_equal(mask, labels == values[each.split(".", 1)[1]])
    # Another run makes the segments anew: the old session goes, with its image.
    widget.ui.replaceCheckBox.checked = True
    apply(widget)
    widget.ui.nextPlaceButton.click()
    wait(widget)
    assert correction.error is None, correction.error.message
    again = Steps(sessions.get(client, node.GetAttribute("Vesalius.Session"))).finish()
    assert again["id"] != view["id"] and again["job"] == Steps(client.jobs()).finish()[-1]["id"]
    assert view["id"] not in {each["id"] for each in Steps(client.ask("GET", "/v1/sessions")).finish()}
