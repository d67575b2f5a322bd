"""The card at the top of the panel: what is missing, in two sentences, and the one button that mends it."""

from __future__ import annotations

import html
from typing import Any, Callable, Optional

import qt
import slicer
from slicer.i18n import tr as _

from .catalog import Speed, Task
from .driver import Driver, is_cancellation
from .line import Line
from .panel_words import bytes_in_words, in_panel, seconds_in_words, sentence
from .process import Engine
from .vesalius import Cancelled, Client, Progress, VesaliusError
from .vesalius.steps import Work

# Answers of an engine that knows no such request.
UNKNOWN = {"not_found", "method_not_allowed"}


class SetupCard:
    """Nothing is downloaded or installed before its button is clicked. `on_mended` is called afterwards."""

    def __init__(self, ui: Any, engine: Engine, on_mended: Callable[[], None]) -> None:
        self._ui, self._engine, self._on_mended = ui, engine, on_mended
        self._driver, self._line = Driver(), Line(engine)
        self._action: Optional[Callable[[], None]] = None
        self._needed: Any = None
        self.is_busy = False
        ui.setupIconLabel.setPixmap(icon("SP_MessageBoxInformation"))
        ui.setupButton.connect("clicked(bool)", self._clicked)
        menu = qt.QMenu(ui.setupMoreButton)
        for text, action in (
            (_("Choose the program..."), self._choose_program),
            (_("Install from a wheel file..."), self._choose_wheel),
        ):
            entry = qt.QAction(text, menu)
            entry.connect("triggered(bool)", action)
            menu.addAction(entry)
        ui.setupMoreButton.setMenu(menu)

    def hide(self) -> None:
        """Nothing is missing."""
        if not self.is_busy:
            self._needed = None
            self._ui.setupFrame.setVisible(False)

    def need_engine(self, error: VesaliusError) -> None:
        """The program is not there."""
        if self.is_busy:
            return
        self._needed = "engine"
        text = _(
            "Vesalius works with an <b>engine</b>: one program that runs on this computer and sends nothing anywhere. "
            "It is installed with pip from PyPI into a folder of its own, apart from Slicer's Python (Apache-2.0, "
            "about 330 MB on disk)."
        )
        if error.code == "engine_not_installed" and not self._engine.chosen:
            self._show(text, _("Install the engine"), self._install_engine, more=True)
            return
        told = "<br>".join(html.escape(sentence(in_panel(part))) for part in (error.message, error.hint) if part)
        if error.code == "version_unsupported":
            self._show(told, _("Update the engine"), self._install_engine, more=True)
        else:
            self._show(told, _("Try again"), self._on_mended, more=True)

    def need_models(self, task: Task, speed: Speed) -> None:
        """Weights of a task are not there."""
        if self.is_busy and self._needed != "engine":
            return
        self._needed = (task.id, speed.id)
        name, size = html.escape(task.id), bytes_in_words(speed.bytes)
        if speed.obstacle:
            text = _("The models of <b>{task}</b> are not on this computer, and Vesalius cannot download them. {why}")
            self._show(text.format(task=name, why=html.escape(speed.obstacle)), _("Look again"), self._on_mended)
            return
        facts = ", ".join(part for part in (size, speed.licence) if part)
        text = _(
            "The models of <b>{task}</b> are not on this computer yet. "
            "They are downloaded once, from their authors' public address{facts}, and can be removed under Engine."
        ).format(task=name, facts=f" ({html.escape(facts)})" if facts else "")
        button = _("Install models ({size})").format(size=size) if size else _("Install models")
        if not speed.is_permissive:
            # The click is the consent to these terms.
            text += f"<br><b>{html.escape(sentence(task.terms or speed.licence))}</b>"
            button = _("Accept and install ({size})").format(size=size) if size else _("Accept and install")
        self._show(text, button, lambda: self._install_models(task, speed))

    def close(self) -> None:
        """Ends what is under way; an installation of the engine is taken back."""
        self._driver.cancel()
        self._driver.wait(timeout=2.0)
        self._driver.abandon()
        self._line.close()

    # What the buttons do.

    def _clicked(self, *_args: Any) -> None:
        if self.is_busy:
            self._ui.setupButton.setEnabled(False)
            self._driver.cancel()
            self._line.driver.cancel()
        elif self._action is not None:
            self._action()

    def _install_engine(self, wheel: str = "") -> None:
        self._begin(_("Installing the engine."))
        self._driver.run(self._engine.install(wheel), self._done, self._failed, self._progress)

    def _install_models(self, task: Task, speed: Speed) -> None:
        self._begin(_("Installing the models of <b>{task}</b>.").format(task=html.escape(task.id)))
        self._line.ask(
            lambda client: install_models(client, task, speed),
            self._done,
            lambda error: self._models_failed(error, task, speed),
            self._progress,
        )

    def _models_failed(self, error: VesaliusError, task: Task, speed: Speed) -> None:
        if error.code not in UNKNOWN:
            return self._failed(error)
        self.is_busy = False
        command = f"vesalius models install {task.id}" + ("" if speed.id == "default" else f" --{speed.id}")
        text = _("This engine installs models from a terminal only. Type <code>{command}</code>, then look again.")
        self._show(text.format(command=html.escape(command)), _("Look again"), self._on_mended)

    def _choose_program(self, *_args: Any) -> None:
        path = qt.QFileDialog.getOpenFileName(None, _("The engine's program, vesalius"))
        path = path[0] if isinstance(path, tuple) else path
        if path:
            self._ui.enginePathLineEdit.currentPath = path

    def _choose_wheel(self, *_args: Any) -> None:
        path = qt.QFileDialog.getOpenFileName(None, _("The engine as a wheel file"), "", "*.whl")
        path = path[0] if isinstance(path, tuple) else path
        if path:
            self._install_engine(path)

    # What is shown.

    def _show(self, text: str, button: str, action: Callable[[], None], more: bool = False) -> None:
        self._action = action
        self._ui.setupLabel.text = text
        self._ui.setupButton.text = button
        self._ui.setupButton.setEnabled(True)
        self._ui.setupMoreButton.setVisible(more)
        self._ui.setupProgressBar.setVisible(False)
        self._ui.setupFrame.setVisible(True)

    def _begin(self, text: str) -> None:
        self.is_busy = True
        self._text = text
        self._show(text, _("Cancel"), lambda: None)
        self._ui.setupProgressBar.setRange(0, 0)
        self._ui.setupProgressBar.setVisible(True)

    def _progress(self, progress: Progress) -> None:
        bar = self._ui.setupProgressBar
        if progress.fraction is None:
            bar.setRange(0, 0)
        else:
            bar.setRange(0, 1000)
            bar.setValue(int(1000 * progress.fraction))
        left = seconds_in_words(progress.seconds_left)
        message = progress.message if len(progress.message) < 90 else progress.message[:87] + "..."
        told = ", ".join(part for part in (html.escape(message), left and left + " left") if part)
        self._ui.setupLabel.text = f"{self._text}<br>{told}"

    def _done(self, _result: Any) -> None:
        self.is_busy = False
        self.hide()
        self._on_mended()

    def _failed(self, error: VesaliusError) -> None:
        self.is_busy = False
        if is_cancellation(error):
            return self._on_mended()
        text = html.escape(sentence(error.message))
        if error.hint:
            text += "<br>" + html.escape(sentence(in_panel(error.hint)))
        self._show(text, _("Try again"), self._action_again, more=self._needed == "engine")

    def _action_again(self) -> None:
        self.hide()
        self._on_mended()


def install_models(client: Client, task: Task, speed: Speed) -> Work[Any]:
    """Has the engine download the models of a task; cancelled, it stops the download."""
    body = {"task": task.id, "speed": speed.id, "accept_licence": True}
    started = yield from client.ask("POST", "/v1/models", body)
    try:
        return (yield from client.follow(started["id"]))
    except Cancelled:
        yield from client.stop(started["id"])
        raise


def icon(name: str, size: int = 20) -> Any:
    """One of the style's own icons, as a pixmap."""
    return slicer.app.style().standardIcon(getattr(qt.QStyle, name)).pixmap(qt.QSize(size, size))
