"""Pairing a web viewer: a code is shown, and whoever sits here says yes or no."""

from __future__ import annotations

import html
from typing import Any, Dict

import qt
from slicer.i18n import tr as _

from .line import Line
from .panel_words import sentence
from .process import Engine
from .vesalius import VesaliusError

POLL = 700
WAITING, ASKING, ALLOWED = "waiting", "asking", "allowed"


class Pairing:
    """The button `Pair a web viewer`, and what comes of it. The page itself can never answer the question."""

    def __init__(self, ui: Any, engine: Engine) -> None:
        self._ui, self._line = ui, Line(engine)
        self._code = ""
        self._seconds = 0
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._poll)
        ui.pairButton.connect("clicked(bool)", self._begin)
        ui.pairAllowButton.connect("clicked(bool)", lambda *args: self._answer(True))
        ui.pairRefuseButton.connect("clicked(bool)", lambda *args: self._answer(False))

    def close(self) -> None:
        """Stops asking; the engine's window closes by itself."""
        self._timer.stop()
        self._line.close()

    def _begin(self, *_args: Any) -> None:
        self._ui.pairButton.setEnabled(False)
        self._line.ask(lambda client: client.ask("POST", "/v1/pair", {}), self._begun, self._failed)

    def _begun(self, answer: Dict[str, Any]) -> None:
        self._code = str(answer["code"])
        self._seconds = int(answer.get("expires_in") or 120)
        self._show_code()
        self._timer.start(POLL)

    def _show_code(self) -> None:
        text = _("Type this code into the viewer within {seconds} seconds:").format(seconds=self._seconds)
        code = html.escape(self._code)
        self._tell(f"{html.escape(text)}<br><span style='font-size:large'><b><tt>{code}</tt></b></span>")

    def _poll(self) -> None:
        self._line.ask(lambda client: client.ask("GET", "/v1/pair"), self._polled, self._failed)

    def _polled(self, answer: Dict[str, Any]) -> None:
        state = answer.get("state")
        origin = html.escape(str(answer.get("origin") or ""))
        if state == ASKING:
            label = html.escape(str(answer.get("label") or ""))
            called = f" ({label})" if label else ""
            self._tell(
                _("Allow <b>{origin}</b>{called} to use the engine of this computer?").format(
                    origin=origin, called=called
                )
            )
        elif state == WAITING:
            self._show_code()
        else:
            told = {
                ALLOWED: _("<b>{origin}</b> may use the engine.").format(origin=origin),
                "refused": _("<b>{origin}</b> was refused.").format(origin=origin or _("The viewer")),
            }
            return self._end(told.get(str(state), _("The code was not used in time.")))
        self._ui.pairAllowButton.setVisible(state == ASKING)
        self._ui.pairRefuseButton.setVisible(state == ASKING)
        self._timer.start(POLL)

    def _answer(self, allow: bool) -> None:
        self._timer.stop()
        self._ui.pairAllowButton.setVisible(False)
        self._ui.pairRefuseButton.setVisible(False)
        body = {"allow": allow}
        self._line.ask(
            lambda client: client.ask("POST", "/v1/pair/answer", body), lambda _answer: self._poll(), self._failed
        )

    def _failed(self, error: VesaliusError) -> None:
        if error.code in ("not_found", "method_not_allowed"):
            return self._end(_("This engine cannot be paired yet; update it."))
        self._end(html.escape(sentence(error.message)))

    def _end(self, text: str) -> None:
        self._timer.stop()
        self._tell(text)
        self._ui.pairAllowButton.setVisible(False)
        self._ui.pairRefuseButton.setVisible(False)
        self._ui.pairButton.setEnabled(True)

    def _tell(self, text: str) -> None:
        self._ui.pairLabel.text = text
        self._ui.pairLabel.setVisible(bool(text))
