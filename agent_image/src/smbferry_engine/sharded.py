"""One run by several agents: a survey says where the tree is cut, each agent copies its shard, one more finishes.

The finish is an ordinary run over the whole tree. It finds in place what the shards have copied, and does what only
one can do: large files that were gathered in pieces get their names, folders their times, what is to be deleted goes,
leftovers are cleaned up. So a run is as complete as if one agent had done it all, whatever the shards missed.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any, Final

from smbferry_engine.folders import child_done
from smbferry_engine.model import (
    CompareBy,
    DeletedFiles,
    Endpoint,
    Observer,
    Options,
    Phase,
    Result,
    TransferMode,
    VerifyMode,
)
from smbferry_engine.plan import Action
from smbferry_engine.run import Run
from smbferry_engine.shard import Cut, Piece, Shard, Sketch, key_of
from smbferry_engine.transfer import check_roots, conduct, each_file, execute
from smbferry_engine.work import FileItem

_METADATA_WORK: Final = 0


def survey(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    *,
    count: int,
    cancelled: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Cut, ...]:
    """Look at both trees and say where to cut them for at most ``count`` agents; fewer where there is little to copy.

    Raises :class:`EngineError` as :func:`~smbferry_engine.transfer.transfer` does. Nothing is written.
    """
    sketch = Sketch()

    def look(run: Run) -> Coroutine[Any, Any, None]:
        return weigh(run, sketch, divisible=_may_cut_files(options))

    looking = replace(options, dry_run=True, deleted_files=DeletedFiles.PRESERVE)
    conduct(source, destination, looking, observer, look, cancelled=cancelled, clock=clock)
    return sketch.cuts(count)


async def weigh(run: Run, sketch: Sketch, *, divisible: bool) -> None:
    """Tell ``sketch`` of every file that a dry run would copy."""

    async def tell(run: Run, item: FileItem) -> None:
        work = _METADATA_WORK if item.action in (Action.METADATA, Action.COMPLETE) else item.source.size
        sketch.add(item.path, item.source.size, work=work, divisible=divisible and work > 0)
        await child_done(run, item.folder)

    run.phases.begin(Phase.PREPARE)
    await check_roots(run)
    await each_file(run, tell)


def transfer_shard(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    *,
    shard: Shard,
    cancelled: Callable[[], bool],
    abandoned: Callable[[], bool] = lambda: False,
    may_replace: Callable[[], bool] = lambda: True,
    clock: Callable[[], float] = time.monotonic,
    bytes_per_second: Callable[[], int | None] | None = None,
) -> tuple[Result, tuple[Piece, ...]]:
    """Copy one shard; returns the pieces of large files that it has gathered, too, at most two.

    ``abandoned`` is asked once where this agent is stopped: whether the whole run is, so that nobody goes on.
    ``may_replace`` is as for :func:`~smbferry_engine.transfer.transfer`.
    Folders get no times of their own, nothing is deleted, and whole trees are not compared: that is for the finish.
    """
    runs: list[Run] = []

    def work(run: Run) -> Coroutine[Any, Any, None]:
        run.shard, run.abandoned, run.may_replace = shard, abandoned, may_replace
        runs.append(run)
        return execute(run)

    result = conduct(
        source,
        destination,
        options_of_shard(options),
        observer,
        work,
        cancelled=cancelled,
        clock=clock,
        bytes_per_second=bytes_per_second,
    )
    return result, tuple(runs[0].pieces)


def options_of_shard(options: Options) -> Options:
    """What of the options a shard may do by itself."""
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
    cancelled: Callable[[], bool],
    abandoned: Callable[[], bool] = lambda: True,
    may_replace: Callable[[], bool] = lambda: True,
    clock: Callable[[], float] = time.monotonic,
    bytes_per_second: Callable[[], int | None] | None = None,
) -> Result:
    """Bring a run to its end whose shards have been copied.

    Only where ``all_went_well`` are files that the shards have just copied or compared known by size and time; else
    the options hold as they are, and everything is copied or compared again that they say.
    """

    def work(run: Run) -> Coroutine[Any, Any, None]:
        prepare_finish(run, pieces)
        run.abandoned, run.may_replace = abandoned, may_replace
        return execute(run)

    return conduct(
        source,
        destination,
        options_of_finish(options) if all_went_well else options,
        observer,
        work,
        cancelled=cancelled,
        clock=clock,
        bytes_per_second=bytes_per_second,
    )


def prepare_finish(run: Run, pieces: Iterable[Piece]) -> None:
    """Tell a run what the shards before it have left."""
    gathered: defaultdict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        gathered[key_of(piece.path)].append(piece)
    run.gathered = dict(gathered)


def options_of_finish(options: Options) -> Options:
    """The options with which what the shards did is taken as done."""
    return replace(options, transfer_mode=TransferMode.CHANGED, compare_by=CompareBy.SIZE_AND_TIME)


def _may_cut_files(options: Options) -> bool:
    """Whether the finish would land a file that was gathered: it must see by size and time that it is not there."""
    return options.transfer_mode is TransferMode.CHANGED and options.compare_by is CompareBy.SIZE_AND_TIME
