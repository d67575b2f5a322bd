"""Prints the proofs of a pairing and a session, by Python's standard library, for `ohif-plugin/test/proof.test.ts`."""

import base64
import hashlib
import hmac


def mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 for 32 bytes."""
    return mac(mac(salt, secret), info + b"\x01")


def show(name: str, raw: bytes) -> None:
    print(name, base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


pairing = hkdf(b"K7QFM2XD9TRW", b"n|s", b"https://viewer.example|38917|abc")
show("pair-c", mac(pairing, b"pair-c"))
show("pair-s", mac(pairing, b"pair-s"))
kept = mac(pairing, b"long-term\x01")
for who in ("srv1", "cli1"):
    show(who, mac(kept, f"{who}|id|n|s|https://viewer.example|38917|abc".encode()))
