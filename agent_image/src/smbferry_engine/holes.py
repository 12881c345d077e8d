"""Where a file has no content: such ranges read as zeros, and are neither asked for nor sent.

The server is asked only of files that say that they are sparse, and that are plain otherwise: content that is kept
elsewhere (deduplicated, tiered away) takes no room in the file either, and is no hole.
"""

from bisect import bisect_right

from smbferry_engine.content import OpenFile
from smbferry_engine.core.calls import ranges_request
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.plan import OFFLINE, REPARSE_POINT
from smbferry_engine.wire.create import CreateReply
from smbferry_engine.wire.ioctl import decode_ranges
from smbferry_engine.wire.status import NtStatus

SPARSE = 0x00000200
_RECALL = 0x00040000 | 0x00400000  # RECALL_ON_OPEN, RECALL_ON_DATA_ACCESS (MS-FSCC 2.6)
_KEPT_ELSEWHERE = REPARSE_POINT | OFFLINE | _RECALL
_REPLY = 64 * 1024
# A file in more pieces than this is read as if it had no holes behind the last of them.
_MOST_REPLIES = 64


class Holes:
    """The holes of one file, in order: each from which byte to before which."""

    def __init__(self, holes: list[tuple[int, int]]) -> None:
        self._holes = holes
        self._begins = [begin for begin, _ in holes]

    def __bool__(self) -> bool:
        return bool(self._holes)

    def cover(self, offset: int, length: int) -> bool:
        """Whether a range lies in a hole with all its bytes."""
        index = bisect_right(self._begins, offset) - 1
        return index >= 0 and offset + length <= self._holes[index][1]


def is_sparse(attributes: int) -> bool:
    """Whether a file with these attributes is sparse itself: a stub is, too, but that says nothing of its content."""
    return attributes & (SPARSE | _KEPT_ELSEWHERE) == SPARSE


def takes_less_than_its_size(opened: CreateReply) -> bool:
    """Whether zeros take no room in it: it is sparse, compressed, or has holes that its server does not speak of."""
    return is_sparse(opened.attributes) or not (opened.attributes & _KEPT_ELSEWHERE or opened.allocated >= opened.size)


def may_have_holes(file: OpenFile) -> bool:
    """Whether the file says that it is sparse, and has its content to itself."""
    return file.itself and is_sparse(file.opened.attributes)


async def holes_of(file: OpenFile) -> Holes:
    """The holes of an open file; none where it can't have any, or the server does not tell."""
    if not may_have_holes(file):
        return Holes([])
    size, holes, at = file.opened.size, [], 0
    for _ in range(_MOST_REPLIES):
        limit = file.lane.list_limit(_REPLY)
        (reply,) = await file.lane.call(ranges_request(at, size, limit, file.opened.file_id))
        if reply.status not in (NtStatus.SUCCESS, NtStatus.BUFFER_OVERFLOW):
            return Holes([])
        ranges = decode_ranges(reply.message)
        for begin, end in ranges:
            if begin < at or end > size + _REPLY:
                raise ProtocolError(f"allocated ranges between {at} and {size} expected, found {begin} to {end}")
            if begin > at:
                holes.append((at, begin))
            at = end
        if reply.status == NtStatus.SUCCESS:
            if at < size:
                holes.append((at, size))
            break
        if not ranges:
            raise ProtocolError("a reply with more ranges to come expected to have some")
    return Holes(holes)
