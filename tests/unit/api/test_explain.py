"""An invalid manifest is described by field, by what was expected and by what was found."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from smbferry_api.explain import explain
from smbferry_api.task import TransferTaskSpec

TASK: dict[str, Any] = {"source": {"locationRef": {"name": "a"}}, "destination": {"locationRef": {"name": "b"}}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optoins": {}}, 'spec: unknown field "optoins"; did you mean "options"?'),
        ({"options": {"verfyMode": "None"}}, 'spec.options: unknown field "verfyMode"; did you mean "verifyMode"?'),
        ({"source": {"locationRef": {"name": "a", "nam": "b"}}}, 'spec.source.locationRef: unknown field "nam"; '),
        ({"qqq": 1}, 'spec: unknown field "qqq"'),
        ({"source": {}}, "spec.source.locationRef: required field is missing"),
        (
            {"schedule": {"cron": "0 2 * *"}},
            'spec.schedule.cron: expected five fields such as "0 2 * * *", or a word such as @daily, got "0 2 * *"',
        ),
        ({"schedule": {"cron": "0 25 * * *"}}, 'spec.schedule.cron: expected the hour to be 0 to 23, got "0 25 * * *"'),
        ({"concurrency": "Wait\u202e\n"}, r'spec.concurrency: expected "Queue" or "Skip", got "Wait\u202e\n"'),
        (
            {"schedule": {"cron": "0 2\x1b"}},
            r'spec.schedule.cron: expected five fields such as "0 2 * * *", or a word such as @daily, got "0 2\u001b"',
        ),
        ({"concurrency": "Wait"}, 'spec.concurrency: expected "Queue" or "Skip", got "Wait"'),
        ({"agent": {"parallelism": 0}}, "spec.agent.parallelism: expected at least 1, got 0"),
        ({"agent": {"parallelism": "many"}}, 'spec.agent.parallelism: expected an integer, got "many"'),
        ({"source": "a"}, 'spec.source: expected an object, got "a"'),
        ({"filters": {"exclude": [""]}}, 'spec.filters.exclude.0: expected at least 1 character(s), got ""'),
        ({"suspend": [True]}, "spec.suspend: expected true or false"),
    ],
)
def test_every_problem_is_named_in_plain_words(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TransferTaskSpec.model_validate({**TASK, **change})
    described = explain(caught.value, "spec", TransferTaskSpec)
    assert described.startswith(said)
    assert "Input should" not in described


def test_a_long_value_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        TransferTaskSpec.model_validate({**TASK, "concurrency": "x" * 200})
    assert explain(caught.value, "spec") == 'spec.concurrency: expected "Queue" or "Skip"'
