"""Metrics of identities, locations and tasks, read from the cache one object at a time."""

import re
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily, Metric

from smbferry_api.conditions import ConditionType
from smbferry_api.reasons import KEYTAB_AGING
from smbferry_operator.model import Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.parse import parse_time

_OFFSET: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?=s)")


def object_metrics(cache: Cache) -> Iterator[Metric]:
    """Metrics of all identities, locations and tasks."""
    yield _readiness(cache)
    yield from _of_tasks(cache)
    yield from _of_identities(cache)


def _readiness(cache: Cache) -> Metric:
    family = GaugeMetricFamily(
        "smbferry_ready",
        "Whether an object is Ready; absent while it is Unknown.",
        labels=["kind", "namespace", "name"],
    )
    for kind in (Kind.IDENTITY, Kind.LOCATION, Kind.TASK):
        for body in cache.all(kind):
            _add_truth(family, body, ConditionType.READY, kind.value)
    return family


def _of_tasks(cache: Cache) -> Iterator[Metric]:
    success = _timestamps("smbferry_task_last_success", "When the last successful run ended.", "task")
    upcoming = _timestamps("smbferry_task_next_schedule", "When the task is due next.", "task")
    in_sync = GaugeMetricFamily("smbferry_task_in_sync", "The condition InSync.", labels=["namespace", "task"])
    on_schedule = GaugeMetricFamily(
        "smbferry_task_on_schedule", "The condition OnSchedule.", labels=["namespace", "task"]
    )
    for task in cache.all(Kind.TASK):
        status = task.get("status") or {}
        _add_moment(success, task, (status.get("lastSuccessfulRun") or {}).get("completionTime"))
        _add_moment(upcoming, task, status.get("nextScheduleTime"))
        _add_truth(in_sync, task, ConditionType.IN_SYNC)
        _add_truth(on_schedule, task, ConditionType.ON_SCHEDULE)
    yield from (success, upcoming, in_sync, on_schedule)


def _of_identities(cache: Cache) -> Iterator[Metric]:
    offset = GaugeMetricFamily(
        "smbferry_identity_clock_offset_seconds",
        "The KDC's clock minus the agent's clock, at the last check.",
        labels=["namespace", "identity"],
    )
    ticket = _timestamps("smbferry_identity_ticket_expiry", "When the ticket of the last check expires.", "identity")
    keytab = _timestamps("smbferry_identity_keytab_key", "When the newest key was written to the keytab.", "identity")
    checked = _timestamps("smbferry_identity_last_check", "When the identity was last checked.", "identity")
    kvno = GaugeMetricFamily(
        "smbferry_identity_kvno_mismatch", "The condition KvnoMismatch.", labels=["namespace", "identity"]
    )
    aging = GaugeMetricFamily(
        "smbferry_identity_keytab_aging",
        "Whether the keytab nears spec.rotation.maxAge.",
        labels=["namespace", "identity"],
    )
    for identity in cache.all(Kind.IDENTITY):
        status = identity.get("status") or {}
        if offset_found := _OFFSET.match((status.get("kdc") or {}).get("clockOffset") or ""):
            offset.add_metric(_names(identity), float(offset_found.group()))
        _add_moment(ticket, identity, (status.get("ticket") or {}).get("endTime"))
        entries = (status.get("keytab") or {}).get("entries") or ()
        _add_moment(keytab, identity, max((e["timestamp"] for e in entries if e.get("timestamp")), default=None))
        _add_moment(checked, identity, status.get("lastCheckTime"))
        _add_truth(kvno, identity, ConditionType.KVNO_MISMATCH)
        if (valid := _find(identity, ConditionType.KEYTAB_VALID)).get("status") in {"True", "False"}:
            aging.add_metric(_names(identity), int(valid.get("reason") == KEYTAB_AGING.name))
    yield from (offset, ticket, keytab, checked, kvno, aging)


def single(name: str, text: str, value: float) -> Metric:
    """A metric without labels."""
    return GaugeMetricFamily(name, text, value=value)


def _timestamps(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{name}_timestamp_seconds", text, labels=["namespace", label])


def _add_moment(family: GaugeMetricFamily, body: Manifest, text: str | None) -> None:
    moment = parse_time(text)
    if moment is not None:
        family.add_metric(_names(body), moment.timestamp())


def _add_truth(family: GaugeMetricFamily, body: Manifest, type_: ConditionType, *labels: str) -> None:
    """Adds 1 or 0 for a condition that is True or False, nothing while it is Unknown."""
    found = _find(body, type_).get("status")
    if found in {"True", "False"}:
        family.add_metric([*labels, *_names(body)], int(found == "True"))


def _names(body: Manifest) -> list[str]:
    return [body["metadata"].get("namespace", ""), body["metadata"]["name"]]


def _find(body: Manifest, type_: ConditionType) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = (body.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == type_), {})
