"""What the tests of the panel share: Qt, the module's own widget, and the engine that the other tests use too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import loop  # noqa: E402


@pytest.fixture(autouse=True)
def quiet(capfd):
    """Errors in timers and observers are only printed, by Qt and VTK: here they fail the test."""
    yield
    said = capfd.readouterr().err
    errors = [line for line in said.splitlines() if "Traceback" in line or "ERR|" in line]
    # What the application would have loaded when it started.
    unknown = [line for line in errors if "ColorLogic" not in line and "Terminologies" not in line]
    assert not unknown, said


@pytest.fixture(scope="session")
def application(slicer_scene):
    """Qt, and Slicer's scene."""
    import gui

    return gui.install()


@pytest.fixture
def volume(application, scene):
    """A part of a real CT."""
    import slicer
    from volumes import GEOMETRIES, add_volume, small_ct

    # The application always has one; it comes back by itself when it is asked for.
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    return add_volume(scene, small_ct(), GEOMETRIES["oblique"])


@pytest.fixture
def home(engine, monkeypatch):
    """The folder of the engine that runs for all tests."""
    monkeypatch.setenv("VESALIUS_HOME", str(engine.home))
    return engine.home


@pytest.fixture
def job(application, home):
    """The machine behind the panel, without the panel."""
    from VesaliusLib.jobs import Job
    from VesaliusLib.process import Engine

    made = Job(Engine())
    yield made
    made.close()


@pytest.fixture
def widget(application, scene, home):
    """The module's widget, entered."""
    import gui

    made = gui.open_widget()
    loop.until(lambda: made.panel.tasks)
    yield made
    made.cleanup()
    made.parent.deleteLater()
    loop.settle(0.05)
