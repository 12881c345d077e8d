"""How a transfer fails: one typed error for a run, one for a file, and the words for both.

A :class:`Reason` is one CamelCase word with the class that decides whether a retry can help and the sentence that tells
a person what to do. Foreign exceptions are converted once, where they arise: in ``connect`` and in ``transport``.
"""

from dataclasses import dataclass
from enum import StrEnum

from smbferry_engine.wire.status import CLOUD_FILE_STATUSES, NtStatus, status_name


class FailureClass(StrEnum):
    """What kind of thing went wrong."""

    CONFIGURATION = "Configuration"
    IDENTITY = "Identity"
    POLICY = "Policy"
    ACCESS = "Access"
    GUARD = "Guard"
    NETWORK = "Network"
    CLOCK = "Clock"
    DNS = "Dns"
    DESTINATION_FULL = "DestinationFull"
    CANCELLED = "Cancelled"
    BUG = "Bug"


@dataclass(frozen=True, slots=True)
class Reason:
    """A word for what happened; ``remedy`` is a sentence for a person."""

    name: str
    failure_class: FailureClass
    remedy: str


class EngineError(Exception):
    """The whole operation failed. ``message`` says what was expected and what was found."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason.name}: {message}")
        self.failure_class = reason.failure_class
        self.reason = reason.name
        self.message = message
        self.remedy = reason.remedy


class FileError(Exception):
    """One file or folder failed; it is recorded and the run goes on. ``status`` is the server's, 0 if none."""

    def __init__(self, reason: str, message: str, *, status: int = 0) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.status = status


_C = FailureClass

# --- Reaching the server and agreeing with it ---------------------------------------------------------------------
# No address of the server accepted a connection in time.
SERVER_UNREACHABLE = Reason(
    "ServerUnreachable", _C.NETWORK, "Check the name, the port and that this host may reach the server on it."
)
# Every address refused the connection: nothing listens there.
SERVER_REFUSED = Reason("ServerRefused", _C.NETWORK, "Check the port, and that the SMB service runs.")
# The connection ended while it was in use.
CONNECTION_LOST = Reason(
    "ConnectionLost", _C.NETWORK, "Look at the server and the network between; the next attempt goes on from here."
)
# The server did not answer within the deadline.
DEADLINE_EXCEEDED = Reason(
    "DeadlineExceeded", _C.NETWORK, "Look at the server and the network between; the next attempt goes on from here."
)
# The server ended the session: its ticket expired or an administrator closed it.
SESSION_ENDED = Reason("SessionEnded", _C.NETWORK, "Nothing, if it happens once: the next attempt opens a new session.")
# The server chose no dialect of those offered.
DIALECT_REFUSED = Reason(
    "DialectRefused", _C.POLICY, "Enable SMB 3.1.1 on the server, or list an older encrypted dialect (3.0.2)."
)
# The server has no encryption, or the share refuses encrypted access.
ENCRYPTION_NOT_SUPPORTED = Reason(
    "EncryptionNotSupported", _C.POLICY, "Enable SMB encryption on the server and the share; nothing moves without it."
)
# The server answered with a cipher that was not offered.
CIPHER_NOT_OFFERED = Reason(
    "CipherNotOffered", _C.POLICY, "Enable a permitted cipher on the server, or extend the list of ciphers."
)
# A frame came unencrypted on an encrypted session.
PLAINTEXT_REPLY = Reason(
    "PlaintextReply", _C.POLICY, "Something between here and the server alters traffic: find it before you transfer."
)
# A frame broke MS-SMB2, or the session's key did not open it.
PROTOCOL_VIOLATION = Reason(
    "ProtocolViolation", _C.POLICY, "Check that this is the server you mean; report it with the message if it is."
)

