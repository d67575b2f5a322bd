"""One call for scripts: an image in, labels and a table out. `docs/python.md` shows it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Union

import numpy as np

from . import geometry
from .client import Client, Image
from .errors import EngineMissing, VesaliusError
from .steps import Progress, Steps

DTYPES = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64")
# Minutes without a question after which an engine that a script started ends.
IDLE_MINUTES = "30"


def segment(
    image: Any,
    ijk_to_world: Optional[Any] = None,
    *,
    task: str = "total",
    speed: str = "default",
    structures: Sequence[str] = (),
    region: Optional[Sequence[Sequence[int]]] = None,
    space: str = "RAS",
    modality: str = "",
    operating_point: Union[str, float, None] = None,
    on_progress: Optional[Callable[[Progress], None]] = None,
    client: Optional[Client] = None,
    **options: Any,
) -> Tuple[np.ndarray, Dict[str, Any]]:
    """Segments an image on this computer, and gives its labels and the table of structures.

    `image` is an image of nibabel or SimpleITK, or an array `[k, j, i]` together with `ijk_to_world`, the 4x4 matrix
    from `[i, j, k, 1]` to millimetres in `space` (`RAS` or `LPS`). A task of several images takes a list of them in the
    order of its `channels` in `GET /v1/tasks`; the labels lie on the grid of the first.
    `operating_point` is a threshold by the task's name of it, such as `sensitive`, or a probability between 0 and 1.
    The labels are uint8, in the shape and order of the image's own array: `[i, j, k]` for nibabel, else `[k, j, i]`.
    The table is that of `GET /v1/jobs/ID/segmentation`; `options` are the other fields of `POST /v1/jobs`.
    Without a `client` the engine that runs is asked, and one is started when none does.
    """
    opened = [_opened(each, ijk_to_world, space) for each in (image if isinstance(image, (list, tuple)) else [image])]
    if not opened:
        raise VesaliusError("image_unsuitable", "there is no image", "give one for each channel of the task")
    images = [_image(voxels, matrix, own_space, modality) for voxels, matrix, own_space, _ in opened]
    voxels, _, _, is_ijk = opened[0]
    request: Dict[str, Any] = {"task": task, "speed": speed, "structures": list(structures), **options}
    if operating_point is not None:
        request["operating_point"] = operating_point
    if region is not None:
        request["region"] = [[int(begin), int(end)] for begin, end in region]
    labels = np.empty(voxels.shape, np.uint8)
    asked = client or running_client()
    try:
        channels = _channels(asked, task, images)
        work = asked.segment(images[0], request, lambda table: memoryview(labels), channels)
        table = _finish(Steps(work), on_progress).table
    finally:
        if client is None:
            asked.close()
    return labels.T if is_ijk else labels, table


def running_client() -> Client:
    """A client of the engine that runs for this user; starts one where none does."""
    try:
        client = Client.find()
        Steps(client.jobs()).finish()
        return client
    except EngineMissing:
        _start()
        return Client.find()


def _finish(steps: Steps, on_progress: Optional[Callable[[Progress], None]]) -> Any:
    """Runs to the end; Ctrl+C stops the job as well."""
    try:
        return steps.finish(on_progress)
    except KeyboardInterrupt:
        steps.cancel()
        try:
            steps.finish(timeout=10.0)
        except VesaliusError:
            pass
        raise


def _channels(client: Client, task: str, images: Sequence[Image]) -> Dict[str, Image]:
    """All images but the first by the names of their channels."""
    if len(images) == 1:
        return {}
    tasks = Steps(client.tasks()).finish()
    names = next((each.get("channels") or () for each in tasks if each["id"] == task), ())
    if len(names) < len(images):
        takes = f"{len(names)} images ({', '.join(names)})" if len(names) > 1 else "one image"
        message = f"task `{task}` takes {takes}, and {len(images)} are given"
        raise VesaliusError("unknown_channel", message, "`vesalius tasks` tells what each task takes")
    return dict(zip(names[1:], images[1:]))


def _image(voxels: np.ndarray, matrix: np.ndarray, space: str, modality: str) -> Image:
    header: Dict[str, Any] = {
        "dims": list(voxels.shape[::-1]),
        "dtype": voxels.dtype.name,
        "space": space,
        "ijk_to_world": [float(value) for value in np.asarray(matrix, dtype=float).ravel()],
    }
    geometry.check(header["dims"], matrix)
    if modality:
        header["modality"] = modality
    return Image(header, memoryview(voxels))


def _opened(image: Any, matrix: Optional[Any], space: str) -> Tuple[np.ndarray, np.ndarray, str, bool]:
    """Voxels `[k, j, i]`, their matrix and its space, and whether the caller's own array is `[i, j, k]`."""
    if hasattr(image, "affine") and hasattr(image, "dataobj"):
        return _as_sent(np.asanyarray(image.dataobj).T), np.asarray(image.affine, dtype=float), "RAS", True
    if hasattr(image, "GetDirection") and hasattr(image, "GetNumberOfComponentsPerPixel"):
        voxels = sys.modules["SimpleITK"].GetArrayViewFromImage(image)
        matrix = (
            geometry.matrix_of(image.GetSpacing(), image.GetDirection(), image.GetOrigin()) if _is_3d(voxels) else 0
        )
        return _as_sent(voxels), matrix, "LPS", False
    if not isinstance(image, np.ndarray):
        hint = "open files with nibabel or SimpleITK, or use `vesalius segment`"
        raise VesaliusError("image_unsuitable", f"`{type(image).__name__}` is no image", hint)
    if matrix is None:
        hint = "give `ijk_to_world`, a 4x4 matrix to millimetres, and `space`"
        raise VesaliusError("geometry_invalid", "an array does not tell where its voxels lie", hint)
    return _as_sent(image), np.asarray(matrix, dtype=float), space, False


