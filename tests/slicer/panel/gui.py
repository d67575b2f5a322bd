"""Qt as 3D Slicer's Python sees it, on PySide6, so that the real panel runs without the application.

Slicer wraps Qt with PythonQt, where properties are attributes and signals are connected by their C++ names; widgets of
CTK and MRML come from Slicer's own libraries. Here the same is made of PySide6: a window system is not needed
(QT_QPA_PLATFORM=offscreen). Scene, nodes and `slicer.util` are Slicer's own.
"""

from __future__ import annotations

import logging
import os
import sys
import types
import unittest
from pathlib import Path
from typing import Any, Dict, Optional

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer  # noqa: E402
import slicer.util  # noqa: E402
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets  # noqa: E402

MODULE = Path(__file__).resolve().parents[3] / "slicer-extension" / "Vesalius"
SOURCES = (QtCore, QtGui, QtWidgets, QtUiTools)
# C++ calls these on Python's subclasses: they must stay methods.
VIRTUAL = {"sizeHint", "minimumSizeHint"}


def _property(name: str) -> property:
    return property(
        lambda self: QtCore.QObject.property(self, name),
        lambda self, value: QtCore.QObject.setProperty(self, name, value),
    )


def _connect(self: Any, signal: Any, *slot: Any) -> Any:
    if isinstance(signal, str) and signal[0].isalpha():
        return getattr(self, signal.split("(")[0]).connect(*slot)
    # PySide itself, with its own spelling of signals.
    return QtCore.QObject.connect(signal, *slot)


def pythonqt(base: type) -> type:
    """A class of PySide6 with properties as attributes, and signals by name."""
    names: Dict[str, Any] = {
        # PySide looks this name up by itself; only what stands in the class wins.
        "connect": _connect,
        "className": lambda self: type(self).__name__,
        "name": _property("objectName"),
    }
    meta = base.staticMetaObject
    for index in range(meta.propertyCount()):
        name = meta.property(index).name()
        if name not in VIRTUAL:
            names[name] = _property(name)
    return type(base.__name__, (base,), names)


class _QtModule(types.ModuleType):
    """The module `qt`: all of QtCore, QtGui, QtWidgets and QtUiTools in one, as PythonQt has it."""

    def __getattr__(self, name: str) -> Any:
        for source in SOURCES:
            found = getattr(source, name, None)
            if found is not None:
                if isinstance(found, type) and issubclass(found, QtCore.QObject) and name != "QApplication":
                    found = pythonqt(found)
                setattr(self, name, found)
                return found
        raise AttributeError(name)


qt = _QtModule("qt")
ctk = types.ModuleType("ctk")


class CollapsibleButton(pythonqt(QtWidgets.QWidget)):  # type: ignore[misc]
    """ctkCollapsibleButton: a bar that opens and closes what lies below it."""

    BAR = 24

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._text, self._collapsed = "", False
        self.setContentsMargins(0, self.BAR, 0, 0)

    def _get_text(self) -> str:
        return self._text

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def _is_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        self._collapsed = bool(collapsed)
        self._arrange()

    text = QtCore.Property(str, _get_text, _set_text)
    collapsed = QtCore.Property(bool, _is_collapsed, _set_collapsed)

    def _arrange(self) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget) and not child.isWindow():
                hidden = child.property("hiddenByModule")
                child.setVisible(not self._collapsed and not hidden)
        self.setMaximumHeight(self.BAR if self._collapsed else 16777215)
        self.updateGeometry()

    def showEvent(self, event: Any) -> None:
        if self._collapsed:
            self._arrange()
        super().showEvent(event)

    def mousePressEvent(self, event: Any) -> None:
        if event.position().y() < self.BAR:
            self._set_collapsed(not self._collapsed)

    def paintEvent(self, _event: Any) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        palette, width = QtWidgets.QWidget.palette(self), QtWidgets.QWidget.width(self)
        edge = palette.color(QtGui.QPalette.Mid)
        if not self._collapsed:
            painter.setPen(edge)
            height = QtWidgets.QWidget.height(self)
            painter.drawRect(QtCore.QRectF(0.5, self.BAR / 2, width - 1, height - self.BAR / 2 - 1))
        painter.setPen(edge)
        painter.setBrush(palette.color(QtGui.QPalette.Button))
        painter.drawRoundedRect(QtCore.QRectF(0.5, 0.5, width - 1, self.BAR - 2), 3, 3)
        group = QtGui.QPalette.Active if QtWidgets.QWidget.isEnabled(self) else QtGui.QPalette.Disabled
        ink = palette.color(group, QtGui.QPalette.ButtonText)
        painter.setPen(ink)
        painter.drawText(24, 0, width - 30, self.BAR - 2, QtCore.Qt.AlignVCenter, self._text)
        painter.setBrush(ink)
        painter.setPen(QtCore.Qt.NoPen)
        middle = self.BAR / 2 - 1
        closed = [(9, middle - 4), (14, middle), (9, middle + 4)]
        opened = [(7, middle - 2), (15, middle - 2), (11, middle + 3)]
        painter.drawPolygon([QtCore.QPointF(*point) for point in (closed if self._collapsed else opened)])


