"""What a run gets from outside: in a pod from the operator and Kubernetes, on a desk from the command line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from smbferry_agent.kerberos.addresses import AddressRule, forbidden
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.key_turn import KeyTurn, NoTurn
from smbferry_agent.preflight.sid_map import SidMapSource
from smbferry_api.agent_contract import SPOOL_DIR, Side
from smbferry_api.identity import KerberosIdentityStatus
from smbferry_api.plan_status import PlanStatus
from smbferry_api.run_status import SourceSnapshotStatus
from smbferry_engine import Control


@dataclass(frozen=True, slots=True)
class Identities:
    """The identities of a run: their files, and what is known of their keys.

    Attributes:
        scratch: the folder for tickets.
        statuses: statuses by name, so that a refused key is not tried again.
        status_now: reads a status again, before tickets are renewed.
        turn: returns, for an identity, the turn to wait for before its key is tried.
    """

    mounts: Mapping[Side, IdentityMount]
    scratch: Path
    address_rule: AddressRule = forbidden
    statuses: Mapping[str, KerberosIdentityStatus] = field(default_factory=dict)
    status_now: Callable[[str], KerberosIdentityStatus | None] = lambda _name: None
    turn: Callable[[str], KeyTurn] = lambda _name: NoTurn()


class SnapshotRecord(Protocol):
    """Where a run's agents record which snapshot of the source they read."""

    def read(self) -> SourceSnapshotStatus | None:
        """Reads the record; None if no agent has chosen yet."""

    def write(self, chosen: SourceSnapshotStatus, instead_of: SourceSnapshotStatus | None) -> SourceSnapshotStatus:
        """Records a choice, unless another agent has replaced the record `instead_of`; returns what is recorded."""
        ...


class NoSnapshotRecord:
    """The record of a run with a single agent and a single attempt."""

    def read(self) -> SourceSnapshotStatus | None:
        """Always None."""
        return None

    def write(self, chosen: SourceSnapshotStatus, instead_of: SourceSnapshotStatus | None) -> SourceSnapshotStatus:
        """Returns the choice."""
        del instead_of
        return chosen


class PlanRecord(Protocol):
    """Where a run's agents record what the run would do, for a person to approve."""

    def read(self) -> PlanStatus | None:
        """Reads the record; None if no agent has planned yet."""

    def write(self, plan: PlanStatus) -> None:
        """Records a plan."""


class NoPlanRecord:
    """The record of a run that a person starts without a cluster: nobody is asked."""

    def read(self) -> PlanStatus | None:
        """Always None."""
        return None

    def write(self, plan: PlanStatus) -> None:
        """Does nothing."""


@dataclass(frozen=True, slots=True)
class RunEnvironment:
    """Files, identities and control of a run.

    Attributes:
        paused: whether the work was told to stop only because a window has ended, so that the run has not failed.
        started: when the run began, for all of its agents the same; the ages of files are counted back from it.
        claimed: the operator has reserved the destination folder, as it was when the location was checked.
        run_name: the name of a report's files.
        spool: the folder for the records of a report until they are delivered.
        sid_map: where the SID map is read from, if the task has one.
        snapshots: where the choice of the source's snapshot is recorded.
        plans: where the plan is recorded, if the task asks for approval.
    """

    identities: Identities
    control: Control
    paused: Callable[[], bool] = lambda: False
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    claimed: bool = False
    run_name: str = "run"
    spool: Path = Path(SPOOL_DIR)
    sid_map: SidMapSource = field(default_factory=SidMapSource)
    snapshots: SnapshotRecord = field(default_factory=NoSnapshotRecord)
    plans: PlanRecord = field(default_factory=NoPlanRecord)
