"""From a task and the objects that it names to the snapshot that a run works by."""

from collections.abc import Iterable
from dataclasses import dataclass

from smbferry_api.reasons import (
    LOCATION_NOT_FOUND,
    LOCATION_NOT_READY,
    REPORT_INSIDE_TRANSFER,
    SAME_DESTINATION,
    Reason,
)
from smbferry_api.run import ResolvedEnd, ResolvedIdentity, ResolvedTask
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.mirror import wanted_approval, wanted_confirmation
from smbferry_operator.decide.observation import Ends
from smbferry_operator.decide.readiness import Readiness, Referent, referent
from smbferry_operator.decide.text import with_remedy
from smbferry_operator.model import Identity, Location, Task


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a task cannot run now."""

    reason: Reason
    message: str
    pending: bool = False
    """A check is still running; nothing is wrong so far."""
    stalled: bool = False
    """Only a person can help."""

    @property
    def advice(self) -> str:
        """The message with its remedy. A message about another object already ends with one."""
        return self.message if self.reason is LOCATION_NOT_READY else with_remedy(self.message, self.reason)


def readiness_obstacle(names: Iterable[str], ends: Ends) -> Obstacle | None:
    """The most severe reason why a location cannot be used, None if all can.

    Args:
        names: of the locations of source, destination and, if the task has one, report.
    """
    found = [
        obstacle
        for name, (side, location) in zip(names, ends.by_side, strict=False)
        if (obstacle := _location_obstacle(side, name, referent(location)))
    ]
    return min(found, key=lambda o: (o.pending, o.reason is not LOCATION_NOT_FOUND), default=None)


def _location_obstacle(side: str, name: str, location: Referent) -> Obstacle | None:
    match location.state:
        case Readiness.READY:
            return None
        case Readiness.MISSING:
            return Obstacle(LOCATION_NOT_FOUND, f"There is no SmbLocation {name} ({side}) in this namespace.")
        case Readiness.PENDING:
            return Obstacle(LOCATION_NOT_READY, f"Waiting for the check of SmbLocation {name} ({side}).", pending=True)
        case Readiness.NOT_READY:
            message = f"SmbLocation {name} ({side}) is not Ready: {location.message}"
            return Obstacle(LOCATION_NOT_READY, message, stalled=location.stalled)


def resolve(task: Task, ends: Ends, mirrored: str | None = None) -> ResolvedTask | None:
    """The snapshot of a task, None while an object that the task names does not exist.

    Args:
        mirrored: where the task has mirrored to, if that is newer than its status.
    """
    source = _end(task.spec.source.path, ends.source, ends.source_identity)
    destination = _end(task.spec.destination.path, ends.destination, ends.destination_identity)
    spec = task.spec
    report = _end("/", ends.report, ends.report_identity) if spec.report.location_ref else None
    if source is None or destination is None or (spec.report.location_ref and report is None):
        return None
    return ResolvedTask(
        name=task.meta.name,
        uid=task.meta.uid,
        generation=task.meta.generation,
        source=source,
        source_snapshot=spec.source.snapshot,
        destination=destination,
        options=spec.options,
        filters=spec.filters,
        windows=spec.windows,
        agent=spec.agent,
        report=spec.report,
        unconfirmed=wanted_confirmation(task, destination, mirrored or task.status.mirrored_to),
        approval=wanted_approval(task, destination, mirrored or task.status.mirrored_to),
        report_to=report,
    )


def _end(path: str, location: Location | None, identity: Identity | None) -> ResolvedEnd | None:
    if location is None or identity is None:
        return None
    return ResolvedEnd(
        location=location.meta.name,
        generation=location.meta.generation,
        path=path,
        spec=location.spec,
        dfs_target=location.status.dfs_target,
        server_guid=location.status.server.guid if location.status.server else None,
        identity=ResolvedIdentity(name=identity.meta.name, generation=identity.meta.generation, spec=identity.spec),
    )


def overlap_obstacle(task: ResolvedTask) -> Obstacle | None:
    """Why source, destination and report must not overlap as they do; None if they do not."""
    source, destination = Destination.of(task.source), Destination.of(task.destination)
    # Cloned servers may have the same ServerGuid and the same path, so by ServerGuid only different paths count.
    if source.overlaps(destination) or (source.collides(destination) and source.path != destination.path):
        text = f"The source {source} and the destination {destination} overlap."
        return Obstacle(SAME_DESTINATION, text, stalled=True)
    if task.report_to is None:
        return None
    report = Destination.of(task.report_to.model_copy(update={"path": task.report.path or "/"}))
    for side, place in (("source", source), ("destination", destination)):
        if report.overlaps(place):
            text = f"The report's folder {report} overlaps the {side} {place}."
            return Obstacle(REPORT_INSIDE_TRANSFER, text, stalled=True)
    return None
