"""The client's part of authenticating a session again: a ticket from the credential cache, and proof of the server.

Kerberos and nothing else, by the same names as the session was opened with: another principal's ticket is refused, and
so is a server that does not prove that it holds the service's key.
"""

import contextlib
import importlib
import math
from collections.abc import Iterator
from typing import Any, Final

from smbferry_engine.connect_errors import Reached, convert
from smbferry_engine.errors import MUTUAL_AUTHENTICATION_FAILED, TICKET_MISSING, EngineError
from smbferry_engine.kerberos_exchange import Exchange
from smbferry_engine.krb5_environment import krb5_environment
from smbferry_engine.model import Endpoint

_GRANTING: Final = "krbtgt/"


def end_of_ticket(endpoint: Endpoint) -> float:
    """When the ticket for the endpoint's service ends, in seconds since 1970; minus infinity where there is none."""
    with _libkrb5(endpoint):
        return _ends(endpoint)[0]


class Proof:
    """One exchange of tokens: ``token`` is for the server. ``ends`` is when the ticket in it ends, as above."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        with _libkrb5(endpoint):
            self._exchange = Exchange(endpoint)
            self.token = self._exchange.token
            self.ends = _ends(endpoint)[0]

    def check(self, answer: bytes) -> None:
        """The server's answer proves that it holds the service's key, or :class:`EngineError`."""
        with _converted(self._endpoint):  # this exchange has read its configuration
            following = self._exchange.step(answer)
        if following is not None:
            raise EngineError(
                MUTUAL_AUTHENTICATION_FAILED, "expected an end of the exchange of tokens, the server wants more"
            )


def prove(endpoint: Endpoint, later_than: float) -> Proof | None:
    """The beginning of an exchange by a ticket that ends ``later_than`` another one; None while there is none such.

    May ask the KDC, and so block.

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
    """When the tickets for the service and for the KDC end, each that of the last to end."""
    krb5: Any = importlib.import_module("krb5")
    context = krb5.init_context()
    cache = krb5.cc_resolve(context, endpoint.ccache.encode())
    wanted = krb5.parse_name_flags(context, endpoint.principal.encode())
    owner, wanted = (krb5.unparse_name_flags(context, name) for name in (krb5.cc_get_principal(context, cache), wanted))
    if owner != wanted:
        found = owner.decode(errors="backslashreplace")
        raise EngineError(TICKET_MISSING, f"tickets of {endpoint.principal} expected, found those of {found}")
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
    """libkrb5 reads the endpoint's configuration, and its errors become the engine's own."""
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
