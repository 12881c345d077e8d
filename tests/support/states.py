"""Our objects in the states that GitOps tools judge, each as the operator's own decision leaves it, and the table of
what those tools are to say (tests/data/health.yaml).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tests.support.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    NOW,
    PROVEN,
    SETTINGS,
    ago,
    check_job,
    checked_identity,
    checked_location,
    checks,
    condition,
    ends,
    identity_body,
    location_body,
    pod,
    ready,
    run,
    run_body,
    snapshot,
    task,
    task_body,
    transfer_job,
)

from smbferry_api.conditions import ConditionType
from smbferry_api.exit_codes import ExitCode
from smbferry_api.fields import format_time
from smbferry_operator.decide.history import last_ended
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.invalid import decide_invalid
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.observation import (
    IdentityObservation,
    LocationObservation,
    RunObservation,
    TaskObservation,
)
from smbferry_operator.decide.record import reported
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.task import decide_task
from smbferry_operator.model import Kind
from smbferry_operator.parse import parse_identity, parse_location, parse_meta, parse_run, parse_task

if TYPE_CHECKING:
    from smbferry_operator.decide.decision import Decision
    from smbferry_operator.model import Location, Run

Object = dict[str, Any]
TABLE = Path(__file__).parents[1] / "data" / "health.yaml"
OWNED = {ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.SUCCEEDED}
OWNED |= {ConditionType.IN_SYNC}
# What the API server gives an object that nobody has looked at.
UNSEEN = {"observedGeneration": -1}
DONE = check_job(complete=True, finished_at=ago(seconds=10))
TRIED = check_job(inputs="1.1", epoch=format_time(ago(hours=2)), complete=True, finished_at=ago(seconds=10))


def after(body: Object, decision: Decision) -> Object:
    """The object once the operator has done what it decided; what agents said stays."""
    status = UNSEEN | (body.get("status") or {})
    if decision.status is not None:
        made = decision.status.as_json()
        kept = [c for c in status.get("conditions", []) if c["type"] not in OWNED]
        status = {**status, **made, "conditions": [*kept, *made["conditions"]]}
    return {"apiVersion": "smbferry.io/v1alpha1", **body, "status": status}


def unseen(body: Object) -> Object:
    """The object as the API server shows it before anyone looked."""
    return {"apiVersion": "smbferry.io/v1alpha1", **body, "status": UNSEEN}


def invalid(kind: Kind, body: Object) -> Object:
    """The object when its spec can't be used."""
    why = "spec.x: expected something else"
    return after(body, decide_invalid(kind, parse_meta(body), {}, why, NOW, at_work=False))


def identity(body: Object, **seen: Any) -> Object:
    """An identity after a look at it."""
    return after(body, decide_identity(IdentityObservation(parse_identity(body), **seen), NOW, SETTINGS))


def checked(states: dict[str, str], **said: tuple[str, str]) -> Object:
    """The status that an agent's check leaves."""
    return {
        "conditions": checks(states, but=said),
        "lastCheckTime": format_time(ago(seconds=12)),
        "nextCheckTime": format_time(NOW + timedelta(minutes=50)),
        "identityGeneration": 1,
    }


def location(body: Object, **seen: Any) -> Object:
    """A location after a look at it; its identity is good unless another is given."""
    seen = {"identity": checked_identity(), **seen}
    return after(body, decide_location(LocationObservation(parse_location(body), **seen), NOW, SETTINGS))


def waits(name: str, *conditions: Object) -> Location:
    """A location that is not ready."""
    return parse_location(location_body(name, {"conditions": list(conditions), "observedGeneration": 1}))


def transfer(body: Object, *runs: Run, **seen: Any) -> Object:
    """A task after a look at it; its locations are good unless others are given."""
    last = last_ended(runs)
    done = reported(last.status) if last else None
    return after(body, decide_task(TaskObservation(parse_task(body), seen.get("ends", ends()), runs, done), NOW))


