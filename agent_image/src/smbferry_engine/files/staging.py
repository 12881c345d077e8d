"""Staging files: written beside the final name, and resumed by the next attempt (I7).

The name is derived from the final name and the source's version (size and write time), so that the next attempt at the
same version finds the file, and one at a changed file does not. The content is never trusted: each range is read back
through another open and compared with what was just read from the source, and only what differs is written. That
repairs a file that a server crash tore, one with holes because requests overtook each other, and one that somebody else
put there.
"""

import contextlib
from dataclasses import dataclass
from typing import NamedTuple, Self

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    delete_request,
    open_request,
    query_security_request,
    query_standard_request,
    sparse_request,
)
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.files.commit import Commit, rename_over
from smbferry_engine.files.holes import is_sparse
from smbferry_engine.files.ranges import FLUSH_FROM, RangeWriter
from smbferry_engine.files.readback import check_kept, read_back, read_prefix
from smbferry_engine.files.stored_as import ACCESS, StoredAs, is_stored_specially
from smbferry_engine.paths import join, split, staging_names
from smbferry_engine.plan.decide import version_of
from smbferry_engine.run.context import StagingArea
from smbferry_engine.run.housekeeping import StagingEvent
from smbferry_engine.run.resume import ResumePoint, VerifiedPrefix
from smbferry_engine.share.access import DESCRIPTOR_LIMIT, WRITE_ACCESS
from smbferry_engine.share.metadata import Metadata, judge_security, security_requests, set_old_attributes
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.attributes import DIRECTORY, NORMAL, READONLY, REPARSE_POINT
from smbferry_engine.wire.create import FILE_CREATED, CreateOption, CreateReply, Disposition, decode_create
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.info import OWNER_AND_GROUP, SecurityPart, decode_query, decode_standard
from smbferry_engine.wire.security import decode_security_descriptor, only_for, owner_and_group
from smbferry_engine.wire.status import NtStatus

_PAUSES = (0.2, 0.6, 1.5)
_OPERATION = "creating a temporary file"
_SHARED = Sharing.READ | Sharing.WRITE | Sharing.DELETE  # each agent opens it with DELETE access


def attributes_if_readonly(entry: DirectoryEntry | None) -> int:
    """Return the attributes of the file to be replaced if it is read-only, 0 otherwise."""
    return entry.attributes if entry is not None and entry.attributes & READONLY else 0


