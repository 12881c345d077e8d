"""Watch events of every kind that bears on a decision."""

from typing import Any

import kopf

from smbferry_api import GROUP, VERSION
from smbferry_api.crd import KINDS
from smbferry_operator.model import Kind
from smbferry_operator.service import Service


def register(service: Service) -> None:
    """Registers a handler for each kind. `on.event` handlers leave no finalizer and no annotation behind."""
    for kind in KINDS:
        _watch(service, Kind(kind.kind), GROUP, VERSION, kind.plural)
    _watch(service, Kind.JOB, "batch", "v1", "jobs")
    _watch(service, Kind.POD, "", "v1", "pods")


def _watch(service: Service, kind: Kind, group: str, version: str, plural: str) -> None:
    @kopf.on.event(group, version, plural, id=f"seen-{plural}")
    async def seen(event: Any, **_: object) -> None:
        service.seen(kind, event["object"], deleted=event["type"] == "DELETED")
