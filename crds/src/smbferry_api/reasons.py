"""Every reason that a condition, an event or a failed run can carry.

A reason is one CamelCase word. `when` says when it is present, in words for a person; `remedy` says what to do and
ends the message of an unhealthy condition; `failure` is the class that decides the agent's exit code and so whether
a retry can help. docs/runbook/ has a page per reason that has a remedy.
"""

from typing import Final

from smbferry_api.exit_codes import FailureClass
from smbferry_api.reason import Reason, all_reasons, by_name
from smbferry_api.reason import define as _reason

__all__ = ["Reason", "all_reasons", "by_name"]  # beside the reasons themselves

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_POLICY = FailureClass.POLICY
_ACCESS = FailureClass.ACCESS
_GUARD = FailureClass.GUARD
_NETWORK = FailureClass.NETWORK
_DNS = FailureClass.DNS

# --- The ordinary course -------------------------------------------------------------------------------------------

CHECKS_PASSED = _reason("ChecksPassed", "Every check passed.")
CHECKING = _reason("Checking", "A check of the newest spec is under way.")
CHECK_NOT_REACHED = _reason("CheckNotReached", "An earlier check failed, so this one was not made.")
RESOLVED = _reason("Resolved", "The names resolve.")
REACHABLE = _reason("Reachable", "The server answered.")
CLOCK_IN_SYNC = _reason("ClockInSync", "The measured clock offset is within the tolerance.")
KEYTAB_USABLE = _reason("KeytabUsable", "The keytab holds a usable key of the principal.")
KVNO_MATCHES = _reason("KvnoMatches", "The keytab's newest key version is the one that the KDC uses.")
TICKET_ISSUED = _reason("TicketIssued", "The KDC issued a ticket.")
SESSION_ENCRYPTED = _reason("SessionEncrypted", "The session is encrypted with a permitted cipher.")
SHARE_OPENED = _reason("ShareOpened", "Share and path were opened with the identity.")
TASK_READY = _reason("TaskReady", "Both locations are ready.")
SUSPENDED = _reason("Suspended", "spec.suspend is true: no new runs start.")
IN_SYNC = _reason("InSync", "The last run left the destination as the source was.")
NEVER_RAN = _reason("NeverRan", "No run has ended yet.")
RUN_IN_PROGRESS = _reason("RunInProgress", "A run is under way.")
RUN_QUEUED = _reason("RunQueued", "The run waits for another that writes to the same destination.")
RUN_STARTED = _reason("RunStarted", "The run's agent was launched.")
RUN_SUCCEEDED = _reason("RunSucceeded", "Every file was transferred and verified as asked.")
RUN_PARTIALLY_SUCCEEDED = _reason(
    "RunPartiallySucceeded",
    "The run ended, but single files failed.",
    "Look at status.failures of the TransferRun, mend these files and run again.",
)
RUN_FAILED = _reason(
    "RunFailed",
    "The last run failed.",
    "Look at status.failure of the TransferRun, which names the cause and the remedy.",
)
RUN_CANCELLED = _reason(
    "RunCancelled", "The run was cancelled.", "Change spec.trigger to start another.", FailureClass.CANCELLED
)
RUN_SKIPPED = _reason("RunSkipped", "A run was due while another went on, and spec.concurrency is Skip.")
RETRYING = _reason("Retrying", "The run failed in a way that a retry can mend, and will be tried again.")

# --- References and configuration ----------------------------------------------------------------------------------