def execution(body: Object, **seen: Any) -> Object:
    """A run after a look at it."""
    seen = {"task": task(), "ends": ends(), "proofs": {"svc": PROVEN}, **seen}
    return after(body, decide_run(RunObservation(parse_run(body), **seen), NOW, SETTINGS))


def ended(state: str, **status: Any) -> Run:
    """A run of the task that has ended."""
    status |= {"state": state, "completionTime": format_time(ago(minutes=1)), "task": {**snapshot(), "options": {}}}
    return run("nightly-1", status, owner_uid="uid-nightly", created=ago(minutes=6))


def failure(class_: str, reason: str) -> Object:
    """Why a run failed."""
    return {"failure": {"class": class_, "reason": reason, "message": f"{reason}."}}


RUNNING = {"jobs": (transfer_job(active=1),), "pods": (pod(phase="Running"),)}
OVER = {"finished_at": ago(seconds=30)}
STALE = {"KvnoMismatch": ("True", "KeytabStale"), "TicketAcquired": ("False", "KeytabStale")}
UNREACHED = {"KdcReachable": ("False", "KdcUnreachable")}
PLAIN = {"Encrypted": ("False", "EncryptionNotSupported")}
AWAY = {"ServerReachable": ("False", "ServerUnreachable")}


CHECKING = {"jobs": (check_job(active=1),), "pods": (pod("check-1", phase="Running"),)}


def _identities() -> dict[str, Object]:
    good = checked(IDENTITY_GOOD)
    settled = {**good, "conditions": [*good["conditions"], ready()], "observedGeneration": 1}
    return {
        "unseen": unseen(identity_body()),
        "first check under way": identity(identity_body(), **CHECKING),
        "good": identity(identity_body(status=good), jobs=(DONE,)),
        "an older key that still works": identity(
            identity_body(status=checked(IDENTITY_GOOD, KvnoMismatch=("True", "KeytabAhead"))), jobs=(DONE,)
        ),
        "checked again": identity(identity_body(status=settled), **CHECKING),
        "changed, not yet seen": {**unseen(identity_body(generation=2)), "status": settled},
        "changed, being checked": identity(identity_body(status=settled, generation=2)),
        "keytab stale": identity(identity_body(status=checked(IDENTITY_GOOD, **STALE)), jobs=(DONE,)),
        "KDC away": identity(identity_body(status=checked(IDENTITY_GOOD, **UNREACHED)), jobs=(DONE,)),
        "spec of no use": invalid(Kind.IDENTITY, identity_body()),
        "being deleted": identity(identity_body(status=settled, deleting=True)),
    }


def _locations() -> dict[str, Object]:
    refused = identity(identity_body(status=checked(IDENTITY_GOOD, **STALE)), jobs=(DONE,))
    return {
        "unseen": unseen(location_body()),
        "identity missing": location(location_body(), identity=None),
        "identity not checked yet": location(location_body(), identity=parse_identity(identity_body())),
        "identity refused": location(location_body(), identity=parse_identity(refused)),
        "first check under way": location(location_body(), **CHECKING),
        "good": location(location_body(status=checked(LOCATION_GOOD)), jobs=(TRIED,)),
        "not encrypted": location(location_body(status=checked(LOCATION_GOOD, **PLAIN)), jobs=(TRIED,)),
        "server away": location(location_body(status=checked(LOCATION_GOOD, **AWAY)), jobs=(TRIED,)),
    }


