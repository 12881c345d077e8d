"""Copies the links of a folder as links, several at once. What can't be carried is named and counts as failed."""

from collections.abc import Sequence

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.links import LinkCopy, change_link, create_link
from smbferry_engine.plan.compare import security_differences
from smbferry_engine.plan.decide import Action, decide_metadata, directory_needs_metadata, may_replace
from smbferry_engine.plan.mark import is_mark_of
from smbferry_engine.run.context import RunContext
from smbferry_engine.runtime.group import run_all
from smbferry_engine.share.links import FoundLink, LinkNotCarriedError, read_link
from smbferry_engine.tree.folders import child_done
from smbferry_engine.tree.items import LinkItem, kind_of
from smbferry_engine.tree.removals import Removals
from smbferry_engine.wire.attributes import DIRECTORY
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.options import CompareBy, Preservation, TransferMode
from smbferry_words.run import NotCarriedKind

_AT_ONCE = 16


class LinkCopier:
    """Copies the links of one run."""

    def __init__(self, run: RunContext, removals: Removals) -> None:
        self._run = run
        self._removals = removals
        self._refusal: LinkNotCarriedError | None = None

    async def copy(self, links: Sequence[LinkItem]) -> None:
        """Copy links, several at once. Failures of links are recorded, the failure of the run is raised."""
        queue = iter(links)

        async def some() -> None:
            for item in queue:
                await self._process(item)

        await run_all(self._run.scheduler, [some() for _ in range(min(_AT_ONCE, len(links)))])

    async def _process(self, item: LinkItem) -> None:
        run, kind = self._run, kind_of(item.source)
        try:
            await self._copy(item)
        except LinkNotCarriedError as error:
            if error.never:
                self._refusal = error
            run.tally.not_carried(item.path, NotCarriedKind.LINK, error.message)
            run.tally.fail(item.path, kind, "Transfer", error)
        except FileError as error:
            run.tally.fail(item.path, kind, "Transfer", error)

    async def _copy(self, item: LinkItem) -> None:
        run, options, there = self._run, self._run.policy.options, item.destination
        if there is not None and (self._is_same_by_listing(item) or self._stays(item.source, there)):
            self._skip(item)
            return
        if self._refusal is not None:
            raise self._refusal
        found = await self._read(item)
        target_differs, security_differs = await self._compare(item, found)
        if there is not None and not target_differs and not security_differs and self._metadata_is_same(item):
            self._skip(item)
            return
        run.tally.count(kind_of(item.source)).to_transfer += 1
        if options.dry_run:
            return
        self._hold_back_newer(item)
        item.folder.dirty = True
        copy = LinkCopy(item.path, item.source, found)
        if there is None or there.reparse_tag != item.source.reparse_tag:
            replaces = there is not None
            incomplete = await run.recovery.persist(lambda: create_link(run, copy, replaces=replaces))
        else:
            marked = self._is_marked(item.source, there)
            incomplete = await run.recovery.persist(
                lambda: change_link(run, copy, target_differs=target_differs, was_marked=marked)
            )
        run.tally.count(kind_of(item.source)).transferred += 1
        run.tally.record(item.path, kind_of(item.source), "Transferred", 0)
        if incomplete is not None:
            run.tally.miss(item.path, kind_of(item.source), incomplete)

    async def _read(self, item: LinkItem) -> FoundLink:
        run, policy = self._run, self._run.policy.metadata
        access, parts = policy.read_access, policy.security_parts
        return await run.recovery.persist(
            lambda: read_link(run.source, item.path, item.source.attributes, access=access, parts=parts)
        )

    async def _compare(self, item: LinkItem, found: FoundLink) -> tuple[bool, bool]:
        """Return whether the destination's link leads elsewhere or can't be read, and whether descriptors differ."""
        run, policy = self._run, self._run.policy.metadata
        access, parts = policy.read_access, policy.security_parts
        if item.destination is None:
            return False, False
        try:
            there = await run.recovery.persist(
                lambda: read_link(run.destination, item.path, item.source.attributes, access=access, parts=parts)
            )
        except LinkNotCarriedError:
            return True, True
        ours, theirs = found.descriptor, there.descriptor
        differs = ours is not None and bool(security_differences(ours, theirs or b"", parts))
        return there.link != found.link, differs

    def _stays(self, source: DirectoryEntry, there: DirectoryEntry) -> bool:
        """Return whether the options let the destination's link stay as it is."""
        return not may_replace(source, there, self._run.policy.options) and not self._is_marked(source, there)

    def _is_marked(self, source: DirectoryEntry, there: DirectoryEntry) -> bool:
        """Return whether an earlier run copied the link without all of its metadata (ADR 18)."""
        return is_mark_of(source.write_time, there.write_time, self._run.policy.options.modify_window)

    def _is_same_by_listing(self, item: LinkItem) -> bool:
        """Return whether size and time decide, and say that the link was copied as it is."""
        options = self._run.policy.options
        return (
            options.transfer_mode is TransferMode.CHANGED
            and options.compare_by is not CompareBy.CHECKSUM
            and options.timestamps is Preservation.PRESERVE
            and self._metadata_is_same(item)
        )

    def _metadata_is_same(self, item: LinkItem) -> bool:
        source, there, options = item.source, item.destination, self._run.policy.options
        if there is None or there.reparse_tag != source.reparse_tag or self._is_marked(source, there):
            return False
        if source.attributes & DIRECTORY:
            return not directory_needs_metadata(source, there, options)
        return decide_metadata(source, there, options).action is Action.SKIP

    def _skip(self, item: LinkItem) -> None:
        kind = kind_of(item.source)
        self._run.tally.count(kind).skipped += 1
        self._run.tally.record(item.path, kind, "Skipped", 0)

    def _hold_back_newer(self, item: LinkItem) -> None:
        there = item.destination
        if self._run.policy.options.unconfirmed and there is not None and there.write_time > item.source.write_time:
            self._removals.held_back += 1
            raise FileError(
                FileReason.MIRROR_NOT_CONFIRMED,
                "the link is newer at the destination, and nobody has confirmed this mirror; it was not replaced",
            )


async def copy_replacing_links(run: RunContext, removals: Removals) -> None:
    """Copy the links that replace entries of another kind, which have been deleted."""
    links, removals.links = removals.links, []
    await LinkCopier(run, removals).copy(links)
    for item in links:
        await child_done(run, item.folder)
