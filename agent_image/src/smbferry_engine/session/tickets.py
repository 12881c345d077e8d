"""The client side of renewing a session: a ticket from the credential cache, and proof of the server.

Only Kerberos, with the same names that opened the session: tickets of another principal are refused, and so is a server
that does not prove that it has the service's key.
"""

import contextlib
import importlib
import math
from collections.abc import Iterator
from typing import Any, Final

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint
from smbferry_engine.session.connect_errors import Reached, convert
from smbferry_engine.session.kerberos_exchange import Exchange
from smbferry_engine.session.krb5_environment import krb5_environment
from smbferry_words.reasons import MUTUAL_AUTHENTICATION_FAILED, TICKET_MISSING

_GRANTING: Final = "krbtgt/"


def end_of_ticket(endpoint: Endpoint) -> float:
    """Return when the ticket for the endpoint's service expires, in seconds since 1970; minus infinity if there is
    none.
    """
    with _libkrb5(endpoint):
        return _ends(endpoint)[0]


class Proof:
    """One exchange of tokens: ``token`` is for the server, ``ends`` is when its ticket expires (seconds since 1970)."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        with _libkrb5(endpoint):
            self._exchange = Exchange(endpoint)
            self.token = self._exchange.token
            self.ends = _ends(endpoint)[0]

    def check(self, answer: bytes) -> None:
        """Raise :class:`EngineError` unless the server's answer proves that it has the service's key."""
        with _converted(self._endpoint):  # this exchange has read its configuration
            following = self._exchange.step(answer)
        if following is not None:
            raise EngineError(
                MUTUAL_AUTHENTICATION_FAILED,
                "expected the exchange of tokens to end, the server asks for another token",
            )


def prove(endpoint: Endpoint, later_than: float) -> Proof | None:
    """Begin an exchange with a ticket that expires ``later_than`` (seconds since 1970); returns None if there is none.

    May contact the KDC, and so block.

    Raises:
        EngineError: there is no usable ticket of the endpoint's principal, or the KDC refuses one for the service.
    """
    with _libkrb5(endpoint):
        service, granting = _ends(endpoint)
    if max(service, granting) <= later_than:
        return None
    if service <= later_than and endpoint.fresh_ticket is not None:
        endpoint.fresh_ticket(endpoint.service_principal)
    proof = Proof(endpoint)
    return proof if proof.ends > later_than else None


def _ends(endpoint: Endpoint) -> tuple[float, float]:
    """Return when the last ticket for the service and the last one for the KDC expire."""
    krb5: Any = importlib.import_module("krb5")
    context = krb5.init_context()
    cache = krb5.cc_resolve(context, endpoint.ccache.encode())
    wanted = krb5.parse_name_flags(context, endpoint.principal.encode())
    owner, wanted = (krb5.unparse_name_flags(context, name) for name in (krb5.cc_get_principal(context, cache), wanted))
    if owner != wanted:
        found = owner.decode(errors="backslashreplace")
        raise EngineError(TICKET_MISSING, f"expected tickets of {endpoint.principal}, got those of {found}")
    service = granting = -math.inf
    for credentials in cache:
        server = krb5.unparse_name_flags(context, credentials.server).decode(errors="backslashreplace")
        if server.partition("@")[0].lower() == endpoint.service_principal.lower():
            service = max(service, credentials.times.endtime)
        elif server.startswith(_GRANTING):
            granting = max(granting, credentials.times.endtime)
    return service, granting


@contextlib.contextmanager
def _libkrb5(endpoint: Endpoint) -> Iterator[None]:
    """Call libkrb5 with the endpoint's configuration, and convert its errors."""
    with krb5_environment(endpoint.krb5_config), _converted(endpoint):
        yield


@contextlib.contextmanager
def _converted(endpoint: Endpoint) -> Iterator[None]:
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise convert(error, endpoint, Reached()) from error
