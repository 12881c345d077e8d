"""Keeps a session alive beyond the ticket that opened it: authenticates it again with a newer ticket (3.2.4.2.3).

This happens well before the ticket expires, without a pause for pending requests, and again if the server refuses
requests because the ticket has expired. Looking for tickets may block, so a separate thread does it.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from smbferry_engine.core.calls import Call
from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError
from smbferry_engine.session.background import in_thread
from smbferry_engine.wire.session import decode_session_setup
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_words.failure_class import FailureClass
from smbferry_words.reasons import GUEST_REFUSED, SESSION_ENDED

if TYPE_CHECKING:
    from concurrent.futures import Future

_log = logging.getLogger(__name__)

# Parts of a ticket's lifetime: when to begin looking for a newer one (tickets are renewed before that), how often.
_AT = 0.8
_AGAIN = 0.02
_SHORTEST, _LONGEST = 0.25, 30.0
# How long refused requests wait for the session to be renewed, in seconds.
_PATIENCE = 30.0


class Proof(Protocol):
    """See :class:`smbferry_engine.session.tickets.Proof`."""

    token: bytes
    ends: float

    def check(self, answer: bytes) -> None:
        """Raise :class:`EngineError` if the answer proves nothing."""


Prover = Callable[[float], Proof | None]


def _in_thread(work: Callable[[], Proof | None]) -> "Future[Proof | None]":
    return in_thread("session-renewal", work)


class _Schedule(NamedTuple):
    """When the ticket expires (seconds since 1970), how often to look for a newer one (seconds), and when next."""

    ends: float
    interval: float
    due: float


class SessionRenewal:
    """One session's renewal, driven by :meth:`tick`.

    Args:
        prove: begins an exchange with a ticket that expires after a given time (see ``tickets.prove``). ends: when the
        ticket that opened the session expires, seconds since 1970. peer: the server's name and port, for messages.
    """

    def __init__(
        self,
        session: Session,
        prove: Prover,
        *,
        ends: float,
        peer: str,
        clock: Callable[[], float] = time.time,
        start: Callable[[Callable[[], Proof | None]], "Future[Proof | None]"] = _in_thread,
    ) -> None:
        self._session = session
        self._prove = prove
        self._peer = peer
        self._clock = clock
        self._start = start
        self._looking: Future[Proof | None] | None = None
        self._under_way: tuple[Proof, Call] | None = None
        self._expired_at: float | None = None
        self.refused = False
        self._hold(ends)
        session.life.renewable = True

    def _hold(self, ends: float) -> None:
        """Schedule the search for a newer ticket: the current one expires at ``ends``."""
        life = max(0.0, ends - self._clock())
        interval = min(max(life * _AGAIN, _SHORTEST), _LONGEST)
        self._schedule = _Schedule(ends, interval, ends - life * (1 - _AT))
        self._expired_at = None

    def tick(self) -> None:
        """Do what is due; called a few times a second. Raises :class:`EngineError` if the session can't be used any
        more.
        """
        now = self._clock()
        if self._session.expired and self._expired_at is None:
            self._expired_at = now
        if self._under_way is not None:
            self._conclude(*self._under_way)
        elif self._looking is not None:
            self._send(now)
        elif self._session.expired or now >= self._schedule.due:
            self._schedule = self._schedule._replace(due=now + self._schedule.interval)
            self._looking = self._start(lambda: self._prove(self._schedule.ends))
        if self._expired_at is not None and now - self._expired_at > _PATIENCE:
            raise EngineError(
                SESSION_ENDED, f"{self._peer} has ended the session, and there was no newer ticket in time"
            )

    def _send(self, now: float) -> None:
        """Authenticate with the ticket that was found, if any."""
        if self._looking is None or not self._looking.done():
            return
        looking, self._looking = self._looking, None
        try:
            proof = looking.result()
        except EngineError as error:
            if error.failure_class in (FailureClass.NETWORK, FailureClass.IDENTITY) and not self._session.expired:
                _log.warning("the session could not be renewed yet: %s", error)
                return
            raise self._ended(error) from error
        if proof is not None:
            self._under_way = proof, self._session.authenticate(proof.token)
        elif (
            self._expired_at is not None
            and now - self._expired_at > self._schedule.interval
            and now < self._schedule.ends
        ):
            # The ticket is still valid, so a new session is possible at once. After it has expired, a newer one is
            # waited for.
            raise self._ended(None)

    def _ended(self, error: EngineError | None) -> EngineError:
        """Return the error that ends the session: a new connection may help, unless this is a matter of trust."""
        if error is not None and error.failure_class is FailureClass.POLICY:
            return error
        return EngineError(SESSION_ENDED, f"{self._peer} has ended the session: {error or 'its ticket has expired'}")

    def _conclude(self, proof: Proof, call: Call) -> None:
        """Process the server's answer: the session continues if it accepts the ticket and proves itself."""
        if not call.done:
            return
        self._under_way = None
        (reply,) = call.result()
        if reply.status != NtStatus.SUCCESS:
            self.refused = True
            raise EngineError(
                SESSION_ENDED, f"{self._peer} refused to authenticate the session again ({status_name(reply.status)})"
            )
        answer = decode_session_setup(reply.message)
        if answer.nobody:
            raise EngineError(
                GUEST_REFUSED, f"{self._peer} mapped the session to guest or anonymous when it was renewed"
            )
        proof.check(answer.token)
        self._session.renewed()
        self._hold(proof.ends)
        _log.info("session renewed with %s", self._peer)
