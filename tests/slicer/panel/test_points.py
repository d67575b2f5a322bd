"""Operating points: the panel, scripts and the Python client, against the command line."""

from __future__ import annotations

import engine as engines
import loop
import nibabel
import numpy as np
import pytest
from test_channels import TASK, brain, home, images, labels_of  # noqa: F401
from test_jobs import stop
from test_panel import apply, choose
from volumes import GEOMETRIES

# As training writes them: in the order of thresholds, some without a name.
THRESHOLDS = {"sensitive": 0.25, None: 0.4, "balanced": 0.6, "specific": 0.75}


def point(name, threshold):
    """What a threshold gave on the validation cases."""
    numbers = {"threshold": threshold, "dice": 0.5, "sensitivity": 0.75, "precision": 0.4, "n": 12}
    return {**numbers, "false_ml_per_case": 1.5, **({"name": name} if name else {})}


@pytest.fixture(scope="module")
def stroke(tmp_path_factory):
    """An engine with the task `stroke`, whose card names three thresholds."""
    folder = tmp_path_factory.mktemp("stroke")
    folder.chmod(0o700)
    engines.import_stroke(folder, tmp_path_factory.mktemp("model"))
    engines.write_card(folder, "stroke", {"operating_points": [point(*each) for each in THRESHOLDS.items()]})
    started = engines.Engine(folder)
    yield started
    started.stop()
    stop(folder)


@pytest.fixture(scope="module")
def expected(stroke, tmp_path_factory):
    """The labels of the command line, without a threshold and at two of them."""
    folder, found = tmp_path_factory.mktemp("files"), {}
    for name, is_adc in (("dwi", False), ("adc", True)):
        file = nibabel.Nifti1Image(brain(is_adc).T, GEOMETRIES["oblique"])
        nibabel.save(file, folder / f"{name}.nii.gz")
    files = ["-i", folder / "dwi.nii.gz", "--channel", f"ADC={folder / 'adc.nii.gz'}", "-o", folder / "labels.nii.gz"]
    for name in ("", "sensitive", "specific"):
        asked = ["--operating-point", name] if name else []
        line = ["segment", "-q", "--task", "stroke", *files, "--ml", "--device", "cpu", *asked]
        engines.run(stroke.home, *map(str, line))
        found[name] = np.asanyarray(nibabel.load(folder / "labels.nii.gz").dataobj).T
    # Each finds something else.
    assert len({labels.tobytes() for labels in found.values()}) == 3
    return found


@pytest.fixture
def opened(images, widget):  # noqa: F811
    """The panel with both images, and a task without operating points."""
    widget.ui.volumeSelector.setCurrentNode(images["DWI b1000"])
    choose(widget, "headneck")
    return widget


def combo_of(widget):
    """The list of operating points; None where there is none."""
    import qt

    return widget.ui.inputsCollapsibleButton.findChild(qt.QComboBox, "pointComboBox")


def choose_point(widget, name):
    """What a click into the list does."""
    combo = combo_of(widget)
    combo.setCurrentIndex(combo.findData(name))
    combo.activated.emit(combo.currentIndex)


def applied(widget, volume):
    """The labels that Apply gives."""
    panel, tables = widget.panel, []
    shown = panel.job.on_change
    panel.job.on_change = lambda: (panel.job.outcome and tables.append(panel.job.outcome.table), shown())
    apply(widget)
    panel.job.on_change = shown
    assert panel.job.state == "done", panel.job.error
    return labels_of(panel.results.node, volume, tables[-1])


def test_the_row_is_there_for_tasks_that_have_operating_points(opened):
    settle = lambda: loop.settle(0.05)  # noqa: E731 - rows that go are deleted by Qt's event loop
    settle()
    assert combo_of(opened) is None and opened.panel.points.chosen == ""
    choose(opened, "stroke")
    settle()
    combo = combo_of(opened)
    assert [(combo.itemText(at), combo.itemData(at)) for at in range(combo.count)] == [
        ("Default", ""),
        ("Balanced (best Dice on validation cases, n = 12)", "balanced"),
        ("Sensitive", "sensitive"),
        ("Specific", "specific"),
    ]
    assert combo.currentIndex == 0 and combo.toolTip == "Threshold 0.5"
    assert opened.panel.request().operating_point is None, "nothing is sent unless it is chosen"
    form = opened.ui.inputsCollapsibleButton.layout()
    rows = [form.itemAt(row, form.ItemRole.FieldRole).widget().objectName for row in range(form.rowCount())]
    assert rows[:5] == ["volumeSelector", "channelSelectorADC", "taskComboBox", "pointComboBox", "speedComboBox"]
    assert form.labelForField(combo).text() == "Operating point:"
    choose_point(opened, "sensitive")
    assert combo.toolTip.startswith("Threshold 0.25. On validation cases (n = 12): 75 % of the structure found, 40 %")
    assert opened.panel.request().operating_point == "sensitive"
    # It goes with the task, and another task begins with its own default.
    choose(opened, "headneck")
    settle()
    assert combo_of(opened) is None and opened.panel.request().operating_point is None
    choose(opened, "stroke")
    settle()
    assert combo_of(opened).currentIndex == 0 and opened.panel.request().operating_point is None


def test_the_panel_gives_the_labels_of_the_command_line(opened, images, expected):  # noqa: F811
    volume = images["DWI b1000"]
    choose(opened, "stroke")
    for name in ("", "specific"):
        choose_point(opened, name)
        opened.ui.segmentationSelector.setCurrentNode(None)
        np.testing.assert_array_equal(applied(opened, volume), expected[name], err_msg=name)
        assert opened.panel.points.chosen == name, "the choice stays after Apply"
    # A saved scene opens as it was left.
    assert opened.panel.choices.point == "specific"
    opened.panel.load()
    assert combo_of(opened).currentData == "specific"


def test_scripts_choose_by_name_or_threshold(images, home, expected):  # noqa: F811
    from Vesalius import VesaliusLogic

    logic, dwi = VesaliusLogic(), images["DWI b1000"]
    both = {"channels": {"ADC": images["ep2d ADC"]}}
    for asked in ("sensitive", 0.25):
        node = logic.segment(dwi, **TASK, **both, operating_point=asked)
        np.testing.assert_array_equal(labels_of(node, dwi, logic.job.outcome.table), expected["sensitive"])
    for wrong in ("quick", 1.5):
        with pytest.raises(Exception, match="operating point|probability") as caught:
            logic.segment(dwi, **TASK, **both, operating_point=wrong)
        assert caught.value.code == "unknown_operating_point"
    logic.job.close()


def test_the_python_package_chooses_by_name_or_threshold(home, expected):  # noqa: F811
    import VesaliusLib.vesalius as vesalius

    client, both = vesalius.Client.find(home), [brain(False), brain(True)]
    for asked in ("specific", 0.75):
        labels, table = vesalius.segment(both, GEOMETRIES["oblique"], **TASK, client=client, operating_point=asked)
        np.testing.assert_array_equal(labels, expected["specific"])
        assert table["provenance"]["options"]["threshold"] == 0.75
    with pytest.raises(vesalius.VesaliusError, match="no operating point `quick`") as caught:
        vesalius.segment(both, GEOMETRIES["oblique"], **TASK, client=client, operating_point="quick")
    assert "sensitive" in caught.value.hint
    client.close()