def _tasks() -> dict[str, Object]:
    settled = {"observedTrigger": "", "observedGeneration": 1}
    gone = waits("src", condition("Ready", "False", "ShareNotFound"), condition("Stalled", "True", "ShareNotFound"))
    down = waits("src", condition("Ready", "False", "ServerUnreachable"))
    bodies = {name: task_body(status=settled, suspend=suspend) for name, suspend in (("", False), ("suspended", True))}
    body = bodies[""]
    return {
        "unseen": unseen(task_body()),
        "location missing": transfer(task_body(), ends=ends(source=None)),
        "location not checked yet": transfer(task_body(), ends=ends(source=waits("src"))),
        "location without its share": transfer(task_body(), ends=ends(source=gone)),
        "location's server away": transfer(task_body(), ends=ends(source=down)),
        "never ran": transfer(task_body(schedule={"cron": "0 2 * * *"}, created=ago(hours=9))),
        "runs": transfer(body, run("nightly-1", {"state": "Transferring"}, owner_uid="uid-nightly")),
        "in sync": transfer(body, ended("Succeeded")),
        "single files failed": transfer(body, ended("PartiallySucceeded")),
        "last run failed for good": transfer(body, ended("Failed", **failure("Access", "AccessDenied"))),
        "last run failed for now": transfer(body, ended("Failed", **failure("Network", "ConnectionLost"))),
        "suspended": transfer(bodies["suspended"], ended("Succeeded")),
        "suspended, location missing": transfer(bodies["suspended"], ends=ends(source=None)),
        "spec of no use": invalid(Kind.TASK, task_body()),
    }


def _runs() -> dict[str, Object]:
    onto_itself = task(destination={"locationRef": {"name": "src"}, "path": "/below"})
    around = ends(destination=checked_location("src"))
    refused = pod(phase="Failed", exit_code=int(ExitCode.IDENTITY), ended_at=ago(seconds=31))
    partial = pod(phase="Failed", exit_code=int(ExitCode.DONE_WITH_FAILURES), ended_at=ago(seconds=31))
    by_policy = transfer_job(failure_reason="PodFailurePolicy", **OVER)
    given_up = transfer_job(failure_reason="BackoffLimitExceeded", failed=7, **OVER)
    lost = failure("Network", "ConnectionLost")
    return {
        "unseen": unseen(run_body()),
        "location not ready": execution(run_body(), ends=ends(source=waits("src"))),
        "launched": execution(run_body()),
        "transferring": execution(run_body(status={"phases": {"transfer": {"state": "Running"}}}), **RUNNING),
        "tried again": execution(
            run_body(), jobs=(transfer_job(active=1, failed=1),), pods=(replace(partial, exit_code=20),)
        ),
        "waits for room": execution(run_body(), jobs=(transfer_job(active=1),), pods=(pod(unschedulable="no room"),)),
        "about to fail": execution(
            run_body(), jobs=(transfer_job(active=1),), pods=(pod(waiting_reason="ErrImagePull", created=ago(hours=1)),)
        ),
        "cancelling": execution(run_body(cancel=True), **RUNNING),
        "succeeded": execution(run_body(), jobs=(transfer_job(complete=True, **OVER),)),
        "single files failed": execution(run_body(), jobs=(by_policy,), pods=(partial,)),
        "refused": execution(run_body(), jobs=(by_policy,), pods=(refused,)),
        "given up": execution(run_body(status=lost), jobs=(given_up,)),
        "onto itself": execution(run_body(), task=onto_itself, ends=around),
        "cancelled": execution(run_body(cancel=True)),
        "spec of no use": invalid(Kind.RUN, run_body()),
    }


STATES: dict[str, dict[str, Object]] = {
    "KerberosIdentity": _identities(),
    "SmbLocation": _locations(),
    "TransferTask": _tasks(),
    "TransferRun": _runs(),
}


def expected(tool: str) -> list[tuple[str, str, str]]:
    """Kind, state and verdict of kstatus or argocd: the table's column, one row for every state.

    Raises:
        ValueError: table and states differ.
    """
    rows = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    if {kind: set(states) for kind, states in rows.items()} != {kind: set(states) for kind, states in STATES.items()}:
        raise ValueError(f"{TABLE.name} has not the same states as {__name__}")
    return [(kind, state, verdict[tool]) for kind, states in rows.items() for state, verdict in states.items()]
