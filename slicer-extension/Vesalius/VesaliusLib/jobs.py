"""One segmentation from Apply to pixels, as a machine of few states that a timer drives.

    idle -> starting -> uploading -> queued -> running -> receiving -> importing -> done
                             any of them -> cancelled | failed

It keeps ids and looks nodes up when it needs them, since users delete nodes and close scenes while it works: then it
stops, tells the engine, and leaves no trace. The scene is touched in the last step only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Hashable, Optional, Tuple, Union

import slicer

from . import scene, segments, surfaces
from .driver import Driver, is_cancellation
from .process import Engine
from .vesalius import Client, EngineMissing, Image, Progress, Refused, Result, VesaliusError
from .vesalius.steps import Work
from .watch import Watch

IDLE, STARTING, UPLOADING, QUEUED, RUNNING = "idle", "starting", "uploading", "queued", "running"
RECEIVING, IMPORTING = "receiving", "importing"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
# States of the work's own words.
STATES = {"downloading": RECEIVING, "surfaces": IMPORTING}
# The parts of the bar that the states take, by what they take of the time of a usual job.
PARTS = {
    STARTING: (0.0, 0.01),
    UPLOADING: (0.01, 0.05),
    QUEUED: (0.05, 0.05),
    RUNNING: (0.05, 0.97),
    RECEIVING: (0.97, 0.985),
    IMPORTING: (0.985, 1.0),
}


@dataclass(frozen=True)
class Request:
    """What to segment, by ids of nodes."""

    volume: str
    task: str
    speed: str = "default"
    # The further images of a task that takes several: names of channels, and nodes.
    channels: Tuple[Tuple[str, str], ...] = ()
    # A name that the task has for a threshold, or a probability; None: the task's own default.
    operating_point: Union[str, float, None] = None
    # Names; None: all of the task.
    structures: Optional[Tuple[str, ...]] = None
    # A box of the markups module; empty: the whole volume.
    region: str = ""
    # The segmentation to update; empty: a new one.
    segmentation: str = ""
    replace_edited: bool = False
    # Segment although the image does not look right for the task.
    force: bool = False
    show_3d: bool = False

    @property
    def images(self) -> Tuple[str, ...]:
        """All volumes."""
        return (self.volume, *(node for _, node in self.channels))


@dataclass
class Outcome:
    """What a segmentation gave."""

    segmentation: str
    imported: segments.Imported
    table: Dict[str, Any]
    seconds: float
    volumes_ml: Dict[str, float] = field(default_factory=dict)
    # The engine's name of it, and the image as it was then.
    job: str = ""
    image: Hashable = None


class Job:
    """The machine. One job at a time; `on_change` is called after each change of what the attributes tell."""

    def __init__(self, engine: Engine, on_change: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.on_change = on_change
        self.driver = Driver()
        self.state = IDLE
        self.request: Optional[Request] = None
        # One plain sentence about what happens.
        self.message = ""
        # Of the whole job, 0 to 1, never less than before.
        self.fraction = 0.0
        self.seconds_left: Optional[float] = None
        self.error: Optional[VesaliusError] = None
        self.outcome: Optional[Outcome] = None
        self._client: Optional[Client] = None
        self._reason = ""
        self._watch = Watch(self._node_goes, self._scene_closes)

    @property
    def is_busy(self) -> bool:
        """Whether a job is under way."""
        return self.state not in (IDLE, DONE, FAILED, CANCELLED)

    def start(self, request: Request) -> None:
        """Begins; what went before is forgotten."""
        if self.is_busy:
            raise VesaliusError("busy", "a segmentation is under way", "wait for it, or cancel it")
        self.request, self.error, self.outcome = request, None, None
        self.fraction, self.seconds_left, self._reason = 0.0, None, ""
        self.driver.run(self._work(request), self._done, self._failed, self._progress)
        # Last, since whoever is told may cancel.
        self._set(STARTING, "preparing the image")

    def cancel(self, reason: str = "cancelled") -> None:
        """Asks to stop; the engine is told in the next steps."""
        if self.is_busy and not self._reason:
            self._reason = reason
            self.message = "stopping"
            self.driver.cancel()
            self.on_change()

    def reset(self) -> None:
        """Forgets how the last job ended."""
        if not self.is_busy:
            self.error = self.outcome = None
            self._set(IDLE, "")

    def wait(self, timeout: float = 0.0) -> Outcome:
        """Waits for the end, for scripts; raises what the job failed with."""
        self.driver.wait(timeout)
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome

    def close(self) -> None:
        """Ends everything, for the end of the module; a job of the engine is stopped as far as possible."""
        if self.is_busy:
            self.cancel()
            try:
                self.driver.wait(timeout=1.0)
            finally:
                self.driver.abandon()
        self._watch.end()
        self._forget_voxels()
        self.driver.wait(timeout=1.0)
        self._forget_client()

    # The work, in steps.

    def _work(self, request: Request) -> Work[Outcome]:
        began = time.monotonic()
        volume = node_of(request.volume)
        image, channels = scene.read_image(volume), {}
        for name, node in request.channels:
            scene.check_together(volume, node_of(node))
            channels[name] = scene.read_image(node_of(node))
        target = node_of(request.segmentation) if request.segmentation else None
        if target is not None:
            segments.check_target(volume, target)
        asked = job_of(request, volume)
        found: Dict[str, Any] = {}

        def room(table: Dict[str, Any]) -> memoryview:
            found["image"], view = segments.label_image(node_of(request.volume))
            return view

        try:
            # Corrections then know where the network was unsure, for six more bytes of memory a voxel.
            result = yield from self._segment(image, channels, {**asked, "keep_runner_up": True}, room)
        except Refused as error:
            # Where memory is short, or the engine is too old to know it, the job matters more.
            if error.code != "needs_too_much_memory" and "keep_runner_up" not in error.message:
                raise
            result = yield from self._segment(image, channels, asked, room)
        outcome = yield from self._import(request, asked, result.table, found["image"])
        outcome.seconds = time.monotonic() - began
        outcome.job, outcome.image = result.job, image.key
        return outcome

    def _segment(self, image: Image, channels: Dict[str, Image], asked: Dict[str, Any], room: Callable) -> Work[Result]:
        for is_last in (False, True):
            client = yield from self._connect()
            try:
                return (yield from client.segment(image, asked, room, channels))
            except EngineMissing as error:
                # It ended since the last job, and nothing was asked of it yet: start it again.
                self._forget_client()
                if is_last or error.code != "engine_missing":
                    raise
        raise AssertionError("the loop returns or raises")

    def _import(self, request: Request, asked: Dict[str, Any], table: Dict[str, Any], labels: Any) -> Work[Outcome]:
        """Puts the result into the scene; a node that was made for it goes again when that fails."""
        volume = node_of(request.volume)
        target = node_of(request.segmentation) if request.segmentation else None
        is_new = target is None
        if target is None:
            target = segments.new_segmentation(volume)
        try:
            region = asked.get("region")
            imported = yield from segments.put(volume, target, labels, table, region, request.replace_edited)
        except BaseException:
            if is_new:
                remove(target)
            raise
        if request.show_3d:
            yield from surfaces.show(target)
        measured = yield from segments.volumes_ml(target)
        return Outcome(target.GetID(), imported, table, 0.0, measured)

    def _connect(self) -> Work[Client]:
        """A client whose engine still answers; it keeps the voxels that were sent, by their key."""
        if self._client is not None:
            try:
                yield from self._client.info()
                return self._client
            except VesaliusError:
                self._forget_client()
        self._client = yield from self.engine.connected()
        return self._client

    def _forget_voxels(self) -> None:
        """Has the engine delete what it keeps for the next run."""
        if self._client is not None:
            self.driver.run(self._client.forget_kept())

    def _forget_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    # What the driver tells.

    def _progress(self, progress: Progress) -> None:
        state = STATES.get(progress.state, progress.state)
        begin, end = PARTS.get(state, (self.fraction, 1.0))
        self.fraction = max(self.fraction, begin + (end - begin) * (progress.fraction or 0.0))
        self.seconds_left = progress.seconds_left
        self._set(state, progress.message)

    def _done(self, outcome: Outcome) -> None:
        self.outcome, self.fraction, self.seconds_left = outcome, 1.0, None
        self._set(DONE, "")

    def _failed(self, error: VesaliusError) -> None:
        self.error, self.seconds_left = error, None
        if is_cancellation(error):
            self._set(CANCELLED, self._reason or "cancelled")
        else:
            self._set(FAILED, error.message)

    def _set(self, state: str, message: str) -> None:
        self.state, self.message = state, message
        self.on_change()

    # What the user does meanwhile.

    def _node_goes(self, node: Any) -> None:
        request = self.request
        if request is not None and node.GetID() in (*request.images, request.segmentation):
            self.cancel(f"stopped, since `{node.GetName()}` was deleted")
            if node.GetID() in request.images:
                self._forget_voxels()

    def _scene_closes(self) -> None:
        self.cancel("stopped, since the scene was closed")
        self._forget_voxels()


def node_of(node_id: str) -> Any:
    """A node that must still be there."""
    node = slicer.mrmlScene.GetNodeByID(node_id) if node_id else None
    if node is None:
        raise VesaliusError("node_gone", "the image or the segmentation is not in the scene any more", "choose again")
    return node


def remove(node: Any) -> None:
    """Takes a node out of the scene with all that was made for it, if it is still there."""
    display = node.GetDisplayNode()
    for each in (display, node):
        if each is not None and slicer.mrmlScene.IsNodePresent(each):
            slicer.mrmlScene.RemoveNode(each)


def job_of(request: Request, volume: Any) -> Dict[str, Any]:
    """The body of `POST /v1/jobs`, without the volume."""
    asked: Dict[str, Any] = {"task": request.task, "speed": request.speed}
    if request.operating_point is not None:
        asked["operating_point"] = request.operating_point
    if request.structures is not None:
        asked["structures"] = list(request.structures)
    if request.region:
        asked["region"] = scene.region_of(node_of(request.region), volume)
    if request.force:
        asked["force"] = True
    return asked
