"""A socket that knows when the kernel received what was read last (socket(7), SO_TIMESTAMPNS; TCP since Linux 4.14).

Whoever is busy with other connections reads a reply late. The kernel's time does not depend on that.
"""

import socket
import struct
import time
from collections.abc import Iterable
from typing import Any, Final

_SO_TIMESTAMPNS: Final = 35  # asm-generic/socket.h; the socket module has no name for it
_TIMESPEC: Final = struct.Struct("=qq")
_SPACE: Final = socket.CMSG_SPACE(_TIMESPEC.size)


class StampedSocket(socket.socket):
    """``sent_at`` and ``received_at`` are seconds of the kernel's clock (CLOCK_REALTIME); ``sends`` counts."""

    sent_at = 0.0
    received_at: float | None = None
    sends = 0

    @classmethod
    def take_over(cls, other: socket.socket) -> "StampedSocket":
        """Return a non-blocking socket for the connection of ``other``, which is closed."""
        taken = cls(other.family, other.type, other.proto, fileno=other.detach())
        taken.settimeout(0)
        taken.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        return taken

    def sendmsg(self, buffers: Iterable[Any], *arguments: Any) -> int:
        """Send, and note when."""
        self.sent_at = time.clock_gettime(time.CLOCK_REALTIME)
        self.sends += 1
        return super().sendmsg(buffers, *arguments)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive, and note when the kernel received the last of it; None if it does not say."""
        view = memoryview(buffer)[: nbytes or None]
        count, ancillary, _, _ = self.recvmsg_into([view], _SPACE, flags)
        self.received_at = next((_seconds(data) for _, kind, data in ancillary if kind == _SO_TIMESTAMPNS), None)
        return count


def _seconds(timespec: bytes) -> float:
    whole, nanoseconds = _TIMESPEC.unpack_from(timespec)
    return float(whole + nanoseconds / 1e9)
