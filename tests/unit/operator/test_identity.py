from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import (
    IDENTITY_GOOD,
    NOW,
    SETTINGS,
    ago,
    check_job,
    checked_identity,
    checks,
    condition,
    found,
    identity,
    pod,
    ready,
)
from tests.unit.operator.decision_cases import Case, as_written, cases

from smbferry_api.fields import format_time
from smbferry_operator.decide.fairness import ChecksUnderWay
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.observation import IdentityObservation
from smbferry_operator.model import Refusal

LAST = format_time(ago(minutes=10))


def status(*conditions: dict[str, Any], last: float | None = 10, following: float = 50) -> dict[str, Any]:
    """A status; times in minutes before and after now."""
    result: dict[str, Any] = {
        "conditions": list(conditions),
        "nextCheckTime": format_time(NOW + timedelta(minutes=following)),
    }
    if last is not None:
        result["lastCheckTime"] = format_time(ago(minutes=last))
    return result


@pytest.mark.parametrize("case", cases("identity-check"), ids=lambda case: case.name)
def test_a_check_is_launched_when_it_is_due(case: Case) -> None:
    decision = case.decide()

    assert as_written(decision) == case.expected(decision)
    launches = ["ServiceAccount", "Role", "RoleBinding"] if decision.create else []
    assert [body["kind"] for body in decision.apply] == launches


def test_no_check_is_launched_while_too_many_are_under_way() -> None:
    seen = IdentityObservation(identity(), checks=ChecksUnderWay(SETTINGS.max_concurrent_checks))
    decision = decide_identity(seen, NOW, SETTINGS)

    assert decision.create == ()
    assert decision.apply == ()


def test_a_request_is_acted_on_once_whether_or_not_its_check_reports() -> None:
    asked = {"smbferry.io/requested-at": "now"}
    waiting = identity(status=status(*checks(IDENTITY_GOOD), ready()), annotations=asked)
    launched = decide_identity(IdentityObservation(waiting), NOW, SETTINGS).create[0]["metadata"]
    done = check_job(
        complete=True, finished_at=ago(seconds=9), request=launched["annotations"]["smbferry.io/requested-at"]
    )

    decision = decide_identity(IdentityObservation(waiting, (done,)), NOW, SETTINGS)

    assert decision.create == ()
    assert decision.status is not None
    assert decision.status.fields["lastHandledRequest"] == "now"


