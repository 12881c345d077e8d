from datetime import timedelta

import pytest
from tests.support.builders import (
    LOCATION_GOOD,
    NOW,
    SETTINGS,
    ago,
    check_job,
    checked_identity,
    checked_location,
    checks,
    condition,
    found,
    identity,
    location,
)
from tests.unit.operator.decision_cases import Case, as_written, cases

from smbferry_api.fields import format_time
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.observation import LocationObservation

REFUSED = identity(
    status={"conditions": [condition("Ready", "False", "KeytabStale"), condition("Stalled", "True", "KeytabStale")]}
)


def is_due(decision: Decision) -> bool:
    return decision.check is not None and decision.check.due_at <= NOW


@pytest.mark.parametrize("case", cases("location-identity"), ids=lambda case: case.name)
def test_without_a_good_identity_there_is_one_condition_and_no_probe(case: Case) -> None:
    decision = case.decide()

    assert as_written(decision) == case.expected(decision)
    assert decision.check is None


def test_the_identitys_own_words_are_passed_on() -> None:
    decision = decide_location(LocationObservation(location(), REFUSED), NOW, SETTINGS)

    assert decision.status is not None
    message = decision.status.conditions[0].message
    assert message == "KerberosIdentity svc is not Ready: KeytabStale: KeytabStale."


def test_a_good_verdict_stands_while_the_identity_is_checked_again() -> None:
    changed = checked_identity(generation=1)
    edited = identity(status={"conditions": [condition("Ready", "True", "ChecksPassed", generation=1)]}, generation=2)

    decision = decide_location(LocationObservation(checked_location(), edited), NOW, SETTINGS)
    settled = decide_location(LocationObservation(checked_location(), changed), NOW, SETTINGS)

    assert decision.check is None
    assert not is_due(settled)
    assert decision.status is None or found(decision.status.conditions, "Ready") == ("True", "ChecksPassed")


def test_an_identity_that_recovered_has_its_locations_probed_before_they_are_ready() -> None:
    since = ago(minutes=1)
    healed = identity(status={"conditions": [condition("Ready", "True", "ChecksPassed", at=since)]})
    status = {
        "conditions": [*checks(LOCATION_GOOD), condition("Ready", "False", "IdentityNotReady")],
        "identityGeneration": 1,
        "lastCheckTime": format_time(ago(minutes=9)),
    }
    before = decide_location(LocationObservation(location(status=status), healed), NOW, SETTINGS)
    probed = {**status, "lastCheckTime": format_time(ago(seconds=10))}
    job = check_job(
        inputs="1.1",
        epoch=format_time(since),
        last_check=format_time(ago(minutes=9)),
        complete=True,
        finished_at=ago(seconds=9),
    )
    after = decide_location(LocationObservation(location(status=probed), healed, (job,)), NOW, SETTINGS)

    assert is_due(before)
    assert before.status is None or found(before.status.conditions, "Ready") == ("False", "IdentityNotReady")
    assert after.status is not None
    assert found(after.status.conditions, "Ready") == ("True", "ChecksPassed")
    assert found(after.status.conditions, "Reconciling") is None


def test_a_changed_identity_has_its_locations_probed() -> None:
    newer = checked_identity(generation=2)

    decision = decide_location(LocationObservation(checked_location(), newer), NOW, SETTINGS)

    assert is_due(decision)
    assert decision.status is not None
    assert found(decision.status.conditions, "Ready") == ("True", "ChecksPassed"), "until the probe has ended"


def test_a_location_without_change_waits_for_its_time() -> None:
    decision = decide_location(LocationObservation(checked_location(), checked_identity()), NOW, SETTINGS)

    assert not is_due(decision)
    assert decision.requeue_after == timedelta(minutes=50)


def test_a_server_without_encryption_needs_a_person() -> None:
    reported = checks(LOCATION_GOOD, Encrypted=("False", "EncryptionNotSupported"))
    status = {"conditions": reported, "identityGeneration": 1, "lastCheckTime": format_time(ago(seconds=5))}
    since = format_time(checked_identity().status.conditions[-1].last_transition_time)
    job = check_job(inputs="1.1", epoch=since, failure_reason="PodFailurePolicy", finished_at=ago(seconds=9))

    decision = decide_location(LocationObservation(location(status=status), checked_identity(), (job,)), NOW, SETTINGS)

    assert decision.status is not None
    assert found(decision.status.conditions, "Ready") == ("False", "EncryptionNotSupported")
    assert found(decision.status.conditions, "Stalled") == ("True", "EncryptionNotSupported")