class NodeComboBox(pythonqt(QtWidgets.QComboBox)):  # type: ignore[misc]
    """qMRMLNodeComboBox: lists nodes of the real scene as they come and go."""

    currentNodeChanged = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._values: Dict[str, Any] = {"nodeTypes": [], "noneEnabled": False, "noneDisplay": "None"}
        self._shown: Optional[str] = None
        QtWidgets.QComboBox.setSizeAdjustPolicy(self, QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        QtWidgets.QComboBox.setMinimumContentsLength(self, 8)
        expanding = QtWidgets.QSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        QtWidgets.QComboBox.setSizePolicy(self, expanding)
        self.currentIndexChanged.connect(self._tell)

    def _get(name: str) -> Any:  # noqa: N805
        return lambda self: self._values.get(name)

    def _put(name: str) -> Any:  # noqa: N805
        return lambda self, value: self._values.__setitem__(name, value)

    nodeTypes = QtCore.Property("QStringList", _get("nodeTypes"), _put("nodeTypes"))
    noneEnabled = QtCore.Property(bool, _get("noneEnabled"), _put("noneEnabled"))
    noneDisplay = QtCore.Property(str, _get("noneDisplay"), _put("noneDisplay"))

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent)
        tags = [scene.AddObserver(event, self._fill) for event in events]
        self.destroyed.connect(lambda: [scene.RemoveObserver(tag) for tag in tags])
        self._fill()

    def _fill(self, *_args: Any) -> None:
        chosen = self.currentNodeID
        self.blockSignals(True)
        self.clear()
        if self._values["noneEnabled"]:
            self.addItem(self._values["noneDisplay"], "")
        for kind in self._values["nodeTypes"]:
            for node in slicer.util.getNodesByClass(kind, self._scene):
                if node.GetClassName() == kind and not node.GetHideFromEditors():
                    self.addItem(node.GetName(), node.GetID())
        self.setCurrentIndex(max(0, self.findData(chosen)))
        self.blockSignals(False)
        self._tell()

    @property
    def currentNodeID(self) -> str:
        return self.itemData(QtCore.QObject.property(self, "currentIndex")) or ""

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self.currentNodeID) if self._scene and self.currentNodeID else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentIndex(self.findData(node.GetID() if node is not None else ""))

    def _tell(self, *_args: Any) -> None:
        if self.currentNodeID != self._shown:
            self._shown = self.currentNodeID
            self.currentNodeChanged.emit(self.currentNode())


class MRMLWidget(pythonqt(QtWidgets.QWidget)):  # type: ignore[misc]
    """qMRMLWidget: gives its scene to the widgets inside."""

    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: Any) -> None:
        for widget in self.findChildren(NodeComboBox):
            widget.setMRMLScene(scene)


class PathLineEdit(pythonqt(QtWidgets.QLineEdit)):  # type: ignore[misc]
    """ctkPathLineEdit."""

    currentPathChanged = QtCore.Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText("found by itself")
        self.textChanged.connect(self.currentPathChanged)

    currentPath = _property("text")


