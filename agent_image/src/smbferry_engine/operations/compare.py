"""Compares two whole trees by hash, both ways: independent proof of what a transfer did."""

from dataclasses import dataclass, field

from smbferry_engine.model import Comparison, Endpoint
from smbferry_engine.operations.control import UNCONTROLLED, Control
from smbferry_engine.operations.sides import Sides
from smbferry_engine.paths import display
from smbferry_engine.plan.filters import Filters
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.roots import check_root
from smbferry_engine.tree.comparer import Comparer, Difference, Where

_SHOWN = 1_000


@dataclass(slots=True)
class _Found:
    """The first differences of each kind, and their total number."""

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
    control: Control = UNCONTROLLED,
) -> Comparison:
    """Compare what ``filters`` select of both trees. Raises :class:`EngineError` if a side can't be reached."""
    sides = Sides(source, destination, lambda _side, _evidence: None)
    try:
        driver = Driver(sides.channels, clock=control.clock)
        found = _Found()
        ours, theirs = sides.shares
        comparer = Comparer(driver.scheduler, ours, theirs, filters or Filters(), found.add)

        def tick(_now: float) -> None:
            control.expect_wanted("comparison")

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
