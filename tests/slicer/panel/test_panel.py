"""The panel as a user meets it: real widgets, the real scene, the real engine."""

from __future__ import annotations

import os
import re

import loop
import pytest
from gui import open_widget
from test_process import nowhere, wheel  # noqa: F401


@pytest.fixture
def opened(volume, widget):
    """The panel with an image, and a task that runs in a second."""
    choose(widget, "total", "fastest")
    return widget


def choose(widget, task, speed=""):
    """What clicks into the two lists do."""
    for combo, value in ((widget.ui.taskComboBox, task), (widget.ui.speedComboBox, speed)):
        if value:
            combo.setCurrentIndex(combo.findData(value))
            combo.activated.emit(combo.currentIndex)


def apply(widget):
    widget.ui.applyButton.click()
    return loop.until(lambda: not widget.panel.job.is_busy)


def rows(tree):
    root = tree.invisibleRootItem()
    return [[root.child(number).text(column) for column in range(2)] for number in range(root.childCount())]


def test_apply_becomes_cancel_and_fills_the_table(scene, opened):
    ui, seen = opened.ui, []
    assert (ui.applyButton.text, ui.applyButton.enabled) == ("Apply", True)
    shown = opened.panel.job.on_change

    def changed():
        shown()
        seen.append((ui.applyButton.text, ui.progressFrame.isHidden(), ui.progressBar.value))

    opened.panel.job.on_change = changed
    apply(opened)
    assert opened.panel.job.state == "done", opened.panel.job.error
    busy = seen[:-1]
    assert {text for text, _, _ in busy} == {"Cancel"} and not any(hidden for _, hidden, _ in busy)
    values = [value for _, _, value in seen]
    assert values == sorted(values) and len(set(values)) > 4
    assert ui.applyButton.text == "Apply" and ui.progressFrame.isHidden()
    node = ui.segmentationSelector.currentNode()
    segmentation = node.GetSegmentation()
    table = rows(ui.resultTree)
    assert [name for name, _ in table] == [
        segmentation.GetSegment(each).GetName() for each in segmentation.GetSegmentIDs()
    ]
    assert all(re.fullmatch(r"\d+(\.\d+)?", volume) for _, volume in table)
    assert "structures found in" in ui.resultLabel.text and not ui.resultCollapsibleButton.collapsed


def test_the_button_cancels(scene, opened):
    loop.at(opened.panel.job, "running", opened.ui.applyButton.click)
    apply(opened)
    assert opened.panel.job.state == "cancelled"
    assert opened.ui.applyButton.text == "Apply" and opened.ui.progressLabel.text == "Cancelled"
    assert opened.ui.errorFrame.isHidden() and not opened.ui.segmentationSelector.currentNode()


@pytest.mark.parametrize("state", ["idle", "uploading", "running", "importing", "done"])
def test_the_scene_can_be_closed_at_any_time(scene, opened, state):
    panel = opened.panel
    if state in ("idle", "done"):
        if state == "done":
            apply(opened)
        scene.Clear(False)
    else:
        loop.at(panel.job, state, lambda: scene.Clear(False))
        apply(opened)
    loop.settle()
    assert not panel.job.is_busy and opened.ui.errorFrame.isHidden()
    assert opened.ui.volumeSelector.currentNode() is None and not rows(opened.ui.resultTree)
    assert not opened.ui.applyButton.enabled and opened.ui.applyButton.toolTip == "Choose a volume."
    assert not scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    # A new patient: all works as before.
    from volumes import GEOMETRIES, add_volume, small_ct

    add_volume(scene, small_ct(), GEOMETRIES["straight"])
    loop.settle(0.1)
    choose(opened, "total", "fastest")
    apply(opened)
    assert panel.job.state == "done", panel.job.error


def test_search_groups_and_presets_choose_structures(opened):
    ui, structures = opened.ui, opened.panel.structures
    assert ui.structuresCollapsibleButton.text == "Structures (all 117)"
    root = ui.structuresTree.invisibleRootItem()
    groups = {root.child(number).text(0): root.child(number) for number in range(root.childCount())}
    assert "Spine (27)" in groups and "Lungs and airways (6)" in groups
    ui.structuresSearch.setText("left kid")
    shown = [
        group.child(number).text(0)
        for group in groups.values()
        for number in range(group.childCount())
        if not group.isHidden() and not group.child(number).isHidden()
    ]
    assert shown == ["kidney left", "kidney cyst left"]
    ui.structuresSearch.setText("spine")
    assert not groups["Spine (27)"].isHidden() and groups["Heart (2)"].isHidden()
    ui.structuresSearch.setText("")
    ui.presetComboBox.setCurrentIndex(ui.presetComboBox.findText("Heart"))
    ui.presetComboBox.activated.emit(ui.presetComboBox.currentIndex)
    assert set(structures.wanted()) == {"heart", "atrial_appendage_left"}
    assert ui.structuresCollapsibleButton.text == "Structures (2 / 117)"
    import qt

    groups["Heart (2)"].setCheckState(0, qt.Qt.Unchecked)
    loop.settle(0.1)
    assert structures.wanted() == () and not ui.applyButton.enabled
    assert ui.applyButton.toolTip == "Choose at least one structure."
    groups["Lungs and airways (6)"].setCheckState(0, qt.Qt.Checked)
    loop.settle(0.1)
    apply(opened)
    node = ui.segmentationSelector.currentNode()
    found = {each.split(".")[-1] for each in node.GetSegmentation().GetSegmentIDs()}
    assert len(structures.wanted()) == 6 and found <= set(structures.wanted())


