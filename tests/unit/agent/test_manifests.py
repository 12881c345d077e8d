"""Objects as an API server gives them whose definitions are newer than the agent."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from tests.support.builders import run_body, snapshot
from tests.unit.operator.test_newer_crds import defaulted, with_defaults

from smbferry_agent.errors import AgentError
from smbferry_agent.manifests import recorded_task, run_spec
from smbferry_api.run import ResolvedTask
from smbferry_api.snapshot import PART, VARIABLE, environment_of, identities_of


@pytest.mark.fault(130)
def test_a_run_with_fields_that_the_agent_does_not_know_is_done_all_the_same() -> None:
    assert run_spec(with_defaults(run_body())) == run_spec(run_body())


def held(task: dict[str, Any]) -> dict[str, str]:
    """As an agent's environment holds it."""
    return {VARIABLE: base64.b64encode(json.dumps(task).encode()).decode()}


def test_a_snapshot_is_read_from_the_agents_own_environment() -> None:
    task = ResolvedTask.model_validate({**snapshot(src_path="/a$(PATH)$$"), "options": {"bytesPerSecond": "4Mi"}})

    assert recorded_task(environment_of(task)) == task
    usual = ResolvedTask.model_validate(snapshot())
    assert recorded_task(held(defaulted(snapshot())) | identities_of(usual)) == usual


def test_a_long_snapshot_is_held_in_several_variables() -> None:
    patterns = [f"/{random.Random(n).randbytes(500).hex()}" for n in range(256)]
    task = ResolvedTask.model_validate({**snapshot(), "filters": {"exclude": patterns}})
    held = environment_of(task)

    assert len(held) > 1 + len(identities_of(task))
    assert max(map(len, held.values())) <= PART
    assert recorded_task(held) == task


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "no such variable"),
        ({VARIABLE: "{}"}, "ase64"),
        ({VARIABLE: base64.b64encode(b"\xff").decode()}, "utf-8"),
        (held([]), "ResolvedTask"),  # type: ignore[arg-type]  # no task at all
        (held({**snapshot(), "options": {"deletedFiles": "MoveAside"}}), r"options\.deletedFiles"),
    ],
)
def test_without_a_snapshot_that_can_be_read_the_run_stops_by_name(environment: dict[str, str], said: str) -> None:
    with pytest.raises(AgentError, match=said):
        recorded_task(environment)
