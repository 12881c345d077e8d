"""A run that surveys its source: which sides it reaches, and what the engine is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import snapshot
from tests.unit.agent.test_survey_report import survey

from smbferry_agent import run as run_module
from smbferry_agent import survey as module
from smbferry_agent.report.survey_report import SurveyReport
from smbferry_agent.run_environment import Identities, RunEnvironment
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.run import ResolvedTask, TransferRunSpec
from smbferry_engine import Control

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("measures", [False, True])
def test_the_destination_is_reached_only_to_measure_it(
    measures: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prepared: list[Side] = []
    asked: list[tuple[Any, ...]] = []

    def prepare(side: Side, *_: object) -> str:
        prepared.append(side)
        return side.value

    def survey_source(source: str, destination: str | None, *_: object, control: Control, base: str) -> object:
        del control
        asked.append((source, destination, base))
        return survey()

    monkeypatch.setattr(run_module, "_prepare", prepare)
    monkeypatch.setattr(module, "survey_source", survey_source)
    task = ResolvedTask.model_validate(snapshot(dst_path="/new"))
    environment = RunEnvironment(Identities({}, scratch=tmp_path), Control())
    report = SurveyReport()
    assert module.run_source_survey(task, environment, report, measure_destination=measures) is ExitCode.DONE
    assert prepared == [Side.SOURCE, *([Side.DESTINATION] if measures else [])]
    (found,) = asked
    assert found[:2] == ("source", "destination" if measures else None)
    assert report.status().survey is not None


@pytest.mark.parametrize(
    ("fields", "copies", "writes"),
    [
        ({}, True, True),
        ({"dryRun": True}, False, False),
        ({"survey": True}, False, False),
        ({"survey": True, "measureDestination": True}, False, True),
    ],
)
def test_which_runs_copy_and_which_write(fields: dict[str, bool], copies: bool, writes: bool) -> None:
    spec = TransferRunSpec.model_validate({"taskRef": {"name": "t"}, **fields})
    assert (spec.copies, spec.writes) == (copies, writes)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"survey": True, "dryRun": True}, "cannot combine survey with dryRun"),
        ({"measureDestination": True}, "measureDestination requires survey: true"),
    ],
)
def test_kinds_of_runs_that_exclude_each_other(fields: dict[str, bool], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TransferRunSpec.model_validate({"taskRef": {"name": "t"}, **fields})