IDENTITY_NOT_FOUND = _reason(
    "IdentityNotFound",
    "The KerberosIdentity that identityRef names is not in this namespace.",
    "Create it, or correct spec.identityRef.name; references do not cross namespaces.",
    _CONFIGURATION,
)
IDENTITY_NOT_READY = _reason(
    "IdentityNotReady",
    "The KerberosIdentity that identityRef names is not Ready.",
    "Look at its conditions: kubectl describe kerberosidentity.",
    _IDENTITY,
)
LOCATION_NOT_FOUND = _reason(
    "LocationNotFound",
    "An SmbLocation that the task names is not in this namespace.",
    "Create it, or correct locationRef.name; references do not cross namespaces.",
    _CONFIGURATION,
)
LOCATION_NOT_READY = _reason(
    "LocationNotReady",
    "An SmbLocation of the task is not Ready.",
    "Look at its conditions: kubectl describe smblocation.",
    _CONFIGURATION,
)
TASK_NOT_FOUND = _reason(
    "TaskNotFound",
    "The TransferTask that taskRef names is not in this namespace.",
    "Correct spec.taskRef.name of the TransferRun.",
    _CONFIGURATION,
)
SPEC_INVALID = _reason(
    "SpecInvalid", "The spec can't be used as it stands.", "Correct the field that the message names.", _CONFIGURATION
)
SECRET_NOT_FOUND = _reason(
    "SecretNotFound",
    "The Secret that keytabSecretRef names does not exist, or is empty.",
    "Create it from a keytab: kubectl create secret generic NAME --from-file=keytab=FILE.",
    _CONFIGURATION,
)
SECRET_KEY_NOT_FOUND = _reason(
    "SecretKeyNotFound",
    "The Secret exists but does not have the key that keytabSecretRef names.",
    "Add that key to the Secret, or correct spec.keytabSecretRef.key.",
    _CONFIGURATION,
)
CONFIG_MAP_NOT_FOUND = _reason(
    "ConfigMapNotFound",
    "The ConfigMap that krb5ConfigMapRef names does not exist, or is empty.",
    "Create it from a krb5.conf: kubectl create configmap NAME --from-file=krb5.conf=FILE.",
    _CONFIGURATION,
)
CONFIG_MAP_KEY_NOT_FOUND = _reason(
    "ConfigMapKeyNotFound",
    "The ConfigMap exists but does not have the key that krb5ConfigMapRef names.",
    "Add that key to the ConfigMap, or correct spec.krb5ConfigMapRef.key.",
    _CONFIGURATION,
)
KRB5_CONFIG_INVALID = _reason(
    "Krb5ConfigInvalid",
    "The krb5.conf can't be parsed, or lacks what the realm needs.",
    "Correct the line that the message names; [realms] with a kdc, or DNS SRV records, must cover the realm.",
    _CONFIGURATION,
)
KRB5_CONFIG_REFUSED = _reason(
    "Krb5ConfigRefused",
    "The krb5.conf holds something that includes, loads or runs, a weak setting, or a forbidden KDC address.",
    "Remove the line that the message names; only libdefaults, realms, domain_realm and capaths are read.",
    _POLICY,
)

# --- DNS, time and the KDC -----------------------------------------------------------------------------------------

SRV_RECORD_MISSING = _reason(
    "SrvRecordMissing",
    "krb5.conf names no KDC for the realm and DNS has no _kerberos SRV record for it.",
    "Add the SRV record, set spec.nameservers to the domain's DNS servers, or name a kdc in krb5.conf.",
    _DNS,
)
NAME_NOT_FOUND = _reason(
    "NameNotFound",
    "DNS says that the name does not exist, or has no address.",
    "Correct the name, or set spec.nameservers to DNS servers that know it.",
    _DNS,
)
DNS_TIMEOUT = _reason(
    "DnsTimeout",
    "No DNS server answered in time.",
    "Check that pods may reach the DNS servers on port 53, or set spec.nameservers.",
    _DNS,
)
DNS_FAILED = _reason(
    "DnsFailed",
    "The DNS servers answered with an error of their own, neither yes nor no.",
    "Look at the DNS servers that the message names, or set spec.nameservers to others.",
    _DNS,
)
REVERSE_RECORD_WRONG = _reason(
    "ReverseRecordWrong",
    "The address resolves, but its reverse record names another host (a warning only).",
    "Correct or remove the PTR record; smbferry itself does not use it.",
)
KDC_UNREACHABLE = _reason(
    "KdcUnreachable",
    "No KDC of the realm answered.",
    "Check that pods may reach the KDC on TCP port 88, and the kdc lines of krb5.conf.",
    _NETWORK,
)
KDC_REFUSED = _reason(
    "KdcRefused",
    "The KDC's host refused the connection: nothing listens on its Kerberos port.",
    "Check the host and port of the kdc lines in krb5.conf, and that the KDC runs.",
    _NETWORK,
)
KDC_UNAVAILABLE = _reason(
    "KdcUnavailable",
    "The KDC answered that it can't serve now.",
    "Look at the domain controller: it may be starting, or have lost its database; the check repeats by itself.",
    _NETWORK,
)
NOT_A_KDC = _reason(
    "NotAKdc",
    "What answers at the KDC's address and port does not speak Kerberos.",
    "Check the host and port of the kdc lines in krb5.conf, and what stands between pods and the KDC.",
    _NETWORK,
)
WRONG_REALM = _reason(
    "WrongRealm",
    "The KDC answered that it does not serve this realm.",
    "Correct the realm of spec.principal, or the kdc lines of krb5.conf.",
    _CONFIGURATION,
)
CLOCK_SKEW = _reason(
    "ClockSkew",
    "This node's clock and the server's differ by more than the tolerance.",
    "Set the clocks by NTP: Kerberos refuses tickets beyond the skew that the domain tolerates (5 minutes).",
    FailureClass.CLOCK,
)

