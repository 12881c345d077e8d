"""Looks for secrets in what was written: keys and tickets, in every form in which they may turn up."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def forms(secret: bytes) -> Iterator[bytes]:
    """How bytes may turn up in a text: raw, in hex, in base64 at any of its three offsets, as Python shows them."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield secret.hex(" ").encode()
    yield repr(secret)[2:-1].encode()
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(bytes(offset) + secret)
            yield whole[4 if offset else 0 : -4]  # the ends depend on what stands beside the secret


def leaks(text: bytes, secrets: Iterable[bytes]) -> list[bytes]:
    """Every form of a secret that the text holds."""
    return [form for secret in secrets for form in forms(secret) if form in text]