# --- Identity ----------------------------------------------------------------------------------------------------
# The credential cache holds no usable ticket.
TICKET_MISSING = Reason("TicketMissing", _C.IDENTITY, "Acquire a ticket for the principal first.")
# The ticket has expired.
TICKET_EXPIRED = Reason("TicketExpired", _C.NETWORK, "Acquire a fresh ticket and try again.")
# The KDC has no such service, or two accounts share the name.
SERVICE_PRINCIPAL_UNKNOWN = Reason(
    "ServicePrincipalUnknown",
    _C.IDENTITY,
    "Check with setspn -Q that exactly one account holds the service principal, or name another.",
)
# The server could not decrypt the ticket.
SERVER_KEY_MISMATCH = Reason(
    "ServerKeyMismatch",
    _C.IDENTITY,
    "Rejoin the server to the domain, or correct which account holds its service principal.",
)
# The server did not prove that it holds the service's key.
MUTUAL_AUTHENTICATION_FAILED = Reason(
    "MutualAuthenticationFailed", _C.POLICY, "This is not the server that the ticket is for: check DNS and the network."
)
# No permitted encryption type is common to ticket, KDC and server.
ENCTYPE_REFUSED = Reason("EnctypeRefused", _C.POLICY, "Enable AES on the accounts of the user and of the server.")
# The clocks differ by more than Kerberos tolerates.
CLOCK_SKEW = Reason("ClockSkew", _C.CLOCK, "Set the clocks by NTP.")
# The KDC refused the service ticket for a reason that has no word of its own here.
KDC_ERROR = Reason("KdcError", _C.IDENTITY, "Look up the code that the message names in RFC 4120 section 7.5.9.")
# No KDC answered when the service ticket was asked for.
KDC_UNREACHABLE = Reason("KdcUnreachable", _C.NETWORK, "Check that this host may reach a KDC of the realm on port 88.")
# libkrb5 knows no KDC of the realm that it takes the server to be in.
REALM_MAPPING_MISSING = Reason(
    "RealmMappingMissing",
    _C.CONFIGURATION,
    "Map the server's host or domain to its realm in [domain_realm] of krb5.conf.",
)
# The server refused the session although the ticket was good.
LOGON_REFUSED = Reason(
    "LogonRefused",
    _C.ACCESS,
    "Check the account's right to log on from the network, and that the server's own key is the KDC's.",
)
# The server's own clock is wrong, so that it refuses good tickets.
SERVER_CLOCK_SKEW = Reason("ServerClockSkew", _C.CLOCK, "Set the file server's clock by NTP.")
# The server mapped the session to guest or anonymous.
GUEST_REFUSED = Reason("GuestRefused", _C.POLICY, "Give the account a mapping on the server; nothing is done as guest.")

# --- Share, path, space ------------------------------------------------------------------------------------------
# The endpoint can't be used as it stands.
ENDPOINT_INVALID = Reason("EndpointInvalid", _C.CONFIGURATION, "Correct the field that the message names.")
# An option or filter can't be used as it stands.
OPTIONS_INVALID = Reason("OptionsInvalid", _C.CONFIGURATION, "Correct the option that the message names.")
# The server has no share of this name.
SHARE_NOT_FOUND = Reason("ShareNotFound", _C.ACCESS, "Correct the share.")
# The share has no such folder.
PATH_NOT_FOUND = Reason("PathNotFound", _C.ACCESS, "Create the folder, or correct the path.")
# The path is a link: following it could lead anywhere.
PATH_IS_REPARSE_POINT = Reason("PathIsReparsePoint", _C.ACCESS, "Name the folder itself, not a link to it.")
# The server denied the identity access to the share as a whole.
SHARE_ACCESS_DENIED = Reason("ShareAccessDenied", _C.ACCESS, "Grant the account access to the share.")
# The server denied the identity access to the root folder.
ACCESS_DENIED = Reason(
    "AccessDenied", _C.ACCESS, "Grant the account the access that the message names, on the share and in the files."
)
# No space, or the quota is used up.
DESTINATION_FULL = Reason(
    "DestinationFull", _C.DESTINATION_FULL, "Free space on the destination; what was complete stays."
)
# Source and destination overlap.
SAME_DESTINATION = Reason("SameDestination", _C.CONFIGURATION, "Give the destination a path of its own.")

# A DFS referral names what can't be used, or leads in circles.
DFS_TARGET_UNUSABLE = Reason(
    "DfsTargetUnusable",
    _C.CONFIGURATION,
    "Correct the link in the namespace, or name the server and share behind it in place of the DFS path.",
)

# --- Guards ------------------------------------------------------------------------------------------------------
# More would be deleted than allowed.
MAX_DELETES_EXCEEDED = Reason(
    "MaxDeletesExceeded", _C.GUARD, "Check that the source is whole; raise maxDeletes if the deletions are meant."
)
# A mirror that may be old over new: nobody has confirmed it, and it would delete, or replace what is newer.
MIRROR_NOT_CONFIRMED = Reason(
    "MirrorNotConfirmed", _C.GUARD, "Compare both sides; confirm the mirror if the source is the newer one."
)
# Part of the source could not be listed, so nothing may be deleted.
SOURCE_LISTING_INCOMPLETE = Reason(
    "SourceListingIncomplete", _C.GUARD, "Mend access to the folders that the failures name."
)

CANCELLED = Reason("RunCancelled", _C.CANCELLED, "Start another run when you want it.")
INTERNAL_ERROR = Reason("InternalError", _C.BUG, "Please report it with the log.")


