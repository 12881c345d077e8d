"""Two whole trees compared by hash, both ways: the independent proof that a transfer did what it says."""

import time
from collections.abc import Callable

from smbferry_engine.connect import connect
from smbferry_engine.errors import CANCELLED, EngineError
from smbferry_engine.filters import Filters
from smbferry_engine.model import Comparison, Endpoint
from smbferry_engine.paths import display
from smbferry_engine.roots import check_root, share_of
from smbferry_engine.transport import Driver
from smbferry_engine.trees import Comparer

_SHOWN = 1_000


def compare(
    source: Endpoint,
    destination: Endpoint,
    *,
    filters: Filters | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """Compare what ``filters`` select of both trees. Raises :class:`EngineError` when one side can't be reached."""
    ours = connect(source)
    try:
        theirs = connect(destination)
        try:
            driver = Driver([ours.channel, theirs.channel], clock=clock)
            found: dict[str, list[str]] = {"missing": [], "extra": [], "differs": []}
            comparer = Comparer(
                driver.scheduler,
                share_of(ours, source),
                share_of(theirs, destination),
                filters or Filters(),
                lambda path, _message: found["missing"].append(display(path)),
                lambda path, _message: found["extra"].append(display(path)),
                lambda path, message: found["differs"].append(f"{display(path)}: {message}"),
            )

            def tick(_now: float) -> None:
                if cancelled():
                    raise EngineError(CANCELLED, "the comparison was cancelled")

            driver.run(_compare(comparer), tick)
            return _result(comparer, found)
        finally:
            theirs.channel.close()
    finally:
        ours.channel.close()


async def _compare(comparer: Comparer) -> None:
    await check_root(comparer.source, "source")
    await check_root(comparer.destination, "destination")
    await comparer.run()


def _result(comparer: Comparer, found: dict[str, list[str]]) -> Comparison:
    total = sum(len(paths) for paths in found.values())
    return Comparison(
        equal=total == 0,
        files=comparer.totals.files,
        directories=comparer.totals.directories,
        bytes=comparer.totals.bytes,
        only_source=tuple(found["missing"][:_SHOWN]),
        only_destination=tuple(found["extra"][:_SHOWN]),
        different=tuple(found["differs"][:_SHOWN]),
        total_differences=total,
    )
