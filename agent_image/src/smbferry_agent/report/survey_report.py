"""The report of a survey: its result in the status, shortened, and whole in the report's summary."""

from typing import Any, Final

from smbferry_agent.report import words
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.sinks import status_fields
from smbferry_api import run_status as api
from smbferry_api.survey_status import (
    MAX_PATH,
    MAX_STATUS_PATHS,
    MAX_STATUS_ROWS,
    SurveyContents,
    SurveyDay,
    SurveyDomain,
    SurveyFile,
    SurveyFinding,
    SurveyForecast,
    SurveyInterval,
    SurveyStatus,
    SurveyTag,
)
from smbferry_engine import Finding, Forecast, Survey

# MS-FSCC 2.1.2.1. Cloud files have sixteen tags, which differ in their third digit.
_TAGS: Final = {
    0x00000000: "not reported by the server",
    0xA0000003: "junction or mount point",
    0xA000000C: "symbolic link",
    0x8000000A: "DFS link",
    0x80000012: "DFS link (DFSR)",
    0x80000013: "deduplicated",
    0x80000017: "compressed by WOF",
    0x8000001B: "application execution alias",
    0x8000001E: "Azure File Sync",
    0xA000001D: "symbolic link of WSL",
    0x80000014: "NFS special file",
    0x80000023: "Unix socket",
    0x80000024: "named pipe of WSL",
    0x80000025: "character device of WSL",
    0x80000026: "block device of WSL",
}
_CLOUD: Final = 0x9000001A
_CLOUD_MASK: Final = 0xFFFF0FFF


class SurveyReport(RunReport):
    """The report of a run that surveys its source."""

    survey: Survey | None = None

    def surveyed(self, survey: Survey) -> None:
        """The survey is complete."""
        self.survey = survey
        self._set(survey=survey_status(survey, paths=MAX_STATUS_PATHS, rows=MAX_STATUS_ROWS))
        self.changed(urgent=True)

    def status(self) -> api.TransferRunStatus:
        """The agent's part of the status: its progress is what has been counted."""
        status = RunReport.status(self)
        if status.counters is None:
            return status
        files, octets = status.counters.files, status.counters.bytes
        shown = api.Progress(percent=words.SURVEY, files=f"{files.listed:,}", bytes=words.size(octets.to_transfer))
        return status.model_copy(update={"progress": shown})

    def summary(self) -> dict[str, Any]:
        """The status with the whole result."""
        fields = RunReport.summary(self)
        if self.survey is not None:
            fields["survey"] = status_fields(survey_status(self.survey))
        return fields


def survey_status(survey: Survey, *, paths: int = 100, rows: int = 64) -> SurveyStatus:
    """A survey in the form of the API.

    Args:
        paths: the most paths of a finding.
        rows: the most reparse tags and domains.
    """
    tree = survey.tree
    return SurveyStatus(
        files=tree.files,
        directories=tree.directories,
        bytes=tree.bytes,
        depth=tree.depth,
        sampled=survey.sampled,
        listed_in=words.duration(survey.listed_seconds),
        forecast=None if survey.forecast is None else _forecast(survey.forecast),
        contents=SurveyContents(
            sizes=tuple(SurveyInterval(at_least=least, files=one[0], bytes=one[1]) for least, one in tree.sizes),
            ages=tuple(SurveyInterval(at_least=least, files=one[0], bytes=one[1]) for least, one in tree.ages),
            days=tuple(
                SurveyDay(days_ago=ago, written_files=written[0], written_bytes=written[1], changed_files=changed[0])
                for ago, written, changed in tree.days
            ),
            findings=tuple(_finding(finding, paths) for finding in survey.findings),
            reparse_points=tuple(
                SurveyTag(tag=f"0x{tag:08X}", name=tag_name(tag), count=count) for tag, count in survey.tags[:rows]
            ),
            domains=tuple(
                SurveyDomain(domain=domain, sid=sid, count=count) for domain, count, sid in survey.domains[:rows]
            ),
            largest=tuple(SurveyFile(path=path[:MAX_PATH], bytes=size) for path, size in tree.largest),
        ),
    )


def tag_name(tag: int) -> str:
    """The kind of reparse point that a tag stands for; empty for an unknown one."""
    return "cloud file" if tag & _CLOUD_MASK == _CLOUD else _TAGS.get(tag, "")


def _finding(finding: Finding, paths: int) -> SurveyFinding:
    shown = tuple(path[:MAX_PATH] for path in finding.paths[:paths])
    if finding.at_most is None:
        return SurveyFinding(trait=finding.trait, count=finding.count, paths=shown)
    return SurveyFinding(trait=finding.trait, count=finding.count, at_most=finding.at_most, paths=shown)


def _forecast(forecast: Forecast) -> SurveyForecast:
    first, daily, unchanged = (round(seconds) for seconds in (forecast.first, forecast.daily, forecast.unchanged))
    return SurveyForecast(
        basis=forecast.basis,
        first_copy=words.duration(forecast.first),
        first_copy_seconds=first,
        daily=words.duration(forecast.daily),
        daily_seconds=daily,
        unchanged=words.duration(forecast.unchanged),
        unchanged_seconds=unchanged,
        measured_files=forecast.measured.files,
        measured_bytes=forecast.measured.bytes,
    )
