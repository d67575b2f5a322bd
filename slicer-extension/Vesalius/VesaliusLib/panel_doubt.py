"""Whether the chosen image looks right for the chosen task; images are filled after they are added to the scene."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

import qt
import slicer

from . import scene
from .catalog import Task
from .vesalius import VesaliusError

# Milliseconds after the last change of an image until it is looked at.
SETTLED = 150


class Doubt:
    """Looks at one volume node. `on_change` is called when it seems to be something else than before."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._node_id = ""
        self._observed: List[Tuple[Any, int]] = []
        self.guess: Optional[scene.Guess] = None
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.connect("timeout()", self._again)

    @property
    def modality(self) -> str:
        """What the image seems to be; empty where nobody knows."""
        return self.guess.modality if self.guess else ""

    @property
    def is_told(self) -> bool:
        """Whether that is written down, and not only seen in the values."""
        return self.guess is not None and self.guess.is_told

    def of(self, task: Optional[Task]) -> str:
        """Why the image may not be right for a task; empty when it may."""
        if task is None or self.guess is None or not task.modality:
            return ""
        return self.guess.doubt(task.modality)

    def look(self, volume: Optional[Any]) -> None:
        """Looks at another volume."""
        self.close()
        self._node_id = volume.GetID() if volume is not None else ""
        if volume is not None:
            for event in (volume.ImageDataModifiedEvent, "ModifiedEvent"):
                self._observed.append((volume, volume.AddObserver(event, self._changed)))
        self._guess(volume)

    def close(self) -> None:
        """Looks at nothing any more."""
        self._settle.stop()
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed.clear()
        self.guess = None

    def _changed(self, *_args: Any) -> None:
        if not slicer.mrmlScene.IsClosing():
            self._settle.start(SETTLED)

    def _again(self) -> None:
        volume, before = slicer.mrmlScene.GetNodeByID(self._node_id) if self._node_id else None, self.guess
        if volume is not None and volume.GetImageData() is not None:
            self._guess(volume)
            if self.guess != before:
                self._on_change()

    def _guess(self, volume: Optional[Any]) -> None:
        self.guess = None
        if volume is not None and volume.GetImageData() is not None:
            try:
                self.guess = scene.guess(volume)
            except VesaliusError:
                # Apply will say what is wrong with the image.
                pass
