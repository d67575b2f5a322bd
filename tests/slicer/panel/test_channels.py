"""A task of several images, DWI and ADC: the panel, scripts and the Python client, against the command line."""

from __future__ import annotations

import engine as engines
import loop
import nibabel
import numpy as np
import pytest
from test_jobs import stop
from test_panel import apply, choose
from volumes import GEOMETRIES, add_volume, rotation

SHAPE = (30, 36, 40)
TASK = {"task": "stroke"}


def brain(is_adc):
    """A head with a lesion that is bright in DWI and dark in ADC."""
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    head = (k - 15) ** 2 + (j - 18) ** 2 + (i - 20) ** 2 < 14**2
    lesion = (k - 14) ** 2 + (j - 15) ** 2 + (i - 25) ** 2 < 4**2
    noise = np.random.default_rng(4 + is_adc).integers(-12, 13, SHAPE)
    levels = np.where(lesion, 40, 120) if is_adc else np.where(lesion, 160, 60)
    return np.where(head, levels + noise, 0).astype(np.int16)


@pytest.fixture(scope="module")
def stroke(tmp_path_factory):
    """An engine with the task `stroke`."""
    home = tmp_path_factory.mktemp("stroke")
    home.chmod(0o700)
    engines.import_stroke(home, tmp_path_factory.mktemp("model"))
    started = engines.Engine(home)
    yield started
    started.stop()
    stop(home)


@pytest.fixture
def home(stroke, monkeypatch):
    """In place of the engine of the other tests."""
    monkeypatch.setenv("VESALIUS_HOME", str(stroke.home))
    return stroke.home


@pytest.fixture
def images(scene, application):
    """DWI, an image of something else, and ADC, on a slightly different grid than DWI."""
    import slicer

    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    made = {}
    for name, voxels in (("DWI b1000", brain(False)), ("T2", brain(False)), ("ep2d ADC", brain(True))):
        made[name] = add_volume(scene, voxels, GEOMETRIES["oblique"])
        made[name].SetName(name)
    return made


@pytest.fixture(scope="module")
def expected(stroke, tmp_path_factory):
    """The labels of the command line."""
    folder = tmp_path_factory.mktemp("files")
    for name, is_adc in (("dwi", False), ("adc", True)):
        file = nibabel.Nifti1Image(brain(is_adc).T, GEOMETRIES["oblique"])
        nibabel.save(file, folder / f"{name}.nii.gz")
    files = [
        "-i",
        str(folder / "dwi.nii.gz"),
        "--channel",
        f"ADC={folder / 'adc.nii.gz'}",
        "-o",
        str(folder / "labels.nii.gz"),
    ]
    engines.run(stroke.home, "segment", "-q", "--task", "stroke", *files, "--ml", "--device", "cpu")
    labels = np.asanyarray(nibabel.load(folder / "labels.nii.gz").dataobj).T
    assert len(np.unique(labels)) > 1
    return labels


def labels_of(node, volume, table):
    import slicer.util

    labels = np.zeros(SHAPE, np.uint8)
    for row in table["segments"]:
        if node.GetSegmentation().GetSegment(row["id"]) is not None:
            labels[slicer.util.arrayFromSegmentBinaryLabelmap(node, row["id"], volume) != 0] = row["value"]
    return labels


def test_the_panel_asks_for_each_channel_and_guesses_it(scene, images, widget, expected):
    ui, panel = widget.ui, widget.panel
    ui.volumeSelector.setCurrentNode(images["DWI b1000"])
    choose(widget, "headneck")
    assert not panel.channels.nodes() and ui.inputsLayoutLabel0.text == "Volume:"
    choose(widget, "stroke")
    assert ui.inputsLayoutLabel0.text == "DWI:" and panel.channels.nodes() == {"ADC": images["ep2d ADC"]}
    assert ui.applyButton.enabled, ui.applyButton.toolTip
    tables = []
    shown = panel.job.on_change
    panel.job.on_change = lambda: (panel.job.outcome and tables.append(panel.job.outcome.table), shown())
    apply(widget)
    assert panel.job.state == "done", panel.job.error
    found = labels_of(panel.results.node, images["DWI b1000"], tables[-1])
    np.testing.assert_array_equal(found, expected)
    # The choice is remembered, and the selectors go with the task.
    choose(widget, "headneck")
    assert not panel.channels.nodes()
    choose(widget, "stroke")
    assert panel.channels.nodes() == {"ADC": images["ep2d ADC"]}
    scene.RemoveNode(images["ep2d ADC"])
    loop.settle(0.1)
    assert not ui.applyButton.enabled and ui.applyButton.toolTip == "Choose the ADC image."


