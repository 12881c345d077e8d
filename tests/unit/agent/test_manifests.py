"""Objects as an API server gives them whose definitions are newer than the agent."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.operator.builders import run_body, snapshot
from tests.unit.operator.test_newer_crds import with_defaults

from smbferry_agent.errors import AgentError
from smbferry_agent.manifests import run_task


def test_a_run_with_fields_that_the_agent_does_not_know_is_done_all_the_same() -> None:
    assert run_task(with_defaults(run_body())) == run_task(run_body())


def test_an_option_that_it_knows_but_not_this_word_of_it_stops_the_run_by_name() -> None:
    task: dict[str, Any] = {**snapshot(), "options": {"deletedFiles": "MoveAside"}}

    with pytest.raises(AgentError, match=r"spec\.task\.options\.deletedFiles"):
        run_task(run_body(task=task))
