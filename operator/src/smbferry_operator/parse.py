"""From JSON objects to the values that decisions look at. Converts every malformed object to one typed error."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from smbferry_api.agent_contract import AGENT_CONTAINER
from smbferry_api.fields import Spec, Status
from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.location import SmbLocationSpec, SmbLocationStatus
from smbferry_api.run import ResolvedTask, TransferRunSpec
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.served import explain, read_spec, read_status
from smbferry_api.task import TransferTaskSpec, TransferTaskStatus
from smbferry_operator.model import Identity, Job, Location, Manifest, Meta, Pod, Resource, Run, Task

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Spec)
T = TypeVar("T", bound=Status)


class InvalidObjectError(Exception):
    """A spec that the schema let pass can't be used: says which field and why."""

    def __init__(self, meta: Meta, message: str, status: Manifest) -> None:
        super().__init__(message)
        self.meta = meta
        self.status = status


def parse_time(text: str | None) -> datetime | None:
    """Reads metav1.Time or MicroTime."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def parse_meta(body: Mapping[str, Any]) -> Meta:
    """Reads ObjectMeta."""
    meta = body["metadata"]
    owners = meta.get("ownerReferences") or ()
    return Meta(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        uid=meta["uid"],
        created=parse_time(meta["creationTimestamp"]) or datetime.min.replace(tzinfo=UTC),
        generation=int(meta.get("generation") or 0),
        deleting=bool(meta.get("deletionTimestamp")),
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        controller_uid=next((o["uid"] for o in owners if o.get("controller")), ""),
    )


def _resource(body: Manifest, spec: type[S], status: type[T]) -> Resource[S, T]:
    meta = parse_meta(body)
    with _usable(body, meta, "spec"):
        parsed = read_spec(spec, body.get("spec") or {})
    return Resource(meta, parsed, _status(body, status))


def _status(body: Manifest, status: type[T]) -> T:
    """The status; a field that can't be read counts as not written yet."""
    found, problem = read_status(status, body.get("status") or {})
    if problem:
        logger.warning("%s %s: left aside what can't be read: %s", body.get("kind"), body["metadata"]["name"], problem)
    return found


@contextmanager
def _usable(body: Manifest, meta: Meta, what: str) -> Iterator[None]:
    """Turns what is wrong with a part of an object into our own error."""
    try:
        yield
    except ValidationError as error:
        raise InvalidObjectError(meta, explain(error, what), body.get("status") or {}) from error


def parse_identity(body: Manifest) -> Identity:
    """Reads a KerberosIdentity.

    Raises:
        InvalidObjectError: its spec can't be used.
    """
    return _resource(body, KerberosIdentitySpec, KerberosIdentityStatus)


def parse_location(body: Manifest) -> Location:
    """Reads an SmbLocation.

    Raises:
        InvalidObjectError: its spec can't be used.
    """
    return _resource(body, SmbLocationSpec, SmbLocationStatus)


def parse_task(body: Manifest) -> Task:
    """Reads a TransferTask.

    Raises:
        InvalidObjectError: its spec can't be used.
    """
    return _resource(body, TransferTaskSpec, TransferTaskStatus)


def parse_run(body: Manifest) -> Run:
    """Reads a TransferRun.

    Raises:
        InvalidObjectError: its spec, or the snapshot in its status, can't be used.
    """
    run = _resource(body, TransferRunSpec, TransferRunStatus)
    if run.spec.task is None and run.status.task is not None:
        with _usable(body, run.meta, "status.task"):
            read_spec(ResolvedTask, run.status.task)
    return run


def parse_job(body: Manifest) -> Job:
    """Reads a batch/v1 Job."""
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
    )


def parse_pod(body: Manifest) -> Pod:
    """Reads an agent's pod."""
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
    )


def _true_conditions(status: Mapping[str, Any]) -> dict[str, Manifest]:
    return {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}


def _agent_state(statuses: Iterable[Manifest]) -> Manifest:
    return next((s.get("state") or {} for s in statuses if s.get("name") == AGENT_CONTAINER), {})
