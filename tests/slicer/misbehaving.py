"""What a client must survive: a network that cuts and stutters, and servers that are not what they should be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from typing import Callable, List, Optional

from VesaliusLib.vesalius import Endpoint, connection

TOKEN, INSTANCE = "ab" * 32, "cd" * 16


class Network:
    """Stands in for the module `socket` inside the client: real sockets that give little, and break on time."""

    def __init__(self, most: int = 1 << 30, cut_after: Optional[List[int]] = None) -> None:
        # Most bytes of one call.
        self.most = most
        # The connection breaks after so many bytes sent; once for each number.
        self.cuts = list(cut_after or [])
        self.sent = 0
        self.broken = 0

    def __getattr__(self, name):
        return getattr(socket, name)

    def install(self, monkeypatch) -> Network:
        """Until the test ends."""
        monkeypatch.setattr(connection, "socket", self)
        return self

    def socket(self, *arguments):
        """A socket of this network."""
        network = self

        class Flaky(socket.socket):
            def send(self, data, *flags):
                if network.cuts and network.sent >= network.cuts[0]:
                    network.cuts.pop(0)
                    network.broken += 1
                    self.shutdown(socket.SHUT_RDWR)
                sent = super().send(data[: network.most], *flags)
                network.sent += sent
                return sent

            def recv_into(self, room, *rest):
                return super().recv_into(room[: network.most], *rest)

        return Flaky(*arguments)


class Server:
    """Proves itself, and answers all else with what `answer(request line, headers, body)` gives; None: never."""

    def __init__(self, answer: Callable[[str, dict, bytes], Optional[bytes]], proves: bool = True) -> None:
        self._answer, self._proves = answer, proves
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._closed = threading.Event()
        self.requests: List[str] = []
        self.tokens: List[Optional[str]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def endpoint(self) -> Endpoint:
        """As the file of this server would tell."""
        return Endpoint(self.port, TOKEN, INSTANCE, "9.9", 1, (1, 0), (1, 0))

    def close(self) -> None:
        """Stops listening."""
        self._closed.set()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(accepted,), daemon=True).start()

    def _talk(self, accepted: socket.socket) -> None:
        file = accepted.makefile("rb")
        with accepted, file:
            while True:
                line = file.readline().decode().strip()
                if not line:
                    return
                headers = {}
                for text in iter(lambda: file.readline().decode().strip(), ""):
                    name, _, value = text.partition(": ")
                    headers[name.lower()] = value
                self.requests.append(line.rsplit(" ", 1)[0])
                self.tokens.append(headers.get("authorization"))
                body = file.read(int(headers.get("content-length", 0)))
                if self._proves and "/v1/session" in line:
                    answer = proof(body, self.port)
                else:
                    answer = self._answer(line, headers, body)
                if answer is None:
                    self._closed.wait(30)
                    return
                accepted.sendall(answer)
                if b"\r\nX-Then: close" in answer:
                    return


def reply(status: int, body: object, headers: str = "") -> bytes:
    """An answer with JSON."""
    text = json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n{headers}\r\n".encode() + text


def proof(body: bytes, port: int, token: str = TOKEN, instance: str = INSTANCE) -> bytes:
    """What an engine answers to `POST /v1/session`, after docs/server.md."""
    asked, own = json.loads(body), "server-nonce"
    said = f"srv1|{asked['client_id']}|{asked['nonce']}|{own}||{port}|{instance}"
    code = hmac.new(token.encode(), said.encode(), hashlib.sha256).digest()
    text = base64.urlsafe_b64encode(code).decode().rstrip("=")
    return reply(200, {"server_nonce": own, "instance": instance, "port": port, "proof": text})
