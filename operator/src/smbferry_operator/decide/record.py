"""The snapshot that a run works by, as the operator recorded it in the run's Jobs. Pure.

Neither an agent's token nor the permission to create runs allows to write it. An agent may change the status of its
run, so no decision about mounts, Jobs or destinations depends on that status (ADR 19).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from smbferry_api.run import ResolvedEnd, ResolvedIdentity, ResolvedTask
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.served import read_spec
from smbferry_operator.decide.naming import (
    ANNOTATION_ACTIVE_BEFORE,
    ANNOTATION_ATTEMPTS_BEFORE,
    ANNOTATION_PAUSES_BEFORE,
)
from smbferry_operator.model import Identity, Job, Meta, Pod, Recorded

MAX_DIGITS: Final = 4
MAX_DIGITS_OF_PAUSES: Final = 7
MAX_DIGITS_OF_SECONDS: Final = 10


def recorded(jobs: Iterable[Job], pods: Iterable[Pod]) -> Recorded | None:
    """The snapshot of the newest Job that has one, else that of a pod whose Job was deleted by hand."""
    newest = sorted(jobs, key=lambda job: (job.meta.created, order_of(job)), reverse=True)
    found = (*(job.recorded for job in newest), *(pod.recorded for pod in pods))
    return next((work for work in found if work is not None), None)


def attempts_before(job: Job) -> int:
    """Attempts that earlier Jobs of the run used up."""
    return _number(job.meta, ANNOTATION_ATTEMPTS_BEFORE, MAX_DIGITS) or 0


def pauses_before(meta: Meta) -> int:
    """How often the run was paused before this Job or pod."""
    return _number(meta, ANNOTATION_PAUSES_BEFORE, MAX_DIGITS_OF_PAUSES) or 0


def active_before(job: Job) -> timedelta | None:
    """How long the run had been active before this Job, None if that was not recorded."""
    seconds = _number(job.meta, ANNOTATION_ACTIVE_BEFORE, MAX_DIGITS_OF_SECONDS)
    return None if seconds is None else timedelta(seconds=seconds)


def order_of(job: Job) -> tuple[int, int]:
    """A value that grows from each of the run's Jobs to the next."""
    return attempts_before(job), pauses_before(job.meta)


def _number(meta: Meta, annotation: str, digits: int) -> int | None:
    text = meta.annotations.get(annotation, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None


def by_identities(task: ResolvedTask, identities: Mapping[str, Identity]) -> ResolvedTask | None:
    """The snapshot with the current identities, so that no Job mounts a Secret that none of them names any more.

    Returns:
        None if one of them does not exist.
    """
    if not all(name in identities for name in task.identity_names):
        return None
    named = {"source": task.source, "destination": task.destination, "report_to": task.report_to}
    return task.model_copy(update={side: end and _with_identity(end, identities) for side, end in named.items()})


def _with_identity(end: ResolvedEnd, identities: Mapping[str, Identity]) -> ResolvedEnd:
    now = identities[end.identity.name]
    identity = ResolvedIdentity(name=now.meta.name, generation=now.meta.generation, spec=now.spec)
    return end.model_copy(update={"identity": identity})


def reported(status: TransferRunStatus) -> ResolvedTask | None:
    """status.task, None if unreadable. Use it only to report what an ended run did."""
    try:
        return read_spec(ResolvedTask, status.task) if status.task is not None else None
    except ValueError:
        return None


def as_information(work: Recorded | None) -> dict[str, Any] | None:
    """The snapshot for status.task, which is for people only."""
    return json.loads(work.text) if work else None
