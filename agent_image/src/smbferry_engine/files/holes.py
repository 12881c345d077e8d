"""Finds the holes of a sparse file: ranges that read as zeros, and are neither read nor written.

The server is asked only for files that are marked sparse and are otherwise plain: content that is stored elsewhere
(deduplicated, tiered) takes no space in the file either, and is no hole.
"""

from bisect import bisect_right

from smbferry_engine.core.calls import ranges_request
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.share.reading import OpenFile
from smbferry_engine.wire.attributes import (
    OFFLINE,
    RECALL_ON_DATA_ACCESS,
    RECALL_ON_OPEN,
    REPARSE_POINT,
    SPARSE,
)
from smbferry_engine.wire.create import CreateReply
from smbferry_engine.wire.ioctl import decode_ranges
from smbferry_engine.wire.status import NtStatus

_KEPT_ELSEWHERE = REPARSE_POINT | OFFLINE | RECALL_ON_OPEN | RECALL_ON_DATA_ACCESS
_REPLY = 64 * 1024
# A file with more ranges than these replies hold is read as if it had no further holes.
_MOST_REPLIES = 64


class Holes:
    """The holes of one file, in order, as half-open byte ranges."""

    def __init__(self, holes: list[tuple[int, int]]) -> None:
        self._holes = holes
        self._begins = [begin for begin, _ in holes]

    def __bool__(self) -> bool:
        return bool(self._holes)

    def cover(self, offset: int, length: int) -> bool:
        """Return whether a range lies entirely in a hole."""
        index = bisect_right(self._begins, offset) - 1
        return index >= 0 and offset + length <= self._holes[index][1]


def is_sparse(attributes: int) -> bool:
    """Return whether a file with these attributes is sparse. A stub does not count: its content may have no holes."""
    return attributes & (SPARSE | _KEPT_ELSEWHERE) == SPARSE


def takes_less_than_its_size(opened: CreateReply) -> bool:
    """Return whether zeros take no space in the file: it is sparse, compressed, or has holes that its server does not
    report.
    """
    return is_sparse(opened.attributes) or not (opened.attributes & _KEPT_ELSEWHERE or opened.allocated >= opened.size)


def may_have_holes(file: OpenFile) -> bool:
    """Return whether the file is marked sparse and stores its own content."""
    return file.open_reparse_point and is_sparse(file.opened.attributes)


async def holes_of(file: OpenFile) -> Holes:
    """Return the holes of an open file; none if it can't have any, or the server does not report them."""
    if not may_have_holes(file):
        return Holes([])
    size, holes, at = file.opened.size, [], 0
    for _ in range(_MOST_REPLIES):
        limit = file.session.list_limit(_REPLY)
        (reply,) = await file.session.call(ranges_request(at, size, limit, file.opened.file_id))
        if reply.status not in (NtStatus.SUCCESS, NtStatus.BUFFER_OVERFLOW):
            return Holes([])
        ranges = decode_ranges(reply.message)
        for begin, end in ranges:
            if begin < at or end > size + _REPLY:
                raise ProtocolError(f"expected allocated ranges between {at} and {size}, got {begin} to {end}")
            if begin > at:
                holes.append((at, begin))
            at = end
        if reply.status == NtStatus.SUCCESS:
            if at < size:
                holes.append((at, size))
            break
        if not ranges:
            raise ProtocolError("expected allocated ranges in a reply that says that more follow, got none")
    return Holes(holes)