def _is_3d(voxels: np.ndarray) -> bool:
    if voxels.ndim == 3:
        return True
    message = f"an image of three dimensions was expected, and one of shape {voxels.shape} was found"
    raise VesaliusError("image_unsuitable", message, "take one of its images")


def _as_sent(voxels: np.ndarray) -> np.ndarray:
    """The voxels in a type and order that the engine reads; a copy only where they are not."""
    _is_3d(voxels)
    if voxels.dtype.kind not in "biuf":
        raise VesaliusError("image_unsuitable", f"voxels of type {voxels.dtype} are no grey values", "take one channel")
    name = voxels.dtype.newbyteorder("=").name
    kept = name if name in DTYPES else {"bool": "uint8", "float16": "float32"}.get(name, "float64")
    return np.ascontiguousarray(voxels, dtype=np.dtype(kept).newbyteorder("<"))


def _program() -> str:
    """The program: `VESALIUS`, that of this Python's wheel, that on the search path."""
    name = "vesalius.exe" if os.name == "nt" else "vesalius"
    folders = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    places = [os.environ.get("VESALIUS", ""), *(os.path.join(folder, name) for folder in folders)]
    found = next((place for place in places if place and os.access(place, os.X_OK)), None) or shutil.which("vesalius")
    if not found:
        raise EngineMissing("engine_missing", "the program `vesalius` is not installed", "`pip install vesalius`")
    return found


def _start() -> None:
    """Starts an engine that goes on when the script has ended, until nobody has asked it for a while."""
    command = [_program(), "serve", "--quiet", "--exit-when-idle", IDLE_MINUTES]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, start_new_session=True
        )
        with process.stdout as output:
            if output.readline():
                return
        said.seek(0)
        reason = said.read().decode(errors="replace").strip()
    # Another script may have been faster; whoever asks now finds that one.
    if process.wait() != 0 and "runs already" not in reason:
        raise EngineMissing("engine_missing", f"the engine did not start: {reason}", "`vesalius doctor` says why")