TICKET_MISSING = _reason(
    "TicketMissing",
    "The credential cache holds no usable ticket.",
    "Look at the KerberosIdentity's conditions; if they are healthy, look at the agent's log.",
    _IDENTITY,
)
TICKET_EXPIRED = _reason(
    "TicketExpired",
    "The ticket ended before the work did.",
    "Nothing, if it happens once: the next attempt gets a fresh ticket.",
    _NETWORK,
)

# --- The identity --------------------------------------------------------------------------------------------------

KEYTAB_UNREADABLE = _reason(
    "KeytabUnreadable",
    "The Secret's value is not a keytab, or is cut short.",
    "Export the keytab again and store it unchanged (binary, not base64 twice).",
    _CONFIGURATION,
)
KEYTAB_TOO_LARGE = _reason(
    "KeytabTooLarge",
    "The keytab is larger than 64 KiB.",
    "Export a keytab that holds only this principal's keys.",
    _CONFIGURATION,
)
PRINCIPAL_NOT_IN_KEYTAB = _reason(
    "PrincipalNotInKeytab",
    "The keytab has no entry for spec.principal.",
    "Correct spec.principal, or export a keytab for it; the message lists the principals found.",
    _IDENTITY,
)
PRINCIPAL_CASE_MISMATCH = _reason(
    "PrincipalCaseMismatch",
    "The keytab holds this principal in another case; Kerberos names are case-sensitive.",
    "Write spec.principal exactly as the keytab and the account have it.",
    _IDENTITY,
)
PRINCIPAL_UNKNOWN = _reason(
    "PrincipalUnknown",
    "The KDC does not know the principal.",
    "Check the account's user principal name and its case in the domain.",
    _IDENTITY,
)
ENCTYPE_REFUSED = _reason(
    "EnctypeRefused",
    "The keytab, the account or the ticket has no permitted encryption type (RC4 and DES are refused).",
    "Enable AES on the account (msDS-SupportedEncryptionTypes 24), reset its password, export the keytab again.",
    _POLICY,
)
KEYTAB_STALE = _reason(
    "KeytabStale",
    "The KDC refused the keytab's key: the account's password was changed after the keytab was made.",
    "Export a new keytab for the account and update the Secret; the check repeats by itself.",
    _IDENTITY,
)
KEYTAB_AHEAD = _reason(
    "KeytabAhead",
    "The keytab's newest key is ahead of the KDC's: an older key in it still works.",
    "Wait until the domain controllers have replicated, or export the keytab from the one that answers.",
    _IDENTITY,
)
KVNO_NUMBER_WRONG = _reason(
    "KvnoNumberWrong",
    "The key is right, but stands under a version number that is not the KDC's (as ktpass /kvno makes it).",
    "Export the keytab with the account's true key version number.",
    _IDENTITY,
)
SALT_MISMATCH = _reason(
    "SaltMismatch",
    "The key was derived with another salt than the KDC uses (an account that was renamed, or a hand-made keytab).",
    "Export the keytab from the domain, which has the right keys, or reset the password, which takes the new salt.",
    _IDENTITY,
)
KEYTAB_AGING = _reason(
    "KeytabAging",
    "The keytab is in the last tenth of the age that spec.rotation.maxAge allows, or past it (a warning only).",
    "Rotate the account's password and export a new keytab.",
)
ACCOUNT_LOCKED_OR_DISABLED = _reason(
    "AccountRevoked",
    "The KDC refuses the account as revoked and does not say why: it is disabled, locked or expired.",
    "Look at the account in the domain, and enable or unlock it.",
    _IDENTITY,
)
ACCOUNT_DISABLED = _reason(
    "AccountDisabled", "The KDC says that the account is disabled.", "Enable the account in the domain.", _IDENTITY
)
ACCOUNT_LOCKED = _reason(
    "AccountLocked",
    "The KDC says that the account is locked, after too many wrong passwords or keys.",
    "Find who else tries wrong passwords for the account, then unlock it.",
    _IDENTITY,
)
ACCOUNT_EXPIRED = _reason(
    "AccountExpired",
    "The KDC says that the account has expired.",
    "Move or clear the account's expiry date in the domain.",
    _IDENTITY,
)
LOGON_RESTRICTED = _reason(
    "LogonRestricted",
    "The domain does not let the account log on at this time, or from here.",
    "Widen the account's logon hours, the workstations it may log on to, or its authentication policy.",
    _IDENTITY,
)
PASSWORD_EXPIRED = _reason(
    "PasswordExpired",
    "The account's password has expired.",
    "Set a new password (or let it never expire for this service account) and export the keytab again.",
    _IDENTITY,
)
PREAUTH_FAILED = _reason(
    "PreauthFailed",
    "The KDC refused the pre-authentication, and neither clock nor key version explain it.",
    "Export the keytab again; if it stays, look at the KDC's log for this principal.",
    _IDENTITY,
)
KEY_REFUSED: Final = frozenset({KEYTAB_STALE.name, SALT_MISMATCH.name, PREAUTH_FAILED.name})
"""The KDC refused a key, which counts towards a domain's lockout policy: nothing tries that key again for a while."""

