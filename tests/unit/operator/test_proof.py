"""A key is tried by one check of its identity before many agents use it: wrong keys count towards lockout."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.builders import (
    IDENTITY_GOOD,
    NOW,
    SETTINGS,
    ago,
    check_job,
    checked_identity,
    checked_location,
    checks,
    condition,
    ends,
    found,
    identity,
    job_of,
    key_use,
    location,
    pod,
    ready,
    run,
    task,
    transfer_job,
)

from smbferry_api.agent_contract import Stage
from smbferry_api.fields import format_time
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.manifests.jobs import MAX_ATTEMPTS
from smbferry_operator.decide.naming import ANNOTATION_ATTEMPTS_BEFORE
from smbferry_operator.decide.observation import LocationObservation, RunObservation
from smbferry_operator.decide.proof import Proof, newest_proof
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.stages import ANNOTATION_STAGE
from smbferry_operator.model import Identity, Job

REPORTED = {"last_check": format_time(ago(hours=1))}  # it differs from what the status says by now


def judged(generation: int = 1, **verdicts: tuple[str, str]) -> Identity:
    status = {
        "conditions": [*checks(IDENTITY_GOOD, verdicts, generation=generation), ready(generation=generation)],
        "lastCheckTime": format_time(ago(minutes=10)),
    }
    return identity(status=status, generation=generation)


@pytest.mark.parametrize(
    ("subject", "jobs", "proven"),
    [
        pytest.param(judged(), (check_job(**REPORTED, complete=True),), True, id="a check that reported health"),
        pytest.param(judged(), (check_job(**REPORTED, active=1),), True, id="its pod is just ending"),
        pytest.param(judged(), (check_job(last_check=format_time(ago(minutes=10))),), False, id="no report yet"),
        pytest.param(judged(), (), False, id="its Job is long gone"),
        pytest.param(judged(), (check_job(**REPORTED, inputs="2"),), False, id="of another spec"),
        pytest.param(
            judged(TicketAcquired=("False", "KeytabStale")), (check_job(**REPORTED),), False, id="the key was refused"
        ),
        pytest.param(
            judged(TicketAcquired=("False", "AccountDisabled")), (check_job(**REPORTED),), False, id="account disabled"
        ),
        pytest.param(
            judged(KvnoMismatch=("True", "KeytabAhead")), (check_job(**REPORTED),), True, id="an older key works"
        ),
        pytest.param(identity(), (check_job(**REPORTED),), False, id="never judged"),
        pytest.param(identity(deleting=True), (check_job(**REPORTED),), False, id="being deleted"),
    ],
)
def test_what_proves_a_key(subject: Identity, jobs: tuple[Job, ...], proven: bool) -> None:
    assert newest_proof(subject, jobs) == (Proof(ago(minutes=1)) if proven else None)


def test_the_newest_proof_counts() -> None:
    jobs = [check_job(**REPORTED, name=f"check-{age}", created=ago(seconds=age)) for age in (90, 30, 60)]
    assert newest_proof(judged(), jobs) == Proof(ago(seconds=30))


@pytest.mark.parametrize(
    ("key_use_", "waits"),
    [
        pytest.param({}, False, id="nobody was refused"),
        pytest.param({"holder": "somebody"}, False, id="somebody tries it just now, and others after him"),
        pytest.param(key_use(ago(seconds=5)), True, id="an agent was refused since the last check"),
        pytest.param(key_use(ago(minutes=11)), False, id="the last check, which came later, found it well"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_run_starts_at_once_unless_its_key_was_refused(
    key_use_: dict[str, Any], *, waits: bool, dry_run: bool
) -> None:
    svc = checked_identity(status={"keyUse": key_use_})
    made = run(created=ago(seconds=5), dry_run=dry_run)
    decision = decide_run(RunObservation(made, task(), ends(svc)), NOW, SETTINGS)

    assert decision.awaits == (("svc",) if waits else ())
    assert bool(decision.create) is not waits
    assert decision.status is not None
    expected = "IdentityCheckAwaited" if waits else "AgentStarting"
    assert found(decision.status.conditions, "Succeeded") == ("Unknown", expected)


def turned_away(svc: Identity, proof: Proof | None, **job: Any) -> RunObservation:
    """A run whose first agent was refused the key, ten seconds ago."""
    failure = {"class": "Identity", "reason": "KeytabStale", "message": "The KDC refused it."}
    status = {"state": "Preparing", "startTime": format_time(ago(minutes=1)), "attempts": 1, "failure": failure}
    over = {"failed": 1, "failure_reason": "PodFailurePolicy", "finished_at": ago(seconds=10), **job}
    left = pod(phase="Failed", exit_code=11, ended_at=ago(seconds=11))
    made = run(status=status, created=ago(minutes=2))
    return RunObservation(made, task(), ends(svc), (transfer_job(**over),), (left,), proofs={"svc": proof})


@pytest.mark.parametrize(
    ("began", "waits"),
    [
        pytest.param(None, False, id="nobody else uses the account"),
        pytest.param(ago(seconds=3), True, id="another run with another identity of it just begins"),
        pytest.param(ago(seconds=20), False, id="that one does not get on"),
    ],
)
def test_identities_of_one_account_are_used_one_after_the_other(began: datetime | None, *, waits: bool) -> None:
    decision = decide_run(RunObservation(run(), task(), ends(), account_used_at=began), NOW, SETTINGS)
    assert bool(decision.create) is not waits
    assert decision.status is not None
    assert found(decision.status.conditions, "Succeeded") == ("Unknown", "RunQueued" if waits else "AgentStarting")


REFUSED = checked_identity(status={"keyUse": key_use(ago(seconds=11))})


def test_a_run_that_was_refused_its_key_waits_for_a_check_and_has_not_failed() -> None:
    decision = decide_run(turned_away(REFUSED, None), NOW, SETTINGS)
    assert (decision.awaits, decision.create) == (("svc",), ())
    assert decision.status is not None
    assert decision.status.fields["state"] == "Queued"
    assert found(decision.status.conditions, "Succeeded") == ("Unknown", "IdentityCheckAwaited")


def test_it_waits_for_as_long_as_its_identity_is_not_ready() -> None:
    bad = location("src", {"conditions": [condition("Ready", "False", "IdentityNotReady")]})
    seen = turned_away(REFUSED, None)
    decision = decide_run(replace(seen, ends=replace(seen.ends, source=bad)), NOW, SETTINGS)
    assert (decision.awaits, decision.create) == ((), ())
    assert decision.status is not None
    assert found(decision.status.conditions, "Succeeded") == ("Unknown", "LocationNotReady")


def test_it_begins_when_a_check_has_found_a_key_that_works() -> None:
    decision = decide_run(turned_away(checked_identity(), Proof(ago(seconds=9))), NOW, SETTINGS)
    job = job_of(decision)
    assert job["metadata"]["annotations"][ANNOTATION_ATTEMPTS_BEFORE] == "1"
    assert decision.status is not None
    assert decision.status.fields["state"] == "Launching"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        pytest.param({"before": MAX_ATTEMPTS - 1}, "Failed", id="no attempt is left"),
        pytest.param({"stage": Stage.SHARDS.value}, "Failed", id="others have begun to copy"),
        pytest.param({"cancel": True}, "Cancelled", id="it was cancelled"),
    ],
)
def test_a_refused_run_that_can_not_begin_any_more_ends(changes: dict[str, Any], state: str) -> None:
    seen = turned_away(REFUSED, None, **{k: v for k, v in changes.items() if k == "before"})
    if "stage" in changes:
        meta = seen.jobs[0].meta
        marked = replace(meta, annotations={**meta.annotations, ANNOTATION_STAGE: changes["stage"]})
        seen = replace(seen, jobs=(replace(seen.jobs[0], meta=marked),))
    if "cancel" in changes:
        seen = replace(seen, run=replace(seen.run, spec=seen.run.spec.model_copy(update={"cancel": True})))
    decision = decide_run(seen, NOW, SETTINGS)
    assert decision.status is not None
    assert decision.status.fields["state"] == state


def test_a_location_that_is_not_due_asks_for_nothing() -> None:
    decision = decide_location(LocationObservation(checked_location(), checked_identity()), NOW, SETTINGS)

    assert (decision.create, decision.awaits) == ((), ())
    assert decision.check is not None
    assert decision.check.due_at == NOW + timedelta(minutes=50)
    assert decision.requeue_after == timedelta(minutes=50)
