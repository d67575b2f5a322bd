"""The package is whole: what is in the folder is in the package, and what the catalog of Slicer asks for is there."""

from __future__ import annotations

import ast
import json
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

from cmake import CMAKE_BIN_DIR

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "slicer-extension" / "Vesalius"
STUB = Path(__file__).parent / "cmake"
# What modules may import: Slicer's own, and what it brings along.
ALLOWED = {"slicer", "qt", "ctk", "vtk", "numpy", "VesaliusLib"} | set(sys.stdlib_module_names)


def packaged():
    """Files that belong into the package."""
    kinds = {".py", ".ui", ".png", ".svg", ".json"}
    files = (path for path in MODULE.rglob("*") if path.suffix in kinds and "__pycache__" not in path.parts)
    return sorted(path.relative_to(MODULE).as_posix() for path in files)


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def cmake_value(name):
    """A variable of the root's CMakeLists.txt, found as the catalog's check does."""
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(rf'set\({name}\s*"([^"]+)"', text).group(1)


def test_cmake_packages_every_file(tmp_path):
    cmake = str(Path(CMAKE_BIN_DIR) / "cmake")
    for command in (
        [cmake, "-S", str(ROOT), "-B", str(tmp_path / "build"), f"-DSlicer_DIR={STUB}", "-DBUILD_TESTING=ON"],
        [cmake, "--install", str(tmp_path / "build"), "--prefix", str(tmp_path / "package")],
    ):
        ran = subprocess.run(command, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
    package = tmp_path / "package" / "qt-scripted-modules"
    found = sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    assert found == packaged()
    # And the package is enough: nothing is imported from the checkout.
    code = "import sys, VesaliusLib.vesalius, VesaliusLib.catalog; print(VesaliusLib.catalog.__file__)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=package, capture_output=True, text=True)
    assert str(package) in ran.stdout, ran.stderr


def test_nothing_but_slicers_own_python_is_imported():
    for path in MODULE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                assert name.split(".")[0] in ALLOWED, f"{path.name} imports {name}"


def test_nothing_happens_at_import_and_no_thread_runs_python():
    for path in MODULE.rglob("*.py"):
        text = path.read_text()
        # A thread of Python would starve; VTK's filters need no lock while they work.
        threads = re.findall(r"threading\.Thread\((.*)\)|(threading\.(?!Thread\()|QThread|_thread)", text)
        expected = [("target=algorithm.Update, daemon=True", "")] if path.name == "surfaces.py" else []
        assert threads == expected, path.name
        ast.parse(text, feature_version=(3, 9))
        for node in ast.parse(text).body:
            is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            assert not is_call, f"{path.name} does something when it is imported"


# Of the catalog's schemas 1.0.1 and 1.0.2: what each field may be. Fields of neither are refused.
SCHEMA = {
    "$schema": lambda value: re.fullmatch(r"https://.*/slicer-extension-catalog-entry-schema-v1\.0\.[12].json#", value),
    "category": lambda value: isinstance(value, str) and value,
    "scm_url": lambda value: isinstance(value, str) and value,
    "scm_revision": lambda value: isinstance(value, str),
    "scm_type": lambda value: value in ("git", "local"),
    "build_dependencies": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "build_subdirectory": lambda value: isinstance(value, str),
    "enabled": lambda value: isinstance(value, bool),
    "tier": lambda value: type(value) is int and value in (1, 3, 5),
}
REQUIRED = {"$schema", "category", "scm_url"}


def test_the_catalog_entry_is_one():
    entry = json.loads((ROOT / "slicer-extension" / "Vesalius.json").read_text())
    assert REQUIRED <= set(entry) <= set(SCHEMA)
    for field, value in entry.items():
        assert SCHEMA[field](value), f"{field}: {value}"
    assert entry["category"] == "Segmentation" and not "Vesalius".startswith("Slicer")
    assert re.search(r"project\((\w+)\)", (ROOT / "CMakeLists.txt").read_text()).group(1) == "Vesalius"
    assert entry["scm_url"] == cmake_value("EXTENSION_HOMEPAGE")


def test_an_address_that_does_not_exist_yet_leads_nowhere_and_is_told():
    home = cmake_value("EXTENSION_HOMEPAGE")
    told = home in (ROOT / "slicer-extension" / "README.md").read_text()
    # Names in `.invalid` never lead anywhere; a real address needs no explanation.
    assert re.fullmatch(r"https://[\w.-]+(/[\w./-]+)?", home) and told == home.endswith(".invalid")


def test_icon_and_pictures_are_where_the_catalog_looks():
    icon, *pictures = [cmake_value("EXTENSION_ICONURL"), *cmake_value("EXTENSION_SCREENSHOTURLS").split()]
    for url in (icon, *pictures):
        path = ROOT / url.split("/main/", 1)[1]
        assert url.startswith("https://") and path.stat().st_size < 300_000
        width, height = png_size(path)
        assert (width, height) == (128, 128) or url != icon
    assert pictures


def test_the_panel_names_each_widget_once_and_only_known_kinds():
    tree = xml.etree.ElementTree.parse(MODULE / "Resources" / "UI" / "Vesalius.ui")
    names = [widget.get("name") for widget in tree.iter("widget")]
    assert len(names) == len(set(names))
    custom = {each.findtext("class") for each in tree.iter("customwidget")}
    kinds = {widget.get("class") for widget in tree.iter("widget")}
    assert {kind for kind in kinds if not kind.startswith("Q")} == custom
