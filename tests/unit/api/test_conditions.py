"""Conditions keep their transition time and end with what to do."""

from datetime import UTC, datetime, timedelta

import pytest

from smbferry_api import reasons
from smbferry_api.conditions import ConditionType, condition, find, merge
from smbferry_api.exit_codes import EXIT_CODE_OF, PERMANENT, RETRYABLE, ExitCode
from smbferry_words.failure_class import FailureClass

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_an_unhealthy_condition_ends_with_its_remedy() -> None:
    made = condition(ConditionType.READY, "False", reasons.KEYTAB_STALE, "kvno is 3.", generation=2, now=NOW)
    assert made.message == f"kvno is 3. {reasons.KEYTAB_STALE.remedy}"
    assert made.observed_generation == 2


def test_a_healthy_condition_has_no_remedy() -> None:
    made = condition(ConditionType.KVNO_MISMATCH, "False", reasons.KVNO_MATCHES, generation=1, now=NOW)
    assert made.message == reasons.KVNO_MATCHES.when
    assert made.healthy


def test_an_abnormal_condition_is_unhealthy_when_true() -> None:
    made = condition(ConditionType.KVNO_MISMATCH, "True", reasons.KEYTAB_STALE, generation=1, now=NOW)
    assert not made.healthy
    assert made.message.endswith(reasons.KEYTAB_STALE.remedy)


@pytest.mark.parametrize(("status", "expected"), [("True", NOW), ("False", LATER)])
def test_the_transition_time_moves_only_with_the_status(status: str, expected: datetime) -> None:
    old = [condition(ConditionType.READY, "True", reasons.CHECKS_PASSED, generation=1, now=NOW)]
    reason = reasons.CHECKS_PASSED if status == "True" else reasons.KEYTAB_STALE
    new = condition(ConditionType.READY, "True" if status == "True" else "False", reason, generation=2, now=LATER)
    merged = find(merge(old, [new]), ConditionType.READY)
    assert merged is not None
    assert merged.last_transition_time == expected
    assert merged.observed_generation == 2


def test_every_reason_says_when_and_every_failure_what_to_do() -> None:
    for reason in reasons.all_reasons():
        assert reason.when.endswith((".", ").")), reason.name
        assert reason.name[0].isupper(), reason.name
        assert reason.name.isalnum(), reason.name
        if reason.failure and reason.failure is not FailureClass.CANCELLED:
            assert reason.remedy.endswith("."), reason.name


def test_every_failure_class_has_an_exit_code_that_is_permanent_or_retried_or_final() -> None:
    assert set(EXIT_CODE_OF) == set(FailureClass)
    assert not PERMANENT & RETRYABLE
    assert {ExitCode.CANCELLED, ExitCode.BUG} == set(EXIT_CODE_OF.values()) - PERMANENT - RETRYABLE
