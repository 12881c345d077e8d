"""Parses Kubernetes objects from JSON. Every invalid object leads to one typed error."""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from smbferry_api import GROUP
from smbferry_api.agent_contract import AGENT_CONTAINER
from smbferry_api.explain import explain
from smbferry_api.fields import Spec, Status
from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.location import SmbLocationSpec, SmbLocationStatus
from smbferry_api.run import TransferRunSpec
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.served import read_spec, read_status
from smbferry_api.snapshot import read_decoded
from smbferry_api.task import TransferTaskSpec, TransferTaskStatus
from smbferry_operator.model import (
    OWN_KINDS,
    Carried,
    Identity,
    Job,
    Kind,
    Load,
    Location,
    Manifest,
    Meta,
    Owner,
    Pod,
    Recorded,
    Resource,
    Run,
    Task,
)

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Spec)
T = TypeVar("T", bound=Status)

RECORDED: Final = "recorded"
"""The field that the cache keeps of an agent's Job or pod: the snapshot in its environment, as JSON."""
PRIORITY_CLASS: Final = "priorityClassName"
"""The field that the cache keeps of an agent's Job or pod: the PriorityClass."""
COMPLETIONS: Final = "completions"
"""The field that the cache keeps of a Job with several agents: their number."""
ANNOTATION_CHECK_LOAD: Final = f"{GROUP}/check-load"
"""Of a check's Job: the locations that it carries."""
REMEMBERED: Final = 300
"""How many parsed snapshots and loads are kept; a Job and its pods share one."""


class InvalidObjectError(Exception):
    """A spec that passed the schema is invalid; the message names the field."""

    def __init__(self, meta: Meta, message: str, status: Manifest) -> None:
        super().__init__(message)
        self.meta = meta
        self.status = status


def parse_time(text: str | None) -> datetime | None:
    """Parses metav1.Time or MicroTime."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def parse_meta(body: Mapping[str, Any]) -> Meta:
    """Parses ObjectMeta."""
    meta = body["metadata"]
    return Meta(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        uid=meta["uid"],
        created=parse_time(meta["creationTimestamp"]) or datetime.min.replace(tzinfo=UTC),
        generation=int(meta.get("generation") or 0),
        deleting=bool(meta.get("deletionTimestamp")),
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        controller=parse_owner(meta),
        version=str(meta.get("resourceVersion") or ""),
    )


def parse_owner(meta: Mapping[str, Any]) -> Owner | None:
    """The controller among an object's owners, None if there is none."""
    reference = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    if reference is None:
        return None
    group, kind = str(reference.get("apiVersion", "")).partition("/")[0], str(reference.get("kind", ""))
    expected = {"batch": (Kind.JOB,), GROUP: OWN_KINDS}.get(group, ())
    return Owner(kind if kind in expected else "", str(reference.get("name", "")), str(reference["uid"]))


def class_of(body: Mapping[str, Any]) -> str:
    """spec.className of one of our objects, empty for the default class."""
    return str((body.get("spec") or {}).get("className") or "")


@lru_cache(maxsize=REMEMBERED)
def read_recorded(text: str) -> Recorded | None:
    """The snapshot in an agent's environment, None if it is missing or unreadable."""
    try:
        return Recorded(text, read_decoded(text)) if text else None
    except ValueError:
        return None


def _resource(body: Manifest, spec: type[S], status: type[T]) -> Resource[S, T]:
    meta = parse_meta(body)
    try:
        parsed = read_spec(spec, body.get("spec") or {})
    except ValidationError as error:
        raise InvalidObjectError(meta, explain(error, "spec", spec), body.get("status") or {}) from error
    return Resource(meta, parsed, _status(body, status))


def _status(body: Manifest, status: type[T]) -> T:
    """The status; an unreadable field counts as missing."""
    found, problem = read_status(status, body.get("status") or {})
    if problem:
        name = body["metadata"]["name"]
        logger.warning("%s %s: ignored unreadable fields of the status: %s", body.get("kind"), name, problem)
    return found


def parse_identity(body: Manifest) -> Identity:
    """Parses a KerberosIdentity.

    Raises:
        InvalidObjectError: its spec is invalid.
    """
    return _resource(body, KerberosIdentitySpec, KerberosIdentityStatus)


