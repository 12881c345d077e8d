"""Whether a person must confirm a mirror first (ADR 20).

A task that was restored from a backup, renamed or created again does not know what the previous task has done: after a
cut-over it would copy the old server over the new one and delete new files there. So a task that deletes needs a status
that says that it has mirrored to this destination, or the confirmation of a person. The confirmation contains a hash of
the object's uid: one from Git or a backup does not match an object that is created from it.
"""

from typing import Final

from smbferry_api.run import ResolvedApproval, ResolvedEnd, ResolvedTask
from smbferry_api.run_status import RunState
from smbferry_api.task import Approval
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.history import is_of, last_ended
from smbferry_operator.decide.naming import hidden, short_hash
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.model import Task
from smbferry_words.options import DeletedFiles

COPIED: Final = frozenset({RunState.SUCCEEDED, RunState.PARTIALLY_SUCCEEDED})


def wanted_confirmation(task: Task, destination: ResolvedEnd, mirrored: str | None) -> str | None:
    """The value by which a person confirms that the task may delete there, None if no confirmation is needed.

    Args:
        mirrored: the result of `mirrored_to`.
    """
    if task.spec.options.deleted_files is not DeletedFiles.REMOVE:
        return None
    if _is_known(task, destination, mirrored):
        return None
    confirmation = short_hash(task.meta.uid, str(Destination.of(destination)))
    return None if task.spec.mirror_confirmation == confirmation else confirmation


def wanted_approval(task: Task, destination: ResolvedEnd, mirrored: str | None) -> ResolvedApproval | None:
    """That a person must approve what runs of the task would do, None if the task does not ask for it.

    Args:
        mirrored: the result of `mirrored_to`.
    """
    if task.spec.approval is not Approval.REQUIRED:
        return None
    known = _is_known(task, destination, mirrored, task.status.copied_to)
    return ResolvedApproval(first_run=not known, expiry=task.spec.approval_expiry)


def _is_known(task: Task, destination: ResolvedEnd, mirrored: str | None, *others: str | None) -> bool:
    """Whether the task is known to have copied there.

    Args:
        mirrored: the result of `mirrored_to`. Without it, a run that has succeeded counts as one to this destination.
        others: further recorded places.
    """
    place = str(Destination.of(destination))
    if not {place, hidden(place)}.isdisjoint({mirrored, *others}):
        return True
    return mirrored is None and task.status.last_successful_run is not None


def copied_to(seen: TaskObservation) -> str | None:
    """The destination to which a run of the task has last copied to its end, None if unknown or if it does not matter.

    It is read as `mirrored_to` is. Files that failed do not count here: the run was approved, or found nothing there.
    """
    if seen.task.spec.approval is not Approval.REQUIRED:
        return None
    last, did = last_ended(seen.runs), seen.recorded
    if last is None or did is None or last.status.state not in COPIED or not is_of(last, seen.task):
        return seen.task.status.copied_to
    return _recorded_place(seen, did)


def mirrored_to(seen: TaskObservation) -> str | None:
    """The destination of the task's last successful run, None if unknown.

    It is read from the operator's record in the run's Jobs, never from a status that an agent may write.
    """
    last, did = last_ended(seen.runs), seen.recorded
    if last is None or did is None or last.status.state is not RunState.SUCCEEDED or not is_of(last, seen.task):
        return seen.task.status.mirrored_to
    return _recorded_place(seen, did)


def _recorded_place(seen: TaskObservation, did: ResolvedTask) -> str:
    """The destination as the status records it: hidden if it belongs to another namespace."""
    place = str(Destination.of(did.destination))
    return place if seen.given is None else hidden(place)
