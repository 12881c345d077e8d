"""spec.retry: further runs after one that failed for a reason that may be temporary."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import NOW, ago, location, run
from tests.unit.operator.test_task import HOURLY, ours, seen

from smbferry_api.fields import format_time
from smbferry_api.names import ANNOTATION_RETRY, ANNOTATION_RETRY_OF, ANNOTATION_SCHEDULED_AT
from smbferry_operator.decide.retry import further_run, place_of
from smbferry_operator.decide.task import decide_task
from smbferry_operator.model import Refusal, Run

if TYPE_CHECKING:
    from smbferry_operator.decide.decision import Decision

NETWORK = {"class": "Network", "reason": "ConnectionLost", "message": "Lost.", "remedy": ""}
STALE = {"class": "Identity", "reason": "KeytabStale", "message": "Stale.", "remedy": ""}
THRICE: dict[str, Any] = {"limit": 3, "backoff": "1m", "maxBackoff": "3m"}


def failed(name: str = "nightly-1", number: int = 0, *, failure: Any = NETWORK, **more: Any) -> Run:
    """A run of the task that failed just now, the ``number``-th after the first."""
    first = more.pop("first", "nightly-1")
    notes = {ANNOTATION_RETRY_OF: first, ANNOTATION_RETRY: str(number)} if number else {}
    status = {"failure": failure} if failure else {}
    return ours(name, "Failed", status=status, annotations=notes, **more)


def decided(*runs: Run, after: timedelta = timedelta(), status: dict[str, Any] | None = None, **spec: Any) -> Decision:
    given = {"retry": THRICE, **spec}
    return decide_task(seen(*runs, status={"observedTrigger": "", **(status or {})}, **given), NOW + after)


def made(decision: Decision) -> list[str]:
    return [body["metadata"]["name"] for body in decision.create]


def noted(decision: Decision) -> Any:
    assert decision.status is not None
    return decision.status.as_json().get("retry")


def test_a_further_run_is_created_after_the_backoff_and_not_before() -> None:
    waits, starts = decided(failed()), decided(failed(), after=timedelta(minutes=1))

    assert made(waits) == []
    assert waits.requeue_after == timedelta(minutes=1)
    assert noted(waits) == {
        "run": "nightly-1",
        "attempt": 1,
        "limit": 3,
        "nextTime": format_time(NOW + timedelta(minutes=1)),
    }
    assert made(starts) == ["nightly-1-r1"]
    assert noted(starts) == {"run": "nightly-1", "attempt": 1, "limit": 3}
    assert [event.message for event in starts.events if event.reason.name == "RunRetried"] == [
        "TransferRun nightly-1 failed (ConnectionLost); nightly-1-r1 is further run 1 of 3."
    ]


def test_it_says_which_run_it_follows_and_is_no_run_of_a_schedule_or_trigger() -> None:
    decision = decided(
        failed(), after=timedelta(minutes=1), schedule=HOURLY, created=NOW, status={"lastScheduleTime": None}
    )
    (body,) = decision.create

    assert body["metadata"]["annotations"] == {ANNOTATION_RETRY_OF: "nightly-1", ANNOTATION_RETRY: "1"}
    assert decision.status is not None
    assert decision.status.fields["lastScheduleTime"] is None
    assert decision.status.fields["observedTrigger"] == ""
    assert decision.status.fields["activeRun"] == "nightly-1-r1"


@pytest.mark.parametrize(
    ("number", "delay"), [(0, timedelta(minutes=1)), (1, timedelta(minutes=2)), (2, timedelta(minutes=3))]
)
def test_the_backoff_doubles_up_to_its_maximum(number: int, delay: timedelta) -> None:
    name = f"nightly-1-r{number}" if number else "nightly-1"
    planned = further_run(seen(failed(name, number), retry=THRICE))

    assert planned is not None
    assert (planned.at, planned.name) == (NOW + delay, f"nightly-1-r{number + 1}")


LATER = timedelta(hours=2)


@pytest.mark.parametrize(
    ("runs", "spec"),
    [
        pytest.param([failed()], {"retry": {}}, id="none are asked for"),
        pytest.param([failed("nightly-1-r3", 3)], {}, id="as many as are allowed have failed"),
        pytest.param([failed(failure=STALE)], {}, id="a person must help"),
        pytest.param([failed(failure=None)], {}, id="nothing says why"),
        pytest.param([ours("nightly-1", "Succeeded")], {}, id="it has not failed"),
        pytest.param([ours("nightly-1", "PartiallySucceeded")], {}, id="single files failed"),
        pytest.param([ours("nightly-1", "Cancelled")], {}, id="a person stopped it"),
        pytest.param([failed(), ours("nightly-1-r1", at=ago(minutes=-9))], {}, id="it runs already"),
        pytest.param([failed(), run("by-hand", created=ago(minutes=-9))], {}, id="a person runs it"),
        pytest.param(
            [failed(), run("by-hand", {"state": "Failed", "failure": NETWORK}, created=ago(minutes=-9))],
            {},
            id="a person has run it since",
        ),
        pytest.param(
            [run("by-hand", {"state": "Failed", "failure": NETWORK, "completionTime": format_time(NOW)})],
            {},
            id="a person ran it",
        ),
        pytest.param([failed(), run("older", {"state": "Queued"}, created=ago(hours=1))], {}, id="another is active"),
        pytest.param([failed()], {"suspend": True}, id="suspended"),
    ],
)
def test_when_no_further_run_follows(runs: list[Run], spec: dict[str, Any]) -> None:
    assert made(decided(*runs, after=LATER, **spec)) == []


def test_a_dry_run_meanwhile_changes_nothing() -> None:
    look = run("look", {"state": "Succeeded"}, dry_run=True, created=ago(minutes=-9))

    assert made(decided(failed(), look, after=LATER)) == ["nightly-1-r1"]


def test_a_run_that_becomes_due_ends_the_retries() -> None:
    assert made(decided(failed(), after=LATER, trigger="now")) != ["nightly-1-r1"]


def test_it_waits_until_the_task_can_run() -> None:
    decision = decided(failed(), after=LATER, locations={"source": location("src")})

    assert made(decision) == []
    assert noted(decision)["nextTime"] == format_time(NOW + timedelta(minutes=1))


@pytest.mark.fault(200)
def test_the_same_further_run_has_the_same_name_whoever_decides() -> None:
    first, second = (decided(failed(), after=LATER + timedelta(seconds=n)) for n in range(2))

    assert made(first) == made(second) == ["nightly-1-r1"]


@pytest.mark.fault(200)
def test_a_further_run_that_a_person_deleted_does_not_come_back() -> None:
    before = {"retry": {"run": "nightly-1", "attempt": 1, "limit": 3}}
    decision = decided(failed(), after=LATER, status=before)

    assert made(decision) == []
    assert further_run(seen(failed(), status=before, retry=THRICE)) is None
    assert decision.status is not None
    assert noted(decision) == before["retry"]


def test_a_run_whose_successor_by_schedule_was_deleted_is_not_retried() -> None:
    old = failed()
    old = replace(old, meta=replace(old.meta, annotations={ANNOTATION_SCHEDULED_AT: "2026-11-20T02:00:00Z"}))
    status = {"lastScheduleTime": "2026-11-21T02:00:00Z"}

    assert further_run(seen(old, status=status, retry=THRICE)) is None


def test_a_failed_run_is_kept_until_its_successor_exists() -> None:
    none = {"failed": 0, "succeeded": 3}
    waits, starts = decided(failed(), history=none), decided(failed(), after=LATER, history=none)

    assert [key.name for key in waits.delete] == []
    assert [key.name for key in starts.delete] == ["nightly-1"]


def test_what_the_api_server_refuses_stays_planned() -> None:
    refusal = Refusal("TransferRun", "exceeded quota", permanent=False, since=NOW)
    observed = seen(failed(), status={"observedTrigger": ""}, retry=THRICE)
    decision = decide_task(type(observed)(observed.task, observed.ends, observed.runs, refusal=refusal), NOW + LATER)

    assert made(decision) == []
    assert noted(decision)["attempt"] == 1


def test_the_status_says_which_one_is_the_last() -> None:
    active = decided(
        failed(),
        ours("nightly-1-r1", at=ago(minutes=-9), annotations={ANNOTATION_RETRY_OF: "nightly-1", ANNOTATION_RETRY: "1"}),
    )
    good = decided(
        failed(),
        ours(
            "nightly-1-r1",
            "Succeeded",
            at=ago(minutes=-9),
            annotations={ANNOTATION_RETRY_OF: "nightly-1", ANNOTATION_RETRY: "1"},
        ),
    )

    assert noted(active) == {"run": "nightly-1", "attempt": 1, "limit": 3}
    assert noted(good) == noted(active)
    assert noted(decided(ours("nightly-2", "Succeeded"), status={"retry": noted(good)})) is None


def test_a_name_that_is_too_long_is_shortened_and_stays_its_own() -> None:
    long, other = "n" * 252, "n" * 251 + "m"
    names = []
    for name in (long, other):
        planned = further_run(seen(failed(name, first=name), retry=THRICE))
        assert planned is not None
        names.append(planned.name)

    assert all(len(name) <= 253 and name.endswith("-r1") for name in names)
    assert names[0] != names[1]


@pytest.mark.parametrize("number", ["", "x", "-1", "100"])
def test_an_annotation_that_can_not_be_read_counts_as_none(number: str) -> None:
    odd = ours("odd", "Failed", annotations={ANNOTATION_RETRY_OF: "nightly-1", ANNOTATION_RETRY: number})

    assert place_of(odd) == ("odd", 0)


@pytest.mark.fault(200)
@given(st.lists(st.sampled_from(["Failed", "Succeeded", "lost status", "deleted", "wait"]), max_size=40))
def test_whatever_happens_there_are_no_more_further_runs_than_the_limit_and_one_at_a_time(course: list[str]) -> None:
    runs: dict[str, Run] = {"nightly-1": failed()}
    status: dict[str, Any] = {"observedTrigger": ""}
    born, now, ever = {"nightly-1": NOW}, NOW, set[str]()
    # A status that could not be written is written by the decision that is repeated at once.
    repeated = [each for event in course for each in ([event, "wait"] if event == "lost status" else [event])]
    for event in repeated:
        now += timedelta(minutes=2)
        active = [name for name, each in runs.items() if each.status.state is None]
        if event in {"Failed", "Succeeded"} and active:
            old = runs[active[0]]
            told = {"failure": NETWORK} if event == "Failed" else {}
            runs[active[0]] = ours(
                active[0], event, at=now, status=told, annotations=dict(old.meta.annotations), version=2
            )
        elif event == "deleted" and len(runs) > 1:
            del runs[max(runs, key=lambda name: born[name])]
        decision = decide_task(seen(*runs.values(), status=status, retry=THRICE), now)
        for body in decision.create:
            name = body["metadata"]["name"]
            assert name not in ever, "a run that was there once does not come back"
            ever.add(name)
            born[name] = now
            notes = body["metadata"]["annotations"]
            runs[name] = run(name, owner_uid="uid-nightly", created=now, annotations=notes)
        if decision.status is not None and event != "lost status":
            status = {"observedTrigger": "", **{k: v for k, v in decision.status.as_json().items() if k == "retry"}}
        assert sum(each.status.state is None for each in runs.values()) <= 1
    assert len(ever) <= THRICE["limit"]
