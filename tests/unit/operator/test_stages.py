"""A run by several agents: survey, shards, finish, whatever comes between."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import (
    NOW,
    PROVEN,
    SETTINGS,
    ago,
    condition,
    ends,
    found,
    job_of,
    location,
    pod,
    run,
    snapshot,
    task,
    transfer_job,
)

from smbferry_api.agent_contract import Stage
from smbferry_api.fields import format_time
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.observation import Claim, RunObservation
from smbferry_operator.decide.proof import Proof
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.stages import ANNOTATION_STAGE

if TYPE_CHECKING:
    from smbferry_operator.model import Job, Manifest, Run

CUTS = {"cuts": [{"path": "/b"}, {"path": "/big", "offset": 1 << 30}]}
STARTED = {"state": "Transferring", "startTime": format_time(ago(minutes=5))}
TRANSFERRING = {"phases": {"transfer": {"state": "Running"}}}


def seen(observed: Run, *jobs: Job, agents: int = 4, **more: Any) -> RunObservation:
    shared = task(agent={"parallelism": agents})
    return RunObservation(observed, shared, ends(), jobs, more.pop("pods", ()), proofs={"svc": PROVEN}, **more)


def staged(stage: Stage, **given: Any) -> Job:
    taken = snapshot(agent={"parallelism": given.pop("agents", 4), **given.pop("agent", {})})
    job = transfer_job(name=given.pop("name", f"xrun-{stage}"), task=taken, **given)
    job.meta.annotations[ANNOTATION_STAGE] = stage.value  # type: ignore[index]  # the builder's own dictionary
    return job


def complete(stage: Stage, **given: Any) -> Job:
    return staged(stage, complete=True, succeeded=1, finished_at=given.pop("finished_at", ago(seconds=10)), **given)


def stage_in(job: Manifest) -> str:
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return str(arguments[arguments.index("--stage") + 1]) if "--stage" in arguments else "whole"


@pytest.mark.parametrize(
    ("observed", "stage"),
    [
        (seen(run()), "survey"),
        (seen(run(), agents=1), "whole"),
        (seen(run(dry_run=True)), "whole"),
        (seen(run(survey=True)), "whole"),
    ],
)
def test_a_run_by_several_agents_begins_with_a_survey(observed: RunObservation, stage: str) -> None:
    job = job_of(decide_run(observed, NOW, SETTINGS))
    assert stage_in(job) == stage
    assert job["spec"]["completions"] == 1


@pytest.mark.parametrize(
    ("done", "status", "stage", "agents"),
    [
        (Stage.SURVEY, {"split": CUTS}, "shards", 3),
        (Stage.SURVEY, {"split": {"cuts": []}}, "whole", 1),
        (Stage.SURVEY, {}, "whole", 1),  # it never came: whatever happened to it, one agent can do it all
        (Stage.SHARDS, {"split": CUTS}, "finish", 1),
    ],
)
def test_each_stage_is_followed_by_the_next(done: Stage, status: dict[str, Any], stage: str, agents: int) -> None:
    decision = decide_run(seen(run(status={**STARTED, **TRANSFERRING, **status}), complete(done)), NOW, SETTINGS)
    job = job_of(decision)
    assert stage_in(job) == stage
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (agents, agents)
    assert job["metadata"]["name"] != f"xrun-{done}"
    assert decision.claim is not None


@pytest.mark.parametrize(
    ("done", "proof", "waits"),
    [
        (Stage.SURVEY, Proof(ago(seconds=11)), True),
        (Stage.SURVEY, Proof(ago(seconds=10)), False),
        (Stage.SHARDS, None, False),  # one agent alone
    ],
)
def test_shards_wait_until_a_check_has_tried_the_key_again(done: Stage, proof: Proof | None, waits: bool) -> None:
    observed = run(status={**STARTED, **TRANSFERRING, "split": CUTS})
    between = RunObservation(observed, task(), ends(), (complete(done),), proofs={"svc": proof})
    decision = decide_run(between, NOW, SETTINGS)
    assert decision.awaits == (("svc",) if waits else ())
    assert bool(decision.create) is not waits
    assert decision.status is not None
    assert decision.status.fields["state"] == "Transferring"


def test_shards_wait_for_an_identity_that_is_refused_by_now() -> None:
    observed = run(status={**STARTED, **TRANSFERRING, "split": CUTS})
    bad = ends(source=location("src", {"conditions": [condition("Ready", "False", "IdentityNotReady")]}))
    decision = decide_run(RunObservation(observed, task(), bad, (complete(Stage.SURVEY),)), NOW, SETTINGS)
    assert (decision.create, decision.awaits) == ((), ())
    assert decision.status is not None
    assert found(decision.status.conditions, "Succeeded") == ("Unknown", "LocationNotReady")


def test_a_survey_that_has_ended_is_waited_for_until_its_word_arrives() -> None:
    decision = decide_run(seen(run(status=STARTED), complete(Stage.SURVEY, finished_at=NOW)), NOW, SETTINGS)
    assert decision.create == ()
    assert decision.requeue_after == timedelta(seconds=1)


def test_shards_are_an_indexed_job_that_retries_each_by_itself_on_nodes_apart() -> None:
    observed = run(status={**STARTED, "split": CUTS})
    survey = complete(Stage.SURVEY, agent={"activeDeadline": "1h"}, created=ago(minutes=5))
    job = job_of(decide_run(seen(observed, survey), NOW, SETTINGS))
    spec, template = job["spec"], job["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (6, 0)
    assert "backoffLimit" not in spec
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "Ignore"
    assert spec["activeDeadlineSeconds"] == 55 * 60
    assert template["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"


def test_the_state_never_goes_back_between_the_stages() -> None:
    observed = run(status={**STARTED, **TRANSFERRING, "split": CUTS})
    decision = decide_run(seen(observed, complete(Stage.SURVEY)), NOW, SETTINGS)
    assert decision.status is not None
    assert decision.status.fields["state"] == "Transferring"


@pytest.mark.parametrize(
    ("job", "pods", "state"),
    [
        (staged(Stage.SHARDS, active=2), (pod("xrun-shards", phase="Running"),), "Transferring"),
        (staged(Stage.SHARDS, active=2), (pod("xrun-shards", phase="Running"), pod("xrun-shards")), "Transferring"),
        (
            staged(Stage.SHARDS, active=1, succeeded=1),
            (
                pod("xrun-shards", phase="Succeeded", exit_code=0),
                pod("xrun-shards", name="late", created=ago(seconds=5), unschedulable="no room"),
            ),
            "Queued",
        ),
        (
            staged(Stage.SHARDS, active=1),
            (
                pod("xrun-shards", phase="Running"),
                pod("xrun-shards", name="late", created=ago(seconds=5), unschedulable="no room"),
            ),
            "Transferring",
        ),
    ],
)
def test_shards_under_way(job: Job, pods: tuple[Any, ...], state: str) -> None:
    decision = decide_run(seen(run(status={**STARTED, **TRANSFERRING, "split": CUTS}), job, pods=pods), NOW, SETTINGS)
    found = decision.status.fields["state"] if decision.status is not None else STARTED["state"]
    assert found == state


def test_a_shard_that_was_given_up_fails_the_run_with_what_its_agent_said() -> None:
    failure = {"class": "Network", "reason": "ServerUnreachable", "message": "no answer", "remedy": "look"}
    observed = run(status={**STARTED, "split": CUTS, "failure": failure})
    job = staged(
        Stage.SHARDS, before=1, failed=7, failure_reason="MaxFailedIndexesExceeded", finished_at=ago(seconds=9)
    )
    decision = decide_run(seen(observed, complete(Stage.SURVEY), job), NOW, SETTINGS)
    assert decision.status is not None
    assert decision.status.fields["state"] == "Failed"
    (succeeded,) = (c for c in decision.status.conditions if c.type == "Succeeded")
    assert succeeded.reason == "ServerUnreachable"
    assert "after 7 attempts" in succeeded.message


@pytest.mark.fault(42)
def test_shards_that_were_deleted_by_hand_are_made_anew_under_another_name() -> None:
    observed = run(status={**STARTED, "split": CUTS, "attempts": 3})
    first = job_of(decide_run(seen(run(status={**STARTED, "split": CUTS}), complete(Stage.SURVEY)), NOW, SETTINGS))
    again = job_of(decide_run(seen(observed, complete(Stage.SURVEY)), NOW, SETTINGS))
    assert stage_in(again) == "shards"
    assert again["metadata"]["name"] != first["metadata"]["name"]


@pytest.mark.parametrize("done", [Stage.SURVEY, Stage.SHARDS])
def test_a_cancelled_run_does_not_go_on(done: Stage) -> None:
    decision = decide_run(seen(run(status={**STARTED, "split": CUTS}, cancel=True), complete(done)), NOW, SETTINGS)
    assert decision.create == ()
    assert decision.status is not None
    assert decision.status.fields["state"] == "Cancelled"


def test_a_writer_that_came_between_two_stages_is_waited_for() -> None:
    here = Destination.parse("//files.corp.example.com:445/dst")
    claims = (Claim("team/other", "uid-other", here, writing=True, since=NOW),)
    observed = run(status={**STARTED, **TRANSFERRING, "split": CUTS})
    decision = decide_run(seen(observed, complete(Stage.SHARDS), claims=claims), NOW, SETTINGS)
    assert decision.create == ()
    assert decision.status is not None
    assert decision.status.fields["state"] == "Queued"


def test_whoever_only_waits_lets_a_run_go_on_that_has_begun() -> None:
    here = Destination.parse("//files.corp.example.com:445/dst")
    claims = (Claim("team/other", "uid-other", here, writing=False, since=ago(days=1)),)
    decision = decide_run(
        seen(run(status={**STARTED, "split": CUTS}), complete(Stage.SHARDS), claims=claims), NOW, SETTINGS
    )
    assert stage_in(job_of(decision)) == "finish"


def test_no_stage_begins_while_an_agent_of_the_one_before_may_live() -> None:
    pods = (pod("xrun-shards", phase="Running"),)
    observed = run(status={**STARTED, "split": CUTS})
    decision = decide_run(seen(observed, complete(Stage.SHARDS), pods=pods), NOW, SETTINGS)
    assert decision.create == ()


@pytest.mark.parametrize("cancel", [False, True])
def test_shards_that_were_deleted_by_hand_have_ended_before_anything_else_happens(cancel: bool) -> None:
    observed = run(status={**STARTED, "split": CUTS, "attempts": 3}, cancel=cancel)
    pods = (pod("xrun-deleted-shards", phase="Running"),)
    decision = decide_run(seen(observed, complete(Stage.SURVEY), pods=pods), NOW, SETTINGS)
    assert decision.create == ()
    assert decision.status is None


@pytest.mark.parametrize(("code", "state"), [(0, "Succeeded"), (3, "PartiallySucceeded")])
def test_the_finish_ends_the_run(code: int, state: str) -> None:
    job = (
        complete(Stage.FINISH, before=5)
        if code == 0
        else staged(
            Stage.FINISH,
            before=5,
            failed=1,
            failure_reason="PodFailurePolicy",
            failure_message=f"Container agent for pod x failed with exit code {code} matching FailJob rule at index 1",
            finished_at=ago(seconds=9),
        )
    )
    jobs = (complete(Stage.SURVEY), complete(Stage.SHARDS, before=1), job)
    decision = decide_run(seen(run(status={**STARTED, "split": CUTS}), *jobs), NOW, SETTINGS)
    assert decision.status is not None
    assert decision.status.fields["state"] == state