def test_a_box_limits_the_segmentation(scene, opened):
    import numpy as np
    import slicer

    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    opened.ui.regionSelector.nodeAddedByUser.emit(roi)
    bounds = [0.0] * 6
    opened.ui.volumeSelector.currentNode().GetRASBounds(bounds)
    size = list(roi.GetSize())
    assert size == pytest.approx([bounds[1] - bounds[0], bounds[3] - bounds[2], bounds[5] - bounds[4]])
    roi.SetSize([length / 3 for length in size])
    opened.ui.regionSelector.setCurrentNode(roi)
    apply(opened)
    assert opened.panel.job.state == "done", opened.panel.job.error
    node, volume = opened.ui.segmentationSelector.currentNode(), opened.ui.volumeSelector.currentNode()
    from VesaliusLib import scene as volumes

    (i, i_end), (j, j_end), (k, k_end) = volumes.region_of(roi, volume)
    for each in node.GetSegmentation().GetSegmentIDs():
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, each, volume) != 0
        mask[k:k_end, j:j_end, i:i_end] = False
        assert not np.any(mask)


def test_an_image_that_does_not_fit_the_task_is_told(scene, widget):
    from volumes import GEOMETRIES, add_volume, small_ct

    ui = widget.ui
    mr = add_volume(scene, small_ct(), GEOMETRIES["straight"], "T1")
    mr.SetAttribute("DICOM.Modality", "MR")
    ui.volumeSelector.setCurrentNode(mr)
    loop.settle(0.5)
    assert "[CT]" not in ui.taskComboBox.itemText(0)
    choose(widget, "total", "fastest")
    assert ui.hintLabel.text.startswith("This task is for CT, and this image is MR.")
    assert not ui.applyButton.enabled and ui.applyButton.toolTip == "The task is for other images."
    ui.forceCheckBox.checked = True
    assert ui.applyButton.enabled
    apply(widget)
    assert widget.panel.job.state == "done", widget.panel.job.error


def test_a_job_that_fails_is_one_sentence_with_details(scene, opened):
    opened.ui.volumeSelector.currentNode().SetAndObserveImageData(None)
    apply(opened)
    ui = opened.ui
    assert not ui.errorFrame.isHidden() and ui.errorLabel.text == "“CT” holds no voxels."
    assert ui.detailsLabel.isHidden()
    ui.detailsButton.click()
    assert not ui.detailsLabel.isHidden() and ui.detailsLabel.text.startswith("Load the image again.\nCode: ")


def test_show_and_hide_rename_and_delete_are_followed(scene, opened):
    import qt

    apply(opened)
    ui, node = opened.ui, opened.ui.segmentationSelector.currentNode()
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    first = segmentation.GetNthSegmentID(0)
    item = ui.resultTree.invisibleRootItem().child(0)
    item.setCheckState(0, qt.Qt.Unchecked)
    assert not display.GetSegmentVisibility(first)
    segmentation.GetSegment(first).SetName("My own name")
    loop.settle(1.5)
    assert ui.resultTree.invisibleRootItem().child(0).text(0) == "My own name"
    count = segmentation.GetNumberOfSegments()
    segmentation.RemoveSegment(first)
    loop.settle(1.0)
    assert len(rows(ui.resultTree)) == count - 1
    scene.RemoveNode(node)
    loop.settle(0.2)
    assert not rows(ui.resultTree) and ui.resultCollapsibleButton.collapsed


def test_volumes_follow_edits(scene, opened):
    import slicer

    apply(opened)
    node = opened.ui.segmentationSelector.currentNode()
    each, volume = node.GetSegmentation().GetNthSegmentID(0), opened.ui.volumeSelector.currentNode()
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, each, volume)
    mask[...] = 0
    mask[10:20, 10:20, 10:20] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, each, volume)
    loop.settle(1.5)
    # 1000 voxels of 27 mm3.
    assert rows(opened.ui.resultTree)[0][1] == "27"


