"""Events for the sink are noted by the write that makes the change, and crossed out once they are accepted."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    NOW,
    ago,
    checks,
    condition,
    identity_body,
    location_body,
    ready,
    run_body,
)
from tests.unit.operator.world import KNOWN, World, good, settled

from smbferry_api.conditions import Condition
from smbferry_api.fields import format_time
from smbferry_api.undelivered import FIELD, MAX_UNDELIVERED, EventKind, UndeliveredEvent
from smbferry_operator.decide.decision import Decision, OwnedStatus
from smbferry_operator.decide.undelivered import KEPT_FOR_EVENTS, event_id, is_kept, noted, undelivered
from smbferry_operator.model import Key, Kind, Manifest

LOCATION, RUN, IDENTITY = (
    Key(Kind.LOCATION, "team", "src"),
    Key(Kind.RUN, "team", "one"),
    Key(Kind.IDENTITY, "team", "svc"),
)
NOON = format_time(NOW)
CHANGED = {"type": "ReadinessChanged", "time": NOON, "ready": "False", "previous": "True", "reason": "X"}
ENDED = {"type": "RunEnded", "time": NOON}


def becomes(status: str, before: str | None = None) -> list[dict[str, Any]] | None:
    """The events noted when Ready changes."""
    conditions = [condition("Ready", before)] if before else []
    after = Condition.model_validate(condition("Ready", status, at=NOW))
    decision = Decision(status=OwnedStatus((after,), {}))
    made = noted(
        LOCATION,
        location_body(status={"conditions": conditions}),
        decision,
        is_delivered=lambda _: False,
        is_kept=lambda _: False,
    )
    assert made.status is not None
    found: list[dict[str, Any]] | None = made.status.fields[FIELD]
    return found


@pytest.mark.parametrize(
    ("before", "after", "is_noted"),
    [
        (None, "True", True),
        ("Unknown", "True", True),
        ("True", "False", True),
        ("False", "True", True),
        ("True", "True", False),
        ("True", "Unknown", False),
        (None, "Unknown", False),
    ],
)
def test_readiness_that_changes_is_noted_once_it_is_known(before: str | None, after: str, is_noted: bool) -> None:
    found = becomes(after, before)

    expected = {**CHANGED, "ready": after, "previous": before or "Unknown"}
    assert found == ([expected] if is_noted else None)


def test_only_the_newest_changes_are_kept() -> None:
    old = [{**CHANGED, "time": format_time(ago(minutes=30 - n))} for n in range(MAX_UNDELIVERED)]
    body = location_body(status={"conditions": [ready()], FIELD: old})
    after = Condition.model_validate(condition("Ready", "False", at=NOW))
    made = noted(
        LOCATION,
        body,
        Decision(status=OwnedStatus((after,), {})),
        is_delivered=lambda _: False,
        is_kept=lambda _: False,
    )

    assert made.status is not None
    assert made.status.fields[FIELD] == [*old[1:], CHANGED]


def test_a_change_has_one_id_whoever_sends_it() -> None:
    first = UndeliveredEvent.model_validate(CHANGED)
    assert event_id("uid-1", first) == "uid-1_ready-false_20261121T120000Z"
    assert event_id("uid-1", UndeliveredEvent.model_validate(ENDED)) == "uid-1_run-ended"


def test_what_others_write_there_and_cannot_be_read_is_passed_over() -> None:
    body = location_body(status={FIELD: ["text", {"type": "Nonsense", "time": NOON}, {"time": 7}, CHANGED]})
    assert [event.type for event in undelivered(body)] == [EventKind.READINESS_CHANGED]


class Sent:
    """The ids that the sink has accepted."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def __call__(self, id_: str) -> bool:
        return id_ in self.ids


def world(*bodies: tuple[Kind, Manifest]) -> tuple[World, Sent]:
    sent = Sent()
    return World(*bodies, is_delivered=sent), sent


def failing_run() -> tuple[Kind, Manifest]:
    """A run that a person cancels before it starts, so that it ends in one decision."""
    body = run_body("one")
    body["spec"]["cancel"] = True
    return Kind.RUN, body


def test_a_run_that_ends_notes_it_until_the_sink_has_accepted_it() -> None:
    made, sent = world(*settled(), KNOWN, failing_run())
    made.settle(RUN)
    ended = made.memory.objects["TransferRun", "one"]
    assert ended["status"]["state"] == "Cancelled"
    assert [event["type"] for event in ended["status"][FIELD]] == ["RunEnded"]

    sent.ids.add("uid-one_run-ended")
    made.settle(RUN)
    crossed_out = made.memory.objects["TransferRun", "one"]
    assert FIELD not in crossed_out["status"]
    assert crossed_out["status"] == {name: value for name, value in ended["status"].items() if name != FIELD}


def test_crossing_out_keeps_everything_else_that_the_operator_says_of_a_failed_run() -> None:
    failure = {"class": "Internal", "reason": "AgentLost", "message": "It is gone.", "remedy": "Look."}
    status = {
        "state": "Failed",
        "completionTime": NOON,
        "failure": failure,
        "attempts": 2,
        "observedGeneration": 1,
        "conditions": [condition("Succeeded", "False", "AgentLost"), condition("Stalled", "True", "AgentLost")],
        FIELD: [ENDED],
    }
    made, sent = world((Kind.RUN, run_body("one", status, owner_uid="uid-nightly")), KNOWN)
    made.memory.applied[RUN] = status
    sent.ids.add("uid-one_run-ended")
    made.settle(RUN)

    assert made.memory.objects["TransferRun", "one"]["status"] == {n: v for n, v in status.items() if n != FIELD}


