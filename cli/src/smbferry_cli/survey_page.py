"""The sections of a report page that show a survey. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import ValidationError

from smbferry_agent.report import words
from smbferry_api.survey_status import (
    SurveyContents,
    SurveyFinding,
    SurveyForecast,
    SurveyInterval,
    SurveyStatus,
)
from smbferry_cli.markup import figures, table, text
from smbferry_cli.survey_view import counted
from smbferry_cli.svg import bars
from smbferry_words.survey import MEANING, Basis

_DAYS_IN_YEAR: Final = 365


def survey_of(summary: dict[str, Any]) -> SurveyStatus | None:
    """Returns the survey in the summary of a run; None if there is none that can be read."""
    found = summary.get("survey")
    if not isinstance(found, dict):
        return None
    try:
        return SurveyStatus.model_validate(found)
    except ValidationError:
        return None


def survey_sections(survey: SurveyStatus) -> Iterator[str]:
    """Yields the sections."""
    yield figures(
        {
            "Files": f"{survey.files:,}",
            "Folders": f"{survey.directories:,}",
            "Data": words.size(survey.bytes),
            "Levels of folders": f"{survey.depth:,}",
            "Listed in": survey.listed_in,
            "Opened as a sample": f"{survey.sampled:,}",
        }
    )
    yield _forecast(survey.forecast)
    contents = survey.contents or SurveyContents()
    yield _findings(contents.findings)
    yield _histogram("File sizes", "Number of files by size", contents.sizes, size_label)
    yield _histogram("Age since the last write", "Number of files by age", contents.ages, age_label)
    yield _days(contents)
    yield _tags(contents)
    yield _domains(contents)
    rows = [(one.path, words.size(one.bytes)) for one in contents.largest]
    yield f"<h2>Largest files</h2>{table(('path', 'size'), rows, numbers={1})}" if rows else ""


def _forecast(forecast: SurveyForecast | None) -> str:
    if forecast is None:
        return "<h2>Forecast</h2><p>There is no forecast, because no file could be read.</p>"
    sample = f"{forecast.measured_files:,} files with {words.size(forecast.measured_bytes)}"
    if forecast.basis is Basis.COPY:
        said = f"From a sample that was copied to the destination: {sample}."
    else:
        said = f"From a sample that was only read: {sample}. Writing to the destination takes more time."
    shown = {
        "First copy": forecast.first_copy,
        "Daily run": forecast.daily,
        "Run without changes": forecast.unchanged,
    }
    return f'<h2>Forecast</h2>{figures(shown)}<p class="soft">{text(said)}</p>'


def _findings(findings: Sequence[SurveyFinding]) -> str:
    if not findings:
        return "<h2>Findings</h2><p>Nothing that needs attention was found.</p>"
    lines = "".join(f"<li>{_finding(finding)}</li>" for finding in findings)
    return f"<h2>Findings</h2><ul>{lines}</ul>"


def _finding(finding: SurveyFinding) -> str:
    paths = "".join(f'<p class="soft">{text(path)}</p>' for path in finding.paths)
    head = f"<p><strong>{text(finding.trait.value)}</strong> {text(counted(finding))}</p>"
    shown = f"<details><summary>{len(finding.paths):,} paths</summary>{paths}</details>" if paths else ""
    return f"{head}<p>{text(MEANING[finding.trait])}</p>{shown}"


def _histogram(title: str, said: str, intervals: Sequence[SurveyInterval], label: Any) -> str:
    if not any(one.files for one in intervals):
        return ""
    drawn = bars([(label(one.at_least), one.files) for one in intervals], said)
    rows = [(label(one.at_least), f"{one.files:,}", words.size(one.bytes)) for one in intervals]
    return f"<h2>{title}</h2>{drawn}{table(('', 'files', 'data'), rows, numbers={1, 2})}"


def size_label(least: int) -> str:
    """Returns the name of an interval of sizes."""
    return f"≥ {words.size(least).replace('.0 ', ' ')}" if least else "empty"


def age_label(least: int) -> str:
    """Returns the name of an interval of ages, in days."""
    if not least:
        return "less than a day"
    if least >= _DAYS_IN_YEAR:
        years = least // _DAYS_IN_YEAR
        return f"≥ {years} year" + ("s" if years > 1 else "")
    return f"≥ {least} day" + ("s" if least > 1 else "")


def _days(contents: SurveyContents) -> str:
    rows = [
        (
            f"{one.days_ago * 24} to {one.days_ago * 24 + 24} hours ago",
            f"{one.written_files:,}",
            words.size(one.written_bytes),
            f"{one.changed_files:,}",
        )
        for one in contents.days
    ]
    if not rows:
        return ""
    head = ("", "files written", "data written", "files changed in any way")
    return f"<h2>The last days</h2>{table(head, rows, numbers={1, 2, 3})}"


def _tags(contents: SurveyContents) -> str:
    rows = [(one.tag, one.name, f"{one.count:,}") for one in contents.reparse_points]
    return f"<h2>Reparse points</h2>{table(('tag', 'kind', 'count'), rows, numbers={2})}" if rows else ""


def _domains(contents: SurveyContents) -> str:
    rows = [(one.domain, one.sid, f"{one.count:,}") for one in contents.domains]
    if not rows:
        return ""
    said = (
        "Domains, or servers' own accounts, in owners and access lists of the sample. A server's own accounts mean "
        "nothing to another server."
    )
    head = ("domain", "one of its accounts", "files and folders")
    return f"<h2>Accounts</h2><p>{said}</p>{table(head, rows, numbers={2})}"
