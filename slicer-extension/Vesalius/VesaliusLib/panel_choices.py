"""What the user chose, kept in the scene, so that a saved scene opens as it was left."""

from __future__ import annotations

import json
from typing import Any, Callable, Optional, Tuple

VOLUME, REGION, SEGMENTATION = "InputVolume", "Region", "Segmentation"
# Followed by the channel's name.
CHANNEL = "Channel."


class Choices:
    """The parameter node, by names. It is looked up each time: it goes when the scene closes."""

    def __init__(self, parameter_node: Callable[[], Any]) -> None:
        self._node = parameter_node

    def _reference(self, role: str) -> Optional[Any]:
        return self._node().GetNodeReference(role)

    def _refer(self, role: str, node: Optional[Any]) -> None:
        wanted = node.GetID() if node is not None else None
        if self._node().GetNodeReferenceID(role) != wanted:
            self._node().SetNodeReferenceID(role, wanted)

    def _set(self, name: str, value: str) -> None:
        if self._node().GetParameter(name) != value:
            self._node().SetParameter(name, value)

    @property
    def volume(self) -> Optional[Any]:
        """The image."""
        return self._reference(VOLUME)

    @volume.setter
    def volume(self, node: Optional[Any]) -> None:
        self._refer(VOLUME, node)

    def channel(self, name: str) -> Optional[Any]:
        """A further image of a task that takes several."""
        return self._reference(CHANNEL + name)

    def set_channel(self, name: str, node: Optional[Any]) -> None:
        """Remembers it."""
        self._refer(CHANNEL + name, node)

    @property
    def region(self) -> Optional[Any]:
        """The box; None: all of the image."""
        return self._reference(REGION)

    @region.setter
    def region(self, node: Optional[Any]) -> None:
        self._refer(REGION, node)

    @property
    def segmentation(self) -> Optional[Any]:
        """Where the result goes; None: a new one."""
        return self._reference(SEGMENTATION)

    @segmentation.setter
    def segmentation(self, node: Optional[Any]) -> None:
        self._refer(SEGMENTATION, node)

    @property
    def task(self) -> str:
        """The task; empty: none was chosen yet."""
        return self._node().GetParameter("Task")

    @task.setter
    def task(self, value: str) -> None:
        self._set("Task", value)

    @property
    def speed(self) -> str:
        """The resolution."""
        return self._node().GetParameter("Speed")

    @speed.setter
    def speed(self, value: str) -> None:
        self._set("Speed", value)

    @property
    def point(self) -> str:
        """The operating point; empty: the task's own default."""
        return self._node().GetParameter("OperatingPoint")

    @point.setter
    def point(self, value: str) -> None:
        self._set("OperatingPoint", value)

    @property
    def structures(self) -> Optional[Tuple[str, ...]]:
        """Names of the structures; None: all."""
        try:
            names = json.loads(self._node().GetParameter("Structures") or "null")
        except ValueError:
            return None
        return tuple(map(str, names)) if isinstance(names, list) else None

    @structures.setter
    def structures(self, names: Optional[Tuple[str, ...]]) -> None:
        self._set("Structures", "" if names is None else json.dumps(names))

    @property
    def show_3d(self) -> bool:
        """Whether surfaces are made at the end."""
        return self._node().GetParameter("Show3D") == "true"

    @show_3d.setter
    def show_3d(self, value: bool) -> None:
        self._set("Show3D", "true" if value else "false")

    @property
    def replace_edited(self) -> bool:
        """Whether edited segments are replaced too."""
        return self._node().GetParameter("ReplaceEdited") == "true"

    @replace_edited.setter
    def replace_edited(self, value: bool) -> None:
        self._set("ReplaceEdited", "true" if value else "false")
