"""Why a file server that accepted a ticket refuses the session (MS-SMB2 3.3.5.5.3; MS-ERREF 2.3.1)."""

from typing import Final

# NTSTATUS → its name after STATUS_, and what it says about the account.
LOGON_REFUSALS: Final[dict[int, tuple[str, str]]] = {
    0xC0000022: ("ACCESS_DENIED", "it accepted the ticket, but gives the account no session"),
    0xC000005E: ("NO_LOGON_SERVERS", "it can't reach a domain controller"),
    0xC0000064: ("NO_SUCH_USER", "it does not know the account"),
    0xC000006E: ("ACCOUNT_RESTRICTION", "the account is restricted"),
    0xC000006F: ("INVALID_LOGON_HOURS", "the account may not log on at this time"),
    0xC0000070: ("INVALID_WORKSTATION", "the account may not log on from here"),
    0xC0000071: ("PASSWORD_EXPIRED", "the account's password has expired"),
    0xC0000072: ("ACCOUNT_DISABLED", "the account is disabled"),
    0xC00000A8: ("BAD_TOKEN_TYPE", "it can't use the account's data in the ticket (PAC)"),
    0xC0000155: ("LOGON_NOT_GRANTED", "the account has no right to log on"),
    0xC000015B: ("LOGON_TYPE_NOT_GRANTED", "the account has no right to log on from the network"),
    0xC000018A: ("NO_TRUST_LSA_SECRET", "its trust relationship with the domain is broken"),
    0xC000018B: ("NO_TRUST_SAM_ACCOUNT", "the domain has no account for the server"),
    0xC000018D: ("TRUSTED_RELATIONSHIP_FAILURE", "its trust relationship with the domain is broken"),
    0xC0000192: ("NETLOGON_NOT_STARTED", "its logon service is not running"),
    0xC0000193: ("ACCOUNT_EXPIRED", "the account has expired"),
    0xC0000224: ("PASSWORD_MUST_CHANGE", "the account's password must be changed first"),
    0xC0000234: ("ACCOUNT_LOCKED_OUT", "the account is locked"),
    0xC0000413: ("AUTHENTICATION_FIREWALL_FAILED", "selective authentication does not permit the account"),
}