def test_crossing_out_keeps_what_is_copied_from_the_run_that_served_it() -> None:
    status = {
        "state": "Succeeded",
        "completionTime": NOON,
        "observedGeneration": 1,
        "servedBy": {"namespace": "storage", "name": "team.one-abc"},
        "counters": {"files": {"transferred": 7}},
        "progress": {"percent": "100%"},
        "security": {"source": {"cipher": "AES-256-GCM"}},
        "conditions": [condition("Succeeded", "True", "RunSucceeded")],
        FIELD: [ENDED],
    }
    made, sent = world((Kind.RUN, run_body("one", status, owner_uid="uid-nightly")), KNOWN)
    made.memory.applied[RUN] = status
    sent.ids.add("uid-one_run-ended")
    made.settle(RUN)

    assert made.memory.objects["TransferRun", "one"]["status"] == {n: v for n, v in status.items() if n != FIELD}


def test_crossing_out_keeps_what_the_operator_says_of_an_identity() -> None:
    status = good(IDENTITY_GOOD, lastHandledRequest="5", lastCheckTime=NOON, observedGeneration=1)
    identity = identity_body(status={**status, FIELD: [CHANGED]})
    bodies = [(kind, body) for kind, body in settled() if kind is not Kind.IDENTITY]
    made, sent = world((Kind.IDENTITY, identity), *bodies)
    made.settle(IDENTITY)
    before = made.memory.objects["KerberosIdentity", "svc"]["status"]
    assert before[FIELD] == [CHANGED]
    sent.ids.add("uid-svc_ready-false_20261121T120000Z")
    made.settle(IDENTITY)

    after = made.memory.objects["KerberosIdentity", "svc"]["status"]
    assert FIELD not in after
    assert {c["type"] for c in after["conditions"]} >= {"Ready"}
    assert after["lastHandledRequest"] == before.get("lastHandledRequest")


def test_without_a_sink_nothing_is_noted() -> None:
    made = World(*settled(), KNOWN, failing_run())
    made.settle(RUN)

    assert FIELD not in made.memory.objects["TransferRun", "one"]["status"]


def test_an_object_that_is_ready_already_is_no_event_when_a_sink_is_set() -> None:
    made, _ = world(*settled())
    made.look_at_all()

    assert [body for body in made.memory.of("SmbLocation") if FIELD in body["status"]] == []


@pytest.mark.fault(228)
def test_a_run_is_not_deleted_for_a_day_until_the_sink_has_accepted_its_end() -> None:
    status = {
        "state": "Succeeded",
        "completionTime": format_time(ago(hours=2)),
        "conditions": [condition("Succeeded", "True")],
        "observedGeneration": 1,
        FIELD: [ENDED],
    }
    body = run_body("one", status)
    body["spec"]["ttlAfterFinished"] = "1h"
    made, sent = world(KNOWN, (Kind.RUN, body))
    made.settle(RUN)
    assert made.memory.deleted == []
    assert made.events == []

    sent.ids.add("uid-one_run-ended")
    made.settle(RUN)
    assert [key for key, _ in made.memory.deleted] == [RUN]


@pytest.mark.fault(228)
def test_a_run_is_deleted_after_a_day_whatever_the_sink_does() -> None:
    status = {"state": "Succeeded", "completionTime": NOON, FIELD: [ENDED]}
    body = run_body("one", status)

    assert is_kept(body, NOW + KEPT_FOR_EVENTS - timedelta(seconds=1), lambda _: False)
    assert not is_kept(body, NOW + KEPT_FOR_EVENTS, lambda _: False)
    assert not is_kept(body, NOW, lambda _: True)
    assert not is_kept(run_body("one", {"state": "Succeeded", "completionTime": NOON}), NOW, lambda _: False)


def test_history_does_not_delete_a_run_whose_end_was_not_accepted_but_deletes_others() -> None:
    other = Key(Kind.RUN, "team", "two")
    made = noted(
        Key(Kind.TASK, "team", "nightly"),
        KNOWN[1],
        Decision(delete=(RUN, other), requeue_after=timedelta(hours=1)),
        is_delivered=lambda _: False,
        is_kept=lambda key: key == RUN,
    )

    assert made.delete == (other,)
    assert made.requeue_after == timedelta(minutes=1)


def test_a_check_that_ends_is_told_with_the_reason_of_the_new_condition() -> None:
    bad = checks(LOCATION_GOOD, ShareAccessible=("False", "ShareNotFound"))
    location = location_body("src", {"conditions": [*bad, ready()], "lastCheckTime": NOON, "identityGeneration": 1})
    bodies = [(k, b) for k, b in settled() if b["metadata"]["name"] != "src"]
    made, _ = world((Kind.LOCATION, location), *bodies)
    made.settle(LOCATION)

    (event,) = made.memory.objects["SmbLocation", "src"]["status"][FIELD]
    assert (event["ready"], event["previous"]) == ("False", "True")
