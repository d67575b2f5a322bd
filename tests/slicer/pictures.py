#!/usr/bin/env python3
"""Makes the pictures of docs/slicer.md: the real panel, and Slicer's own views of a real CT with its result.

    target/slicer-5.12.4.0/bin/python tests/slicer/pictures.py [FOLDER]

`tests/slicer/run` makes that environment. The icon is drawn again from its SVG.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Tuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE / "panel"), str(ROOT / "slicer-extension" / "Vesalius")]
os.environ.setdefault("QT_SCALE_FACTOR", "1")

import engine as engines  # noqa: E402
import headless  # noqa: E402
from scenery import beside, darken, grab, image_of, row, save, show, views, watched  # noqa: E402


def load_example(scene: Any) -> Any:
    """The example CT, as Slicer's own reader gives it."""
    import slicer

    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "HeadNeckCT")
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(engines.EXAMPLE))
    assert storage.ReadData(volume)
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(420, 60)
    return volume


def draw_icon() -> None:
    """The PNG that Slicer's lists use, from the SVG."""
    from PySide6 import QtGui, QtSvg

    icons = ROOT / "slicer-extension" / "Vesalius" / "Resources" / "Icons"
    image = QtGui.QImage(128, 128, QtGui.QImage.Format_ARGB32)
    image.fill(0)
    painter = QtGui.QPainter(image)
    QtSvg.QSvgRenderer(str(icons / "Vesalius.svg")).render(painter)
    painter.end()
    image.save(str(icons / "Vesalius.png"))


def first_use(folder: Path) -> None:
    """A computer on which nothing is installed."""
    import loop
    from gui import open_widget

    own = {"PATH": "/nowhere", "HOME": "/nowhere", "VESALIUS_HOME": "/nowhere"}
    kept = {name: os.environ.get(name) for name in (*own, "VESALIUS")}
    os.environ.update(own)
    os.environ.pop("VESALIUS", None)
    widget = open_widget()
    loop.settle()
    save(grab(widget), folder, "slicer_first_use.png")
    widget.cleanup()
    for name, value in kept.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def segment(folder: Path, scene: Any) -> Tuple[Any, Any]:
    """Before, at work, done, failed; gives the volume and the panel when it is done."""
    import loop
    from gui import open_widget

    volume = load_example(scene)
    widget = open_widget()
    ui, job = widget.ui, widget.panel.job
    loop.until(lambda: widget.panel.tasks)
    ui.structuresCollapsibleButton.collapsed = False
    save(grab(widget), folder, "slicer_before.png")
    ui.structuresCollapsibleButton.collapsed = True
    ui.show3DCheckBox.checked = True
    ui.applyButton.click()
    loop.until(lambda: job.fraction > 0.6 and job.seconds_left)
    save(grab(widget), folder, "slicer_running.png")
    loop.until(lambda: not job.is_busy)
    assert job.state == "done", job.error
    save(grab(widget), folder, "slicer_panel.png")
    return volume, widget


def failed(folder: Path, widget: Any) -> None:
    """A job that the engine refuses."""
    import loop
    from VesaliusLib.vesalius import Refused

    job, ui = widget.panel.job, widget.ui
    message = "the job needs about 9.1 GB of memory, and 6.0 GB are free"
    job.error = Refused("needs_too_much_memory", message, "`speed: fast` needs about 2.1 GB; or choose a region")
    job.state = "failed"
    ui.resultCollapsibleButton.collapsed = True
    widget.panel.update()
    ui.detailsButton.click()
    loop.settle(0.1)
    save(grab(widget), folder, "slicer_failed.png")


def engine_section(folder: Path, widget: Any) -> None:
    """What the engine is."""
    ui = widget.ui
    for section in (ui.inputsCollapsibleButton, ui.outputsCollapsibleButton, ui.resultCollapsibleButton):
        section.collapsed = True
    widget.panel.job.state, widget.panel.job.error = "idle", None
    widget.panel.update()
    ui.engineCollapsibleButton.collapsed = False
    save(grab(widget), folder, "slicer_engine.png")


