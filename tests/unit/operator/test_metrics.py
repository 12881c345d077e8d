"""Metrics from objects as they stand, and from runs that end."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.builders import identity_body, ready, run_body, task_body

from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.telemetry.metrics import Metrics
from smbferry_operator.watch.event_router import EventRouter

FIGURES = {"ready": 3, "delayed": 2, "underWay": 1}
NOON = 1795262400.0


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample, by its name and labels as they are written."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.exposed(FIGURES).decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def filled(*bodies: tuple[Kind, Manifest]) -> Cache:
    cache = Cache()
    for kind, body in bodies:
        cache.put(kind, body)
    return cache


def of(*bodies: tuple[Kind, Manifest], leading: bool = True) -> dict[str, float]:
    return samples(Metrics(filled(*bodies), lambda: leading))


def test_an_identity_tells_of_clock_ticket_and_keys() -> None:
    status = {
        "kdc": {"clockOffset": "-1.250s ±0.004s"},
        "ticket": {"endTime": "2026-11-21T12:00:00Z"},
        "keytab": {
            "entries": [
                {"principal": "a", "kvno": 1, "timestamp": "2026-11-20T12:00:00Z"},
                {"principal": "a", "kvno": 2, "timestamp": "2026-11-21T12:00:00Z"},
                {"principal": "a", "kvno": 3},
            ]
        },
        "conditions": [ready()],
    }
    found = of((Kind.IDENTITY, identity_body(status=status)))

    assert found["smbferry_identity_clock_offset_seconds{identity=svc,namespace=team}"] == -1.25
    assert found["smbferry_identity_ticket_expiry_timestamp_seconds{identity=svc,namespace=team}"] == NOON
    assert found["smbferry_identity_keytab_key_timestamp_seconds{identity=svc,namespace=team}"] == NOON
    assert found["smbferry_ready{kind=KerberosIdentity,name=svc,namespace=team}"] == 1


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    found = of((Kind.IDENTITY, identity_body()), (Kind.TASK, task_body()))

    assert not [name for name in found if "svc" in name or "nightly" in name]


def test_a_task_tells_when_it_last_succeeded_and_when_it_is_due() -> None:
    success = {"name": "r", "state": "Succeeded", "completionTime": "2026-11-21T12:00:00Z"}
    status = {"lastSuccessfulRun": success, "nextScheduleTime": "2026-11-21T13:00:00Z"}
    found = of((Kind.TASK, task_body(status=status)))

    assert found["smbferry_task_last_success_timestamp_seconds{namespace=team,task=nightly}"] == NOON
    assert found["smbferry_task_next_schedule_timestamp_seconds{namespace=team,task=nightly}"] == NOON + 3600


def test_runs_are_counted_by_state_and_their_rates_added() -> None:
    moving = {"state": "Transferring", "counters": {"bytesPerSecond": 100}}
    found = of(
        (Kind.RUN, run_body("a", moving)),
        (Kind.RUN, run_body("b", moving)),
        (Kind.RUN, run_body("c")),
        (Kind.RUN, run_body("d", {"state": "Succeeded", "counters": {"bytesPerSecond": 5}})),
    )

    assert found["smbferry_runs{namespace=team,state=Transferring}"] == 2
    assert found["smbferry_runs{namespace=team,state=Queued}"] == 1
    assert found["smbferry_transfer_rate_bytes_per_second{namespace=team}"] == 200


def test_a_standby_tells_of_itself_only() -> None:
    found = of((Kind.IDENTITY, identity_body(status={"conditions": [ready()]})), leading=False)

    assert found["smbferry_leader"] == 0
    assert [value for name, value in found.items() if name.startswith("smbferry_build_info{")] == [1]
    assert found["smbferry_queue_length"] == 3
    assert not [name for name in found if "team" in name]


def test_the_metrics_of_a_release_with_a_class_have_it_as_a_label() -> None:
    named = Metrics(
        filled((Kind.IDENTITY, identity_body(status={"conditions": [ready()]}))), lambda: True, class_name="x"
    )
    plain = of((Kind.IDENTITY, identity_body(status={"conditions": [ready()]})))
    found = samples(named)

    assert found["smbferry_leader{class=x}"] == 1
    assert len([name for name in found if "class=x" in name]) == len(found) == len(plain)
    assert not [name for name in plain if "class=" in name]


def ended(state: str, **status: Any) -> Manifest:
    whole = {
        "state": state,
        "startTime": "2026-11-21T12:00:00Z",
        "completionTime": "2026-11-21T12:00:20Z",
        "counters": {"files": {"transferred": 3, "failed": 1, "deleted": 2}, "bytes": {"transferred": 1000}},
        **status,
    }
    return run_body("run", whole, version=2)


def after_end(body: Manifest, *, leading: bool = True, known: bool = True) -> dict[str, float]:
    cache = filled((Kind.RUN, run_body("run", {"state": "Transferring"}))) if known else Cache()
    metrics = Metrics(cache, lambda: leading)
    router = EventRouter(cache, lambda _: None, metrics.run_ended)
    router.seen(Kind.RUN, body)
    router.seen(Kind.RUN, {**body, "metadata": {**body["metadata"], "resourceVersion": "3"}})
    return samples(metrics)


def test_a_run_that_ends_is_counted_once() -> None:
    found = after_end(ended("PartiallySucceeded"))

    assert found["smbferry_runs_ended_total{namespace=team,state=PartiallySucceeded}"] == 1
    assert found["smbferry_transferred_bytes_total{namespace=team}"] == 1000
    assert found["smbferry_transferred_files_total{namespace=team}"] == 3
    assert found["smbferry_failed_files_total{namespace=team}"] == 1
    assert found["smbferry_deleted_files_total{namespace=team}"] == 2
    assert found["smbferry_run_duration_seconds_sum{state=PartiallySucceeded}"] == 20
    assert "smbferry_run_failures_total{namespace=team,reason=Other}" not in found


@pytest.mark.parametrize(("leading", "known"), [(False, True), (True, False)])
def test_a_run_that_another_ended_or_that_ended_long_ago_is_not_counted(leading: bool, known: bool) -> None:
    found = after_end(ended("Succeeded"), leading=leading, known=known)

    assert not [name for name in found if name.startswith("smbferry_runs_ended_total")]


@pytest.mark.parametrize(("reason", "label"), [("KeytabStale", "KeytabStale"), ("no such\nreason", "Other")])
def test_failures_are_counted_by_reasons_that_are_ours(reason: str, label: str) -> None:
    found = after_end(ended("Failed", failure={"class": "Identity", "reason": reason, "message": "m"}))

    assert found[f"smbferry_run_failures_total{{namespace=team,reason={label}}}"] == 1


@pytest.mark.parametrize("kind", ["dryRun", "survey"])
def test_a_dry_run_or_a_survey_transfers_nothing(kind: str) -> None:
    body = ended("Succeeded")
    body["spec"][kind] = True
    found = after_end(body)

    assert found["smbferry_runs_ended_total{namespace=team,state=Succeeded}"] == 1
    assert "smbferry_transferred_bytes_total{namespace=team}" not in found


def test_looks_are_timed_and_errors_counted() -> None:
    metrics = Metrics(Cache(), lambda: True)

    async def failing(_key: Key) -> timedelta | None:
        raise RuntimeError("once")

    async def look() -> None:
        await metrics.timed(failing)(Key(Kind.TASK, "team", "nightly"))

    with pytest.raises(RuntimeError):
        asyncio.run(look())
    found = samples(metrics)

    assert found["smbferry_reconcile_errors_total{kind=TransferTask}"] == 1
    assert found["smbferry_reconcile_errors_total{kind=TransferRun}"] == 0
    assert found["smbferry_reconcile_duration_seconds_count{kind=TransferTask}"] == 1


def test_every_name_follows_the_conventions() -> None:
    metrics = Metrics(filled((Kind.TASK, task_body())), lambda: True)
    families = list(text_string_to_metric_families(metrics.exposed(FIGURES).decode()))

    assert len(families) > 20
    for family in families:
        assert family.documentation.endswith("."), family.name
        assert family.name.startswith(("smbferry_", "process_")), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name


@pytest.mark.parametrize(
    ("type_", "status", "reason", "series", "value"),
    [
        ("KvnoMismatch", "True", "KeytabStale", "kvno_mismatch", 1),
        ("KvnoMismatch", "False", "KvnoMatches", "kvno_mismatch", 0),
        ("KvnoMismatch", "Unknown", "KdcUnreachable", "kvno_mismatch", None),
        ("KeytabValid", "True", "KeytabAging", "keytab_aging", 1),
        ("KeytabValid", "True", "KeytabUsable", "keytab_aging", 0),
    ],
)
def test_an_identity_tells_of_its_keytab(type_: str, status: str, reason: str, series: str, value: int | None) -> None:
    conditions = [{"type": type_, "status": status, "reason": reason}]
    found = of((Kind.IDENTITY, identity_body(status={"conditions": conditions})))
    assert found.get(f"smbferry_identity_{series}{{identity=svc,namespace=team}}") == value
