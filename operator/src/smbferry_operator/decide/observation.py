"""The input of each decision, collected at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from smbferry_api.run import ResolvedTask
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.fairness import NO_CHECKS, ChecksUnderWay
from smbferry_operator.decide.grants import Grant
from smbferry_operator.decide.limits import Standing
from smbferry_operator.decide.proof import Proof
from smbferry_operator.decide.wanted import WantedCheck
from smbferry_operator.model import Identity, Job, Location, Pod, Refusal, Run, Task


@dataclass(frozen=True, slots=True)
class IdentityObservation:
    """An identity with the Jobs and pods of its checks."""

    identity: Identity
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    checks: ChecksUnderWay = NO_CHECKS
    doubted_at: datetime | None = None
    """When a run with it last failed in a way that a check would detect."""
    refusal: Refusal | None = None
    awaited: bool = False
    """Runs or locations wait for another check of its key."""
    outdated: bool = False
    """Its Secret or ConfigMap has changed since its last check."""
    same_account: tuple[Identity, ...] = ()
    """The other identities of its account, in all namespaces."""
    account_busy: bool = False
    """One of them is being checked."""
    wanted: tuple[WantedCheck, ...] = ()
    """The next checks of its locations."""


@dataclass(frozen=True, slots=True)
class LocationObservation:
    """A location with its identity and the Jobs that carry it, with their pods."""

    location: Location
    identity: Identity | None = None
    jobs: tuple[Job, ...] = ()
    """As the location sees them: their annotations are about it."""
    pods: tuple[Pod, ...] = ()
    doubted_at: datetime | None = None
    """When a run with it last failed in a way that a check would detect."""
    refusal: Refusal | None = None
    """Of the Job that was to carry it."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The locations of a task and their identities, None if they do not exist; `report` only if the task names one."""

    source: Location | None = None
    destination: Location | None = None
    source_identity: Identity | None = None
    destination_identity: Identity | None = None
    report: Location | None = None
    report_identity: Identity | None = None

    @property
    def by_side(self) -> tuple[tuple[str, Location | None], ...]:
        """The locations with their sides, in the order in which a task names them."""
        return (("source", self.source), ("destination", self.destination), ("report", self.report))

    @property
    def identities(self) -> tuple[Identity, ...]:
        """The identities that exist."""
        found = (self.source_identity, self.destination_identity, self.report_identity)
        return tuple(identity for identity in found if identity is not None)


@dataclass(frozen=True, slots=True)
class TaskObservation:
    """A task with its locations and its runs."""

    task: Task
    ends: Ends = Ends()
    runs: tuple[Run, ...] = ()
    done: ResolvedTask | None = None
    """The snapshot of the last ended run: from its Jobs, else from its status."""
    refusal: Refusal | None = None
    recorded: ResolvedTask | None = None
    """The snapshot of the last ended run, from its Jobs only; None if they were deleted."""
    given: Grant | None = None
    """Of a task whose locations are in another namespace: what they allow."""


@dataclass(frozen=True, slots=True)
class RequestObservation:
    """A run whose work another run does, because the locations of its task are in another namespace."""

    run: Run
    given: Grant
    """What the locations allow."""
    task: Task | None = None
    serving: Run | None = None
    """The run that does the work, if it exists."""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A run's claim on a destination."""

    holder: str
    """namespace/name of the run."""
    run_uid: str
    destination: Destination
    writing: bool
    """True if its agent may be at work, False if it is queued."""
    since: datetime


@dataclass(frozen=True, slots=True)
class RunObservation:
    """A run with its task, locations, Jobs and pods, and the claims of other runs."""

    run: Run
    task: Task | None = None
    ends: Ends = Ends()
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    claims: tuple[Claim, ...] = ()
    refusal: Refusal | None = None
    proofs: Mapping[str, Proof | None] = field(default_factory=dict)
    """The newest proof of each existing identity's key, by name."""
    account_used_at: datetime | None = None
    """When a run with another identity of the same account started whose agent has not yet reported about its key."""
    identities: Mapping[str, Identity] = field(default_factory=dict)
    """The existing identities that the snapshot names, by name."""
    standing: Standing | None = None
    """The run among those that count at the same limits."""

    @property
    def all_identities(self) -> dict[str, Identity]:
        """These, and the current ones of its locations."""
        return {identity.meta.name: identity for identity in self.ends.identities} | dict(self.identities)
