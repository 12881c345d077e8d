"""Transfers and individual files."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_GUARD = FailureClass.GUARD

DESTINATION_FULL = define(
    "DestinationFull",
    "The destination, or a folder in it, has no space left.",
    "Free space on the destination. Completed files stay; the next attempt resumes.",
    FailureClass.DESTINATION_FULL,
)
MAX_DELETES_EXCEEDED = define(
    "MaxDeletesExceeded",
    "The run would delete more than options.maxDeletes allows, so nothing was deleted.",
    "Check that the source is complete. Raise options.maxDeletes if the deletions are intended.",
    _GUARD,
)
MIRROR_NOT_CONFIRMED = define(
    "MirrorNotConfirmed",
    "A task with deletedFiles: Remove has never mirrored to this destination and is not confirmed, so smbferry "
    "deleted nothing and replaced no newer files there.",
    "Make sure that the source is the current side. Then set spec.mirrorConfirmation to the word in the message and "
    "change spec.trigger.",
    _GUARD,
)
PLAN_CHANGED = define(
    "PlanChanged",
    "What the run would do has changed since its plan was approved, so it waits for the approval of its new plan.",
    "Look at the new plan with smbferry approve. Approve it, or cancel the run.",
    _GUARD,
)
SOURCE_LISTING_INCOMPLETE = define(
    "SourceListingIncomplete",
    "smbferry could not list part of the source, so it deleted nothing.",
    "Fix access to the folders listed in status.failures.",
    _GUARD,
)
SNAPSHOT_NOT_FOUND = define(
    "SnapshotNotFound",
    "The server has no snapshot of the source, or none of the time in source.snapshot.",
    "Set source.snapshot to a time from the message, or to Latest, or take a snapshot on the server and start a run.",
    FailureClass.ACCESS,
)
SNAPSHOT_GONE = define(
    "SnapshotGone",
    "The server no longer has the snapshot that the run reads, so the run stopped. It deleted nothing after that.",
    "Start a new run, which uses a snapshot that exists. Keep snapshots for longer than a run takes.",
    FailureClass.ACCESS,
)
OPTIONS_INVALID = define(
    "OptionsInvalid",
    "An option or filter of the task is invalid.",
    "Correct the option named in the message.",
    _CONFIGURATION,
)
SAME_DESTINATION = define(
    "SameDestination",
    "Source and destination must not be the same folder, and neither may be inside the other.",
    "Set the destination to a different path.",
    _CONFIGURATION,
)

# Failures of individual files: the run records them and continues.
NAME_NOT_REPRESENTABLE = define(
    "NameNotRepresentable",
    "The destination does not support this name.",
    "Rename the file at the source, or exclude it.",
)
CASE_COLLISION = define(
    "CaseCollision",
    "Two names differ only in case; smbferry copies only one and deletes neither.",
    "Rename or exclude one of them.",
)
REPARSE_POINT_SKIPPED = define(
    "ReparsePointSkipped",
    "smbferry does not follow symbolic links, junctions and mount points, and could not copy this one as a link.",
    "To copy the target's content, create a task for it. To ignore links, set options.links to Skip.",
)
REPARSE_POINT_UNREADABLE = define(
    "ReparsePointUnreadable",
    "The server cannot provide the content of a file or folder that it stores elsewhere, such as in a cloud.",
    "Check the tiering or sync service of that server and recall the file, or exclude it.",
)
SHARING_VIOLATION = define(
    "SharingViolation", "Another program has the file open.", "Close the file; the next run copies it."
)
QUOTA_EXCEEDED = define(
    "QuotaExceeded",
    "The quota of the folder, the account or the file's owner is exceeded.",
    "Raise the quota or free space in it; the next run copies the file.",
)
NOT_APPROVED = define(
    "NotApproved",
    "The destination has something that the source does not have and the approved plan does not list; it was not "
    "deleted.",
    "Approve the plan of the next run, which lists it.",
)
SOURCE_CHANGED = define(
    "SourceChanged",
    "The source changed during the run: a file was written to, or a file to be deleted reappeared.",
    "The next run copies it. Exclude files that are written to continuously.",
)
HASH_MISMATCH = define(
    "HashMismatch",
    "The data read back differs from the data sent.",
    "Check the destination's storage and run the task again with compareBy: Checksum.",
)
METADATA_MISMATCH = define(
    "MetadataMismatch",
    "The content matches, but a timestamp, an attribute, the owner, an access list, a stream or an EA differs.",
    "Run the task once with compareBy: Checksum to correct the metadata, or set the options of metadata that may "
    "differ to None.",
)
FILE_VANISHED = define(
    "FileVanished",
    "The file disappeared after it was listed.",
    "No action is needed; the next run lists the source again.",
)
TYPE_CONFLICT = define(
    "TypeConflict",
    "The destination has a folder where the source has a file, or the reverse.",
    "Remove or rename the item at the destination.",
)
DIRECTORY_LOOP = define(
    "DirectoryLoop", "The folder contains itself.", "Remove the link or mount on the server, or exclude the folder."
)
OWNER_NOT_PERMITTED = define(
    "OwnerNotPermitted",
    "The account may not set this owner. Everything else was copied.",
    "Grant the account the restore privilege, or set options.securityDescriptors: None.",
)
SECURITY_NOT_PERMITTED = define(
    "SecurityNotPermitted",
    "The account may not set this access list (the file is not copied) or this audit list (the file is copied "
    "without it).",
    "Grant the account Full Control, or set options.securityDescriptors: None.",
)
ACCESS_LIST_TOO_LARGE = define(
    "AccessListTooLarge",
    "With the SIDs of options.sidMap, an access list would be larger than 64 KiB, the most that a server stores.",
    "Remove entries from the access list at the source, or map to shorter SIDs.",
)
STREAM_NOT_CARRIED = define(
    "StreamNotCarried",
    "The destination cannot store an alternate data stream of the file or folder. Everything else was copied.",
    "See status.notCarried for the names and the server's answers. Enable streams at the destination, or set "
    "options.streams: Ignore.",
)
EXTENDED_ATTRIBUTE_NOT_CARRIED = define(
    "ExtendedAttributeNotCarried",
    "An extended attribute of the file or folder could not be read or stored. Everything else was copied.",
    "See status.notCarried for the names and the server's answers. Enable extended attributes at the destination, or "
    "set options.extendedAttributes: Ignore.",
)
FOLDER_FAILED = define(
    "FolderFailed",
    "smbferry could not list or create the parent folder.",
    "Fix the cause named in the folder's own failure.",
)
FILE_FAILED = define(
    "FileFailed",
    "The server refused an operation on this file.",
    "Look up the NTSTATUS from the message. The next run retries the file.",
)