class StagingFile:
    """An open staging file; :meth:`commit` renames it over its final name, :meth:`discard` removes it, :meth:`leave`
    keeps it for the next attempt. ``ranges`` writes its content. :meth:`read_back` may begin before all is written.
    ``fresh``: no earlier attempt has left it. ``stored_as``: how the server is asked to store it.
    """

    def __init__(self, area: StagingArea, source: DirectoryEntry, path: str, opened: CreateReply, final: str) -> None:
        self._area = area
        self._final = final
        self._sparse = is_sparse(source.attributes)
        self.path = path
        self.fresh = opened.action == FILE_CREATED
        self.ranges = RangeWriter(area.share.session, opened, area.counters)
        self.stored_as = StoredAs()
        if area.policy.metadata.attributes:
            self.stored_as.ask(self.ranges.session, opened.file_id, source.attributes)
        if self._sparse:
            # A server that supports it allocates no space for what is not written. Another one stores zeros, which
            # reads the same.
            self.ranges.session.call(sparse_request(opened.file_id))

    @classmethod
    async def create(
        cls, area: StagingArea, final: str, source: DirectoryEntry, *, keep: bool = False, shared: bool = False
    ) -> Self:
        """Open the staging file for ``final``; with ``keep``, it keeps what an earlier attempt has gathered.

        ``shared`` lets other agents write into it at the same time, each its own part.
        """
        path, opened = await _open_staging(area, final, source, keep=keep, shared=shared)
        if shared:
            area.housekeeping.note(final, path, StagingEvent.SHARED)
        return cls(area, source, path, opened, final)

    async def prepare(self, source: CreateReply) -> None:
        """Prepare for the ranges of ``source``, and to compare what the file holds already."""
        await self.ranges.prepare(self._area.share, self.path, source)

    async def settle(self) -> None:
        """Wait for pending writes after the attempt has ended, so that they count."""
        await self.ranges.settle(flush=self._area.connections_die())

    async def read_back(self, size: int, resume_point: ResumePoint | None = None) -> bytes:
        """Return the BLAKE3 of the file, read after the writes through another open.

        Raises:
            PrefixDiffersError: the file does not begin with the prefix of ``resume_point``. FileError: HashMismatch if
            it has another size; any refusal of the server.
        """
        area, watermark = self._area, self.ranges.watermark
        return await read_back(area.scheduler, area.share, self.path, size, watermark, resume_point=resume_point)

    async def prefix(self, begin: int, through: int) -> VerifiedPrefix:
        """Return what it holds from ``begin`` to before ``through``. It is flushed first, so that a crash of the server
        changes nothing that was read.
        """
        await self.ranges.flusher.flush()
        return await read_prefix(self._area.scheduler, self._area.share, self.path, (begin, through))

    async def check(self, resume_point: ResumePoint) -> None:
        """Raise :class:`PrefixDiffersError` unless the file begins with the prefix of ``resume_point``."""
        await check_kept(self._area.scheduler, self._area.share, self.path, resume_point)

    async def commit(
        self, metadata: Metadata, size: int, *, readonly: int, lacking: FileError | None = None
    ) -> FileError | None:
        """Set the descriptor, rename over the final name, set times last, or first if no later run would repair them.

        ``readonly``: the attributes of the file to be replaced, if it is read-only; they are restored if it stays.
        ``lacking`` says what it could not get so far. Returns that, or the error for metadata that could not be set.
        """
        area = self._area
        await area.policy.permission_to_replace(area.scheduler)
        if size >= FLUSH_FROM or area.policy.flushes_each:
            await self.ranges.flusher.flush()
        incomplete = await self._set_descriptor(metadata) or lacking
        if incomplete is not None:
            metadata = metadata.marked()
        commit = Commit(self.ranges.session, self.path, self._final, metadata, not area.policy.repairs, self._sparse)
        if readonly:
            await set_old_attributes(area.share, self._final, NORMAL)
        try:
            await rename_over(area, commit, self.ranges.file_id)
        except FileError:
            if readonly:
                with contextlib.suppress(FileError):
                    await set_old_attributes(area.share, self._final, readonly)
            raise
        await remove_left(self._area, self._final, keep=self.path)
        return incomplete

    async def _set_descriptor(self, metadata: Metadata) -> FileError | None:
        """Set the final descriptor; until now only the account could open the file.

        Returns the error for what could not be set.
        """
        if metadata.descriptor is None:
            return None
        policy = self._area.policy.metadata
        replies = await self.ranges.session.call(*security_requests(policy, metadata, self.ranges.file_id))
        return judge_security(*replies) or policy.audit_refusal

    async def discard(self) -> None:
        """Delete it, whether its handle is still open or not; if that fails, the run's clean-up tries again."""
        self.ranges.stop_comparing()
        with contextlib.suppress(FileError, EngineError):
            replies = await self.ranges.session.call(delete_request(self.ranges.file_id), close_request())
            if replies[0].status != NtStatus.SUCCESS:
                await self._area.share.delete(self.path, directory=False, readonly=True)
            self._area.housekeeping.note(self._final, self.path, StagingEvent.GONE)
        await remove_left(self._area, self._final, keep=self.path)

    def leave(self) -> None:
        """Close it and leave it for the next attempt to resume."""
        self.ranges.stop_comparing()
        closing = self.ranges.session.call(close_request(self.ranges.file_id))
        self._area.housekeeping.note(self._final, self.path, StagingEvent.LEFT, closing)


async def remove_left(area: StagingArea, final: str, *, keep: str = "") -> None:
    """Delete the staging files that earlier attempts at ``final`` left, except for ``keep``.

    By now the server has usually noticed that a client is dead; otherwise the next run removes its file.
    """
    for path in area.housekeeping.take_left(final, keep):
        with contextlib.suppress(FileError, EngineError):
            await area.share.delete(path, directory=False, readonly=True)


async def _open_staging(
    area: StagingArea, final: str, source: DirectoryEntry, *, keep: bool, shared: bool
) -> tuple[str, CreateReply]:
    """Open the staging file for ``final``; returns its path and the CREATE's reply.

    With ``keep``, content that an earlier attempt has gathered stays in it. ``shared`` lets other agents write into it
    at the same time. If a dead client's open still holds the first name, a second and third one are tried.
    """
    parent, name = split(final)
    held: FileError | None = None
    special = area.policy.metadata.attributes and is_stored_specially(source.attributes)
    mode = _Mode(_SHARED if shared else Sharing.READ, ACCESS if special else 0)
    for staging in staging_names(name, version_of(source)):
        path = join(parent, staging)
        await _wait_until_closed(area, path)
        try:
            opened = await _open_patiently(area, final, path, keep=keep, mode=mode)
        except FileError as error:
            if error.status != NtStatus.SHARING_VIOLATION:
                area.housekeeping.note(final, path, StagingEvent.REFUSED)
                raise
            area.housekeeping.note(final, path, StagingEvent.HELD)
            held = error
        else:
            return path, opened
    raise held or FileError(FileReason.FILE_FAILED, _OPERATION)


