"""One run by several agents: a survey cuts the tree, each agent copies its shard, another agent finishes.

The finish is an ordinary run over the whole tree. It finds what the shards have copied in place, and does what only one
agent can do: it commits large files that were gathered in pieces, sets the times of folders, deletes what is to be
deleted and cleans up. So the result is complete, whatever the shards missed.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from smbferry_engine.model import Endpoint, Observer, Options, Result
from smbferry_engine.operations.conduct import conduct
from smbferry_engine.operations.control import UNCONTROLLED, Control
from smbferry_engine.operations.transfer import check_roots, each_file, execute, root_folder
from smbferry_engine.plan.decide import Action, finish_decides_by_listings
from smbferry_engine.plan.shard import Cut, Piece, Shard, Sketch
from smbferry_engine.run.context import RunContext
from smbferry_engine.run.scope import Finish, OneShard
from smbferry_engine.tree.approval import Approved
from smbferry_engine.tree.folders import child_done
from smbferry_engine.tree.items import FileItem
from smbferry_engine.tree.removals import Removals
from smbferry_words.options import CompareBy, DeletedFiles, HardLinks, TransferMode, VerifyMode
from smbferry_words.run import PhaseName

_METADATA_WORK: Final = 0


def survey(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    *,
    count: int,
    control: Control = UNCONTROLLED,
) -> tuple[Cut, ...]:
    """Return where to cut the trees for at most ``count`` agents; fewer cuts where there is little to copy.

    Raises :class:`EngineError` as :func:`~smbferry_engine.operations.transfer.transfer` does. Nothing is written.
    """
    sketch = Sketch()

    async def look(run: RunContext) -> None:
        await weigh(run, sketch, divisible=_may_cut_files(options))

    # The shards compare the descriptors.
    compare_by = CompareBy.CHECKSUM if options.compare_by is CompareBy.CHECKSUM else CompareBy.SIZE_AND_TIME
    looking = replace(options, dry_run=True, deleted_files=DeletedFiles.PRESERVE, compare_by=compare_by)
    conduct(source, destination, looking, observer, look, control=control)
    return sketch.cuts(count)


async def weigh(run: RunContext, sketch: Sketch, *, divisible: bool) -> None:
    """Add every file that a dry run would copy to ``sketch``."""

    async def tell(item: FileItem) -> None:
        work = _METADATA_WORK if item.action in (Action.METADATA, Action.COMPLETE) else item.source.size
        sketch.add(item.path, item.source.size, work=work, divisible=divisible and work > 0)
        await child_done(run, item.folder)

    run.tally.phases.begin(PhaseName.PREPARE)
    roots = await check_roots(run)
    await each_file(run, Removals(), tell, (root_folder(run, roots),))


def transfer_shard(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    *,
    shard: Shard,
    control: Control = UNCONTROLLED,
) -> tuple[Result, tuple[Piece, ...]]:
    """Copy one shard; returns the result and the pieces of large files that were gathered, at most two.

    The finish sets the times of folders, deletes, and compares whole trees.
    """
    scope = OneShard(shard)
    result = conduct(source, destination, options_of_shard(options), observer, execute, control=control, scope=scope)
    return result, tuple(scope.pieces)


def options_of_shard(options: Options) -> Options:
    """Return the options without what only the finish does."""
    mode = VerifyMode.NONE if options.verify_mode is VerifyMode.POINT_IN_TIME_CONSISTENT else options.verify_mode
    return replace(options, deleted_files=DeletedFiles.PRESERVE, verify_mode=mode)


def finish(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    *,
    pieces: Iterable[Piece],
    all_went_well: bool,
    approved: Approved | None = None,
    control: Control = UNCONTROLLED,
) -> Result:
    """Finish a run whose shards have been copied.

    If ``all_went_well``, files that the shards have copied or compared are recognized by size and time. Otherwise the
    options apply unchanged, and everything is copied or compared again as they say. Nothing is deleted that is not
    ``approved``; None for no such limit.
    """
    chosen = options_of_finish(options) if all_went_well else options
    work = partial(execute, approved=approved)
    return conduct(source, destination, chosen, observer, work, control=control, scope=Finish(pieces))


def options_of_finish(options: Options) -> Options:
    """Return the options under which the shards' work counts as done."""
    return replace(options, transfer_mode=TransferMode.CHANGED, compare_by=CompareBy.SIZE_AND_TIME)


def _may_cut_files(options: Options) -> bool:
    """Return whether the finish can commit gathered files: it must find by size and time that they are missing. Files
    with several names that are to stay together are copied as a whole.
    """
    return finish_decides_by_listings(options) and options.hard_links is HardLinks.COPY
