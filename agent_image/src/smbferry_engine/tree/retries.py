"""Files that are in use, or change while they are read: tried again after all others, before they count as failed.

A file is looked up and decided about again before each attempt, because by then it may have changed, be gone, or no
longer be selected by the filters. Nothing is reported before the last attempt. At most :data:`MOST_WAITING` files wait,
so that memory is bounded; further ones fail at once. An agent that copies a shard does not wait: the agent that
finishes the run walks the whole tree and tries again.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.commit import TargetInUseError, refuse_open_target
from smbferry_engine.files.hard_links import LeftToFinishError
from smbferry_engine.model import RetryFact
from smbferry_engine.paths import case_key, split
from smbferry_engine.plan.decide import Action, decide_file, finish_decides_by_listings
from smbferry_engine.run.context import RunContext
from smbferry_engine.runtime.group import run_all
from smbferry_engine.tree.folders import child_done
from smbferry_engine.tree.inspection import Inspected, Inspector
from smbferry_engine.tree.items import FileItem
from smbferry_engine.wire.attributes import DIRECTORY, REPARSE_POINT, is_data_elsewhere
from smbferry_engine.wire.directory import DirectoryEntry

IN_USE = frozenset({FileReason.SHARING_VIOLATION, FileReason.SOURCE_CHANGED})
MOST_WAITING = 10_000
_AT_ONCE = 24


class _Late(NamedTuple):
    """A file that was in use; ``action`` is what the counters have for it, COMPARE if nothing."""

    item: FileItem
    action: Action
    error: FileError


class Retries:
    """The files of a run that wait to be tried again.

    ``process`` copies one file and deals with its failure, ``record`` records a failure.
    """

    def __init__(
        self,
        run: RunContext,
        process: Callable[[FileItem], Awaitable[None]],
        record: Callable[[FileItem, FileError], None],
    ) -> None:
        self._run = run
        self._process = process
        self._record = record
        self._left = 0 if run.policy.options.dry_run else run.policy.options.retry_locked.attempts
        self._waiting: list[_Late] = []
        self._under_way: dict[str, _Late] = {}
        self._last_failed = 0.0
        self.running = False

    def keep(self, item: FileItem, action: Action, error: FileError) -> bool:
        """Keep a file for the next attempt if it was in use; returns whether it is kept."""
        if error.reason not in IN_USE or not self._run.scope.is_whole:
            return False
        if not self._left:
            if self.running:
                retries = self._run.policy.options.retry_locked
                error.message += f"; tried {retries.attempts} more times, {retries.interval:g} s apart"
            return False
        if len(self._waiting) >= MOST_WAITING:
            error.message += f"; it is not tried again, because {MOST_WAITING:,} other files are waiting for that"
            return False
        self._waiting.append(_Late(item, action, error))
        self._last_failed = self._run.scheduler.now
        return True

    def leave_to_finish(self, error: FileError) -> bool:
        """Return whether a shard's failure need not be reported, because the finish tries again and reports it."""
        if isinstance(error, LeftToFinishError):
            return True
        may_wait = error.reason in IN_USE and self._left > 0 and not self._run.scope.is_whole
        return may_wait and finish_decides_by_listings(self._run.policy.options)

    async def run(self) -> None:
        """Try the files that wait, as often and as far apart as the options say; call it after all other files."""
        if not self._waiting:
            return
        self.running = True
        attempts = self._left
        while self._waiting and self._left:
            self._left -= 1
            late, self._waiting = self._waiting, []
            self._under_way = {each.item.path: each for each in late}
            await self._wait(len(late), attempts - self._left, attempts)
            queue = deque(late)
            await run_all(self._run.scheduler, [self._each(queue) for _ in range(min(_AT_ONCE, len(late)))])
        self._run.tally.observer.retrying(None)

    def settle(self, path: str) -> None:
        """Note that a file was copied, or that its failure was recorded."""
        self._under_way.pop(path, None)

    def give_up(self) -> None:
        """Record the failures of the files that wait: the run ends without another attempt."""
        for late in (*self._under_way.values(), *self._waiting):
            self._record(late.item, late.error)
        self._under_way, self._waiting = {}, []

    async def _wait(self, files: int, attempt: int, attempts: int) -> None:
        """Wait until the last failure is one interval ago."""
        scheduler, tell = self._run.scheduler, self._run.tally.observer.retrying
        seconds = self._last_failed + self._run.policy.options.retry_locked.interval - scheduler.now
        if seconds > 0:
            tell(RetryFact(files, attempt, attempts, seconds))
            await scheduler.sleep(seconds)
        tell(RetryFact(files, attempt, attempts, 0.0))

    async def _each(self, queue: deque[_Late]) -> None:
        """Try files from a queue that several coroutines share."""
        while queue:
            late = queue.popleft()
            try:
                item = await self._decide_again(late)
            except FileError as error:
                self.settle(late.item.path)
                if not self.keep(late.item, late.action, error):
                    self._record(late.item, error)
                    await child_done(self._run, late.item.folder)
                continue
            if item is not None:
                await self._process(item)
            else:
                await child_done(self._run, late.item.folder)
            self.settle(late.item.path)

    async def _decide_again(self, late: _Late) -> FileItem | None:
        """Return the file as it is now; None if there is nothing to do any more, which is counted.

        Raises:
            FileError: it can't be copied, or its old file at the destination is still in use.
        """
        run, item = self._run, late.item
        source, destination = await run.recovery.persist(lambda: self._look(late))
        if late.action is not Action.COMPARE:
            run.tally.unplan(late.action, item.source.size)
        if not run.policy.filters.wants_file(item.path, source):
            run.tally.counters.files.listed -= 1
            return None
        decision = decide_file(source, destination, run.policy.options)
        if decision.reason is not None:
            raise FileError(decision.reason, decision.message)
        if decision.action is Action.SKIP:
            run.tally.skip(item.path, source.size)
            return None
        if decision.action is Action.INSPECT:
            return await self._inspect(late, source, destination)
        if decision.action is not Action.COMPARE:
            run.tally.plan(decision.action, source.size)
        return FileItem(item.folder, item.path, source, destination, decision.action)

    async def _inspect(
        self, late: _Late, source: DirectoryEntry, destination: DirectoryEntry | None
    ) -> FileItem | None:
        """Correct what differs in place; returns the file if there is more to do."""
        item = late.item
        for _, action in await Inspector(self._run).inspect([Inspected(item.path, source, destination)]):
            self._run.tally.plan(action, source.size)
            return FileItem(item.folder, item.path, source, destination, action)
        return None

    async def _look(self, late: _Late) -> tuple[DirectoryEntry, DirectoryEntry | None]:
        """Return the entries of both sides as they are now."""
        run, path = self._run, late.item.path
        asking = run.scheduler.spawn(run.destination.look_up(path))
        source = await run.source.look_up(path)
        destination = await asking
        key = case_key(split(path)[1])
        if source is None or case_key(source.name) != key:
            raise FileError(FileReason.FILE_VANISHED, "trying the file again: it was listed but is gone now")
        if source.attributes & DIRECTORY or (source.attributes & REPARSE_POINT and not is_data_elsewhere(source)):
            raise FileError(FileReason.TYPE_CONFLICT, "trying the file again: expected a file, got a folder or link")
        if destination is not None and case_key(destination.name) != key:
            destination = None
        if destination is not None and isinstance(late.error, TargetInUseError):
            await refuse_open_target(run.destination, path)
        return source, destination
