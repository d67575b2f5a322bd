"""The mouse and keys over a slice view of Slicer: points where the cursor is, and what stays Slicer's own."""

from __future__ import annotations

import types

import numpy as np
import pytest


class Heard:
    def __init__(self):
        self.points, self.moves, self.turns, self.keys = [], [], [], []
        self.takes = True

    def listener(self):
        from VesaliusLib.correction_view import Listener

        def note(where, takes=True):
            return lambda *told: where.append(told[0] if len(told) == 1 else told) or (self.takes if takes else None)

        return Listener(note(self.points), note(self.moves), note(self.turns), note(self.keys))


@pytest.fixture
def view(application, volume, monkeypatch):
    """A coronal view of the oblique volume, where the application would have it."""
    import slicer
    import views

    made = views.SliceView("Green", "Coronal", (200, 160))
    made.show(volume)
    widget = types.SimpleNamespace(
        sliceView=lambda: types.SimpleNamespace(interactor=lambda: made.interactor), mrmlSliceNode=lambda: made.node
    )
    manager = types.SimpleNamespace(sliceViewNames=lambda: ["Green"], sliceWidget=lambda name: widget)
    monkeypatch.setattr(slicer.app, "layoutManager", lambda: manager)
    yield made
    # Closing a scene leaves slice nodes, and the next view would get a node beside it.
    slicer.app.applicationLogic().GetSliceLogics().RemoveItem(made.logic)
    slicer.mrmlScene.RemoveNode(made.node)


@pytest.fixture
def armed(view):
    from VesaliusLib.correction_view import SliceViews

    heard = Heard()
    heard.views = SliceViews(heard.listener())
    heard.views.arm()
    yield heard
    heard.views.disarm()


def send(view, event, x=0, y=0, ctrl=0, key=""):
    """An event as the window system sends it; whether Slicer's own widgets still get it."""
    reached = []
    tag = view.interactor.AddObserver(event, lambda *_: reached.append(True), 0.5)
    view.interactor.SetEventInformation(x, y, ctrl, 0, "\0", 0, key)
    view.interactor.InvokeEvent(event)
    view.interactor.RemoveObserver(tag)
    return bool(reached)


def drag(view, path, ctrl=0):
    send(view, "LeftButtonPressEvent", *path[0], ctrl=ctrl)
    for x, y in path[1:]:
        send(view, "MouseMoveEvent", x, y, ctrl=ctrl)
    send(view, "LeftButtonReleaseEvent", *path[-1], ctrl=ctrl)


def test_a_click_is_the_point_under_the_cursor(view, armed):
    assert not send(view, "LeftButtonPressEvent", 60, 50)
    assert not send(view, "MouseMoveEvent", 62, 51)
    assert not send(view, "LeftButtonReleaseEvent", 62, 51)
    ((points, is_turned),) = armed.points
    # The middle of a view of 200 x 160 pixels is its slice's own point, and its axes go along the picture.
    matrix = np.array([[view.node.GetSliceToRAS().GetElement(row, column) for column in range(4)] for row in range(4)])
    width, height, _ = view.node.GetFieldOfView()
    expected = matrix @ [(60 / 200 - 0.5) * width, (50 / 160 - 0.5) * height, 0.0, 1.0]
    assert len(points) == 1 and not is_turned
    np.testing.assert_allclose(points[0], expected[:3], atol=max(width / 200, height / 160))


def test_a_drag_is_a_line_and_ctrl_turns_the_sign(view, armed):
    drag(view, [(20 + 4 * n, 30 + n) for n in range(20)], ctrl=1)
    ((points, is_turned),) = armed.points
    assert is_turned and len(points) == 20
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps.min() > 0 and steps.max() < 2 * steps.min() + 1e-6


def test_the_wheel_belongs_to_the_last_click_and_to_slicer_elsewhere(view, armed):
    assert send(view, "MouseWheelForwardEvent", 60, 50)
    drag(view, [(60, 50), (60, 50)])
    assert not send(view, "MouseWheelForwardEvent", 63, 52) and not send(view, "MouseWheelBackwardEvent", 60, 50)
    assert armed.turns == [1, -1]
    assert send(view, "MouseWheelForwardEvent", 120, 50) and armed.turns == [1, -1]
    armed.takes = False
    assert send(view, "MouseWheelForwardEvent", 60, 50), "there is nothing to walk through"


def test_keys_that_mean_nothing_stay_slicers(view, armed):
    assert not send(view, "KeyPressEvent", key="z")
    assert not send(view, "KeyPressEvent", key="z", ctrl=1)
    armed.takes = False
    assert send(view, "KeyPressEvent", key="v")
    assert armed.keys == ["z", "^z", "v"]


def test_the_cursor_is_followed_without_taking_it(view, armed):
    assert send(view, "MouseMoveEvent", 10, 10) and send(view, "LeaveEvent")
    (point, is_turned), (left, _) = armed.moves
    assert len(point) == 3 and not is_turned and left is None


def test_disarmed_everything_is_slicers(view, armed):
    armed.views.disarm()
    assert send(view, "KeyPressEvent", key="z") and send(view, "LeftButtonPressEvent", 60, 50)
    send(view, "LeftButtonReleaseEvent", 60, 50)
    assert not armed.points and not armed.keys


def test_marks_are_shown_and_not_saved(scene, view):
    from VesaliusLib import correction_view

    correction_view.mark([(1.0, 2.0, 3.0)], True)
    correction_view.mark([(1.0, 2.0, float(n)) for n in range(40)], False)
    node = scene.GetFirstNodeByName(correction_view.MARK)
    assert 12 <= node.GetNumberOfControlPoints() <= 14 and node.GetLocked()
    assert not node.GetSaveWithScene() and node.GetHideFromEditors()
    correction_view.unmark()
    assert scene.GetFirstNodeByName(correction_view.MARK) is None
    assert not scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialDisplayNode")
