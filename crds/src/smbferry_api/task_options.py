"""What a TransferTask copies, compares, verifies and deletes: its options and filters."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from smbferry_api.fields import (
    DataKey,
    DurationRange,
    ObjectName,
    Quantity,
    Spec,
    parse_duration,
    parse_quantity,
)
from smbferry_api.politeness import Politeness
from smbferry_words.options import (
    CompareBy,
    DeletedFiles,
    Durability,
    ExtendedAttributes,
    FileAttribute,
    HardLinks,
    Links,
    OverwriteMode,
    Preservation,
    SecurityDescriptors,
    ServerSideCopy,
    Streams,
    Symlinks,
    SystemFolders,
    TransferMode,
    VerifyMode,
)

T = TypeVar("T")

MAX_DELETES_PATTERN: Final = r"^([0-9]{1,9}|(100|[0-9]{1,2})(\.[0-9]{1,3})?%)$"


def _max_deletes(value: str | int) -> str | int:
    if not re.fullmatch(MAX_DELETES_PATTERN, str(value)):
        raise ValueError(
            f"expected a count such as 1000 or a percentage of the destination's files such as 10%, got {value!r}"
        )
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


def _include_pattern(value: str) -> str:
    if re.search(r"(?<!\\)\*(?!$)", value):
        raise ValueError(f"expected '*' only at the end of an include pattern, got {value!r}")
    return value


FilterPattern = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[/*]")]
IncludePattern = Annotated[FilterPattern, AfterValidator(_include_pattern)]
_AGE: Final = DurationRange("1s", "876000h")


class Filters(Spec):
    """Which files and folders to copy. Patterns are relative to the task's path and case-insensitive like SMB; excludes
    take precedence over includes. Size, age and attributes apply to files only. A file must match all filters; files
    that do not are never deleted at the destination.
    """

    include: Annotated[
        tuple[IncludePattern, ...],
        Field(
            max_length=256,
            description="Copy only matching files and folders, including everything below them. "
            "'*' is allowed only at the end of a pattern.",
        ),
    ] = ()
    exclude: Annotated[
        tuple[FilterPattern, ...],
        Field(
            max_length=256,
            description="Exclude matching files and folders: /folder, */name at any level, *.tmp by suffix.",
        ),
    ] = ()
    min_size: Annotated[Quantity | None, Field(description="Copy only files of at least this size, such as 1Ki.")] = (
        None
    )
    max_size: Annotated[Quantity | None, Field(description="Copy only files of at most this size, such as 10Gi.")] = (
        None
    )
    min_age: Annotated[
        Annotated[str, _AGE] | None,
        Field(
            description="Copy only files that were last written at least this long before the TransferRun was created, "
            "such as 1h."
        ),
    ] = None
    max_age: Annotated[
        Annotated[str, _AGE] | None,
        Field(
            description="Copy only files that were last written at most this long before the TransferRun was created, "
            "such as 720h for 30 days."
        ),
    ] = None
    exclude_attributes: Annotated[
        tuple[FileAttribute, ...],
        Field(
            max_length=6,
            description="Exclude files with any of these attributes. Offline: files whose content is stored elsewhere, "
            "such as on tape or in a cloud. Samba reports files whose names begin with a dot as Hidden.",
        ),
    ] = ()

    @model_validator(mode="after")
    def _minima_below_maxima(self) -> "Filters":
        if self.min_size is not None and self.max_size is not None:
            _ordered("minSize", self.min_size, "maxSize", self.max_size, parse_quantity)
        if self.min_age is not None and self.max_age is not None:
            _ordered("minAge", self.min_age, "maxAge", self.max_age, parse_duration)
        return self


def _ordered(least: str, minimum: T, most: str, maximum: T, parse: Callable[[T], Any]) -> None:
    if parse(minimum) > parse(maximum):
        raise ValueError(f"expected {least} to be at most {most}, got {minimum!r} and {maximum!r}")


class SidMapKeyRef(Spec):
    """A key of a ConfigMap in the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the ConfigMap.")]
    key: Annotated[DataKey, Field(description="Key in the ConfigMap's data that contains the map.")] = "sids"


