"""Metrics of identities and of readiness, read from the cache one object at a time."""

import re
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from smbferry_api.conditions import ConditionType
from smbferry_api.reasons import KEYTAB_AGING
from smbferry_operator.model import Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.telemetry.families import add_moment, add_truth, find_condition, gauge, names_of, timestamps
from smbferry_operator.telemetry.selection import Selection

_OFFSET: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?=s)")


def object_metrics(cache: Cache, selection: Selection) -> Iterator[Metric]:
    """Metrics of all identities, and the readiness of all locations and the selected tasks."""
    yield _readiness(cache, selection)
    yield from _of_identities(cache)


def _readiness(cache: Cache, selection: Selection) -> Metric:
    family = GaugeMetricFamily(
        "smbferry_ready",
        "Whether an object is Ready; absent while it is Unknown.",
        labels=["kind", "namespace", "name"],
    )
    for key in cache:
        wanted = key.kind in {Kind.IDENTITY, Kind.LOCATION} or key in selection.shown
        if wanted and (body := cache.get(key)) is not None:
            add_truth(family, body, ConditionType.READY, key.kind.value)
    return family


def _of_identities(cache: Cache) -> Iterator[Metric]:
    offset = gauge(
        "smbferry_identity_clock_offset_seconds",
        "The KDC's clock minus the agent's clock, at the last check.",
        "identity",
    )
    ticket = timestamps("smbferry_identity_ticket_expiry", "When the ticket of the last check expires.", "identity")
    keytab = timestamps("smbferry_identity_keytab_key", "When the newest key was written to the keytab.", "identity")
    checked = timestamps("smbferry_identity_last_check", "When the identity was last checked.", "identity")
    kvno = gauge("smbferry_identity_kvno_mismatch", "The condition KvnoMismatch.", "identity")
    aging = gauge("smbferry_identity_keytab_aging", "Whether the keytab nears spec.rotation.maxAge.", "identity")
    for identity in cache.all(Kind.IDENTITY):
        status = identity.get("status") or {}
        if offset_found := _OFFSET.match((status.get("kdc") or {}).get("clockOffset") or ""):
            offset.add_metric(names_of(identity), float(offset_found.group()))
        add_moment(ticket, identity, (status.get("ticket") or {}).get("endTime"))
        entries = (status.get("keytab") or {}).get("entries") or ()
        add_moment(keytab, identity, max((e["timestamp"] for e in entries if e.get("timestamp")), default=None))
        add_moment(checked, identity, status.get("lastCheckTime"))
        add_truth(kvno, identity, ConditionType.KVNO_MISMATCH)
        if (valid := find_condition(identity, ConditionType.KEYTAB_VALID)).get("status") in {"True", "False"}:
            aging.add_metric(names_of(identity), int(valid.get("reason") == KEYTAB_AGING.name))
    yield from (offset, ticket, keytab, checked, kvno, aging)
