"""From an object and a noted event to a CloudEvent (CloudEvents 1.0, structured mode). Pure.

Events contain names, states, reasons of ours and counters: no messages, no paths and no principals.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from smbferry_api import API_VERSION
from smbferry_api.fields import format_time
from smbferry_api.names import PLURALS
from smbferry_api.reasons import by_name
from smbferry_api.run_status import ENDED
from smbferry_api.undelivered import EventKind, UndeliveredEvent
from smbferry_operator.decide.undelivered import event_id, undelivered
from smbferry_operator.model import Key, Kind, Manifest

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
TYPES: Final[Mapping[EventKind, str]] = {
    EventKind.RUN_ENDED: "io.smbferry.run.ended.v1",
    EventKind.READINESS_CHANGED: "io.smbferry.readiness.changed.v1",
}
OTHER: Final = "Other"
"""For a reason that is not ours: agents can write any text into a status."""
FILES: Final = ("listed", "transferred", "skipped", "deleted", "failed", "incomplete")
BYTES: Final = ("transferred", "written")


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event, ready to be sent."""

    id: str
    about: Key
    content: bytes


def cloud_events(kind: Kind, body: Manifest, source: str) -> list[CloudEvent]:
    """The events that the status of an object notes.

    Args:
        kind: of the object; items of a list do not name it.
        source: the attribute `source` of the events: this installation.
    """
    meta = body["metadata"]
    key = Key(kind, meta["namespace"], meta["name"])
    events = ((event, _data(key, body, event)) for event in undelivered(body))
    return [_made(key, meta["uid"], event, data, source) for event, data in events if data is not None]


def _made(key: Key, uid: str, event: UndeliveredEvent, data: Mapping[str, Any], source: str) -> CloudEvent:
    id_ = event_id(uid, event)
    attributes = {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": TYPES[event.type],
        "subject": f"namespaces/{key.namespace}/{PLURALS[key.kind.value]}/{key.name}",
        "time": format_time(event.time),
        "datacontenttype": "application/json",
        "data": data,
    }
    content = json.dumps(attributes, ensure_ascii=False).encode()
    return CloudEvent(id_, key, content)


def _data(key: Key, body: Manifest, event: UndeliveredEvent) -> dict[str, Any] | None:
    """The attribute `data`; None for an event that the status does not bear out."""
    about = {
        "apiVersion": API_VERSION,
        "kind": key.kind.value,
        "namespace": key.namespace,
        "name": key.name,
        "uid": body["metadata"]["uid"],
    }
    if event.type is EventKind.READINESS_CHANGED:
        if event.ready not in {"True", "False"}:
            return None
        previous = event.previous if event.previous in {"True", "False"} else "Unknown"
        return {**about, "ready": event.ready, "previous": previous, "reason": _known(event.reason)}
    status = body.get("status") or {}
    return {**about, **_of_run(body.get("spec") or {}, status)} if status.get("state") in ENDED else None


def _of_run(spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
    counters = status.get("counters") or {}
    failure = status.get("failure") or {}
    found = {
        "task": (spec.get("taskRef") or {}).get("name"),
        "dryRun": bool(spec.get("dryRun")),
        "survey": bool(spec.get("survey")),
        "state": status.get("state"),
        "reason": _known(failure.get("reason")) if failure else None,
        "startTime": status.get("startTime"),
        "completionTime": status.get("completionTime"),
        "duration": status.get("duration"),
        "files": _counted(counters.get("files"), FILES),
        "bytes": _counted(counters.get("bytes"), BYTES),
    }
    return {name: value for name, value in found.items() if value is not None}


def _known(reason: object) -> str:
    return reason if isinstance(reason, str) and by_name(reason) else OTHER


def _counted(counters: object, names: tuple[str, ...]) -> dict[str, int]:
    found = counters if isinstance(counters, dict) else {}
    return {name: value for name in names if isinstance(value := found.get(name, 0), int)}
