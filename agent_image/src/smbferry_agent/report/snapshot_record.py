"""Where the agents of a run record which snapshot of the source they read: in the run's status.

The first agent chooses. Its choice is recorded before anything is read, and only while no other agent has recorded one,
so that all agents and all their successors read the same snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from smbferry_agent.errors import AgentError
from smbferry_agent.report.api_client import ConflictError, may_pass, repeated
from smbferry_agent.report.object_status import ObjectStatus, recorded_in
from smbferry_api.run_status import SourceSnapshotStatus

_FIELD: Final = "sourceSnapshot"


def recorded_snapshot(manifest: Mapping[str, Any]) -> SourceSnapshotStatus | None:
    """The record in a run's status; None if there is none, or an unreadable one."""
    return recorded_in(manifest, _FIELD, SourceSnapshotStatus)


@dataclass(frozen=True, slots=True)
class ClusterSnapshotRecord:
    """A `SnapshotRecord` in the status of a TransferRun."""

    run: ObjectStatus

    def read(self) -> SourceSnapshotStatus | None:
        """Reads the record.

        Raises:
            ObjectNotFoundError: the run does not exist any more.
            AgentError: the API server is unreachable, or refuses.
        """
        return recorded_snapshot(repeated(self.run.read))

    def write(self, chosen: SourceSnapshotStatus, instead_of: SourceSnapshotStatus | None) -> SourceSnapshotStatus:
        """Records a choice unless the record has changed; returns what is recorded.

        Raises:
            ObjectNotFoundError: the run does not exist any more.
            AgentError: the API server is unreachable, or refuses.
        """
        return repeated(lambda: self._write(chosen, instead_of), worth=_worth_another_try)

    def _write(self, chosen: SourceSnapshotStatus, instead_of: SourceSnapshotStatus | None) -> SourceSnapshotStatus:
        manifest = self.run.read()
        now = recorded_snapshot(manifest)
        if now is not None and now != instead_of:
            return now
        # A merge patch removes what is None.
        written = chosen.model_dump(mode="json", by_alias=True)
        self.run.merge_into(manifest, {_FIELD: written})
        return chosen


def _worth_another_try(error: AgentError) -> bool:
    """Whether a retry may succeed. Others write to the status, too."""
    return may_pass(error) or isinstance(error, ConflictError)
