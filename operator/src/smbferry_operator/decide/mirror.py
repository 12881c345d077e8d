"""Whether a mirror must be confirmed by a person first (ADR 20).

A task that was restored from a backup, renamed or made anew knows nothing of what its namesake has done: after a
cut-over it would copy the old server over the new one and delete what is new there. So a task that deletes proves, by
its own status, that it has mirrored to this very destination, or a person confirms it by a word that is made of the
object's uid: one that lies in Git or in a backup does not fit the object that is made of it.
"""

from smbferry_api.run import ResolvedEnd
from smbferry_api.run_status import RunState
from smbferry_api.task import DeletedFiles
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.history import is_of, last_ended
from smbferry_operator.decide.naming import short_hash
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.model import Task


def wanted_confirmation(task: Task, destination: ResolvedEnd, mirrored: str | None) -> str | None:
    """The word by which a person confirms that the task may delete there; None where none is needed.

    Args:
        mirrored: where the task has mirrored to before, as `mirrored_to` gives it.
    """
    if task.spec.options.deleted_files is not DeletedFiles.REMOVE:
        return None
    place = str(Destination.of(destination))
    if mirrored == place or (mirrored is None and task.status.last_successful_run is not None):
        return None
    word = short_hash(task.meta.uid, place)
    return None if task.spec.mirror_confirmation == word else word


def mirrored_to(seen: TaskObservation) -> str | None:
    """The destination of the task's last run that succeeded, as far as that is known.

    What it did is taken from the operator's own record in its Jobs, never from a status that an agent may write.
    """
    last, did = last_ended(seen.runs), seen.recorded
    if last is None or did is None or last.status.state is not RunState.SUCCEEDED or not is_of(last, seen.task):
        return seen.task.status.mirrored_to
    return str(Destination.of(did.destination))
