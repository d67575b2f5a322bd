"""What the tests share: one scene of Slicer, and one engine, for all of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "slicer-extension" / "Vesalius")]
# A hospital's proxy, as the whole run sees it: nothing may be sent by way of it.
for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
    os.environ[name] = "http://127.0.0.1:9"
os.environ.pop("NO_PROXY", None)
os.environ.pop("no_proxy", None)

import engine as engines  # noqa: E402


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """An engine with the built-in model and small networks: for `total` at 6 mm, and for prompts."""
    home = tmp_path_factory.mktemp("engine")
    home.chmod(0o700)
    engines.import_small_networks(home)
    engines.import_network(home)
    started = engines.Engine(home)
    yield started
    started.stop()


@pytest.fixture
def client(engine):
    """A client of it."""
    from VesaliusLib.vesalius import Client

    made = Client.find(engine.home)
    yield made
    made.close()


@pytest.fixture(scope="session")
def slicer_scene():
    """Slicer's scene; slow to make, so that all tests share it."""
    import headless

    return headless.start()


@pytest.fixture
def scene(slicer_scene):
    """Slicer's scene, empty."""
    slicer_scene.Clear(False)
    return slicer_scene


@pytest.fixture(scope="session")
def labels(engine):
    """What an undisturbed run gives."""
    from runs import Run
    from VesaliusLib.vesalius import Client

    found = Run(Client.find(engine.home)).finish()
    assert len(set(found)) > 10
    return found
