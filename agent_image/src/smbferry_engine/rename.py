"""The last step of a gathered file: renamed over its final name, and given its times.

A server that finds the target open answers SHARING_VIOLATION (Samba) or ACCESS_DENIED (Windows; MS-FSCC 2.4.42). The
second is also what an account gets that may not replace the target. An open for deletion that shares nothing tells them
apart: it is refused with SHARING_VIOLATION while anybody has the target open, and with ACCESS_DENIED where the account
lacks the right. It lasts for one compound. A target that is in use is waited for here, so that nothing is copied again.
"""

from typing import NamedTuple

from smbferry_engine.core.calls import Reply, close_request, open_request, rename_request, sparse_request
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.landing import Metadata, basic_requests
from smbferry_engine.run import Run
from smbferry_engine.share import DELETE_ACCESS, check
from smbferry_engine.wire.create import Access, CreateOption
from smbferry_engine.wire.header import RELATED_FILE_ID
from smbferry_engine.wire.status import NtStatus

_PAUSES = (0.2, 0.6, 1.5)
_DOING = "renaming over the final name"
_NOT_SHARED = 0
_FILE = int(CreateOption.NON_DIRECTORY_FILE)
_RENAME_ACCESS = DELETE_ACCESS | int(Access.WRITE_ATTRIBUTES)


class TargetInUseError(FileError):
    """The final name was still in use when it had been waited for; copying the file again would not help."""

    def __init__(self, status: int) -> None:
        super().__init__(
            FileReason.SHARING_VIOLATION, f"{_DOING}: another program has the old file open", status=status
        )


class Landing(NamedTuple):
    """An open file on its way: where it lies and what it shall be called, from the root of the transfer.

    ``sparse`` is said again last of all: Samba forgets it with each rename and each change of attributes.
    """

    lane: Lane
    path: str
    final: str
    metadata: Metadata
    metadata_first: bool
    sparse: bool


async def rename_over(run: Run, landing: Landing, file_id: bytes) -> None:
    """Rename, set times and attributes, close.

    Raises:
        TargetInUseError: another program has the target open, after some 2 s.
        FileError: any other refusal; the file is closed, and lies where it was.
    """
    await run.still_wanted()
    replies = await _try(run, landing, file_id)
    pauses = iter(_PAUSES)
    while await _is_in_use(run, landing.final, replies[0].status):
        pause = next(pauses, None)
        if pause is None:
            raise TargetInUseError(replies[0].status)
        await run.scheduler.sleep(pause)
        replies = await _try(run, landing)
    check(replies[0], _DOING)
    run.temporaries.pop(landing.path, None)
    for reply in replies[1:]:
        check(reply, "setting times and attributes")


async def _try(run: Run, landing: Landing, file_id: bytes = RELATED_FILE_ID) -> list[Reply]:
    """The replies to the rename and to what is set; the file is opened again where it has no ``file_id`` any more."""
    opening = []
    if file_id == RELATED_FILE_ID:
        opening = [open_request(run.destination.wire_path(landing.path), access=_RENAME_ACCESS, options=_FILE)]
    setting = basic_requests(landing.metadata, file_id)
    rename = rename_request(run.destination.wire_path(landing.final), replace=True, file_id=file_id)
    at = len(setting) if landing.metadata_first else 0
    last = [sparse_request(file_id)] if landing.sparse else []
    replies = await landing.lane.call(*opening, *setting[:at], rename, *setting[at:], *last, close_request(file_id))
    if opening and replies[0].status != NtStatus.SUCCESS:
        raise TargetInUseError(replies[0].status)
    del replies[: len(opening)]
    return [replies[at], *replies[:at], *replies[at + 1 : len(setting) + 1], replies[-1]]


async def _is_in_use(run: Run, final: str, status: int) -> bool:
    if status != NtStatus.ACCESS_DENIED:
        return status == NtStatus.SHARING_VIOLATION
    opened, closed = await run.destination.lane.call(
        open_request(run.destination.wire_path(final), access=DELETE_ACCESS, options=_FILE, share=_NOT_SHARED),
        close_request(),
    )
    # Whoever had it open may have closed it just now; an open of its attributes alone is not shared or unshared either.
    return opened.status == NtStatus.SHARING_VIOLATION or opened.status == closed.status == NtStatus.SUCCESS
