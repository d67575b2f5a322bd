"""A connection to the engine: HTTP/1.1 over a socket of this computer that never blocks.

Nothing here looks at proxy settings: voxels for 127.0.0.1 must not leave by way of a hospital's proxy.
"""

from __future__ import annotations

import errno
import http.client
import io
import socket
import time
from dataclasses import dataclass
from typing import Dict, Optional

from .endpoint import NOT_RUNNING
from .errors import ConnectionLost, EngineMissing
from .steps import GO_ON, Wait, Work, is_ready

HOST = "127.0.0.1"
# Bytes that are given to the system, or taken from it, before others may do something.
SLICE = 1 << 20
MOST_HEAD = 64 << 10
# What is read into memory that the caller did not provide.
MOST_BODY = 64 << 20
NO_HTTP = "what answers does not speak HTTP"
_UNDER_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}


@dataclass
class Reply:
    """An answer. `body` is empty where the bytes went into the caller's memory."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Connection:
    """One socket. After any error it is closed, and of no more use."""

    def __init__(self, port: int, patience: float) -> None:
        self.port = port
        # Seconds without a single byte after which the engine counts as gone.
        self.patience = patience
        self._socket: Optional[socket.socket] = None
        self._heard = 0.0

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def is_usable(self) -> bool:
        """Whether it is open: an idle socket that can be read has been closed by the other side."""
        return self._socket is not None and not is_ready(self._socket, False, 0.0)

    def open(self) -> Work[None]:
        """Connects."""
        self.close()
        self._socket = connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        # Without this a request of two parts waits 40 ms for the system's timers.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = time.monotonic()
        code = connection.connect_ex((HOST, self.port))
        if code in _UNDER_WAY:
            while not is_ready(connection, True, 0.0):
                yield self._wait(writing=True)
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.close()
            raise EngineMissing("engine_missing", NOT_RUNNING, "start it with `vesalius serve`")

    def exchange(
        self, request: str, headers: Dict[str, str], body: memoryview, into: Optional[memoryview] = None
    ) -> Work[Reply]:
        """Sends a request (`GET /v1/live`) and reads its answer; what is found goes into `into` where that is given."""
        try:
            reply = yield from self._exchange(request, headers, body, into)
        except OSError as error:
            self.close()
            raise _lost("the connection to the engine broke") from error
        except BaseException:
            # Whatever stands half-way on this socket would be taken for the next answer.
            self.close()
            raise
        return reply

    def _exchange(
        self, request: str, headers: Dict[str, str], body: memoryview, into: Optional[memoryview]
    ) -> Work[Reply]:
        lines = [f"{request} HTTP/1.1", f"Host: {HOST}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._heard = time.monotonic()
        head = "\r\n".join([*lines, "", ""]).encode("ascii")
        is_sent = yield from self._send(memoryview(head))
        if is_sent:
            is_sent = yield from self._send(body)
        head, rest = yield from self._read_head()
        reply, length = _parse(head)
        target, reply.body = self._target(reply.status, length, into)
        yield from self._read_body(target, rest)
        if not is_sent or reply.headers.get("Connection", "").lower() == "close":
            self.close()
        return reply

    def _send(self, data: memoryview) -> Work[bool]:
        """False when the engine answered, or went, before it had everything."""
        sent = 0
        while sent < len(data):
            if is_ready(self._socket, False, 0.0):
                return False
            try:
                sent += self._socket.send(data[sent : sent + SLICE])
                self._heard = time.monotonic()
                yield GO_ON
            except (BlockingIOError, InterruptedError):
                yield self._wait(writing=True)
            except ConnectionError:
                # It may have said why before it went.
                return False
        return True

    def _read_head(self) -> Work[tuple]:
        """The head of the answer, and what came behind it."""
        found = bytearray()
        while True:
            end = found.find(b"\r\n\r\n")
            if end >= 0:
                return bytes(found[: end + 4]), memoryview(bytes(found[end + 4 :]))
            if len(found) > MOST_HEAD:
                raise _lost(NO_HTTP)
            piece = yield from self._receive(memoryview(bytearray(4096)))
            found += piece

    def _target(self, status: int, length: int, into: Optional[memoryview]) -> tuple:
        """Where the body goes, and what becomes of it."""
        if into is None or status != 200:
            if not 0 <= length <= MOST_BODY:
                raise _lost(f"the engine announced an answer of {length} bytes")
            body = bytearray(length)
            return memoryview(body), body
        if length != into.nbytes:
            raise _lost(f"{into.nbytes} bytes were expected, and the engine announced {length}")
        return into, b""

    def _read_body(self, target: memoryview, begun: memoryview) -> Work[None]:
        if len(begun) > len(target):
            raise _lost("the engine sent more than it announced")
        target[: len(begun)] = begun
        at = len(begun)
        while at < len(target):
            piece = yield from self._receive(target[at : at + SLICE])
            at += len(piece)
            yield GO_ON

    def _receive(self, room: memoryview) -> Work[memoryview]:
        """What is there, at least a byte."""
        while True:
            try:
                length = self._socket.recv_into(room)
            except (BlockingIOError, InterruptedError):
                yield self._wait(writing=False)
                continue
            if length == 0:
                raise _lost("the engine closed the connection")
            self._heard = time.monotonic()
            return room[:length]

    def _wait(self, writing: bool) -> Wait:
        if time.monotonic() - self._heard > self.patience:
            message = f"the engine has not answered for {self.patience:.0f} seconds"
            raise ConnectionLost("no_answer", message, "restart the engine")
        return Wait(self._socket, writing, 0.5)


def _parse(head: bytes) -> tuple:
    """The answer without its body, and the length of that."""
    file = io.BytesIO(head)
    try:
        protocol, status = file.readline().split()[:2]
        if protocol != b"HTTP/1.1":
            raise ValueError(protocol)
        reply = Reply(int(status), http.client.parse_headers(file), b"")
        return reply, int(reply.headers.get("Content-Length", 0 if reply.status == 204 else -1))
    except (ValueError, http.client.HTTPException) as error:
        raise _lost(NO_HTTP) from error


def _lost(message: str) -> ConnectionLost:
    return ConnectionLost("connection_lost", message, "try again; restart the engine if it stays")
