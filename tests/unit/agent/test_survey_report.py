"""The result of a survey in a run's status, bounded in size, and whole in the report's summary."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from smbferry_agent.report.sinks import status_fields
from smbferry_agent.report.survey_report import SurveyReport, survey_status, tag_name
from smbferry_api.survey_status import MAX_STATUS_PATHS, MAX_STATUS_ROWS
from smbferry_engine import Amount, Counters, Finding, Forecast, Survey
from smbferry_engine.plan.census import AGE_EDGES, DAYS, LARGEST, MAX_PATHS, SIZE_EDGES
from smbferry_engine.plan.survey import Day, DomainCount, Interval, Named, TagCount, Tree
from smbferry_words.survey import Basis, Trait

SOME = Amount(3, 5_000_000_000)
FORECAST = Forecast(Basis.COPY, 12_000.4, 60.0, 90.0, Amount(512, 1 << 20), 12.0)


def survey(*, paths: int = 2, rows: int = 1) -> Survey:
    many = tuple(f"/folder/{'f' * 2_000}{number}" for number in range(paths))
    return Survey(
        tree=Tree(
            files=3,
            directories=2,
            bytes=SOME.bytes,
            depth=1,
            sizes=tuple(Interval(least, SOME) for least in SIZE_EDGES),
            ages=tuple(Interval(least, SOME) for least in AGE_EDGES),
            days=tuple(Day(ago, SOME, SOME) for ago in range(DAYS)),
            largest=tuple(Named(path, 9) for path in many[:LARGEST]),
        ),
        findings=tuple(Finding(trait, 7, None if trait is Trait.LINK else 9, many) for trait in Trait),
        tags=tuple(TagCount(0xA0000003 + number, 1) for number in range(rows)),
        domains=tuple(DomainCount(f"S-1-5-21-1-2-{n}", 4, f"S-1-5-21-1-2-{n}-500") for n in range(rows)),
        sampled=5,
        listed_seconds=1.5,
        forecast=FORECAST,
    )


def test_the_status_is_small_whatever_was_found() -> None:
    report = SurveyReport()
    report.surveyed(survey(paths=MAX_PATHS, rows=64))
    fields = status_fields(report.status())["survey"]
    assert len(json.dumps(fields)) < 128 * 1024
    findings = fields["contents"]["findings"]
    assert {len(finding["paths"]) for finding in findings} == {MAX_STATUS_PATHS}
    assert len(fields["contents"]["domains"]) == len(fields["contents"]["reparsePoints"]) == MAX_STATUS_ROWS


def test_the_reports_summary_has_everything() -> None:
    report = SurveyReport()
    report.surveyed(survey(paths=MAX_PATHS, rows=64))
    contents = report.summary()["survey"]["contents"]
    assert {len(finding["paths"]) for finding in contents["findings"]} == {MAX_PATHS}
    assert len(contents["domains"]) == 64


def test_estimates_and_durations_are_in_the_apis_form() -> None:
    shown = status_fields(survey_status(survey()))
    assert shown["forecast"] == {
        "basis": "Copy",
        "firstCopy": "3h20m",
        "firstCopySeconds": 12_000,
        "daily": "1m30s",
        "dailySeconds": 90,
        "unchanged": "1m00s",
        "unchangedSeconds": 60,
        "measuredFiles": 512,
        "measuredBytes": 1 << 20,
    }
    by_trait = {finding["trait"]: finding for finding in shown["contents"]["findings"]}
    assert "atMost" not in by_trait["Link"]
    assert by_trait["Locked"]["atMost"] == 9
    assert "forecast" not in status_fields(survey_status(replace(survey(), forecast=None)))


def test_progress_shows_what_has_been_counted() -> None:
    report, counters = SurveyReport(), Counters()
    counters.files.listed, counters.bytes.to_transfer = 1_234, 1 << 30
    report.progress(counters)
    progress = status_fields(report.status())["progress"]
    assert progress == {"percent": "survey", "files": "1,234", "bytes": "1.0 GiB"}


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0xA000000C, "symbolic link"),
        (0xA0000003, "junction or mount point"),
        (0x9000001A, "cloud file"),
        (0x9000601A, "cloud file"),
        (0x12345678, ""),
    ],
)
def test_known_tags_have_names(tag: int, name: str) -> None:
    assert tag_name(tag) == name