def test_images_that_do_not_belong_together_are_refused_in_words(scene, images, widget):
    ui, panel = widget.ui, widget.panel
    ui.volumeSelector.setCurrentNode(images["DWI b1000"])
    choose(widget, "stroke")
    away = np.eye(4)
    away[:3, 3] = 500.0
    import slicer.util

    matrix = slicer.util.vtkMatrixFromArray(away @ GEOMETRIES["oblique"])
    images["ep2d ADC"].SetIJKToRASMatrix(matrix)
    apply(widget)
    assert panel.job.error.code == "channel_mismatch" and "covers only 0 %" in ui.errorLabel.text
    images["ep2d ADC"].SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(GEOMETRIES["oblique"]))
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turn = np.eye(4)
    turn[:3, :3] = rotation(0.1, 0.2, 0.3)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(turn))
    images["ep2d ADC"].SetAndObserveTransformNodeID(transform.GetID())
    apply(widget)
    assert "lie under different transforms" in ui.errorLabel.text
    images["DWI b1000"].SetAndObserveTransformNodeID(transform.GetID())
    apply(widget)
    assert panel.job.state == "done", panel.job.error


def test_a_channel_that_is_deleted_stops_the_job(scene, images, widget, stroke):
    ui, panel = widget.ui, widget.panel
    ui.volumeSelector.setCurrentNode(images["DWI b1000"])
    choose(widget, "stroke")
    loop.at(panel.job, "running", lambda: scene.RemoveNode(images["ep2d ADC"]))
    apply(widget)
    assert panel.job.state == "cancelled" and "ep2d ADC" in panel.job.message
    loop.until(lambda: not stroke.spooled())


def test_scripts_name_the_channels(images, home, expected):
    from Vesalius import VesaliusLogic

    logic = VesaliusLogic()
    dwi = images["DWI b1000"]
    node = logic.segment(dwi, **TASK, channels={"ADC": images["ep2d ADC"]})
    np.testing.assert_array_equal(labels_of(node, dwi, logic.job.outcome.table), expected)
    with pytest.raises(Exception, match="ADC"):
        logic.segment(dwi, **TASK)
    logic.job.close()


def test_the_python_client_takes_a_list(home, expected):
    import VesaliusLib.vesalius as vesalius

    client = vesalius.Client.find(home)
    both = [brain(False), brain(True)]
    matrix = GEOMETRIES["oblique"]
    labels, _ = vesalius.segment(both, matrix, **TASK, client=client)
    np.testing.assert_array_equal(labels, expected)
    files = [nibabel.Nifti1Image(voxels.T, matrix) for voxels in both]
    labels, table = vesalius.segment(files, **TASK, client=client)
    np.testing.assert_array_equal(labels.T, expected)
    for given, words in (([*both, both[0]], "takes 2 images .DWI, ADC., and 3 are given"), ([], "no image")):
        with pytest.raises(vesalius.VesaliusError, match=words):
            vesalius.segment(given, matrix, **TASK, client=client)
    with pytest.raises(vesalius.VesaliusError, match="takes one image, and 2 are given"):
        vesalius.segment(both, matrix, task="headneck", client=client)
    client.close()


def test_images_are_guessed_by_name_and_place(scene, application):
    from VesaliusLib.panel_channels import guess

    names = ("DWI", "adc of another day", "trace b1000", "FLAIR dark-fluid", "ADC_map", "lead")
    nodes = {}
    for name in names:
        nodes[name] = add_volume(
            scene, brain(False), GEOMETRIES["oblique" if name != "adc of another day" else "straight"]
        )
        nodes[name].SetName(name)
    assert guess("ADC", nodes["DWI"]) is nodes["ADC_map"], "that on the same grid"
    assert guess("DWI", nodes["ADC_map"]) is nodes["DWI"]
    assert guess("DWI", nodes["DWI"]) is nodes["trace b1000"]
    assert guess("FLAIR", nodes["DWI"]) is nodes["FLAIR dark-fluid"]
    assert guess("T1", nodes["DWI"]) is None
    assert guess("ADC", nodes["DWI"], [nodes["ADC_map"]]) is nodes["adc of another day"]
