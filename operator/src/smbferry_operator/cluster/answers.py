"""What an answer of the API server means that is no success: by its Status' reason and words, not by its code alone.

409 is an object that exists, or one that has changed: a quota's bookkeeping, too, answers so under load. 400, 403 and
422 are the object's own fault, a missing right, a quota, or an admission rule that may be another one tomorrow.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from smbferry_operator.cluster.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    NotFoundError,
    RefusedError,
    TerminatingError,
    UnavailableError,
)

MAX_WORDS: Final = 500
BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_LARGE, INVALID = 400, 403, 404, 409, 413, 422
ADMISSION: Final = ("admission webhook", "ValidatingAdmissionPolicy", "failed calling webhook")
"""How messages of admission rules and of webhooks that can't be reached begin, whatever their code is."""


def error_of(code: int, body: str, fallback: str, what: str) -> ClusterError:
    """The error for an answer.

    Args:
        code: the HTTP status.
        body: a metav1.Status as JSON, or whatever a proxy sent instead.
        fallback: HTTP's own words for the code.
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
        return RefusedError(what, words, permanent=wrong and not ruled, room="exceeded quota" in words)
    return UnavailableError(f"{what}: the API server answered {code}: {words}")


def _conflict(status: Mapping[str, Any], what: str, words: str) -> ClusterError:
    if status.get("reason") != "AlreadyExists":
        return ConflictError(f"{what}: {words}")
    if "object is being deleted" in words:  # its name is free in a moment
        return UnavailableError(f"{what}: {words}")
    return AlreadyExistsError(f"{what}: {words}")


def one_line(text: str) -> str:
    """The server's words, of which anybody's webhook may have made any number: printable, on one line, cut short."""
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
