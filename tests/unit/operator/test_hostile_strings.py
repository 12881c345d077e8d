"""What a person wrote reaches no command line and no environment of a pod: Kubernetes would expand $(NAME) in both."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    PROVEN,
    SETTINGS,
    ago,
    checked_identity,
    ends,
    recorded,
    run,
    snapshot,
    task,
    transfer_job,
)

from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.run import decide_run

HOSTILE = ["$(KUBERNETES_SERVICE_HOST)", "`id`", "';rm -rf #", "--option=x", "&&id"]


@pytest.mark.fault(59)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_runs_job_repeats_nothing_of_paths_filters_and_principals(text: str) -> None:
    taken = snapshot(src_path=f"/{text}", dst_path=f"/{text}")
    taken["filters"] = {"include": [f"/{text}"]}
    taken["source"]["spec"] |= {"path": f"/{text}"}
    taken["source"]["identity"]["spec"]["principal"] = f"{text.replace(' ', '-')}@CORP.EXAMPLE.COM"
    before = transfer_job(task=taken, failed=1, failure_reason="PodFailurePolicy", finished_at=ago(seconds=9))
    refused = run(status={"failure": {"class": "identity", "reason": "KeytabStale", "message": "It was changed."}})
    who = {"svc": replace(checked_identity(), spec=recorded(taken).task.source.identity.spec)}
    seen = RunObservation(refused, task(), ends(), (before,), identities=who, proofs={"svc": PROVEN})
    decision = decide_run(seen, NOW, SETTINGS)
    (job,) = [body for body in decision.create if body["kind"] == "Job"]
    for container in job["spec"]["template"]["spec"]["containers"]:
        told = [container.get(key) for key in ("command", "args", "env")]
        assert json.dumps(text, ensure_ascii=False)[1:-1] not in json.dumps(told, ensure_ascii=False)
        assert plain(container.get("args", []))


def plain(arguments: list[Any]) -> bool:
    """Whether these are words that neither a shell nor Kubernetes would read as more."""
    return all(isinstance(word, str) and not set("$`'\"\n;&|<>") & set(word) for word in arguments)