class SidMap(Spec):
    """Replacement of SIDs in security descriptors."""

    config_map_ref: Annotated[
        SidMapKeyRef,
        Field(
            description="ConfigMap with one rule on each line: an old SID and a new one, or two domains "
            "(S-1-5-21-a-b-c). A SID alone on a line stays as it is."
        ),
    ]


class RetryLocked(Spec):
    """Files that are in use, locked or written to: when to try them again before they count as failed."""

    attempts: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="How often to try such files again after all others. 0: report them at once. At most 10,000 "
            "files wait; further ones are reported at once.",
        ),
    ] = 3
    interval: Annotated[
        Annotated[str, DurationRange("1s", "1h")],
        Field(description="Time between the last failure and the next attempt."),
    ] = "1m"


class Options(Spec):
    """How files are compared, copied, verified and deleted. Names follow AWS DataSync where it has an equivalent."""

    transfer_mode: TransferMode = TransferMode.CHANGED
    compare_by: Annotated[
        CompareBy,
        Field(
            description="How to compare files that exist on both sides. SizeAndTime: by size, write time and "
            "attributes. Metadata: also by the copied parts of the security descriptor, by extended attributes, and "
            "by names and sizes of streams; differences are corrected in place without reading the file's content. "
            "Checksum: by content and the same metadata."
        ),
    ] = CompareBy.SIZE_AND_TIME
    overwrite_mode: OverwriteMode = OverwriteMode.ALWAYS
    deleted_files: DeletedFiles = DeletedFiles.PRESERVE
    max_deletes: Annotated[
        MaxDeletes,
        Field(
            description="Maximum number of deletions: a count, or a percentage of the destination's files. If "
            "exceeded, nothing is deleted and the run fails."
        ),
    ] = "10%"
    verify_mode: VerifyMode = VerifyMode.ONLY_FILES_TRANSFERRED
    security_descriptors: Annotated[
        SecurityDescriptors,
        Field(
            description="Parts of the security descriptor to copy. The owner requires the restore privilege at the "
            "destination; the SACL requires the security privilege on both sides."
        ),
    ] = SecurityDescriptors.OWNER_DACL
    sid_map: Annotated[
        SidMap | None,
        Field(
            description="SIDs to replace in the owner, the group and the access lists of files and folders, for "
            "example those of an old domain. Applied when files are copied and when they are compared."
        ),
    ] = None
    timestamps: Annotated[Preservation, Field(description="Whether to copy creation, access and write times.")] = (
        Preservation.PRESERVE
    )
    attributes: Annotated[
        Preservation, Field(description="Whether to copy the attributes read-only, hidden, system and archive.")
    ] = Preservation.PRESERVE
    streams: Annotated[
        Streams,
        Field(
            description="Copy: alternate data streams are copied, verified, compared and removed with their file or "
            "folder. If the destination cannot store one, the file counts as incomplete and status.notCarried lists "
            "it. Ignore: streams of the source are not copied, those of the destination are not changed."
        ),
    ] = Streams.COPY
    extended_attributes: Annotated[
        ExtendedAttributes,
        Field(
            description="Copy: extended attributes are copied, verified, compared and removed with their file or "
            "folder. If the destination cannot store one, the file counts as incomplete and status.notCarried lists "
            "it. Ignore: those of the source are not copied, those of the destination are not changed."
        ),
    ] = ExtendedAttributes.COPY
    links: Annotated[
        Links | None,
        Field(
            description="How to handle symbolic links and junctions, which are never followed. Skip: skip and count "
            "them. Fail: report each as failed. Copy: copy them as links with their targets unchanged; links that "
            "cannot be copied are reported as failed. Default: the value of symlinks."
        ),
    ] = None
    symlinks: Symlinks = Symlinks.SKIP
    hard_links: Annotated[
        HardLinks,
        Field(
            description="How to handle files with several names. Copy: each name becomes a file of its own. Preserve: "
            "the first name is copied, and the others become names of that copy; where the destination's server "
            "refuses that, they become files of their own. status.notCarried lists files whose names did not stay "
            "together."
        ),
    ] = HardLinks.COPY
    system_folders: Annotated[
        SystemFolders,
        Field(
            description="Skip: do not copy or delete $RECYCLE.BIN, RECYCLER, System Volume Information, "
            "DfsrPrivate, .SystemShareInformation, .snapshot and .ifsvar at a share's root, and ~snapshot in any "
            "folder, unless an include names them. Copy: treat them like other folders."
        ),
    ] = SystemFolders.SKIP
    modify_window: Annotated[
        Annotated[str, DurationRange("0s", "1h")],
        Field(
            description="Maximum difference of timestamps that are considered equal, for destinations with a lower "
            "resolution than the source: 2s for FAT and many NAS."
        ),
    ] = "0s"
    server_side_copy: Annotated[
        ServerSideCopy,
        Field(
            description="Auto: if both sides use one server and one identity, the server copies large files itself. "
            "Never: all content passes through the agent."
        ),
    ] = ServerSideCopy.AUTO
    durability: Annotated[
        Durability,
        Field(
            description="Buffered: files under 1 MiB count as copied once they are in the server's memory. Flushed: "
            "once they are on its disk, so that a power loss cannot leave a file with correct size and time but "
            "lost content. Larger files are always flushed."
        ),
    ] = Durability.BUFFERED
    retry_locked: RetryLocked = RetryLocked()
    bytes_per_second: Annotated[
        Quantity | None,
        Field(description="Bandwidth limit such as 50Mi. Can be changed during a run. Default: unlimited."),
    ] = None
    politeness: Annotated[
        Politeness | None,
        Field(
            description="Each agent measures how long both servers take to reply to small requests, gives way when "
            "they take longer than usual, and takes the room back. Default: off, and nothing is measured."
        ),
    ] = None

    @model_validator(mode="after")
    def _remove_forbids_all(self) -> "Options":
        if self.deleted_files is DeletedFiles.REMOVE and self.transfer_mode is TransferMode.ALL:
            raise ValueError(REMOVE_FORBIDS_ALL["message"])
        return self

    @model_validator(mode="after")
    def _sid_map_needs_descriptors(self) -> "Options":
        if self.sid_map is not None and self.security_descriptors is SecurityDescriptors.NONE:
            raise ValueError(SID_MAP_NEEDS_DESCRIPTORS["message"])
        return self


# The has() guards are needed because the API server validates the default `{}` before it sets the defaults of the
# fields.


REMOVE_FORBIDS_ALL: Final = {
    "rule": "!has(self.deletedFiles) || !has(self.transferMode)"
    " || self.deletedFiles != 'Remove' || self.transferMode != 'All'",
    "message": "cannot combine deletedFiles: Remove with transferMode: All",
}


SID_MAP_NEEDS_DESCRIPTORS: Final = {
    "rule": "!has(self.sidMap) || !has(self.securityDescriptors) || self.securityDescriptors != 'None'",
    "message": "sidMap requires securityDescriptors: OwnerDacl or OwnerDaclSacl",
}


SIZES_ORDERED: Final = {
    "rule": "!has(self.minSize) || !has(self.maxSize)"
    " || quantity(string(self.minSize)).compareTo(quantity(string(self.maxSize))) <= 0",
    "message": "minSize must be at most maxSize",
}


AGES_ORDERED: Final = {
    "rule": "!has(self.minAge) || !has(self.maxAge) || duration(self.minAge) <= duration(self.maxAge)",
    "message": "minAge must be at most maxAge",
}
