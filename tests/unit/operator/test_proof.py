"""A key is tried by one check of its identity before many agents use it: wrong keys count towards lockout."""

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.operator.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    NOW,
    SETTINGS,
    ago,
    check_job,
    checked_identity,
    checked_location,
    checks,
    ends,
    found,
    identity,
    location,
    ready,
    run,
    task,
)

from smbferry_api.fields import format_time
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.observation import LocationObservation, RunObservation
from smbferry_operator.decide.proof import Proof, newest_proof
from smbferry_operator.decide.run import decide_run
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
    ("proofs", "waits_for"),
    [
        pytest.param({"svc": None}, ("svc",), id="nothing known"),
        pytest.param({"svc": Proof(ago(seconds=6))}, ("svc",), id="tried before the run was made"),
        pytest.param({"svc": Proof(ago(seconds=5))}, (), id="tried in the second that it was made"),
        pytest.param({"svc": Proof(NOW)}, (), id="tried since"),
        pytest.param({"other": None}, (), id="another's identity"),
        pytest.param({}, (), id="an identity that is gone can't be waited for"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_run_waits_until_its_keys_were_tried(
    proofs: dict[str, Proof | None], waits_for: tuple[str, ...], dry_run: bool
) -> None:
    made = run(created=ago(seconds=5), dry_run=dry_run)
    decision = decide_run(RunObservation(made, task(), ends(), proofs=proofs), NOW, SETTINGS)

    assert decision.awaits == waits_for
    assert bool(decision.create) is not bool(waits_for)
    assert decision.status is not None
    expected = "IdentityCheckAwaited" if waits_for else "AgentStarting"
    assert found(decision.status.conditions, "Succeeded") == ("Unknown", expected)


def looked_at(seconds_ago: float, **status: Any) -> LocationObservation:
    """A location that is due again; its last check was made so long ago."""
    due = {
        "conditions": [*checks(LOCATION_GOOD, ShareAccessible=("False", "ShareNotFound")), ready()],
        "identityGeneration": 1,
        "lastCheckTime": format_time(ago(minutes=2)),
        "nextCheckTime": format_time(ago(seconds=1)),
    }
    epoch = format_time(checked_identity().status.conditions[-1].last_transition_time)
    job = check_job(
        inputs="1.1", epoch=epoch, created=ago(seconds=seconds_ago), complete=True, finished_at=ago(seconds=61)
    )
    return LocationObservation(location(status=due), checked_identity(), (job,), **status)


@pytest.mark.parametrize(
    ("seen", "launches"),
    [
        pytest.param(looked_at(90), False, id="its identity's key was not tried lately"),
        pytest.param(looked_at(90, proof=Proof(ago(seconds=95))), False, id="not since the last check"),
        pytest.param(looked_at(90, proof=Proof(ago(seconds=5))), True, id="tried since the last check"),
        pytest.param(
            looked_at(90, proof=Proof(ago(seconds=5)), doubted_at=ago(seconds=4)),
            False,
            id="a run was refused since it was tried",
        ),
        pytest.param(
            looked_at(90, proof=Proof(ago(seconds=3)), doubted_at=ago(seconds=4)), True, id="tried since then, too"
        ),
    ],
)
def test_a_due_location_waits_until_its_identitys_key_was_tried(seen: LocationObservation, launches: bool) -> None:
    decision = decide_location(seen, NOW, SETTINGS)

    assert bool(decision.create) is launches
    assert decision.awaits == (() if launches else ("svc",))
    assert bool(decision.apply) is launches


def test_a_location_that_is_not_due_asks_for_nothing() -> None:
    decision = decide_location(LocationObservation(checked_location(), checked_identity()), NOW, SETTINGS)

    assert (decision.create, decision.awaits) == ((), ())
    assert decision.requeue_after == timedelta(minutes=50)