KDC_ERROR = _reason(
    "KdcError",
    "The KDC answered with an error that smbferry does not know better.",
    "Look up the code that the message names in RFC 4120 section 7.5.9 and in the KDC's log.",
    _IDENTITY,
)

# --- The file server -----------------------------------------------------------------------------------------------

SERVER_UNREACHABLE = _reason(
    "ServerUnreachable",
    "No TCP connection to the file server could be made.",
    "Check the name, the port and that pods may reach the server on TCP port 445.",
    _NETWORK,
)
SERVER_REFUSED = _reason(
    "ServerRefused",
    "The file server's host refused the connection: nothing listens on this port.",
    "Check spec.port, and that the SMB service runs.",
    _NETWORK,
)
CONNECTION_LOST = _reason(
    "ConnectionLost",
    "The connection to the file server was lost and could not be made again.",
    "Look at the server and the network between; the next attempt goes on where this one ended.",
    _NETWORK,
)
DEADLINE_EXCEEDED = _reason(
    "DeadlineExceeded",
    "The file server did not answer in time.",
    "Look at the server and the network between; the next attempt goes on where this one ended.",
    _NETWORK,
)
SESSION_ENDED = _reason(
    "SessionEnded",
    "The server ended the session: its ticket ended, or an administrator closed it.",
    "Nothing, if it happens once: the next attempt opens a new session.",
    _NETWORK,
)
PROTOCOL_VIOLATION = _reason(
    "ProtocolViolation",
    "The server sent what MS-SMB2 does not allow; nothing of it was used.",
    "Check that this is the server you mean; report it with the message if it is.",
    _POLICY,
)
PLAINTEXT_REPLY = _reason(
    "PlaintextReply",
    "A reply came unencrypted on an encrypted session; the connection was cut.",
    "Something between smbferry and the server alters traffic: find it before you transfer.",
    _POLICY,
)
DIALECT_REFUSED = _reason(
    "DialectRefused",
    "The server speaks no permitted SMB dialect.",
    "Enable SMB 3.1.1 on the server, or list an older encrypted dialect (3.0.2) in spec.dialects.",
    _POLICY,
)
ENCRYPTION_NOT_SUPPORTED = _reason(
    "EncryptionNotSupported",
    "The server or the share does not encrypt.",
    "Enable SMB encryption on the server and the share; smbferry moves no data without it.",
    _POLICY,
)
CIPHER_NOT_OFFERED = _reason(
    "CipherNotOffered",
    "The server chose a cipher that spec.ciphers does not permit, or shares none with it.",
    "Enable a permitted cipher on the server, or extend spec.ciphers.",
    _POLICY,
)
SERVICE_PRINCIPAL_UNKNOWN = _reason(
    "ServicePrincipalUnknown",
    "The KDC knows no such service principal, or more than one account holds it.",
    "Check with setspn -Q that exactly one account holds the name, or set spec.servicePrincipal.",
    _IDENTITY,
)
SERVER_KEY_MISMATCH = _reason(
    "ServerKeyMismatch",
    "The server could not decrypt the ticket: its own key is not the KDC's.",
    "Rejoin the server to the domain, or correct which account holds its service principal.",
    _IDENTITY,
)
MUTUAL_AUTHENTICATION_FAILED = _reason(
    "MutualAuthenticationFailed",
    "The server did not prove that it holds the service's key.",
    "This is not the server that the ticket is for: check DNS and the network before anything else.",
    _POLICY,
)
GUEST_REFUSED = _reason(
    "GuestRefused",
    "The server mapped the session to guest or anonymous.",
    "Give the account a mapping on the server; smbferry does not work as guest.",
    _POLICY,
)
LOGON_REFUSED = _reason(
    "LogonRefused",
    "The file server refused the session.",
    "Check the account's right to log on from the network, and its restrictions.",
    _ACCESS,
)
SHARE_NOT_FOUND = _reason("ShareNotFound", "The server has no share of this name.", "Correct spec.share.", _ACCESS)
PATH_NOT_FOUND = _reason(
    "PathNotFound", "The share has no such folder.", "Create the folder, or correct the path.", _ACCESS
)
PATH_IS_REPARSE_POINT = _reason(
    "PathIsReparsePoint",
    "The path is a link, and links are never followed.",
    "Name the folder itself, not a link to it.",
    _ACCESS,
)
ENDPOINT_INVALID = _reason(
    "EndpointInvalid",
    "The location can't be used as it stands.",
    "Correct the field of the SmbLocation that the message names.",
    _CONFIGURATION,
)
ACCESS_DENIED = _reason(
    "AccessDenied",
    "The server denied access to the identity.",
    "Grant the account the access that the message names, on the share and in the file system.",
    _ACCESS,
)

