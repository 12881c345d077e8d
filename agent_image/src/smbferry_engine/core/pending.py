"""Calls that wait to be sent, and calls that wait for their replies."""

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smbferry_engine.core.calls import Call


class Unsent:
    """Calls that wait to be sent: ``urgent`` ones before the ``backlog``.

    ``refused`` are those that an expired session refused, each with the message id of the refusal.
    """

    __slots__ = ("backlog", "refused", "urgent")

    def __init__(self) -> None:
        self.backlog: deque[Call] = deque()
        self.urgent: deque[Call] = deque()
        self.refused: list[tuple[int, Call]] = []

    def __bool__(self) -> bool:
        return bool(self.backlog or self.urgent or self.refused)

    def take_back(self) -> None:
        """Move the refused calls to the front of the backlog, in order."""
        refused, self.refused = sorted(self.refused, key=lambda refused: refused[0]), []
        self.backlog.extendleft(call for _, call in reversed(refused))

    def drop(self, error: BaseException) -> None:
        """Fail all but the urgent calls."""
        unsent = [call for _, call in self.refused] + list(self.backlog)
        self.refused, self.backlog = [], deque()
        for call in unsent:
            call.fail(error)


class Replies:
    """Outstanding requests by message id, and counts of replies.

    ``interim`` are the message ids with an interim reply (3.2.5.1.5). ``answers`` counts final replies to anything but
    ECHO, ``breaks`` unsolicited messages.
    """

    __slots__ = ("answers", "breaks", "interim", "outstanding")

    def __init__(self) -> None:
        self.outstanding: dict[int, tuple[Call, int]] = {}
        self.interim: set[int] = set()
        self.answers = 0
        self.breaks = 0

    def drop(self, error: BaseException) -> None:
        """Fail every call that has been sent."""
        sent = {id(call): call for call, _ in self.outstanding.values()}
        self.outstanding.clear()
        self.interim.clear()
        for call in sent.values():
            call.fail(error)