def correct(folder: Path, scene: Any, widget: Any) -> None:
    """A gland that lost a half: before, while the cursor rests, and after one click; and the section Correct."""
    import loop
    import numpy as np
    import slicer
    from VesaliusLib import panel_results
    from VesaliusLib.vesalius import delta

    ui, volume = widget.ui, widget.ui.volumeSelector.currentNode()
    node, section = widget.panel.results.node, widget.panel.correct
    for each in (ui.inputsCollapsibleButton, ui.outputsCollapsibleButton, ui.resultCollapsibleButton):
        each.collapsed = True
    ui.engineCollapsibleButton.collapsed = True
    ui.correctCollapsibleButton.collapsed = False
    # The mistake: half of a gland is missing.
    map_, labels = labels_of(volume, node)
    value = map_.values["headneck.parotid_gland_left"]
    inside = np.argwhere(labels == value)
    middle = inside.mean(axis=0)
    wrong = labels.copy()
    lost = inside[inside[:, 1] > middle[1]]
    wrong[tuple(lost.T)] = 0
    # And a doubtful place: an island.
    island = tuple(np.array(labels.shape) // 2 + offset for offset in np.ogrid[:3, :3, :3])
    wrong[island] = map_.values["headneck.mandible"]
    write(map_, delta.between(labels, wrong))
    view = watched("Correct", "Axial", volume)
    correction = section.correction
    ui.fixButton.checked = True
    settle(correction)
    # What is missing in the slice that is shown, as far inside as can be.
    k = int(np.argmax(np.bincount(lost[:, 0])))
    here = lost[lost[:, 0] == k]
    order = np.argsort(np.linalg.norm(here - here.mean(axis=0), axis=1))
    places = (panel_results.to_scene(node, _world(volume, here[n][::-1])) for n in order)
    place = next(each for each in places if correction.near(each) == value)
    show(place)
    shown = [image_of(view.pixels())]
    ui.nextPlaceButton.click()
    correction.accept(map_.values["headneck.brainstem"])
    settle(correction)
    show(place)
    section._moved(place, False)
    loop.until(_has_ghost)
    shown.append(image_of(view.pixels()))
    section._pointed([place], False)
    settle(correction)
    loop.settle(0.8)
    shown.append(image_of(view.pixels()))
    save(row(shown), folder, "slicer_correct.png")
    loop.until(lambda: not ui.networkFrame.isHidden())
    save(grab(widget), folder, "slicer_correct_panel.png")
    ui.fixButton.checked = False
    while correction.steps[0]:
        correction.undo()
        settle(correction)
    write(map_, delta.between(wrong, labels))
    slicer.app.layoutManager = lambda: None


def tools(folder: Path, widget: Any) -> None:
    """Slices that were not drawn, before and after; pieces that do not belong, before and after."""
    import loop
    import numpy as np
    from VesaliusLib import panel_results
    from VesaliusLib.vesalius import delta

    ui, volume = widget.ui, widget.ui.volumeSelector.currentNode()
    node, correction = widget.panel.results.node, widget.panel.correct.correction
    map_, labels = labels_of(volume, node)
    gland, bone = map_.values["headneck.parotid_gland_left"], map_.values["headneck.mandible"]
    inside = np.argwhere(labels == gland)
    wrong = labels.copy()
    drawn = sorted(set(inside[:, 0]))
    for number, k in enumerate(drawn):
        if number % 4 and k != drawn[-1]:
            wrong[k][wrong[k] == gland] = 0
    k, j, i = np.rint(inside.mean(axis=0)).astype(int)
    wrong[k + 9 : k + 12, j - 2 : j + 2, i - 5 : i - 1] = bone
    write(map_, delta.between(labels, wrong))
    view = watched("Tools", "Coronal", volume)
    ui.fixButton.checked = True
    settle(correction)
    show(panel_results.to_scene(node, _world(volume, (i, j, k + 3))))
    shown = [image_of(view.pixels())]
    correction.fill(gland)
    settle(correction)
    loop.settle(0.2)
    shown.append(image_of(view.pixels()))
    correction.drop(panel_results.to_scene(node, _world(volume, (i - 3, j, k + 10))), bone)
    settle(correction)
    loop.settle(0.2)
    shown.append(image_of(view.pixels()))
    save(row(shown), folder, "slicer_tools.png")
    ui.fixButton.checked = False


def labels_of(volume: Any, node: Any) -> Tuple[Any, Any]:
    """The segments of a node as one label map, and the way to write into them."""
    from VesaliusLib import layers
    from VesaliusLib.vesalius import Steps

    made = layers.Layers(volume, node)
    return made, Steps(made.compose()).finish()


def write(map_: Any, change: Any) -> None:
    """Changes segments."""
    from VesaliusLib.vesalius import Steps

    Steps(map_.write(change)).finish()


def settle(correction: Any) -> None:
    """Until all is done, which must have gone well."""
    import loop

    loop.until(lambda: not correction.driver.is_busy)
    assert correction.error is None, correction.error.message


def _has_ghost() -> bool:
    import slicer
    from VesaliusLib import preview

    node = slicer.mrmlScene.GetFirstNodeByName(preview.NAME)
    return node is not None and node.GetSegmentation().GetNumberOfSegments() > 0


def _world(volume: Any, voxel: Any) -> Any:
    """Where a voxel [i, j, k] is, without transforms."""
    from VesaliusLib import scene
    from VesaliusLib.vesalius import geometry

    return geometry.to_world(scene.ijk_to_ras(volume), [voxel])[0]


def main() -> None:
    """All pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    scene = headless.start()
    import gui

    application = gui.install()
    if "--dark" in sys.argv:
        darken(application)
    draw_icon()
    first_use(folder)
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(engines.environment(Path(home)))
        engines.import_network(Path(home))
        running = engines.Engine(Path(home))
        try:
            volume, widget = segment(folder, scene)
            node = widget.ui.segmentationSelector.currentNode()
            shown = views(volume, node, "headneck.parotid_gland_left")
            save(beside(grab(widget), shown), folder, "slicer.png")
            failed(folder, widget)
            engine_section(folder, widget)
            correct(folder, scene, widget)
            tools(folder, widget)
            widget.cleanup()
        finally:
            running.stop()


if __name__ == "__main__":
    main()