# --- The transfer --------------------------------------------------------------------------------------------------

DESTINATION_FULL = _reason(
    "DestinationFull",
    "The destination has no space left, or its quota is used up.",
    "Free space on the destination; what was complete stays, and the next attempt goes on.",
    FailureClass.DESTINATION_FULL,
)
MAX_DELETES_EXCEEDED = _reason(
    "MaxDeletesExceeded",
    "The run would delete more than options.maxDeletes allows, so nothing was deleted.",
    "Check that the source is whole; raise options.maxDeletes if the deletions are meant.",
    _GUARD,
)
SOURCE_LISTING_INCOMPLETE = _reason(
    "SourceListingIncomplete",
    "Part of the source could not be listed, so nothing was deleted.",
    "Mend access to the folders that status.failures names.",
    _GUARD,
)
OPTIONS_INVALID = _reason(
    "OptionsInvalid",
    "An option or filter of the task can't be used as it stands.",
    "Correct the option that the message names.",
    _CONFIGURATION,
)
SAME_DESTINATION = _reason(
    "SameDestination",
    "Source and destination are the same folder, or one lies within the other.",
    "Give the destination a path of its own.",
    _CONFIGURATION,
)

# Per-file failures: recorded, and the run goes on.
NAME_NOT_REPRESENTABLE = _reason(
    "NameNotRepresentable", "The destination can't hold this name.", "Rename it at the source, or exclude it."
)
CASE_COLLISION = _reason(
    "CaseCollision",
    "Two names differ only in case, and the destination can hold only one.",
    "Rename one of the two at the source, or exclude it.",
)
REPARSE_POINT_SKIPPED = _reason(
    "ReparsePointSkipped",
    "A symbolic link or other reparse point is never followed.",
    "Make a task for the link's target, if its content is wanted.",
)
SHARING_VIOLATION = _reason(
    "SharingViolation", "Another program holds the file open.", "Close it there; the next run copies it."
)
SOURCE_CHANGED = _reason(
    "SourceChanged",
    "The source file changed while it was copied.",
    "The next run copies it; exclude what is always being written.",
)
HASH_MISMATCH = _reason(
    "HashMismatch",
    "What was read back differs from what was sent.",
    "Look at the destination's storage, and run again with compareBy: Checksum.",
)
FILE_VANISHED = _reason(
    "FileVanished",
    "The file was there when listed and is gone now.",
    "Nothing; the next run sees the source as it is then.",
)
TYPE_CONFLICT = _reason(
    "TypeConflict",
    "A folder stands where a file should go, or a file where a folder should.",
    "Remove or rename the one at the destination.",
)
DIRECTORY_LOOP = _reason(
    "DirectoryLoop", "The folder is its own ancestor.", "Remove the link or mount at the server, or exclude the folder."
)
OWNER_NOT_PERMITTED = _reason(
    "OwnerNotPermitted",
    "The account may not set this owner; all else was copied.",
    "Give the account the right to restore files, or set options.securityDescriptors: None.",
)
SECURITY_NOT_PERMITTED = _reason(
    "SecurityNotPermitted",
    "The account may not set this security descriptor; all else was copied.",
    "Grant the account Full Control, or set options.securityDescriptors: None.",
)
FOLDER_FAILED = _reason(
    "FolderFailed", "The folder above could not be listed or made.", "Mend what the failure of the folder itself names."
)
FILE_FAILED = _reason(
    "FileFailed",
    "The server refused an operation on this file.",
    "Look up the NTSTATUS that the message names; the next run tries again.",
)

