"""File servers: connections, sessions, shares and folders."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_POLICY = FailureClass.POLICY
_ACCESS = FailureClass.ACCESS
_NETWORK = FailureClass.NETWORK

SERVER_UNREACHABLE = define(
    "ServerUnreachable",
    "smbferry could not open a TCP connection to the file server.",
    "Check the name and the port, and that pods can reach the server on TCP port 445.",
    _NETWORK,
)
SERVER_REFUSED = define(
    "ServerRefused",
    "The file server's host refused the connection: nothing is listening on this port.",
    "Check spec.port and that the SMB service is running.",
    _NETWORK,
)
CONNECTION_LOST = define(
    "ConnectionLost",
    "The connection to the file server was lost and smbferry could not reconnect.",
    "Check the server and the network. The next attempt resumes where this one stopped.",
    _NETWORK,
)
DEADLINE_EXCEEDED = define(
    "DeadlineExceeded",
    "The file server did not answer in time.",
    "Check the server and the network. The next attempt resumes where this one stopped.",
    _NETWORK,
)
SESSION_ENDED = define(
    "SessionEnded",
    "The server closed the session: its ticket expired, or an administrator closed it.",
    "If it happens once, no action is needed: the next attempt opens a new session.",
    _NETWORK,
)
PROTOCOL_VIOLATION = define(
    "ProtocolViolation",
    "The server violated MS-SMB2; smbferry discarded the message.",
    "Check that this is the intended server. If it is, report a bug with the message.",
    _POLICY,
)
PLAINTEXT_REPLY = define(
    "PlaintextReply",
    "The server sent an unencrypted reply on an encrypted session; smbferry closed the connection.",
    "Find the device that alters traffic between smbferry and the server before you transfer anything.",
    _POLICY,
)
DIALECT_REFUSED = define(
    "DialectRefused",
    "The server supports no permitted SMB dialect.",
    "Enable SMB 3.1.1 on the server, or list an older encrypted dialect (3.0.2) in spec.dialects.",
    _POLICY,
)
ENCRYPTION_NOT_SUPPORTED = define(
    "EncryptionNotSupported",
    "The server or the share does not support encryption.",
    "Enable SMB encryption on the server and the share. smbferry transfers no data without it.",
    _POLICY,
)
CIPHER_NOT_OFFERED = define(
    "CipherNotOffered",
    "The server chose a cipher that spec.ciphers does not permit, or supports none that it permits.",
    "Enable a permitted cipher on the server, or add one to spec.ciphers.",
    _POLICY,
)
SERVER_KEY_MISMATCH = define(
    "ServerKeyMismatch",
    "The server could not decrypt the ticket: its key is not the KDC's.",
    "Rejoin the server to the domain, or move its service principal to the correct account.",
    _IDENTITY,
)
MUTUAL_AUTHENTICATION_FAILED = define(
    "MutualAuthenticationFailed",
    "The server did not prove that it has the service's key.",
    "This may not be the server that the ticket is for. Check DNS and the network first.",
    _POLICY,
)
GUEST_REFUSED = define(
    "GuestRefused",
    "The server mapped the session to guest or anonymous.",
    "Map the account to a user on the server. smbferry does not work as guest.",
    _POLICY,
)
LOGON_REFUSED = define(
    "LogonRefused",
    "The file server accepted the ticket but refused the session.",
    "Fix the cause named in the message: network logon right, logon hours or the account's state on the server.",
    _ACCESS,
)
SERVER_CLOCK_SKEW = define(
    "ServerClockSkew",
    "The file server's clock is off by more than the tolerance, while the clocks of this node and the KDC agree.",
    "Synchronize the file server's clock with NTP. With a wrong clock it refuses valid tickets.",
    FailureClass.CLOCK,
)
SHARE_NOT_FOUND = define("ShareNotFound", "The server has no share with this name.", "Correct spec.share.", _ACCESS)
PATH_NOT_FOUND = define(
    "PathNotFound", "The folder does not exist on the share.", "Create the folder, or correct the path.", _ACCESS
)
PATH_IS_REPARSE_POINT = define(
    "PathIsReparsePoint",
    "The path is a link. smbferry does not follow links.",
    "Specify the folder itself, not a link to it.",
    _ACCESS,
)
DFS_TARGET_UNUSABLE = define(
    "DfsTargetUnusable",
    "A DFS link on the path cannot be followed: its target is not a server name, a referral got no answer, or links "
    "form a loop.",
    "Correct the link in the namespace, or specify the target server and share instead of the DFS path.",
    _CONFIGURATION,
)
ENDPOINT_INVALID = define(
    "EndpointInvalid",
    "The SmbLocation is invalid.",
    "Correct the field of the SmbLocation named in the message.",
    _CONFIGURATION,
)
SHARE_ACCESS_DENIED = define(
    "ShareAccessDenied",
    "The server opened a session for the identity but denied access to the share.",
    "Grant the account access in the share permissions; the server checks them before file system permissions.",
    _ACCESS,
)
ACCESS_DENIED = define(
    "AccessDenied",
    "The server opened the share for the identity but denied access to the folder or a file in it.",
    "Grant the account the access named in the message, in both file system and share permissions.",
    _ACCESS,
)