class FileReason(StrEnum):
    """Words for what befell one file or folder; each has a comment on when it is used."""

    NAME_NOT_REPRESENTABLE = "NameNotRepresentable"  # reserved or illegal name: Windows clients could not open it
    CASE_COLLISION = "CaseCollision"  # another source name differs only in case and is the one copied
    REPARSE_POINT_SKIPPED = "ReparsePointSkipped"  # a link or mount point, where options say Fail
    REPARSE_POINT_UNREADABLE = "ReparsePointUnreadable"  # its server can't give what is behind it (tiered, in a cloud)
    DIRECTORY_LOOP = "DirectoryLoop"  # a folder that is its own ancestor by file id
    SHARING_VIOLATION = "SharingViolation"  # another program holds the file open, after retries
    SOURCE_CHANGED = "SourceChanged"  # size or time changed while it was copied
    HASH_MISMATCH = "HashMismatch"  # what was read back differs from what was sent
    METADATA_MISMATCH = "MetadataMismatch"  # same content; time, attribute, owner or access list differs at the end
    FILE_VANISHED = "FileVanished"  # listed, then gone
    MIRROR_NOT_CONFIRMED = "MirrorNotConfirmed"  # newer at the destination, and nobody has confirmed the mirror
    TYPE_CONFLICT = "TypeConflict"  # a folder where a file should go, or the reverse
    ACCESS_DENIED = "AccessDenied"  # the server denied this one
    OWNER_NOT_PERMITTED = "OwnerNotPermitted"  # everything but the owner was copied
    SECURITY_NOT_PERMITTED = "SecurityNotPermitted"  # everything but the descriptor was copied
    DESTINATION_FULL = "DestinationFull"  # there is no room left where this one goes
    QUOTA_EXCEEDED = "QuotaExceeded"  # the quota of a folder, of the account or of the owner is used up
    FOLDER_FAILED = "FolderFailed"  # the folder above could not be listed or made
    FILE_FAILED = "FileFailed"  # any other refusal, with its status in the message


NO_ROOM = frozenset({FileReason.DESTINATION_FULL, FileReason.QUOTA_EXCEEDED})
_SESSION_GONE = frozenset(
    {
        NtStatus.NETWORK_NAME_DELETED,
        NtStatus.USER_SESSION_DELETED,
        NtStatus.NETWORK_SESSION_EXPIRED,
    }
)
_UNREADABLE = "its content is kept elsewhere, and the server could not get it"
_BY_STATUS: dict[int, tuple[FileReason, str]] = {
    NtStatus.ACCESS_DENIED: (FileReason.ACCESS_DENIED, "the server denied access"),
    NtStatus.CANNOT_DELETE: (FileReason.ACCESS_DENIED, "the server does not let it be deleted (read-only?)"),
    NtStatus.MEDIA_WRITE_PROTECTED: (FileReason.ACCESS_DENIED, "the share is read-only"),
    NtStatus.SHARING_VIOLATION: (FileReason.SHARING_VIOLATION, "another program holds it open"),
    NtStatus.FILE_LOCK_CONFLICT: (FileReason.SHARING_VIOLATION, "another program has locked part of it"),
    NtStatus.OBJECT_NAME_NOT_FOUND: (FileReason.FILE_VANISHED, "it was listed but is gone now"),
    NtStatus.OBJECT_PATH_NOT_FOUND: (FileReason.FILE_VANISHED, "its folder was listed but is gone now"),
    NtStatus.NO_SUCH_FILE: (FileReason.FILE_VANISHED, "it was listed but is gone now"),
    NtStatus.DELETE_PENDING: (FileReason.FILE_VANISHED, "it is being deleted"),
    NtStatus.OBJECT_NAME_INVALID: (FileReason.NAME_NOT_REPRESENTABLE, "the server does not accept the name"),
    NtStatus.ILLEGAL_CHARACTER: (FileReason.NAME_NOT_REPRESENTABLE, "the server can't hold a character of the name"),
    NtStatus.FILE_IS_A_DIRECTORY: (FileReason.TYPE_CONFLICT, "a file expected, it is a folder"),
    NtStatus.NOT_A_DIRECTORY: (FileReason.TYPE_CONFLICT, "a folder expected, it is a file"),
    NtStatus.PATH_NOT_COVERED: (FileReason.REPARSE_POINT_SKIPPED, "a folder above it is a DFS link"),
    NtStatus.STOPPED_ON_SYMLINK: (FileReason.REPARSE_POINT_SKIPPED, "a folder above it is a link"),
    NtStatus.DISK_FULL: (FileReason.DESTINATION_FULL, "there is no room left for it"),
    NtStatus.QUOTA_EXCEEDED: (FileReason.QUOTA_EXCEEDED, "a quota is used up"),
    NtStatus.FILE_IS_OFFLINE: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.IO_REPARSE_TAG_INVALID: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.IO_REPARSE_TAG_MISMATCH: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.IO_REPARSE_DATA_INVALID: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.IO_REPARSE_TAG_NOT_HANDLED: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.REPARSE_POINT_NOT_RESOLVED: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    **dict.fromkeys(CLOUD_FILE_STATUSES, (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE)),
    NtStatus.INVALID_OWNER: (FileReason.OWNER_NOT_PERMITTED, "the account may not set this owner"),
    NtStatus.PRIVILEGE_NOT_HELD: (FileReason.SECURITY_NOT_PERMITTED, "the account lacks the privilege"),
}


def status_error(status: int, doing: str) -> EngineError | FileError:
    """The error for a refusal by the server; ``doing`` says what was tried, as in "opening the source file"."""
    if status in _SESSION_GONE:
        return EngineError(SESSION_ENDED, f"{doing}: the server has ended the session ({status_name(status)})")
    reason, words = _BY_STATUS.get(status, (FileReason.FILE_FAILED, "the server refused"))
    return FileError(reason, f"{doing}: {words} ({status_name(status)})", status=status)
