"""Windows: by the wall clock, one answer at every instant, and what can never work is refused in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smbferry_api.crd import structural_schema
from smbferry_api.explain import explain
from smbferry_api.task import TransferTaskSpec
from smbferry_api.windows import OPEN, Weekday, Window, WindowsError, WindowState, lower, problem_of, state_at, zone_of

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca")


def window(begin: str = "22:00", end: str = "06:00", **more: Any) -> Window:
    return Window.model_validate({"from": begin, "to": end, **more})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NIGHT = window()
BRAKE = window("08:00", "18:00", days=["Mon", "Tue", "Wed", "Thu", "Fri"], bytesPerSecond="4Mi")
REST = [
    window("18:00", "08:00", days=["Mon", "Tue", "Wed", "Thu"]),
    window("18:00", "24:00", days=["Fri"]),
    window("00:00", "24:00", days=["Sat", "Sun"]),
    window("00:00", "08:00", days=["Mon"]),
]
BLACKOUT = window("01:00", "02:30", days=["Sun"], pause=True)
BERLIN = window("22:00", "06:00", timeZone="Europe/Berlin")


@pytest.mark.parametrize(
    ("windows", "now", "closed", "limit", "until"),
    [
        pytest.param([NIGHT], "2026-12-01T12:00:00", True, None, "2026-12-01T22:00:00", id="before the night"),
        pytest.param([NIGHT], "2026-12-01T22:00:00", False, None, "2026-12-02T06:00:00", id="at its beginning"),
        pytest.param([NIGHT], "2026-12-02T05:59:59", False, None, "2026-12-02T06:00:00", id="a second before its end"),
        pytest.param([NIGHT], "2026-12-02T06:00:00", True, None, "2026-12-02T22:00:00", id="at its end"),
        pytest.param([BRAKE, *REST], "2026-12-01T12:00:00", False, 4 << 20, "2026-12-01T18:00:00", id="by day: slow"),
        pytest.param([BRAKE, *REST], "2026-12-01T20:00:00", False, None, "2026-12-02T08:00:00", id="by night: fast"),
        pytest.param([BRAKE, *REST], "2026-12-04T20:00:00", False, None, "2026-12-07T08:00:00", id="over the weekend"),
        pytest.param([BRAKE], "2026-12-05T12:00:00", True, None, "2026-12-07T08:00:00", id="on weekdays only"),
        pytest.param([BLACKOUT], "2026-12-06T01:30:00", True, None, "2026-12-06T02:30:00", id="in a pause"),
        pytest.param([BLACKOUT], "2026-12-06T03:00:00", False, None, "2026-12-13T01:00:00", id="free outside of it"),
        pytest.param(
            [NIGHT, BLACKOUT], "2026-12-06T00:00:00", False, None, "2026-12-06T01:00:00", id="a pause in the night"
        ),
        pytest.param([BERLIN], "2026-07-01T19:59:00", True, None, "2026-07-01T20:00:00", id="summer in Berlin"),
        pytest.param([BERLIN], "2026-12-01T20:30:00", True, None, "2026-12-01T21:00:00", id="winter in Berlin"),
        pytest.param([window("00:00", "24:00")], "2026-12-01T00:00:00", False, None, None, id="always"),
    ],
)
def test_what_windows_say_and_until_when(
    windows: list[Window], now: str, closed: bool, limit: int | None, until: str | None
) -> None:
    assert state_at(windows, at(now)) == WindowState(closed, limit, at(until) if until else None)


def test_without_windows_a_run_is_free() -> None:
    assert state_at((), at("2026-12-01T00:00:00")) == OPEN


def test_a_window_in_an_hour_that_a_clock_change_skips_does_not_open_on_that_day() -> None:
    skipped = window("02:00", "03:00", days=["Sun"], timeZone="Europe/Berlin")

    assert state_at([skipped], at("2026-03-28T12:00:00")).until == at("2026-04-05T00:00:00")


def test_a_window_in_an_hour_that_occurs_twice_is_open_both_times() -> None:
    twice = window("02:00", "02:30", days=["Sun"], timeZone="Europe/Berlin")
    state, moments = state_at([twice], at("2026-10-24T12:00:00")), []
    for _ in range(4):
        assert state.until is not None
        moments.append(f"{state.until:%H:%M}")
        state = state_at([twice], state.until)

    assert moments == ["00:00", "00:30", "01:00", "01:30"]


def _made(days: list[Weekday], begin: int, length: int, zone: str, kind: str | None) -> Window:
    end = (begin + length) % 1440
    more = {"pause": True} if kind == "pause" else {"bytesPerSecond": kind} if kind else {}
    return window(*(f"{m // 60:02}:{m % 60:02}" for m in (begin, end)), days=days, timeZone=zone, **more)


ANY_WINDOWS = st.lists(
    st.builds(
        _made,
        st.lists(st.sampled_from(list(Weekday)), min_size=1, max_size=7, unique=True),
        st.integers(0, 1439),
        st.integers(1, 1439),
        st.sampled_from(ZONES),
        st.sampled_from([None, "1Mi", "4Mi", "pause"]),
    ),
    min_size=1,
    max_size=4,
)
MOMENTS = st.integers(0, 3 * 365 * 86_400).map(lambda seconds: at("2025-01-01T00:00:00") + timedelta(seconds=seconds))
CHANGES = st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-04", "2026-10-25", "2026-11-01", "2026-02-15"]).flatmap(
    lambda day: st.integers(-43_200, 86_400).map(lambda seconds: at(f"{day}T00:00:00") + timedelta(seconds=seconds))
)
A_SECOND = timedelta(seconds=1)


@given(ANY_WINDOWS, MOMENTS | CHANGES)
def test_the_next_change_is_later_and_nothing_changes_before_it(windows: list[Window], now: datetime) -> None:
    state = state_at(windows, now)
    end = state.until or now + timedelta(days=14)

    assert end > now
    for part in range(1, 20):
        between = state_at(windows, now + (end - now) * part / 20)
        assert (between.closed, between.limit, between.until) == (state.closed, state.limit, state.until)
    if state.until is not None:
        before, after = state_at(windows, end - A_SECOND), state_at(windows, end)
        assert (before.closed, before.limit) == (state.closed, state.limit) or end - A_SECOND < now
        assert (after.closed, after.limit) != (state.closed, state.limit)


@given(ANY_WINDOWS, MOMENTS | CHANGES)
def test_a_moment_is_closed_if_and_only_if_a_pause_has_it_or_no_window_that_opens_has(
    windows: list[Window], now: datetime
) -> None:
    has = [w.is_open_at(now.astimezone(zone_of(w.time_zone)).replace(tzinfo=None)) for w in windows]
    paused = any(is_open and w.pause for is_open, w in zip(has, windows, strict=True))
    opened = any(is_open and not w.pause for is_open, w in zip(has, windows, strict=True))
    only_pauses = all(w.pause for w in windows)

    assert state_at(windows, now).closed is (paused or not (opened or only_pauses))


@given(ANY_WINDOWS, MOMENTS)
def test_windows_that_are_accepted_never_have_two_limits_on_an_ordinary_day(
    windows: list[Window], now: datetime
) -> None:
    near = {
        (now + timedelta(days=days)).astimezone(zone_of(w.time_zone)).utcoffset()
        for days in (-1, 0, 1)
        for w in windows
    }
    if problem_of(windows) or len({w.time_zone for w in windows}) < len(near):
        return  # refused, or a clock is set about this time
    has = [w for w in windows if w.is_open_at(now.astimezone(zone_of(w.time_zone)).replace(tzinfo=None))]

    assert any(w.pause for w in has) or len({w.limit for w in has}) <= 1


@pytest.mark.parametrize(
    ("windows", "problem"),
    [
        pytest.param([NIGHT, window("06:00", "22:00", bytesPerSecond="4Mi")], "", id="one after the other"),
        pytest.param([BRAKE, *REST, BLACKOUT], "", id="a week"),
        pytest.param([window(), window("23:00", "05:00")], "", id="overlapping without a difference"),
        pytest.param(
            [window(bytesPerSecond="8Mi"), window("05:00", "07:00", bytesPerSecond="4Mi")],
            "windows[1]: expected one limit at a time, but 05:00-07:00 UTC (4Mi bytes per second) overlaps windows[0], "
            "22:00-06:00 UTC (8Mi bytes per second)",
            id="two limits",
        ),
        pytest.param(
            [window(), window("05:00", "07:00", bytesPerSecond="4Mi")],
            "windows[1]: expected one limit at a time, but 05:00-07:00 UTC (4Mi bytes per second) overlaps windows[0], "
            "22:00-06:00 UTC (no limit)",
            id="a limit and none",
        ),
        pytest.param([window(bytesPerSecond="4Mi"), window("05:00", "07:00", bytesPerSecond="4096Ki")], "", id="alike"),
        pytest.param(
            [
                window("08:00", "18:00", timeZone="Europe/Berlin", bytesPerSecond="4Mi"),
                window("13:00", "22:00", timeZone="America/New_York", bytesPerSecond="8Mi"),
            ],
            "",
            id="in two zones, one after the other",
        ),
        pytest.param(
            [
                window("08:00", "18:00", timeZone="Europe/Berlin", bytesPerSecond="4Mi"),
                window("12:00", "22:00", timeZone="America/New_York", bytesPerSecond="8Mi"),
            ],
            "windows[1]: expected one limit at a time, but 12:00-22:00 America/New_York (8Mi bytes per second) "
            "overlaps windows[0], 08:00-18:00 Europe/Berlin (4Mi bytes per second)",
            id="in two zones, overlapping while only one has summer time",
        ),
        pytest.param(
            [window("23:00", "01:00", days=["Sun"]), window("22:00", "02:00", pause=True)],
            "windows[0]: expected a window that opens, but Sun 23:00-01:00 UTC lies within windows with pause",
            id="never opens",
        ),
        pytest.param(
            [window("00:00", "12:00", pause=True), window("12:00", "24:00", pause=True)],
            "windows: expected a time without pause, got windows with pause at all times",
            id="always paused",
        ),
        pytest.param(
            [window(), window(timeZone="Europe/Berln")],
            "windows[1].timeZone: expected an IANA name such as \"Europe/Berlin\", got 'Europe/Berln'",
            id="no such zone",
        ),
        pytest.param(
            [window(timeZone="Europe")],
            "windows[0].timeZone: expected an IANA name such as \"Europe/Berlin\", got 'Europe'",
            id="a folder of zones",
        ),
    ],
)
@pytest.mark.fault(196)
def test_what_can_never_work_is_named(windows: list[Window], problem: str) -> None:
    assert problem_of(windows) == problem


def test_a_zone_that_is_unknown_here_is_an_error_and_no_answer() -> None:
    with pytest.raises(WindowsError, match="Nowhere"):
        state_at([window(timeZone="Nowhere/At_All")], at("2026-12-01T00:00:00"))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"from": "06:00", "to": "06:00"},
            "window: from and to must differ; a whole day is from 00:00 to 24:00, got 06:00",
        ),
        ({"from": "06:00", "to": "07:00", "pause": True, "bytesPerSecond": "1Mi"}, "window: cannot combine pause with"),
        ({"from": "24:00", "to": "06:00"}, "window.from: expected a string that matches"),
        ({"from": "6:00", "to": "07:00"}, "window.from: expected a string that matches"),
        ({"from": "06:00", "to": "24:30"}, "window.to: expected a string that matches"),
        ({"from": "06:00", "to": "07:00", "days": ["Monday"]}, 'window.days.0: expected "Mon", "Tue"'),
        ({"from": "06:00", "to": "07:00", "days": []}, "window.days: expected at least 1 item"),
        ({"from": "06:00", "to": "07:00", "bytesPerSecond": 0}, "window.bytesPerSecond: expected at least one byte"),
        ({"from": "06:00"}, "window.to: required field is missing"),
    ],
)
@pytest.mark.fault(196)
def test_a_window_that_is_none_is_explained(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Window.model_validate(fields)

    assert explain(refused.value, "window", Window).startswith(problem)


@pytest.mark.fault(196)
def test_the_api_server_knows_the_form_of_times() -> None:
    fields = structural_schema(TransferTaskSpec)["properties"]["windows"]["items"]["properties"]

    assert [bool(re.search(fields["from"]["pattern"], time)) for time in ("00:00", "23:59", "24:00", "6:00")] == [
        1,
        1,
        0,
        0,
    ]
    assert [bool(re.search(fields["to"]["pattern"], time)) for time in ("00:00", "24:00", "24:01", "6pm")] == [
        1,
        1,
        0,
        0,
    ]


def test_times_without_quotes_are_read_as_the_tools_of_kubernetes_read_them() -> None:
    read = Window.model_validate(yaml.safe_load("{from: 22:00, to: 24:00}"))

    assert (read.from_, read.to) == ("22:00", "24:00")


def test_the_lowest_of_several_limits_counts() -> None:
    assert lower(None, 4, 3) == 3
    assert lower(None, None) is None
