"""The judges of the operator's bench refuse what is wrong."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from lab.bench_operator import judges, measured
from lab.bench_operator.judges import Change, Waiter
from lab.bench_operator.measured import Second, Watch

from smbferry_operator.reconcile.reconciler import Reconciler
from smbferry_operator.service import Service

if TYPE_CHECKING:
    from pathlib import Path


def change(at: float, run: str, *, ends: bool = False, server: str = "fs") -> Change:
    return Change(at, server, run, not ends)


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([change(1, "a"), change(2, "a", ends=True), change(3, "b")], {"fs": 1}, id="one after the other"),
        pytest.param([change(1, "a"), change(2, "b"), change(3, "a", ends=True)], {"fs": 2}, id="side by side"),
        pytest.param([change(1, "a"), change(2, "a", ends=True), change(2, "b")], {"fs": 2}, id="at the same moment"),
        pytest.param([change(3, "a", ends=True), change(1, "a"), change(2, "b")], {"fs": 2}, id="told in any order"),
        pytest.param([change(1, "a"), change(2, "a"), change(3, "a")], {"fs": 1}, id="one that is told of often"),
        pytest.param([change(1, "a"), change(1, "b", server="other")], {"fs": 1, "other": 1}, id="two servers"),
    ],
)
def test_how_many_work_at_a_server_at_once(changes: list[Change], most: dict[str, int]) -> None:
    assert judges.most_at_once(changes) == most


def waiter(run: str, created: int, since: float = 0.0, *, priority: int = 0, server: str = "fs") -> Waiter:
    return Waiter(run, server, (-priority, f"2026-11-21T12:00:{created:02}Z", run), since)


@pytest.mark.parametrize(
    ("waiters", "starts", "found"),
    [
        pytest.param([waiter("a", 1), waiter("b", 2)], {"a": 10, "b": 20}, 0, id="in order"),
        pytest.param([waiter("a", 1), waiter("b", 2)], {"a": 20, "b": 10}, 1, id="the younger first"),
        pytest.param([waiter("a", 1), waiter("b", 2)], {"b": 10}, 1, id="the older never"),
        pytest.param([waiter("a", 1), waiter("b", 2, priority=5)], {"a": 20, "b": 10}, 0, id="urgent first"),
        pytest.param([waiter("a", 1), waiter("b", 2, priority=5)], {"a": 10, "b": 20}, 1, id="urgent last"),
        pytest.param([waiter("a", 1, 9), waiter("b", 2)], {"a": 20, "b": 10}, 0, id="not seen yet"),
        pytest.param([waiter("a", 1), waiter("b", 2, server="other")], {"a": 20, "b": 10}, 0, id="two servers"),
        pytest.param([waiter("a", 1), waiter("b", 2)], {}, 0, id="none has started"),
    ],
)
def test_who_is_overtaken_is_found(waiters: list[Waiter], starts: dict[str, float], found: int) -> None:
    changes = [change(at, run) for run, at in starts.items()]
    assert len(judges.overtaken(waiters, [*changes, *(change(99, run) for run in starts)])) == found


def test_seconds_without_the_lease_count_from_the_first_with_it() -> None:
    def seconds(text: str) -> list[Second]:
        return [Second(leading=letter == "L") for letter in text]

    assert [judges.not_leading(seconds(text)) for text in ("LLL", "--LLL", "-L--L", "---")] == [0, 0, 2, 3]


def test_the_longest_stand_and_percentiles_need_something_measured() -> None:
    assert judges.longest_stand([Second(stood=3, worked=2.5), Second(stood=260.5), Second()]) == (260.5, 2.5)
    assert judges.percentiles([*range(1, 101)]) == pytest.approx((50.5, 95.95, 99.99))
    with pytest.raises(ValueError, match="at least 100 values"):
        judges.percentiles([1.0] * 99)
    with pytest.raises(ValueError, match="empty"):
        judges.longest_stand([])


@pytest.mark.parametrize(
    ("moments", "late"),
    [
        pytest.param((0, 100, 200), False, id="at each interval"),
        pytest.param((0, 109, 218), False, id="a little late each time"),
        pytest.param((0, 120, 220), True, id="once too late"),
        pytest.param((0, 100), True, id="not any more"),
        pytest.param((), True, id="never"),
        pytest.param((90, 190, 60), False, id="told in any order"),
        pytest.param((-900, 40, 140), False, id="too late before it counts, but soon then"),
        pytest.param((-900, 20, 260), True, id="after it counts"),
    ],
)
def test_a_location_that_is_not_checked_in_its_hour_is_found(moments: tuple[float, ...], *, late: bool) -> None:
    checks = {"it": tuple(moment for moment in moments if moment > -900), "other": (0.0,)}
    assert judges.overdue(["it"], checks, since=50, until=250, most=110) == (["it"] if late else [])


def test_an_operator_measures_its_decisions_and_its_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(_service: Service) -> None:
        """Nothing to start."""

    class Ready:
        """Says that it leads."""

        class health:  # noqa: N801
            @staticmethod
            def ready() -> Any:
                return type("Verdict", (), {"facts": {"leading": True}})

    monkeypatch.setattr(Reconciler, "_decide", lambda _self, key: key)
    monkeypatch.setattr(Service, "start", start)
    monkeypatch.setattr(measured, "LINE", 0.05)
    file = tmp_path / "beats.jsonl"
    Watch(str(file)).install()

    async def live() -> None:
        await Service.start(Ready())  # type: ignore[arg-type]
        assert Reconciler._decide(None, "it") == "it"  # type: ignore[arg-type,call-arg,comparison-overlap]
        await asyncio.sleep(0)
        busy = time.perf_counter() + 0.1
        while time.perf_counter() < busy:
            """The event loop stands."""
        while not file.exists() or not file.read_text():
            await asyncio.sleep(0.01)

    asyncio.run(live())
    first = measured.read(file)[0]
    assert first.leading
    assert len(first.decisions) == 1
    assert first.stood >= 50
    assert first.worked > 0
