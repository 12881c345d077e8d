"""Times a sample for a forecast: reads it, or copies it into a private folder of the destination.

The sample is handled as a run does it, by the same code with as many files at once. Each interval of sizes is timed by
itself, for a bounded time.
"""

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol

from smbferry_engine.errors import FileError
from smbferry_engine.files.cleanup import undo
from smbferry_engine.files.pump import stream
from smbferry_engine.plan.census import Item, Samples
from smbferry_engine.plan.decide import Action
from smbferry_engine.plan.forecast import Measured, Timing
from smbferry_engine.plan.survey import Amount
from smbferry_engine.run.context import RunContext
from smbferry_engine.runtime.group import run_all
from smbferry_engine.share.descriptors import folder_descriptor
from smbferry_engine.share.reading import open_file, read_small, single_frame_limit
from smbferry_engine.tree.folders import child_done, make
from smbferry_engine.tree.items import FileItem, Folder
from smbferry_engine.tree.removals import Removals
from smbferry_engine.tree.worker import Worker
from smbferry_engine.wire.attributes import is_data_elsewhere
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.survey import Basis

FILES_IN_FLIGHT: Final = 24
FOLDERS_IN_FLIGHT: Final = 8
MOST_SECONDS: Final = 10.0
"""The longest that one interval of sizes is timed."""
MOST_BYTES: Final = 256 << 20
"""The most bytes that are moved of one interval of sizes."""
WARM_UP: Final = 32
"""Files that are handled first without timing them: a server is slow at its first ones."""
_LOOK: Final = 0.05  # seconds
_FEW: Final = 4  # a sample of so many times the warm-up can spare its files
_NO_ENTRY: Final = DirectoryEntry("", 0, 0, 0, 0, 0, 0, 0, 0)


class _TimeUpError(Exception):
    """The sample has been timed for long enough."""


class _Handler(Protocol):
    """Handles the files of one sample, and tells what has been done so far: bytes also of files that are under way."""

    async def handle(self, item: Item) -> None:
        """Handle one file; one that fails is left out."""

    def done(self) -> Amount:
        """Return what has been done."""
        ...


class Reading:
    """Reads files as a copy does, and writes nothing."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._files = 0
        self._bytes = 0

    def done(self) -> Amount:
        """Return what has been read."""
        return Amount(self._files, self._bytes)

    async def handle(self, item: Item) -> None:
        """Read one file."""
        small = item.entry.size <= single_frame_limit(self._run.source)
        read = partial(self._read_small if small else self._read_large, item)
        with contextlib.suppress(FileError):
            await self._run.recovery.persist(read)

    async def _read_small(self, item: Item) -> None:
        run, metadata = self._run, self._run.policy.metadata
        await run.limiter.take(item.entry.size)
        small = await read_small(
            run.source,
            item.path,
            item.entry.size,
            access=metadata.read_access,
            parts=metadata.security_parts,
            open_reparse_point=not is_data_elsewhere(item.entry),
            refuses_writers=True,
        )
        if small is not None:
            self._files += 1
            self._bytes += len(small.data)

    async def _read_large(self, item: Item) -> None:
        run, metadata, reached = self._run, self._run.policy.metadata, 0

        def hashed(through: int, _hasher: object) -> None:
            nonlocal reached
            self._bytes += through - reached
            reached = through

        await run.limiter.large_files.enter()
        try:
            file = await open_file(
                run.source,
                item.path,
                access=metadata.read_access,
                parts=metadata.security_parts,
                open_reparse_point=not is_data_elsewhere(item.entry),
            )
            try:
                await stream(run.scheduler, file, before=run.limiter.before, hashed=hashed)
            finally:
                file.close()
        finally:
            run.limiter.large_files.leave()
        self._files += 1


class Copying:
    """Copies files by the code that runs use."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._worker = Worker(run, Removals())
        self._folder = Folder("", None, _NO_ENTRY, _NO_ENTRY, frozenset(), settles=False)

    def done(self) -> Amount:
        """Return what has been written."""
        counters = self._run.tally.counters
        return Amount(counters.files.transferred, min(counters.bytes.transferred, counters.bytes.written))

    async def handle(self, item: Item) -> None:
        """Copy one file; the run's tally counts a failure."""
        self._folder.pending += 1
        await self._worker.process(FileItem(self._folder, item.path, item.entry, None, Action.CREATE))


