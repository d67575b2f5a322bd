"""The mouse and the keys over slice views of Slicer while a correction listens, and the marks that prompts leave.

Only turns events into points and calls; everything else the views do goes on beside it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import slicer

Point = Sequence[float]
# Before Slicer's own widgets, which are told by an aborted event that this one was taken.
PRIORITY = 10.0
# Pixels: a click may tremble; the points of a line are this far apart; the wheel belongs to a click this close.
TREMOR, APART, CLOSE = 5.0, 3.0, 12.0
EVENTS = (
    "LeftButtonPressEvent",
    "LeftButtonReleaseEvent",
    "MouseMoveEvent",
    "MouseWheelForwardEvent",
    "MouseWheelBackwardEvent",
    "KeyPressEvent",
    "LeaveEvent",
)
MARK = "Vesalius prompt"


class Listener(NamedTuple):
    """Who is told. Points are in the scene, RAS millimetres."""

    # A click or a line, and whether Ctrl was held.
    pointed: Callable[[List[Point], bool], None]
    # The cursor, or None when it left, and whether Ctrl is held.
    moved: Callable[[Optional[Point], bool], None]
    # Steps of the wheel over the last click, and keys (`z`, `Z`, `Escape`, with Ctrl `^z`); whether it was meant.
    turned: Callable[[int], bool]
    pressed: Callable[[str], bool]


class SliceViews:
    """All slice views that are shown."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        # By interactor: its slice node, and the tags of its observers.
        self._views: Dict[Any, Tuple[Any, List[int]]] = {}
        self._path: List[Tuple[float, float]] = []
        self._points: List[Point] = []
        self._clicked: Optional[Tuple[Any, float, float]] = None

    @property
    def is_armed(self) -> bool:
        """Whether it listens."""
        return bool(self._views)

    def arm(self) -> None:
        """Listens; views that are opened later are not heard."""
        self.disarm()
        for interactor, node in slice_views():
            tags = [interactor.AddObserver(event, self._heard, PRIORITY) for event in EVENTS]
            self._views[interactor] = (node, tags)

    def disarm(self) -> None:
        """Listens no more."""
        for interactor, (_, tags) in self._views.items():
            for tag in tags:
                interactor.RemoveObserver(tag)
        self._views.clear()
        self._path, self._points, self._clicked = [], [], None

    def _heard(self, interactor: Any, event: str) -> None:
        if interactor not in self._views or slicer.mrmlScene.IsClosing():
            return
        x, y = (float(value) for value in interactor.GetEventPosition())
        command = interactor.GetCommand(self._views[interactor][1][EVENTS.index(event)])
        # Whoever is told may disarm: nothing of the view is needed afterwards.
        if self._is_meant(interactor, event, x, y):
            # Keeps the event from Slicer's own widgets.
            command.SetAbortFlag(1)

    def _is_meant(self, interactor: Any, event: str, x: float, y: float) -> bool:
        """Passes an event on; whether it was for us alone."""
        if event.startswith("LeftButton"):
            self._button(interactor, event, x, y)
            return True
        if event == "MouseMoveEvent":
            return self._moved(interactor, x, y)
        if event.startswith("MouseWheel"):
            return self._is_over_click(interactor, x, y) and self._listener.turned(1 if "Forward" in event else -1)
        if event == "KeyPressEvent":
            key = str(interactor.GetKeySym() or "")
            return bool(key) and self._listener.pressed(("^" if interactor.GetControlKey() else "") + key)
        self._listener.moved(None, False)
        return False

    def _button(self, interactor: Any, event: str, x: float, y: float) -> None:
        point = self._point(interactor, x, y)
        if event == "LeftButtonPressEvent":
            self._path, self._points = [(x, y)], [point]
        elif self._path:
            points = self._points if self._is_line() else self._points[:1]
            self._clicked = (interactor, *self._path[0 if len(points) == 1 else -1])
            self._path, self._points = [], []
            self._listener.pointed(points, bool(interactor.GetControlKey()))

    def _moved(self, interactor: Any, x: float, y: float) -> bool:
        point = self._point(interactor, x, y)
        if not self._path:
            self._listener.moved(point, bool(interactor.GetControlKey()))
            return False
        if abs(x - self._path[-1][0]) + abs(y - self._path[-1][1]) >= APART:
            self._path.append((x, y))
            self._points.append(point)
        return True

    def _is_line(self) -> bool:
        x, y = self._path[0]
        return any(abs(other_x - x) + abs(other_y - y) > TREMOR for other_x, other_y in self._path)

    def _is_over_click(self, interactor: Any, x: float, y: float) -> bool:
        if self._clicked is None or self._clicked[0] is not interactor:
            return False
        return abs(x - self._clicked[1]) + abs(y - self._clicked[2]) <= CLOSE

    def _point(self, interactor: Any, x: float, y: float) -> Point:
        return self._views[interactor][0].GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))[:3]


def slice_views() -> List[Tuple[Any, Any]]:
    """The interactors of the slice views, with their slice nodes."""
    manager = slicer.app.layoutManager()
    widgets = [manager.sliceWidget(name) for name in manager.sliceViewNames()] if manager is not None else []
    return [(widget.sliceView().interactor(), widget.mrmlSliceNode()) for widget in widgets]


def mark(points: Sequence[Point], adds: bool) -> None:
    """Shows where the last prompt was."""
    scene = slicer.mrmlScene
    node = scene.GetFirstNodeByName(MARK)
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
        node.UnRegister(None)
        node.SetName(MARK)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node = scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        node.SetLocked(True)
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetGlyphTypeFromString("ThickCross2D")
        display.SetGlyphScale(2.2)
        display.SetTextScale(0.0)
    color = (0.2, 1.0, 0.3) if adds else (1.0, 0.35, 0.2)
    for set_color in (node.GetDisplayNode().SetColor, node.GetDisplayNode().SetSelectedColor):
        set_color(*color)
    node.RemoveAllControlPoints()
    # A line is shown by a few of its points.
    for point in points[:: max(1, len(points) // 12)]:
        node.AddControlPointWorld(*point)


def unmark() -> None:
    """Takes the marks away."""
    node = slicer.mrmlScene.GetFirstNodeByName(MARK)
    if node is not None:
        for each in (node.GetDisplayNode(), node):
            slicer.mrmlScene.RemoveNode(each)
