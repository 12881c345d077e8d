"""Values of a transfer's options. The docstrings are the descriptions in the CustomResourceDefinitions."""

from enum import StrEnum


class TransferMode(StrEnum):
    """Changed: copy files that differ. All: copy all files."""

    CHANGED = "Changed"
    ALL = "All"


class CompareBy(StrEnum):
    """How to compare files: by size and write time, also by security descriptors, or by content and these."""

    SIZE_AND_TIME = "SizeAndTime"
    METADATA = "Metadata"
    CHECKSUM = "Checksum"


class OverwriteMode(StrEnum):
    """Whether existing files at the destination may be replaced. IfNewer: only by a source file that is newer by more
    than modifyWindow. A file that may not be replaced stays as it is, with its metadata.
    """

    ALWAYS = "Always"
    NEVER = "Never"
    IF_NEWER = "IfNewer"


class DeletedFiles(StrEnum):
    """What to do with files at the destination that do not exist at the source."""

    PRESERVE = "Preserve"
    REMOVE = "Remove"


class VerifyMode(StrEnum):
    """What to verify: copied files by hash, both trees with copied metadata at the end of the run, or nothing."""

    ONLY_FILES_TRANSFERRED = "OnlyFilesTransferred"
    POINT_IN_TIME_CONSISTENT = "PointInTimeConsistent"
    NONE = "None"


class SecurityDescriptors(StrEnum):
    """Parts of the security descriptor to copy."""

    NONE = "None"
    OWNER_DACL = "OwnerDacl"
    OWNER_DACL_SACL = "OwnerDaclSacl"


class Preservation(StrEnum):
    """Whether to copy this metadata."""

    PRESERVE = "Preserve"
    NONE = "None"


class Links(StrEnum):
    """How to handle symbolic links and junctions, which are never followed."""

    SKIP = "Skip"
    FAIL = "Fail"
    COPY = "Copy"


class HardLinks(StrEnum):
    """How to handle files with several names. Copy: each name becomes a file of its own. Preserve: the names stay names
    of one file if the destination's server can do that.
    """

    COPY = "Copy"
    PRESERVE = "Preserve"


class Symlinks(StrEnum):
    """Deprecated: use links. Applies if links is not set."""

    SKIP = "Skip"
    FAIL = "Fail"


class FileAttribute(StrEnum):
    """Attributes by which files can be left out. Offline: the content is stored elsewhere, such as on tape or in a
    cloud, and reading would recall it.
    """

    READ_ONLY = "ReadOnly"
    HIDDEN = "Hidden"
    SYSTEM = "System"
    ARCHIVE = "Archive"
    TEMPORARY = "Temporary"
    OFFLINE = "Offline"


class SystemFolders(StrEnum):
    """Whether to copy system folders such as the recycle bin and snapshots."""

    SKIP = "Skip"
    COPY = "Copy"


class SnapshotUse(StrEnum):
    """Which version of the source to read. None: the files as they are. Latest: the server's newest snapshot, or the
    files as they are if there is none. Required: the newest snapshot; without one the run fails.
    """

    NONE = "None"
    LATEST = "Latest"
    REQUIRED = "Required"


class Streams(StrEnum):
    """Whether to copy alternate data streams. Ignore: leave those of the destination alone."""

    COPY = "Copy"
    IGNORE = "Ignore"


class ExtendedAttributes(StrEnum):
    """Whether to copy extended attributes. Ignore: leave those of the destination alone."""

    COPY = "Copy"
    IGNORE = "Ignore"


class ServerSideCopy(StrEnum):
    """Whether a server that holds both source and destination may copy large files itself."""

    AUTO = "Auto"
    NEVER = "Never"


class Durability(StrEnum):
    """When a small file counts as copied: once it is in the server's memory, or once it is on the server's disk."""

    BUFFERED = "Buffered"
    FLUSHED = "Flushed"
