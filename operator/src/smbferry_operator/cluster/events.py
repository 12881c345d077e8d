"""Kubernetes Events (events.k8s.io/v1) about our objects."""

from datetime import datetime
from typing import Final

from smbferry_api import API_VERSION
from smbferry_operator.decide.decision import Event
from smbferry_operator.decide.naming import short_hash
from smbferry_operator.model import Key, Manifest, Meta

COMPONENT: Final = "smbferry.io/operator"
MAX_NOTE: Final = 1024
MAX_STEM: Final = 230


def build_event(key: Key, about: Meta, event: Event, now: datetime, instance: str) -> Manifest:
    """An Event's manifest."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about.name[:MAX_STEM]}.{short_hash(about.uid, event.reason, event.message, moment)}",
            "namespace": about.namespace,
        },
        "eventTime": moment,
        "reportingController": COMPONENT,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "type": event.type,
        "reason": event.reason.name,
        "note": event.message[:MAX_NOTE],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "name": about.name,
            "namespace": about.namespace,
            "uid": about.uid,
        },
    }
