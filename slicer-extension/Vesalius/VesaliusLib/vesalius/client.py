"""The engine's API for programs of this computer: volumes go up, jobs run, labels come back.

Every method that talks to the engine gives work for `Steps` (see `steps`): nothing happens before the first step.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Dict, Hashable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from .connection import Connection, Reply
from .endpoint import API, Endpoint
from .errors import ConnectionLost, EngineMissing, EngineUntrusted, Refused, VesaliusError
from .steps import Progress, Wait, Work, whole

# Voxels of one request; the engine writes down how far it got.
PIECE = 16 << 20
# Refusals after which an upload goes on where the engine says.
RESUMABLE = {"conflict", "wrong_offset", "stalled"}
# Attempts without a byte more.
MOST_FAILURES = 20
NOTHING = memoryview(b"")


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Image:
    """An image to be sent."""

    # That of `POST /v1/volumes`.
    header: Mapping[str, Any]
    # Its little-endian bytes, i fastest.
    voxels: memoryview
    # With a key the voxels stay on the engine, and are not sent again for the same key.
    key: Hashable = None
    # Tells whether `voxels` are still what they were.
    is_current: Callable[[], bool] = _always


@dataclass(frozen=True)
class Result:
    """What a job gave: its id, and the table of `GET /v1/jobs/ID/segmentation`."""

    job: str
    table: Dict[str, Any]


class Client:
    """Speaks to one engine over one connection, which is opened when it is needed."""

    def __init__(self, endpoint: Endpoint, patience: float = 60.0) -> None:
        self.endpoint = endpoint
        self._connection = Connection(endpoint.port, patience)
        # What lies on the engine for another job, by the caller's fingerprint.
        self._kept: Dict[Hashable, str] = {}

    @staticmethod
    def find(home: Optional[os.PathLike] = None) -> Client:
        """A client of the engine that runs for this user; see `Endpoint.find` for what can go wrong."""
        return Client(Endpoint.find(home))

    def close(self) -> None:
        """Ends the connection; the next request opens another."""
        self._connection.close()

    @contextmanager
    def patient(self, seconds: float) -> Iterator[None]:
        """Waits so long for an answer, for a question that takes the engine its time."""
        patience, self._connection.patience = self._connection.patience, seconds
        try:
            yield
        finally:
            self._connection.patience = patience

    # What there is to know.

    def info(self) -> Work[Dict[str, Any]]:
        """Versions, device, memory."""
        return self.ask("GET", "/v1/info")

    def tasks(self) -> Work[list]:
        """What can be segmented."""
        return self.ask("GET", "/v1/tasks")

    def models(self) -> Work[list]:
        """The models that are here."""
        return self.ask("GET", "/v1/models")

    def jobs(self) -> Work[list]:
        """All jobs, the oldest first."""
        return self.ask("GET", "/v1/jobs")

    def job(self, job: str) -> Work[Dict[str, Any]]:
        """A job as it is now."""
        return self.ask("GET", f"/v1/jobs/{job}")

    def table(self, job: str) -> Work[Dict[str, Any]]:
        """The structures that a job found."""
        return self.ask("GET", f"/v1/jobs/{job}/segmentation")

    def stop(self, job: str) -> Work[Dict[str, Any]]:
        """Stops a job that has not ended, forgets one that has."""
        return self.ask("DELETE", f"/v1/jobs/{job}")

    def forget(self, volume: str) -> Work[None]:
        """Deletes voxels."""
        return self.ask("DELETE", f"/v1/volumes/{volume}")

    def forget_kept(self) -> Work[None]:
        """Deletes the voxels that `segment` keeps on the engine for their keys."""
        yield from self._forget_all_but(set())

    # A segmentation from end to end.

    def segment(
        self,
        image: Image,
        request: Mapping[str, Any],
        room: Callable[[Dict[str, Any]], memoryview],
        channels: Optional[Mapping[str, Image]] = None,
    ) -> Work[Result]:
        """Sends an image, runs a job on it, and puts the labels into `room(table)`.

        `request` is that of `POST /v1/jobs` without `volume`; `room` is asked for one writable byte a voxel once there
        is a result. `channels` are the further images of a task that takes several, by the names of `GET /v1/tasks`.
        Cancelled work leaves neither job nor voxels behind.
        """
        images = {"": image, **(channels or {})}
        volumes: Dict[str, str] = {}
        # Volumes that nobody keeps.
        sent: List[str] = []
        job = None
        try:
            yield from self._send(images, volumes, sent)
            asked = {**request, "volume": volumes[""]}
            if channels:
                asked["channels"] = {name: {"volume": volumes[name]} for name in channels}
            started, cancelled = yield from whole(self.ask("POST", "/v1/jobs", asked))
            job = started["id"]
            if cancelled:
                raise cancelled
            self._kept.update({each.key: volumes[name] for name, each in images.items() if each.key is not None})
            sent = [volume for volume in sent if volume not in self._kept.values()]
            yield from self.follow(job)
            table = yield from self.table(job)
            yield Progress("downloading", "receiving the result")
            yield from self.labels(job, room(table))
        except VesaliusError as error:
            yield from self._clean_up(job, sent)
            if isinstance(error, EngineMissing) and volumes:
                message = "the engine ended before the job did"
                hint = "start it and run again; if it happens again, choose a smaller region or a faster model"
                raise EngineMissing("engine_ended", message, hint) from error
            raise
        yield from self._clean_up(None, sent)
        return Result(job, table)

    def _send(self, images: Mapping[str, Image], volumes: Dict[str, str], sent: List[str]) -> Work[None]:
        """Puts the engine's names of images into `volumes`, and of those that were not there already into `sent`."""
        yield from self._forget_all_but({each.key for each in images.values()})
        for name, each in images.items():
            kept = yield from self._kept_volume(each.key)
            if kept is not None:
                volumes[name] = kept
        missing = [name for name in images if name not in volumes]
        total, done = sum(images[name].voxels.nbytes for name in missing), 0
        for name in missing:
            created, cancelled = yield from whole(self.ask("POST", "/v1/volumes", images[name].header))
            volumes[name] = created["id"]
            sent.append(created["id"])
            if cancelled:
                raise cancelled
            size = images[name].voxels.nbytes
            yield from self.upload(created["id"], images[name].voxels.cast("B"), (done / total, (done + size) / total))
            done += size
        if not all(images[name].is_current() for name in missing):
            raise VesaliusError("volume_changed", "the volume was changed while it was sent", "run again")

    def upload(self, volume: str, voxels: memoryview, part: Tuple[float, float] = (0.0, 1.0)) -> Work[None]:
        """Sends the voxels of a volume that was created; goes on where the engine is after a broken connection.

        `part` is that of all uploads, as progress tells it.
        """
        begin, end = part
        received, failures = 0, 0
        while received < voxels.nbytes:
            yield Progress("uploading", "sending the image", begin + (end - begin) * received / voxels.nbytes)
            path = f"/v1/volumes/{volume}/data?offset={received}"
            try:
                piece = voxels[received : received + PIECE]
                state = yield from self.ask("PUT", path, piece, attempts=1)
            except (ConnectionLost, Refused) as error:
                failures += 1
                if error.code not in RESUMABLE | {"connection_lost"} or failures > MOST_FAILURES:
                    raise
                # The engine may still be busy with what came over the old connection.
                yield Wait(seconds=0.05 * failures)
                state = yield from self.ask("GET", f"/v1/volumes/{volume}")
            failures = 0 if state["received"] > received else failures
            received = voxels.nbytes if state["complete"] else state["received"]
        yield Progress("uploading", "the image is sent", end)

    def follow(self, job: str) -> Work[Dict[str, Any]]:
        """Waits for the end of a job; raises what it failed with."""
        pause = 0.02
        while True:
            view = yield from self.job(job)
            if view["state"] == "done":
                return view
            if view["state"] in ("failed", "cancelled"):
                raise _refused(view["error"] or {}, view["message"])
            fraction = view.get("progress", view["fraction"])
            left = view.get("remaining_seconds", view["seconds_left"])
            yield Progress(view["state"], view["message"], fraction, left)
            yield Wait(seconds=pause)
            pause = min(0.25, pause * 1.5)

    def labels(self, job: str, into: memoryview) -> Work[None]:
        """Puts the labels of a finished job into memory: one byte a voxel, in the order of the voxels sent."""
        yield from self.read(f"/v1/jobs/{job}/labels", into)

    # Requests.

    def ask(self, method: str, path: str, body: Any = None, attempts: int = 3) -> Work[Any]:
        """One request; `body` is voxels (a memoryview) or becomes JSON; gives the JSON of the answer."""
        headers = {}
        if method == "POST":
            # An answer that was lost must not make a second job when the request is sent again.
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if isinstance(body, memoryview):
            headers["Content-Type"] = "application/octet-stream"
        elif body is not None:
            headers["Content-Type"] = "application/json"
            body = memoryview(json.dumps(body).encode())
        reply = yield from self._request(method, path, body if body is not None else NOTHING, headers, None, attempts)
        return _json(reply) if reply.body else None

    def lines(self, path: str) -> Work[list]:
        """What is answered as a line of JSON each."""
        reply = yield from self._request("GET", path, NOTHING, {})
        try:
            return [json.loads(line) for line in bytes(reply.body).splitlines() if line.strip()]
        except ValueError:
            raise _not_understood() from None

    def read(self, path: str, into: memoryview) -> Work[Mapping[str, str]]:
        """Puts an answer of exactly that many bytes into memory; gives its headers."""
        reply = yield from self._request("GET", path, NOTHING, {}, into.cast("B"))
        return reply.headers

    def _request(
        self,
        method: str,
        path: str,
        body: memoryview,
        headers: Dict[str, str],
        into: Optional[memoryview] = None,
        attempts: int = 3,
    ) -> Work[Reply]:
        """Asks until there is an answer; raises Refused when it is a no."""
        headers = {**headers, "Authorization": f"Bearer {self.endpoint.token}", **_common(body, method)}
        while True:
            try:
                yield from self._connect()
                reply = yield from self._connection.exchange(f"{method} {path}", headers, body, into)
                break
            except ConnectionLost as error:
                attempts -= 1
                if attempts <= 0 or error.code != "connection_lost":
                    raise
        if reply.status >= 400:
            raise _refused(_json(reply), f"the engine answered {reply.status}")
        return reply

    def _connect(self) -> Work[None]:
        """Opens a connection, and lets the engine prove that it is the one that wrote the file."""
        if self._connection.is_usable():
            return
        yield from self._connection.open()
        nonce = secrets.token_urlsafe(32)
        body = memoryview(json.dumps({"client_id": "local", "nonce": nonce}).encode())
        headers = {**_common(body, "POST"), "Content-Type": "application/json"}
        # The token is not sent before the proof is there.
        reply = yield from self._connection.exchange("POST /v1/session", headers, body)
        answer = _json(reply)
        if reply.status == 426:
            raise _refused(answer, "the engine is of another version")
        if reply.status != 200 or not self._is_proof(nonce, answer):
            self.close()
            message = "another program answers where the engine should be; nothing was sent to it"
            raise EngineUntrusted("engine_untrusted", message, "restart the engine")

    def _is_proof(self, nonce: str, answer: Mapping[str, Any]) -> bool:
        """Whether `answer` comes from who knows the token, about this port and this engine."""
        endpoint = self.endpoint
        said = f"srv1|local|{nonce}|{answer.get('server_nonce')}||{endpoint.port}|{endpoint.instance}"
        proof = hmac.new(endpoint.token.encode(), said.encode(), hashlib.sha256).digest()
        expected = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        return hmac.compare_digest(expected.encode(), str(answer.get("proof")).encode())

    def _kept_volume(self, key: Hashable) -> Work[Optional[str]]:
        """The volume that was sent for this key, if it is still there."""
        try:
            return (yield from self.ask("GET", f"/v1/volumes/{self._kept[key]}"))["id"] if key in self._kept else None
        except Refused:
            del self._kept[key]
            return None

    def _forget_all_but(self, keys: Set[Hashable]) -> Work[None]:
        """Deletes the voxels that are kept for other keys."""
        for key in set(self._kept) - keys:
            try:
                yield from self.forget(self._kept.pop(key))
            except Refused:
                # It went by itself.
                pass

    def _clean_up(self, job: Optional[str], volumes: Sequence[str]) -> Work[None]:
        """Stops a job and deletes voxels as well as it can be done; the engine forgets both by itself in an hour."""
        for path in [f"/v1/jobs/{job}"] * (job is not None) + [f"/v1/volumes/{volume}" for volume in volumes]:
            try:
                yield from self.ask("DELETE", path)
            except VesaliusError:
                pass


def _common(body: memoryview, method: str) -> Dict[str, str]:
    headers = {"X-Vesalius-Api": "{}.{}".format(*API)}
    if method in ("POST", "PUT"):
        headers["Content-Length"] = str(body.nbytes)
    return headers


def _json(reply: Reply) -> Any:
    try:
        return json.loads(bytes(reply.body))
    except ValueError:
        raise _not_understood() from None


def _not_understood() -> VesaliusError:
    return ConnectionLost("not_understood", "what answers is not the engine", "restart the engine")


def _refused(error: Mapping[str, Any], otherwise: str) -> VesaliusError:
    code, message, hint = (error.get(name) for name in ("code", "message", "hint"))
    return Refused(str(code or "refused"), str(message or otherwise), str(hint or ""))
