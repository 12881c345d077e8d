"""Decisions as pairs of files: `CASE.yaml` has the objects of a cluster, `CASE.decision.yaml` what is decided.

The objects of a case replace those of `well.yaml`, in which nothing is wrong, or are added to them; `absent` names
those that do not exist. `about` is the object that is decided about; `refusal` and the other fields are what the
reconciler knows besides. Objects are as short as a person writes them: what an API server or an agent fills in is
added here. Of an object, `for` names the controller, `job` the Job of a pod, and `snapshot` what differs in the
snapshot of a run, which is that of `builders.snapshot`. SMBFERRY_UPDATE_GOLDEN=1 writes the decisions anew.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from tests.support.builders import NOW, SETTINGS, agent_body, ago, condition, snapshot

from smbferry_api import API_VERSION
from smbferry_api.fields import format_time
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.task import decide_task
from smbferry_operator.model import Key, Kind, Manifest, Refusal
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.observer import Observer
from smbferry_operator.parse import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smbferry_operator.decide.decision import Decision

FOLDER = Path(__file__).parents[2] / "data" / "decisions"
WELL = FOLDER / "well.yaml"
ENDING = ".decision.yaml"
NAMESPACE = "team"
T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One pair; the name is that of its file, without the ending."""

    path: Path

    @property
    def name(self) -> str:
        """What the case is about, in words."""
        return self.path.stem.replace("-", " ")

    def decide(self) -> Decision:
        """Observes the objects and decides, as the reconciler does."""
        given = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        cache = Cache()
        for kind, body in _objects(given):
            cache.put(kind, body)
        key, observer = _key(given.pop("about")), Observer(cache)
        known = {name: value for name, value in given.items() if name not in {"objects", "absent"}}
        if "refusal" in known:
            known["refusal"] = Refusal(**known["refusal"])
        match key.kind:
            case Kind.IDENTITY:
                return decide_identity(_there(observer.identity(key, **known)), NOW, SETTINGS)
            case Kind.LOCATION:
                return decide_location(_there(observer.location(key, **known)), NOW, SETTINGS)
            case Kind.TASK:
                return decide_task(_there(observer.task(key, **known)), NOW)
            case Kind.RUN:
                return decide_run(_there(observer.run(key, **known)), NOW, SETTINGS)
        raise AssertionError(f"{self.path}: nothing is decided about a {key.kind}")

    def expected(self, decision: Decision) -> Manifest:
        """The decision as it is written down, after it was written anew where that is asked for."""
        path = self.path.with_name(self.path.stem + ENDING)
        if os.environ.get("SMBFERRY_UPDATE_GOLDEN") == "1":
            path.write_text(yaml.safe_dump(as_written(decision), sort_keys=False, width=120), encoding="utf-8")
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})


def cases(folder: str) -> list[Case]:
    """The cases of a folder below `FOLDER`, by name."""
    found = sorted((FOLDER / folder).glob("*.yaml"))
    inputs = [path for path in found if not path.name.endswith(ENDING)]
    assert inputs, f"no cases in {folder}"
    lonely = {path.name for path in found} - {path.stem + ENDING for path in inputs} - {path.name for path in inputs}
    assert not lonely, f"decisions without a case: {lonely}"
    return [Case(path) for path in inputs]


def as_written(decision: Decision) -> Manifest:
    """A decision as YAML has it: created objects by kind and name, no times of conditions, no snapshot of the task."""
    written: Manifest = {}
    if decision.status is not None:
        status = decision.status.as_json()
        status.pop("task", None)
        told = ("type", "status", "reason", "message")
        status["conditions"] = [{field: c[field] for field in told} for c in status["conditions"]]
        written["status"] = status
    written["apply"] = [body["kind"] for body in decision.apply]
    written["create"] = [f"{body['kind']} {body['metadata']['name']}" for body in decision.create]
    written["delete"] = [str(key) for key in decision.delete]
    written["events"] = [f"{event.type} {event.reason.name}: {event.message}" for event in decision.events]
    written["awaits"] = list(decision.awaits)
    written["requeueAfterSeconds"] = decision.requeue_after.total_seconds() if decision.requeue_after else None
    written["claim"] = decision.claim and f"//{decision.claim.server}:{decision.claim.port}/{decision.claim.share}"
    return {field: value for field, value in written.items() if value not in ([], None)}


def _objects(given: Manifest) -> Iterator[tuple[Kind, Manifest]]:
    bodies = {(b["kind"], b["metadata"]["name"]): b for b in yaml.safe_load_all(WELL.read_text(encoding="utf-8"))}
    for name in given.get("absent", ()):
        del bodies[tuple(name.split("/"))]
    bodies |= {(b["kind"], b["metadata"]["name"]): b for b in given.get("objects", ())}
    for body in bodies.values():
        kind = Kind(body["kind"])
        yield kind, _agent(kind, body) if kind in {Kind.JOB, Kind.POD} else _complete(body)


def _complete(body: Manifest) -> Manifest:
    """An object with what an API server fills in: identifiers, times, and the other fields of conditions."""
    body = dict(body)
    name, controller = body["metadata"]["name"], body.pop("for", None)
    defaults = {"namespace": NAMESPACE, "uid": f"uid-{name}", "generation": 1, "resourceVersion": "1"}
    created: Manifest = {"creationTimestamp": format_time(ago(hours=3)), "annotations": {}}
    if controller:
        kind, owner = controller.split("/")
        reference = {"apiVersion": API_VERSION, "kind": kind, "name": owner, "uid": f"uid-{owner}", "controller": True}
        created["ownerReferences"] = [reference]
    status = dict(body.get("status") or {})
    if "snapshot" in body:
        status["task"] = {**snapshot(**body.pop("snapshot")), "options": {}}
    if "conditions" in status:
        status["conditions"] = [_condition(dict(each)) for each in status["conditions"]]
    return {"spec": {}, **body, "metadata": {**defaults, **created, **body["metadata"]}, "status": status}


def _condition(given: Manifest) -> Manifest:
    type_, status, reason = given.pop("type"), given.pop("status"), given.pop("reason", "Fine")
    return {**condition(type_, status, reason), **given}


def _agent(kind: Kind, body: Manifest) -> Manifest:
    """A Job or a pod of the object that `for` names; a Job of a run records the snapshot of the task."""
    owner, meta, status = _key(body["for"]), dict(body["metadata"]), dict(body.get("status", {}))
    name, created = meta.pop("name"), parse_time(meta.pop("creationTimestamp", None)) or ago(minutes=1)
    conditions = status.pop("conditions", [])
    if conditions:
        moment = {"lastTransitionTime": format_time(ago(seconds=30))}
        status["conditions"] = [{"status": "True", **moment, **each} for each in conditions]
    more: dict[str, Any] = {"job": body["job"]} if "job" in body else {}
    if owner.kind is Kind.RUN:
        more["task"] = snapshot(**body.get("snapshot", {}))
    made = agent_body(kind, name, (owner.kind, owner.name, f"uid-{owner.name}"), status=status, created=created, **more)
    made["metadata"]["annotations"] |= meta.pop("annotations", {})
    made["metadata"] |= meta
    return made


def _key(text: str) -> Key:
    kind, name = text.split("/")
    return Key(Kind(kind), NAMESPACE, name)


def _there(observed: T | None) -> T:
    assert observed is not None
    return observed
