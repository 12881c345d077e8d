"""Processes the files of the plan: compares those that listings can't decide, copies, records."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from smbferry_engine.errors import NO_ROOM, FileError, FileReason
from smbferry_engine.files.attachments import Origin, Target, carry, compared_kinds, copied_kinds
from smbferry_engine.files.commit import Copied, TargetInUseError
from smbferry_engine.files.fingerprint import fingerprint_of
from smbferry_engine.files.gather import LargeCopy
from smbferry_engine.files.pieces import commit_gathered, gather_part
from smbferry_engine.files.small import NameTakenError, copy_small, remove_rejected
from smbferry_engine.files.staging import attributes_if_readonly
from smbferry_engine.plan.attachments import Lost, attachment_differences, lacking_error
from smbferry_engine.plan.compare import security_differences
from smbferry_engine.plan.decide import Action, decide_metadata, is_incomplete
from smbferry_engine.run.context import RunContext
from smbferry_engine.share.attachments import read_attachments
from smbferry_engine.share.descriptors import file_descriptor
from smbferry_engine.share.metadata import apply_and_mark, metadata_of, set_old_attributes
from smbferry_engine.times import settable
from smbferry_engine.tree.folders import child_done
from smbferry_engine.tree.items import FileItem
from smbferry_engine.tree.removals import Removals
from smbferry_engine.tree.retries import IN_USE, Retries
from smbferry_engine.wire.attributes import NORMAL, is_data_elsewhere

T = TypeVar("T")

_PAUSES = (0.2, 0.6, 1.5)
_COPIES_DESCRIPTORS = frozenset({Action.CREATE, Action.REPLACE, Action.COMPLETE})
# At most so many files are put off because of missing space; more fail at once.
_MOST_PUT_OFF = 10_000


class Worker:
    """Copies the files of one run. Any number of :meth:`process` coroutines share the work."""

    def __init__(self, run: RunContext, removals: Removals) -> None:
        self._run = run
        self._removals = removals
        self._put_off: list[tuple[FileItem, FileError]] = []
        self._second_pass = False
        self._retries = Retries(run, self.process, self._record)

    async def process(self, item: FileItem) -> None:
        """Process one file; its failure is recorded, or it is put off; the failure of the run is raised."""
        action, descriptor = item.action, None
        try:
            if action is Action.COMPARE:
                action, descriptor = await self._compare(item)
            if self._run.policy.options.dry_run:
                await self._count_sids(item, action)
            elif action is not Action.SKIP:
                await self._carry_out(item, action, descriptor)
        except FileError as error:
            if self._puts_off(item, action, error):
                await self._judge_room()
                return
            if self._retries.keep(item, action, error):
                return
            if not self._retries.leave_to_finish(error):
                self._record(item, error)
            await self._judge_room()
        await child_done(self._run, item.folder)

    async def process_put_off(self) -> None:
        """Retry the files that found no space, one at a time, the smallest first."""
        self._second_pass, items, self._put_off = True, [item for item, _ in self._put_off], []
        for item in sorted(items, key=lambda item: item.source.size):
            await self.process(item)

    async def process_in_use(self) -> None:
        """Retry the files that were in use, after all others."""
        await self._retries.run()

    def give_up(self) -> None:
        """Record the failures of files that were put off: the run ends without another attempt at them."""
        for item, error in self._put_off:
            self._record(item, error)
        self._put_off = []
        self._retries.give_up()

    def _record(self, item: FileItem, error: FileError) -> None:
        if isinstance(error, NameTakenError):
            self._removals.retained.add(error.path)
        self._retries.settle(item.path)
        unverified = error.reason == FileReason.HASH_MISMATCH
        self._run.tally.fail(item.path, "File", "Verify" if unverified else "Transfer", error)

    async def _judge_room(self) -> None:
        """End the run if no further file can find space."""
        run = self._run
        await run.recovery.persist(lambda: run.tally.room.judge(run.destination))

    def _puts_off(self, item: FileItem, action: Action, error: FileError) -> bool:
        """Put a file off if it found no space and may be tried again; returns whether it was."""
        if error.reason not in NO_ROOM or self._second_pass or len(self._put_off) >= _MOST_PUT_OFF:
            return False
        if action not in (Action.CREATE, Action.REPLACE) or item.part is not None:
            return False
        self._put_off.append((replace(item, action=Action.REPLACE), error))
        self._run.tally.room.failed(item.path, error)
        return True

    async def _compare(self, item: FileItem) -> tuple[Action, bytes | None]:
        """Decide by content and descriptor; counts the result."""
        run = self._run
        action, descriptor = await run.recovery.persist(lambda: _compare(run, item))
        if action is Action.SKIP:
            run.tally.skip(item.path, item.source.size)
        else:
            run.tally.plan(action, item.source.size)
        return action, descriptor

    async def _carry_out(self, item: FileItem, action: Action, descriptor: bytes | None) -> None:
        run = self._run
        pauses = () if self._retries.running else _PAUSES
        if run.policy.options.unconfirmed and action is Action.REPLACE:
            self._hold_back_newer(item)
        if item.part is not None:
            part = item.part
            await _with_pauses(run, pauses, lambda: gather_part(run, item.path, item.source, part))
        elif action is Action.METADATA:
            await _set_metadata(run, item, descriptor)
        elif action is Action.COMPLETE:
            await _complete(run, item, pauses)
        else:
            await _copy(run, item, pauses)

    async def _count_sids(self, item: FileItem, action: Action) -> None:
        """In a dry run: read the descriptor that would be copied, so that the effect of the SID map is counted."""
        run, policy = self._run, self._run.policy.metadata
        if run.policy.options.sid_map.rules and policy.security_parts and action in _COPIES_DESCRIPTORS:
            access, parts = policy.read_access, policy.security_parts
            await run.recovery.persist(lambda: file_descriptor(run.source, item.path, access, parts))

    def _hold_back_newer(self, item: FileItem) -> None:
        """Raise MirrorNotConfirmed for a file that is newer at the destination: the source may be the older side."""
        if item.destination is not None and item.destination.write_time > item.source.write_time:
            self._removals.held_back += 1
            raise FileError(
                FileReason.MIRROR_NOT_CONFIRMED,
                "the file is newer at the destination, and nobody has confirmed this mirror; it was not replaced",
            )


async def _compare(run: RunContext, item: FileItem) -> tuple[Action, bytes | None]:
    """Compare content and descriptor of two files of the same size; with METADATA, returns the descriptor to set if it
    differs.
    """
    if item.destination is None:
        return Action.CREATE, None
    access, parts = run.policy.metadata.read_access, run.policy.metadata.security_parts
    kinds, kinds_there = compared_kinds(run)
    ours, theirs = [
        await fingerprint_of(
            run.scheduler,
            share,
            item.path,
            entry,
            access=access,
            parts=parts,
            attachments=asked,
        )
        for share, entry, asked in ((run.source, item.source, kinds), (run.destination, item.destination, kinds_there))
    ]
    if ours.digest != theirs.digest:
        return Action.REPLACE, None
    if is_incomplete(item.source, item.destination, run.policy.options.modify_window):
        return Action.COMPLETE, None
    if attachment_differences(ours.attachments, theirs.attachments, (ours.streams, theirs.streams)):
        return Action.REPLACE, None
    if ours.descriptor is not None and security_differences(ours.descriptor, theirs.descriptor or b"", parts):
        return Action.METADATA, ours.descriptor
    return decide_metadata(item.source, item.destination, run.policy.options).action, None


async def _set_metadata(run: RunContext, item: FileItem, descriptor: bytes | None) -> None:
    policy = run.policy.metadata
    metadata = metadata_of(policy, item.source, descriptor)
    incomplete = await run.recovery.persist(lambda: apply_and_mark(run.destination, policy, item.path, metadata))
    run.tally.counters.files.transferred += 1
    run.tally.record(item.path, "File", "Transferred", 0)
    if incomplete is not None:
        run.tally.miss(item.path, "File", incomplete)


async def _complete(run: RunContext, item: FileItem, pauses: tuple[float, ...]) -> None:
    """Set the metadata of a file that an earlier run left incomplete, or report again what it lacks."""
    policy = run.policy.metadata
    access, parts = policy.read_access, policy.security_parts

    lost: tuple[Lost, ...] = ()

    async def attempt() -> FileError | None:
        nonlocal lost
        lost = await _carry_in_place(run, item)
        descriptor = await file_descriptor(run.source, item.path, access, parts) if parts else None
        # If times are not copied, the source's replaces the mark.
        metadata = metadata_of(policy, item.source, descriptor)._replace(write_time=settable(item.source.write_time))
        return await apply_and_mark(run.destination, policy, item.path, metadata, lacking_error(lost))

    incomplete = await _with_pauses(run, pauses, attempt)
    run.tally.lose(item.path, lost)
    if incomplete is not None:
        run.tally.miss(item.path, "File", incomplete)
        return
    run.tally.counters.files.transferred += 1
    run.tally.record(item.path, "File", "Transferred", 0)


async def _carry_in_place(run: RunContext, item: FileItem) -> tuple[Lost, ...]:
    """Give a file that is marked as incomplete the attachments of its source; the mark stays until it has them all."""
    kinds = copied_kinds(run, run.source)
    there = copied_kinds(run, run.destination)
    if not kinds and not there:
        return ()
    reparse = not is_data_elsewhere(item.source)
    found = await read_attachments(run.source, item.path, kinds, open_reparse_point=reparse)
    origin, target = Origin(run.source, item.path, found, there, reparse), Target(item.path, fresh=False)
    readonly = attributes_if_readonly(item.destination)
    if readonly:
        await set_old_attributes(run.destination, item.path, NORMAL)
    lost = await carry(run, origin, target)
    if readonly:
        await set_old_attributes(run.destination, item.path, readonly)
    return lost


async def _copy(run: RunContext, item: FileItem, pauses: tuple[float, ...]) -> None:
    item.folder.dirty = True
    copied = await _with_pauses(run, pauses, lambda: _attempt(run, item))
    tally = run.tally
    tally.room.found(copied.size)
    tally.counters.files.transferred += 1
    if run.policy.verifies_each:
        tally.counters.files.verified += 1
    tally.record(item.path, "File", "Transferred", copied.size, copied.digest.hex() or None)
    tally.lose(item.path, copied.lost)
    if copied.incomplete is not None:
        tally.miss(item.path, "File", copied.incomplete)


async def _attempt(run: RunContext, item: FileItem) -> Copied:
    path, source, destination = item.path, item.source, item.destination
    committed = await commit_gathered(run, path, source, destination)
    if committed is not None:
        return committed
    if path in run.housekeeping.rejected:
        # The connection was lost while an earlier attempt deleted its file.
        await remove_rejected(run, path)
    copied = await copy_small(run, path, source, destination)
    return copied or await LargeCopy(run, path, source, destination).run()


async def _with_pauses(run: RunContext, pauses: tuple[float, ...], attempt: Callable[[], Awaitable[T]]) -> T:
    """Retry a file that is held open, or changes while it is read, after each of the pauses."""
    for pause in pauses:
        try:
            return await run.recovery.persist(attempt)
        except FileError as error:
            if error.reason not in IN_USE or isinstance(error, TargetInUseError):
                raise
            await run.scheduler.sleep(pause)
    return await run.recovery.persist(attempt)
