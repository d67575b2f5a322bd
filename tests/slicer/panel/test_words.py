"""What the engine says in the words of requests stands in the panel in the panel's own."""

from __future__ import annotations

import re
from pathlib import Path

from test_panel import opened  # noqa: F401


def test_hints_speak_the_language_of_the_panel(opened):  # noqa: F811
    from VesaliusLib.panel_words import in_panel
    from VesaliusLib.vesalius import Refused

    ui, job = opened.ui, opened.panel.job
    hint = "`speed: fast` needs about 2.1 GB; or choose a region"
    job.error = Refused("needs_too_much_memory", "the job needs about 9.1 GB", hint)
    job.state = "failed"
    opened.panel.update()
    assert ui.detailsLabel.text.startswith("The resolution “Fast” needs about 2.1 GB; or choose a region.\n")
    assert ui.speedComboBox.itemText(ui.speedComboBox.findData("fast")).startswith("Fast")
    # And no field of a request is left in any other hint that the server's source holds.
    server = Path(__file__).resolve().parents[3] / "sidecar" / "app" / "src" / "server"
    text = "\n".join(path.read_text() for path in sorted(server.rglob("*.rs")))
    fields = re.compile(r"`[a-z_]+: (?:[a-z]+|\{name\})`")
    hints = {each for each in re.findall(r'"(?:[^"\\\n]|\\.)*"', text) if fields.search(each)}
    assert len(hints) >= 4
    for each in hints:
        for name in ("fast", "fastest"):
            assert not fields.search(in_panel(each.replace("{name}", name))), each
