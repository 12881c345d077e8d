"""Two whole trees compared by hash, both ways: the independent proof that a transfer did what it says."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from smbferry_engine.errors import CANCELLED, EngineError
from smbferry_engine.filters import Filters
from smbferry_engine.model import Comparison, Endpoint
from smbferry_engine.paths import display
from smbferry_engine.roots import check_root
from smbferry_engine.sides import Sides
from smbferry_engine.transport import Driver
from smbferry_engine.trees import Comparer, Difference, Where

_SHOWN = 1_000


@dataclass(slots=True)
class _Found:
    """The first differences of each kind, and how many there are in all."""

    shown: dict[Where, list[str]] = field(default_factory=lambda: {where: [] for where in Where})
    total: int = 0

    def add(self, difference: Difference) -> None:
        self.total += 1
        shown = self.shown[difference.where]
        if len(shown) < _SHOWN:
            path = display(difference.path)
            shown.append(f"{path}: {difference.message}" if difference.where is Where.BOTH else path)


def compare(
    source: Endpoint,
    destination: Endpoint,
    *,
    filters: Filters | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """Compare what ``filters`` select of both trees. Raises :class:`EngineError` when one side can't be reached."""
    sides = Sides(source, destination, lambda _side, _evidence: None)
    try:
        driver = Driver(sides.channels, clock=clock)
        found = _Found()
        ours, theirs = sides.shares
        comparer = Comparer(driver.scheduler, ours, theirs, filters or Filters(), found.add)

        def tick(_now: float) -> None:
            if cancelled():
                raise EngineError(CANCELLED, "the comparison was cancelled")

        driver.run(_compare(comparer), tick)
        return _result(comparer, found)
    finally:
        sides.close()


async def _compare(comparer: Comparer) -> None:
    await check_root(comparer.source, "source")
    await check_root(comparer.destination, "destination")
    await comparer.run()


def _result(comparer: Comparer, found: _Found) -> Comparison:
    return Comparison(
        equal=found.total == 0,
        files=comparer.totals.files,
        directories=comparer.totals.directories,
        bytes=comparer.totals.bytes,
        only_source=tuple(found.shown[Where.SOURCE]),
        only_destination=tuple(found.shown[Where.DESTINATION]),
        different=tuple(found.shown[Where.BOTH]),
        total_differences=found.total,
    )
