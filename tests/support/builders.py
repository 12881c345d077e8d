"""Observations in a few words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.support import verdicts

from smbferry_api import API_VERSION
from smbferry_api.agent_contract import AGENT_CONTAINER
from smbferry_api.conditions import Condition
from smbferry_api.fields import format_time
from smbferry_api.names import ANNOTATION_REQUESTED_AT, LABEL_OWNER_KIND, LABEL_OWNER_UID
from smbferry_api.run import ResolvedTask
from smbferry_api.snapshot import decoded, environment_of, read_snapshot, text_in
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.naming import (
    ANNOTATION_ATTEMPTS_BEFORE,
    ANNOTATION_CHECK_EPOCH,
    ANNOTATION_CHECK_INPUTS,
    ANNOTATION_LAST_CHECK,
    ANNOTATION_OWNER_NAME,
)
from smbferry_operator.decide.observation import Ends, IdentityObservation, LocationObservation
from smbferry_operator.decide.proof import Proof
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import Identity, Job, Kind, Location, Manifest, Meta, Pod, Recorded, Run, Task
from smbferry_operator.parse import parse_identity, parse_location, parse_run, parse_task

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SETTINGS = AgentSettings(image="smbferry/agent:1")
PROVEN = Proof(NOW)
IDENTITY_GOOD, LOCATION_GOOD = verdicts.IDENTITY_IS_WELL, verdicts.LOCATION_IS_WELL


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def condition(type_: str, status: str, reason: str = "X", *, generation: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": more.get("message", f"{reason}."),
        "lastTransitionTime": format_time(more.get("at", ago(hours=2))),
        "observedGeneration": generation,
    }


def ready(reason: str = "ChecksPassed", **more: Any) -> dict[str, Any]:
    return condition("Ready", "True", reason, **more)


def checks(
    states: dict[str, str],
    but: dict[str, tuple[str, str]] | None = None,
    *,
    generation: int = 1,
    **reasons: tuple[str, str],
) -> list[dict[str, Any]]:
    """The agent's conditions; what differs is given as Type=(status, reason), or by a dictionary."""
    found = {type_: (status, "Fine") for type_, status in states.items()} | (but or {}) | reasons
    return [condition(type_, status, reason, generation=generation) for type_, (status, reason) in found.items()]


def _body(kind: str, name: str, spec: dict[str, Any], status: dict[str, Any] | None, **meta: Any) -> dict[str, Any]:
    created = meta.pop("created", ago(hours=3))
    owner = meta.pop("owner_uid", None)
    metadata = {
        "name": name,
        "namespace": meta.pop("namespace", "team"),
        "uid": meta.pop("uid", f"uid-{name}"),
        "generation": meta.pop("generation", 1),
        "resourceVersion": str(meta.pop("version", 1)),
        "creationTimestamp": format_time(created),
        "annotations": meta.pop("annotations", {}),
    }
    if owner:
        kind_of_owner = {"apiVersion": API_VERSION, "kind": "TransferTask", "name": "nightly"}
        metadata["ownerReferences"] = [{**kind_of_owner, "uid": owner, "controller": True}]
    if meta.pop("deleting", False):
        metadata["deletionTimestamp"] = format_time(NOW)
    assert not meta, f"unknown: {meta}"
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": status or {}}


def _optional(given: dict[str, Any], **fields: str) -> dict[str, Any]:
    """Takes those fields of a spec that are given, by their names in Python."""
    return {key: given.pop(name) for name, key in fields.items() if name in given}


