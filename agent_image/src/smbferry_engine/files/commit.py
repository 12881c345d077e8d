"""Commits a staging file: renames it over its final name and sets its times.

A server that finds the target open answers SHARING_VIOLATION (Samba) or ACCESS_DENIED (Windows; MS-FSCC 2.4.42). An
account that may not replace the target gets ACCESS_DENIED, too. To tell the two apart, the target is opened for
deletion without sharing, for one compound: the server refuses with SHARING_VIOLATION while anybody has the target open,
and with ACCESS_DENIED if the account lacks the right. A target in use is waited for here, so that nothing is copied
twice.
"""

from dataclasses import dataclass
from typing import NamedTuple

from smbferry_engine.core.calls import Reply, close_request, open_request, rename_request, sparse_request
from smbferry_engine.core.session import Session
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.plan.attachments import Lost
from smbferry_engine.run.context import StagingArea
from smbferry_engine.run.housekeeping import StagingEvent
from smbferry_engine.share.access import DELETE_ACCESS
from smbferry_engine.share.metadata import Metadata, basic_requests
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import Access, CreateOption
from smbferry_engine.wire.header import RELATED_FILE_ID
from smbferry_engine.wire.status import NtStatus

_PAUSES = (0.2, 0.6, 1.5)
_OPERATION = "renaming over the final name"
_NOT_SHARED = 0
_FILE = int(CreateOption.NON_DIRECTORY_FILE)
_RENAME_ACCESS = DELETE_ACCESS | int(Access.WRITE_ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class Copied:
    """A committed file: size in bytes, BLAKE3, the error for what it lacks, and the attachments that it lacks.

    The digest is empty if the parts of the file were verified one by one. ``linked``: nothing was copied, another
    name of the same file got this one, too.
    """

    size: int
    digest: bytes
    incomplete: FileError | None
    lost: tuple[Lost, ...] = ()
    linked: bool = False


class TargetInUseError(FileError):
    """The final name was still in use after the wait; copying the file again would not help."""

    def __init__(self, status: int) -> None:
        super().__init__(
            FileReason.SHARING_VIOLATION, f"{_OPERATION}: another program has the old file open", status=status
        )


async def refuse_open_target(share: Share, final: str) -> None:
    """Raise :class:`TargetInUseError` if another program has the final name open, before anything is copied for it."""
    opened, _ = await share.session.call(
        open_request(share.wire_path(final), access=DELETE_ACCESS, options=_FILE, share=_NOT_SHARED), close_request()
    )
    if opened.status == NtStatus.SHARING_VIOLATION:
        raise TargetInUseError(opened.status)


class Commit(NamedTuple):
    """An open staging file to commit: its path and its final name, both from the transfer's root.

    ``sparse`` is set again last, because Samba clears it with each rename and each change of attributes.
    """

    session: Session
    path: str
    final: str
    metadata: Metadata
    metadata_first: bool
    sparse: bool


async def rename_over(area: StagingArea, commit: Commit, file_id: bytes) -> None:
    """Rename, set times and attributes, close.

    Raises:
        TargetInUseError: another program has the target open, after some 2 s. FileError: any other refusal; the staging
        file is closed and stays.
    """
    await area.policy.permission_to_replace(area.scheduler)
    replies = await _try(area.share, commit, file_id)
    pauses = iter(_PAUSES)
    while await _is_in_use(area.share, commit.final, replies[0].status):
        pause = next(pauses, None)
        if pause is None:
            raise TargetInUseError(replies[0].status)
        await area.scheduler.sleep(pause)
        replies = await _try(area.share, commit)
    check(replies[0], _OPERATION)
    area.housekeeping.note(commit.final, commit.path, StagingEvent.GONE)
    for reply in replies[1:]:
        check(reply, "setting times and attributes")


async def _try(share: Share, commit: Commit, file_id: bytes = RELATED_FILE_ID) -> list[Reply]:
    """Return the reply to the rename, then those to the SET_INFOs; opens the file again without ``file_id``."""
    opening = []
    if file_id == RELATED_FILE_ID:
        opening = [open_request(share.wire_path(commit.path), access=_RENAME_ACCESS, options=_FILE)]
    setting = basic_requests(commit.metadata, file_id)
    rename = rename_request(share.wire_path(commit.final), replace=True, file_id=file_id)
    at = len(setting) if commit.metadata_first else 0
    last = [sparse_request(file_id)] if commit.sparse else []
    replies = await commit.session.call(*opening, *setting[:at], rename, *setting[at:], *last, close_request(file_id))
    if opening and replies[0].status != NtStatus.SUCCESS:
        raise TargetInUseError(replies[0].status)
    del replies[: len(opening)]
    return [replies[at], *replies[:at], *replies[at + 1 : len(setting) + 1], replies[-1]]


async def _is_in_use(share: Share, final: str, status: int) -> bool:
    if status != NtStatus.ACCESS_DENIED:
        return status == NtStatus.SHARING_VIOLATION
    opened, closed = await share.session.call(
        open_request(share.wire_path(final), access=DELETE_ACCESS, options=_FILE, share=_NOT_SHARED), close_request()
    )
    # Whoever had it open may have closed it just now. An open for attributes only does not conflict with any sharing.
    return opened.status == NtStatus.SHARING_VIOLATION or opened.status == closed.status == NtStatus.SUCCESS
