"""TransferTask: a transfer between two locations, with its schedule and options."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from smbferry_api.class_name import ClassName
from smbferry_api.conditions import Condition
from smbferry_api.cron import Cron
from smbferry_api.fields import (
    DurationRange,
    FreeText,
    ObjectName,
    SharePath,
    Spec,
    Status,
    Time,
    TimeOrWord,
    parse_duration,
    parse_time,
)
from smbferry_api.pod_settings import ObjectPodSettings
from smbferry_api.run_summary import RunSummary
from smbferry_api.sharing import NamespaceName
from smbferry_api.task_options import (
    AGES_ORDERED,
    REMOVE_FORBIDS_ALL,
    SID_MAP_NEEDS_DESCRIPTORS,
    SIZES_ORDERED,
    Filters,
    Options,
)
from smbferry_api.undelivered import UndeliveredEvents
from smbferry_api.windows import WINDOW_RULES, Windows
from smbferry_words.options import SnapshotUse


class Concurrency(StrEnum):
    """What to do when a run is due while another run of the task is active."""

    QUEUE = "Queue"
    SKIP = "Skip"


class Approval(StrEnum):
    """Whether a person must approve what runs would do. Required: a run that would delete something, or that is the
    first to a destination that is not empty, plans, shows its plan in status.plan and waits for approvedPlan.
    """

    NONE = "None"
    REQUIRED = "Required"


class ReportDetail(StrEnum):
    """Files to list in the report."""

    ERRORS_ONLY = "ErrorsOnly"
    EVERYTHING = "Everything"


class LocationRef(Spec):
    """An SmbLocation."""

    name: Annotated[ObjectName, Field(description="Name of the SmbLocation.")]
    namespace: Annotated[
        NamespaceName | None,
        Field(
            description="Namespace of the SmbLocation, which must allow that of the task (allowedNamespaces). All "
            "locations of a task must be in one namespace: its agents run there. Default: the task's namespace."
        ),
    ] = None


class TaskEnd(Spec):
    """A location and a folder below it."""

    location_ref: LocationRef
    path: Annotated[SharePath, Field(description="Folder below the location's path.")] = "/"


SnapshotChoice = Annotated[str, TimeOrWord(tuple(SnapshotUse))]
"""None, Latest, Required, or the time of a snapshot; `wanted_snapshot` parses it."""


def wanted_snapshot(choice: str) -> SnapshotUse | datetime:
    """Parses a `SnapshotChoice`."""
    return SnapshotUse(choice) if choice in tuple(SnapshotUse) else parse_time(choice)


class SourceEnd(TaskEnd):
    """Source: a location, a folder below it, and the version of the files to read."""

    snapshot: Annotated[
        SnapshotChoice,
        Field(
            description="Which version of the files to read. None: as they are. Latest: as of the server's newest "
            "snapshot, or as they are if it has none. Required: as of the newest snapshot; without one the run fails. "
            "A time such as 2026-01-31T12:00:00Z: as of that snapshot; if it does not exist, the run fails and names "
            "the nearest ones. All agents of a run read the same snapshot, which status.sourceSnapshot shows."
        ),
    ] = SnapshotUse.NONE.value


class Schedule(Spec):
    """Schedule of automatic runs."""

    cron: Annotated[
        Cron, Field(description="Minute, hour, day of month, month and day of week, or a word such as @daily.")
    ]
    time_zone: Annotated[str, Field(max_length=64, description="IANA time zone such as Europe/Berlin.")] = "UTC"
    starting_deadline: Annotated[
        str,
        DurationRange("1m", "168h"),
        Field(description="How late a missed run may start. Several missed runs are caught up by one run."),
    ] = "1h"
    jitter: Annotated[
        Annotated[str, DurationRange("1s", "24h")] | None,
        Field(
            description="Spreads tasks with the same schedule: each task starts later by its own fixed part of this "
            "duration, which must be shorter than the time between two runs. status.nextScheduleTime shows the "
            "actual time. Default: no delay."
        ),
    ] = None


ApprovedPlan = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9]*$")]
"""The digest of a plan, or nothing."""
LOWEST_PRIORITY: Final = -1000
HIGHEST_PRIORITY: Final = 1000
ENDS_DIFFER: Final = {
    "rule": "self.source.locationRef.name != self.destination.locationRef.name"
    " || self.source.path != self.destination.path",
    "message": "source and destination must not be the same folder",
}


def _namespace_of(side: str) -> str:
    """CEL for the namespace that a side names, '' without one. CEL escapes the word `namespace`."""
    name = f"self.{side}.locationRef.__namespace__"
    return f"(has({name}) ? {name} : '')"


ENDS_TOGETHER: Final = {
    "rule": f"{_namespace_of('source')} == {_namespace_of('destination')} && (!has(self.report)"
    f" || !has(self.report.locationRef) || {_namespace_of('source')} == {_namespace_of('report')})",
    "message": "locationRef.namespace must be the same for source, destination and report: one agent opens all of them,"
    " with keytabs of one namespace",
}


class AgentSpec(ObjectPodSettings):
    """Settings of the agents and their pods."""

    parallelism: Annotated[int, Field(ge=1, le=64, description="Maximum number of agents per run.")] = 1
    active_deadline: Annotated[
        Annotated[str, DurationRange("1m")] | None,
        Field(description="Maximum duration of a run. A longer run is stopped and fails."),
    ] = None


class Report(Spec):
    """Per-file report."""

    detail: ReportDetail = ReportDetail.ERRORS_ONLY
    location_ref: Annotated[
        LocationRef | None, Field(description="SmbLocation to write the report to. Without it, no report is written.")
    ] = None
    path: Annotated[SharePath | None, Field(description="Folder for reports in that location.")] = None


class History(Spec):
    """How many finished runs to keep."""

    succeeded: Annotated[int, Field(ge=0, le=100, description="Number of succeeded runs to keep.")] = 3
    failed: Annotated[int, Field(ge=0, le=100, description="Number of failed or cancelled runs to keep.")] = 3


class Retry(Spec):
    """Further runs after a failed one. options.retryLocked is about single files within a run."""

    limit: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="How many further runs to start, one after the other, if a run of the task fails for a reason "
            "that may be temporary.",
        ),
    ] = 0
    backoff: Annotated[
        Annotated[str, DurationRange("10s", "24h")],
        Field(description="Time between the end of the failed run and the first further run. It doubles each time."),
    ] = "1m"
    max_backoff: Annotated[
        Annotated[str, DurationRange("10s", "24h")], Field(description="Maximum time between two runs.")
    ] = "1h"

    @model_validator(mode="after")
    def _backoff_grows(self) -> "Retry":
        if parse_duration(self.backoff) > parse_duration(self.max_backoff):
            raise ValueError(BACKOFF_GROWS["message"])
        return self


BACKOFF_GROWS: Final = {
    "rule": "!has(self.backoff) || !has(self.maxBackoff) || duration(self.backoff) <= duration(self.maxBackoff)",
    "message": "backoff must be at most maxBackoff",
}


class TransferTaskSpec(Spec):
    """Without a schedule, one run starts for each value of `trigger`, the first at creation."""

    source: SourceEnd
    destination: TaskEnd
    schedule: Annotated[
        Schedule | None,
        Field(description="Schedule of automatic runs. Without it, one run starts for each value of trigger."),
    ] = None
    trigger: Annotated[FreeText, Field(description="Any text. Changing it starts a run, for example from Git.")] = ""
    mirror_confirmation: Annotated[
        str,
        Field(
            max_length=64,
            pattern=r"^[a-z0-9]*$",
            description="With deletedFiles: Remove, confirms the first mirror to a destination that is not empty. "
            "Set it to the word in the MirrorNotConfirmed message, which is valid only for this object and this "
            "destination.",
        ),
    ] = ""
    approval: Approval = Approval.NONE
    approval_expiry: Annotated[
        str,
        DurationRange("1m", "720h"),
        Field(description="How long a run waits for the approval of its plan. Then it fails with ApprovalExpired."),
    ] = "24h"
    approved_plan: Annotated[
        ApprovedPlan,
        Field(
            description="Approves the plan with this digest (status.plan.digest of a TransferRun of this task), for "
            "example from Git. It is valid for that run only."
        ),
    ] = ""
    suspend: Annotated[bool, Field(description="If true, no new runs start. An active run continues.")] = False
    concurrency: Concurrency = Concurrency.QUEUE
    priority: Annotated[
        int,
        Field(
            ge=LOWEST_PRIORITY,
            le=HIGHEST_PRIORITY,
            description="Order of runs that wait for a limit: higher first, then the oldest. It applies within the "
            "namespace only.",
        ),
    ] = 0
    windows: Annotated[
        Windows,
        Field(
            description="When runs may move data, and how fast. A run stops at the end of a window and continues in "
            "the next one. Without windows, or with such that pause only, runs move data at all other times. Can be "
            "changed during a run."
        ),
    ] = ()
    recovery_point_objective: Annotated[
        Annotated[str, DurationRange("1m", "8760h")] | None,
        Field(
            description="How old the copy at the destination may become, such as 26h: the time since the last "
            "successful run started, or since the snapshot that it read. The operator starts no run because of it; "
            "the alert SmbferryRpoMissed compares the two."
        ),
    ] = None
    retry: Retry = Retry()
    options: Options = Options()
    filters: Filters = Filters()
    agent: AgentSpec = AgentSpec()
    report: Report = Report()
    history: History = History()
    class_name: ClassName = None

    @property
    def location_names(self) -> tuple[str, ...]:
        """The SmbLocations of source, destination and, if set, report."""
        report = self.report.location_ref
        return (
            self.source.location_ref.name,
            self.destination.location_ref.name,
            *((report.name,) if report is not None else ()),
        )

    @property
    def location_namespace(self) -> str | None:
        """The namespace of its locations, None for that of the task."""
        return self.source.location_ref.namespace

    @model_validator(mode="after")
    def _ends_are_together(self) -> "TransferTaskSpec":
        refs = (self.source.location_ref, self.destination.location_ref, self.report.location_ref)
        if len({ref.namespace for ref in refs if ref is not None}) > 1:
            raise ValueError(ENDS_TOGETHER["message"])
        return self

    @model_validator(mode="after")
    def _ends_differ(self) -> "TransferTaskSpec":
        source, destination = self.source, self.destination
        if (source.location_ref, source.path) == (destination.location_ref, destination.path):
            raise ValueError(ENDS_DIFFER["message"])
        return self


class TaskRetryStatus(Status):
    """Further runs after a failed one."""

    run: Annotated[str, Field(description="TransferRun that failed first.")]
    attempt: Annotated[int, Field(description="Number of the next, current or last further run.")]
    limit: Annotated[int, Field(description="Maximum number of further runs.")]
    next_time: Annotated[
        Time | None, Field(description="Start time of the next further run. Absent once it was created.")
    ] = None


class TransferTaskStatus(Status):
    """Current state of the task."""

    observed_generation: Annotated[
        int, Field(description="metadata.generation of the spec that this status applies to.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...], Field(description="Conditions, each with a reason and, if unhealthy, a remedy.")
    ] = ()
    active_run: Annotated[str | None, Field(description="TransferRun that is queued or active.")] = None
    last_run: Annotated[RunSummary | None, Field(description="Most recent run that finished.")] = None
    last_successful_run: Annotated[
        RunSummary | None, Field(description="Most recent run that brought the destination in sync with the source.")
    ] = None
    next_schedule_time: Annotated[Time | None, Field(description="Scheduled time of the next run.")] = None
    last_schedule_time: Annotated[Time | None, Field(description="Scheduled time of the most recent run.")] = None
    mirrored_to: Annotated[
        str | None, Field(description="Destination that a run of this task last brought in sync with the source.")
    ] = None
    unconfirmed: Annotated[
        str | None,
        Field(
            description="Word for spec.mirrorConfirmation. Set until a run to this destination succeeds or the "
            "mirror is confirmed."
        ),
    ] = None
    copied_to: Annotated[
        str | None,
        Field(
            description="With approval: Required, the destination to which a run of this task has last copied to its "
            "end. A first run to another destination needs approval, unless that is empty."
        ),
    ] = None
    observed_trigger: Annotated[str | None, Field(description="Value of spec.trigger that last started a run.")] = None
    retry: Annotated[
        TaskRetryStatus | None, Field(description="Further runs that follow, or have followed, the task's last run.")
    ] = None
    undelivered_events: UndeliveredEvents = ()


TASK_RULES: Final[dict[type[Spec], list[dict[str, Any]]]] = {
    Options: [REMOVE_FORBIDS_ALL, SID_MAP_NEEDS_DESCRIPTORS],
    Filters: [SIZES_ORDERED, AGES_ORDERED],
    TransferTaskSpec: [ENDS_DIFFER, ENDS_TOGETHER],
    Retry: [BACKOFF_GROWS],
    **WINDOW_RULES,
}
