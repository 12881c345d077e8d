"""Limits of a location, and the order of runs, as a person writes them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from smbferry_api.crd import KINDS, crd
from smbferry_api.location import CONCURRENT_RUNS_POSITIVE, RATE_POSITIVE, LocationLimits
from smbferry_api.run import ResolvedTask, TransferRunSpec


@pytest.mark.fault(183)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"concurrentRuns": 0}, CONCURRENT_RUNS_POSITIVE["message"]),
        ({"concurrentRuns": -1}, CONCURRENT_RUNS_POSITIVE["message"]),
        ({"bytesPerSecond": 0}, RATE_POSITIVE["message"]),
        ({"bytesPerSecond": "0"}, RATE_POSITIVE["message"]),
        ({"bytesPerSecond": "0.5"}, RATE_POSITIVE["message"]),
        ({"bytesPerSecond": -5}, RATE_POSITIVE["message"]),
        ({"bytesPerSecond": "fast"}, "expected a byte quantity"),
    ],
)
def test_a_limit_of_zero_is_refused_in_words_that_say_what_to_do(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        LocationLimits.model_validate(fields)
    assert message in str(caught.value)


def test_the_api_server_refuses_the_same_by_rules_in_the_same_words() -> None:
    location = next(crd(kind) for kind in KINDS if kind.kind == "SmbLocation")
    spec = location["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    assert spec["properties"]["limits"]["x-kubernetes-validations"] == [CONCURRENT_RUNS_POSITIVE, RATE_POSITIVE]


@pytest.mark.parametrize(
    ("limits", "rate"), [({}, None), ({"bytesPerSecond": "2Mi"}, 2 << 20), ({"bytesPerSecond": 7}, 7)]
)
def test_what_is_left_out_is_no_limit(limits: dict[str, Any], rate: int | None) -> None:
    assert LocationLimits.model_validate(limits).rate == rate
    assert LocationLimits.model_validate(limits).concurrent_runs is None


@pytest.mark.parametrize(
    ("own", "share", "rate"), [(None, None, None), ("1Mi", None, 1 << 20), ("1Mi", 9, 9), ("5", 9, 5)]
)
def test_an_agent_starts_by_the_lower_of_its_tasks_limit_and_its_share(
    own: str | None, share: int | None, rate: int | None
) -> None:
    end: dict[str, Any] = {
        "location": "a",
        "spec": {"server": "fs", "share": "s", "identityRef": {"name": "svc"}},
        "identity": {
            "name": "svc",
            "spec": {
                "principal": "svc@CORP.EXAMPLE.COM",
                "keytabSecretRef": {"name": "k"},
                "krb5ConfigMapRef": {"name": "c"},
            },
        },
    }
    options = {"options": {"bytesPerSecond": own}} if own else {}
    task = ResolvedTask.model_validate(
        {"name": "t", "source": end, "destination": {**end, "location": "b"}, "bytesPerSecond": share, **options}
    )
    assert task.rate == rate


@pytest.mark.parametrize("priority", [-1001, 1001])
def test_a_priority_has_bounds(priority: int) -> None:
    with pytest.raises(ValidationError):
        TransferRunSpec.model_validate({"taskRef": {"name": "t"}, "priority": priority})
