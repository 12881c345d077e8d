"""TransferRun: one execution of a task, with a snapshot of the task from its start."""

from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from smbferry_api.class_name import ClassName
from smbferry_api.fields import DurationRange, ObjectName, Quantity, SharePath, Spec, parse_quantity
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.location import DfsTarget, SmbLocationSpec
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.sharing import NamespaceName
from smbferry_api.task import HIGHEST_PRIORITY, LOWEST_PRIORITY, AgentSpec, ApprovedPlan, Report, SnapshotChoice
from smbferry_api.task_options import Filters, Options
from smbferry_api.windows import Windows
from smbferry_words.options import SnapshotUse

NEVER: Final = "Never"
"""Accepted instead of a duration: the run is kept."""


class TaskRef(Spec):
    """A TransferTask in the same namespace; in that of onBehalfOf, if set."""

    name: Annotated[ObjectName, Field(description="Name of the TransferTask.")]


class OnBehalfOf(Spec):
    """A TransferRun in another namespace."""

    namespace: Annotated[NamespaceName, Field(description="Namespace of the TransferRun.")]
    name: Annotated[ObjectName, Field(description="Name of the TransferRun.")]
    uid: Annotated[str, Field(max_length=64, description="metadata.uid of the TransferRun.")]


class ResolvedIdentity(Spec):
    """Snapshot of a KerberosIdentity from the start of the run."""

    name: Annotated[ObjectName, Field(description="Name of the KerberosIdentity.")]
    generation: Annotated[int, Field(description="metadata.generation of the KerberosIdentity.")] = 0
    spec: KerberosIdentitySpec


class ResolvedEnd(Spec):
    """Source, destination or report location, with all references resolved."""

    location: Annotated[ObjectName, Field(description="Name of the SmbLocation.")]
    generation: Annotated[int, Field(description="metadata.generation of the SmbLocation.")] = 0
    path: Annotated[SharePath, Field(description="Folder of the task below the location's path.")] = "/"
    spec: SmbLocationSpec
    identity: ResolvedIdentity
    dfs_target: Annotated[
        DfsTarget | None, Field(description="DFS target of the location's path, as found by its check.")
    ] = None
    server_guid: Annotated[
        str | None,
        Field(max_length=36, description="Identifier of the server (ServerGuid), as found by the location's check."),
    ] = None

    @property
    def place(self) -> DfsTarget:
        """The folder after the DFS links that the location's check followed."""
        spec = self.spec
        named = DfsTarget(server=spec.server.rstrip("."), port=spec.port, share=spec.share, path=spec.path)
        return (self.dfs_target or named).below(self.path)

    @property
    def full_path(self) -> str:
        """The task's path below the location's path, separated by '/', without a trailing '/' except for '/' itself."""
        parts = [p for p in f"{self.spec.path}/{self.path}".split("/") if p]
        return "/" + "/".join(parts)


class ResolvedApproval(Spec):
    """That a person must approve what the run would do, and what was approved."""

    first_run: Annotated[
        bool, Field(description="Whether no run of the task has copied to this destination to its end before.")
    ] = False
    expiry: Annotated[str, DurationRange("1m", "720h"), Field(description="Value of approvalExpiry.")] = "24h"
    plan: Annotated[ApprovedPlan, Field(description="Digest of the approved plan. Empty before that.")] = ""


class ResolvedTask(Spec):
    """The snapshot that a run uses. Later edits of the task do not change it."""

    name: Annotated[ObjectName, Field(description="Name of the TransferTask.")]
    uid: Annotated[str, Field(max_length=64, description="metadata.uid of the TransferTask.")] = ""
    generation: Annotated[int, Field(description="metadata.generation of the TransferTask.")] = 0
    source: ResolvedEnd
    source_snapshot: Annotated[SnapshotChoice, Field(description="Value of source.snapshot.")] = SnapshotUse.NONE.value
    destination: ResolvedEnd
    options: Options = Options()
    filters: Filters = Filters()
    windows: Windows = ()
    agent: AgentSpec = AgentSpec()
    report: Report = Report()
    unconfirmed: Annotated[
        str | None,
        Field(
            max_length=64,
            description="Word with which a person must confirm the mirror. While it is set, nothing is deleted and "
            "no newer files at the destination are replaced.",
        ),
    ] = None
    approval: Annotated[ResolvedApproval | None, Field(description="Set if the task has approval: Required.")] = None
    bytes_per_second: Annotated[
        Quantity | None,
        Field(
            description="The run's share of its locations' limits when the agent was created. status.limit replaces it."
        ),
    ] = None
    report_to: Annotated[ResolvedEnd | None, Field(description="Location of the report, if one is requested.")] = None

    @property
    def ends(self) -> tuple[ResolvedEnd, ...]:
        """All locations that the run opens: source, destination and, if set, report."""
        return (self.source, self.destination, *((self.report_to,) if self.report_to is not None else ()))

    @property
    def rate(self) -> int | None:
        """Bytes per second with which an agent starts: the task's limit or the share, whichever is lower."""
        limits = (self.options.bytes_per_second, self.bytes_per_second)
        return min((parse_quantity(limit) for limit in limits if limit is not None), default=None)

    @property
    def identity_names(self) -> tuple[str, ...]:
        """The distinct KerberosIdentities of all locations."""
        return tuple(dict.fromkeys(end.identity.name for end in self.ends))