async def measure(new_run: Callable[[], RunContext], samples: Samples, basis: Basis) -> Measured:
    """Time the samples. ``new_run`` returns a run between the source and, if files are copied, a scratch folder.

    Each sample is handled by a run of its own, because those that are stopped leave files half done.
    """
    handler: Callable[[RunContext], _Handler] = Copying if basis is Basis.COPY else Reading
    measured, timed = Measured(basis), [sample.items() for sample in samples.timed]
    await _warm_up(new_run(), timed, handler)
    for interval, items in enumerate(timed):
        run = new_run()
        timing = await _time(run, items, handler(run)) if items else None
        if timing is not None:
            measured.files.append(Timing(interval, *timing))
    if basis is Basis.COPY:
        await _time_folders(new_run(), samples.folders.items(), measured)
    return measured


async def _warm_up(run: RunContext, timed: list[list[Item]], handler: Callable[[RunContext], _Handler]) -> None:
    """Handle a few files of the first sample that can spare them, and remove them from it."""
    for items in timed:
        if len(items) >= _FEW * WARM_UP:
            await _each(run, iter([items.pop() for _ in range(WARM_UP)]), handler(run).handle)
            return


async def _time(run: RunContext, items: Iterable[Item], handler: _Handler) -> tuple[Amount, float] | None:
    """Handle a sample until its end, or until the time is up; returns what was handled, and the seconds."""
    scheduler = run.scheduler
    start = scheduler.now
    end = start

    async def work() -> None:
        nonlocal end
        await _each(run, iter(items), handler.handle)
        end = scheduler.now
        raise _TimeUpError

    async def alarm() -> None:
        nonlocal end
        while scheduler.now - start < MOST_SECONDS and handler.done().bytes < MOST_BYTES:
            await scheduler.sleep(_LOOK)
        end = scheduler.now
        raise _TimeUpError

    tasks: Sequence[Coroutine[Any, None, None]] = (work(), alarm())
    with contextlib.suppress(_TimeUpError):
        await run_all(scheduler, tasks)
    done = handler.done()
    await undo(run)
    return (done, end - start) if done.files or done.bytes else None


async def _each(run: RunContext, items: Iterator[Item], handle: Callable[[Item], Awaitable[None]]) -> None:
    """Handle items, as many at once as a run does."""

    async def work() -> None:
        for item in items:
            await handle(item)

    await run_all(run.scheduler, [work() for _ in range(FILES_IN_FLIGHT)])


async def _time_folders(run: RunContext, items: Iterable[Item], measured: Measured) -> None:
    """Create folders with their metadata, as many at once as a walk does."""
    folders, start = iter(items), run.scheduler.now

    async def work() -> None:
        for item in folders:
            if item.path and run.scheduler.now - start < MOST_SECONDS:
                with contextlib.suppress(FileError):
                    await run.recovery.persist(partial(_make, run, item))
                    measured.folders += 1

    await run_all(run.scheduler, [work() for _ in range(FOLDERS_IN_FLIGHT)])
    measured.folder_seconds = run.scheduler.now - start


async def _make(run: RunContext, item: Item) -> None:
    metadata = run.policy.metadata
    above = Folder("", None, _NO_ENTRY, _NO_ENTRY, frozenset(), settles=False, pending=2)
    folder = Folder(item.path, above, item.entry, None, frozenset())
    if metadata.security_parts:
        access, parts = metadata.read_access, metadata.security_parts
        folder.security.source = await folder_descriptor(run.source, item.path, access, parts)
    await make(run, folder)
    await child_done(run, folder)
