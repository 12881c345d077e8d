"""What each decision looks at, gathered at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from smbferry_api.run import ResolvedTask
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.fairness import NO_CHECKS, ChecksUnderWay
from smbferry_operator.decide.proof import Proof
from smbferry_operator.model import Identity, Job, Location, Pod, Refusal, Run, Task


@dataclass(frozen=True, slots=True)
class IdentityObservation:
    """An identity with the Jobs and pods of its checks."""

    identity: Identity
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    checks: ChecksUnderWay = NO_CHECKS
    doubted_at: datetime | None = None
    """When a run with it last failed in a way that a check would see."""
    refusal: Refusal | None = None
    awaited: bool = False
    """Agents wait until another check has tried its key."""
    outdated: bool = False
    """Its Secret or its ConfigMap has changed since it was checked."""
    same_account: tuple[Identity, ...] = ()
    """The other identities of its account, of all namespaces."""
    account_busy: bool = False
    """A check of one of them is under way."""


@dataclass(frozen=True, slots=True)
class LocationObservation:
    """A location with its identity and the Jobs and pods of its checks."""

    location: Location
    identity: Identity | None = None
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    checks: ChecksUnderWay = NO_CHECKS
    doubted_at: datetime | None = None
    """When a run with it last failed in a way that a check would see."""
    refusal: Refusal | None = None
    proof: Proof | None = None
    """The newest of its identity's key."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The locations of a task and their identities, as far as they exist; ``report`` where one is named."""

    source: Location | None = None
    destination: Location | None = None
    source_identity: Identity | None = None
    destination_identity: Identity | None = None
    report: Location | None = None
    report_identity: Identity | None = None

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Those that exist."""
        found = (self.source_identity, self.destination_identity, self.report_identity)
        return tuple(identity for identity in found if identity is not None)


@dataclass(frozen=True, slots=True)
class TaskObservation:
    """A task with its locations and its runs."""

    task: Task
    ends: Ends = Ends()
    runs: tuple[Run, ...] = ()
    done: ResolvedTask | None = None
    """What the last of them that has ended did, as its Jobs record it; None where they are gone."""
    refusal: Refusal | None = None
    recorded: ResolvedTask | None = None
    """The same, from the operator's own record only: None where that is gone."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Another run's hold on a destination."""

    holder: str
    """namespace/name of the run."""
    run_uid: str
    destination: Destination
    writing: bool
    """Whether its agent may be at work; else it waits in the same queue."""
    since: datetime


@dataclass(frozen=True, slots=True)
class RunObservation:
    """A run with its task, locations, Job and pods, and who else writes."""

    run: Run
    task: Task | None = None
    ends: Ends = Ends()
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    claims: tuple[Claim, ...] = ()
    refusal: Refusal | None = None
    proofs: Mapping[str, Proof | None] = field(default_factory=dict)
    """The newest of each identity's key, by name, for the identities that exist."""
    account_used_at: datetime | None = None
    """When a run that has not said yet whether its key was taken began with another identity of the same account."""
    identities: Mapping[str, Identity] = field(default_factory=dict)
    """Those that the snapshot names, by name, as far as they exist."""

    @property
    def all_identities(self) -> dict[str, Identity]:
        """Those, and the ones of its locations as they are now."""
        return {identity.meta.name: identity for identity in self.ends.identities} | dict(self.identities)