# --- Agents and Jobs -----------------------------------------------------------------------------------------------

AGENT_STARTING = _reason("AgentStarting", "The agent's pod is being started.")
AGENT_LOST = _reason(
    "AgentLost",
    "The agent's pod ended without a report.",
    "Look at the pod's events: kubectl describe pod; eviction and node loss are retried.",
    _NETWORK,
)
RUN_TIMED_OUT = _reason(
    "RunTimedOut",
    "The run took longer than agent.activeDeadline allows, and was ended.",
    "Raise agent.activeDeadline; what was complete stays, and the next run goes on.",
    _GUARD,
)
AGENT_NOT_SCHEDULED = _reason(
    "AgentNotScheduled",
    "The agent's pod can't be started.",
    "Look at the pod's events: image, quota, node selector and tolerations.",
    _CONFIGURATION,
)
API_SERVER_UNREACHABLE = _reason(
    "ApiServerUnreachable",
    "The agent could not reach the Kubernetes API server.",
    "Check that pods may reach the API server (NetworkPolicy), and that it is up.",
    _NETWORK,
)
API_SERVER_REFUSED = _reason(
    "ApiServerRefused",
    "The Kubernetes API server refused what the agent asked.",
    "Check the agent's Role and the versions of CRDs and agent; smbferry makes the Role itself.",
    _CONFIGURATION,
)
OBJECT_GONE = _reason(
    "ObjectGone",
    "The object that the agent worked for was deleted.",
    "Nothing is to be done, unless the deletion was not meant.",
    FailureClass.CANCELLED,
)
INTERNAL_ERROR = _reason(
    "InternalError", "smbferry itself failed: a bug.", "Please report it with the agent's log.", FailureClass.BUG
)