def test_the_same_check_has_the_same_name_and_the_next_another() -> None:
    first = decide_identity(IdentityObservation(identity()), NOW, SETTINGS)
    again = decide_identity(IdentityObservation(identity()), NOW + timedelta(seconds=9), SETTINGS)
    lost = check_job(name=first.create[0]["metadata"]["name"], failure_reason="Failed", finished_at=ago(minutes=2))
    retried = decide_identity(IdentityObservation(identity(), (lost,)), NOW, SETTINGS)

    assert first.create[0]["metadata"]["name"] == again.create[0]["metadata"]["name"]
    assert retried.create[0]["metadata"]["name"] != lost.meta.name
    assert len(first.create[0]["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    ("reported", "expected", "stalled"),
    [
        pytest.param({}, ("True", "ChecksPassed"), None, id="all healthy"),
        pytest.param(
            {"KdcReachable": ("False", "KdcUnreachable"), "TimeInSync": ("Unknown", "CheckNotReached")},
            ("False", "KdcUnreachable"),
            None,
            id="a network failure heals by itself",
        ),
        pytest.param(
            {"KvnoMismatch": ("True", "KeytabStale"), "TicketAcquired": ("False", "KeytabStale")},
            ("False", "KeytabStale"),
            ("True", "KeytabStale"),
            id="a stale keytab needs a person",
        ),
        pytest.param(
            {"KvnoMismatch": ("True", "KeytabAhead")}, ("True", "ChecksPassed"), None, id="an older key still works"
        ),
        pytest.param(
            {"DnsReady": ("Unknown", "CheckNotReached"), "KeytabValid": ("False", "SecretNotFound")},
            ("False", "SecretNotFound"),
            ("True", "SecretNotFound"),
            id="what is certain explains more than what is not known",
        ),
    ],
)
def test_ready_sums_up_what_the_agent_found(
    reported: dict[str, tuple[str, str]], expected: tuple[str, str], stalled: tuple[str, str] | None
) -> None:
    job = check_job(complete=True, finished_at=ago(seconds=10))
    seen = IdentityObservation(identity(status=status(*checks(IDENTITY_GOOD, reported), last=0.2)), (job,))

    decision = decide_identity(seen, NOW, SETTINGS)

    assert decision.status is not None
    assert found(decision.status.conditions, "Ready") == expected
    assert found(decision.status.conditions, "Stalled") == stalled
    assert found(decision.status.conditions, "Reconciling") is None
    assert decision.status.fields["observedGeneration"] == 1
    assert [event.reason.name for event in decision.events] == [expected[1]]


@pytest.mark.parametrize(
    "warning", [{"KvnoMismatch": ("True", "KeytabAhead")}, {"KeytabValid": ("True", "KeytabAging")}]
)
def test_ready_tells_of_warnings(warning: dict[str, tuple[str, str]]) -> None:
    job = check_job(complete=True, finished_at=ago(seconds=10))
    conditions = checks(IDENTITY_GOOD, warning)
    for each in conditions:
        each["message"] = f"About {each['type']}."
    seen = IdentityObservation(identity(status=status(*conditions, last=0.2)), (job,))

    decision = decide_identity(seen, NOW, SETTINGS)

    assert decision.status is not None
    (ready,) = (c for c in decision.status.conditions if c.type == "Ready")
    assert ready.message == f"Every check passed. About {next(iter(warning))}."


def test_nothing_is_written_when_nothing_changed() -> None:
    seen = IdentityObservation(identity(status=status(*checks(IDENTITY_GOOD), last=0.2)), (check_job(complete=True),))
    first = decide_identity(seen, NOW, SETTINGS)
    assert first.status is not None
    written = [c.model_dump(mode="json", by_alias=True) for c in first.status.conditions]
    settled = identity(status=status(*checks(IDENTITY_GOOD), *written, last=0.2) | {"observedGeneration": 1})

    decision = decide_identity(IdentityObservation(settled, (check_job(complete=True),)), NOW, SETTINGS)

    assert decision.status is None
    assert decision.events == ()


def test_a_repeated_check_changes_nothing_until_it_ends() -> None:
    settled = checked_identity()
    before = decide_identity(IdentityObservation(settled), NOW, SETTINGS)
    under_way = check_job(last_check=LAST, active=1)

    decision = decide_identity(
        IdentityObservation(settled, (under_way,), (pod("check-1", phase="Running"),)), NOW, SETTINGS
    )

    assert decision.events == before.events == ()
    assert not decision.create
    assert not decision.delete
    assert decision.status is None or found(decision.status.conditions, "Ready") == ("True", "ChecksPassed")
    assert decision.status is None or found(decision.status.conditions, "Reconciling") is None


def test_a_changed_spec_keeps_the_old_verdict_and_is_reconciling() -> None:
    seen = IdentityObservation(identity(status=status(*checks(IDENTITY_GOOD), ready()), generation=2))

    decision = decide_identity(seen, NOW, SETTINGS)

    assert decision.status is not None
    assert found(decision.status.conditions, "Ready") == ("True", "ChecksPassed")
    assert found(decision.status.conditions, "Reconciling") == ("True", "Checking")
    assert decision.status.fields["observedGeneration"] == 1, "the verdict is about the old spec, and says so"


def test_a_check_of_an_old_spec_is_ended() -> None:
    seen = IdentityObservation(identity(generation=2), (check_job(inputs="1", active=1),))

    decision = decide_identity(seen, NOW, SETTINGS)

    assert [key.name for key in decision.delete] == ["check-1"]
    assert decision.create == ()


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        ({"waiting_reason": "ImagePullBackOff", "waiting_message": "Back-off pulling image"}, "ImagePullBackOff"),
        ({"unschedulable": "0/2 nodes are available"}, "0/2 nodes"),
        ({"waiting_reason": "CreateContainerConfigError", "waiting_message": "no such user"}, "no such user"),
    ],
)
def test_a_pod_that_can_not_start_is_said_at_once(obstacle: dict[str, str], words: str) -> None:
    seen = IdentityObservation(identity(), (check_job(active=1),), (pod("check-1", **obstacle),))

    decision = decide_identity(seen, NOW, SETTINGS)

    assert decision.status is not None
    verdict = next(c for c in decision.status.conditions if c.type == "Ready")
    assert (verdict.status, verdict.reason) == ("False", "AgentNotScheduled")
    assert words in verdict.message
    assert verdict.message.endswith("problems with the image, quota, node selector or tolerations.")


