"""The states of a session, and the events that lead from one to the next (MS-SMB2 3.2.1.3, 3.2.4.2.3).

After a session's ticket has expired, the server refuses all requests until it is authenticated again (3.3.5.2.9). A
``renewable`` session is only expired then: refused requests are sent again once it was renewed. Any other has ended.
"""

from enum import Enum, auto
from typing import Final


class SessionState(Enum):
    """LIVE: calls are sent. EXPIRED: calls wait until it has been authenticated again. ENDED: the server has ended it,
    and refuses what is sent. ENDED_EXPIRED: both, so calls wait. FAILED: the connection is gone.
    """

    LIVE = auto()
    EXPIRED = auto()
    ENDED = auto()
    ENDED_EXPIRED = auto()
    FAILED = auto()


class SessionEvent(Enum):
    """EXPIRED: the server refused a request because the ticket has expired (NETWORK_SESSION_EXPIRED). RENEWED: the
    session has been authenticated again. ENDED: the server no longer knows the session, or its share
    (USER_SESSION_DELETED, NETWORK_NAME_DELETED). FAILED: the connection was lost, or the server broke the protocol.
    """

    EXPIRED = auto()
    RENEWED = auto()
    ENDED = auto()
    FAILED = auto()


_S, _E = SessionState, SessionEvent
_NEXT: Final = {
    _S.LIVE: {_E.EXPIRED: _S.EXPIRED, _E.RENEWED: _S.LIVE, _E.ENDED: _S.ENDED, _E.FAILED: _S.FAILED},
    _S.EXPIRED: {_E.EXPIRED: _S.EXPIRED, _E.RENEWED: _S.LIVE, _E.ENDED: _S.ENDED_EXPIRED, _E.FAILED: _S.FAILED},
    _S.ENDED: {_E.EXPIRED: _S.ENDED_EXPIRED, _E.RENEWED: _S.ENDED, _E.ENDED: _S.ENDED, _E.FAILED: _S.FAILED},
    _S.ENDED_EXPIRED: {
        _E.EXPIRED: _S.ENDED_EXPIRED,
        _E.RENEWED: _S.ENDED,
        _E.ENDED: _S.ENDED_EXPIRED,
        _E.FAILED: _S.FAILED,
    },
    _S.FAILED: {_E.EXPIRED: _S.FAILED, _E.RENEWED: _S.FAILED, _E.ENDED: _S.FAILED, _E.FAILED: _S.FAILED},
}
_EXPIRED: Final = (_S.EXPIRED, _S.ENDED_EXPIRED)
_USABLE: Final = (_S.LIVE, _S.EXPIRED)


class SessionLife:
    """The state of one session; ``failure`` is why its connection was lost.

    ``expired`` is kept beside the state because each message checks it. Requests with a message id below
    ``renewed_after`` were sent before the session was renewed: their refusal says nothing about the current state.
    """

    __slots__ = ("expired", "failure", "renewable", "renewed_after", "state")

    def __init__(self) -> None:
        self.state = SessionState.LIVE
        self.expired = False
        self.failure: BaseException | None = None
        self.renewable = False
        self.renewed_after = -1

    @property
    def usable(self) -> bool:
        """True while calls can succeed: the connection is up and the server has not ended the session."""
        return self.state in _USABLE

    def apply(self, event: SessionEvent) -> None:
        """Change the state."""
        self.state = _NEXT[self.state][event]
        self.expired = self.state in _EXPIRED

    def refused(self, message_id: int) -> None:
        """Record that the server refused a request because the ticket has expired."""
        if not self.renewable:
            self.apply(SessionEvent.ENDED)
        elif message_id >= self.renewed_after:
            self.apply(SessionEvent.EXPIRED)

    def renewed(self, next_message_id: int) -> None:
        """Record that the session was authenticated again, before the request with ``next_message_id``."""
        self.apply(SessionEvent.RENEWED)
        self.renewed_after = next_message_id

    def failed(self, error: BaseException) -> None:
        """Record that the connection was lost."""
        self.failure = error
        self.apply(SessionEvent.FAILED)
