"""Renews tickets during a long run, well before they expire."""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from smbferry_agent.kerberos.error_codes import ErrorCode
from smbferry_agent.kerberos.facts import Ticket
from smbferry_agent.kerberos.libkrb5 import KerberosError
from smbferry_agent.kerberos.session import KerberosSession
from smbferry_agent.logs import fields

_log = logging.getLogger(__name__)
_AT: Final = 0.75
_RETRY: Final = timedelta(seconds=30)
_LEAST_WAIT: Final = 1.0


def renewal_time(ticket: Ticket) -> datetime:
    """When three quarters of the ticket's lifetime are over."""
    return ticket.start_time + _AT * (ticket.end_time - ticket.start_time)


def _none() -> None:
    """No objection."""


class Renewal:
    """A context manager with a thread that renews one session's tickets.

    A refused key is never tried again, and an outdated key is not tried at all: wrong keys of all runs count towards
    the domain's lockout policy. The old tickets are used until they expire; the next attempt of the run then uses the
    keytab of that time.

    Args:
        objection: asked before each renewal; returns why the key must not be used, None if it may.
        turn: entered around each use of the key, so that no other agent tries it; a refusal leaves it as KerberosError.
    """

    def __init__(
        self,
        session: KerberosSession,
        ticket: Ticket,
        target: str,
        objection: Callable[[], str | None] = _none,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._session = session
        self._due = renewal_time(ticket)
        self._target = target
        self._objection = objection
        self._turn = turn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ticket-renewal", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        while not self._stop.wait(max((self._due - datetime.now(UTC)).total_seconds(), _LEAST_WAIT)):
            try:
                with self._turn():
                    if objection := self._objection():
                        self._later(objection)
                        continue
                    ticket = self._session.renew(self._target)
            except KerberosError as error:
                self._later(error)
                if error.code == ErrorCode.PREAUTH_FAILED:
                    return
            else:
                _log.info("renewed tickets", extra=fields(principal=self._session.principal, until=ticket.end_time))
                self._due = renewal_time(ticket)

    def _later(self, why: object) -> None:
        """Retries later. The old ticket is still valid; once it expires, the engine reports it."""
        _log.warning("could not renew tickets: %s", why, extra=fields(principal=self._session.principal))
        self._due = datetime.now(UTC) + _RETRY
