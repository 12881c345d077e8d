"""`smbferry survey`: what the terminal and the page show of a survey, and that no name does harm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent.test_survey_report import survey
from tests.unit.cli.samples import console, rendered
from tests.unit.cli.test_report import Checker

from smbferry_agent.report.sinks import status_fields
from smbferry_agent.report.survey_report import SurveyReport, survey_status
from smbferry_api.exit_codes import ExitCode
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_api.survey_status import SurveyFinding
from smbferry_cli import run as module
from smbferry_cli import tables
from smbferry_cli.cancel import Cancel
from smbferry_cli.html import Facts, page
from smbferry_cli.manifests import load
from smbferry_cli.progress import Lines
from smbferry_cli.reporting import places_of, summary_of
from smbferry_cli.survey_page import age_label, size_label
from smbferry_cli.survey_view import counted
from smbferry_cli.workspace import Workspace
from smbferry_words.survey import MEANING, Trait

if TYPE_CHECKING:
    from smbferry_agent.run_environment import RunEnvironment

EXAMPLES = Path(__file__).parents[3] / "examples" / "basic"


def surveyed(monkeypatch: pytest.MonkeyPatch) -> module.Ended:
    """Surveys the example's task with a result in the place of the agent's."""
    manifests = load([EXAMPLES])

    def run_source_survey(
        _task: object, _environment: RunEnvironment, report: SurveyReport, *, measure_destination: bool
    ) -> ExitCode:
        assert measure_destination
        report.surveyed(survey(paths=20))
        return ExitCode.DONE

    monkeypatch.setattr(module, "run_source_survey", run_source_survey)
    cancel = Cancel(lambda: None, lambda: None)
    with cancel, Workspace() as workspace, Lines(console(terminal=False)[0]) as view:
        task = manifests.resolve("nightly")
        return module.survey(task, manifests, workspace, view, cancel, measure_destination=True)


def test_json_is_a_run_with_the_whole_result(monkeypatch: pytest.MonkeyPatch) -> None:
    run = surveyed(monkeypatch).manifest()
    assert run["spec"] == {
        "taskRef": {"name": "nightly"}, "dryRun": False, "survey": True, "measureDestination": True,
    }  # fmt: skip
    assert run["status"]["state"] == "Succeeded"
    assert len(run["status"]["survey"]["contents"]["findings"][0]["paths"]) == 20


def test_the_terminal_shows_counts_forecast_findings_and_domains() -> None:
    status = TransferRunStatus(state=RunState.SUCCEEDED, survey=survey_status(survey()))
    lines = rendered(tables.summary("nightly", status, dry_run=False), 120)
    text = "\n".join(lines)
    assert "3 files in 2 folders, 4.7 GiB; listed in 1.5s" in lines
    assert "first copy           3h20m" in text
    assert "~7 (at most 9)" in text
    assert "  S-1-5-21-1-2-0, such as S-1-5-21-1-2-0-500" in lines
    assert all(trait.value in text for trait in Trait)


def test_the_page_shows_every_section_and_closes_every_tag() -> None:
    summary = {"run": "nightly", "state": "Succeeded", "survey": status_fields(survey_status(survey()))}
    shown = page(Facts(summary))
    checker = Checker()
    checker.feed(shown)
    assert checker.open == []
    for title in ("Forecast", "Findings", "File sizes", "The last days", "Reparse points", "Accounts", "Largest files"):
        assert f"<h2>{title}</h2>" in shown
    assert "Files copied" not in shown


def test_no_name_becomes_markup() -> None:
    fields = status_fields(survey_status(survey()))
    fields["contents"]["findings"] = [{"trait": "Link", "count": 1, "paths": ["/<script>\u202e</script>"]}]
    fields["contents"]["largest"] = [{"path": "/<b>", "bytes": 1}]
    shown = page(Facts({"run": "r", "survey": fields}))
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("found", [None, [], "text", {"files": "many"}, {"contents": {"findings": [{"trait": "?"}]}}])
def test_a_survey_that_cannot_be_read_is_left_out(found: Any) -> None:
    assert "<h2>Forecast</h2>" not in page(Facts({"run": "r", "survey": found}))


def test_the_page_of_a_run_from_files_names_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    task = load([EXAMPLES]).resolve("nightly")
    summary = {**summary_of(surveyed(monkeypatch).manifest()), **places_of(task)}
    assert task.source.spec.server in page(Facts(summary))
    assert task.destination.spec.server in page(Facts(summary))


@pytest.mark.parametrize(("least", "name"), [(0, "empty"), (1, "≥ 1 B"), (1 << 16, "≥ 64 KiB"), (1 << 32, "≥ 4 GiB")])
def test_names_of_sizes(least: int, name: str) -> None:
    assert size_label(least) == name


@pytest.mark.parametrize(
    ("least", "name"),
    [(0, "less than a day"), (1, "≥ 1 day"), (7, "≥ 7 days"), (365, "≥ 1 year"), (3 * 365, "≥ 3 years")],
)
def test_names_of_ages(least: int, name: str) -> None:
    assert age_label(least) == name


def test_exact_counts_and_estimates_look_different() -> None:
    assert counted(SurveyFinding(trait=Trait.LINK, count=1_000)) == "1,000"
    assert counted(SurveyFinding(trait=Trait.LINK, count=1_000, at_most=2_000)) == "~1,000 (at most 2,000)"


def test_every_trait_has_a_meaning_and_a_row_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "how-to" / "survey.md").read_text()
    assert set(MEANING) == set(Trait)
    assert [trait for trait in Trait if f"`{trait.value}`" not in text] == []