class TransferRunSpec(Spec):
    """The task to run. Immutable except for `cancel`, which can only be set to true, `priority`, `ignoreWindows`,
    `approvedPlan` and `ttlAfterFinished`.
    """

    task_ref: TaskRef
    dry_run: Annotated[bool, Field(description="Only count what a run would do, and write nothing.")] = False
    survey: Annotated[
        bool,
        Field(
            description="Only look through the source, and tell in status.survey what a migration will meet and how "
            "long runs will take. Nothing is copied."
        ),
    ] = False
    measure_destination: Annotated[
        bool,
        Field(
            description="For a survey: also copy a sample to the destination and delete it, so that the forecast is "
            "one of copying instead of reading."
        ),
    ] = False
    cancel: Annotated[bool, Field(description="Set to true to cancel the run. It cannot be reset.")] = False
    priority: Annotated[
        int | None,
        Field(
            ge=LOWEST_PRIORITY,
            le=HIGHEST_PRIORITY,
            description="Overrides the task's priority. It can be changed while the run is queued.",
        ),
    ] = None
    ignore_windows: Annotated[
        bool,
        Field(
            description="If true, the windows of the task do not apply to this run. Can be changed during the run, for "
            "example to let a paused run continue now."
        ),
    ] = False
    approved_plan: Annotated[
        ApprovedPlan,
        Field(
            description="Approves the plan of this run: set it to status.plan.digest. Another value approves nothing, "
            "so a plan that has changed since must be approved again."
        ),
    ] = ""
    ttl_after_finished: Annotated[
        Annotated[str, DurationRange("0s", word=NEVER)] | None,
        Field(
            description="How long to keep the finished run, such as 24h; Never keeps it. Default: the operator's "
            "setting (168h), unless another object owns the run or a tool such as Flux, Argo CD or Helm tracks it. "
            "Applying a removed run again executes it again."
        ),
    ] = None
    on_behalf_of: Annotated[
        OnBehalfOf | None,
        Field(
            description="Set by the operator: the run of another namespace whose work this run does, because its task "
            "uses SmbLocations of this namespace. All other fields are read from that run."
        ),
    ] = None
    class_name: ClassName = None

    @property
    def copies(self) -> bool:
        """Whether the run brings the destination to the state of the source."""
        return not (self.dry_run or self.survey)

    @property
    def writes(self) -> bool:
        """Whether the run writes to the destination, and so must be the only one that does."""
        return self.copies or (self.survey and self.measure_destination)

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> "TransferRunSpec":
        if self.survey and self.dry_run:
            raise ValueError(SURVEY_IS_NO_DRY_RUN["message"])
        if self.measure_destination and not self.survey:
            raise ValueError(ONLY_SURVEYS_MEASURE["message"])
        if self.approved_plan and not self.copies:
            raise ValueError(ONLY_COPIES_ARE_APPROVED["message"])
        return self


SURVEY_IS_NO_DRY_RUN: Final = {
    "rule": "!self.survey || !self.dryRun",
    "message": "cannot combine survey with dryRun; create one run for each",
}
ONLY_SURVEYS_MEASURE: Final = {
    "rule": "!self.measureDestination || self.survey",
    "message": "measureDestination requires survey: true",
}
ONLY_COPIES_ARE_APPROVED: Final = {
    "rule": "!has(self.approvedPlan) || self.approvedPlan == '' || !(self.dryRun || self.survey)",
    "message": "a dry run and a survey change nothing and need no approvedPlan; remove it",
}
RUN_RULES: Final[dict[type[Spec], list[dict[str, Any]]]] = {
    TransferRunSpec: [
        {
            "rule": "self.taskRef == oldSelf.taskRef && self.dryRun == oldSelf.dryRun && self.survey == oldSelf.survey"
            " && self.measureDestination == oldSelf.measureDestination"
            " && has(self.onBehalfOf) == has(oldSelf.onBehalfOf)"
            " && (!has(self.onBehalfOf) || self.onBehalfOf == oldSelf.onBehalfOf)",
            "message": "spec is immutable except for cancel, priority, ignoreWindows, approvedPlan and ttlAfterFinished"
            "; create another run",
        },
        {"rule": "self.cancel || !oldSelf.cancel", "message": "cancel cannot be reset to false; create another run"},
        SURVEY_IS_NO_DRY_RUN,
        ONLY_SURVEYS_MEASURE,
        ONLY_COPIES_ARE_APPROVED,
    ]
}

__all__ = [
    "RUN_RULES",
    "ResolvedEnd",
    "ResolvedIdentity",
    "ResolvedTask",
    "TaskRef",
    "TransferRunSpec",
    "TransferRunStatus",
]