def test_a_click_jumps_into_the_structure(scene, opened):
    import numpy as np
    import slicer

    apply(opened)
    node, volume = opened.ui.segmentationSelector.currentNode(), opened.ui.volumeSelector.currentNode()
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    view.SetDimensions(100, 100, 1)
    item = opened.ui.resultTree.invisibleRootItem().child(0)
    opened.ui.resultTree.itemClicked.emit(item, 0)
    loop.until(lambda: not opened.panel.results.driver.is_busy)
    matrix = view.GetSliceToRAS()
    point = [matrix.GetElement(row, 3) for row in range(3)]
    from VesaliusLib import scene as volumes
    from VesaliusLib.vesalius import geometry

    index = np.rint(geometry.to_ijk(volumes.ijk_to_ras(volume), np.array([point]))[0]).astype(int)
    each = node.GetSegmentation().GetNthSegmentID(0)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, each, volume)
    assert mask[index[2], index[1], index[0]] == 1


def test_the_table_is_sorted_by_numbers_and_copied(application, opened):
    import qt

    apply(opened)
    opened.ui.resultTree.sortByColumn(1, qt.Qt.DescendingOrder)
    volumes = [float(volume) for _, volume in rows(opened.ui.resultTree)]
    assert volumes == sorted(volumes, reverse=True) and volumes[0] >= 100
    opened.ui.copyButton.click()
    lines = application.clipboard().text().splitlines()
    assert lines[0] == "structure\tvolume_ml" and len(lines) == len(volumes) + 1
    copied = sorted((float(line.split("\t")[1]) for line in lines[1:]), reverse=True)
    assert copied == pytest.approx(volumes, abs=0.51)


def test_3d_is_shown_and_hidden_without_a_long_turn(opened):
    apply(opened)
    ui, node = opened.ui, opened.ui.segmentationSelector.currentNode()
    ui.show3DButton.click()
    loop.until(lambda: ui.show3DButton.enabled)
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert ui.show3DButton.checked and node.GetDisplayNode().GetVisibility3D()
    ui.show3DButton.click()
    assert not node.GetDisplayNode().GetVisibility3D() and not ui.show3DButton.checked


def test_models_that_are_missing_are_offered(opened):
    ui = opened.ui
    choose(opened, "total", "fast")
    assert not ui.setupFrame.isHidden() and "<b>total</b> are not on this computer" in ui.setupLabel.text
    assert ui.setupButton.text.startswith("Install models")
    assert not ui.applyButton.enabled
    choose(opened, "total", "fastest")
    assert ui.setupFrame.isHidden() and ui.applyButton.enabled


def test_choices_are_kept_with_the_scene(scene, opened):
    panel = opened.panel
    panel.structures.show(panel.task, ["liver", "spleen"])
    panel._choices_changed()
    opened.exit()
    other = open_widget()
    loop.until(lambda: other.panel.tasks)
    assert (other.panel.task.id, other.panel.speed) == ("total", "fastest")
    assert set(other.panel.structures.wanted()) == {"liver", "spleen"}
    other.cleanup()


def test_the_engine_is_described(opened, engine):
    ui = opened.ui
    assert ui.engineStateLabel.text == "ready" and re.fullmatch(r"\d+\.\d+\.\d+.*", ui.engineVersionLabel.text)
    assert "processor" in ui.engineDeviceLabel.text and "GB free of" in ui.engineMemoryLabel.text
    names = [name for name, _ in rows(ui.modelsTree)]
    assert {"headneck", "clicks"} < set(names) and len(names) == 3
    root = ui.modelsTree.invisibleRootItem()
    for number, name in enumerate(names):
        ui.modelsTree.setCurrentItem(root.child(number))
        # What is built in cannot be removed.
        assert ui.removeModelButton.enabled == (name != "headneck")


def test_first_use_is_two_sentences_and_one_button(application, scene, nowhere, tmp_path, monkeypatch):  # noqa: F811
    """Nothing is installed: the card, a click, and the panel works."""
    import test_process

    widget = open_widget()
    ui = widget.ui
    try:
        loop.settle(0.2)
        assert not ui.setupFrame.isHidden() and ui.setupButton.text == "Install the engine"
        assert not ui.setupMoreButton.isHidden()
        assert not nowhere.exists(), "nothing is done before the click"
        assert (ui.applyButton.enabled, ui.applyButton.toolTip) == (False, "The engine is not ready.")
        assert ui.engineStateLabel.text == "not installed"
        # The click installs from PyPI; here the program comes from a wheel file.
        from VesaliusLib import process

        file = str(wheel(tmp_path))
        source = process.pip_source
        monkeypatch.setattr(process, "pip_source", lambda path: source(path or file))
        ui.setupButton.click()
        assert ui.setupButton.text == "Cancel" and not ui.setupProgressBar.isHidden()
        loop.until(lambda: widget.panel.tasks)
        assert ui.setupFrame.isHidden() and ui.engineStateLabel.text == "ready"
    finally:
        widget.cleanup()
        test_process.stop(nowhere)


