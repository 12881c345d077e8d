"""Signs what is sent, as Standard Webhooks 1.0 describes: HMAC-SHA256 over the id, the time and the content. Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a key."""


class SigningKeyError(ValueError):
    """The signing key cannot be used; the message says why, and never contains the key."""


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Reads one key per line, the newest first: whsec_ and the key in Base64.

    Raises:
        SigningKeyError: there is none, or one is invalid.
    """
    keys = tuple(_parsed(line.strip()) for line in text.splitlines() if line.strip())
    if not keys:
        raise SigningKeyError(f"expected a line with {PREFIX} and a key in Base64, got none")
    return keys


def _parsed(line: str) -> bytes:
    if not line.startswith(PREFIX):
        raise SigningKeyError(f"expected a key that begins with {PREFIX}")
    try:
        key = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SigningKeyError(f"expected Base64 after {PREFIX}") from None  # the cause would show the key
    if not SHORTEST <= len(key) <= LONGEST:
        raise SigningKeyError(f"expected a key of {SHORTEST} to {LONGEST} bytes, got {len(key)}")
    return key


def signed_headers(id_: str, timestamp: int, content: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """The headers by which the sink verifies a request.

    Args:
        timestamp: seconds since 1970; the sink refuses old requests.
        keys: while a key is replaced, requests are signed with the old one, too.
    """
    message = b".".join((id_.encode(), str(timestamp).encode(), content))
    signatures = (base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
