"""The one call for scripts: every kind of image, an engine that is started, and the examples of the documentation."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK
import VesaliusLib.vesalius as vesalius
from engine import ROOT, binary, environment
from runs import is_clean
from test_end_to_end import by_command_line
from VesaliusLib.vesalius import Client, VesaliusError, geometry, script
from volumes import GEOMETRIES, small_ct

TOTAL = {"task": "total", "speed": "fastest"}


@pytest.fixture(scope="module")
def expected(engine):
    """What the command line gives, `[k, j, i]`."""
    return by_command_line(engine.home, small_ct(), GEOMETRIES["oblique"], "--task", "total", "--fastest")


def images():
    """The same image of every kind: what to give, and how to get from its array to `[k, j, i]`."""
    voxels, ras = small_ct(), GEOMETRIES["oblique"]
    lps = geometry.other_space(ras)
    itk = SimpleITK.GetImageFromArray(voxels)
    itk.SetSpacing([3.0, 3.0, 3.0])
    itk.SetDirection([float(value) for value in (lps[:3, :3] / 3.0).ravel()])
    itk.SetOrigin([float(value) for value in lps[:3, 3]])
    return {
        "nibabel": ((nibabel.Nifti1Image(np.ascontiguousarray(voxels.T), ras),), {}, True),
        "nibabel in memory of Fortran": ((nibabel.Nifti1Image(voxels.T, ras),), {}, True),
        "SimpleITK": ((itk,), {}, False),
        "array in RAS": ((voxels, ras), {}, False),
        "array in LPS": ((voxels, lps), {"space": "LPS"}, False),
        "big-endian": ((voxels.astype(">i2"), ras), {}, False),
        "long integers": ((voxels.astype(np.int64), ras), {}, False),
        "a view": ((np.repeat(voxels, 2, axis=2)[:, :, ::2], ras), {}, False),
    }


@pytest.mark.parametrize("kind", images())
def test_every_kind_of_image_gives_the_labels_of_the_command_line(client, expected, kind):
    arguments, more, is_ijk = images()[kind]
    told = []
    labels, table = vesalius.segment(*arguments, **more, **TOTAL, client=client, on_progress=told.append)
    np.testing.assert_array_equal(labels.T if is_ijk else labels, expected)
    if is_ijk:
        assert labels.shape == arguments[0].shape
    assert [row["id"] for row in table["segments"]][4] == "total.liver"
    assert {"uploading", "downloading"} <= {progress.state for progress in told}


def test_structures_region_and_other_fields_reach_the_engine(client, expected):
    region = [[10, 50], [8, 40], [5, 25]]
    names = [name for name in ("liver", "spleen", "aorta", "colon", "stomach")]
    labels, table = vesalius.segment(
        small_ct(), GEOMETRIES["oblique"], **TOTAL, structures=names, region=region, client=client, remove_small_mm3=1.0
    )
    assert [row["name"] for row in table["segments"]] == sorted(names, key=lambda name: _value(table, name))
    (i, i_end), (j, j_end), (k, k_end) = region
    outside = np.ones(labels.shape, bool)
    outside[k:k_end, j:j_end, i:i_end] = False
    assert not labels[outside].any()
    options = table["provenance"]["options"]
    assert options["remove_small_mm3"] == 1.0 and sorted(options["only"]) == sorted(names)


def _value(table, name):
    return next(row["value"] for row in table["segments"] if row["name"] == name)


def test_ctrl_c_stops_the_job_as_well(engine, client):
    def interrupt(progress):
        if progress.state == "running":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vesalius.segment(small_ct(), GEOMETRIES["oblique"], task="headneck", client=client, on_progress=interrupt)
    assert is_clean(engine, client)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("ct.nii.gz",), "`str` is no image"),
        ((np.zeros((3, 3, 3)),), "does not tell where its voxels lie"),
        ((np.zeros((3, 3)), np.eye(4)), "three dimensions"),
        ((np.zeros((3, 3, 3), complex), np.eye(4)), "no grey values"),
        ((np.zeros((3, 3, 3)), np.zeros((4, 4))), "no valid matrix"),
        ((SimpleITK.Image([3, 3], SimpleITK.sitkInt16),), "three dimensions"),
        ((SimpleITK.Image([3, 3, 3], SimpleITK.sitkVectorUInt8),), "three dimensions"),
    ],
)
def test_what_is_no_image_is_refused_before_anything_is_sent(arguments, words, monkeypatch):
    monkeypatch.setattr(script, "running_client", lambda: pytest.fail("the engine was asked"))
    with pytest.raises(VesaliusError, match=words) as caught:
        vesalius.segment(*arguments)
    assert caught.value.hint


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    """A folder where no engine runs yet; what a script starts there ends with the test."""
    tmp_path.chmod(0o700)
    for name, value in {**environment(tmp_path), "VESALIUS": binary()}.items():
        monkeypatch.setenv(name, value)
    yield tmp_path
    try:
        os.kill(Client.find(tmp_path).endpoint.pid, signal.SIGTERM)
    except VesaliusError:
        pass


def examples():
    """The code of the documentation."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)


def test_the_examples_of_the_documentation_run(own_home, tmp_path):
    """In a Python of their own, with `import vesalius` as from the wheel; the first one starts the engine."""
    small = tmp_path / "small.nii.gz"
    whole = nibabel.load(ROOT / "docs" / "examples" / "head_neck_ct.nii.gz")
    nibabel.save(whole.slicer[36:92, 36:100, 62:110], small)
    path = str(ROOT / "slicer-extension" / "Vesalius" / "VesaliusLib")
    printed = []
    for code in examples():
        code = code.replace("docs/examples/head_neck_ct.nii.gz", str(small))
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        printed.append(ran.stdout)
    assert len(printed) == 3
    assert "sending the image" in printed[0] and re.search(r"^mandible \d+\.\d mL$", printed[0], re.MULTILINE)
    assert printed[2] == "headneck\n"
    assert np.unique(np.asarray(nibabel.load(tmp_path / "labels.nii.gz").dataobj)).tolist() == [0, 1, 2, 3, 4, 5]


def test_an_engine_that_was_killed_is_started_again(own_home):
    first = script.running_client()
    os.kill(first.endpoint.pid, signal.SIGKILL)
    while True:
        try:
            os.waitpid(first.endpoint.pid, 0)
        except ChildProcessError:
            break
    second = script.running_client()
    assert second.endpoint.instance != first.endpoint.instance
    assert script.running_client().endpoint == second.endpoint


def test_a_program_that_is_not_there_is_told(own_home, monkeypatch):
    monkeypatch.setenv("VESALIUS", "")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr("sysconfig.get_path", lambda name: "/nowhere")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(VesaliusError, match="not installed") as caught:
        script.running_client()
    assert "pip install vesalius" in caught.value.hint


def test_the_module_needs_no_slicer_and_no_numpy_until_it_is_used():
    path = str(ROOT / "slicer-extension" / "Vesalius" / "VesaliusLib")
    code = "import sys, vesalius; assert not {'numpy', 'slicer', 'vtk', 'qt', 'requests'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}).returncode == 0