def test_a_pod_that_can_not_start_does_not_at_once_undo_a_good_verdict() -> None:
    waiting = pod("check-1", waiting_reason="ErrImagePull", created=ago(seconds=20))
    late = pod("check-1", waiting_reason="ErrImagePull", created=ago(seconds=70))
    job = check_job(last_check=LAST, active=1)

    early = decide_identity(IdentityObservation(checked_identity(), (job,), (waiting,)), NOW, SETTINGS)
    later = decide_identity(IdentityObservation(checked_identity(), (job,), (late,)), NOW, SETTINGS)

    assert early.events == ()
    assert later.status is not None
    assert found(later.status.conditions, "Ready") == ("False", "AgentNotScheduled")


@pytest.mark.fault(193)
def test_a_queue_that_holds_a_check_back_is_named_and_undoes_no_verdict() -> None:
    held = check_job(last_check=LAST, created=ago(hours=1), suspended="Job suspended")

    first = decide_identity(IdentityObservation(identity(), (check_job(suspended="Job suspended"),)), NOW, SETTINGS)
    repeated = decide_identity(IdentityObservation(checked_identity(), (held,)), NOW, SETTINGS)

    assert first.status is not None
    assert found(first.status.conditions, "Ready") == ("False", "AgentSuspended")
    assert repeated.status is not None
    assert found(repeated.status.conditions, "Ready") == ("True", "ChecksPassed")
    assert (repeated.create, repeated.delete) == ((), ())


def test_settings_that_change_start_the_check_anew() -> None:
    changed = identity(generation=2, agent={"nodeSelector": {"site": "north"}})

    decision = decide_identity(IdentityObservation(changed, (check_job(active=1),)), NOW, SETTINGS)

    assert [key.name for key in decision.delete] == ["check-1"]


def test_the_reason_for_not_starting_outlives_its_pod() -> None:
    stuck = condition("Ready", "False", "AgentNotScheduled", message="ImagePullBackOff: nothing there.")
    job = check_job(failure_reason="DeadlineExceeded", finished_at=ago(seconds=20))

    decision = decide_identity(IdentityObservation(identity(status={"conditions": [stuck]}), (job,)), NOW, SETTINGS)

    assert decision.status is not None
    kept = next(c for c in decision.status.conditions if c.type == "Ready")
    assert (kept.reason, kept.message) == ("AgentNotScheduled", "ImagePullBackOff: nothing there.")


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ({"exit_code": 137, "exit_reason": "OOMKilled"}, "exceeded its memory limit"),
        (
            {"exit_code": 20, "termination_message": '{"reason": "ApiServerUnreachable", "message": "no route."}'},
            "no route",
        ),
        ({"exit_code": 1, "termination_message": "Traceback"}, "exit code 1"),
    ],
)
def test_an_agent_without_a_report_is_lost_and_what_is_known_is_said(left: dict[str, Any], words: str) -> None:
    job = check_job(failure_reason="BackoffLimitExceeded", finished_at=ago(seconds=10))
    seen = IdentityObservation(identity(), (job,), (pod("check-1", phase="Failed", **left),))

    decision = decide_identity(seen, NOW, SETTINGS)

    assert decision.status is not None
    verdict = next(c for c in decision.status.conditions if c.type == "Ready")
    assert (verdict.status, verdict.reason) == ("False", "AgentLost")
    assert words in verdict.message
    assert decision.requeue_after == timedelta(seconds=50)


def test_a_report_may_come_a_moment_after_its_jobs_end() -> None:
    job = check_job(complete=True, finished_at=ago(seconds=1))

    decision = decide_identity(IdentityObservation(identity(), (job,)), NOW, SETTINGS)

    assert decision.status is None
    assert decision.requeue_after == timedelta(seconds=1)


def test_after_a_lost_check_only_a_new_report_is_believed() -> None:
    lost = condition("Ready", "False", "AgentLost")
    seen = IdentityObservation(identity(status=status(*checks(IDENTITY_GOOD), lost)))

    decision = decide_identity(seen, NOW, SETTINGS)

    assert decision.create
    assert decision.status is None or found(decision.status.conditions, "Ready") == ("False", "AgentLost")


@pytest.mark.parametrize(("permanent", "reason"), [(True, "SpecInvalid"), (False, "AgentNotScheduled")])
def test_a_refused_job_is_said_in_the_condition(permanent: bool, reason: str) -> None:
    refusal = Refusal("Job", "spec.template: nonsense", permanent, since=ago(minutes=1))

    decision = decide_identity(IdentityObservation(identity(), refusal=refusal), NOW, SETTINGS)

    assert decision.create == ()
    assert decision.status is not None
    verdict = next(c for c in decision.status.conditions if c.type == "Ready")
    assert (verdict.reason, "spec.template: nonsense" in verdict.message) == (reason, True)
    assert decision.requeue_after == timedelta(minutes=1)
