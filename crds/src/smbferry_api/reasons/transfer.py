"""The transfer as a whole, and its single files."""

from smbferry_api.exit_codes import FailureClass
from smbferry_api.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_GUARD = FailureClass.GUARD

DESTINATION_FULL = define(
    "DestinationFull",
    "The destination, or a folder of it, has no space left.",
    "Free space on the destination; what was complete stays, and the next attempt goes on.",
    FailureClass.DESTINATION_FULL,
)
MAX_DELETES_EXCEEDED = define(
    "MaxDeletesExceeded",
    "The run would delete more than options.maxDeletes allows, so nothing was deleted.",
    "Check that the source is whole; raise options.maxDeletes if the deletions are meant.",
    _GUARD,
)
MIRROR_NOT_CONFIRMED = define(
    "MirrorNotConfirmed",
    "A task with deletedFiles: Remove has never mirrored to this destination, and nobody has confirmed it: nothing was"
    " deleted, and nothing replaced that is newer there.",
    "Make sure that the source is the newer side; then set spec.mirrorConfirmation to the word in the message, and"
    " change spec.trigger.",
    _GUARD,
)
SOURCE_LISTING_INCOMPLETE = define(
    "SourceListingIncomplete",
    "Part of the source could not be listed, so nothing was deleted.",
    "Mend access to the folders that status.failures names.",
    _GUARD,
)
OPTIONS_INVALID = define(
    "OptionsInvalid",
    "An option or filter of the task can't be used as it stands.",
    "Correct the option that the message names.",
    _CONFIGURATION,
)
SAME_DESTINATION = define(
    "SameDestination",
    "Source and destination are the same folder, or one lies within the other.",
    "Give the destination a path of its own.",
    _CONFIGURATION,
)
DFS_TARGET_CHANGED = define(
    "DfsTargetChanged",
    "The destination's DFS path leads elsewhere than its location's check found, so nothing was written.",
    "Have the location checked again; give a DFS link below a location's path a location of its own.",
    _GUARD,
)

# Per-file failures: recorded, and the run goes on.
NAME_NOT_REPRESENTABLE = define(
    "NameNotRepresentable", "The destination can't hold this name.", "Rename it at the source, or exclude it."
)
CASE_COLLISION = define(
    "CaseCollision",
    "Two names differ only in case: only one of them is copied, and none is deleted for the other.",
    "Rename one of the two, or exclude it.",
)
REPARSE_POINT_SKIPPED = define(
    "ReparsePointSkipped",
    "A symbolic link, junction or mount point is never followed.",
    "Make a task for the link's target, if its content is wanted.",
)
REPARSE_POINT_UNREADABLE = define(
    "ReparsePointUnreadable",
    "The server can't give the content of a file or folder that it keeps elsewhere, such as in a cloud.",
    "Have the file recalled at the source, or exclude it; look at the tiering or sync service of that server.",
)
SHARING_VIOLATION = define(
    "SharingViolation", "Another program holds the file open.", "Close it there; the next run copies it."
)
QUOTA_EXCEEDED = define(
    "QuotaExceeded",
    "The quota of a folder, of the account or of the file's owner is used up.",
    "Raise the quota, or free space that counts against it; the next run copies the file.",
)
SOURCE_CHANGED = define(
    "SourceChanged",
    "The source changed while the run worked on it: a file was written to, or a name came back before its deletion.",
    "The next run copies it; exclude what is always being written.",
)
REPORT_INSIDE_TRANSFER = define(
    "ReportInsideTransfer",
    "The report would be written among the files that are transferred.",
    "Give report.path, or report.locationRef, a folder outside of source and destination.",
    _CONFIGURATION,
)
REPORT_NOT_WRITTEN = define(
    "ReportNotWritten",
    "The files were transferred, the report about them could not be written.",
    "Look at the SmbLocation that report.locationRef names: space, and the right to write.",
)
HASH_MISMATCH = define(
    "HashMismatch",
    "What was read back differs from what was sent.",
    "Look at the destination's storage, and run again with compareBy: Checksum.",
)
METADATA_MISMATCH = define(
    "MetadataMismatch",
    "The content is the same on both sides; a time, an attribute, the owner or an access list is not.",
    "Run once with compareBy: Checksum, which sets what differs, or leave out by the options what need not agree.",
)
FILE_VANISHED = define(
    "FileVanished",
    "The file was there when listed and is gone now.",
    "Nothing; the next run sees the source as it is then.",
)
TYPE_CONFLICT = define(
    "TypeConflict",
    "A folder stands where a file should go, or a file where a folder should.",
    "Remove or rename the one at the destination.",
)
DIRECTORY_LOOP = define(
    "DirectoryLoop", "The folder is its own ancestor.", "Remove the link or mount at the server, or exclude the folder."
)
OWNER_NOT_PERMITTED = define(
    "OwnerNotPermitted",
    "The account may not set this owner; all else was copied.",
    "Give the account the right to restore files, or set options.securityDescriptors: None.",
)
SECURITY_NOT_PERMITTED = define(
    "SecurityNotPermitted",
    "The account may not set this access list (not copied), or this audit list (copied).",
    "Grant the account Full Control, or set options.securityDescriptors: None.",
)
FOLDER_FAILED = define(
    "FolderFailed", "The folder above could not be listed or made.", "Mend what the failure of the folder itself names."
)
FILE_FAILED = define(
    "FileFailed",
    "The server refused an operation on this file.",
    "Look up the NTSTATUS that the message names; the next run tries again.",
)
