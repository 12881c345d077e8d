"""Keeps a session alive beyond the ticket that opened it (3.2.4.2.3): a renewed ticket, on the session that there is.

Well ahead of the ticket's end, so that the server never has to refuse anything, and without a pause for what is under
way; and once more if the server refuses all the same because the ticket's life is over. Looking for tickets may block,
and is done by a thread of its own.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from smbferry_engine.core.calls import Call
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import GUEST_REFUSED, SESSION_ENDED, EngineError, FailureClass
from smbferry_engine.wire.session import decode_session_setup
from smbferry_engine.wire.status import NtStatus, status_name

_log = logging.getLogger(__name__)

# Of a ticket's life: when to begin looking for a later one (tickets are renewed before that), and how often to look.
_AT = 0.8
_AGAIN = 0.02
_SHORTEST, _LONGEST = 0.25, 30.0
# How long what an ended session has refused waits to be sent again, in seconds.
_PATIENCE = 30.0


class Proof(Protocol):
    """See :class:`smbferry_engine.tickets.Proof`."""

    token: bytes
    ends: float

    def check(self, answer: bytes) -> None:
        """Raises :class:`EngineError` where the answer proves nothing."""


Prover = Callable[[float], Proof | None]


def _in_thread(work: Callable[[], Proof | None]) -> "Future[Proof | None]":
    """A thread that nobody waits for: a KDC that hangs must not keep a run from ending."""
    future: Future[Proof | None] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001  # handed over to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name="session-renewal", daemon=True).start()
    return future


class SessionRenewal:
    """One session's renewal, driven by :meth:`tick`.

    Args:
        prove: begins an exchange by a ticket that ends later than a time given (see ``tickets.prove``).
        ends: when the ticket ends that the session was opened with, seconds since 1970.
        peer: the server's name and port, for messages.
    """

    def __init__(
        self,
        lane: Lane,
        prove: Prover,
        *,
        ends: float,
        peer: str,
        clock: Callable[[], float] = time.time,
        start: Callable[[Callable[[], Proof | None]], "Future[Proof | None]"] = _in_thread,
    ) -> None:
        self._lane = lane
        self._prove = prove
        self._peer = peer
        self._clock = clock
        self._start = start
        self._looking: Future[Proof | None] | None = None
        self._under_way: tuple[Proof, Call] | None = None
        self._expired_at: float | None = None
        self.refused = False
        self._hold(ends)
        lane.renewable = True

    def _hold(self, ends: float) -> None:
        """The session lives until then: look for a later ticket in time."""
        life = max(0.0, ends - self._clock())
        self._ends = ends
        self._interval = min(max(life * _AGAIN, _SHORTEST), _LONGEST)
        self._due = ends - life * (1 - _AT)
        self._expired_at = None

    def tick(self) -> None:
        """Do what is due; called a few times a second. :class:`EngineError` when the session can't be used any more."""
        now = self._clock()
        if self._lane.expired and self._expired_at is None:
            self._expired_at = now
        if self._under_way is not None:
            self._conclude(*self._under_way)
        elif self._looking is not None:
            self._send(now)
        elif self._lane.expired or now >= self._due:
            self._due = now + self._interval
            self._looking = self._start(lambda: self._prove(self._ends))
        if self._expired_at is not None and now - self._expired_at > _PATIENCE:
            raise EngineError(SESSION_ENDED, f"{self._peer} has ended the session, and no later ticket came")

    def _send(self, now: float) -> None:
        """Authenticate by what was found, if something was."""
        if self._looking is None or not self._looking.done():
            return
        looking, self._looking = self._looking, None
        try:
            proof = looking.result()
        except EngineError as error:
            if error.failure_class in (FailureClass.NETWORK, FailureClass.IDENTITY) and not self._lane.expired:
                _log.warning("the session is not renewed yet: %s", error)
                return
            raise self._ended(error) from error
        if proof is not None:
            self._under_way = proof, self._lane.authenticate(proof.token)
        elif self._expired_at is not None and now - self._expired_at > self._interval and now < self._ends:
            # The ticket would still open a session. Where it has ended, only a later one can, and is waited for here.
            raise self._ended(None)

    def _ended(self, error: EngineError | None) -> EngineError:
        """What ends the session: another connection may be the answer, unless this is a matter of trust."""
        if error is not None and error.failure_class is FailureClass.POLICY:
            return error
        return EngineError(SESSION_ENDED, f"{self._peer} has ended the session: {error or 'its ticket has ended'}")

    def _conclude(self, proof: Proof, call: Call) -> None:
        """The server has answered: it knows the ticket, proves itself, and the session goes on; or it is the end."""
        if not call.done:
            return
        self._under_way = None
        (reply,) = call.result()
        if reply.status != NtStatus.SUCCESS:
            self.refused = True
            raise EngineError(
                SESSION_ENDED, f"{self._peer} does not authenticate a session again ({status_name(reply.status)})"
            )
        answer = decode_session_setup(reply.message)
        if answer.nobody:
            raise EngineError(
                GUEST_REFUSED, f"{self._peer} mapped the session to guest or anonymous when it was renewed"
            )
        proof.check(answer.token)
        self._lane.renewed()
        self._hold(proof.ends)
        _log.info("session renewed with %s", self._peer)
