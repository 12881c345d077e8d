from datetime import UTC, datetime, timedelta

import pytest

from smbferry_api.task import Schedule
from smbferry_operator.decide.schedule import ScheduleError, Timetable


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def table(cron: str, zone: str = "Europe/Berlin") -> Timetable:
    return Timetable.read(Schedule(cron=cron, time_zone=zone))


def following(times: Timetable, moment: datetime, count: int) -> list[str]:
    found = []
    for _ in range(count):
        upcoming = times.next_after(moment)
        assert upcoming is not None
        moment = upcoming
        found.append(moment.strftime("%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "start", "expected"),
    [
        pytest.param("0 2 * * *", "UTC", "2026-11-21T01:59", ["21 02:00", "22 02:00"], id="every night"),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T00:00",
            ["28 01:30", "29 01:00", "30 00:30"],
            id="a skipped time is made up",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T00:00",
            ["24 00:30", "25 00:30", "26 01:30"],
            id="a repeated time once",
        ),
        pytest.param(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:10",
            ["25 00:30", "25 01:00", "25 01:30", "25 02:00"],
            id="half-hours run on when the clock is set back",
        ),
        pytest.param(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:10",
            ["29 00:30", "29 01:00", "29 01:30"],
            id="half-hours run on when the clock is set forward",
        ),
        pytest.param("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["29 00:00", "29 00:00"], id="leap days"),
        pytest.param(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-02T20:00",
            ["03 15:30", "04 15:15"],
            id="a gap of half an hour",
        ),
        pytest.param(
            "0 9 * * 1", "Asia/Kolkata", "2026-11-21T00:00", ["23 03:30", "30 03:30"], id="Mondays, half-hour zone"
        ),
    ],
)
def test_the_next_times(cron: str, zone: str, start: str, expected: list[str]) -> None:
    assert following(table(cron, zone), at(start), len(expected)) == expected


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("cron", "after", "now", "expected"),
    [
        ("0 2 * * *", "2026-11-01T00:00", "2026-11-21T00:59", "2026-11-20T01:00"),
        ("0 2 * * *", "2026-11-01T00:00", "2026-11-21T01:00", "2026-11-21T01:00"),
        ("0 2 * * *", "2026-11-21T01:00", "2026-11-21T12:00", None),
        ("*/30 * * * *", "2026-10-20T00:00", "2026-10-25T01:10", "2026-10-25T01:00"),
        ("30 2 * * *", "2026-03-01T00:00", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("30 2 * * *", "2026-03-01T00:00", "2026-03-29T00:59", "2026-03-28T01:30"),
        ("0 0 29 2 *", "2020-01-01T00:00", "2026-11-21T00:00", None),
    ],
)
def test_the_last_time_that_was_missed(cron: str, after: str, now: str, expected: str | None) -> None:
    found = table(cron).last_until(at(now), after=at(after))

    assert found == (at(expected) if expected else None)


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
)
@pytest.mark.parametrize("cron", ["*/20 * * * *", "15 1,2,3 * * *", "30 * * * *", "0 2 * * 0"])
def test_looking_back_finds_what_looking_ahead_promised(cron: str, zone: str) -> None:
    times = table(cron, zone)
    moment = at("2026-01-01T00:00")
    while moment < at("2026-12-31T00:00"):
        upcoming = times.next_after(moment)
        assert upcoming is not None
        assert upcoming > moment
        assert times.last_until(upcoming, after=upcoming - timedelta(seconds=1)) == upcoming
        moment = upcoming + timedelta(days=3, hours=7)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("@hourly", "2026-05-06T11:00"),
        ("@daily", "2026-05-07T00:00"),
        ("@weekly", "2026-05-10T00:00"),
        ("@monthly", "2026-06-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
    ],
)
def test_a_word_stands_for_a_schedule(word: str, expected: str) -> None:
    assert table(word, "UTC").next_after(at("2026-05-06T10:30")) == at(expected)


@pytest.mark.parametrize(
    ("cron", "zone", "words"),
    [
        ("0 0 * * 5#2,mon", "UTC", "schedule.cron: expected five fields"),
        ("0 2 31 2 *", "UTC", "schedule.cron: expected a time that comes, got '0 2 31 2 *'"),
        ("0 2 * * *", "Europe/Bonn", "got 'Europe/Bonn'"),
        ("0 2 * * *", "../../etc/passwd", "schedule.timeZone: expected an IANA name"),
    ],
)
def test_a_schedule_that_can_not_be_read_says_why(cron: str, zone: str, words: str) -> None:
    with pytest.raises(ScheduleError, match=words.replace("*", r"\*")):
        table(cron, zone)


def jittered(cron: str, jitter: str, uid: str = "uid-nightly") -> Timetable:
    return Timetable.read(Schedule(cron=cron, jitter=jitter), uid)


def test_tasks_with_one_schedule_spread_over_the_jitter_each_at_a_time_of_its_own() -> None:
    offsets = [jittered("0 2 * * *", "1h", f"uid-{n}").offset for n in range(1000)]
    in_quarters = [sum(q * 15 <= offset.total_seconds() / 60 < q * 15 + 15 for offset in offsets) for q in range(4)]

    assert min(offsets) >= timedelta(0)
    assert max(offsets) < timedelta(hours=1)
    assert all(200 <= count <= 300 for count in in_quarters), in_quarters
    assert jittered("0 2 * * *", "1h") == jittered("0 2 * * *", "1h"), "the same after a restart"


def test_with_jitter_all_times_come_later_by_the_same() -> None:
    times, plain = jittered("0 2 * * *", "30m"), Timetable.read(Schedule(cron="0 2 * * *"))
    moment = at("2026-11-21T12:00")
    upcoming, before = plain.next_after(moment), plain.last_until(moment, after=at("2026-11-20T12:00"))
    assert upcoming is not None
    assert before is not None

    assert times.next_after(moment) == upcoming + times.offset
    assert times.last_until(moment, after=at("2026-11-20T12:00")) == before + times.offset


@pytest.mark.fault(189)
@pytest.mark.parametrize(
    ("cron", "jitter", "refused"),
    [
        ("*/15 * * * *", "15m", False),
        ("*/15 * * * *", "16m", True),
        ("0,5 2 * * *", "10m", True),
        ("@hourly", "1h", False),
        ("0 2 * * *", "24h", False),
    ],
)
def test_a_jitter_longer_than_the_time_between_two_runs_is_refused_in_words(
    cron: str, jitter: str, *, refused: bool
) -> None:
    if not refused:
        assert jittered(cron, jitter).offset < timedelta(hours=24)
        return
    with pytest.raises(
        ScheduleError, match=r"schedule\.jitter: expected at most .*, the shortest time between two runs"
    ):
        jittered(cron, jitter)