CUSTOM = {
    "ctkCollapsibleButton": CollapsibleButton,
    "qMRMLNodeComboBox": NodeComboBox,
    "qMRMLWidget": MRMLWidget,
    "ctkPathLineEdit": PathLineEdit,
}
for _made in CUSTOM.values():
    _made.connect = _connect


class UiLoader(QtUiTools.QUiLoader):
    """Makes the widgets of a .ui file; an unknown one is an error, as it would be in Slicer."""

    def createWidget(self, name: str, parent: Any = None, object_name: str = "") -> Any:
        made = CUSTOM.get(name) or getattr(qt, name)
        widget = made(parent)
        widget.setObjectName(object_name)
        return widget


qt.QUiLoader = UiLoader


class _Settings(dict):
    def value(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    def setValue(self, key: str, value: Any) -> None:
        self[key] = value

    def contains(self, key: str) -> bool:
        return key in self


def install() -> Any:
    """Puts all of it where a module of Slicer looks for it; `headless.start()` came first. Gives the application."""
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["slicer"])
    application.setStyle("Fusion")
    # The .ui file connects signals of C++ types, which only the real widgets have.
    QtCore.qInstallMessageHandler(_message)
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
    for name, made in CUSTOM.items():
        setattr(ctk if name.startswith("ctk") else slicer, name, made)
    settings = _Settings()
    slicer.app.userSettings = lambda: settings
    slicer.app.processEvents = application.processEvents
    slicer.app.style, slicer.app.clipboard = application.style, application.clipboard
    slicer.app.startupEnvironment = lambda: types.SimpleNamespace(keys=lambda: list(os.environ), value=os.environ.get)
    slicer.app.testingEnabled = lambda: True
    # No windows; tests that need views give their own.
    slicer.app.layoutManager = lambda: None
    translation = types.ModuleType("slicer.i18n")
    translation.tr, translation.translate = (lambda text: text), (lambda context, text: text)  # type: ignore
    sys.modules["slicer.i18n"] = slicer.i18n = translation
    sys.modules["slicer.ScriptedLoadableModule"] = slicer.ScriptedLoadableModule = _scripted()
    if str(MODULE) not in sys.path:
        sys.path.insert(0, str(MODULE))
    return application


def _message(_kind: Any, _context: Any, text: str) -> None:
    if "QObject::connect" not in text and "propagateSizeHints" not in text:
        print(text, file=sys.stderr)


def _scripted() -> types.ModuleType:
    """The classes that a scripted module is made of, by what Slicer's documentation says of them."""
    module = types.ModuleType("slicer.ScriptedLoadableModule")

    class ScriptedLoadableModule:
        def __init__(self, parent: Any) -> None:
            self.parent = parent

    class ScriptedLoadableModuleWidget:
        def __init__(self, parent: Any = None) -> None:
            self.parent = parent or qt.QWidget()
            self.layout = QtWidgets.QVBoxLayout(self.parent)
            self.layout.setContentsMargins(4, 4, 4, 4)

        def setup(self) -> None:
            pass

        def resourcePath(self, name: str) -> str:
            return str(MODULE / "Resources" / name)

    class ScriptedLoadableModuleLogic:
        def __init__(self, parent: Any = None) -> None:
            self.moduleName = type(self).__name__[: -len("Logic")]

        def getParameterNode(self) -> Any:
            scene = slicer.mrmlScene
            node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is None:
                node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
                node.UnRegister(None)
                node.SetSingletonTag(self.moduleName)
                node.SetModuleName(self.moduleName)
                node.SetName(self.moduleName)
                node = scene.AddNode(node)
            return node

    class ScriptedLoadableModuleTest(unittest.TestCase):
        def delayDisplay(self, message: str, *_args: Any) -> None:
            logging.info(message)

    for made in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(module, made.__name__, made)
    return module


def open_widget() -> Any:
    """Does what Slicer does when the user opens the module."""
    from Vesalius import VesaliusWidget

    made = VesaliusWidget()
    made.setup()
    made.parent.resize(380, 900)
    made.parent.show()
    made.enter()
    return made
