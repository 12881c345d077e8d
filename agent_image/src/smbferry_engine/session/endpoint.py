"""Validates endpoints before anything is reached."""

from smbferry_engine.core.crypto import CIPHERS
from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint
from smbferry_engine.paths import ILLEGAL, from_user
from smbferry_engine.session.negotiation import (
    DIALECTS,
)
from smbferry_words.reasons import ENDPOINT_INVALID


def root_of(path: str) -> str:
    """Return an endpoint's path as an engine path; raises :class:`EngineError` EndpointInvalid if it is invalid."""
    try:
        return from_user(path)
    except ValueError as error:
        raise EngineError(ENDPOINT_INVALID, str(error)) from error


def validate(endpoint: Endpoint) -> None:
    """Raise :class:`EngineError` EndpointInvalid for an endpoint that can't be connected to."""
    service, _, host = endpoint.service_principal.partition("/")
    if service != "cifs" or not host or "@" in host or "/" in host:
        raise EngineError(
            ENDPOINT_INVALID, f"expected a service principal cifs/<host>, got {endpoint.service_principal!r}"
        )
    unknown = [c for c in endpoint.ciphers if c not in CIPHERS] + [d for d in endpoint.dialects if d not in DIALECTS]
    if unknown or not endpoint.ciphers or not endpoint.dialects:
        raise EngineError(ENDPOINT_INVALID, f"expected known ciphers and dialects, got {unknown or 'none'}")
    if not endpoint.share or ILLEGAL.search(endpoint.share):
        raise EngineError(ENDPOINT_INVALID, f"expected a share name, got {endpoint.share!r}")