def test_an_engine_that_does_not_start_is_quoted_and_can_be_tried_again(application, scene, nowhere):  # noqa: F811
    nowhere.mkdir()
    broken = nowhere / "broken"
    broken.write_text("#!/bin/sh\necho the disk is on fire\nexit 3\n")
    broken.chmod(0o755)
    widget = open_widget()
    ui = widget.ui
    ui.enginePathLineEdit.currentPath = str(broken)
    loop.until(lambda: "the disk is on fire" in ui.setupLabel.text)
    assert "vesalius doctor" in ui.setupLabel.text and ui.setupButton.text == "Try again"
    assert not ui.applyButton.enabled
    ui.enginePathLineEdit.currentPath = ""
    loop.settle(0.2)
    assert ui.setupButton.text == "Install the engine"
    widget.cleanup()


def test_leaving_and_ending_at_work_is_quiet(volume, home):
    widget = open_widget()
    loop.until(lambda: widget.panel.tasks)
    choose(widget, "total", "fastest")
    widget.ui.applyButton.click()
    loop.until(lambda: widget.panel.job.state != "starting")
    widget.exit()
    widget.cleanup()
    assert not widget.panel.job.is_busy
    loop.settle()
    assert os.path.isdir(home)


def installer(*steps):
    """Stands in for the engine's downloads: what it would say, then how it ends."""

    def install_models(_client, _task, _speed):
        for step in steps:
            if isinstance(step, Exception):
                raise step
            yield step

    return install_models


def test_models_are_installed_by_one_click_with_progress(opened, monkeypatch):
    from VesaliusLib import panel_setup
    from VesaliusLib.vesalius import Progress
    from VesaliusLib.vesalius.steps import Wait

    ui, seen = opened.ui, []
    steps = [Progress("running", "downloading", fraction / 10, 40.0) for fraction in range(10)]
    steps = [each for step in steps for each in (step, Wait(seconds=0.02))]
    monkeypatch.setattr(panel_setup, "install_models", installer(*steps))
    choose(opened, "total", "fast")
    ui.setupButton.click()
    assert ui.setupButton.text == "Cancel"
    loop.until(lambda: seen.append((ui.setupProgressBar.value, ui.setupLabel.text)) or not opened.panel.setup.is_busy)
    assert {value for value, _ in seen} >= {100, 500, 900}
    assert any("downloading, about 40 s left" in text for _, text in seen)


def test_an_engine_that_cannot_install_models_tells_the_command(opened, monkeypatch):
    from VesaliusLib import panel_setup
    from VesaliusLib.vesalius import Refused

    monkeypatch.setattr(panel_setup, "install_models", installer(Refused("method_not_allowed", "no")))
    choose(opened, "total", "fast")
    opened.ui.setupButton.click()
    loop.until(lambda: not opened.panel.setup.is_busy)
    assert "<code>vesalius models install total --fast</code>" in opened.ui.setupLabel.text
    assert opened.ui.setupButton.text == "Look again" and opened.ui.setupButton.enabled


def test_an_installation_that_fails_says_why_and_can_be_tried_again(opened, monkeypatch):
    from VesaliusLib import panel_setup
    from VesaliusLib.vesalius import Refused

    failure = Refused("disk_full", "the disk is full", "free some space, then try again")
    monkeypatch.setattr(panel_setup, "install_models", installer(failure))
    choose(opened, "total", "fast")
    opened.ui.setupButton.click()
    loop.until(lambda: not opened.panel.setup.is_busy)
    assert opened.ui.setupLabel.text == "The disk is full.<br>Free some space, then try again."
    opened.ui.setupButton.click()
    loop.settle(0.2)
    assert opened.ui.setupButton.text.startswith("Install models")


def test_models_that_are_not_for_everybody_are_told_so(opened):
    ui = opened.ui
    choose(opened, "heartchambers_highres")
    assert "cannot download them" in ui.setupLabel.text and ui.setupButton.text == "Look again"
    choose(opened, "brain_aneurysm")
    assert "No commercial use" in ui.setupLabel.text and ui.setupButton.text.startswith("Accept and install")


def test_the_test_that_users_run_in_slicer_passes(application, scene, home):
    from Vesalius import VesaliusTest

    VesaliusTest().runTest()
