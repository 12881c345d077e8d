"""The error for an unsuccessful answer of the API server: by reason and message of its Status, not only by its code.

409 means that an object exists or has changed; a quota under load answers it, too. 400, 403 and 422 mean an invalid
object, a missing permission, a quota, or an admission rule that may change.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from smbferry_operator.cluster.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    NotFoundError,
    PolicyRefusedError,
    RefusedError,
    TerminatingError,
    UnavailableError,
)

MAX_WORDS: Final = 500
BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_LARGE, INVALID = 400, 403, 404, 409, 413, 422
POLICY: Final = "ValidatingAdmissionPolicy"
ADMISSION: Final = ("admission webhook", POLICY, "failed calling webhook")
"""Phrases in messages of admission rules and of unreachable webhooks, whatever the code is."""


def error_of(code: int, body: str, fallback: str, what: str) -> ClusterError:
    """The error for an answer.

    Args:
        code: the HTTP status.
        body: a metav1.Status as JSON, or anything that a proxy sent instead.
        fallback: the HTTP reason phrase.
        what: the kind or the request, for the message.
    """
    status = _status(body)
    words = one_line(str(status.get("message") or body or fallback))
    if code == NOT_FOUND:
        return NotFoundError(f"{what}: {words}")
    if code == CONFLICT:
        return _conflict(status, what, words)
    if code == FORBIDDEN and "NamespaceTerminating" in _causes(status):
        return TerminatingError(f"{what}: {words}")
    ruled = any(begins in words for begins in ADMISSION)
    wrong = code in {BAD_REQUEST, TOO_LARGE, INVALID}
    if ruled or wrong or code == FORBIDDEN:
        kind = PolicyRefusedError if POLICY in words else RefusedError
        return kind(what, words, permanent=wrong and not ruled, room="exceeded quota" in words)
    return UnavailableError(f"{what}: the API server answered {code}: {words}")


def _conflict(status: Mapping[str, Any], what: str, words: str) -> ClusterError:
    if status.get("reason") != "AlreadyExists":
        return ConflictError(f"{what}: {words}")
    if "object is being deleted" in words:  # the name is available again in a moment
        return UnavailableError(f"{what}: {words}")
    return AlreadyExistsError(f"{what}: {words}")


def one_line(text: str) -> str:
    """The message, which any webhook may have written: printable, on one line, of limited length."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MAX_WORDS]).split())
    return plain if len(plain) <= MAX_WORDS else f"{plain[: MAX_WORDS - 1]}…"


def _status(body: str) -> Mapping[str, Any]:
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _causes(status: Mapping[str, Any]) -> set[str]:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return {str(cause.get("reason")) for cause in causes or () if isinstance(cause, dict)}
