"""What the engine's tests against the real domain share: two folders, the engine between them, a witness."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.member import BACKUP_OPERATORS, READERS, WRITERS
from lab.support.domain.trees import differences
from tests.interop.engine.invariants import Expected, Look, Witness, logged
from tests.interop.engine.tickets import Watcher

from smbferry_engine import (
    Control,
    EngineError,
    Options,
    Result,
    RetryLocked,
    SecurityDescriptors,
    transfer,
)
from smbferry_engine.core.calls import open_request
from smbferry_engine.session.connect import CHUNK, connect
from smbferry_engine.session.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.domain.machine import Directory
    from tests.interop.engine.tickets import Tickets

    from smbferry_engine import Endpoint

MIB = 1 << 20
SOURCE, DESTINATION = 0, 1
SIDES = pytest.mark.parametrize("side", [SOURCE, DESTINATION], ids=["source", "destination"])
RANGES_UNDER_WAY = 8
READER_GROUPS = (READERS,)
# Of the domain controller's Backup Operators and of the member server's, which are groups of their own.
WRITER_GROUPS = (WRITERS, "Backup Operators", BACKUP_OPERATORS)


@dataclass
class Bench:
    """A source and a destination folder of the test's own, and the engine between them."""

    tickets: Tickets
    source: Directory
    destination: Directory
    beside: tuple[Directory, ...]
    watcher: Watcher = field(default_factory=Watcher)

    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Both sides."""
        source, destination = (self.tickets.endpoint(it.share, it.path) for it in (self.source, self.destination))
        return source, destination

    def copy(
        self,
        *,
        ends: tuple[Endpoint, Endpoint] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        expected: Expected | None = Expected(),  # noqa: B008  # frozen
        **options: object,
    ) -> Result:
        """Transfer with the given options; no descriptors and no retries of files in use unless asked for.

        A witness looks at the server's disks before and after and judges the invariants, unless `expected` is None:
        that is for trees that take too long to hash, and for runs between other folders than these two.
        """
        plain = {"security_descriptors": SecurityDescriptors.NONE, "retry_locked": RetryLocked(attempts=0)}
        chosen = Options(**{**plain, **options})  # type: ignore[arg-type]
        self.watcher = replace(
            self.watcher, failures=[], records=[], phases=[], evidence={}, facts=[], retries=[], left=[]
        )
        source, destination = ends or self.ends()
        witness = Witness(self, expected) if expected is not None else None
        result, error = None, None
        with logged() as log:
            try:
                result = transfer(source, destination, chosen, self.watcher, control=Control(cancelled))
            except EngineError as caught:
                error = caught
        if witness is not None:
            witness.judge(chosen, result, error, log)
        if result is None:
            raise error or AssertionError("a run has a result or an error")
        return result

    def finish(self, **options: object) -> Result:
        """The run after one that failed: it completes, and of what is there already writes nothing again (I7)."""
        look = Look.at(self)
        missing = sum(
            entry.size
            for path, entry in look.source.items()
            if path not in look.destination or look.destination[path].sha256 != entry.sha256
        )
        kept = sum(look.destination[path].size for path in look.staging_files)
        result = self.copy(**options)  # type: ignore[arg-type]
        self.same()
        # Requests overtake each other: of the last ranges that were under way, some may be missing.
        assert result.counters.bytes.written <= max(0, missing - kept) + RANGES_UNDER_WAY * CHUNK
        return result

    def same(self) -> None:
        """Nothing failed, and both trees are the same by the server's own hashes, times included."""
        assert self.watcher.failures == []
        assert differences(self.source.tree(), self.destination.tree(), times=True) == []


@contextlib.contextmanager
def held(bench: Bench, name: str, directory: Directory | None = None) -> Iterator[None]:
    """A file, of the source if no other directory is given, held open so that nobody else may open it."""
    where = directory or bench.source
    with held_by(bench.tickets.endpoint(where.share, "/"), f"{where.name}\\{name}"):
        yield


@contextlib.contextmanager
def held_by(end: Endpoint, *paths: str) -> Iterator[None]:
    """Files of the share, held open by the account of an endpoint so that nobody else may open them."""
    holder = connect(end)
    try:

        async def hold() -> None:
            for path in paths:
                (reply,) = await holder.channel.session.call(open_request(path, access=1, share=0))
                assert reply.status == 0

        Driver([holder.channel]).run(hold())
        yield
    finally:
        holder.channel.close()


def ends_with(bench: Bench, side: int, change: Callable[[Endpoint], Endpoint]) -> tuple[Endpoint, Endpoint]:
    """Both sides, one of them changed."""
    source, destination = bench.ends()
    return (change(source), destination) if side == SOURCE else (source, change(destination))
