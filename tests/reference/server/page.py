"""A web page's side of pairing and sessions, as `docs/server.md` tells it, in Python's standard library alone: what
another implementation makes of the document.

    page.py pair CODE ORIGIN             pairs, and prints `client_id`, `key` and `port`
    page.py session PORT ID KEY ORIGIN   opens a session, and prints its token
    page.py local ENDPOINT_JSON          lets the server prove itself to a program of this computer
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import sys


def encode(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign(key: bytes, text: bytes) -> bytes:
    """HMAC-SHA256."""
    return hmac.new(key, text, hashlib.sha256).digest()


def expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand for 32 bytes (RFC 5869, 2.3)."""
    return sign(key, info + b"\x01")


def ask(port: int, path: str, body: dict, origin: str | None) -> tuple[int, dict]:
    """Status and JSON of an answer; a page may read it only if the server says so."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"}
    if origin:
        headers["Origin"] = origin
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.headers.get("Access-Control-Allow-Origin") != origin:
        sys.exit(f"a browser would not show this: {response.status} {answer}")
    if response.status >= 400:
        sys.exit(f"{response.status} {answer['code']}")
    return response.status, answer


def pair(typed: str, origin: str) -> dict:
    """Pairs with the code that a person typed."""
    port, code = typed.strip().upper().split("-", 1)
    code = code.replace("-", "").replace(" ", "").replace("O", "0").replace("I", "1").replace("L", "1")
    nonce = encode(os.urandom(32))
    _, begun = ask(int(port), "/v1/pair/begin", {"nonce": nonce, "label": "page.py"}, origin)
    if begun["port"] != int(port):
        sys.exit("another server answered")
    salt = f"{nonce}|{begun['server_nonce']}".encode()
    key = expand(sign(salt, code.encode()), f"{origin}|{port}|{begun['instance']}".encode())
    status = 202
    while status == 202:
        proof = encode(sign(key, b"pair-c"))
        status, paired = ask(int(port), "/v1/pair/confirm", {"pair_id": begun["pair_id"], "proof": proof}, origin)
    if not hmac.compare_digest(paired["proof"], encode(sign(key, b"pair-s"))):
        sys.exit("the server did not know the code")
    return {"client_id": paired["client_id"], "key": encode(expand(key, b"long-term")), "port": int(port)}


def prove_server(port: int, client: str, key: bytes, origin: str | None) -> tuple[str, dict]:
    """Lets the server prove the key; what both have said so far, and the server's answer."""
    nonce = encode(os.urandom(32))
    _, offer = ask(port, "/v1/session", {"client_id": client, "nonce": nonce}, origin)
    text = f"{client}|{nonce}|{offer['server_nonce']}|{origin or ''}|{port}|{offer['instance']}"
    if offer["port"] != port or not hmac.compare_digest(offer["proof"], encode(sign(key, f"srv1|{text}".encode()))):
        sys.exit("the server did not prove itself")
    return text, offer


def session(port: int, client: str, key: str, origin: str) -> dict:
    """Opens a session."""
    text, offer = prove_server(port, client, decode(key), origin)
    proof = encode(sign(decode(key), f"cli1|{text}".encode()))
    return ask(port, "/v1/session/confirm", {"server_nonce": offer["server_nonce"], "proof": proof}, origin)[1]


def local(path: str) -> dict:
    """A program of this computer: the token is sent to nobody who does not know it."""
    with open(path) as file:
        endpoint = json.load(file)
    return prove_server(endpoint["port"], "local", endpoint["token"].encode(), None)[1]


def main() -> None:
    command, *words = sys.argv[1:]
    if command == "pair":
        said = pair(*words)
    elif command == "session":
        said = session(int(words[0]), *words[1:])
    else:
        said = local(*words)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
