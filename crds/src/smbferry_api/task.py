"""TransferTask: what is to be copied where, when and how."""

import re
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema, model_validator

from smbferry_api.conditions import Condition
from smbferry_api.fields import DurationRange, FreeText, ObjectName, Quantity, SharePath, Spec, Status, Time
from smbferry_api.run_status import RunSummary


class TransferMode(StrEnum):
    """Which files are looked at: those that differ, or all."""

    CHANGED = "Changed"
    ALL = "All"


class CompareBy(StrEnum):
    """How a file is found to differ: by what listings tell, or by content and copied security descriptors."""

    SIZE_AND_TIME = "SizeAndTime"
    CHECKSUM = "Checksum"


class OverwriteMode(StrEnum):
    """Whether a file that is already at the destination may be replaced."""

    ALWAYS = "Always"
    NEVER = "Never"


class DeletedFiles(StrEnum):
    """What becomes of destination files that the source does not have."""

    PRESERVE = "Preserve"
    REMOVE = "Remove"


class VerifyMode(StrEnum):
    """What is compared after the transfer: copied files by hash, or whole trees with the metadata that is copied."""

    ONLY_FILES_TRANSFERRED = "OnlyFilesTransferred"
    POINT_IN_TIME_CONSISTENT = "PointInTimeConsistent"
    NONE = "None"


class SecurityDescriptors(StrEnum):
    """Which parts of a security descriptor are copied."""

    NONE = "None"
    OWNER_DACL = "OwnerDacl"
    OWNER_DACL_SACL = "OwnerDaclSacl"


class Preservation(StrEnum):
    """Whether a kind of metadata is carried over."""

    PRESERVE = "Preserve"
    NONE = "None"


class Symlinks(StrEnum):
    """What a link does to the run: left out and counted, or a failure of its own. It is never followed."""

    SKIP = "Skip"
    FAIL = "Fail"


class SystemFolders(StrEnum):
    """What happens to folders that a server keeps for itself, such as its recycle bin and its snapshots."""

    SKIP = "Skip"
    COPY = "Copy"


class ServerSideCopy(StrEnum):
    """Whether a server that is both sides may copy large files by itself."""

    AUTO = "Auto"
    NEVER = "Never"


class Durability(StrEnum):
    """When a small file counts as copied: when the server has it in memory, or when it is on the server's disk."""

    BUFFERED = "Buffered"
    FLUSHED = "Flushed"


class Concurrency(StrEnum):
    """What happens when a run is due while another of this task goes on."""

    QUEUE = "Queue"
    SKIP = "Skip"


class ReportDetail(StrEnum):
    """Which files the per-file report lists."""

    ERRORS_ONLY = "ErrorsOnly"
    EVERYTHING = "Everything"


MAX_DELETES_PATTERN: Final = r"^([0-9]{1,9}|(100|[0-9]{1,2})(\.[0-9]{1,3})?%)$"
CRON_FIELDS: Final = 5


def _max_deletes(value: str | int) -> str | int:
    if not re.fullmatch(MAX_DELETES_PATTERN, str(value)):
        raise ValueError(f"{value!r}: expected a count (1000) or a share of the destination's files (10%)")
    return value


MaxDeletes = Annotated[
    str | int,
    AfterValidator(_max_deletes),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": MAX_DELETES_PATTERN,
            "maxLength": 16,
        }
    ),
]


class LocationRef(Spec):
    """An SmbLocation in the same namespace."""

    name: Annotated[ObjectName, Field(description="The SmbLocation's name.")]


class TaskEnd(Spec):
    """One end of a transfer: a location and a folder below it."""

    location_ref: LocationRef
    path: Annotated[SharePath, Field(description="A folder below the location's own path.")] = "/"


def _include_pattern(value: str) -> str:
    if re.search(r"(?<!\\)\*(?!$)", value):
        raise ValueError(f"{value!r}: an include may hold '*' only as its last character")
    return value


FilterPattern = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[/*]")]
IncludePattern = Annotated[FilterPattern, AfterValidator(_include_pattern)]


class Filters(Spec):
    """Patterns relative to the task's path; case-insensitive as SMB is. An exclude beats an include."""

    include: Annotated[
        tuple[IncludePattern, ...],
        Field(max_length=256, description="Only what matches, and what lies below it. '*' only at a pattern's end."),
    ] = ()
    exclude: Annotated[
        tuple[FilterPattern, ...],
        Field(max_length=256, description="What matches is left out: /folder, */name at any level, *.tmp by suffix."),
    ] = ()


