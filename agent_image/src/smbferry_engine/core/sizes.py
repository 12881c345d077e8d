"""The size of READ and WRITE requests."""

from smbferry_engine.core.credits import CREDIT_BYTES

# The most bytes of one READ or WRITE, even if more than a chunk: what Windows and Samba allow by default.
LARGEST = 8 << 20
# After a connection was lost, a range is this part of what it or the next one has carried so far: if the next one is
# lost as early, most of what it carried was in complete ranges, however many were in flight.
_CARRIED_PER_RANGE = 32
_LEAST_RANGE = CREDIT_BYTES


class RangeSizes:
    """The size of ranges on one connection: usually a ``chunk``, smaller where connections die (ADR 31).

    ``carried`` counts bytes that were received in replies, or written and acknowledged; ``carried_by_last`` is that of
    the connection that this one replaces, None if there is none.
    """

    __slots__ = ("carried", "carried_by_last", "chunk")

    def __init__(self, chunk: int) -> None:
        self.chunk = chunk
        self.carried = 0
        self.carried_by_last: int | None = None

    def limit(self, wanted: int, most: int, credits_: int) -> int:
        """Return the most bytes of one READ or WRITE; the server allows ``most``. With few credits it is small, never
        zero.

        ``wanted`` may be more than a chunk, up to :data:`LARGEST`; 0 is a chunk.
        """
        limit = min(wanted or self.chunk, LARGEST, most, max(1, credits_ // 2) * CREDIT_BYTES)
        if self.carried_by_last is None:
            return limit
        proved = max(self.carried, self.carried_by_last) // _CARRIED_PER_RANGE
        return min(limit, self.chunk, max(_LEAST_RANGE, proved - proved % CREDIT_BYTES))
