"""Metric families of objects, and how values are added to them."""

from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from smbferry_api.conditions import ConditionType
from smbferry_operator.model import Manifest
from smbferry_operator.parse import parse_time


def single(name: str, text: str, value: float) -> Metric:
    """A metric without labels."""
    return GaugeMetricFamily(name, text, value=value)


def gauge(name: str, text: str, label: str) -> GaugeMetricFamily:
    """A metric of objects of one kind."""
    return GaugeMetricFamily(name, text, labels=["namespace", label])


def timestamps(name: str, text: str, label: str) -> GaugeMetricFamily:
    """A metric of times, of objects of one kind."""
    return gauge(f"{name}_timestamp_seconds", text, label)


def add_moment(family: GaugeMetricFamily, body: Manifest, text: str | None) -> None:
    """Adds a time, nothing if there is none."""
    moment = parse_time(text)
    if moment is not None:
        family.add_metric(names_of(body), moment.timestamp())


def add_truth(family: GaugeMetricFamily, body: Manifest, type_: ConditionType, *labels: str) -> None:
    """Adds 1 or 0 for a condition that is True or False, nothing while it is Unknown."""
    found = find_condition(body, type_).get("status")
    if found in {"True", "False"}:
        family.add_metric([*labels, *names_of(body)], int(found == "True"))


def names_of(body: Manifest) -> list[str]:
    """Namespace and name."""
    return [body["metadata"].get("namespace", ""), body["metadata"]["name"]]


def find_condition(body: Manifest, type_: ConditionType) -> dict[str, Any]:
    """The condition as JSON has it, empty if there is none."""
    conditions: list[dict[str, Any]] = (body.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == type_), {})