class Schedule(Spec):
    """When runs start by themselves."""

    cron: Annotated[str, Field(min_length=9, max_length=128, description="minute hour day month weekday")]
    time_zone: Annotated[str, Field(max_length=64, description="An IANA name such as Europe/Berlin.")] = "UTC"
    starting_deadline: Annotated[
        str,
        DurationRange("1m", "168h"),
        Field(description="A start that was missed is made up for within this time, once."),
    ] = "1h"

    @model_validator(mode="after")
    def _five_fields(self) -> "Schedule":
        if len(self.cron.split()) != CRON_FIELDS:
            raise ValueError(f"cron {self.cron!r}: expected five fields, minute hour day month weekday")
        return self


class Options(Spec):
    """How files are compared, copied, verified and deleted; the words are AWS DataSync's where it has them."""

    transfer_mode: TransferMode = TransferMode.CHANGED
    compare_by: CompareBy = CompareBy.SIZE_AND_TIME
    overwrite_mode: OverwriteMode = OverwriteMode.ALWAYS
    deleted_files: DeletedFiles = DeletedFiles.PRESERVE
    max_deletes: Annotated[
        MaxDeletes,
        Field(
            description="A count, or a share of the destination's files. Past it nothing is deleted and the run fails."
        ),
    ] = "10%"
    verify_mode: VerifyMode = VerifyMode.ONLY_FILES_TRANSFERRED
    security_descriptors: Annotated[
        SecurityDescriptors,
        Field(
            description="Owner needs the restore privilege at the destination,"
            " SACL the security privilege on both sides."
        ),
    ] = SecurityDescriptors.OWNER_DACL
    timestamps: Preservation = Preservation.PRESERVE
    attributes: Preservation = Preservation.PRESERVE
    symlinks: Symlinks = Symlinks.SKIP
    system_folders: Annotated[
        SystemFolders,
        Field(
            description="Skip: $RECYCLE.BIN, RECYCLER, System Volume Information, DfsrPrivate, .SystemShareInformation,"
            " .snapshot and .ifsvar at a share's root, and ~snapshot in any folder, are neither copied nor deleted,"
            " unless an include names them. Copy: they are folders like any other."
        ),
    ] = SystemFolders.SKIP
    modify_window: Annotated[
        Annotated[str, DurationRange("0s", "1h")],
        Field(
            description="Times that differ by no more than this are the same. For destinations that keep times less"
            " exactly than the source: 2s for FAT and for many NAS."
        ),
    ] = "0s"
    server_side_copy: Annotated[
        ServerSideCopy,
        Field(
            description="Auto: where both sides are one server and one identity, large files are copied by the server"
            " itself; Never: all content passes through the agent."
        ),
    ] = ServerSideCopy.AUTO
    durability: Annotated[
        Durability,
        Field(
            description="Buffered: files under 1 MiB count as copied when the server has them in memory; Flushed: when"
            " they are on its disk, so that a loss of power can't leave one with the right size and time and lost"
            " content. Larger files are always flushed."
        ),
    ] = Durability.BUFFERED
    bytes_per_second: Annotated[
        Quantity | None, Field(description="A limit such as 50Mi; may be changed during a run. Unlimited when absent.")
    ] = None

    @model_validator(mode="after")
    def _remove_forbids_all(self) -> "Options":
        if self.deleted_files is DeletedFiles.REMOVE and self.transfer_mode is TransferMode.ALL:
            raise ValueError(REMOVE_FORBIDS_ALL["message"])
        return self


# The guards are for the API server's check of the default `{}`, which it makes before it fills the fields' own.
REMOVE_FORBIDS_ALL: Final = {
    "rule": "!has(self.deletedFiles) || !has(self.transferMode)"
    " || self.deletedFiles != 'Remove' || self.transferMode != 'All'",
    "message": "deletedFiles: Remove needs transferMode: Changed",
}
ENDS_DIFFER: Final = {
    "rule": "self.source.locationRef.name != self.destination.locationRef.name"
    " || self.source.path != self.destination.path",
    "message": "source and destination are the same folder",
}

