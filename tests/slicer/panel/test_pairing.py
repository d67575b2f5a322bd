"""`Pair a web viewer`: the code is shown here, typed there, and the answer is given here."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import loop
import pytest
from engine import ROOT

# Knows nothing of the engine but docs/server.md.
PAGE = ROOT / "tests" / "reference" / "server" / "page.py"
ORIGIN = "https://viewer.example"


def page(*words):
    return subprocess.Popen([sys.executable, PAGE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def code_of(ui):
    loop.until(lambda: "<tt>" in ui.pairLabel.text)
    return re.search(r"<tt>([\w-]+)</tt>", ui.pairLabel.text).group(1)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_page_comes_in_only_when_it_is_allowed_here(widget, allowed):
    ui = widget.ui
    ui.pairButton.click()
    code = code_of(ui)
    assert re.fullmatch(r"\d+(-[0-9A-Z]{4}){3}", code) and not ui.pairButton.enabled
    assert ui.pairAllowButton.isHidden()
    asking = page("pair", code, ORIGIN)
    loop.until(lambda: not ui.pairAllowButton.isHidden())
    assert ORIGIN in ui.pairLabel.text and "page.py" in ui.pairLabel.text and asking.poll() is None
    (ui.pairAllowButton if allowed else ui.pairRefuseButton).click()
    loop.until(lambda: ui.pairButton.enabled)
    said, error = asking.communicate(timeout=30)
    assert ui.pairAllowButton.isHidden() and ui.pairRefuseButton.isHidden()
    if allowed:
        assert ui.pairLabel.text == f"<b>{ORIGIN}</b> may use the engine."
        paired = json.loads(said)
        token, _ = page("session", str(paired["port"]), paired["client_id"], paired["key"], ORIGIN).communicate()
        assert json.loads(token)["token"]
    else:
        assert "was refused" in ui.pairLabel.text and asking.returncode != 0 and not said, error


def test_a_page_cannot_write_into_the_panel(widget):
    """What a page calls itself is text, not markup."""
    from VesaliusLib.panel_pairing import Pairing

    pairing = Pairing(widget.ui, widget.panel.job.engine)
    pairing._polled({"state": "asking", "origin": "https://a.example", "label": "<b>Trust me</b>"})
    assert "&lt;b&gt;Trust me" in widget.ui.pairLabel.text
    pairing.close()
