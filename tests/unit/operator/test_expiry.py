"""How long runs are kept that have ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import NOW, SETTINGS, ago, ends, run, run_body, task
from tests.unit.operator.world import World

from smbferry_api.fields import format_time
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.run import decide_run
from smbferry_operator.model import Key, Kind
from smbferry_operator.parse import parse_run

DAY = 24 * 60 * 60
KEEPING = replace(SETTINGS, run_ttl=None)
ARGO = {"annotations": {"argocd.argoproj.io/tracking-id": "app:smbferry.io/TransferRun:team/run"}}
FLUX = {"labels": {"kustomize.toolkit.fluxcd.io/name": "team"}}
HELM = {"annotations": {"meta.helm.sh/release-name": "team"}}
KUBECTL = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}


def ended(days: float, ttl: str | None = None, *meta: dict[str, Any], state: str = "Succeeded") -> dict[str, Any]:
    """A run that ended so long ago."""
    body = run_body(status={"state": state, "completionTime": format_time(ago(days=days))})
    body["spec"] |= {"ttlAfterFinished": ttl} if ttl else {}
    for fields in meta:
        body["metadata"] |= fields
    return body


OWNED = {"ownerReferences": [{"uid": "uid-nightly", "controller": True}]}


@pytest.mark.fault(124)
@pytest.mark.parametrize(
    ("body", "left"),
    [
        pytest.param(ended(1), 6 * DAY, id="made by hand, young"),
        pytest.param(ended(8), 0, id="made by hand, old"),
        pytest.param(ended(8, state="Failed"), 0, id="failed, old"),
        pytest.param(ended(8, None, KUBECTL), 0, id="applied by hand, old"),
        pytest.param(ended(8, None, OWNED), None, id="of a task: its history says which are kept"),
        pytest.param(ended(80, None, ARGO), None, id="of Argo CD, which would make it anew"),
        pytest.param(ended(80, None, FLUX), None, id="of Flux, too"),
        pytest.param(ended(80, None, HELM), None, id="of a Helm release, too"),
        pytest.param(ended(1, "25h"), 60 * 60, id="as it says itself, later"),
        pytest.param(ended(2, "25h"), 0, id="as it says itself"),
        pytest.param(ended(0, "0s"), 0, id="at once"),
        pytest.param(ended(80, "Never"), None, id="never"),
        pytest.param(ended(2, "25h", ARGO), 0, id="tracked, and says so itself"),
        pytest.param(ended(2, "25h", OWNED), 0, id="of a task, and says so itself"),
    ],
)
def test_a_run_is_removed_when_its_time_is_over(body: dict[str, Any], left: float | None) -> None:
    decision = decide_run(RunObservation(parse_run(body), task(), ends()), NOW, SETTINGS)

    assert [key.name for key in decision.delete] == (["run"] if left == 0 else [])
    assert [event.reason.name for event in decision.events] == (["RunExpired"] if left == 0 else [])
    assert decision.requeue_after == (timedelta(seconds=left) if left else None)
    assert decision.status is None


def test_an_installation_may_keep_them() -> None:
    assert not decide_run(RunObservation(parse_run(ended(800)), task(), ends()), NOW, KEEPING).delete


@pytest.mark.fault(124)
@pytest.mark.parametrize("state", ["Queued", "Transferring", "Cancelling"])
def test_a_run_that_goes_on_is_never_removed(state: str) -> None:
    going_on = run(status={"state": state}, created=ago(days=80))

    assert not any(
        key.kind is Kind.RUN for key in decide_run(RunObservation(going_on, task(), ends()), NOW, SETTINGS).delete
    )


@pytest.mark.fault(124)
def test_it_is_removed_by_its_uid_so_that_a_namesake_made_since_stays() -> None:
    world = World((Kind.RUN, ended(8)))
    world.settle(Key(Kind.RUN, "team", "run"))

    assert world.memory.deleted == [(Key(Kind.RUN, "team", "run"), "uid-run")]
