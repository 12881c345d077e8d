"""Kubernetes objects as frozen values, reduced to what decisions need."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, NamedTuple, TypeVar

from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.location import SmbLocationSpec, SmbLocationStatus
from smbferry_api.run import ResolvedTask, TransferRunSpec
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.task import TransferTaskSpec, TransferTaskStatus

SOONEST: Final = timedelta(seconds=5)
LATEST: Final = timedelta(minutes=5)
NEVER: Final = datetime.min.replace(tzinfo=UTC)

Manifest = dict[str, Any]
"""A Kubernetes object as JSON has it."""


class Kind(StrEnum):
    """The kinds that are watched."""

    IDENTITY = "KerberosIdentity"
    LOCATION = "SmbLocation"
    TASK = "TransferTask"
    RUN = "TransferRun"
    JOB = "Job"
    POD = "Pod"
    NAMESPACE = "Namespace"
    """For the labels by which SmbLocations allow namespaces. Not watched if only some namespaces are."""


OWN_KINDS: Final = (Kind.IDENTITY, Kind.LOCATION, Kind.TASK, Kind.RUN)


class Key(NamedTuple):
    """Identifies an object in the cluster."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def logged(key: Key, **more: str) -> dict[str, Any]:
    """For `extra=` of a call of a logger: the object, and more, as fields beside the message."""
    return {"object": {"kind": key.kind.value, "namespace": key.namespace, "name": key.name}, **more}


class Owner(NamedTuple):
    """The controller that an object names in its ownerReferences."""

    kind: str
    """Empty for a kind that is neither one of ours nor a Job."""
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Meta:
    """The used fields of ObjectMeta."""

    name: str
    namespace: str
    uid: str
    created: datetime
    generation: int = 0
    deleting: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    controller: Owner | None = None
    """The owner that is the controller, if any."""
    version: str = field(default="", compare=False)
    """The resourceVersion of the object as it was read."""

    @property
    def controller_uid(self) -> str:
        """The controller's uid, empty if there is no controller."""
        return self.controller.uid if self.controller else ""


SpecT = TypeVar("SpecT")
StatusT = TypeVar("StatusT")


@dataclass(frozen=True, slots=True)
class Resource(Generic[SpecT, StatusT]):
    """An object of one of our kinds."""

    meta: Meta
    spec: SpecT
    status: StatusT


Identity = Resource[KerberosIdentitySpec, KerberosIdentityStatus]
Location = Resource[SmbLocationSpec, SmbLocationStatus]
Task = Resource[TransferTaskSpec, TransferTaskStatus]
Run = Resource[TransferRunSpec, TransferRunStatus]


class Recorded(NamedTuple):
    """The snapshot that the operator wrote into a run's Job."""

    text: str
    """As JSON."""
    task: ResolvedTask


class Carried(NamedTuple):
    """A location that a check's Job carries, as it was when the Job was created."""

    name: str
    uid: str
    inputs: str
    """The generations that are checked: of the location and of its identity."""
    epoch: str
    """When the identity became Ready."""
    last_check: str
    """status.lastCheckTime: once it differs, the agent has reported."""
    request: str
    """The value of the annotation by which a person requested the check, if any."""
    follows: str
    """The previous Job that carried it, if that ended without a report."""
    port: int
    """Of its file server."""


class Load(NamedTuple):
    """The locations that a check's Job carries."""

    group: str
    """What their pods have in common; empty if that is what the identity's own pod has."""
    nameservers: tuple[str, ...]
    """Of the pod; without any, the cluster's DNS is asked."""
    locations: tuple[Carried, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A batch/v1 Job."""

    meta: Meta
    active: int = 0
    failed: int = 0
    succeeded: int = 0
    complete: bool = False
    failure_reason: str = ""
    """The reason of the Failed condition: PodFailurePolicy, BackoffLimitExceeded, DeadlineExceeded."""
    failure_message: str = ""
    finished_at: datetime | None = None
    suspended: str = ""
    """The message of the Suspended condition: a person or a queueing system holds it back."""
    recorded: Recorded | None = None
    """Of a run's Job: the snapshot in its containers, which are immutable."""
    priority_class: str = ""
    """The PriorityClass that its pods name."""
    completions: int = 1
    """Agents that it has, of which `parallelism` work at a time."""
    load: Load | None = None
    """Of an identity's check: the locations that it carries."""

    @property
    def finished(self) -> bool:
        """Whether the Job controller will start no more pods."""
        return self.complete or bool(self.failure_reason)


@dataclass(frozen=True, slots=True)
class Pod:
    """An agent's pod."""

    meta: Meta
    job: str
    phase: str = "Pending"
    unschedulable: str = ""
    """The scheduler's message while the pod has no node."""
    waiting_reason: str = ""
    """Why the agent's container does not run yet: ImagePullBackOff, CreateContainerConfigError."""
    waiting_message: str = ""
    exit_code: int | None = None
    exit_reason: str = ""
    """Kubernetes' reason for the end: OOMKilled, Error, Completed."""
    termination_message: str = ""
    ended_at: datetime | None = None
    disrupted: str = ""
    """The reason of the DisruptionTarget condition: evicted, preempted, its node drained."""
    recorded: Recorded | None = None
    """The snapshot, as in its Job."""

    @property
    def living(self) -> bool:
        """Whether its process may still run; on an unreachable node it is assumed to."""
        return self.phase not in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server refused an object that a Decision wanted."""

    what: str
    message: str
    permanent: bool
    """The object itself is invalid and would be refused again."""
    room: bool = False
    """Only a quota blocks it."""
    since: datetime | None = None
    """When it was refused for the first time in a row."""
    last: datetime = NEVER
    """When it was refused last."""

    def lasts(self, now: datetime) -> timedelta:
        """How long it has been refused."""
        return now - self.since if self.since else timedelta(0)

    def again_in(self, now: datetime) -> timedelta:
        """How long to wait before the next attempt: as long as it has been refused so far, within bounds."""
        return min(max(self.lasts(now), SOONEST), LATEST)

    @property
    def due_at(self) -> datetime:
        """When the next attempt is due."""
        return self.last + self.again_in(self.last)