KubernetesObject = Annotated[
    dict[str, JsonValue],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
"""Part of a pod's spec, handed on as it stands; the API server checks it when the Job is made."""


class AgentSpec(Spec):
    """The pods that do the work."""

    parallelism: Annotated[int, Field(ge=1, le=64, description="How many agents share one run.")] = 1
    resources: Annotated[KubernetesObject | None, Field(description="core/v1 ResourceRequirements")] = None
    node_selector: Annotated[
        dict[str, str] | None, Field(max_length=32, description="Labels of the nodes that agents may run on.")
    ] = None
    tolerations: Annotated[tuple[KubernetesObject, ...], Field(max_length=32, description="core/v1 Toleration")] = ()
    affinity: Annotated[KubernetesObject | None, Field(description="core/v1 Affinity")] = None
    priority_class_name: Annotated[ObjectName | None, Field(description="The PriorityClass of the agents.")] = None
    active_deadline: Annotated[
        Annotated[str, DurationRange("1m")] | None,
        Field(description="A run that takes longer is ended and has failed."),
    ] = None


class Report(Spec):
    """A per-file report beside the status."""

    detail: ReportDetail = ReportDetail.ERRORS_ONLY
    location_ref: Annotated[
        LocationRef | None, Field(description="Where the report is written; nowhere when absent.")
    ] = None
    path: Annotated[SharePath | None, Field(description="The folder for reports in that location.")] = None


class History(Spec):
    """How many ended runs are kept."""

    succeeded: Annotated[int, Field(ge=0, le=100, description="Of those that succeeded.")] = 3
    failed: Annotated[int, Field(ge=0, le=100, description="Of those that failed or were cancelled.")] = 3


class TransferTaskSpec(Spec):
    """What is wanted. Without a schedule a run starts once for each value of `trigger`, the first at creation."""

    source: TaskEnd
    destination: TaskEnd
    schedule: Annotated[Schedule | None, Field(description="Without it: one run per value of trigger.")] = None
    trigger: Annotated[
        FreeText, Field(description="Any text; changing it starts a run. The GitOps way to run now.")
    ] = ""
    mirror_confirmation: Annotated[
        str,
        Field(
            max_length=64,
            pattern=r"^[a-z0-9]*$",
            description="With deletedFiles: Remove, confirms the first mirror to a destination that already holds"
            " something: the word that MirrorNotConfirmed names. It holds for this object and this destination only.",
        ),
    ] = ""
    suspend: Annotated[bool, Field(description="No new runs start while true; one that is under way goes on.")] = False
    concurrency: Concurrency = Concurrency.QUEUE
    options: Options = Options()
    filters: Filters = Filters()
    agent: AgentSpec = AgentSpec()
    report: Report = Report()
    history: History = History()

    @property
    def location_names(self) -> tuple[str, ...]:
        """The SmbLocations of source, destination and, where one is named, of the report."""
        report = self.report.location_ref
        return (
            self.source.location_ref.name,
            self.destination.location_ref.name,
            *((report.name,) if report is not None else ()),
        )

    @model_validator(mode="after")
    def _ends_differ(self) -> "TransferTaskSpec":
        if self.source == self.destination:
            raise ValueError(ENDS_DIFFER["message"])
        return self


class TransferTaskStatus(Status):
    """Where the task stands."""

    observed_generation: Annotated[
        int, Field(description="metadata.generation of the spec that this status is about.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...], Field(description="What is so and what is not, each with a reason and what to do.")
    ] = ()
    active_run: Annotated[str | None, Field(description="The TransferRun that is queued or under way.")] = None
    last_run: Annotated[RunSummary | None, Field(description="The newest run that has ended.")] = None
    last_successful_run: Annotated[
        RunSummary | None, Field(description="The newest run that left the destination as the source was.")
    ] = None
    next_schedule_time: Annotated[Time | None, Field(description="When the schedule starts the next run.")] = None
    last_schedule_time: Annotated[Time | None, Field(description="The scheduled time of the newest run.")] = None
    mirrored_to: Annotated[
        str | None, Field(description="The destination that a run of this task last brought in step with its source.")
    ] = None
    unconfirmed: Annotated[
        str | None,
        Field(
            description="The word for spec.mirrorConfirmation, while the mirror to this destination is neither proven"
            " by a run that succeeded nor confirmed."
        ),
    ] = None
    observed_trigger: Annotated[str | None, Field(description="The value of spec.trigger that last started a run.")] = (
        None
    )


TASK_RULES: Final[dict[type[Spec], list[dict[str, Any]]]] = {
    Options: [REMOVE_FORBIDS_ALL],
    TransferTaskSpec: [ENDS_DIFFER],
}
