"""Models are installed from the panel by the real engine, from a publisher on loopback, and work afterwards."""

from __future__ import annotations

import http.server
import io
import threading
import zipfile

import engine as engines
import loop
import pytest
from gui import open_widget
from test_panel import apply, choose

# Weights whose length is published and whose checksum is not, so that other bytes of that length may stand for them.
FOLDER, LENGTH = "Dataset598_mri_body_6mm_139subj", 42_741_891
BODY = engines.GOLDEN / "weights" / "Dataset300_body_6mm_1559subj"


def archive() -> bytes:
    """A small network in an archive of the published length."""

    def packed(padding: int) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(BODY.rglob("*")):
                if path.is_file():
                    archive.write(path, f"{FOLDER}/{path.relative_to(BODY).as_posix()}")
            archive.writestr("padding", bytes(padding))
        return file.getvalue()

    made = packed(LENGTH - len(packed(0)))
    assert len(made) == LENGTH
    return made


@pytest.fixture
def publisher():
    """An HTTP server with the archive, and the paths that it was asked for."""
    content, asked = archive(), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            # In pieces, slowly enough to be seen.
            for start in range(0, len(content), 1 << 21):
                self.wfile.write(content[start : start + (1 << 21)])

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_click_installs_models_and_they_segment(application, scene, volume, publisher, tmp_path, monkeypatch):
    address, asked = publisher
    tmp_path.chmod(0o700)
    engine = engines.Engine(tmp_path, "--mirror", address)
    monkeypatch.setenv("VESALIUS_HOME", str(tmp_path))
    widget = open_widget()
    try:
        loop.until(lambda: widget.panel.tasks)
        choose(widget, "body_mr", "fast")
        ui, seen = widget.ui, []
        assert ui.setupButton.text == "Install models (43 MB)" and not ui.applyButton.enabled
        assert not asked, "nothing is downloaded before the click"
        ui.setupButton.click()
        loop.until(lambda: seen.append(ui.setupProgressBar.value) or not widget.panel.setup.is_busy)
        assert [path.rsplit("/", 1)[1] for path in asked] == [f"{FOLDER}.zip"], ui.setupLabel.text
        assert max(seen) > 0
        loop.until(lambda: ui.setupFrame.isHidden() and ui.applyButton.enabled)
        apply(widget)
        assert widget.panel.job.state == "done", widget.panel.job.error
        names = [ui.modelsTree.invisibleRootItem().child(n).text(0) for n in range(2)]
        assert FOLDER in names, names
    finally:
        widget.cleanup()
        engine.stop()
