"""The file server: connection, session, share and folder."""

from smbferry_api.exit_codes import FailureClass
from smbferry_api.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_POLICY = FailureClass.POLICY
_ACCESS = FailureClass.ACCESS
_NETWORK = FailureClass.NETWORK

SERVER_UNREACHABLE = define(
    "ServerUnreachable",
    "No TCP connection to the file server could be made.",
    "Check the name, the port and that pods may reach the server on TCP port 445.",
    _NETWORK,
)
SERVER_REFUSED = define(
    "ServerRefused",
    "The file server's host refused the connection: nothing listens on this port.",
    "Check spec.port, and that the SMB service runs.",
    _NETWORK,
)
CONNECTION_LOST = define(
    "ConnectionLost",
    "The connection to the file server was lost and could not be made again.",
    "Look at the server and the network between; the next attempt goes on where this one ended.",
    _NETWORK,
)
DEADLINE_EXCEEDED = define(
    "DeadlineExceeded",
    "The file server did not answer in time.",
    "Look at the server and the network between; the next attempt goes on where this one ended.",
    _NETWORK,
)
SESSION_ENDED = define(
    "SessionEnded",
    "The server ended the session: its ticket ended, or an administrator closed it.",
    "Nothing, if it happens once: the next attempt opens a new session.",
    _NETWORK,
)
PROTOCOL_VIOLATION = define(
    "ProtocolViolation",
    "The server sent what MS-SMB2 does not allow; nothing of it was used.",
    "Check that this is the server you mean; report it with the message if it is.",
    _POLICY,
)
PLAINTEXT_REPLY = define(
    "PlaintextReply",
    "A reply came unencrypted on an encrypted session; the connection was cut.",
    "Something between smbferry and the server alters traffic: find it before you transfer.",
    _POLICY,
)
DIALECT_REFUSED = define(
    "DialectRefused",
    "The server speaks no permitted SMB dialect.",
    "Enable SMB 3.1.1 on the server, or list an older encrypted dialect (3.0.2) in spec.dialects.",
    _POLICY,
)
ENCRYPTION_NOT_SUPPORTED = define(
    "EncryptionNotSupported",
    "The server or the share does not encrypt.",
    "Enable SMB encryption on the server and the share; smbferry moves no data without it.",
    _POLICY,
)
CIPHER_NOT_OFFERED = define(
    "CipherNotOffered",
    "The server chose a cipher that spec.ciphers does not permit, or shares none with it.",
    "Enable a permitted cipher on the server, or extend spec.ciphers.",
    _POLICY,
)
SERVER_KEY_MISMATCH = define(
    "ServerKeyMismatch",
    "The server could not decrypt the ticket: its own key is not the KDC's.",
    "Rejoin the server to the domain, or correct which account holds its service principal.",
    _IDENTITY,
)
MUTUAL_AUTHENTICATION_FAILED = define(
    "MutualAuthenticationFailed",
    "The server did not prove that it holds the service's key.",
    "This is not the server that the ticket is for: check DNS and the network before anything else.",
    _POLICY,
)
GUEST_REFUSED = define(
    "GuestRefused",
    "The server mapped the session to guest or anonymous.",
    "Give the account a mapping on the server; smbferry does not work as guest.",
    _POLICY,
)
LOGON_REFUSED = define(
    "LogonRefused",
    "The file server read the ticket and refused the session.",
    "Mend what the message names: the account's right to log on from the network, its hours, its state on the server.",
    _ACCESS,
)
SERVER_CLOCK_SKEW = define(
    "ServerClockSkew",
    "The file server's own clock is off by more than the tolerance, while this node's agrees with the KDC's.",
    "Set the file server's clock by NTP: with a wrong one it refuses good tickets.",
    FailureClass.CLOCK,
)
SHARE_NOT_FOUND = define("ShareNotFound", "The server has no share of this name.", "Correct spec.share.", _ACCESS)
PATH_NOT_FOUND = define(
    "PathNotFound", "The share has no such folder.", "Create the folder, or correct the path.", _ACCESS
)
PATH_IS_REPARSE_POINT = define(
    "PathIsReparsePoint",
    "The path is a link, and links are never followed.",
    "Name the folder itself, not a link to it.",
    _ACCESS,
)
DFS_TARGET_UNUSABLE = define(
    "DfsTargetUnusable",
    "A DFS link on the path leads to what can't be used: no server's name, no answer to a referral, or a circle.",
    "Correct the link in the namespace, or name the server and share behind it in place of the DFS path.",
    _CONFIGURATION,
)
ENDPOINT_INVALID = define(
    "EndpointInvalid",
    "The location can't be used as it stands.",
    "Correct the field of the SmbLocation that the message names.",
    _CONFIGURATION,
)
SHARE_ACCESS_DENIED = define(
    "ShareAccessDenied",
    "The server gave the identity a session, and denied it the share as a whole.",
    "Grant the account access in the share's own permissions; those of the file system are asked only after them.",
    _ACCESS,
)
ACCESS_DENIED = define(
    "AccessDenied",
    "The server gave the identity the share, and denied it the folder, or a file in it.",
    "Grant the account the access that the message names in the file system, and see that the share does not take it.",
    _ACCESS,
)