def identity_body(name: str = "svc", status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    spec = {
        "principal": f"{name}@CORP.EXAMPLE.COM",
        "keytabSecretRef": {"name": f"{name}-keytab"},
        "krb5ConfigMapRef": {"name": "corp-krb5"},
        "nameservers": meta.pop("nameservers", []),
        **_optional(meta, agent="agent", class_name="className"),
    }
    return _body("KerberosIdentity", name, spec, status, **meta)


def identity(name: str = "svc", status: dict[str, Any] | None = None, **meta: Any) -> Identity:
    return parse_identity(identity_body(name, status, **meta))


def key_use(refused_at: datetime, reason: str = "KeytabStale", key_version: int = 3) -> dict[str, Any]:
    """What an agent leaves in an identity's status that was refused one key."""
    word = {"fingerprint": "46079eea9225", "generation": 1, "reason": reason, "message": "It was changed."}
    moment = format_time(refused_at)
    return {"refused": {**word, "time": moment, "keyVersion": key_version}, "wrong": [moment]}


def checked_identity(name: str = "svc", **meta: Any) -> Identity:
    generation = meta.get("generation", 1)
    status = {
        **meta.pop("status", {}),
        "conditions": [*checks(IDENTITY_GOOD, generation=generation), ready(generation=generation)],
        "lastCheckTime": format_time(ago(minutes=10)),
        "nextCheckTime": format_time(NOW + timedelta(minutes=50)),
        "observedGeneration": generation,
    }
    return identity(name, status, **meta)


def location_body(name: str = "src", status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    spec = {
        "server": meta.pop("server", "files.corp.example.com"),
        "share": meta.pop("share", name),
        "path": meta.pop("path", "/"),
        "identityRef": {"name": meta.pop("identity", "svc")},
        "nameservers": meta.pop("nameservers", []),
        **_optional(meta, agent="agent", class_name="className"),
    }
    return _body("SmbLocation", name, spec, status, **meta)


def location(name: str = "src", status: dict[str, Any] | None = None, **meta: Any) -> Location:
    return parse_location(location_body(name, status, **meta))


def checked_location(name: str = "src", **meta: Any) -> Location:
    generation = meta.get("generation", 1)
    status = {
        "conditions": [*checks(LOCATION_GOOD, generation=generation), ready(generation=generation)],
        "identityGeneration": 1,
        "lastCheckTime": format_time(ago(minutes=10)),
        "nextCheckTime": format_time(NOW + timedelta(minutes=50)),
        "observedGeneration": generation,
    }
    return location(name, status, **meta)


def ends(identity: Identity | None = None, /, **locations: Location | None) -> Ends:
    source = locations.get("source", checked_location("src"))
    destination = locations.get("destination", checked_location("dst"))
    svc = identity or checked_identity()
    return Ends(source, destination, svc, svc)


def task_body(name: str = "nightly", status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    meta = {k: spec.pop(k) for k in ("created", "generation", "uid", "version", "deleting", "namespace") if k in spec}
    whole = {"source": {"locationRef": {"name": "src"}}, "destination": {"locationRef": {"name": "dst"}}, **spec}
    return _body("TransferTask", name, whole, status, **meta)


def task(name: str = "nightly", status: dict[str, Any] | None = None, **spec: Any) -> Task:
    return parse_task(task_body(name, status, **spec))


def snapshot(name: str = "nightly", **changes: Any) -> dict[str, Any]:
    """What a run works by: from src to dst, by the identity svc."""
    svc = changes.get("identity", "svc")

    def end(share: str) -> dict[str, Any]:
        return {
            "location": share,
            "generation": 1,
            "path": changes.get(f"{share}_path", "/"),
            "spec": location_body(share, server=changes.get("server", "files.corp.example.com"))["spec"],
            "identity": {"name": svc, "generation": 1, "spec": identity_body(svc)["spec"]},
        }

    source, destination = end(changes.get("source", "src")), end(changes.get("destination", "dst"))
    agent = changes.get("agent", {})
    more = {"approval": changes["approval"]} if "approval" in changes else {}
    return {"name": name, "uid": f"uid-{name}", "source": source, "destination": destination, "agent": agent, **more}


def run_body(name: str = "run", status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"taskRef": {"name": meta.pop("task_name", "nightly")}}
    spec |= _optional(
        meta,
        dry_run="dryRun",
        survey="survey",
        measures="measureDestination",
        cancel="cancel",
        ignores="ignoreWindows",
        approves="approvedPlan",
        class_name="className",
    )
    return _body("TransferRun", name, spec, status, **meta)


def run(name: str = "run", status: dict[str, Any] | None = None, **meta: Any) -> Run:
    return parse_run(run_body(name, status, **meta))


def check_job(**given: Any) -> Job:
    """A check's Job: launched a minute ago for generation 1, before any report."""
    annotations = {
        ANNOTATION_CHECK_INPUTS: given.pop("inputs", "1"),
        ANNOTATION_CHECK_EPOCH: given.pop("epoch", ""),
        ANNOTATION_LAST_CHECK: given.pop("last_check", ""),
    }
    if "request" in given:
        annotations[ANNOTATION_REQUESTED_AT] = given.pop("request")
    created = given.pop("created", ago(minutes=1))
    meta = Meta(given.pop("name", "check-1"), "team", "uid-job", created, annotations=annotations)
    return Job(meta, **given)


def checks_of(svc: Identity, *locations: Location, settings: AgentSettings = SETTINGS, **seen: Any) -> Decision:
    """What is decided about an identity whose locations were decided about a few seconds ago, or when it is said."""
    now, since = seen.pop("now", NOW), seen.pop("since", ago(seconds=3))
    decisions = (decide_location(LocationObservation(place, svc), now, settings) for place in locations)
    checks = (decision.check for decision in decisions if decision.check is not None)
    wanted = tuple(replace(check, since=since) if check.since else check for check in checks)
    return decide_identity(IdentityObservation(svc, wanted=wanted, **seen), now, settings)


def recorded(taken: dict[str, Any] | None = None) -> Recorded:
    """A snapshot as a Job holds it."""
    text = text_in(environment_of(ResolvedTask.model_validate(taken or snapshot())))
    return Recorded(decoded(text), read_snapshot(text))


def recorded_in(job: dict[str, Any]) -> ResolvedTask:
    """The snapshot in a Job that is to be created."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return read_snapshot(text_in({variable["name"]: variable["value"] for variable in container["env"]}))


def transfer_job(**given: Any) -> Job:
    """A run's Job, which records a snapshot unless that is said to be None."""
    taken = given.pop("task", snapshot())
    annotations = {ANNOTATION_ATTEMPTS_BEFORE: str(given.pop("before", 0))}
    deleting = given.pop("deleting", False)
    created = given.pop("created", ago(minutes=1))
    name, labels = given.pop("name", "xrun-1"), given.pop("labels", {})
    meta = Meta(name, "team", "uid-job", created, labels=labels, annotations=annotations, deleting=deleting)
    return Job(meta, recorded=recorded(taken) if taken is not None else None, **given)


def pod(job: str = "xrun-1", **given: Any) -> Pod:
    meta = Meta(given.pop("name", f"{job}-pod"), "team", "uid-pod", given.pop("created", ago(seconds=50)))
    return Pod(meta, job, **given)


def agent_body(kind: Kind, name: str, owner: tuple[Kind, str, str], **given: Any) -> dict[str, Any]:
    """A Job or pod as the API server has it, belonging to (kind, name, uid); the pod by a Job of that name."""
    taken = given.pop("task", None)
    owner_kind, owner_name, owner_uid = owner
    environment = environment_of(ResolvedTask.model_validate(taken)) if taken else {}
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    spec: dict[str, Any] = {"containers": [{"name": AGENT_CONTAINER, "env": variables}]}
    spec = {"template": {"spec": spec}} if kind is Kind.JOB else spec
    job = given.pop("job", f"{name}-job")
    body = _body(kind.value, name, spec, given.pop("status", {}), **given)
    body["metadata"]["labels"] = {LABEL_OWNER_KIND: owner_kind.value, LABEL_OWNER_UID: owner_uid}
    controller = {"apiVersion": API_VERSION, "kind": owner_kind.value, "name": owner_name, "uid": owner_uid}
    if kind is Kind.POD:
        controller = {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": f"uid-{job}"}
        body["metadata"]["labels"]["batch.kubernetes.io/job-name"] = job
    body["metadata"]["ownerReferences"] = [{**controller, "controller": True}]
    body["metadata"]["annotations"] |= {ANNOTATION_OWNER_NAME: owner_name}
    return body


def found(conditions: tuple[Condition, ...], type_: str) -> tuple[str, str] | None:
    """(status, reason) of a condition, None where it is absent."""
    return next(((c.status, c.reason) for c in conditions if c.type == type_), None)


def job_of(decision: Decision) -> Manifest:
    """The one Job that a decision creates."""
    (job,) = (body for body in decision.create if body["kind"] == "Job")
    return job