async def _wait_until_closed(area: StagingArea, path: str) -> None:
    """Wait until the opens of this run's earlier attempts are closed.

    A server may finish pending writes before it closes a file (Samba does), and process later requests meanwhile: it
    would find the file in use.
    """
    for closing in area.housekeeping.closings(path):
        with contextlib.suppress(EngineError):  # the connection is lost, so the server closes the file
            await closing


async def _open_patiently(area: StagingArea, final: str, path: str, *, keep: bool, mode: "_Mode") -> CreateReply:
    """Open it; if this run has copied some of the file, wait until the server notices that a connection is dead."""
    gathered = area.connections_die() and area.housekeeping.resume_points.has_part_of(final)
    for pause in _PAUSES if gathered else ():
        try:
            return await _open(area, final, path, keep=keep, mode=mode)
        except FileError as error:
            if error.status != NtStatus.SHARING_VIOLATION:
                raise
            await area.scheduler.sleep(pause)
    return await _open(area, final, path, keep=keep, mode=mode)


async def _open(area: StagingArea, final: str, path: str, *, keep: bool, mode: "_Mode") -> CreateReply:
    """Open ``path`` for writing: create it, or with ``keep`` reopen it if it is ours to write into.

    If descriptors are copied, only the account may open it from its first moment on.
    """
    private = None
    if area.policy.metadata.security_parts:
        private = only_for(await area.share.ownership.own(path))
    create = _Opening(final, path, Disposition.CREATE, mode, private)
    (reply, *_) = await create.call(area)
    if reply.status == NtStatus.OBJECT_NAME_COLLISION:
        found = await _reopen(area, _Opening(final, path, Disposition.OPEN, mode, None)) if keep else None
        if found is not None:
            return found
        await area.share.delete(path, directory=False, readonly=True)
        (reply, *_) = await create.call(area)
    return decode_create(check(reply, _OPERATION).message)


async def _reopen(area: StagingArea, opening: "_Opening") -> CreateReply | None:
    """Reopen what exists if it is a plain file with one name; what is written into a hard link would show elsewhere,
    too.

    Returns None otherwise, and if it may not be opened, or others may open it: whoever planted it would read the
    content.
    """
    security = area.policy.metadata.security_parts
    asking = [query_standard_request()]
    if security:
        asking.append(query_security_request(OWNER_AND_GROUP | SecurityPart.DACL, DESCRIPTOR_LIMIT))
    replies = await opening.call(area, *asking)
    if replies[0].status == NtStatus.ACCESS_DENIED:
        return None
    opened = decode_create(check(replies[0], _OPERATION).message)
    standard = decode_standard(check(replies[1], "querying the number of links").message)
    is_plain = standard.links == 1 and not opened.attributes & (DIRECTORY | REPARSE_POINT)
    if is_plain and (not security or await _is_private(area.share, opening.path, replies[2])):
        return opened
    await area.share.session.call(close_request(opened.file_id))
    return None


async def _is_private(share: Share, path: str, reply: Reply) -> bool:
    """Return whether the account owns it and nobody else may open it."""
    found = bytes(decode_query(check(reply, "querying its owner").message))
    own = await share.ownership.own(path)
    expected = decode_security_descriptor(only_for(own)).dacl
    return owner_and_group(found)[0] == own and decode_security_descriptor(found).dacl == expected


class _Mode(NamedTuple):
    """What other opens may do with it, and the rights that are requested beside those of writing."""

    sharing: Sharing
    access: int


@dataclass(frozen=True, slots=True)
class _Opening:
    """One CREATE of a staging file; ``private`` is the descriptor that it is created with."""

    final: str
    path: str
    disposition: Disposition
    mode: _Mode
    private: bytes | None

    async def call(self, area: StagingArea, *requests: Request) -> list[Reply]:
        """Send it, followed by ``requests``; unless it fails, the run's clean-up removes the file from now on."""
        metadata = area.policy.metadata
        request = open_request(
            area.share.wire_path(self.path),
            access=WRITE_ACCESS | self.mode.access | metadata.write_access | metadata.read_access,
            disposition=self.disposition,
            options=CreateOption.NON_DIRECTORY_FILE,
            share=self.mode.sharing,
            descriptor=self.private,
        )
        call = area.share.session.call(request, *requests)
        area.housekeeping.note(self.final, self.path, StagingEvent.OPENED, call)
        replies = await call
        if replies[0].status != NtStatus.SUCCESS:
            area.housekeeping.note(self.final, self.path, StagingEvent.REFUSED)
        return replies
