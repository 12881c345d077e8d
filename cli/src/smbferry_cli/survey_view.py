"""Renders the result of a survey for a terminal. Pure."""

from collections.abc import Iterator
from typing import Final

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from smbferry_agent.report import words
from smbferry_api.survey_status import SurveyFinding, SurveyForecast, SurveyStatus
from smbferry_cli.text import safe
from smbferry_words.survey import MEANING, Basis

_PATHS: Final = 3
_DOMAINS: Final = 8


def survey_view(survey: SurveyStatus) -> Iterator[RenderableType]:
    """Yields counts, forecast, findings and domains."""
    yield Text(
        f"{survey.files:,} files in {survey.directories:,} folders, {words.size(survey.bytes)}; listed in "
        f"{survey.listed_in}"
    )
    yield Text()
    yield from _forecast(survey.forecast)
    contents = survey.contents
    if contents is None:
        return
    if contents.findings:
        yield Text()
        yield _findings(contents.findings)
        if any(finding.at_most is not None for finding in contents.findings):
            yield Text(f"~ is an estimate from a random sample of {survey.sampled:,} files and folders.", "dim")
    if contents.domains:
        yield Text()
        yield Text("Accounts in owners and access lists are of these domains or servers:")
        for domain in contents.domains[:_DOMAINS]:
            yield Text(f"  {safe(domain.domain)}, such as {safe(domain.sid)}")


def _forecast(forecast: SurveyForecast | None) -> Iterator[RenderableType]:
    if forecast is None:
        yield Text("There is no forecast, because no file could be read.")
        return
    sample = f"{forecast.measured_files:,} files with {words.size(forecast.measured_bytes)}"
    if forecast.basis is Basis.COPY:
        yield Text(f"Forecast, from a sample that was copied ({sample}):")
    else:
        yield Text(f"Forecast of reading only, from a sample that was read ({sample}):")
    table = Table.grid(padding=(0, 2))
    for what, duration in (
        ("  first copy", forecast.first_copy),
        ("  daily run", forecast.daily),
        ("  run without changes", forecast.unchanged),
    ):
        table.add_row(what, duration)
    yield table
    if forecast.basis is Basis.READ:
        yield Text("Runs take longer. Measure the destination for a forecast of copying.", "dim")


def _findings(findings: tuple[SurveyFinding, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("FOUND", no_wrap=True)
    table.add_column("COUNT", justify="right", no_wrap=True)
    table.add_column("MEANING AND EXAMPLES", overflow="fold")
    for finding in findings:
        said = "\n".join([MEANING[finding.trait], *(f"  {safe(path)}" for path in finding.paths[:_PATHS])])
        table.add_row(finding.trait.value, counted(finding), Text(said))
    return table


def counted(finding: SurveyFinding) -> str:
    """Returns the count of a finding, an estimate with its upper bound."""
    if finding.at_most is None:
        return f"{finding.count:,}"
    return f"~{finding.count:,} (at most {finding.at_most:,})"