def parse_location(body: Manifest) -> Location:
    """Parses an SmbLocation.

    Raises:
        InvalidObjectError: its spec is invalid.
    """
    return _resource(body, SmbLocationSpec, SmbLocationStatus)


def parse_task(body: Manifest) -> Task:
    """Parses a TransferTask.

    Raises:
        InvalidObjectError: its spec is invalid.
    """
    return _resource(body, TransferTaskSpec, TransferTaskStatus)


def parse_run(body: Manifest) -> Run:
    """Parses a TransferRun.

    Raises:
        InvalidObjectError: its spec is invalid.
    """
    return _resource(body, TransferRunSpec, TransferRunStatus)


def parse_job(body: Manifest) -> Job:
    """Parses a batch/v1 Job."""
    status = body.get("status") or {}
    conditions = _true_conditions(status)
    complete, failure = conditions.get("Complete"), conditions.get("Failed")
    ended, suspended = complete or failure, conditions.get("Suspended")
    return Job(
        meta=parse_meta(body),
        active=status.get("active") or 0,
        failed=status.get("failed") or 0,
        succeeded=status.get("succeeded") or 0,
        complete=complete is not None,
        failure_reason=(failure.get("reason") or "Failed") if failure else "",
        failure_message=failure.get("message", "") if failure else "",
        finished_at=parse_time(status.get("completionTime") or ended.get("lastTransitionTime")) if ended else None,
        suspended=(suspended.get("message") or "Job suspended") if suspended else "",
        recorded=read_recorded((body.get("spec") or {}).get(RECORDED, "")),
        priority_class=(body.get("spec") or {}).get(PRIORITY_CLASS, ""),
        completions=(body.get("spec") or {}).get(COMPLETIONS) or 1,
        load=load_of(body),
    )


def load_of(body: Manifest) -> Load | None:
    """The locations that a check's Job says it carries."""
    return read_load((body["metadata"].get("annotations") or {}).get(ANNOTATION_CHECK_LOAD, ""))


@lru_cache(maxsize=REMEMBERED)
def read_load(text: str) -> Load | None:
    """The locations that a check's Job carries, by the Job's annotation; None for what the operator never wrote."""
    if not text:
        return None
    try:
        group, nameservers, locations = json.loads(text)
        return Load(str(group), tuple(map(str, nameservers)), tuple(_carried(*each) for each in locations))
    except (ValueError, TypeError, IndexError):
        return None


def _carried(*fields: Any) -> Carried:
    name, uid, inputs, epoch, last_check, request, follows = map(str, fields[:-1])
    return Carried(name, uid, inputs, epoch, last_check, request, follows, int(fields[-1]))


def written_load(load: Load) -> str:
    """The annotation that `read_load` reads."""
    return json.dumps(load, separators=(",", ":"))


def parse_pod(body: Manifest) -> Pod:
    """Parses an agent's pod."""
    status = body.get("status") or {}
    state = _agent_state(status.get("containerStatuses") or ())
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    scheduled: Manifest = next((c for c in status.get("conditions") or () if c.get("type") == "PodScheduled"), {})
    meta = parse_meta(body)
    return Pod(
        meta=meta,
        job=meta.labels.get("batch.kubernetes.io/job-name", ""),
        phase=status.get("phase", "Pending"),
        unschedulable=(scheduled.get("message") or "no node fits") if scheduled.get("status") == "False" else "",
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        exit_code=terminated.get("exitCode"),
        exit_reason=terminated.get("reason", ""),
        termination_message=terminated.get("message", ""),
        ended_at=parse_time(terminated.get("finishedAt")),
        disrupted=_true_conditions(status).get("DisruptionTarget", {}).get("reason", ""),
        recorded=read_recorded((body.get("spec") or {}).get(RECORDED, "")),
    )


def _true_conditions(status: Mapping[str, Any]) -> dict[str, Manifest]:
    return {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}


def _agent_state(statuses: Iterable[Manifest]) -> Manifest:
    return next((s.get("state") or {} for s in statuses if s.get("name") == AGENT_CONTAINER), {})
